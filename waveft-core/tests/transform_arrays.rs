//! Transforms of arrays over several levels against themselves: there and back, adjoints, layouts, and what is refused.

mod little_endian;
mod transform_support;

use std::fmt::Debug;

use half::{bf16, f16};
use proptest::prelude::*;
use proptest::sample::select;
use transform_support::{
    COEFFICIENTS, SIGNAL, dirty, entries, forward, forward_adjoint, held, inverse, inverse_adjoint,
    noise, norm, not_a_number, product,
};
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::extension_mode::ExtensionMode::{self, Antireflect, Reflect, Smooth};
use waveft_core::filter_bank::wavelets::{ALL, BIOR2_2, COIF1, DB1, DB2, DB4, DB38, HAAR};
use waveft_core::filter_bank::{FilterBank, Wavelet};
use waveft_core::isa::Isa;
use waveft_core::transform::{Algorithm, Dwt, Wavedec, dwt_max_level};

/// The wavelet, the mode and the length of an axis.
type Axis = (&'static Wavelet, ExtensionMode, usize);

/// Short wavelets as often as all: only they leave room for several levels.
fn axis(longest: usize) -> impl Strategy<Value = Axis> {
    let short: Vec<_> = ALL.iter().filter(|wavelet| wavelet.taps() <= 6).collect();
    let wavelet = prop_oneof![select(short), select(ALL.each_ref().to_vec())];
    let mode = select(ExtensionMode::ALL.to_vec());
    (wavelet, mode).prop_flat_map(move |(wavelet, mode)| {
        let length = mode.least_length()..=longest;
        (Just(wavelet), Just(mode), length)
    })
}

/// `D` axes and the number of levels.
fn arrays<const D: usize>(longest: usize) -> impl Strategy<Value = ([Axis; D], usize)> {
    let axes = std::array::from_fn(|_| axis(longest));
    axes.prop_flat_map(|axes: [Axis; D]| {
        let deepest = axes.map(|(wavelet, _, length)| dwt_max_level(length, wavelet.taps()));
        let deepest = deepest.into_iter().min().unwrap_or(0);
        (Just(axes), 1..=deepest.max(1))
    })
}

fn plan<F: Real, const D: usize>(axes: &[Axis; D], levels: usize) -> Wavedec<'static, F, D> {
    let banks = axes.map(|(wavelet, mode, _)| (F::filter_bank(wavelet), mode));
    Wavedec::new(banks, axes.map(|(.., length)| length), levels).unwrap()
}

fn double<T: Element<Real: Into<f64>>>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_real().into()).collect()
}

/// Noise in any type.
fn stored<T: Element>(stream: u64, length: usize, from: impl Fn(f64) -> T) -> Vec<T> {
    noise(stream, length).into_iter().map(from).collect()
}

/// The error of there and back, relative to the larger of the array and its coefficients.
///
/// The larger, because smooth and antireflect extension may continue a few samples to fifty times their size for each
/// axis, and coefficients that large have no more digits.
fn round_trip<T: Element<Real: Into<f64>>, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    from: impl Fn(f64) -> T,
) -> f64 {
    let data = stored(SIGNAL, entries(plan.shape()), from);
    let coefficients = forward(plan, &data);
    let back = inverse(plan, &coefficients);
    let [data, coefficients, back] = [data, coefficients, back].map(|values| double(&values));
    let error: Vec<f64> = data.iter().zip(&back).map(|(x, y)| x - y).collect();
    norm(&error) / norm(&data).max(norm(&coefficients))
}

/// dmey's table inverts itself to 6e-3 only, with smooth extension to ten times that.
fn reconstructs<const D: usize>(axes: &[Axis; D]) -> bool {
    axes.iter().all(|(wavelet, ..)| wavelet.name() != "dmey")
}

fn there_and_back<const D: usize>(axes: &[Axis; D], levels: usize) -> Result<(), TestCaseError> {
    if !reconstructs(axes) {
        return Ok(());
    }
    let (double, single) = (plan::<f64, D>(axes, levels), plan::<f32, D>(axes, levels));
    // Orthogonal banks keep errors as they are. Synthesis of others lets them grow, level by level.
    let orthogonal = axes.iter().all(|(wavelet, ..)| wavelet.is_orthogonal());
    let steps = (levels * D) as f64;
    let growth = if orthogonal {
        steps
    } else {
        steps * 2f64.powf(steps)
    };
    for (error, most) in [
        (round_trip(&double, |x| x), 5e-13 * steps),
        (round_trip(&single, |x| x as f32), 1e-6 * growth),
        (
            round_trip(&single, f16::from_f64),
            2f64.powi(-11) * growth.max(2.0),
        ),
        (
            round_trip(&single, bf16::from_f64),
            2f64.powi(-8) * growth.max(2.0),
        ),
    ] {
        prop_assert!(error <= most, "{:e} of {:e}", error, most);
    }
    Ok(())
}

/// How far ⟨A x, c⟩ and ⟨x, Aᵀ c⟩ are apart, and the same of S, relative to the vectors' norms.
fn dot_tests<const D: usize>(plan: &Wavedec<'_, f64, D>) -> [f64; 2] {
    let data = noise(SIGNAL, entries(plan.shape()));
    let coefficients = noise(COEFFICIENTS, plan.coefficients_len());
    let apart = |analysed: Vec<f64>, synthesised: Vec<f64>| {
        let left = product(&analysed, &coefficients).0;
        let right = product(&data, &synthesised).0;
        let size = norm(&analysed) * norm(&coefficients) + norm(&data) * norm(&synthesised);
        (left - right).abs() / size
    };
    [
        apart(forward(plan, &data), forward_adjoint(plan, &coefficients)),
        apart(inverse_adjoint(plan, &data), inverse(plan, &coefficients)),
    ]
}

fn adjoints<const D: usize>(axes: &[Axis; D], levels: usize) -> Result<(), TestCaseError> {
    for apart in dot_tests(&plan::<f64, D>(axes, levels)) {
        prop_assert!(apart <= 1e-13, "{:e}", apart);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lines_come_back_and_have_adjoints((axes, levels) in arrays::<1>(300)) {
        there_and_back(&axes, levels)?;
        adjoints(&axes, levels)?;
    }

    #[test]
    fn planes_come_back_and_have_adjoints((axes, levels) in arrays::<2>(40)) {
        there_and_back(&axes, levels)?;
        adjoints(&axes, levels)?;
    }

    #[test]
    fn arrays_of_three_axes_come_back_and_have_adjoints((axes, levels) in arrays::<3>(12)) {
        there_and_back(&axes, levels)?;
        adjoints(&axes, levels)?;
    }
}

/// Every wavelet with every mode, which the property tests draw from.
#[test]
fn every_wavelet_and_mode_comes_back_and_has_adjoints() {
    let (mut largest, mut furthest) = (0f64, 0f64);
    for (at, wavelet) in ALL.iter().enumerate() {
        for mode in ExtensionMode::ALL {
            let other = &ALL[(at * 7 + 3) % ALL.len()];
            let axes = [(wavelet, mode, 21 + at % 30), (other, mode, 19 + at % 12)];
            let plan = plan::<f64, 2>(&axes, 1);
            for apart in dot_tests(&plan) {
                assert!(apart <= 1e-13, "{}, {mode:?}: {apart:e}", wavelet.name());
                furthest = furthest.max(apart);
            }
            if reconstructs(&axes) {
                let error = round_trip(&plan, |x| x);
                assert!(error <= 1e-12, "{}, {mode:?}: {error:e}", wavelet.name());
                largest = largest.max(error);
            }
        }
    }
    println!("round trips: {largest:e}, dot tests: {furthest:e}");
}

/// Rows of numbers.
type Rows = Vec<Vec<f64>>;

/// An operator's matrix, column by column.
fn columns(length: usize, operator: impl Fn(&[f64]) -> Vec<f64>) -> Rows {
    let unit = |at| {
        (0..length)
            .map(|i| f64::from(u8::from(i == at)))
            .collect::<Vec<_>>()
    };
    (0..length).map(|at| operator(&unit(at))).collect()
}

fn assert_transposed(case: &impl Debug, matrix: &Rows, transposed: &Rows) {
    assert_eq!(matrix.len(), transposed[0].len());
    assert_eq!(matrix[0].len(), transposed.len());
    for (i, column) in matrix.iter().enumerate() {
        for (j, entry) in column.iter().enumerate() {
            let apart = (entry - transposed[j][i]).abs();
            let most = 1e-13 * entry.abs().max(1.0);
            assert!(apart <= most, "{case:?}: {i}, {j}: {apart:e}");
        }
    }
}

fn assert_adjoints_are_transposes<const D: usize>(axes: &[Axis; D], levels: usize) {
    let plan = plan::<f64, D>(axes, levels);
    let (samples, coefficients) = (entries(plan.shape()), plan.coefficients_len());
    let case = axes.map(|(wavelet, mode, length)| (wavelet.name(), mode, length));
    let analysis = columns(samples, |x| forward(&plan, x));
    let adjoint = columns(coefficients, |c| forward_adjoint(&plan, c));
    assert_transposed(&case, &analysis, &adjoint);
    let synthesis = columns(coefficients, |c| inverse(&plan, c));
    let adjoint = columns(samples, |x| inverse_adjoint(&plan, x));
    assert_transposed(&case, &synthesis, &adjoint);
}

#[test]
fn adjoints_are_transposes() {
    let modes = ExtensionMode::ALL;
    for (at, mode) in modes.into_iter().enumerate() {
        let other = modes[(at * 2 + 5) % 9];
        for (rows, columns) in [(2, 2), (5, 4), (3, 7), (9, 2)] {
            for (wavelet, second) in [(&HAAR, &DB2), (&DB4, &BIOR2_2)] {
                let axes = [(wavelet, mode, rows), (second, other, columns)];
                assert_adjoints_are_transposes(&axes, 1);
            }
        }
        for lengths in [[2, 2, 2], [3, 2, 5], [5, 3, 2]] {
            let axes = [
                (&DB2, lengths[0]),
                (&HAAR, lengths[1]),
                (&BIOR2_2, lengths[2]),
            ];
            let axes = axes.map(|(wavelet, length)| (wavelet, mode, length));
            assert_adjoints_are_transposes(&axes, 1);
        }
        assert_adjoints_are_transposes(&[(&HAAR, mode, 9), (&DB1, other, 7)], 2);
        assert_adjoints_are_transposes(&[(&DB2, mode, 25)], 3);
    }
    use ExtensionMode::{Periodization, Zero};
    for mode in [Zero, Smooth, Periodization] {
        // Single samples, which the other axis' mode need not take.
        assert_adjoints_are_transposes(&[(&DB4, mode, 1), (&DB2, Reflect, 3)], 1);
        assert_adjoints_are_transposes(&[(&DB4, Antireflect, 3), (&DB2, mode, 1)], 1);
    }
}

/// Values that no transform of noise leaves untouched by chance.
const SENTINEL: f64 = -12345.678;

/// Both operators that write an array, and both that read one, on rows `gap` elements apart: the bits they give without
/// gaps, and nothing else is read or written.
fn assert_gaps_do_not_matter<F>(axes: &[Axis; 2], gap: usize, sentinel: F, from: impl Fn(f64) -> F)
where
    F: Real + Debug,
{
    let plan = plan::<F, 2>(axes, 1);
    let [rows, width] = plan.shape();
    let stride = width + gap;
    let (behind, place) = (9, |at: usize| at / width * stride + at % width);
    let length = (rows - 1) * stride + width + behind;
    let strided = |data: &[F], between: F| {
        let mut strided = vec![between; length];
        for (at, &value) in data.iter().enumerate() {
            strided[place(at)] = value;
        }
        strided
    };
    let data = stored(SIGNAL, rows * width, &from);
    let coefficients = stored(COEFFICIENTS, plan.coefficients_len(), &from);
    let (shape, strides) = ([rows, width], [stride, 1]);
    let between = strided(&data, not_a_number());
    let array = Array::with_strides(&between, shape, strides).unwrap();
    let mut scratch = dirty::<F, 2>(&plan);
    let mut found = held(coefficients.len());
    plan.forward(&array, &mut found, &mut scratch).unwrap();
    assert_eq!(found, forward(&plan, &data));
    plan.inverse_adjoint(&array, &mut found, &mut scratch)
        .unwrap();
    assert_eq!(found, inverse_adjoint(&plan, &data));

    let mut found = vec![sentinel; length];
    let mut array = ArrayMut::with_strides(&mut found, shape, strides).unwrap();
    plan.inverse(&coefficients, &mut array, &mut scratch)
        .unwrap();
    assert_eq!(found, strided(&inverse(&plan, &coefficients), sentinel));
    let mut array = ArrayMut::with_strides(&mut found, shape, strides).unwrap();
    plan.forward_adjoint(&coefficients, &mut array, &mut scratch)
        .unwrap();
    let expected = forward_adjoint(&plan, &coefficients);
    assert_eq!(found, strided(&expected, sentinel));
}

#[test]
fn rows_may_be_apart_and_what_is_between_them_is_not_touched() {
    for mode in ExtensionMode::ALL {
        for (rows, columns) in [(2, 2), (5, 7), (17, 33), (3, 130), (40, 3)] {
            for gap in [1, 8, 61] {
                for (wavelet, second) in [(&HAAR, &DB4), (&COIF1, &DB2)] {
                    let axes = [(wavelet, mode, rows), (second, mode, columns)];
                    assert_gaps_do_not_matter(&axes, gap, SENTINEL, |x| x);
                    assert_gaps_do_not_matter(&axes, gap, SENTINEL as f32, |x| x as f32);
                }
            }
        }
    }
}

/// One row again and again, which an array that is only read may be.
#[test]
fn rows_that_are_read_may_be_one() {
    let plan = plan::<f64, 2>(&[(&DB2, Smooth, 5), (&DB4, Reflect, 6)], 1);
    let row = noise(SIGNAL, 6);
    let array = Array::with_strides(&row, [5, 6], [0, 1]).unwrap();
    let mut found = held(plan.coefficients_len());
    plan.forward(&array, &mut found, &mut dirty::<f64, 2>(&plan))
        .unwrap();
    assert_eq!(found, forward(&plan, &row.repeat(5)));
}

/// Half precision is widened into scratch first, wherever it is.
#[test]
fn half_precision_may_be_laid_out_in_any_way() {
    let axes = [
        (&DB2, Smooth, 4),
        (&HAAR, Reflect, 3),
        (&BIOR2_2, Antireflect, 5),
    ];
    let plan = plan::<f32, 3>(&axes, 1);
    let shape = plan.shape();
    let data = stored(SIGNAL, 60, bf16::from_f64);
    let coefficients = stored(COEFFICIENTS, plan.coefficients_len(), bf16::from_f64);
    let sentinel = bf16::from_f64(SENTINEL);
    // The first axis is innermost, every second element is somebody else's.
    let strides = [2, 9, 31];
    let place = |at: usize| at / 15 * strides[0] + at / 5 % 3 * strides[1] + at % 5 * strides[2];
    let strided = |data: &[bf16]| {
        let mut strided = vec![sentinel; place(59) + 4];
        for (at, &value) in data.iter().enumerate() {
            strided[place(at)] = value;
        }
        strided
    };
    let held_data = strided(&data);
    let array = Array::with_strides(&held_data, shape, strides).unwrap();
    let mut scratch = dirty::<bf16, 3>(&plan);
    let mut found = held(coefficients.len());
    plan.forward(&array, &mut found, &mut scratch).unwrap();
    assert_eq!(found, forward(&plan, &data));
    plan.inverse_adjoint(&array, &mut found, &mut scratch)
        .unwrap();
    assert_eq!(found, inverse_adjoint(&plan, &data));
    let mut found = strided(&data);
    let mut array = ArrayMut::with_strides(&mut found, shape, strides).unwrap();
    plan.inverse(&coefficients, &mut array, &mut scratch)
        .unwrap();
    assert_eq!(found, strided(&inverse(&plan, &coefficients)));
    let mut array = ArrayMut::with_strides(&mut found, shape, strides).unwrap();
    plan.forward_adjoint(&coefficients, &mut array, &mut scratch)
        .unwrap();
    assert_eq!(found, strided(&forward_adjoint(&plan, &coefficients)));
}

/// What half precision gives is what f32 gives of the same numbers, rounded once.
#[test]
fn half_precision_is_rounded_once() {
    for mode in ExtensionMode::ALL {
        let plan = plan::<f32, 2>(&[(&DB2, mode, 13), (&HAAR, mode, 18)], 2);
        let data = stored(SIGNAL, 13 * 18, f16::from_f64);
        let wide: Vec<f32> = data.iter().map(|x| x.to_f32()).collect();
        let expected = forward(&plan, &wide);
        let coefficients = forward(&plan, &data);
        let rounded: Vec<_> = expected.into_iter().map(f16::from_f32).collect();
        assert_eq!(coefficients, rounded, "{mode:?}");
        let wide: Vec<f32> = coefficients.iter().map(|x| x.to_f32()).collect();
        let expected = inverse(&plan, &wide).into_iter();
        let rounded: Vec<_> = expected.map(f16::from_f32).collect();
        assert_eq!(inverse(&plan, &coefficients), rounded, "{mode:?}");
        let expected = forward_adjoint(&plan, &wide).into_iter();
        let rounded: Vec<_> = expected.map(f16::from_f32).collect();
        assert_eq!(forward_adjoint(&plan, &coefficients), rounded, "{mode:?}");
    }
}

/// Whether a coefficient's samples have one among them, in the middle of a line.
fn covers(taps: usize, mode: ExtensionMode, k: usize, sample: usize) -> bool {
    let end = match mode {
        ExtensionMode::Periodization => 2 * k + 1 + taps / 2,
        _ => 2 * k + 2,
    };
    sample < end && end <= sample + taps
}

#[test]
fn what_is_not_a_number_stays_where_the_filters_put_it() {
    let modes = ExtensionMode::ALL;
    for (at, mode) in modes.into_iter().enumerate() {
        let other = modes[(at * 2 + 5) % 9];
        for (wavelet, second) in [(&HAAR, &DB4), (&DB2, &COIF1), (&DB4, &HAAR)] {
            let axes = [
                (wavelet, mode, 4 * wavelet.taps() + 1),
                (second, other, 4 * second.taps()),
            ];
            let plan = plan::<f64, 2>(&axes, 1);
            let [rows, columns] = plan.shape();
            let [high, wide] = plan.band(1, [false; 2]).unwrap().shape;
            let is_covered = |k: usize, l: usize, i: usize, j: usize| {
                covers(wavelet.taps(), mode, k, i) && covers(second.taps(), other, l, j)
            };
            let (i, j) = (2 * wavelet.taps(), 2 * second.taps() + 1);
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut data = noise(SIGNAL, rows * columns);
                data[i * columns + j] = value;
                for band in forward(&plan, &data).chunks(high * wide) {
                    for (at, coefficient) in band.iter().enumerate() {
                        let expected = is_covered(at / wide, at % wide, i, j);
                        let case = format!("{mode:?}, {other:?}: {at}");
                        assert_eq!(!coefficient.is_finite(), expected, "{case}");
                    }
                }
            }
            let (k, l) = (high / 2, wide / 2);
            for band in 0..4 {
                let mut coefficients = noise(COEFFICIENTS, 4 * high * wide);
                coefficients[(band * high + k) * wide + l] = f64::NAN;
                for data in [
                    inverse(&plan, &coefficients),
                    forward_adjoint(&plan, &coefficients),
                ] {
                    for (at, sample) in data.iter().enumerate() {
                        let expected = is_covered(k, l, at / columns, at % columns);
                        let case = format!("{mode:?}, {other:?}: {at}");
                        assert_eq!(sample.is_nan(), expected, "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn subnormal_numbers_are_numbers() {
    let smallest = 2f64.powi(-1074);
    for mode in ExtensionMode::ALL {
        let plan = plan::<f64, 2>(&[(&DB2, mode, 11), (&HAAR, mode, 12)], 1);
        let signal: Vec<f64> = (0..132).map(|n| f64::from(n * n % 7)).collect();
        let tiny: Vec<f64> = signal.iter().map(|x| x * 1e4 * smallest).collect();
        let bands = forward(&plan, &signal);
        for (x, y) in bands.iter().zip(forward(&plan, &tiny)) {
            let apart = (x * 1e4 - y / smallest).abs();
            assert!(apart <= 16.0, "{mode:?}: {x}, {y:e}");
        }
    }
}

/// Lines shorter than the filters come out the same bits wherever they are.
#[test]
fn short_signals_that_grow_beyond_their_ends_are_summed_alike() {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for mode in [Smooth, Antireflect] {
        for (wavelet, length) in [(&DB4, 7), (&COIF1, 2), (&DB38, 31)] {
            let axis = (wavelet, mode, length);
            let line = Dwt::new(wavelet.single(), mode, length).unwrap();
            let band = line.band_length();
            let of_line = |line: &Dwt<'_, f32>, signal: &[f32]| {
                let mut bands = vec![77.0; 2 * band];
                let (low, high) = bands.split_at_mut(band);
                let mut scratch = vec![not_a_number(); line.scratch_len()];
                line.forward(signal, low, high, &mut scratch).unwrap();
                bands
            };
            let image: Vec<f32> = stored(SIGNAL, length * length, |x| x as f32);
            let column = |j: usize| image.iter().skip(j).step_by(length).copied();
            let columns: Vec<Vec<f32>> = (0..length)
                .map(|j| of_line(&line, &column(j).collect::<Vec<_>>()))
                .collect();
            // Rows of the low-pass and then of the high-pass coefficients of the columns.
            let rows: Vec<Vec<f32>> = (0..2 * band)
                .map(|k| columns.iter().map(|column| column[k]).collect())
                .collect();
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                let case = format!("{mode:?}, {length}, {isa:?}");
                let line = line.with_isa(isa);
                let lifted = line.with_algorithm(Algorithm::Lifting).unwrap();
                for line in [line, lifted] {
                    let first: Vec<f32> = column(0).collect();
                    assert_eq!(bits(&of_line(&line, &first)), bits(&columns[0]), "{case}");
                }

                let mut bands = [(); 2].map(|()| vec![77.0; band * length]);
                let [low, high] = &mut bands;
                let mut low = ArrayMut::new(low, [band, length]).unwrap();
                let mut high = ArrayMut::new(high, [band, length]).unwrap();
                let mut scratch = vec![not_a_number(); line.along_scratch_len()];
                let array = Array::new(&image, [length; 2]).unwrap();
                line.forward_along(0, &array, &mut low, &mut high, &mut scratch)
                    .unwrap();
                assert_eq!(bits(&bands.concat()), bits(&rows.concat()), "{case}");

                let plane = plan::<f32, 2>(&[axis; 2], 1).with_isa(isa);
                let expected: Vec<Vec<f32>> = rows.iter().map(|row| of_line(&line, row)).collect();
                let (low, high) = expected.split_at(band);
                let half = |rows: &[Vec<f32>], from: usize| {
                    rows.iter()
                        .flat_map(|row| row[from..from + band].to_vec())
                        .collect::<Vec<_>>()
                };
                let expected = [
                    half(low, 0),
                    half(low, band),
                    half(high, 0),
                    half(high, band),
                ];
                let found = forward(&plane, &image);
                assert_eq!(bits(&found), bits(&expected.concat()), "{case}");

                // Two slices, each of them the image; a Haar transform of theirs is first.
                let cube = plan::<f32, 3>(&[(&HAAR, mode, 2), axis, axis], 1).with_isa(isa);
                let twice = forward(&cube, &[&image[..], &image].concat());
                let sums = image.iter().map(|x| x * HAAR.single().dec_lo()[0] * 2.0);
                let of_sums = forward(&plane, &sums.collect::<Vec<_>>());
                let apart = twice.iter().zip(&of_sums).map(|(x, y)| f64::from(x - y));
                let apart = norm(&apart.collect::<Vec<_>>()) / norm(&double(&of_sums));
                assert!(apart <= 2e-7, "{case}: {apart:e}");
            }
        }
    }
}

#[test]
fn the_same_call_gives_the_same_bits() {
    for mode in ExtensionMode::ALL {
        let plan = plan::<f32, 2>(&[(&DB4, mode, 37), (&DB2, mode, 66)], 2);
        let data = stored(SIGNAL, 37 * 66, |x| x as f32);
        let coefficients = forward(&plan, &data);
        let back = inverse(&plan, &coefficients);
        // Other memory, other scratch.
        let mut again = vec![0.0; plan.coefficients_len() + 1];
        let mut scratch = vec![1e30; plan.scratch_len::<f32>() + 1000];
        let array = Array::new(&data, [37, 66]).unwrap();
        plan.forward(&array, &mut again[1..], &mut scratch[1..])
            .unwrap();
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again[1..]), bits(&coefficients), "{mode:?}");
        let mut data = vec![0.0; 37 * 66 + 1];
        let mut array = ArrayMut::new(&mut data[1..], [37, 66]).unwrap();
        plan.inverse(&coefficients, &mut array, &mut scratch[3..])
            .unwrap();
        assert_eq!(bits(&data[1..]), bits(&back), "{mode:?}");
    }
}

fn new<const D: usize>(
    shape: [usize; D],
    mode: ExtensionMode,
    levels: usize,
) -> Result<Wavedec<'static, f64, D>, Error> {
    Wavedec::new([(DB4.double(), mode); D], shape, levels)
}

#[test]
fn plans_that_no_array_has_are_refused() {
    let zero = ExtensionMode::Zero;
    assert_eq!(
        new([], zero, 1),
        Err(Error::NoSuchAxis { axes: 0, found: 0 })
    );
    for (shape, most) in [([100, 60], 3), ([100, 6], 1), ([1, 1], 1)] {
        for levels in 1..=most {
            assert_eq!(new(shape, zero, levels).unwrap().levels(), levels);
        }
        for found in [0, most + 1, 64, usize::MAX] {
            let error = Error::Levels {
                least: 1,
                most,
                found,
            };
            assert_eq!(new(shape, zero, found), Err(error));
        }
    }
    let most = isize::MAX as usize / 8 - 128;
    for (mode, least) in [(zero, 1), (Reflect, 2), (Antireflect, 2)] {
        for found in [0, least - 1, most + 1, usize::MAX] {
            let error = Err(Error::SignalLength { least, most, found });
            for shape in [[found, 9], [9, found]] {
                assert_eq!(new(shape, mode, 1), error);
            }
        }
    }
    // Two axes that a slice may have, but no slice has both.
    let most = isize::MAX as usize / 64;
    // 2⁴⁰ and 2³⁰ where addresses have 64 bits.
    let (long, short) = (1 << (usize::BITS * 5 / 8), 1 << (usize::BITS / 2 - 2));
    for shape in [[long, short], [short, long], [most, 1]] {
        let refused = new(shape, zero, 1);
        assert!(
            matches!(refused, Err(Error::Length { what: "array", expected, found }) if expected == most && found > most),
            "{refused:?}"
        );
    }
    let plan = new([100, 60], zero, 2).unwrap();
    for (least, level, detail) in [(1, 0, [true; 2]), (1, 3, [true; 2]), (2, 1, [false; 2])] {
        let error = Error::Levels {
            least,
            most: 2,
            found: level,
        };
        assert_eq!(plan.band(level, detail), Err(error));
    }
    let error = plan.band(1, [false; 2]).unwrap_err();
    assert_eq!(error.to_string(), "expected level 2, found 1");
    assert!(plan.band(2, [false; 2]).is_ok() && plan.band(1, [false, true]).is_ok());
}

/// All four operators refuse these slices, and nothing is written.
fn assert_refused<const D: usize>(
    plan: &Wavedec<'_, f64, D>,
    (shape, strides): ([usize; D], [usize; D]),
    coefficients: usize,
    scratch: usize,
    error: Error,
) {
    let reach: usize = shape
        .iter()
        .zip(strides)
        .map(|(n, stride)| (n - 1) * stride)
        .sum();
    let mut data = vec![7.0; reach + 1];
    let mut coefficients = vec![7.0; coefficients];
    let mut scratch = vec![7.0; scratch];
    let array = Array::with_strides(&data, shape, strides).unwrap();
    assert_eq!(
        plan.forward(&array, &mut coefficients, &mut scratch),
        Err(error)
    );
    assert_eq!(
        plan.inverse_adjoint(&array, &mut coefficients, &mut scratch),
        Err(error)
    );
    let mut array = ArrayMut::with_strides(&mut data, shape, strides).unwrap();
    assert_eq!(
        plan.inverse(&coefficients, &mut array, &mut scratch),
        Err(error)
    );
    assert_eq!(
        plan.forward_adjoint(&coefficients, &mut array, &mut scratch),
        Err(error)
    );
    for slice in [data, coefficients, scratch] {
        assert!(slice.iter().all(|&value| value == 7.0));
    }
}

#[test]
fn slices_and_layouts_that_do_not_fit_are_refused_and_nothing_is_written() {
    let length = |what, expected, found| Error::Length {
        what,
        expected,
        found,
    };
    let stride = |axis, expected, found| Error::Stride {
        axis,
        expected,
        found,
    };
    let axis_length = |axis, expected, found| Error::AxisLength {
        what: "array",
        axis,
        expected,
        found,
    };

    let plan = new([40, 20], Smooth, 1).unwrap();
    let (all, needed) = (plan.coefficients_len(), plan.scratch_len::<f64>());
    let whole = ([40, 20], [20, 1]);
    for found in [0, all - 1, all + 1] {
        assert_refused(
            &plan,
            whole,
            found,
            needed,
            length("coefficients", all, found),
        );
    }
    for found in [0, needed - 1] {
        assert_refused(&plan, whole, all, found, length("scratch", needed, found));
    }
    assert_refused(
        &plan,
        ([41, 20], [20, 1]),
        all,
        needed,
        axis_length(0, 40, 41),
    );
    assert_refused(
        &plan,
        ([40, 19], [19, 1]),
        all,
        needed,
        axis_length(1, 20, 19),
    );
    assert_refused(
        &plan,
        ([20, 40], [40, 1]),
        all,
        needed,
        axis_length(0, 40, 20),
    );
    // Columns next to each other, and rows whose entries are not.
    assert_refused(&plan, ([40, 20], [1, 40]), all, needed, stride(1, 1, 40));
    assert_refused(&plan, ([40, 20], [40, 2]), all, needed, stride(1, 1, 2));

    let plan = new([9], Smooth, 1).unwrap();
    let (all, needed) = (plan.coefficients_len(), plan.scratch_len::<f64>());
    assert_refused(&plan, ([9], [2]), all, needed, stride(0, 1, 2));
    assert_refused(&plan, ([8], [1]), all, needed, axis_length(0, 9, 8));
    assert_refused(
        &plan,
        ([9], [1]),
        all,
        needed - 1,
        length("scratch", needed, needed - 1),
    );

    let plan = new([4, 5, 6], Smooth, 1).unwrap();
    let (all, needed) = (plan.coefficients_len(), plan.scratch_len::<f64>());
    assert_refused(
        &plan,
        ([4, 5, 6], [31, 6, 1]),
        all,
        needed,
        stride(0, 30, 31),
    );
    assert_refused(
        &plan,
        ([4, 5, 6], [35, 7, 1]),
        all,
        needed,
        stride(0, 30, 35),
    );
    assert_refused(&plan, ([4, 5, 6], [30, 1, 5]), all, needed, stride(1, 6, 1));
    assert_refused(
        &plan,
        ([4, 5, 7], [35, 7, 1]),
        all,
        needed,
        axis_length(2, 6, 7),
    );
    assert_refused(
        &plan,
        ([4, 5, 6], [30, 6, 1]),
        all,
        needed - 1,
        length("scratch", needed, needed - 1),
    );

    // Half precision needs copies.
    let plan = plan_of_single();
    let needed = plan.scratch_len::<f16>();
    assert!(needed >= plan.scratch_len::<f32>() + 40 * 20 + plan.coefficients_len());
    let data = vec![f16::ONE; 40 * 20];
    let mut coefficients = vec![f16::ONE; plan.coefficients_len()];
    let array = Array::new(&data, [40, 20]).unwrap();
    let mut scratch = vec![7.0; needed - 1];
    assert_eq!(
        plan.forward(&array, &mut coefficients, &mut scratch),
        Err(length("scratch", needed, needed - 1))
    );
    assert!(coefficients.iter().all(|&value| value == f16::ONE));
    assert!(scratch.iter().all(|&value| value == 7.0));
}

fn plan_of_single() -> Wavedec<'static, f32, 2> {
    Wavedec::new([(DB4.single(), Smooth); 2], [40, 20], 1).unwrap()
}

#[test]
fn bands_fill_the_coefficients_in_order() {
    let plan = plan::<f64, 3>(
        &[(&HAAR, Smooth, 9), (&DB1, Reflect, 8), (&HAAR, Smooth, 7)],
        2,
    );
    let mut end = 0;
    let mut letters = Vec::new();
    for band in plan.bands() {
        assert_eq!(band.range.start, end);
        assert_eq!(band.range.len(), entries(band.shape));
        assert_eq!(plan.band(band.level, band.detail), Ok(band.clone()));
        let letter = |detail| if detail { 'd' } else { 'a' };
        let name: String = band.detail.map(letter).iter().collect();
        letters.push(format!("{name}{}", band.level));
        end = band.range.end;
    }
    assert_eq!(end, plan.coefficients_len());
    let details = ["aad", "ada", "add", "daa", "dad", "dda", "ddd"];
    let expected: Vec<_> = std::iter::once("aaa2".to_owned())
        .chain(details.map(|name| format!("{name}2")))
        .chain(details.map(|name| format!("{name}1")))
        .collect();
    assert_eq!(letters, expected);
}

/// Taps that are nobody's: adjoints do not ask whether a bank reconstructs.
#[test]
fn any_taps_have_adjoints() {
    for taps in [2, 6, 34, 128] {
        let numbers = noise(6, 4 * taps);
        let filters: Vec<_> = numbers.chunks(taps).collect();
        let [a, b, c, d] = filters[..] else { panic!() };
        let bank = FilterBank::without_reconstruction(a, b, c, d).unwrap();
        for mode in ExtensionMode::ALL {
            for shape in [[2, 3], [40, 31]] {
                let plan = Wavedec::new([(bank, mode); 2], shape, 1).unwrap();
                for apart in dot_tests(&plan) {
                    assert!(apart <= 1e-13, "{taps}, {mode:?}, {shape:?}: {apart:e}");
                }
            }
        }
    }
}
