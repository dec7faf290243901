//! The number types: those that are computed in, and those that weights are stored in.

mod half;

use crate::filter_bank::{FilterBank, Wavelet};
use crate::lanes::Vectors;
use crate::operator::kernels::UpdateKernels;
use crate::transform::kernels::{LineKernels, PlaneKernels};
use bytemuck::Pod;
use num_traits::NumAssign;

/// A type that transforms are computed in: `f32` or `f64`.
pub trait Real:
    Element<Real = Self>
    + Vectors
    + PlaneKernels
    + NumAssign
    + From<i16>
    + PartialOrd
    + Send
    + Sync
    + 'static
{
    /// Zero.
    const ZERO: Self;

    /// What stands for a filter where there is no wavelet: a one.
    #[doc(hidden)]
    const NO_FILTER: &'static [Self];

    /// The wavelet's filters in this type, each tap rounded once.
    fn filter_bank(wavelet: &Wavelet) -> FilterBank<'static, Self>;

    /// The value as an `f64`, exactly.
    fn to_f64(self) -> f64;

    /// The nearest value, ties to even.
    fn from_f64(value: f64) -> Self;
}

/// A type that a weight is stored in: `f32`, `f64`, [`bf16`](struct@::half::bf16) or [`f16`](struct@::half::f16).
pub trait Element: Pod + LineKernels<Sums = Self::Real> + UpdateKernels<Sums = Self::Real> {
    /// What is computed in: `f64` for `f64`, else `f32`.
    type Real: Real;

    /// The value, exactly.
    fn to_real(self) -> Self::Real;

    /// The nearest value, ties to even.
    fn from_real(value: Self::Real) -> Self;

    /// Whether two of them are moved as one of what is computed in, and only then taken apart.
    #[doc(hidden)]
    const IN_PAIRS: bool = false;

    /// The values of two that were read as one.
    #[doc(hidden)]
    #[inline(always)]
    fn split(pair: Self::Real) -> [Self::Real; 2] {
        [pair; 2]
    }

    /// The nearest of two values, to be written as one.
    #[doc(hidden)]
    #[inline(always)]
    fn join(values: [Self::Real; 2]) -> Self::Real {
        values[0]
    }

    /// The elements as what they are computed in, if they are stored like that.
    #[doc(hidden)]
    #[inline(always)]
    fn as_reals(elements: &[Self]) -> Option<&[Self::Real]> {
        let _ = elements;
        None
    }

    /// [`as_reals`](Self::as_reals), to be changed.
    #[doc(hidden)]
    #[inline(always)]
    fn as_reals_mut(elements: &mut [Self]) -> Option<&mut [Self::Real]> {
        let _ = elements;
        None
    }
}

macro_rules! real {
    ($real:ty, $bank:ident) => {
        impl Real for $real {
            const ZERO: Self = 0.0;
            const NO_FILTER: &'static [Self] = &[1.0];

            #[inline(always)]
            fn filter_bank(wavelet: &Wavelet) -> FilterBank<'static, Self> {
                wavelet.$bank()
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.into()
            }

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
        }

        impl Element for $real {
            type Real = Self;

            #[inline(always)]
            fn to_real(self) -> Self {
                self
            }

            #[inline(always)]
            fn from_real(value: Self) -> Self {
                value
            }

            #[inline(always)]
            fn as_reals(elements: &[Self]) -> Option<&[Self]> {
                Some(elements)
            }

            #[inline(always)]
            fn as_reals_mut(elements: &mut [Self]) -> Option<&mut [Self]> {
                Some(elements)
            }
        }
    };
}

real!(f32, single);
real!(f64, double);
