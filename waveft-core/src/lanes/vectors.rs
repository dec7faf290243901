//! `wide`'s vectors, of what the crate was compiled for: SSE2, NEON or simd128.

use super::{Lanes, call};
use crate::kernel::Kernel;
use core::array::from_fn;
use wide::{f32x8, f64x4};

/// Whether there are vector instructions.
pub(crate) const HAS_VECTORS: bool = true;
/// The most lanes of the two.
pub(super) const LANES: usize = 8;

pub(super) type Single = f32x8;
pub(super) type Double = f64x4;

macro_rules! lanes {
    ($lanes:ty, $real:ty, $width:literal) => {
        impl Lanes<$real> for $lanes {
            const WIDTH: usize = $width;
            const MANY: bool = false;
            type Numbers = [$real; $width];

            #[inline(always)]
            fn get(from: &Self::Numbers) -> Self {
                Self::new(*from)
            }

            #[inline(always)]
            fn put(self, to: &mut Self::Numbers) {
                *to = self.to_array();
            }

            fn outline<K: Kernel>(kernel: K) -> K::Output {
                call(kernel)
            }

            #[inline(always)]
            fn splat(value: $real) -> Self {
                <$lanes>::splat(value)
            }

            #[inline(always)]
            fn load(from: &[$real]) -> Self {
                from.first_chunk::<$width>()
                    .map_or(Self::ZERO, |numbers| Self::new(*numbers))
            }

            #[inline(always)]
            fn store(self, to: &mut [$real]) {
                if let Some(to) = to.first_chunk_mut::<$width>() {
                    *to = self.to_array();
                }
            }

            #[inline(always)]
            fn multiply_add(self, factor: Self, addend: Self) -> Self {
                self.mul_add(factor, addend)
            }

            #[inline(always)]
            fn square_root(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn deinterleave(self, second: Self) -> (Self, Self) {
                let (first, second) = (self.to_array(), second.to_array());
                let at = |place: usize| {
                    if place < $width {
                        first[place]
                    } else {
                        second[place - $width]
                    }
                };
                (
                    Self::new(from_fn(|lane| at(2 * lane))),
                    Self::new(from_fn(|lane| at(2 * lane + 1))),
                )
            }

            #[inline(always)]
            fn interleave(self, odd: Self) -> (Self, Self) {
                let turns = [self.to_array(), odd.to_array()];
                let at = |place: usize| turns[place % 2][place / 2];
                (
                    Self::new(from_fn(at)),
                    Self::new(from_fn(|lane| at($width + lane))),
                )
            }
        }
    };
}

lanes!(f32x8, f32, 8);
lanes!(f64x4, f64, 4);
