//! Gradients held to a norm: that of all parameters together, as `torch.nn.utils.clip_grad_norm_` does.
//!
//! The norm of several slices is the square root of the sum of their [`sum_of_squares`]; [`clip_factor`] makes of it the
//! factor by which to [`scale`] each.

use super::in_range;
use crate::element::Real;
use crate::error::Error;
use crate::isa::Isa;
use crate::kernel::Kernel;

/// Sums that run side by side, so that the machine's vectors can be used.
const SUMS: usize = 16;

/// What torch adds to the norm before it divides by it.
const NORM_GUARD: f64 = 1e-6;

/// The sum of the squares of all entries, in f64.
///
/// The order of the additions depends on the length alone, so that the result is the same bits on every machine. In f32,
/// squares are exact and cannot overflow, so that the sum is finite if and only if every entry is.
///
/// ```
/// use waveft_core::optimiser::sum_of_squares;
/// assert_eq!(sum_of_squares(&[3e30_f32, 4e30]).sqrt() as f32, 5e30);
/// ```
#[must_use]
pub fn sum_of_squares<F: Real>(gradient: &[F]) -> f64 {
    Isa::detect().run(SumOfSquares { gradient })
}

struct SumOfSquares<'a, F> {
    gradient: &'a [F],
}

impl<F: Real> Kernel for SumOfSquares<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0; SUMS];
        let (chunks, rest) = self.gradient.as_chunks::<SUMS>();
        for chunk in chunks {
            for (sum, entry) in sums.iter_mut().zip(chunk) {
                *sum += entry.to_f64() * entry.to_f64();
            }
        }
        for (sum, entry) in sums.iter_mut().zip(rest) {
            *sum += entry.to_f64() * entry.to_f64();
        }
        let mut count = SUMS / 2;
        while count > 0 {
            let (low, high) = sums.split_at_mut(count);
            for (low, high) in low.iter_mut().zip(high) {
                *low += *high;
            }
            count /= 2;
        }
        sums[0]
    }
}

/// The factor that brings gradients of this norm to at most `max_norm`: `min(1, max_norm / (norm + 1e-6))`.
///
/// # Errors
/// [`Error::OutOfRange`] unless `0 ≤ max_norm < ∞` and `0 ≤ norm < ∞`.
///
/// ```
/// use waveft_core::optimiser::clip_factor;
/// assert_eq!(clip_factor(1.0, 0.5)?, 1.0);
/// assert!((clip_factor(1.0, 4.0)? - 0.25).abs() < 1e-6);
/// # Ok::<(), waveft_core::Error>(())
/// ```
pub fn clip_factor(max_norm: f64, norm: f64) -> Result<f64, Error> {
    in_range("largest gradient norm", max_norm, 0.0, f64::INFINITY)?;
    in_range("gradient norm", norm, 0.0, f64::INFINITY)?;
    Ok((max_norm / (norm + NORM_GUARD)).min(1.0))
}

/// Multiplies every entry by `factor`, rounded to `F` first.
pub fn scale<F: Real>(gradient: &mut [F], factor: f64) {
    Isa::detect().run(Scale {
        gradient,
        factor: F::from_f64(factor),
    });
}

struct Scale<'a, F> {
    gradient: &'a mut [F],
    factor: F,
}

impl<F: Real> Kernel for Scale<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for entry in self.gradient {
            *entry *= self.factor;
        }
    }
}

/// The index of the first entry that is NaN or infinite.
///
/// ```
/// use waveft_core::optimiser::first_non_finite;
/// assert_eq!(first_non_finite(&[1.0, f64::NAN, f64::INFINITY]), Some(1));
/// assert_eq!(first_non_finite(&[1.0_f32, f32::MAX]), None);
/// ```
#[must_use]
pub fn first_non_finite<F: Real>(gradient: &[F]) -> Option<usize> {
    gradient
        .iter()
        .position(|entry| !entry.to_f64().is_finite())
}
