//! The wavelet transform of an image over one or more levels, its inverse, and the adjoint of each.

use crate::filter_bank::{FilterBank, checked};
use crate::matrix::{Matrix, MatrixMut, array, array_mut};
use crate::memory::{Memory, at_border};
use crate::status::Status;
use crate::transform::extension_mode;
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::transform;

/// The transform of an image over one or more levels, the same wavelet and mode along both axes; PyWavelets' `wavedec2`.
///
/// Its coefficients are one buffer, the coarsest bands first, each row-major: with `a` for approximation and `d` for detail,
/// first from row to row, then along a row, two levels are `aa2 ad2 da2 dd2 ad1 da1 dd1`. Images have a column stride of 1
/// and any row stride.
///
/// Every function that takes one also returns the errors of a wrong one: `WAVEFT_TAP_COUNT`, `WAVEFT_UNKNOWN_MODE`,
/// `WAVEFT_SIGNAL_LENGTH`, `WAVEFT_LENGTH` for an image larger than memory, and `WAVEFT_LEVELS` unless
/// `1 <= levels <= max(1, floor(log2(T / (L - 1))))`, `T` being the shorter side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Wavedec2 {
    /// The wavelet, with filters of `L` taps.
    pub bank: *const FilterBank,
    /// A `waveft_mode`.
    pub mode: u32,
    /// Rows of the image.
    pub rows: usize,
    /// Columns of the image.
    pub columns: usize,
    /// How often it is split.
    pub levels: usize,
}

/// The lengths that a `waveft_wavedec2` takes, in elements.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Wavedec2Lengths {
    /// All coefficients.
    pub coefficients: usize,
    /// Scratch that each function needs at least; what it holds is of no account.
    pub scratch: usize,
}

/// Where a band lies among the coefficients, row-major.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Band {
    /// Its first element.
    pub start: usize,
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
}

fn wavedec2<'call>(
    memory: &mut Memory<'call>,
    wavedec2: *const Wavedec2,
) -> Result<transform::Wavedec<'call, f32, 2>, Status> {
    let plan = memory.value(wavedec2)?;
    let axis = (checked(memory, plan.bank)?, extension_mode(plan.mode)?);
    let shape = [plan.rows, plan.columns];
    Ok(transform::Wavedec::new([axis; 2], shape, plan.levels)?)
}

/// The lengths of a transform, in `*lengths`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_wavedec2_measure(
    wavedec2: *const Wavedec2,
    lengths: *mut Wavedec2Lengths,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let plan = self::wavedec2(memory, wavedec2)?;
        memory.output(lengths)?.write(Wavedec2Lengths {
            coefficients: plan.coefficients_len(),
            scratch: plan.scratch_len::<f32>(),
        });
        Ok(())
    })
}

/// Where a band lies: of level 1, the finest, to `levels`, the detail or the approximation from row to row and along a row.
/// Only the last level has a band that is no detail at all.
///
/// Errors: `WAVEFT_LEVELS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_wavedec2_band(
    wavedec2: *const Wavedec2,
    level: usize,
    row_detail: bool,
    column_detail: bool,
    band: *mut Band,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let plan = self::wavedec2(memory, wavedec2)?;
        let place = memory.output(band)?;
        let band = plan.band(level, [row_detail, column_detail])?;
        let [rows, columns] = band.shape;
        place.write(Band {
            start: band.range.start,
            rows,
            columns,
        });
        Ok(())
    })
}

/// Analysis of an image.
///
/// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
/// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_wavedec2_forward(
    wavedec2: *const Wavedec2,
    image: *const Matrix,
    coefficients: *mut f32,
    coefficients_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let coefficients = (coefficients, coefficients_len);
    let scratch = (scratch, scratch_len);
    let analyse = transform::Wavedec::forward;
    self::analyse(memory, wavedec2, image, coefficients, scratch, analyse)
}

/// Synthesis: the image of these coefficients.
///
/// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
/// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_wavedec2_inverse(
    wavedec2: *const Wavedec2,
    coefficients: *const f32,
    coefficients_len: usize,
    image: *const MatrixMut,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let coefficients = (coefficients, coefficients_len);
    let scratch = (scratch, scratch_len);
    let synthesise = transform::Wavedec::inverse;
    self::synthesise(memory, wavedec2, coefficients, image, scratch, synthesise)
}

/// The adjoint of analysis, which takes a gradient by the coefficients to that by the image.
///
/// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
/// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_wavedec2_forward_adjoint(
    wavedec2: *const Wavedec2,
    coefficients: *const f32,
    coefficients_len: usize,
    image: *const MatrixMut,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let coefficients = (coefficients, coefficients_len);
    let scratch = (scratch, scratch_len);
    let synthesise = transform::Wavedec::forward_adjoint;
    self::synthesise(memory, wavedec2, coefficients, image, scratch, synthesise)
}

/// The adjoint of synthesis, which takes a gradient by the image to that by the coefficients.
///
/// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
/// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_wavedec2_inverse_adjoint(
    wavedec2: *const Wavedec2,
    image: *const Matrix,
    coefficients: *mut f32,
    coefficients_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let coefficients = (coefficients, coefficients_len);
    let scratch = (scratch, scratch_len);
    let analyse = transform::Wavedec::inverse_adjoint;
    self::analyse(memory, wavedec2, image, coefficients, scratch, analyse)
}

fn analyse<'call>(
    memory: Memory<'call>,
    wavedec2: *const Wavedec2,
    image: *const Matrix,
    (coefficients, coefficients_len): (*mut f32, usize),
    (scratch, scratch_len): (*mut f32, usize),
    analyse: impl FnOnce(
        &transform::Wavedec<'call, f32, 2>,
        &Array<'call, f32, 2>,
        &mut [f32],
        &mut [f32],
    ) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let plan = self::wavedec2(memory, wavedec2)?;
        let image = array(memory, image)?;
        let coefficients = memory.write(coefficients, coefficients_len)?;
        let scratch = memory.write(scratch, scratch_len)?;
        Ok(analyse(&plan, &image, coefficients, scratch)?)
    })
}

fn synthesise<'call>(
    memory: Memory<'call>,
    wavedec2: *const Wavedec2,
    (coefficients, coefficients_len): (*const f32, usize),
    image: *const MatrixMut,
    (scratch, scratch_len): (*mut f32, usize),
    synthesise: impl FnOnce(
        &transform::Wavedec<'call, f32, 2>,
        &[f32],
        &mut ArrayMut<'call, f32, 2>,
        &mut [f32],
    ) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let plan = self::wavedec2(memory, wavedec2)?;
        let coefficients = memory.read(coefficients, coefficients_len)?;
        let mut image = array_mut(memory, image)?;
        let scratch = memory.write(scratch, scratch_len)?;
        Ok(synthesise(&plan, coefficients, &mut image, scratch)?)
    })
}
