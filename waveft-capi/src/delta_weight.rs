//! The update of a layer: ΔW added and undone, and its products with tokens.

use crate::atoms::{Atoms, sorted};
use crate::filter_bank::{FilterBank, checked};
use crate::matrix::{Matrix, MatrixMut, array, array_mut, weight};
use crate::memory::{Memory, at_border};
use crate::status::Status;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::spectrum::SparseSpectrum;
use waveft_core::{Error, operator};

/// An update ΔW = scaling · R · S · C^T of an M x N layer, never formed: a sparse spectrum S of `count` coefficients between
/// two synthesis operators.
///
/// All that it points to is only read. Every function that takes one also returns the errors of a wrong one:
/// `WAVEFT_NOT_SORTED`, `WAVEFT_LENGTH` unless there are as many coefficients as atoms, `WAVEFT_TAP_COUNT` unless the bank
/// has the layer's taps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct DeltaWeight {
    /// Where the coefficients lie.
    pub atoms: *const Atoms,
    /// The coefficients in the atoms' order, which `waveft_gather` brings them into.
    pub coefficients: *const f32,
    /// How many.
    pub count: usize,
    /// The wavelet; null for an update without one.
    pub bank: *const FilterBank,
    /// The factor on all of ΔW.
    pub scaling: f32,
}

/// The core's update.
fn delta_weight<'call>(
    memory: &mut Memory<'call>,
    delta: *const DeltaWeight,
) -> Result<operator::DeltaWeight<'call, f32>, Status> {
    let delta = memory.value(delta)?;
    let atoms = sorted(memory, delta.atoms)?;
    let coefficients = memory.read(delta.coefficients, delta.count)?;
    let bank = match delta.bank.is_null() {
        true => None,
        false => Some(checked(memory, delta.bank)?),
    };
    let spectrum = SparseSpectrum::new(atoms, coefficients)?;
    Ok(operator::DeltaWeight::new(spectrum, bank, delta.scaling)?)
}

/// Writes ΔW over `weight`, which has the shape in which the layer's weight is stored.
///
/// Errors: `WAVEFT_SHAPE`, `WAVEFT_STRIDE`, `WAVEFT_LENGTH`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_write(
    delta: *const DeltaWeight,
    weight: *const MatrixMut,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    change(memory, delta, weight, operator::DeltaWeight::write)
}

/// weight += ΔW, as PEFT merges. Entries that no atom covers are not touched. Cost: O(count · L²), as of subtracting,
/// recording and undoing.
///
/// Errors: those of `waveft_delta_weight_write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_add(
    delta: *const DeltaWeight,
    weight: *const MatrixMut,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    change(memory, delta, weight, operator::DeltaWeight::add)
}

/// weight -= ΔW, as PEFT unmerges: near what was there before, but not exactly.
///
/// Errors: those of `waveft_delta_weight_write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_subtract(
    delta: *const DeltaWeight,
    weight: *const MatrixMut,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    change(memory, delta, weight, operator::DeltaWeight::subtract)
}

/// Elements that `waveft_delta_weight_add_recording` may overwrite, in `*len`: min(count · L², M · N).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_undo_len(
    delta: *const DeltaWeight,
    len: *mut usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    measure(memory, delta, len, operator::DeltaWeight::undo_len)
}

/// `waveft_delta_weight_add` that keeps in `undo` what it overwrites; `undo_len` is what `waveft_delta_weight_undo_len` says.
///
/// Errors: those of `waveft_delta_weight_write`; `WAVEFT_LENGTH` for another `undo_len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_add_recording(
    delta: *const DeltaWeight,
    weight: *const MatrixMut,
    undo: *mut f32,
    undo_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        let mut weight = self::weight(memory, weight)?;
        let undo = memory.write(undo, undo_len)?;
        Ok(delta.add_recording(&mut weight, undo)?)
    })
}

/// Puts back every bit that `waveft_delta_weight_add_recording` overwrote. Several additions are undone last first.
///
/// Errors: those of `waveft_delta_weight_add_recording`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_undo(
    delta: *const DeltaWeight,
    weight: *const MatrixMut,
    undo: *const f32,
    undo_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        let mut weight = self::weight(memory, weight)?;
        let undo = memory.read(undo, undo_len)?;
        Ok(delta.undo(&mut weight, undo)?)
    })
}

/// Elements of scratch that `waveft_delta_weight_apply` and `waveft_delta_weight_apply_transposed` need, in `*len`. It depends
/// on the layer, the number of coefficients and the target, not on the tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_apply_scratch_len(
    delta: *const DeltaWeight,
    len: *mut usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    measure(memory, delta, len, operator::DeltaWeight::apply_scratch_len)
}

/// y += x ΔW^T: what the update adds to the layer's output. `x` is tokens x N and `y` tokens x M, with any row stride and a
/// column stride of 1. Cost: O((M + N) · L + count) a token.
///
/// Errors: `WAVEFT_SHAPE`, `WAVEFT_STRIDE`, `WAVEFT_LENGTH` (also for scratch that is too short), `WAVEFT_EMPTY_AXIS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_apply(
    delta: *const DeltaWeight,
    x: *const Matrix,
    y: *const MatrixMut,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let scratch = (scratch, scratch_len);
    multiply(memory, delta, x, y, scratch, operator::DeltaWeight::apply)
}

/// dx += dy ΔW, the adjoint of `waveft_delta_weight_apply`: `dy` is tokens x M and `dx` tokens x N.
///
/// Errors: those of `waveft_delta_weight_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_apply_transposed(
    delta: *const DeltaWeight,
    dy: *const Matrix,
    dx: *const MatrixMut,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let scratch = (scratch, scratch_len);
    multiply(
        memory,
        delta,
        dy,
        dx,
        scratch,
        operator::DeltaWeight::apply_transposed,
    )
}

/// y += x ΔW^T of one token, without scratch: `x` has N elements and `y` has M. Cost: O(count · L).
///
/// Errors: `WAVEFT_LENGTH`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_apply_token(
    delta: *const DeltaWeight,
    x: *const f32,
    x_len: usize,
    y: *mut f32,
    y_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        let x = memory.read(x, x_len)?;
        let y = memory.write(y, y_len)?;
        Ok(delta.apply_token(x, y)?)
    })
}

/// Elements of scratch that `waveft_delta_weight_backward` needs, in `*len`. It depends on the layer, the number of coefficients
/// and the target, not on the tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_backward_scratch_len(
    delta: *const DeltaWeight,
    len: *mut usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    measure(
        memory,
        delta,
        len,
        operator::DeltaWeight::backward_scratch_len,
    )
}

/// Gradients from `dy`, the loss' by the layer's output: adds those by the coefficients to `gradient`, in the atoms' order,
/// and dy ΔW to `dx`, unless that is null.
///
/// `x`, the layer's input, is tokens x N, `dy` tokens x M and `dx` tokens x N, with any row stride and a column stride of 1;
/// `gradient` has `count` elements. Gradients are added to what is there: clear them before the first batch of a step.
///
/// Errors: those of `waveft_delta_weight_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_delta_weight_backward(
    delta: *const DeltaWeight,
    x: *const Matrix,
    dy: *const Matrix,
    dx: *const MatrixMut,
    gradient: *mut f32,
    count: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        let x = array(memory, x)?;
        let dy = array(memory, dy)?;
        let gradient = memory.write(gradient, count)?;
        let scratch = memory.write(scratch, scratch_len)?;
        if dx.is_null() {
            return Ok(delta.grad_spectrum(&x, &dy, gradient, scratch)?);
        }
        let mut dx = array_mut(memory, dx)?;
        Ok(delta.backward(&x, &dy, &mut dx, gradient, scratch)?)
    })
}

/// Changes a weight.
fn change<'call>(
    memory: Memory<'call>,
    delta: *const DeltaWeight,
    weight: *const MatrixMut,
    change: impl FnOnce(
        &operator::DeltaWeight<'call, f32>,
        &mut waveft_core::matrix::MatrixMut<'call, f32>,
    ) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        Ok(change(&delta, &mut self::weight(memory, weight)?)?)
    })
}

/// Tells a length.
fn measure<'call>(
    memory: Memory<'call>,
    delta: *const DeltaWeight,
    len: *mut usize,
    measure: impl FnOnce(&operator::DeltaWeight<'call, f32>) -> usize,
) -> Status {
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        memory.output(len)?.write(measure(&delta));
        Ok(())
    })
}

/// Multiplies tokens by the update.
fn multiply<'call>(
    memory: Memory<'call>,
    delta: *const DeltaWeight,
    input: *const Matrix,
    output: *const MatrixMut,
    (scratch, scratch_len): (*mut f32, usize),
    multiply: impl FnOnce(
        &operator::DeltaWeight<'call, f32>,
        &Array<'call, f32, 2>,
        &mut ArrayMut<'call, f32, 2>,
        &mut [f32],
    ) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let delta = delta_weight(memory, delta)?;
        let input = array(memory, input)?;
        let mut output = array_mut(memory, output)?;
        let scratch = memory.write(scratch, scratch_len)?;
        Ok(multiply(&delta, &input, &mut output, scratch)?)
    })
}
