//! Transforms with every instruction set against the portable ones.
//!
//! Sums are taken in the same order, but a multiply-add rounds once where the portable code rounds twice.

mod little_endian;
mod transform_support;

use std::fmt::Debug;

use transform_support::{
    COEFFICIENTS, SIGNAL, entries, forward, forward_adjoint, inverse, inverse_adjoint, noise,
    not_a_number,
};
use waveft_core::element::Real;
use waveft_core::extension_mode::ExtensionMode::{self, Antireflect, Antisymmetric, Smooth};
use waveft_core::filter_bank::wavelets::{BIOR4_4, DB2, DB4, DB38, HAAR};
use waveft_core::filter_bank::{FilterBank, Wavelet};
use waveft_core::isa::Isa;
use waveft_core::transform::{Algorithm, Dwt, Wavedec};

/// The widths of vectors, what several of them make, and the pieces that lines are cut into.
const BLOCKS: [usize; 7] = [8, 16, 32, 64, 128, 1024, 2048];

/// How many units in the last place of a sum's magnitude the instruction sets may be apart.
const MOST_ULPS: f64 = 4.0;

fn available() -> impl Iterator<Item = Isa> {
    let others = Isa::ALL.into_iter().filter(|&isa| isa != Isa::Portable);
    others.filter(|isa| isa.is_available())
}

/// All four operators' results, what lines had before filled with other numbers and scratch with NaN.
fn line<F: Real>(dwt: &Dwt<'_, F>, [signal, made, a, d]: [&[F]; 4]) -> [Vec<F>; 4] {
    let mut scratch = vec![not_a_number(); dwt.scratch_len() + 7];
    let band = dwt.band_length();
    let mut results = [2 * band, 2 * band, dwt.length(), dwt.reconstructed_length()]
        .map(|length| vec![F::from(77); length]);
    let [analysed, made_analysed, adjoint, synthesised] = &mut results;
    let (low, high) = analysed.split_at_mut(band);
    dwt.forward(signal, low, high, &mut scratch).unwrap();
    let (low, high) = made_analysed.split_at_mut(band);
    dwt.inverse_adjoint(made, low, high, &mut scratch).unwrap();
    dwt.forward_adjoint(a, d, adjoint, &mut scratch).unwrap();
    dwt.inverse(a, d, synthesised, &mut scratch).unwrap();
    results
}

/// The mode that makes of magnitudes no less than another mode makes of numbers, and by how much more that may be.
fn majorant(mode: ExtensionMode, taps: usize) -> (ExtensionMode, f64) {
    match mode {
        Antisymmetric => (ExtensionMode::Symmetric, 1.0),
        // Weights up to about twice the distance from the ends, on two or three samples.
        Smooth | Antireflect => (ExtensionMode::Periodic, 8.0 * taps as f64),
        mode => (mode, 1.0),
    }
}

/// How far two results are apart, in units of the largest magnitude near each place.
fn ulps<F: Real + Into<f64>>(found: &[F], portable: &[F], magnitudes: &[f64], epsilon: f64) -> f64 {
    assert_eq!(
        (found.len(), portable.len()),
        (magnitudes.len(), magnitudes.len())
    );
    let pairs = found.iter().zip(portable).zip(magnitudes);
    let ulps = pairs.map(|((&x, &y), magnitude)| {
        let (x, y): (f64, f64) = (x.into(), y.into());
        assert!(x.is_finite() && y.is_finite());
        if x == y {
            0.0
        } else {
            (x - y).abs() / (epsilon * magnitude)
        }
    });
    ulps.fold(0.0, f64::max)
}

/// The filters' magnitudes.
fn magnitudes(wavelet: &Wavelet) -> [Vec<f64>; 4] {
    let bank = wavelet.double();
    let filters = [bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi()];
    filters.map(|taps| taps.iter().map(|tap| tap.abs()).collect())
}

fn assert_lines_agree<F>(wavelet: &Wavelet, epsilon: f64, from: impl Fn(f64) -> F) -> f64
where
    F: Real + Into<f64>,
{
    let filters = magnitudes(wavelet);
    let [dec_lo, dec_hi, rec_lo, rec_hi] = filters.each_ref().map(|taps| &taps[..]);
    let positive = FilterBank::without_reconstruction(dec_lo, dec_hi, rec_lo, rec_hi).unwrap();
    let mut largest = 0f64;
    let lengths = BLOCKS.into_iter().flat_map(|block| block - 1..=block + 1);
    for length in lengths {
        for mode in ExtensionMode::ALL {
            let dwt = Dwt::new(F::filter_bank(wavelet), mode, length).unwrap();
            // Lifting, where it is the faster, rounds otherwise; `lifting.rs` has it against convolution.
            let dwt = dwt.with_algorithm(Algorithm::Direct).unwrap();
            let dwt = dwt.with_isa(Isa::Portable);
            let band = dwt.band_length();
            let lengths = [length, dwt.reconstructed_length(), band, band];
            let mut stream = SIGNAL;
            let inputs = lengths.map(|length| {
                stream += 1;
                noise(stream, length)
            });
            // The extension may mix many samples into one, so compare with what magnitudes of one give.
            let (major, factor) = majorant(mode, wavelet.taps());
            let bound = Dwt::new(positive, major, length).unwrap();
            let bound = bound.with_isa(Isa::Portable);
            let ones = inputs.each_ref().map(|input| match factor {
                1.0 => input.iter().map(|x| x.abs()).collect::<Vec<_>>(),
                _ => vec![1.0; input.len()],
            });
            let magnitudes = line(&bound, ones.each_ref().map(|x| &x[..]));
            let inputs = inputs.map(|input| input.into_iter().map(&from).collect::<Vec<F>>());
            let inputs = inputs.each_ref().map(|input| &input[..]);
            let portable = line(&dwt, inputs);
            for isa in available() {
                let found = line(&dwt.with_isa(isa), inputs);
                let all = found.iter().zip(&portable).zip(&magnitudes);
                for (operator, ((found, portable), magnitudes)) in all.enumerate() {
                    let factor = if operator % 2 == 0 { factor } else { 1.0 };
                    let ulps = ulps(found, portable, magnitudes, factor * epsilon);
                    let name = wavelet.name();
                    assert!(
                        ulps <= MOST_ULPS,
                        "{isa:?}, {name}, {mode:?}, {length}, operator {operator}: {ulps} ulps"
                    );
                    largest = largest.max(ulps);
                }
            }
        }
    }
    largest
}

#[test]
fn lines_agree_with_the_portable_instructions() {
    for wavelet in [HAAR, DB4, BIOR4_4, DB38] {
        let double = assert_lines_agree(&wavelet, f64::EPSILON, |x| x);
        let single = assert_lines_agree(&wavelet, f64::from(f32::EPSILON), |x| x as f32);
        println!("{}: {double:.2} and {single:.2} ulps", wavelet.name());
    }
}

/// Relative to the largest result, for magnitudes are not at hand.
fn assert_close<F: Real + Into<f64>>(case: impl Debug, found: &[F], portable: &[F], epsilon: f64) {
    let largest = portable.iter().map(|&x| x.into().abs()).fold(1.0, f64::max);
    let magnitudes = vec![largest; found.len()];
    let ulps = ulps(found, portable, &magnitudes, epsilon);
    assert!(ulps <= 4.0 * MOST_ULPS, "{case:?}: {ulps} ulps");
}

fn assert_arrays_agree<F: Real + Into<f64>, const D: usize>(
    wavelets: [Wavelet; D],
    shape: [usize; D],
    levels: usize,
    epsilon: f64,
    from: impl Fn(f64) -> F,
) {
    let stored = |stream, length| {
        noise(stream, length)
            .into_iter()
            .map(&from)
            .collect::<Vec<F>>()
    };
    for mode in ExtensionMode::ALL {
        let axes = wavelets
            .each_ref()
            .map(|wavelet| (F::filter_bank(wavelet), mode));
        let plan = Wavedec::new(axes, shape, levels).unwrap();
        let portable = plan.with_isa(Isa::Portable);
        let data = stored(SIGNAL, entries(shape));
        let coefficients = stored(COEFFICIENTS, plan.coefficients_len());
        let results = |plan: &Wavedec<'_, F, D>| {
            [
                forward(plan, &data),
                inverse_adjoint(plan, &data),
                inverse(plan, &coefficients),
                forward_adjoint(plan, &coefficients),
            ]
        };
        let expected = results(&portable);
        for isa in available() {
            for (operator, (found, expected)) in results(&plan.with_isa(isa))
                .iter()
                .zip(&expected)
                .enumerate()
            {
                let case = (
                    isa,
                    wavelets.each_ref().map(Wavelet::name),
                    mode,
                    shape,
                    operator,
                );
                assert_close(case, found, expected, epsilon);
            }
        }
    }
}

#[test]
fn arrays_agree_with_the_portable_instructions() {
    let single = f64::from(f32::EPSILON);
    for block in &BLOCKS[..5] {
        for width in block - 1..=block + 1 {
            let shape = [9, width];
            assert_arrays_agree([DB2, DB4], shape, 1, f64::EPSILON, |x| x);
            assert_arrays_agree([DB2, DB4], shape, 1, single, |x| x as f32);
            assert_arrays_agree([HAAR, HAAR], shape, 2, single, |x| x as f32);
        }
    }
    for width in 15..=17 {
        let shape = [5, 4, width];
        assert_arrays_agree([DB2, HAAR, DB4], shape, 1, f64::EPSILON, |x| x);
        assert_arrays_agree([DB2, DB4, HAAR], shape, 1, single, |x| x as f32);
    }
}
