//! Numbers from arbitrary choices: element types, values of any bits or without a pattern, and how vectors compare.

use arbitrary::Arbitrary;
use num_traits::ToPrimitive;
use waveft_core::element::{Element, Real};

/// What a weight or a signal is stored in.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum ElementType {
    F32,
    F64,
    Bf16,
    F16,
}

impl ElementType {
    /// How far a number of this type is from the next, beside its size.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F64 => f64::EPSILON,
            Self::F32 => f64::from(f32::EPSILON),
            Self::F16 => 2f64.powi(-10),
            Self::Bf16 => 2f64.powi(-7),
        }
    }
}

/// Calls a function with the type that an [`ElementType`] stands for.
#[macro_export]
macro_rules! with_element {
    ($element:expr, $function:ident($($argument:expr),*)) => {
        match $element {
            $crate::numbers::ElementType::F32 => $function::<f32>($($argument),*),
            $crate::numbers::ElementType::F64 => $function::<f64>($($argument),*),
            $crate::numbers::ElementType::Bf16 => $function::<half::bf16>($($argument),*),
            $crate::numbers::ElementType::F16 => $function::<half::f16>($($argument),*),
        }
    };
}

/// How long scratch is, beside what is needed.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Scratch {
    Exact,
    Longer(u8),
    Shorter(u8),
}

impl Scratch {
    pub fn length(self, needed: usize) -> usize {
        match self {
            Self::Exact => needed,
            Self::Longer(more) => needed + usize::from(more),
            Self::Shorter(less) => needed.saturating_sub(usize::from(less)),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Values {
    /// Bits that are repeated: whatever they mean, nothing panics.
    Bits(Vec<u8>),
    /// Noise in [−1, 1).
    Noise(u32),
}

impl Values {
    /// `count` of them, others for each `stream`.
    pub fn take<T: Element<Real: Number>>(&self, stream: u64, count: usize) -> Vec<T> {
        match self {
            Self::Noise(seed) => noise(u64::from(*seed) ^ stream << 28, count),
            Self::Bits(bits) => repeated(bits, stream as usize, count),
        }
    }
}

/// What is computed in, to and from f64.
pub trait Number: Real + ToPrimitive {}

impl<F: Real + ToPrimitive> Number for F {}

pub fn real<F: Number>(value: f64) -> F {
    Real::from_f64(value)
}

/// `count` values whose bits repeat `pattern` from byte `start` on.
pub fn repeated<T: Element>(pattern: &[u8], start: usize, count: usize) -> Vec<T> {
    let pattern = if pattern.is_empty() { &[1] } else { pattern };
    let bits = pattern.iter().copied().cycle().skip(start);
    let bytes: Vec<u8> = bits.take(count * size_of::<T>()).collect();
    let elements = bytes.chunks_exact(size_of::<T>());
    elements.map(bytemuck::pod_read_unaligned).collect()
}

/// SplitMix64 in [−1, 1).
pub fn noise<T: Element<Real: Number>>(stream: u64, count: usize) -> Vec<T> {
    (0..count as u64)
        .map(|index| {
            let z = ((stream << 32 | index) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let value = ((z ^ (z >> 31)) >> 40) as f64 * 2f64.powi(-23) - 1.0;
            T::from_real(real(value))
        })
        .collect()
}

pub fn bytes<T: Element>(values: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

pub fn double<T: Element<Real: Number>>(values: &[T]) -> Vec<f64> {
    let values = values.iter();
    values.map(|value| Real::to_f64(value.to_real())).collect()
}

pub fn product(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

pub fn norm(x: &[f64]) -> f64 {
    product(x, x).sqrt()
}

/// How far two vectors are apart.
pub fn apart(x: &[f64], y: &[f64]) -> f64 {
    let difference: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - y).collect();
    norm(&difference)
}

/// The same bits, or both not a number.
#[track_caller]
pub fn assert_same<T: Element>(found: &[T], expected: &[T]) {
    assert_eq!(found.len(), expected.len());
    for (at, (x, y)) in found.iter().zip(expected).enumerate() {
        #[allow(clippy::eq_op)] // False of what is not a number.
        let neither = [x, y].map(|x| x.to_real() == x.to_real()) == [false; 2];
        assert!(
            neither || bytemuck::bytes_of(x) == bytemuck::bytes_of(y),
            "{at}"
        );
    }
}
