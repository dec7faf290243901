//! AdamW and the clipping of gradients.

use crate::memory::{Memory, at_border};
use crate::status::Status;
use waveft_core::optimiser::{self, Rates};

/// AdamW's hyperparameters. torch's defaults are 0.001, 0.01, 0.9, 0.999 and 1e-8.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct AdamW {
    /// The step's length: finite, at least 0.
    pub learning_rate: f64,
    /// What pulls values towards zero: finite, at least 0.
    pub weight_decay: f64,
    /// What the first moment keeps of itself from step to step: at least 0, below 1.
    pub first_beta: f64,
    /// What the second moment keeps: at least 0, below 1.
    pub second_beta: f64,
    /// What keeps the denominator from zero: finite, at least 0.
    pub epsilon: f64,
}

/// One step of AdamW on `len` values, as torch takes it. The moments are zero before the first step, which is number 1, and
/// are all that it remembers.
///
/// `values`, `gradient` and both moments have `len` elements. Cost: a read of all four and a write of three.
///
/// Errors: `WAVEFT_OUT_OF_RANGE` for a hyperparameter or step 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_adam_w_step(
    adam_w: *const AdamW,
    step: u64,
    values: *mut f32,
    gradient: *const f32,
    first_moment: *mut f32,
    second_moment: *mut f32,
    len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let adam_w = memory.value(adam_w)?;
        let values = memory.write(values, len)?;
        let gradient = memory.read(gradient, len)?;
        let first_moment = memory.write(first_moment, len)?;
        let second_moment = memory.write(second_moment, len)?;
        let rates = Rates::new(adam_w.learning_rate, adam_w.weight_decay)?;
        let betas = [adam_w.first_beta, adam_w.second_beta];
        let update = optimiser::AdamW::new(betas, adam_w.epsilon)?.update(step, rates)?;
        Ok(update.apply(values, gradient, first_moment, second_moment)?)
    })
}

/// The sum of the squares of `len` entries, in `*sum`, added in double precision. The norm of several gradients is the square
/// root of the sum of theirs; the sum is finite if and only if all entries are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_sum_of_squares(
    gradient: *const f32,
    len: usize,
    sum: *mut f64,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let gradient = memory.read(gradient, len)?;
        memory
            .output(sum)?
            .write(optimiser::sum_of_squares(gradient));
        Ok(())
    })
}

/// The factor that brings gradients of a norm to at most `max_norm`, in `*factor`: min(1, max_norm / (norm + 1e-6)), as
/// torch's `clip_grad_norm_`.
///
/// Errors: `WAVEFT_OUT_OF_RANGE` unless both are finite and at least 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_clip_factor(max_norm: f64, norm: f64, factor: *mut f64) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let factor = memory.output(factor)?;
        factor.write(optimiser::clip_factor(max_norm, norm)?);
        Ok(())
    })
}

/// Multiplies `len` entries by `factor`, rounded to single precision first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_scale(gradient: *mut f32, len: usize, factor: f64) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        optimiser::scale(memory.write(gradient, len)?, factor);
        Ok(())
    })
}
