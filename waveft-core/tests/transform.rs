//! The transform against PyWavelets, against itself and against WaveFT's synthesis.
//!
//! `tools/transform_goldens.py` makes `data/transform.safetensors`.

mod common;
mod little_endian;
mod transform_support;

use common::Layer;
use safetensors::SafeTensors;
use transform_support::{
    APPROXIMATION, DETAIL, ON_APPROXIMATION, ON_DETAIL, ON_SIGNAL, SIGNAL, noise, norm, product,
};
use waveft_core::Error;
use waveft_core::element::Real;
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::wavelets::{ALL, COIF1, DB1, DB2, DB4, HAAR};
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, Wavelet};
use waveft_core::matrix::MatrixMut;
use waveft_core::transform::{Dwt, dwt_max_level};

const GOLDENS: &[u8] = include_bytes!("data/transform.safetensors");

/// The script's lengths with every wavelet, its wavelets with every length, and its lengths of arrays in full.
const EVERY_WAVELET: [usize; 6] = [1, 2, 7, 16, 53, 130];
const EVERY_LENGTH: [&str; 4] = ["db1", "db4", "bior4.4", "coif3"];
const FULL: [usize; 2] = [4, 9];
const LARGE: usize = 20_000;

fn dwt<F: Real>(bank: FilterBank<'_, F>, mode: ExtensionMode, length: usize) -> Dwt<'_, F> {
    Dwt::new(bank, mode, length).unwrap()
}

/// Scratch of more than is asked for, and full of NaN.
fn dirty<F: Real>(dwt: &Dwt<'_, F>) -> Vec<F> {
    vec![F::zero() / F::zero(); dwt.scratch_len() + 3]
}

/// Both bands of a signal; what the slices held before must not matter.
fn forward<F: Real>(dwt: &Dwt<'_, F>, signal: &[F]) -> [Vec<F>; 2] {
    let mut approximation = vec![F::from(77); dwt.band_length()];
    let mut detail = approximation.clone();
    dwt.forward(signal, &mut approximation, &mut detail, &mut dirty(dwt))
        .unwrap();
    [approximation, detail]
}

fn inverse<F: Real>(dwt: &Dwt<'_, F>, [approximation, detail]: [&[F]; 2]) -> Vec<F> {
    let mut signal = vec![F::from(77); dwt.reconstructed_length()];
    dwt.inverse(approximation, detail, &mut signal, &mut dirty(dwt))
        .unwrap();
    signal
}

fn forward_adjoint<F: Real>(dwt: &Dwt<'_, F>, [approximation, detail]: [&[F]; 2]) -> Vec<F> {
    let mut signal = vec![F::from(77); dwt.length()];
    dwt.forward_adjoint(approximation, detail, &mut signal, &mut dirty(dwt))
        .unwrap();
    signal
}

fn inverse_adjoint<F: Real>(dwt: &Dwt<'_, F>, signal: &[F]) -> [Vec<F>; 2] {
    let mut approximation = vec![F::from(77); dwt.band_length()];
    let mut detail = approximation.clone();
    dwt.inverse_adjoint(signal, &mut approximation, &mut detail, &mut dirty(dwt))
        .unwrap();
    [approximation, detail]
}

/// How far our transforms are from the script's three projections, relative to the sums of magnitudes.
fn deviation(dwt: &Dwt<'_, f64>, golden: &[f64]) -> f64 {
    let band = dwt.band_length();
    let [a, d] = forward(dwt, &noise(SIGNAL, dwt.length()));
    let signal = inverse(dwt, [&noise(APPROXIMATION, band), &noise(DETAIL, band)]);
    let ours = [
        product(&a, &noise(ON_APPROXIMATION, band)),
        product(&d, &noise(ON_DETAIL, band)),
        product(&signal, &noise(ON_SIGNAL, signal.len())),
    ];
    transform_support::deviation(&ours, golden)
}

fn golden(name: &str) -> Vec<f64> {
    transform_support::golden(GOLDENS, name)
}

fn wavelet(name: &str) -> FilterBank<'static, f64> {
    Wavelet::from_name(name).unwrap().double()
}

/// Holds every wavelet at every length that the mode takes against the goldens, one row of three after the other.
fn agree(set: &str, banks: &[FilterBank<'_, f64>], lengths: impl Iterator<Item = usize> + Clone) {
    let mut largest = 0f64;
    for mode in ExtensionMode::ALL {
        let goldens = golden(&format!("{set}.{}", mode.name()));
        let mut rows = goldens.chunks(3);
        for bank in banks {
            for length in lengths.clone().filter(|&n| n >= mode.least_length()) {
                let deviation = deviation(&dwt(*bank, mode, length), rows.next().unwrap());
                assert!(
                    deviation <= 1e-12,
                    "{mode:?}, {} taps, {length}: {deviation:e}",
                    bank.taps()
                );
                largest = largest.max(deviation);
            }
        }
        assert_eq!(rows.next(), None);
    }
    println!("{set}: {largest:e}");
}

#[test]
fn every_wavelet_agrees_with_pywavelets() {
    let banks = ALL.each_ref().map(Wavelet::double);
    agree("wavelets", &banks, EVERY_WAVELET.into_iter());
}

#[test]
fn every_length_agrees_with_pywavelets() {
    let banks = EVERY_LENGTH.map(wavelet);
    agree("lengths", &banks, 1..=70);
    agree("large", &banks, [LARGE].into_iter());
}

#[test]
fn every_value_agrees_with_pywavelets() {
    let close = |ours: &[f64], theirs: &[f64]| {
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() <= 1e-10, "{ours} and {theirs}");
        }
    };
    for mode in ExtensionMode::ALL {
        for name in EVERY_LENGTH {
            for length in FULL {
                let case = format!("{name}.{}.{length}", mode.name());
                let dwt = dwt(wavelet(name), mode, length);
                let bands = forward(&dwt, &noise(SIGNAL, length));
                close(&bands.concat(), &golden(&format!("dwt.{case}")));
                let band = dwt.band_length();
                let signal = inverse(&dwt, [&noise(APPROXIMATION, band), &noise(DETAIL, band)]);
                close(&signal, &golden(&format!("idwt.{case}")));
            }
        }
    }
}

#[test]
fn the_deepest_level_is_that_of_pywavelets() {
    let tensors = SafeTensors::deserialize(GOLDENS).unwrap();
    let levels = tensors.tensor("dwt_max_level").unwrap();
    for (levels, taps) in levels.data().chunks(200).zip((2..).step_by(2)) {
        for (length, &level) in levels.iter().enumerate() {
            assert_eq!(
                dwt_max_level(length, taps),
                usize::from(level),
                "{length}, {taps}"
            );
        }
    }
    assert_eq!(dwt_max_level(1000, 0), 0);
    assert_eq!(dwt_max_level(1000, 1), 0);
    assert_eq!(dwt_max_level(usize::MAX, 2), usize::BITS as usize - 1);
}

/// Every wavelet and mode with lengths around those of the filters.
fn every_case(mut visit: impl FnMut(&'static Wavelet, ExtensionMode, usize)) {
    for wavelet in &ALL {
        for mode in ExtensionMode::ALL {
            let lengths = (1..=20).chain([31, 32, 64, 101, 102, 103, 150, 257]);
            for length in lengths.filter(|&n| n >= mode.least_length()) {
                visit(wavelet, mode, length);
            }
        }
    }
}

/// The error of there and back, relative to the signal.
fn round_trip<F: Real + Into<f64>>(dwt: Dwt<'_, F>, from: impl Fn(f64) -> F) -> f64 {
    let signal: Vec<F> = noise(SIGNAL, dwt.length()).into_iter().map(from).collect();
    let [a, d] = forward(&dwt, &signal);
    let back = inverse(&dwt, [&a, &d]);
    let signal: Vec<f64> = signal.into_iter().map(Into::into).collect();
    let error: Vec<f64> = signal.iter().zip(back).map(|(x, y)| x - y.into()).collect();
    norm(&error) / norm(&signal)
}

#[test]
fn synthesis_inverts_analysis() {
    let (mut largest, mut largest_single) = (0f64, 0f64);
    every_case(|wavelet, mode, length| {
        use ExtensionMode::Smooth;
        let error = round_trip(dwt(wavelet.double(), mode, length), |x| x);
        let single = round_trip(dwt(wavelet.single(), mode, length), |x| x as f32);
        // dmey's table inverts itself to 6e-3 only.
        let (most, most_single) = match (wavelet.name(), mode, length) {
            ("dmey", Smooth, _) => (6e-2, 6e-2),
            ("dmey", ..) => (6e-3, 6e-3),
            _ => (1e-12, 2e-6),
        };
        let case = format!("{}, {mode:?}, {length}", wavelet.name());
        assert!(error <= most, "{case}: {error:e}");
        assert!(single <= most_single, "{case}: {single:e} in f32");
        if wavelet.name() != "dmey" {
            largest = largest.max(error);
            largest_single = largest_single.max(single);
        }
    });
    println!("round trips: {largest:e}, in f32 {largest_single:e}");
}

/// These modes continue a signal shorter than the filters to many times its size, and sums over that in f32 would lose up to
/// 7e-6 of it. Longer ones are here to tell that they need not be treated like that.
#[test]
fn short_signals_that_grow_beyond_their_ends_come_back_as_well_as_others() {
    let mut largest = [0f64; 2];
    for wavelet in ALL.iter().filter(|wavelet| wavelet.name() != "dmey") {
        for mode in [ExtensionMode::Smooth, ExtensionMode::Antireflect] {
            let lengths = (2..=32).chain([40, 50, 70, 90, 101, 102]);
            for (length, seed) in lengths.flat_map(|length| (0..6).map(move |seed| (length, seed)))
            {
                let plan = dwt(wavelet.single(), mode, length);
                // Noise, and what the extension continues as it is.
                let signal = noise(seed, length).into_iter().enumerate();
                let signal: Vec<f32> = signal
                    .map(|(at, x)| match seed % 3 {
                        0 => x as f32,
                        1 => 1.0 + x as f32 / 1e3,
                        _ => 0.7 * at as f32 + x as f32 / 1e3,
                    })
                    .collect();
                let [a, d] = forward(&plan, &signal);
                let pairs = signal.iter().zip(inverse(&plan, [&a, &d]));
                let lost: Vec<_> = pairs.map(|(&x, y)| f64::from(x) - f64::from(y)).collect();
                let signal: Vec<_> = signal.into_iter().map(f64::from).collect();
                let lost = norm(&lost) / norm(&signal);
                let case = format!("{}, {mode:?}, {length}, {seed}", wavelet.name());
                assert!(lost <= 2e-6, "{case}: {lost:e}");
                let of_kind = &mut largest[usize::from(length >= wavelet.taps())];
                *of_kind = of_kind.max(lost);
            }
        }
    }
    let [shorter, others] = largest;
    println!("round trips in f32: {shorter:e}, of lines no shorter than the filters {others:e}");
}

#[test]
fn analysis_inverts_synthesis_where_there_are_no_ends() {
    for wavelet in ALL.iter().filter(|wavelet| wavelet.name() != "dmey") {
        for length in [2, 6, 40, 130] {
            let dwt = dwt(wavelet.double(), ExtensionMode::Periodization, length);
            let bands = [APPROXIMATION, DETAIL].map(|stream| noise(stream, length / 2));
            let back = forward(&dwt, &inverse(&dwt, bands.each_ref().map(|band| &band[..])));
            for (x, y) in bands.concat().iter().zip(back.concat()) {
                assert!((x - y).abs() <= 1e-13, "{}, {length}", wavelet.name());
            }
        }
    }
}

/// How far ⟨A x, c⟩ and ⟨x, Aᵀ c⟩ are apart, and the same of S, relative to the vectors' norms.
fn dot_tests(dwt: &Dwt<'_, f64>) -> [f64; 2] {
    let bands = [APPROXIMATION, DETAIL].map(|stream| noise(stream, dwt.band_length()));
    let coefficients = bands.concat();
    let bands = bands.each_ref().map(|band| &band[..]);
    let apart = |analysed: [Vec<f64>; 2], signal: &[f64], synthesised: &[f64]| {
        let analysed = analysed.concat();
        let left = product(&analysed, &coefficients).0;
        let right = product(signal, synthesised).0;
        let size = norm(&analysed) * norm(&coefficients) + norm(signal) * norm(synthesised);
        (left - right).abs() / size
    };
    let signal = noise(SIGNAL, dwt.length());
    let reconstructed = noise(ON_SIGNAL, dwt.reconstructed_length());
    [
        apart(forward(dwt, &signal), &signal, &forward_adjoint(dwt, bands)),
        apart(
            inverse_adjoint(dwt, &reconstructed),
            &reconstructed,
            &inverse(dwt, bands),
        ),
    ]
}

#[test]
fn adjoints_pass_the_dot_test() {
    let mut largest = 0f64;
    every_case(|wavelet, mode, length| {
        for apart in dot_tests(&dwt(wavelet.double(), mode, length)) {
            let name = wavelet.name();
            assert!(apart <= 1e-14, "{name}, {mode:?}, {length}: {apart:e}");
            largest = largest.max(apart);
        }
    });
    println!("dot tests: {largest:e}");
}

/// Vectors with a single one.
fn units(length: usize) -> impl Iterator<Item = Vec<f64>> {
    (0..length).map(move |at| (0..length).map(|i| f64::from(u8::from(i == at))).collect())
}

#[test]
fn adjoints_are_transposes() {
    for name in ["haar", "db2", "db4", "bior2.2", "rbio3.3", "sym5"] {
        for mode in ExtensionMode::ALL {
            for length in mode.least_length()..=13 {
                let dwt = dwt(wavelet(name), mode, length);
                let band = dwt.band_length();
                let split =
                    |coefficients: &[f64],
                     synthesis: fn(&Dwt<'_, f64>, [&[f64]; 2]) -> Vec<f64>| {
                        let (a, d) = coefficients.split_at(band);
                        synthesis(&dwt, [a, d])
                    };
                // Columns of the operators, and of the adjoints.
                let analysis: Vec<_> = units(length).map(|x| forward(&dwt, &x).concat()).collect();
                let adjoint: Vec<_> = units(2 * band)
                    .map(|c| split(&c, forward_adjoint))
                    .collect();
                let synthesis: Vec<_> = units(2 * band).map(|c| split(&c, inverse)).collect();
                let synthesis_adjoint: Vec<_> = units(dwt.reconstructed_length())
                    .map(|x| inverse_adjoint(&dwt, &x).concat())
                    .collect();
                for (columns, transposed) in [(analysis, adjoint), (synthesis_adjoint, synthesis)] {
                    for (i, column) in columns.iter().enumerate() {
                        for (j, entry) in column.iter().enumerate() {
                            let apart = (entry - transposed[j][i]).abs();
                            assert!(apart <= 1e-14, "{name}, {mode:?}, {length}: {i}, {j}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn synthesis_is_the_adjoint_of_analysis_only_without_an_extension() {
    use ExtensionMode::{Periodization, Zero};
    for mode in ExtensionMode::ALL {
        let dwt = dwt(DB4.double(), mode, 20);
        let bands = [APPROXIMATION, DETAIL].map(|stream| noise(stream, dwt.band_length()));
        let bands = bands.each_ref().map(|band| &band[..]);
        let (inverse, adjoint) = (inverse(&dwt, bands), forward_adjoint(&dwt, bands));
        let apart = inverse.iter().zip(&adjoint).map(|(x, y)| (x - y).abs());
        let apart = apart.fold(0.0, f64::max);
        if matches!(mode, Zero | Periodization) {
            assert!(apart <= 1e-14, "{mode:?}: {apart:e}");
        } else {
            assert!(apart >= 1e-2, "{mode:?}: {apart:e}");
        }
    }
}

fn not_a_number(values: &[f64]) -> Vec<bool> {
    values.iter().map(|value| value.is_nan()).collect()
}

#[test]
fn what_is_not_a_number_stays_where_the_filters_put_it() {
    use ExtensionMode::{Periodic, Periodization};
    for wavelet in [HAAR, DB2, DB4, COIF1] {
        let (bank, taps) = (wavelet.double(), wavelet.taps());
        let length = 4 * taps;
        let middle = [2 * taps, 2 * taps + 1];
        for mode in ExtensionMode::ALL {
            let dwt = dwt(bank, mode, length);
            // Twice a coefficient plus this is one more than its last sample.
            let end = if mode == Periodization {
                1 + taps / 2
            } else {
                2
            };
            let covers = |k: usize, sample: usize| {
                let end = 2 * k + end;
                sample < end && end <= sample + taps
            };
            // The first sample too, where it is no part of what follows the last one.
            let first = (!matches!(mode, Periodic | Periodization)).then_some(0);
            for sample in middle.into_iter().chain(first) {
                for value in [f64::NAN, f64::INFINITY] {
                    let mut signal = noise(SIGNAL, length);
                    signal[sample] = value;
                    let expected: Vec<_> =
                        (0..dwt.band_length()).map(|k| covers(k, sample)).collect();
                    for band in forward(&dwt, &signal) {
                        let found: Vec<_> = band.iter().map(|value| !value.is_finite()).collect();
                        assert_eq!(found, expected, "{mode:?}, {sample}");
                    }
                }
            }
            let k = dwt.band_length() / 2;
            let mut band = noise(APPROXIMATION, dwt.band_length());
            let detail = noise(DETAIL, band.len());
            band[k] = f64::NAN;
            let expected: Vec<_> = (0..length).map(|sample| covers(k, sample)).collect();
            assert_eq!(not_a_number(&inverse(&dwt, [&band, &detail])), expected);
            assert_eq!(not_a_number(&inverse(&dwt, [&detail, &band])), expected);
            assert_eq!(
                not_a_number(&forward_adjoint(&dwt, [&band, &detail])),
                expected
            );
        }
    }
}

#[test]
fn subnormal_numbers_are_numbers() {
    let smallest = 2f64.powi(-1074);
    for mode in ExtensionMode::ALL {
        let dwt = dwt(DB2.double(), mode, 12);
        let signal: Vec<f64> = (0..12).map(|n| f64::from(n * n % 7)).collect();
        let tiny: Vec<f64> = signal.iter().map(|x| x * 1e3 * smallest).collect();
        let bands = forward(&dwt, &signal).concat();
        for (x, y) in bands.iter().zip(forward(&dwt, &tiny).concat()) {
            assert!(
                (x * 1e3 - y / smallest).abs() <= 4.0,
                "{mode:?}: {x}, {y:e}"
            );
        }
    }
}

/// WaveFT's ΔW of all places of a layer, and the two-dimensional synthesis of the bands that its atoms lie in.
#[test]
fn the_update_of_a_layer_is_synthesis_with_zero_extension() {
    for name in ["db1", "db3", "bior2.4", "sym4"] {
        for shape @ (rows, columns) in [(6, 8), (5, 7), (1, 4), (9, 2)] {
            let wavelet = Wavelet::from_name(name).unwrap();
            let layer = Layer::new(
                shape,
                Some(wavelet),
                false,
                5,
                1.0,
                &noise(SIGNAL, rows * columns),
            );
            let row_dwt = dwt(wavelet.double(), ExtensionMode::Zero, rows);
            let column_dwt = dwt(wavelet.double(), ExtensionMode::Zero, columns);
            let (height, width) = (row_dwt.band_length(), column_dwt.band_length());
            assert_eq!(height, layer.atoms.geometry().rows().half_length());
            assert_eq!(width, layer.atoms.geometry().columns().half_length());

            // By row filter, column filter, row position, column position.
            let mut bands = vec![vec![vec![vec![0.0; width]; height]; 2]; 2];
            for (atom, coefficient) in layer.atoms.atoms().iter().zip(&layer.coefficients) {
                let (low, high) = (
                    usize::from(atom.row_is_high()),
                    usize::from(atom.column_is_high()),
                );
                bands[low][high][atom.row()][atom.column()] += coefficient;
            }
            let [low, high] = [0, 1].map(|filter| {
                let [low, high] = [&bands[filter][0], &bands[filter][1]];
                let rows = low.iter().zip(high);
                rows.map(|(a, d)| inverse(&column_dwt, [a, d]))
                    .collect::<Vec<_>>()
            });

            let mut delta = vec![0.0; rows * columns];
            let mut matrix = MatrixMut::new(&mut delta, rows, columns).unwrap();
            layer.delta().write(&mut matrix).unwrap();
            for j in 0..columns {
                let column = |band: &[Vec<f64>]| band.iter().map(|row| row[j]).collect::<Vec<_>>();
                let expected = inverse(&row_dwt, [&column(&low), &column(&high)]);
                for i in 0..rows {
                    let apart = (delta[i * columns + j] - expected[i]).abs();
                    assert!(apart <= 1e-14, "{name}, {shape:?}: {i}, {j}");
                }
            }
        }
    }
}

#[test]
fn a_column_of_the_synthesis_operator_is_one_atom() {
    // The coefficient at row 2 of the low half on an axis of 7 with 8 taps: p = 2 + 3, k = 5, samples 4 to 11.
    let dwt = dwt(DB4.double(), ExtensionMode::Zero, 7);
    assert_eq!((dwt.band_length(), dwt.reconstructed_length()), (7, 8));
    let mut unit = [0.0; 7];
    unit[5] = 1.0;
    let filter = DB4.double().rec_lo();
    let mut expected = vec![0.0; 8];
    expected[4..].copy_from_slice(&filter[..4]);
    assert_eq!(inverse(&dwt, [&unit, &[0.0; 7]]), expected);
}

#[test]
fn lengths_that_no_signal_has_are_refused() {
    let most = isize::MAX as usize / 8 - MAX_TAPS;
    for mode in ExtensionMode::ALL {
        let new = |length| Dwt::new(DB1.double(), mode, length);
        let least = if matches!(mode, ExtensionMode::Reflect | ExtensionMode::Antireflect) {
            2
        } else {
            1
        };
        assert!(new(least).is_ok());
        assert_eq!(new(most).unwrap().band_length(), most.div_ceil(2));
        for found in [0, least - 1, most + 1, usize::MAX] {
            assert_eq!(new(found), Err(Error::SignalLength { least, most, found }));
        }
    }
    assert_eq!(
        Error::SignalLength {
            least: 2,
            most: 9,
            found: 1
        }
        .to_string(),
        "expected a signal of at least 2 samples, found 1"
    );
}

#[test]
fn slices_of_other_lengths_are_refused_and_nothing_is_written() {
    for (mode, samples, band, reconstructed) in [
        (ExtensionMode::Smooth, 9, 8, 10),
        (ExtensionMode::Periodization, 9, 5, 10),
        (ExtensionMode::Zero, 10, 8, 10),
    ] {
        let dwt = dwt(DB4.double(), mode, samples);
        assert_eq!(dwt.length(), samples);
        assert_eq!(dwt.band_length(), band);
        assert_eq!(dwt.reconstructed_length(), reconstructed);
        let mut scratch = dirty(&dwt);
        for (what, at) in [("signal", 0), ("approximation", 1), ("detail", 2)] {
            for (longer, shorter) in [(1, 0), (0, 1)] {
                let lengths = |signal: usize| {
                    let mut lengths = [signal, band, band];
                    let expected = lengths[at];
                    lengths[at] = expected + longer - shorter;
                    let error = Error::Length {
                        what,
                        expected,
                        found: lengths[at],
                    };
                    (lengths.map(|length| vec![7.0; length]), Err(error))
                };
                let ([mut x, mut a, mut d], error) = lengths(samples);
                assert_eq!(dwt.forward(&x, &mut a, &mut d, &mut scratch), error);
                assert_eq!(dwt.forward_adjoint(&a, &d, &mut x, &mut scratch), error);
                assert!([x, a, d].concat().iter().all(|&value| value == 7.0));
                let ([mut x, mut a, mut d], error) = lengths(reconstructed);
                assert_eq!(dwt.inverse_adjoint(&x, &mut a, &mut d, &mut scratch), error);
                assert_eq!(dwt.inverse(&a, &d, &mut x, &mut scratch), error);
                assert!([x, a, d].concat().iter().all(|&value| value == 7.0));
            }
        }
    }
}

#[test]
fn modes_have_the_names_of_pywavelets() {
    for mode in ExtensionMode::ALL {
        assert_eq!(ExtensionMode::from_name(mode.name()), Ok(mode));
        // The goldens are made under PyWavelets' names.
        assert!(!golden(&format!("large.{}", mode.name())).is_empty());
    }
    for name in ["", "Zero", "sym", "per", "periodization "] {
        assert_eq!(ExtensionMode::from_name(name), Err(Error::UnknownMode));
    }
}
