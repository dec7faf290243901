//! What a layer multiplies with, apart from its adapters.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use waveft_core::element::Element;

use crate::error::Result;

/// A type of activations and weights that is computed in `f32`: `f32` itself, `bf16` or `f16`.
pub trait SingleElement: Element<Real = f32> + Send + Sync {
    /// The values of `from` in `f32`, exactly. Both slices have one length.
    fn widen(from: &[Self], to: &mut [f32]);

    /// The values nearest to those of `from`, ties to even. Both slices have one length.
    fn narrow(from: &[f32], to: &mut [Self]);
}

impl SingleElement for f32 {
    fn widen(from: &[Self], to: &mut [f32]) {
        to.copy_from_slice(from);
    }

    fn narrow(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }
}

macro_rules! half {
    ($half:ty) => {
        impl SingleElement for $half {
            fn widen(from: &[Self], to: &mut [f32]) {
                from.convert_to_f32_slice(to);
            }

            fn narrow(from: &[f32], to: &mut [Self]) {
                to.convert_from_f32_slice(from);
            }
        }
    };
}

half!(bf16);
half!(f16);

/// How many numbers a layer takes and gives for each token.
pub trait Features {
    /// `(M, N)`: outputs and inputs, neither of them zero.
    fn features(&self) -> (usize, usize);
}

/// A frozen `M × N` matrix `W`, multiplied with activations of type `T`: a [`Weight`](super::Weight), or a quantised layer or one of
/// another framework.
///
/// A [`WaveFtLinear`](super::WaveFtLinear) has checked the lengths of what it passes on.
pub trait Base<T>: Features + Sync {
    /// `y = x Wᵀ + b`, or `x Wᵀ` without a bias of M elements, rounded to `T` once. `x` is tokens × N and `y` tokens × M, both
    /// row-major; what `y` holds before is lost.
    ///
    /// # Errors
    /// Whatever keeps the base from multiplying.
    fn forward(&self, x: &[T], bias: Option<&[f32]>, y: &mut [T]) -> Result<()>;

    /// `dx = dy W`, with `dy` tokens × M and `dx` tokens × N.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    fn backward(&self, dy: &[T], dx: &mut [T]) -> Result<()>;
}
