//! Any wavelet, shape, spectrum, strides and bits: bands and instruction sets give what the whole gives, nothing outside
//! the matrix is written, undoing restores every byte, and what does not fit is refused before anything is written.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use waveft_core::element::Element;
use waveft_core::isa::Isa;
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::spectrum::{gather, scatter};
use waveft_fuzz::layer::{MadeLayer, Most};
use waveft_fuzz::numbers::{ElementType, assert_same, bytes, repeated};
use waveft_fuzz::with_element;

/// Few enough atoms to be quick with a hundred taps, enough for some to meet.
const MOST: Most = Most {
    side: 48,
    drawn: 200,
    entries: usize::MAX,
};

#[derive(Arbitrary, Debug)]
struct Input {
    element: ElementType,
    layer: MadeLayer,
    /// Repeated for as many numbers as are needed: coefficients, scaling and made-up taps.
    numbers: Vec<u8>,
    /// Repeated over the weight.
    weight: Vec<u8>,
    layout: Layout,
    /// Where bands begin.
    cuts: Vec<u8>,
}

/// Gaps between entries and between lines of entries.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Layout {
    column_major: bool,
    between_entries: u8,
    between_lines: u8,
    after: u8,
}

fuzz_target!(|input: Input| with_element!(input.element, check(&input)));

fn check<T: Element>(input: &Input) {
    let own_taps = |count| repeated(&input.numbers, 0, count);
    let Some(layer) = input.layer.make::<T::Real>(MOST, own_taps) else {
        return;
    };
    let (count, order) = (layer.order.len(), &layer.order);
    let mut numbers = repeated::<T::Real>(&input.numbers, 0, count + 1);
    let scaling = numbers.pop().expect("one more than there are atoms");
    let mut coefficients = numbers.clone();
    gather(order, &numbers, &mut coefficients).expect("the atoms' order");
    let mut back = numbers.clone();
    scatter(order, &coefficients, &mut back).expect("the atoms' order");
    assert_same(&back, &numbers);

    let delta = layer.delta(&coefficients, scaling);
    check_update::<T>(&delta, input);
}

fn check_update<T: Element>(delta: &DeltaWeight<'_, T::Real>, input: &Input) {
    let (rows, columns) = delta.shape();
    let before: Vec<T> = repeated(&input.weight, 0, rows * columns);
    let mut added = before.clone();
    let mut matrix = MatrixMut::new(&mut added, rows, columns).expect("its own shape");
    delta.add(&mut matrix).expect("its own shape");
    let mut written = before.clone();
    let mut matrix = MatrixMut::new(&mut written, rows, columns).expect("its own shape");
    delta.write(&mut matrix).expect("its own shape");

    for isa in Isa::ALL {
        let mut found = before.clone();
        let mut matrix = MatrixMut::new(&mut found, rows, columns).expect("its own shape");
        let delta = delta.clone().with_isa(isa);
        delta.add(&mut matrix).expect("its own shape");
        assert_same(&found, &added);
    }
    check_bands(delta, input, &before, &added);
    check_layout(delta, input, &before, &added, &written);
    check_refusals(delta, &before);
}

fn check_bands<T: Element>(
    delta: &DeltaWeight<'_, T::Real>,
    input: &Input,
    before: &[T],
    added: &[T],
) {
    let (rows, columns) = delta.shape();
    let mut cuts: Vec<usize> = input
        .cuts
        .iter()
        .map(|&cut| usize::from(cut) % rows)
        .collect();
    cuts.extend([0, rows]);
    cuts.sort_unstable();
    cuts.dedup();
    let mut found = before.to_vec();
    for pair in cuts.windows(2) {
        let band = pair[0]..pair[1];
        let part = &mut found[band.start * columns..band.end * columns];
        let delta = delta.rows(band.clone()).expect("rows of the weight");
        let mut undo = vec![T::zeroed(); delta.undo_len()];
        let mut matrix = MatrixMut::new(part, band.len(), columns).expect("the band's shape");
        delta
            .add_recording(&mut matrix, &mut undo)
            .expect("the band's shape");
        delta.undo(&mut matrix, &undo).expect("the band's shape");
        delta.add(&mut matrix).expect("the band's shape");
    }
    assert_same(&found, added);
}

/// Adding, undoing and writing where entries are not neighbours.
fn check_layout<T: Element>(
    delta: &DeltaWeight<'_, T::Real>,
    input: &Input,
    before: &[T],
    added: &[T],
    written: &[T],
) {
    let (rows, columns) = delta.shape();
    let Layout {
        column_major,
        between_entries,
        between_lines,
        after,
    } = input.layout;
    let (lines, entries) = if column_major {
        (columns, rows)
    } else {
        (rows, columns)
    };
    let entry_stride = usize::from(between_entries % 4) + 1;
    let line_stride = entries * entry_stride + usize::from(between_lines);
    let (row_stride, column_stride) = if column_major {
        (entry_stride, line_stride)
    } else {
        (line_stride, entry_stride)
    };
    let element = |at: usize| at / columns * row_stride + at % columns * column_stride;
    let length = (lines - 1) * line_stride + (entries - 1) * entry_stride + 1 + usize::from(after);
    let filler: Vec<T> = repeated(&[0xA5, 0x3C, 0x77], 0, length);
    let strided = |entries: &[T]| {
        let mut strided = filler.clone();
        for (at, &entry) in entries.iter().enumerate() {
            strided[element(at)] = entry;
        }
        strided
    };
    let original = strided(before);
    let mut found = original.clone();
    let mut undo: Vec<T> = repeated(&[0x5A], 0, delta.undo_len());
    let mut matrix = MatrixMut::with_strides(&mut found, rows, columns, row_stride, column_stride)
        .expect("strides that keep entries apart");
    delta
        .add_recording(&mut matrix, &mut undo)
        .expect("its own shape");
    assert_same(&found, &strided(added));
    let mut matrix = MatrixMut::with_strides(&mut found, rows, columns, row_stride, column_stride)
        .expect("strides that keep entries apart");
    delta.undo(&mut matrix, &undo).expect("its own shape");
    assert!(bytes(&found) == bytes(&original), "undone to the byte");
    let mut matrix = MatrixMut::with_strides(&mut found, rows, columns, row_stride, column_stride)
        .expect("strides that keep entries apart");
    delta.write(&mut matrix).expect("its own shape");
    assert_same(&found, &strided(written));
}

fn check_refusals<T: Element>(delta: &DeltaWeight<'_, T::Real>, before: &[T]) {
    let (rows, columns) = delta.shape();
    let mut weight = before.to_vec();
    let mut undo = vec![T::zeroed(); delta.undo_len() + 1];
    let mut matrix = MatrixMut::new(&mut weight, rows, columns).expect("its own shape");
    assert!(delta.add_recording(&mut matrix, &mut undo).is_err());
    assert!(delta.undo(&mut matrix, &undo).is_err());
    assert!(delta.rows(0..rows + 1).is_err() && delta.rows(rows..rows).is_err());
    if rows != columns {
        let mut matrix = MatrixMut::new(&mut weight, columns, rows).expect("the other shape");
        assert!(delta.add(&mut matrix).is_err() && delta.write(&mut matrix).is_err());
    }
    assert!(bytes(&weight) == bytes(before), "nothing was written");
}
