//! The vectors of AVX2 with FMA and of AVX-512.
//!
//! Each method names instructions that the machine may lack. [`Isa::run_lanes`](crate::isa::Isa) uses
//! these types only after it has found the instructions, within a function that enables them; nothing
//! else in the crate can name them.
#![allow(unsafe_code)]

use super::Lanes;
use core::arch::x86_64::*;
use core::ops::{Add, Div, Mul, Sub};

macro_rules! lanes {
    (
        $(#[$doc:meta])* $name:ident($vector:ty) of $real:ty, $width:literal:
        $splat:ident, $load:ident, $store:ident, $multiply_add:ident, $square_root:ident,
        $add:ident, $subtract:ident, $multiply:ident, $divide:ident,
        $deinterleave:path, $interleave:path
        $(, $transpose:path)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name($vector);

        impl Lanes<$real> for $name {
            const WIDTH: usize = $width;
            const MANY: bool = size_of::<$vector>() == 64;

            #[inline(always)]
            fn splat(value: $real) -> Self {
                // SAFETY: the machine has the instructions, as the module says.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn load(from: &[$real]) -> Self {
                match from.first_chunk::<$width>() {
                    // SAFETY: the machine has the instructions; all numbers read are in the chunk, and
                    // the load asks for no alignment.
                    Some(numbers) => Self(unsafe { $load(numbers.as_ptr()) }),
                    None => Self::splat(0.0),
                }
            }

            #[inline(always)]
            fn store(self, to: &mut [$real]) {
                if let Some(to) = to.first_chunk_mut::<$width>() {
                    // SAFETY: the machine has the instructions; all numbers written are in the chunk,
                    // and the store asks for no alignment.
                    unsafe { $store(to.as_mut_ptr(), self.0) }
                }
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
                fn transpose(from: &[$real], from_stride: usize, to: &mut [$real], to_stride: usize) {
                    // SAFETY: the machine has the instructions, as the module says.
                    unsafe { $transpose(from, from_stride, to, to_stride) }
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
    Avx2Single(__m256) of f32, 8:
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_sqrt_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps,
    deinterleave_8_singles, interleave_8_singles
}

lanes! {
    /// Four `f64`.
    Avx2Double(__m256d) of f64, 4:
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_sqrt_pd,
    _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd,
    deinterleave_4_doubles, interleave_4_doubles
}

lanes! {
    /// Sixteen `f32`.
    Avx512Single(__m512) of f32, 16:
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_sqrt_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps,
    deinterleave_16_singles, interleave_16_singles, transpose_16_singles
}

lanes! {
    /// Eight `f64`.
    Avx512Double(__m512d) of f64, 8:
    _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_sqrt_pd,
    _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd, _mm512_div_pd,
    deinterleave_8_doubles, interleave_8_doubles
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

/// A square of 16 numbers a side, by squares of four within quarters of a vector: loads bring together the quarters that belong
/// together, which leaves half the shuffles.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_16_singles(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
    let reach = |stride: usize| 15 * stride + 16;
    let (Some(from), Some(to)) = (
        from.get(..reach(from_stride)),
        to.get_mut(..reach(to_stride)),
    ) else {
        return;
    };
    for first in [0, 4, 8, 12] {
        let quarters = |row: usize| {
            let quarter = |row: usize| {
                // SAFETY: row < 16, first + 4 ≤ 16 and `from` has 15 · from_stride + 16 numbers.
                unsafe { _mm_loadu_ps(from.as_ptr().add(row * from_stride + first)) }
            };
            let quarters = _mm512_castps128_ps512(quarter(row));
            let quarters = _mm512_insertf32x4::<1>(quarters, quarter(row + 4));
            let quarters = _mm512_insertf32x4::<2>(quarters, quarter(row + 8));
            _mm512_insertf32x4::<3>(quarters, quarter(row + 12))
        };
        let (a, b, c, d) = (quarters(0), quarters(1), quarters(2), quarters(3));
        let pairs = [
            _mm512_castps_pd(_mm512_unpacklo_ps(a, b)),
            _mm512_castps_pd(_mm512_unpackhi_ps(a, b)),
            _mm512_castps_pd(_mm512_unpacklo_ps(c, d)),
            _mm512_castps_pd(_mm512_unpackhi_ps(c, d)),
        ];
        let rows = [
            _mm512_unpacklo_pd(pairs[0], pairs[2]),
            _mm512_unpackhi_pd(pairs[0], pairs[2]),
            _mm512_unpacklo_pd(pairs[1], pairs[3]),
            _mm512_unpackhi_pd(pairs[1], pairs[3]),
        ];
        for (at, row) in rows.into_iter().enumerate() {
            // SAFETY: first + at < 16 and `to` has 15 · to_stride + 16 numbers.
            unsafe {
                let place = to.as_mut_ptr().add((first + at) * to_stride);
                _mm512_storeu_ps(place, _mm512_castpd_ps(row));
            }
        }
    }
}
