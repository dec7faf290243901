//! A number in place of a vector, where the compiler was told of no vector instructions.
//!
//! On a Cortex-M4F, the product with tokens over vectors of 8, 4 and 1 numbers was 16, 12 and 5 KB of code, and scratch is as many
//! times as large as a vector.

use super::{Lanes, call};
use crate::kernel::Kernel;
use core::ops::{Add, Div, Mul, Sub};

/// Whether there are vector instructions.
pub(crate) const HAS_VECTORS: bool = false;
/// Lanes of both types.
pub(super) const LANES: usize = 1;

pub(super) type Single = Number<f32>;
pub(super) type Double = Number<f64>;

/// A vector of one lane.
#[derive(Clone, Copy)]
pub struct Number<F>(F);

macro_rules! operation {
    ($name:ident $method:ident $operator:tt) => {
        impl<F: $name<Output = F>> $name for Number<F> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $operator other.0)
            }
        }
    };
}

operation!(Add add +);
operation!(Sub sub -);
operation!(Mul mul *);
operation!(Div div /);

macro_rules! lanes {
    ($real:ty, $square_root:path) => {
        impl Lanes<$real> for Number<$real> {
            const WIDTH: usize = LANES;
            const MANY: bool = false;
            type Numbers = $real;

            #[inline(always)]
            fn get(from: &$real) -> Self {
                Self(*from)
            }

            #[inline(always)]
            fn put(self, to: &mut $real) {
                *to = self.0;
            }

            fn outline<K: Kernel>(kernel: K) -> K::Output {
                call(kernel)
            }

            #[inline(always)]
            fn splat(value: $real) -> Self {
                Self(value)
            }

            #[inline(always)]
            fn load(from: &[$real]) -> Self {
                Self(from.first().copied().unwrap_or(0.0))
            }

            #[inline(always)]
            fn store(self, to: &mut [$real]) {
                if let Some(to) = to.first_mut() {
                    *to = self.0;
                }
            }

            #[inline(always)]
            fn multiply_add(self, factor: Self, addend: Self) -> Self {
                self * factor + addend
            }

            #[inline(always)]
            fn square_root(self) -> Self {
                Self($square_root(self.0))
            }

            #[inline(always)]
            fn deinterleave(self, second: Self) -> (Self, Self) {
                (self, second)
            }

            #[inline(always)]
            fn interleave(self, odd: Self) -> (Self, Self) {
                (self, odd)
            }
        }
    };
}

lanes!(f32, libm::sqrtf);
lanes!(f64, libm::sqrt);
