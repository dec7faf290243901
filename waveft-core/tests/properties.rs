//! Properties of the update: it is `R S Cᵀ` as the formulas have it, linear, the same bits however it
//! is computed, and undone exactly.

mod common;
mod little_endian;

use common::{Layer, layers};
use half::{bf16, f16};
use proptest::prelude::*;
use waveft_core::Error;
use waveft_core::element::Element;
use waveft_core::filter_bank::{Wavelet, wavelets};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::isa::Isa;
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather, scatter};

/// The formulas of the specification, entry by entry and atom by atom, `out × in`.
fn by_formula(
    (rows, columns): (usize, usize),
    wavelet: Option<&Wavelet>,
    seed: u64,
    scaling: f64,
    spectrum: &[f64],
) -> Vec<f64> {
    let n = spectrum.len();
    let mut places = vec![Location::default(); n];
    let mut scratch = vec![0; scratch_len((rows * columns) as u64, n)];
    locations(rows, columns, seed, &mut places, &mut scratch).unwrap();
    let mut delta = vec![0.0; rows * columns];
    for (place, &coefficient) in places.iter().zip(spectrum) {
        let (row, column) = (place.row as usize, place.column as usize);
        let Some(wavelet) = wavelet else {
            delta[row * columns + column] += scaling * coefficient;
            continue;
        };
        let taps = wavelet.taps();
        let split = |index: usize, length: usize| {
            let padded = (length + taps - 2).next_multiple_of(2);
            let at = index + (padded - length) / 2;
            (at % (padded / 2), at >= padded / 2)
        };
        let ((row, row_half), (column, column_half)) = (split(row, rows), split(column, columns));
        let bank = wavelet.double();
        let filter = |high: bool| if high { bank.rec_hi() } else { bank.rec_lo() };
        // Crossed: the column's half chooses the row filter.
        let (row_filter, column_filter) = (filter(column_half), filter(row_half));
        for (a, row_tap) in row_filter.iter().enumerate() {
            for (b, column_tap) in column_filter.iter().enumerate() {
                let i = (2 * row + a).wrapping_sub(taps - 2);
                let j = (2 * column + b).wrapping_sub(taps - 2);
                if i < rows && j < columns {
                    delta[i * columns + j] += scaling * coefficient * row_tap * column_tap;
                }
            }
        }
    }
    delta
}

fn written<T: Element<Real = f64>>(delta: &DeltaWeight<'_, f64>) -> Vec<T> {
    let (rows, columns) = delta.shape();
    let mut out = vec![T::from_real(9.0); rows * columns];
    let mut matrix = MatrixMut::new(&mut out, rows, columns).unwrap();
    delta.write(&mut matrix).unwrap();
    out
}

fn undo_is_exact<T: Element>(layer: &Layer<T::Real>, noise: &[u8]) {
    let (rows, columns) = layer.shape();
    let bytes: Vec<u8> = noise
        .iter()
        .cycle()
        .take(rows * columns * size_of::<T>())
        .copied()
        .collect();
    let before: Vec<T> = bytes
        .chunks_exact(size_of::<T>())
        .map(bytemuck::pod_read_unaligned)
        .collect();
    let mut weight = before.clone();
    let delta = layer.delta();
    let mut undo = vec![T::zeroed(); delta.undo_len()];
    let mut matrix = MatrixMut::new(&mut weight, rows, columns).unwrap();
    delta.add_recording(&mut matrix, &mut undo).unwrap();
    let mut added = before.clone();
    let mut other = MatrixMut::new(&mut added, rows, columns).unwrap();
    delta.add(&mut other).unwrap();
    let bytes = |values: &[T]| bytemuck::cast_slice::<T, u8>(values).to_vec();
    assert_eq!(bytes(&weight), bytes(&added));
    let mut matrix = MatrixMut::new(&mut weight, rows, columns).unwrap();
    delta.undo(&mut matrix, &undo).unwrap();
    assert_eq!(bytes(&weight), bytes(&before));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_update_is_its_formula((wavelet, shape, spectrum, seed, transposed) in layers()) {
        let layer = Layer::new(shape, wavelet, transposed, seed, 2.5, &spectrum);
        let found: Vec<f64> = written(&layer.delta());
        let expected = by_formula(shape, wavelet, seed, 2.5, &spectrum);
        for i in 0..shape.0 {
            for j in 0..shape.1 {
                let stored = if transposed { j * shape.0 + i } else { i * shape.1 + j };
                let off = (found[stored] - expected[i * shape.1 + j]).abs();
                prop_assert!(off < 1e-12, "({i}, {j}): {} for {}", found[stored], expected[i * shape.1 + j]);
            }
        }
    }

    #[test]
    fn it_is_linear_in_the_spectrum((wavelet, shape, spectrum, seed, transposed) in layers()) {
        let other: Vec<f64> = spectrum.iter().map(|c| (3.0 * c).cos()).collect();
        let sum: Vec<f64> = spectrum.iter().zip(&other).map(|(a, b)| a - 2.0 * b).collect();
        let delta = |spectrum: &[f64]| {
            written::<f64>(&Layer::new(shape, wavelet, transposed, seed, 1.5, spectrum).delta())
        };
        let (first, second, sum) = (delta(&spectrum), delta(&other), delta(&sum));
        for ((a, b), s) in first.iter().zip(&second).zip(&sum) {
            prop_assert!((a - 2.0 * b - s).abs() < 1e-12);
        }
    }

    #[test]
    fn every_isa_every_band_and_every_stride_give_the_same_bits(
        (wavelet, shape, spectrum, seed, transposed) in layers(),
        cut in 0.0..1.0f64,
        gaps in (1usize..4, 0usize..3),
    ) {
        let layer = Layer::new(shape, wavelet, transposed, seed, 1.5, &spectrum);
        let delta = layer.delta();
        let expected: Vec<f64> = written(&delta);
        for isa in Isa::ALL {
            prop_assert_eq!(&written::<f64>(&layer.delta().with_isa(isa)), &expected);
        }
        let (rows, columns) = delta.shape();
        let middle = (rows as f64 * cut) as usize;
        let mut banded = vec![0.0; rows * columns];
        for band in [0..middle, middle..rows].into_iter().filter(|band| !band.is_empty()) {
            let part = &mut banded[band.start * columns..band.end * columns];
            let mut matrix = MatrixMut::new(part, band.len(), columns).unwrap();
            delta.rows(band).unwrap().add(&mut matrix).unwrap();
        }
        prop_assert_eq!(&banded, &expected);
        // Every third column, say, of a matrix with room at the end of its rows and below them.
        let (column_stride, room) = gaps;
        let row_stride = columns * column_stride + room;
        let mut strided = vec![7.0; (rows + 2) * row_stride];
        let mut matrix =
            MatrixMut::with_strides(&mut strided, rows, columns, row_stride, column_stride).unwrap();
        delta.write(&mut matrix).unwrap();
        for (at, &entry) in strided.iter().enumerate() {
            let (row, rest) = (at / row_stride, at % row_stride);
            let inside =
                row < rows && rest % column_stride == 0 && rest / column_stride < columns;
            let expected = if inside { expected[row * columns + rest / column_stride] } else { 7.0 };
            prop_assert_eq!(entry, expected);
        }
    }

    #[test]
    fn adding_then_undoing_restores_every_byte(
        (wavelet, shape, spectrum, seed, transposed) in layers(),
        noise in prop::collection::vec(any::<u8>(), 64..999),
    ) {
        let single: Vec<f32> = spectrum.iter().map(|&c| c as f32).collect();
        let layer = Layer::new(shape, wavelet, transposed, seed, 25.0f32, &single);
        undo_is_exact::<f32>(&layer, &noise);
        undo_is_exact::<bf16>(&layer, &noise);
        undo_is_exact::<f16>(&layer, &noise);
        undo_is_exact::<f64>(&Layer::new(shape, wavelet, transposed, seed, 25.0, &spectrum), &noise);
    }

    #[test]
    fn scattering_undoes_gathering(values in prop::collection::vec(any::<i32>(), 1..50), seed: u64) {
        let n = values.len();
        let mut places = vec![Location::default(); n];
        let mut scratch = vec![0; scratch_len(100, n)];
        locations(10, 10, seed, &mut places, &mut scratch).unwrap();
        let mut order = vec![0; n];
        let layer = Geometry::new(10, 10, 4).unwrap();
        SortedAtoms::new(layer, &places, vec![Atom::default(); n], &mut order).unwrap();
        let (mut sorted, mut back) = (vec![0; n], vec![0; n]);
        gather(&order, &values, &mut sorted).unwrap();
        scatter(&order, &sorted, &mut back).unwrap();
        prop_assert_eq!(back, values);
    }
}

#[test]
fn bad_arguments_are_refused_and_nothing_is_written() {
    let layer = Layer::new((6, 4), Some(&wavelets::DB2), false, 1, 1.0f32, &[1.0; 5]);
    let delta = layer.delta();
    let mut weight = [3.0f32; 24];
    let mut matrix = MatrixMut::new(&mut weight, 4, 6).unwrap();
    let shape = Err(Error::Shape {
        expected: (6, 4),
        found: (4, 6),
    });
    assert_eq!(delta.add(&mut matrix), shape);
    assert_eq!(delta.write(&mut matrix), shape);
    assert_eq!(delta.subtract(&mut matrix), shape);
    let mut undo = vec![0.0; delta.undo_len()];
    assert_eq!(delta.add_recording(&mut matrix, &mut undo), shape);
    assert_eq!(delta.undo(&mut matrix, &undo), shape);
    let mut matrix = MatrixMut::new(&mut weight, 6, 4).unwrap();
    let short = Err(Error::Length {
        what: "undo",
        expected: undo.len(),
        found: undo.len() - 1,
    });
    assert_eq!(delta.add_recording(&mut matrix, &mut undo[1..]), short);
    assert_eq!(delta.undo(&mut matrix, &undo[1..]), short);
    assert_eq!(weight, [3.0; 24]);
    assert!(matches!(delta.rows(3..7), Err(Error::OutOfBounds { .. })));
    assert!(matches!(delta.rows(3..3), Err(Error::OutOfBounds { .. })));

    assert_eq!(Geometry::new(0, 4, 2), Err(Error::EmptyAxis));
    let odd = Error::TapCount {
        found: 3,
        most: 128,
    };
    assert_eq!(Geometry::new(4, 4, 3), Err(odd));
    assert!(Geometry::new(1 << 30, 4, 2).is_err());
    let outside = Location { row: 1, column: 4 };
    let geometry = Geometry::new(4, 4, 2).unwrap();
    assert!(matches!(
        geometry.atom(outside),
        Err(Error::OutOfBounds { .. })
    ));
    let sort =
        |places, order: &mut [u32]| SortedAtoms::new(geometry, places, [Atom::default(); 2], order);
    let mut order = [9; 2];
    let places = [Location::default(), outside];
    assert!(sort(&places, &mut order).is_err());
    assert_eq!(order, [9; 2]);
    let places = [Location { row: 3, column: 3 }, Location::default()];
    assert!(sort(&places[1..], &mut order).is_err());
    assert!(sort(&places, &mut order[1..]).is_err());
    let atoms = sort(&places, &mut order).unwrap();
    assert!(SparseSpectrum::new(&atoms, &[0.0; 3]).is_err());
    let spectrum = SparseSpectrum::new(&atoms, &[0.0; 2]).unwrap();
    let wrong = DeltaWeight::new(spectrum, Some(wavelets::DB4.double()), 1.0);
    assert!(matches!(wrong, Err(Error::Length { .. })));

    let mut data = [0u8; 12];
    assert!(MatrixMut::new(&mut data, 3, 5).is_err());
    assert!(MatrixMut::with_strides(&mut data, 3, 4, 4, 0).is_err());
    assert!(MatrixMut::with_strides(&mut data, 3, 4, 1, 1).is_err());
    assert!(MatrixMut::with_strides(&mut data, 3, 4, usize::MAX, 1).is_err());
    assert!(MatrixMut::with_strides(&mut data, 4, 3, 1, 4).is_ok());
    assert!(MatrixMut::with_strides(&mut data, 4, 3, 1, 5).is_err());
}
