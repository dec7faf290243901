//! Arrays over several levels against PyWavelets, and lines against MATLAB.
//!
//! `tools/transform_goldens.py` makes `data/transform_arrays.safetensors` and `data/transform_matlab.safetensors`.

mod little_endian;
mod transform_support;

use transform_support::{
    COEFFICIENTS, ON_APPROXIMATION, ON_COEFFICIENTS, ON_DETAIL, ON_SIGNAL, SIGNAL, deviation,
    entries, forward, golden, inverse, noise, product, words,
};
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::filter_bank::Wavelet;
use waveft_core::transform::{Dwt, Wavedec};

const ARRAYS: &[u8] = include_bytes!("data/transform_arrays.safetensors");
const MATLAB: &[u8] = include_bytes!("data/transform_matlab.safetensors");

fn wavelets(file: &[u8]) -> Vec<&'static Wavelet> {
    let names = words(file, "wavelets");
    names
        .iter()
        .map(|name| Wavelet::from_name(name).unwrap())
        .collect()
}

fn modes(file: &[u8]) -> Vec<ExtensionMode> {
    let names = words(file, "modes");
    names
        .iter()
        .map(|name| ExtensionMode::from_name(name).unwrap())
        .collect()
}

/// Holds the transforms of arrays of `D` axes against the goldens: every band of noise, and the array made of coefficients
/// of noise. Smooth and antireflect extension make large numbers of few samples, for each axis that has few, and filters
/// that see nothing in straight lines make small ones of those: by so much less exact are both sides.
fn agree<const D: usize>(most_levels: usize, most: f64) {
    let (wavelets, modes) = (wavelets(ARRAYS), modes(ARRAYS));
    let cases: Vec<u32> = golden(ARRAYS, &format!("cases.{D}"));
    let products: Vec<f64> = golden(ARRAYS, &format!("products.{D}"));
    let mut products = &products[..];
    let (mut largest, mut deepest) = (0f64, 0);
    assert!(!cases.is_empty() && cases.len().is_multiple_of(3 * D + 1));
    for case in cases.chunks(3 * D + 1) {
        let part = |at: usize| std::array::from_fn(|axis| case[at * D + axis] as usize);
        let [names, mode_names, shape]: [[usize; D]; 3] = [part(0), part(1), part(2)];
        let axes =
            std::array::from_fn(|axis| (wavelets[names[axis]].double(), modes[mode_names[axis]]));
        let plan = Wavedec::new(axes, shape, case[3 * D] as usize).unwrap();
        let coefficients = forward(&plan, &noise(SIGNAL, entries(shape)));
        let others = noise(ON_COEFFICIENTS, coefficients.len());
        let mut ours: Vec<_> = plan
            .bands()
            .map(|band| product(&coefficients[band.range.clone()], &others[band.range]))
            .collect();
        let made = inverse(&plan, &noise(COEFFICIENTS, coefficients.len()));
        ours.push(product(&made, &noise(ON_SIGNAL, made.len())));
        let expected;
        (expected, products) = products.split_at(ours.len());
        let deviation = deviation(&ours, expected);
        let named = names.map(|name| wavelets[name].name());
        let modes = axes.map(|(_, mode)| mode);
        assert!(
            deviation <= most,
            "{named:?}, {modes:?}, {shape:?}, {} levels: {deviation:e}",
            plan.levels()
        );
        largest = largest.max(deviation);
        deepest = deepest.max(plan.levels());
    }
    assert!(products.is_empty());
    assert_eq!(deepest, most_levels);
    println!("{D} axes: {largest:e}");
}

#[test]
fn lines_over_all_levels_agree_with_pywavelets() {
    agree::<1>(9, 1e-12);
}

#[test]
fn arrays_of_two_axes_agree_with_pywavelets() {
    agree::<2>(4, 1e-12);
}

#[test]
fn arrays_of_three_axes_agree_with_pywavelets() {
    agree::<3>(3, 1e-11);
}

#[test]
fn arrays_of_four_axes_agree_with_pywavelets() {
    agree::<4>(2, 1e-10);
}

/// MATLAB R2012a lost digits of its longest filters: of db38 half, of coif5 more. The others' are true.
fn furthest_of_matlab(wavelet: &Wavelet) -> f64 {
    match wavelet.name() {
        "coif4" | "coif5" => 2e-5,
        name if name.starts_with("db") && wavelet.taps() > 50 => 1e-6,
        _ => 1e-10,
    }
}

#[test]
fn lines_agree_with_matlab() {
    let (wavelets, modes) = (wavelets(MATLAB), modes(MATLAB));
    let signals: Vec<f64> = golden(MATLAB, "signals");
    let [own, pywavelets]: [Vec<f64>; 2] = ["own", "pywavelets"].map(|name| golden(MATLAB, name));
    let (mut signals, mut own, mut pywavelets) =
        (&signals[..], own.chunks(2), pywavelets.chunks(2));
    let mut largest = [0f64; 2];
    for wavelet in wavelets {
        for length in [wavelet.taps(), wavelet.taps() + 1] {
            let signal;
            (signal, signals) = signals.split_at(length);
            for &mode in &modes {
                let dwt = Dwt::new(wavelet.double(), mode, length).unwrap();
                let band = dwt.band_length();
                let (mut a, mut d) = (vec![7.0; band], vec![7.0; band]);
                let mut scratch = vec![f64::NAN; dwt.scratch_len()];
                dwt.forward(signal, &mut a, &mut d, &mut scratch).unwrap();
                let ours = [
                    product(&a, &noise(ON_APPROXIMATION, band)),
                    product(&d, &noise(ON_DETAIL, band)),
                ];
                let deviations = [
                    deviation(&ours, pywavelets.next().unwrap()),
                    deviation(&ours, own.next().unwrap()),
                ];
                let most = [1e-10, furthest_of_matlab(wavelet)];
                for ((largest, deviation), most) in largest.iter_mut().zip(deviations).zip(most) {
                    let name = wavelet.name();
                    assert!(
                        deviation <= most,
                        "{name}, {mode:?}, {length}: {deviation:e}"
                    );
                    *largest = largest.max(deviation);
                }
            }
        }
    }
    assert!(signals.is_empty());
    assert_eq!((own.next(), pywavelets.next()), (None, None));
    println!(
        "MATLAB with PyWavelets' filters: {:e}, with its own: {:e}",
        largest[0], largest[1]
    );
}
