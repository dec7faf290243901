//! What the tests of the transforms share: noise, products, and operators on buffers of their own.
#![allow(dead_code, unreachable_pub)]

use crate::little_endian::elements;
use safetensors::SafeTensors;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::transform::Wavedec;

/// The script's streams of noise.
pub const SIGNAL: u64 = 0;
pub const APPROXIMATION: u64 = 1;
pub const DETAIL: u64 = 2;
pub const ON_APPROXIMATION: u64 = 3;
pub const ON_DETAIL: u64 = 4;
pub const ON_SIGNAL: u64 = 5;
pub const COEFFICIENTS: u64 = APPROXIMATION;
pub const ON_COEFFICIENTS: u64 = ON_APPROXIMATION;

/// Uniform in [−1, 1), the same as in the script: the upper 53 bits of SplitMix64.
pub fn noise(stream: u64, length: usize) -> Vec<f64> {
    (0..length as u64)
        .map(|index| {
            let z = ((stream << 32 | index) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-52) - 1.0
        })
        .collect()
}

/// The inner product, and the sum of its terms' magnitudes.
pub fn product(x: &[f64], y: &[f64]) -> (f64, f64) {
    assert_eq!(x.len(), y.len());
    let terms = || x.iter().zip(y).map(|(x, y)| x * y);
    (terms().sum(), terms().map(f64::abs).sum())
}

pub fn norm(x: &[f64]) -> f64 {
    product(x, x).0.sqrt()
}

/// How far our products are from the script's, relative to the sums of magnitudes.
pub fn deviation(ours: &[(f64, f64)], golden: &[f64]) -> f64 {
    assert_eq!(golden.len(), ours.len());
    ours.iter()
        .zip(golden)
        .map(|((ours, magnitude), golden)| (ours - golden).abs() / magnitude.max(1.0))
        .fold(0.0, f64::max)
}

/// The numbers of a golden file's tensor.
pub fn golden<T: bytemuck::AnyBitPattern>(file: &[u8], name: &str) -> Vec<T> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    assert_eq!(tensor.dtype().bitsize(), 8 * size_of::<T>());
    elements(tensor.data())
}

/// The words under a key of a golden file's metadata.
pub fn words(file: &[u8], key: &str) -> Vec<String> {
    let (_, metadata) = SafeTensors::read_metadata(file).unwrap();
    let words = &metadata.metadata().as_ref().unwrap()[key];
    words.split(' ').map(str::to_owned).collect()
}

pub fn not_a_number<F: Real>() -> F {
    F::zero() / F::zero()
}

/// Scratch of more than is asked for, and full of NaN.
pub fn dirty<T: Element, const D: usize>(plan: &Wavedec<'_, T::Real, D>) -> Vec<T::Real> {
    vec![not_a_number(); plan.scratch_len::<T>() + 3]
}

/// What the slices held before must not matter.
pub fn held<T: Element>(length: usize) -> Vec<T> {
    vec![T::from_real(T::Real::from(77)); length]
}

pub fn entries<const D: usize>(shape: [usize; D]) -> usize {
    shape.into_iter().product()
}

/// The coefficients of a row-major array.
pub fn forward<T: Element, const D: usize>(plan: &Wavedec<'_, T::Real, D>, data: &[T]) -> Vec<T> {
    let array = Array::new(data, plan.shape()).unwrap();
    let mut coefficients = held(plan.coefficients_len());
    plan.forward(&array, &mut coefficients, &mut dirty::<T, D>(plan))
        .unwrap();
    coefficients
}

pub fn inverse_adjoint<T: Element, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    data: &[T],
) -> Vec<T> {
    let array = Array::new(data, plan.shape()).unwrap();
    let mut coefficients = held(plan.coefficients_len());
    plan.inverse_adjoint(&array, &mut coefficients, &mut dirty::<T, D>(plan))
        .unwrap();
    coefficients
}

/// The row-major array of some coefficients.
pub fn inverse<T: Element, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    coefficients: &[T],
) -> Vec<T> {
    let mut data = held(entries(plan.shape()));
    let mut array = ArrayMut::new(&mut data, plan.shape()).unwrap();
    plan.inverse(coefficients, &mut array, &mut dirty::<T, D>(plan))
        .unwrap();
    data
}

pub fn forward_adjoint<T: Element, const D: usize>(
    plan: &Wavedec<'_, T::Real, D>,
    coefficients: &[T],
) -> Vec<T> {
    let mut data = held(entries(plan.shape()));
    let mut array = ArrayMut::new(&mut data, plan.shape()).unwrap();
    plan.forward_adjoint(coefficients, &mut array, &mut dirty::<T, D>(plan))
        .unwrap();
    data
}
