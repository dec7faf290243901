//! Transforms over all of rayon's threads.
//!
//! What each thread makes does not depend on how many there are, so results are the same bits for any number of them, and
//! the same as [`Wavedec`]'s own.
//!
//! - [`forward`] and [`inverse`] share one image among the threads: bands of rows, level by level.
//! - [`forward_batch`] and [`inverse_batch`] take many arrays of one shape, each of which is one thread's.

use rayon::prelude::*;
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::element::{Element, Real};
use waveft_core::transform::Wavedec;

/// The most elements of an image or of a band that a thread takes at once: enough to make sharing cheap, few enough to share
/// well.
const SHARE: usize = 1 << 17;

/// The fewest: a few microseconds of work.
const LEAST_SHARE: usize = 1 << 14;

/// [`Wavedec::forward`] of one row-major image.
///
/// Cost: that of the transform, shared; memory for the first two approximations, if there are more levels than one, and for a
/// few rows a thread.
///
/// # Errors
/// [`Error::Length`] unless the image has as many elements as the plan's shape, and `coefficients` the plan's number.
///
/// # Examples
/// ```
/// use waveft_core::{extension_mode::ExtensionMode, filter_bank::wavelets::DB4, transform::Wavedec};
/// use waveft_std::transform;
///
/// let plan = Wavedec::new([(DB4.single(), ExtensionMode::Symmetric); 2], [300, 200], 3)?;
/// let image = vec![1.0f32; 300 * 200];
/// let mut coefficients = vec![0.0; plan.coefficients_len()];
/// transform::forward(&plan, &image, &mut coefficients)?;
/// assert_eq!(coefficients, plan.forward_vec(&image)?);
/// let mut back = vec![0.0; image.len()];
/// transform::inverse(&plan, &coefficients, &mut back)?;
/// assert!(image.iter().zip(back).all(|(x, y)| (x - y).abs() < 1e-5));
/// # Ok::<(), waveft_core::Error>(())
/// ```
pub fn forward<F: Real>(
    plan: &Wavedec<'_, F, 2>,
    image: &[F],
    coefficients: &mut [F],
) -> Result<(), Error> {
    Array::new(image, plan.shape())?;
    check_coefficients(plan, coefficients.len())?;
    let (mut source, mut target) = (Vec::new(), Vec::new());
    for level in 1..=plan.levels() {
        let shape = plan.level_shape(level)?;
        let length = shape[0] * shape[1];
        let start = plan.band(level, [false, true])?.range.start;
        let (coarser, details) = coefficients.split_at_mut(start);
        let (low_high, details) = details.split_at_mut(length);
        let (high_low, details) = details.split_at_mut(length);
        let low_low = if level == plan.levels() {
            &mut coarser[..length]
        } else {
            target.resize(length, F::zero());
            &mut target[..length]
        };
        let before = plan.level_shape(level - 1)?;
        let source_rows = if level == 1 { image } else { &source[..] };
        let source_rows = Array::new(source_rows, before)?;
        let rows = rows_at_once(shape);
        (low_low.par_chunks_mut(rows * shape[1]))
            .zip(low_high.par_chunks_mut(rows * shape[1]))
            .zip(high_low.par_chunks_mut(rows * shape[1]))
            .zip(details[..length].par_chunks_mut(rows * shape[1]))
            .enumerate()
            .try_for_each_init(
                || vec![F::zero(); plan.part_scratch_len()],
                |scratch, (index, (((low_low, low_high), high_low), high_high))| {
                    let first = index * rows;
                    let range = first..first + low_low.len() / shape[1];
                    let bands = [low_low, low_high, high_low, high_high];
                    plan.forward_rows(level, range, &source_rows, bands, scratch)
                },
            )?;
        std::mem::swap(&mut source, &mut target);
    }
    Ok(())
}

/// [`Wavedec::inverse`] to one row-major image.
///
/// Cost: that of [`forward`].
///
/// # Errors
/// Those of [`forward`].
pub fn inverse<F: Real>(
    plan: &Wavedec<'_, F, 2>,
    coefficients: &[F],
    image: &mut [F],
) -> Result<(), Error> {
    Array::new(image, plan.shape())?;
    check_coefficients(plan, coefficients.len())?;
    let mut source: Vec<F> = Vec::new();
    for level in (1..=plan.levels()).rev() {
        let shape = plan.level_shape(level)?;
        let length = shape[0] * shape[1];
        let start = plan.band(level, [false, true])?.range.start;
        let band = |index: usize| &coefficients[start + index * length..][..length];
        let approximation = if level == plan.levels() {
            &coefficients[..length]
        } else {
            &source[..]
        };
        let bands = [approximation, band(0), band(1), band(2)];
        let [height, width] = plan.level_shape(level - 1)?;
        let mut between = Vec::new();
        let target = if level == 1 {
            &mut *image
        } else {
            between.resize(height * width, F::zero());
            &mut between
        };
        let rows = rows_at_once([height, width]);
        target
            .par_chunks_mut(rows * width)
            .enumerate()
            .try_for_each_init(
                || vec![F::zero(); plan.part_scratch_len()],
                |scratch, (index, target)| {
                    let first = index * rows;
                    let count = target.len() / width;
                    let mut target = ArrayMut::new(target, [count, width])?;
                    plan.inverse_rows(level, first..first + count, bands, &mut target, scratch)
                },
            )?;
        source = between;
    }
    Ok(())
}

fn check_coefficients<F: Real>(plan: &Wavedec<'_, F, 2>, found: usize) -> Result<(), Error> {
    let expected = plan.coefficients_len();
    if expected == found {
        return Ok(());
    }
    Err(Error::Length {
        what: "coefficients",
        expected,
        found,
    })
}

/// An even number of rows, so that no pair of them is made twice; of a small image two shares for each thread.
fn rows_at_once([height, width]: [usize; 2]) -> usize {
    let share = height.div_ceil(2 * rayon::current_num_threads());
    let rows = share.clamp(LEAST_SHARE / width, SHARE / width);
    rows.next_multiple_of(2).max(16)
}

/// [`Wavedec::forward`] of arrays of one shape, row-major and one behind the other; so are their coefficients.
///
/// # Errors
/// [`Error::Length`] unless the elements are those of whole arrays.
pub fn forward_batch<T, F, const D: usize>(
    plan: &Wavedec<'_, F, D>,
    arrays: &[T],
) -> Result<Vec<T>, Error>
where
    F: Real,
    T: Element<Real = F> + Send + Sync,
{
    let (length, count) = batch("arrays", plan.shape().into_iter().product(), arrays.len())?;
    let mut coefficients = vec![T::zeroed(); count * plan.coefficients_len()];
    (arrays.par_chunks(length))
        .zip(coefficients.par_chunks_mut(plan.coefficients_len()))
        .try_for_each_init(
            || vec![F::zero(); plan.scratch_len::<T>()],
            |scratch, (array, coefficients)| {
                plan.forward(&Array::new(array, plan.shape())?, coefficients, scratch)
            },
        )?;
    Ok(coefficients)
}

/// [`Wavedec::inverse`] to arrays of one shape, row-major and one behind the other, as their coefficients are.
///
/// # Errors
/// [`Error::Length`] unless the coefficients are those of whole arrays.
pub fn inverse_batch<T, F, const D: usize>(
    plan: &Wavedec<'_, F, D>,
    coefficients: &[T],
) -> Result<Vec<T>, Error>
where
    F: Real,
    T: Element<Real = F> + Send + Sync,
{
    let (length, count) = batch("coefficients", plan.coefficients_len(), coefficients.len())?;
    let entries = plan.shape().into_iter().product::<usize>();
    let mut arrays = vec![T::zeroed(); count * entries];
    (coefficients.par_chunks(length))
        .zip(arrays.par_chunks_mut(entries))
        .try_for_each_init(
            || vec![F::zero(); plan.scratch_len::<T>()],
            |scratch, (coefficients, array)| {
                let mut array = ArrayMut::new(array, plan.shape())?;
                plan.inverse(coefficients, &mut array, scratch)
            },
        )?;
    Ok(arrays)
}

/// An item's length, and how many items there are.
fn batch(what: &'static str, length: usize, found: usize) -> Result<(usize, usize), Error> {
    let count = found / length;
    if count * length == found {
        return Ok((length, count));
    }
    Err(Error::Length {
        what,
        expected: (count + 1) * length,
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;
    use rayon::ThreadPoolBuilder;
    use waveft_core::extension_mode::ExtensionMode::{Periodization, Reflect, Smooth};
    use waveft_core::filter_bank::wavelets::{BIOR4_4, DB5, HAAR};

    fn noise(length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| (i as u64 * 7919 % 2003) as f32 / 1000.0 - 1.0)
            .collect()
    }

    fn plans() -> Vec<Wavedec<'static, f32, 2>> {
        let axes = [
            [(DB5.single(), Smooth), (BIOR4_4.single(), Periodization)],
            [(HAAR.single(), Reflect), (DB5.single(), Smooth)],
        ];
        let shapes = [
            ([1, 1], 1),
            ([517, 403], 4),
            ([40, 20_000], 2),
            ([9000, 33], 1),
        ];
        axes.into_iter()
            .flat_map(|axes| shapes.map(|(shape, levels)| (axes, shape, levels)))
            .filter_map(|(axes, shape, levels)| Wavedec::new(axes, shape, levels).ok())
            .collect()
    }

    #[test]
    fn threads_change_nothing() {
        let plans = plans();
        assert!(plans.len() >= 6);
        for plan in plans {
            let image = noise(plan.shape().into_iter().product());
            let expected = plan.forward_vec(&image).unwrap();
            let back = plan.inverse_vec(&expected).unwrap();
            for threads in [1, 2, 5] {
                let pool = ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| {
                    let mut found = vec![7.0; expected.len()];
                    forward(&plan, &image, &mut found).unwrap();
                    assert!(found == expected);
                    let mut found = vec![7.0; image.len()];
                    inverse(&plan, &expected, &mut found).unwrap();
                    assert!(found == back);
                });
            }
        }
    }

    #[test]
    fn a_batch_is_its_arrays() {
        let axis = (DB5.single(), Periodization);
        let plan = Wavedec::new([axis; 3], [12, 10, 14], 1).unwrap();
        let arrays: Vec<bf16> = noise(5 * 1680).into_iter().map(bf16::from_f32).collect();
        let found = forward_batch(&plan, &arrays).unwrap();
        let back = inverse_batch(&plan, &found).unwrap();
        let length = plan.coefficients_len();
        for (index, array) in arrays.chunks(1680).enumerate() {
            let expected = plan.forward_vec(array).unwrap();
            assert!(found[index * length..][..length] == expected);
            assert!(back[index * 1680..][..1680] == plan.inverse_vec(&expected).unwrap());
        }
        assert!(forward_batch::<f32, f32, 3>(&plan, &[]).unwrap().is_empty());
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let plan = Wavedec::new([(HAAR.single(), Reflect); 2], [4, 6], 1).unwrap();
        let error = |what, expected, found| Error::Length {
            what,
            expected,
            found,
        };
        let (mut image, mut coefficients) = ([0.0; 24], [0.0; 24]);
        let found = forward(&plan, &image[..23], &mut coefficients);
        assert_eq!(found, Err(error("array", 24, 23)));
        let found = forward(&plan, &image, &mut coefficients[..23]);
        assert_eq!(found, Err(error("coefficients", 24, 23)));
        let found = inverse(&plan, &[0.0; 25], &mut image);
        assert_eq!(found, Err(error("coefficients", 24, 25)));
        let found = inverse(&plan, &coefficients, &mut image[1..]);
        assert_eq!(found, Err(error("array", 24, 23)));
        assert_eq!(
            forward_batch(&plan, &[0f32; 49]),
            Err(error("arrays", 72, 49))
        );
        let found = inverse_batch(&plan, &[0f32; 23]);
        assert_eq!(found, Err(error("coefficients", 24, 23)));
    }
}
