//! The vectors of AVX2 with FMA and of AVX-512.
//!
//! Each method names instructions that the machine may lack. [`Isa::run_lanes`](crate::isa::Isa) uses
//! these types only after it has found the instructions, within a function that enables them; nothing
//! else in the crate can name them.
#![allow(unsafe_code)]

use super::{Lanes, Tile};
use crate::isa::{run_avx2, run_avx512};
use crate::kernel::Kernel;
use core::arch::x86_64::*;
use core::ops::{Add, Div, Mul, Sub};

macro_rules! lanes {
    (
        $(#[$doc:meta])* $name:ident($vector:ty) of $real:ty, $width:literal, $many:literal:
        $splat:ident, $load:ident, $store:ident, $multiply_add:ident, $square_root:ident,
        $add:ident, $subtract:ident, $multiply:ident, $divide:ident,
        $deinterleave:path, $interleave:path, $run:path
        $(, $transpose:path, $sum_lanes:path)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name($vector);

        impl Lanes<$real> for $name {
            const WIDTH: usize = $width;
            const MANY: bool = $many;
            type Numbers = [$real; $width];

            fn outline<K: Kernel>(kernel: K) -> K::Output {
                // SAFETY: the machine has the instructions, as the module says.
                unsafe { $run(kernel) }
            }

            #[inline(always)]
            fn splat(value: $real) -> Self {
                // SAFETY: the machine has the instructions, as the module says.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn load(from: &[$real]) -> Self {
                from.first_chunk().map_or(Self::splat(0.0), Self::get)
            }

            #[inline(always)]
            fn store(self, to: &mut [$real]) {
                if let Some(to) = to.first_chunk_mut() {
                    self.put(to);
                }
            }

            #[inline(always)]
            fn get(from: &Self::Numbers) -> Self {
                // SAFETY: the machine has the instructions; all numbers read are in the array, and the load asks for no
                // alignment.
                Self(unsafe { $load(from.as_ptr()) })
            }

            #[inline(always)]
            fn put(self, to: &mut Self::Numbers) {
                // SAFETY: the machine has the instructions; all numbers written are in the array, and the store asks for no
                // alignment.
                unsafe { $store(to.as_mut_ptr(), self.0) }
            }

            #[inline(always)]
            fn multiply_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: the machine has the instructions, as the module says.
                Self(unsafe { $multiply_add(self.0, factor.0, addend.0) })
            }

            #[inline(always)]
            fn square_root(self) -> Self {
                // SAFETY: the machine has the instructions, as the module says.
                Self(unsafe { $square_root(self.0) })
            }

            #[inline(always)]
            fn deinterleave(self, second: Self) -> (Self, Self) {
                // SAFETY: the machine has the instructions, as the module says.
                let (even, odd) = unsafe { $deinterleave(self.0, second.0) };
                (Self(even), Self(odd))
            }

            #[inline(always)]
            fn interleave(self, odd: Self) -> (Self, Self) {
                // SAFETY: the machine has the instructions, as the module says.
                let (first, second) = unsafe { $interleave(self.0, odd.0) };
                (Self(first), Self(second))
            }

            $(
                #[inline(always)]
                fn transpose(mut tile: Tile<Self>) -> Tile<Self> {
                    if let Some(square) = tile.first_chunk_mut::<$width>() {
                        *square = $transpose(square.map(|vector| vector.0)).map(Self);
                    }
                    tile
                }

                #[inline(always)]
                fn sum_lanes(tile: Tile<Self>) -> Self {
                    match tile.first_chunk::<$width>() {
                        Some(square) => Self($sum_lanes(square.map(|vector| vector.0))),
                        None => Self::splat(0.0),
                    }
                }
            )?
        }

        operator!($name, Add, add, $add);
        operator!($name, Sub, sub, $subtract);
        operator!($name, Mul, mul, $multiply);
        operator!($name, Div, div, $divide);
    };
}

macro_rules! operator {
    ($name:ident, $operator:ident, $method:ident, $instruction:ident) => {
        impl $operator for $name {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: the machine has the instructions, as the module says.
                Self(unsafe { $instruction(self.0, other.0) })
            }
        }
    };
}

lanes! {
    /// Eight `f32`.
    Avx2Single(__m256) of f32, 8, false:
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_sqrt_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps,
    deinterleave_8_singles, interleave_8_singles, run_avx2, transpose_8_singles, sum_8_singles
}

lanes! {
    /// Four `f64`.
    Avx2Double(__m256d) of f64, 4, false:
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_sqrt_pd,
    _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd,
    deinterleave_4_doubles, interleave_4_doubles, run_avx2
}

lanes! {
    /// Sixteen `f32`.
    Avx512Single(__m512) of f32, 16, true:
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_sqrt_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps,
    deinterleave_16_singles, interleave_16_singles, run_avx512
}

lanes! {
    /// Eight `f64`.
    Avx512Double(__m512d) of f64, 8, true:
    _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_sqrt_pd,
    _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd, _mm512_div_pd,
    deinterleave_8_doubles, interleave_8_doubles, run_avx512
}

lanes! {
    /// Eight `f32`, among AVX-512's instructions.
    NarrowSingle(__m256) of f32, 8, true:
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_sqrt_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps,
    deinterleave_8_singles, interleave_8_singles, run_avx512, transpose_8_singles, sum_8_singles
}

lanes! {
    /// Four `f64`, among AVX-512's instructions.
    NarrowDouble(__m256d) of f64, 4, true:
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_sqrt_pd,
    _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd,
    deinterleave_4_doubles, interleave_4_doubles, run_avx512
}

#[inline]
#[target_feature(enable = "avx2")]
fn deinterleave_8_singles(first: __m256, second: __m256) -> (__m256, __m256) {
    // Shuffles stay within halves: first put those together that belong together.
    let low = _mm256_permute2f128_ps::<0x20>(first, second);
    let high = _mm256_permute2f128_ps::<0x31>(first, second);
    (
        _mm256_shuffle_ps::<0b10_00_10_00>(low, high),
        _mm256_shuffle_ps::<0b11_01_11_01>(low, high),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn interleave_8_singles(even: __m256, odd: __m256) -> (__m256, __m256) {
    let low = _mm256_unpacklo_ps(even, odd);
    let high = _mm256_unpackhi_ps(even, odd);
    (
        _mm256_permute2f128_ps::<0x20>(low, high),
        _mm256_permute2f128_ps::<0x31>(low, high),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn deinterleave_4_doubles(first: __m256d, second: __m256d) -> (__m256d, __m256d) {
    let low = _mm256_permute2f128_pd::<0x20>(first, second);
    let high = _mm256_permute2f128_pd::<0x31>(first, second);
    (
        _mm256_shuffle_pd::<0b0000>(low, high),
        _mm256_shuffle_pd::<0b1111>(low, high),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn interleave_4_doubles(even: __m256d, odd: __m256d) -> (__m256d, __m256d) {
    let low = _mm256_unpacklo_pd(even, odd);
    let high = _mm256_unpackhi_pd(even, odd);
    (
        _mm256_permute2f128_pd::<0x20>(low, high),
        _mm256_permute2f128_pd::<0x31>(low, high),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn deinterleave_16_singles(first: __m512, second: __m512) -> (__m512, __m512) {
    let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    (
        _mm512_permutex2var_ps(first, even, second),
        _mm512_permutex2var_ps(first, odd, second),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn interleave_16_singles(even: __m512, odd: __m512) -> (__m512, __m512) {
    let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    (
        _mm512_permutex2var_ps(even, first, odd),
        _mm512_permutex2var_ps(even, second, odd),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn deinterleave_8_doubles(first: __m512d, second: __m512d) -> (__m512d, __m512d) {
    let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    (
        _mm512_permutex2var_pd(first, even, second),
        _mm512_permutex2var_pd(first, odd, second),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn interleave_8_doubles(even: __m512d, odd: __m512d) -> (__m512d, __m512d) {
    let first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    let second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    (
        _mm512_permutex2var_pd(even, first, odd),
        _mm512_permutex2var_pd(even, second, odd),
    )
}

/// A square of eight numbers a side, by squares of four within halves of a vector.
// Not marked with the instructions, as a function that is cannot be always inlined.
#[inline(always)]
fn transpose_8_singles([a, b, c, d, e, f, g, h]: [__m256; 8]) -> [__m256; 8] {
    let [a, b, c, d] = transpose_4_singles_of_halves([a, b, c, d]);
    let [e, f, g, h] = transpose_4_singles_of_halves([e, f, g, h]);
    // SAFETY: the machine has the instructions, as the module says.
    unsafe {
        [
            _mm256_permute2f128_ps::<0x20>(a, e),
            _mm256_permute2f128_ps::<0x20>(b, f),
            _mm256_permute2f128_ps::<0x20>(c, g),
            _mm256_permute2f128_ps::<0x20>(d, h),
            _mm256_permute2f128_ps::<0x31>(a, e),
            _mm256_permute2f128_ps::<0x31>(b, f),
            _mm256_permute2f128_ps::<0x31>(c, g),
            _mm256_permute2f128_ps::<0x31>(d, h),
        ]
    }
}

#[inline(always)]
fn transpose_4_singles_of_halves([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the machine has the instructions, as the module says.
    unsafe {
        let pairs = [
            _mm256_castps_pd(_mm256_unpacklo_ps(a, b)),
            _mm256_castps_pd(_mm256_unpackhi_ps(a, b)),
            _mm256_castps_pd(_mm256_unpacklo_ps(c, d)),
            _mm256_castps_pd(_mm256_unpackhi_ps(c, d)),
        ];
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[0], pairs[2])),
            _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[0], pairs[2])),
            _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[1], pairs[3])),
            _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[1], pairs[3])),
        ]
    }
}

/// The sum over the lanes of each of eight vectors: what [`transpose_8_singles`] does, with a sum after each exchange.
#[inline(always)]
fn sum_8_singles([a, b, c, d, e, f, g, h]: [__m256; 8]) -> __m256 {
    let first = sum_4_singles_of_halves([a, b, c, d]);
    let second = sum_4_singles_of_halves([e, f, g, h]);
    // SAFETY: the machine has the instructions, as the module says.
    unsafe {
        _mm256_add_ps(
            _mm256_permute2f128_ps::<0x20>(first, second),
            _mm256_permute2f128_ps::<0x31>(first, second),
        )
    }
}

#[inline(always)]
fn sum_4_singles_of_halves([a, b, c, d]: [__m256; 4]) -> __m256 {
    // SAFETY: the machine has the instructions, as the module says.
    unsafe {
        let first = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let second = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (first, second) = (_mm256_castps_pd(first), _mm256_castps_pd(second));
        _mm256_add_ps(
            _mm256_castpd_ps(_mm256_unpacklo_pd(first, second)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(first, second)),
        )
    }
}
