//! The number types: those that are computed in, and those that weights are stored in.

use crate::filter_bank::{FilterBank, Wavelet};
use crate::lanes::Vectors;
use crate::operator::kernels::UpdateKernels;
use crate::transform::kernels::{LineKernels, PlaneKernels};
use bytemuck::Pod;
use half::{bf16, f16};
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

/// A type that a weight is stored in: `f32`, `f64`, [`struct@bf16`] or [`struct@f16`].
pub trait Element: Pod + LineKernels<Sums = Self::Real> + UpdateKernels<Sums = Self::Real> {
    /// What is computed in: `f64` for `f64`, else `f32`.
    type Real: Real;

    /// The value, exactly.
    fn to_real(self) -> Self::Real;

    /// The nearest value, ties to even.
    fn from_real(value: Self::Real) -> Self;

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

impl Element for bf16 {
    type Real = f32;

    #[inline(always)]
    fn to_real(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// Without a branch, so that it is done in vectors.
    #[inline(always)]
    fn from_real(value: f32) -> Self {
        const QUIET: u32 = 1 << 22;
        let bits = value.to_bits();
        // Half of the last place kept, and a tie goes up only from an odd one.
        let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        let bits = if value.is_nan() {
            bits | QUIET
        } else {
            nearest
        };
        Self::from_bits((bits >> 16) as u16)
    }
}

impl Element for f16 {
    type Real = f32;

    #[inline(always)]
    fn to_real(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn from_real(value: f32) -> Self {
        Self::from_f32(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_rounded_as_half_rounds_it() {
        let near =
            |bits: u32| (0..4).flat_map(move |d| [bits.wrapping_sub(d), bits.wrapping_add(d)]);
        for high in 0..=u32::from(u16::MAX) {
            for bits in [0, 0x7fff, 0x8000, 0xffff].map(|low| high << 16 | low) {
                for value in near(bits).map(f32::from_bits) {
                    let found = bf16::from_real(value);
                    assert_eq!(
                        found.to_bits(),
                        bf16::from_f32(value).to_bits(),
                        "{value:?}"
                    );
                }
            }
            let stored = bf16::from_bits(high as u16);
            assert!(stored.is_nan() || stored.to_real() == stored.to_f32());
        }
    }
}
