//! Any wavelet, shape, spectrum, strides and bits: bands and instruction sets give what the whole gives, nothing outside
//! the matrix is written, undoing restores every byte, and what does not fit is refused before anything is written.
#![no_main]

use std::collections::HashSet;

use arbitrary::Arbitrary;
use half::{bf16, f16};
use libfuzzer_sys::fuzz_target;
use waveft_core::element::{Element, Real};
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, wavelets};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::isa::Isa;
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather, scatter};

/// The most atoms that are drawn: enough for some to meet, few enough to be quick with a hundred taps.
const MOST_DRAWN: usize = 200;

#[derive(Arbitrary, Debug)]
struct Input {
    element: ElementType,
    filters: Filters,
    rows: u8,
    columns: u8,
    fan_in_fan_out: bool,
    places: Places,
    /// Repeated for as many numbers as are needed: coefficients, scaling and made-up taps.
    numbers: Vec<u8>,
    /// Repeated over the weight.
    weight: Vec<u8>,
    layout: Layout,
    /// Where bands begin.
    cuts: Vec<u8>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum ElementType {
    F32,
    F64,
    Bf16,
    F16,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Filters {
    None,
    Named(u8),
    PeftCoif4,
    Own(u8),
}

#[derive(Arbitrary, Debug)]
enum Places {
    Drawn { seed: u64, count: u16 },
    Given(Vec<(u8, u8)>),
}

/// Gaps between entries and between lines of entries.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Layout {
    column_major: bool,
    between_entries: u8,
    between_lines: u8,
    after: u8,
}

fuzz_target!(|input: Input| {
    match input.element {
        ElementType::F32 => check::<f32>(&input),
        ElementType::F64 => check::<f64>(&input),
        ElementType::Bf16 => check::<bf16>(&input),
        ElementType::F16 => check::<f16>(&input),
    }
});

/// `count` values whose bits repeat `pattern`.
fn values<T: Element>(pattern: &[u8], count: usize) -> Vec<T> {
    let pattern = if pattern.is_empty() { &[1] } else { pattern };
    let bytes: Vec<u8> = pattern
        .iter()
        .copied()
        .cycle()
        .take(count * size_of::<T>())
        .collect();
    bytes
        .chunks_exact(size_of::<T>())
        .map(bytemuck::pod_read_unaligned)
        .collect()
}

/// The bits of an entry, one value for all that are not numbers.
fn bits<T: Element>(entry: &T) -> Option<Vec<u8>> {
    let value = entry.to_real();
    #[allow(clippy::eq_op)] // False of what is not a number.
    (value == value).then(|| bytemuck::bytes_of(entry).to_vec())
}

fn assert_same<T: Element>(found: &[T], expected: &[T]) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(bits(found), bits(expected), "entry {at}");
    }
}

fn places_of(input: &Input, rows: usize, columns: usize) -> Option<Vec<Location>> {
    match &input.places {
        Places::Given(given) => {
            let place = |&(row, column): &(u8, u8)| Location {
                row: u32::from(row) % rows as u32,
                column: u32::from(column) % columns as u32,
            };
            Some(given.iter().map(place).collect())
        }
        Places::Drawn { seed, count } => {
            let most = MOST_DRAWN.min(rows * columns + 1);
            let mut places = vec![Location::default(); usize::from(*count) % (most + 1)];
            let mut scratch = vec![7; scratch_len((rows * columns) as u64, places.len())];
            locations(rows, columns, *seed, &mut places, &mut scratch).ok()?;
            Some(places)
        }
    }
}

fn check<T: Element>(input: &Input) {
    let own: [Vec<T::Real>; 4];
    let bank = match input.filters {
        Filters::None => None,
        Filters::PeftCoif4 => Some(T::Real::filter_bank(&wavelets::PEFT_COIF4)),
        Filters::Named(index) => {
            let wavelet = &wavelets::ALL[usize::from(index) % wavelets::ALL.len()];
            Some(T::Real::filter_bank(wavelet))
        }
        Filters::Own(taps) => {
            let taps = usize::from(taps) % (MAX_TAPS + 4);
            let numbers = values(&input.numbers, 4 * taps);
            own = std::array::from_fn(|at| numbers[at * taps..(at + 1) * taps].to_vec());
            let bank = FilterBank::without_reconstruction(&own[0], &own[1], &own[2], &own[3]);
            let Ok(bank) = bank else {
                assert!(!(2..=MAX_TAPS).contains(&taps) || taps % 2 == 1);
                return;
            };
            Some(bank)
        }
    };
    let taps = bank.map_or(1, |bank| bank.taps());
    let (rows, columns) = (
        usize::from(input.rows % 48) + 1,
        usize::from(input.columns % 48) + 1,
    );
    let mut geometry = Geometry::new(rows, columns, taps).expect("a small layer");
    if input.fan_in_fan_out {
        geometry = geometry.fan_in_fan_out();
    }
    let Some(places) = places_of(input, rows, columns) else {
        return;
    };
    let count = places.len();
    let mut order = vec![0; count];
    let atoms = SortedAtoms::new(geometry, &places, vec![Atom::default(); count], &mut order);
    let distinct: HashSet<_> = places.iter().collect();
    let Ok(atoms) = atoms else {
        assert!(distinct.len() < count, "only a place that comes twice");
        return;
    };
    assert_eq!(distinct.len(), count);
    let mut numbers = values::<T::Real>(&input.numbers, count + 1);
    let scaling = numbers.pop().expect("one more than there are atoms");
    let mut coefficients = numbers.clone();
    gather(&order, &numbers, &mut coefficients).expect("the atoms' order");
    let mut back = numbers.clone();
    scatter(&order, &coefficients, &mut back).expect("the atoms' order");
    assert_same(&back, &numbers);

    let spectrum = SparseSpectrum::new(&atoms, &coefficients).expect("a coefficient an atom");
    let delta = DeltaWeight::new(spectrum, bank, scaling).expect("as many taps");
    check_update::<T>(&delta, input);
}

fn check_update<T: Element>(delta: &DeltaWeight<'_, T::Real>, input: &Input) {
    let (rows, columns) = delta.shape();
    let before: Vec<T> = values(&input.weight, rows * columns);
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
    let filler: Vec<T> = values(&[0xA5, 0x3C, 0x77], length);
    let strided = |entries: &[T]| {
        let mut strided = filler.clone();
        for (at, &entry) in entries.iter().enumerate() {
            strided[element(at)] = entry;
        }
        strided
    };
    let original = strided(before);
    let mut found = original.clone();
    let mut undo: Vec<T> = values(&[0x5A], delta.undo_len());
    let mut matrix = MatrixMut::with_strides(&mut found, rows, columns, row_stride, column_stride)
        .expect("strides that keep entries apart");
    delta
        .add_recording(&mut matrix, &mut undo)
        .expect("its own shape");
    assert_same(&found, &strided(added));
    let mut matrix = MatrixMut::with_strides(&mut found, rows, columns, row_stride, column_stride)
        .expect("strides that keep entries apart");
    delta.undo(&mut matrix, &undo).expect("its own shape");
    assert!(
        bytemuck::cast_slice::<T, u8>(&found) == bytemuck::cast_slice::<T, u8>(&original),
        "undone to the byte"
    );
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
    let bytes = |entries: &[T]| bytemuck::cast_slice::<T, u8>(entries).to_vec();
    assert!(bytes(&weight) == bytes(before), "nothing was written");
}
