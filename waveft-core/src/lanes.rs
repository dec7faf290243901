//! Vectors of numbers, and the kernels that are written over them.
//!
//! A kernel is written once, over any [`Lanes`]. [`Isa::run_lanes`] compiles it for each instance and
//! enters the one asked for: what the crate was compiled for, which are `wide`'s vectors (SSE2, NEON or
//! simd128) or, where there are none, plain numbers; and on x86-64 those of AVX2 and AVX-512 beside them.
//!
//! A multiply-add is rounded once where the instructions are FMA's and twice in the portable instance
//! without it, so results differ between instruction sets in the last bits. Within one they depend on
//! nothing but the numbers: not on where in an array these stand, nor on how many there are.

#[macro_use]
// Vectors have literal places, of which an instance with fewer lanes reaches only its own.
#[allow(unconditional_panic)]
mod exchange;
#[cfg(target_arch = "x86_64")]
mod x86;

// What `wide` has instructions for.
#[cfg(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
))]
#[path = "lanes/vectors.rs"]
mod portable;
#[cfg(not(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
#[path = "lanes/numbers.rs"]
mod portable;

use crate::element::{Element, Real};
use crate::isa::Isa;
use crate::kernel::Kernel;
use bytemuck::Pod;
use core::marker::PhantomData;
use core::ops::{Add, Div, Mul, Sub};

pub(crate) use self::portable::HAS_VECTORS;

/// The most lanes that an instance has.
pub(crate) const MOST_LANES: usize = if cfg!(target_arch = "x86_64") {
    16
} else {
    portable::LANES
};

/// The most lanes that [`Isa::run_narrow_lanes`] gives.
pub(crate) const MOST_NARROW_LANES: usize = portable::LANES;

/// Vectors that a [`Tile`] has room for: a square of them, or a pair.
pub(crate) const MOST_VECTORS: usize = if MOST_LANES > 2 { MOST_LANES } else { 2 };

/// Vectors that are worked on at once, in registers: the first `WIDTH` of them, or two where a vector is one number.
pub(crate) type Tile<L> = [L; MOST_VECTORS];

/// A vector of `WIDTH` numbers. Its methods are `#[inline(always)]`, or they would stay at what the
/// crate was compiled for.
pub trait Lanes<F>:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Numbers in a vector.
    const WIDTH: usize;

    /// A vector in memory.
    type Numbers: Pod;

    /// Whether there are 32 registers, not 16.
    const MANY: bool;

    /// Runs the kernel on these instructions, as a function of its own: for loops whose values would not stay in registers among
    /// those of their callers.
    fn outline<K: Kernel>(kernel: K) -> K::Output;

    /// One number in every lane.
    fn splat(value: F) -> Self;

    /// The first `WIDTH` numbers; zeros if there are fewer.
    fn load(from: &[F]) -> Self;

    /// Writes to the first `WIDTH` places, if there are so many.
    fn store(self, to: &mut [F]);

    /// What is in memory.
    fn get(from: &Self::Numbers) -> Self;

    /// Writes it to memory.
    fn put(self, to: &mut Self::Numbers);

    /// `self · factor + addend`.
    fn multiply_add(self, factor: Self, addend: Self) -> Self;

    /// The square root, rounded once.
    fn square_root(self) -> Self;

    /// Of two vectors end to end, the numbers at even and those at odd places.
    fn deinterleave(self, second: Self) -> (Self, Self);

    /// Two vectors, end to end, in which the numbers of `self` and of `odd` take turns.
    fn interleave(self, odd: Self) -> (Self, Self);

    /// Exchanges the numbers' places in the first `WIDTH` vectors with the vectors' own: number `i` of vector `j` becomes number
    /// `j` of vector `i`.
    #[inline(always)]
    fn transpose(tile: Tile<Self>) -> Tile<Self> {
        exchange::transpose::<Self, F>(tile)
    }

    /// The sum over the lanes of each of the first `WIDTH` vectors.
    #[inline(always)]
    fn sum_lanes(tile: Tile<Self>) -> Self {
        exchange::sum_lanes::<Self, F>(tile)
    }

    /// What is stored as `T`, in the first `WIDTH` places; zeros if there are fewer.
    #[inline(always)]
    fn load_from<T: Element<Real = F>>(from: &[T]) -> Self
    where
        F: Real,
    {
        if let Some(numbers) = T::as_reals(from) {
            return Self::load(numbers);
        }
        let mut numbers = [F::zero(); MOST_LANES];
        if let Some(from) = from.get(..Self::WIDTH) {
            for (number, element) in numbers.iter_mut().zip(from) {
                *number = element.to_real();
            }
        }
        Self::load(&numbers)
    }

    /// Twice as many as there are lanes of what is stored as `T`, in pairs, as `T` can be; zeros if there are fewer.
    #[inline(always)]
    fn load_pairs_from<T: Element<Real = F>>(from: &[T]) -> Self
    where
        F: Real,
    {
        match from.get(..2 * Self::WIDTH) {
            Some(from) if size_of::<F>() == 2 * size_of::<T>() => {
                Self::get(&bytemuck::pod_read_unaligned(bytemuck::cast_slice(from)))
            }
            _ => Self::splat(F::ZERO),
        }
    }

    /// Writes pairs to twice as many places as there are lanes, if there are so many.
    #[inline(always)]
    fn store_pairs_to<T: Element<Real = F>>(self, to: &mut [T])
    where
        F: Real,
    {
        if let Some(to) = to.get_mut(..2 * Self::WIDTH)
            && size_of::<F>() == 2 * size_of::<T>()
        {
            let mut numbers = bytemuck::Zeroable::zeroed();
            self.put(&mut numbers);
            bytemuck::cast_slice_mut(to).copy_from_slice(bytemuck::bytes_of(&numbers));
        }
    }

    /// The first and the second values of pairs.
    #[inline(always)]
    fn split_pairs<T: Element<Real = F>>(self) -> [Self; 2]
    where
        F: Real,
    {
        let mut pairs = [F::ZERO; MOST_LANES];
        self.store(&mut pairs);
        let (mut first, mut second) = ([F::ZERO; MOST_LANES], [F::ZERO; MOST_LANES]);
        let values = first[..Self::WIDTH]
            .iter_mut()
            .zip(&mut second[..Self::WIDTH]);
        for ((first, second), &pair) in values.zip(&pairs[..Self::WIDTH]) {
            [*first, *second] = T::split(pair);
        }
        [Self::load(&first), Self::load(&second)]
    }

    /// Pairs of what is nearest to these first and second values.
    #[inline(always)]
    fn join_pairs<T: Element<Real = F>>(values: [Self; 2]) -> Self
    where
        F: Real,
    {
        let (mut first, mut second) = ([F::ZERO; MOST_LANES], [F::ZERO; MOST_LANES]);
        values[0].store(&mut first);
        values[1].store(&mut second);
        let mut pairs = [F::ZERO; MOST_LANES];
        let values = first[..Self::WIDTH].iter().zip(&second[..Self::WIDTH]);
        for (pair, (&first, &second)) in pairs[..Self::WIDTH].iter_mut().zip(values) {
            *pair = T::join([first, second]);
        }
        Self::load(&pairs)
    }

    /// The first `count` of what is stored as `T`, of those that there are, and zeros.
    #[inline(always)]
    fn load_part_from<T: Element<Real = F>>(from: &[T], count: usize) -> Self
    where
        F: Real,
    {
        let mut numbers = [F::ZERO; MOST_VECTORS];
        unrolled!(vectors Self::WIDTH, lane, {
            if lane < count && let Some(element) = from.get(lane) {
                numbers[lane] = element.to_real();
            }
        });
        Self::load(&numbers)
    }

    /// Rounds the first `count` to `T` and writes them, as far as there are places.
    #[inline(always)]
    fn store_part_to<T: Element<Real = F>>(self, to: &mut [T], count: usize)
    where
        F: Real,
    {
        let mut numbers = [F::ZERO; MOST_VECTORS];
        self.store(&mut numbers);
        unrolled!(vectors Self::WIDTH, lane, {
            if lane < count && let Some(element) = to.get_mut(lane) {
                *element = T::from_real(numbers[lane]);
            }
        });
    }

    /// Rounds to `T` and writes to the first `WIDTH` places, if there are so many.
    #[inline(always)]
    fn store_to<T: Element<Real = F>>(self, to: &mut [T])
    where
        F: Real,
    {
        if let Some(numbers) = T::as_reals_mut(to) {
            return self.store(numbers);
        }
        let mut numbers = [F::zero(); MOST_LANES];
        self.store(&mut numbers);
        if let Some(to) = to.get_mut(..Self::WIDTH) {
            for (element, number) in to.iter_mut().zip(numbers) {
                *element = T::from_real(number);
            }
        }
    }
}

/// A number type and its vectors.
pub trait Vectors: Sized {
    /// What the crate was compiled for.
    type Portable: Lanes<Self>;
    /// AVX2's, where there are any.
    type Avx2: Lanes<Self>;
    /// AVX-512's, where there are any.
    type Avx512: Lanes<Self>;
    /// Half as wide.
    type Narrow: Lanes<Self>;
}

macro_rules! vectors {
    ($real:ty, $portable:ty, $avx2:ident, $avx512:ident, $narrow:ident) => {
        impl Vectors for $real {
            type Portable = $portable;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = x86::$avx2;
            #[cfg(target_arch = "x86_64")]
            type Avx512 = x86::$avx512;
            #[cfg(target_arch = "x86_64")]
            type Narrow = x86::$narrow;
            #[cfg(not(target_arch = "x86_64"))]
            type Avx2 = $portable;
            #[cfg(not(target_arch = "x86_64"))]
            type Avx512 = $portable;
            #[cfg(not(target_arch = "x86_64"))]
            type Narrow = $portable;
        }
    };
}

vectors!(
    f32,
    portable::Single,
    Avx2Single,
    Avx512Single,
    NarrowSingle
);
vectors!(
    f64,
    portable::Double,
    Avx2Double,
    Avx512Double,
    NarrowDouble
);

/// Work on vectors of any width. `run` must be `#[inline(always)]`.
pub(crate) trait LaneKernel<F: Real> {
    /// What the work yields.
    type Output;
    /// Does the work.
    fn run<L: Lanes<F>>(self) -> Self::Output;
}

#[inline(never)]
fn call<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// A kernel with its vectors chosen.
struct Chosen<F, K, L> {
    kernel: K,
    lanes: PhantomData<(F, L)>,
}

impl<F: Real, K: LaneKernel<F>, L: Lanes<F>> Kernel for Chosen<F, K, L> {
    type Output = K::Output;

    #[inline(always)]
    fn run(self) -> K::Output {
        self.kernel.run::<L>()
    }
}

impl<F, K, L> Chosen<F, K, L> {
    const fn new(kernel: K) -> Self {
        let lanes = PhantomData;
        Self { kernel, lanes }
    }
}

impl Isa {
    /// Runs the kernel on these instructions' vectors, or on the portable ones where the machine lacks
    /// them.
    pub(crate) fn run_lanes<F: Real, K: LaneKernel<F>>(self, kernel: K) -> K::Output {
        self.run_one(
            kernel,
            Chosen::<F, K, F::Avx512>::new,
            Chosen::<F, K, F::Avx2>::new,
            Chosen::<F, K, F::Portable>::new,
        )
    }

    /// As [`run_lanes`](Self::run_lanes), but on vectors of half the width with AVX-512: for work on squares of as many numbers a
    /// side as there are lanes, of which the larger are slower.
    pub(crate) fn run_narrow_lanes<F: Real, K: LaneKernel<F>>(self, kernel: K) -> K::Output {
        self.run_one(
            kernel,
            Chosen::<F, K, F::Narrow>::new,
            Chosen::<F, K, F::Avx2>::new,
            Chosen::<F, K, F::Portable>::new,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says so by its rounding: NEON's multiply-add rounds once, SSE2's, simd128's and plain numbers' twice. What a build must
    /// be made of is asked for in `WAVEFT_INSTRUCTIONS`.
    #[test]
    fn the_portable_instance_is_made_of_what_it_says() {
        let instructions = Isa::Portable.instructions();
        if let Ok(expected) = std::env::var("WAVEFT_INSTRUCTIONS") {
            assert_eq!(instructions, expected);
        }
        let is_fused = instructions == "neon" || cfg!(target_feature = "fma");
        assert_rounds_once(is_fused, 1.0 + f32::EPSILON, 1.0 - f32::EPSILON);
        assert_rounds_once(is_fused, 1.0 + f64::EPSILON, 1.0 - f64::EPSILON);
    }

    /// `(1 + ε)(1 − ε) = 1 − ε²`, but 1 where it is rounded before 1 is subtracted.
    fn assert_rounds_once<F: Real>(expected: bool, above: F, below: F) {
        let [x, y, z] = [above, below, F::zero() - F::one()].map(F::Portable::splat);
        let mut residuals = [F::ZERO; MOST_LANES];
        x.multiply_add(y, z).store(&mut residuals);
        let stored = &residuals[..F::Portable::WIDTH];
        assert!(
            stored
                .iter()
                .all(|&residual| (residual < F::ZERO) == expected)
        );
    }
}
