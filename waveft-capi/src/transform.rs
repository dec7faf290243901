//! One level of the wavelet transform of a line, its inverse, and the adjoint of each.

use crate::filter_bank::{FilterBank, checked};
use crate::memory::{Memory, at_border};
use crate::status::Status;
use waveft_core::Error;
use waveft_core::extension_mode::ExtensionMode;
use waveft_core::transform;

/// What a signal is taken to be beyond its ends: PyWavelets' nine modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Mode {
    /// Zeros.
    Zero,
    /// The end samples repeated.
    Constant,
    /// Mirrored between samples.
    Symmetric,
    /// Repeated.
    Periodic,
    /// The straight lines through the two samples at each end.
    Smooth,
    /// Repeated, with as few coefficients as can be.
    Periodization,
    /// Mirrored at the end samples; needs two.
    Reflect,
    /// Mirrored between samples and negated.
    Antisymmetric,
    /// Turned about the end samples; needs two.
    Antireflect,
}

pub(crate) fn extension_mode(mode: u32) -> Result<ExtensionMode, Status> {
    let found = ExtensionMode::ALL.get(mode as usize);
    found.copied().ok_or(Status::UnknownMode)
}

/// One level of the transform of a line. Every function that takes one also returns the errors of a wrong one:
/// `WAVEFT_TAP_COUNT`, `WAVEFT_UNKNOWN_MODE`, `WAVEFT_SIGNAL_LENGTH`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Dwt {
    /// The wavelet, with filters of `L` taps.
    pub bank: *const FilterBank,
    /// A `waveft_mode`.
    pub mode: u32,
    /// Samples of the signal, `N`.
    pub length: usize,
}

/// The lengths that a `waveft_dwt` takes, in elements.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct DwtLengths {
    /// Coefficients of each band: (N + L - 1) / 2, rounded down; for periodization N / 2, rounded up.
    pub band: usize,
    /// Samples that synthesis gives: N, plus 1 if that is odd. The signal is the first N of them.
    pub reconstructed: usize,
    /// Scratch that each function needs at least; what it holds is of no account.
    pub scratch: usize,
}

fn dwt<'call>(
    memory: &mut Memory<'call>,
    dwt: *const Dwt,
) -> Result<transform::Dwt<'call, f32>, Status> {
    let dwt = memory.value(dwt)?;
    let bank = checked(memory, dwt.bank)?;
    let mode = extension_mode(dwt.mode)?;
    Ok(transform::Dwt::new(bank, mode, dwt.length)?)
}

/// The lengths of a transform, in `*lengths`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_dwt_measure(dwt: *const Dwt, lengths: *mut DwtLengths) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let dwt = self::dwt(memory, dwt)?;
        memory.output(lengths)?.write(DwtLengths {
            band: dwt.band_length(),
            reconstructed: dwt.reconstructed_length(),
            scratch: dwt.scratch_len(),
        });
        Ok(())
    })
}

/// Analysis: from a signal of N samples to an approximation and a detail of `band` coefficients each.
///
/// Errors: `WAVEFT_LENGTH` unless `signal_len` is N, `band_len` is `band` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_dwt_forward(
    dwt: *const Dwt,
    signal: *const f32,
    signal_len: usize,
    approximation: *mut f32,
    detail: *mut f32,
    band_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let signal = (signal, signal_len);
    let bands = ([approximation, detail], band_len);
    let scratch = (scratch, scratch_len);
    analyse(memory, dwt, signal, bands, scratch, transform::Dwt::forward)
}

/// Synthesis: from both bands to `reconstructed` samples.
///
/// Errors: `WAVEFT_LENGTH` unless `signal_len` is `reconstructed`, `band_len` is `band` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_dwt_inverse(
    dwt: *const Dwt,
    approximation: *const f32,
    detail: *const f32,
    band_len: usize,
    signal: *mut f32,
    signal_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let bands = ([approximation, detail], band_len);
    let signal = (signal, signal_len);
    let scratch = (scratch, scratch_len);
    synthesise(memory, dwt, bands, signal, scratch, transform::Dwt::inverse)
}

/// The adjoint of analysis, which takes a gradient by the coefficients to that by the N samples.
///
/// Errors: `WAVEFT_LENGTH` unless `signal_len` is N, `band_len` is `band` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_dwt_forward_adjoint(
    dwt: *const Dwt,
    approximation: *const f32,
    detail: *const f32,
    band_len: usize,
    signal: *mut f32,
    signal_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let bands = ([approximation, detail], band_len);
    let signal = (signal, signal_len);
    let scratch = (scratch, scratch_len);
    synthesise(
        memory,
        dwt,
        bands,
        signal,
        scratch,
        transform::Dwt::forward_adjoint,
    )
}

/// The adjoint of synthesis, which takes a gradient by the `reconstructed` samples to that by the coefficients.
///
/// Errors: `WAVEFT_LENGTH` unless `signal_len` is `reconstructed`, `band_len` is `band` and `scratch_len` at least `scratch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_dwt_inverse_adjoint(
    dwt: *const Dwt,
    signal: *const f32,
    signal_len: usize,
    approximation: *mut f32,
    detail: *mut f32,
    band_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    let signal = (signal, signal_len);
    let bands = ([approximation, detail], band_len);
    let scratch = (scratch, scratch_len);
    analyse(
        memory,
        dwt,
        signal,
        bands,
        scratch,
        transform::Dwt::inverse_adjoint,
    )
}

fn analyse<'call>(
    memory: Memory<'call>,
    dwt: *const Dwt,
    (signal, signal_len): (*const f32, usize),
    ([approximation, detail], band_len): ([*mut f32; 2], usize),
    (scratch, scratch_len): (*mut f32, usize),
    analyse: impl FnOnce(
        &transform::Dwt<'call, f32>,
        &[f32],
        &mut [f32],
        &mut [f32],
        &mut [f32],
    ) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let dwt = self::dwt(memory, dwt)?;
        let signal = memory.read(signal, signal_len)?;
        let approximation = memory.write(approximation, band_len)?;
        let detail = memory.write(detail, band_len)?;
        let scratch = memory.write(scratch, scratch_len)?;
        Ok(analyse(&dwt, signal, approximation, detail, scratch)?)
    })
}

fn synthesise<'call>(
    memory: Memory<'call>,
    dwt: *const Dwt,
    ([approximation, detail], band_len): ([*const f32; 2], usize),
    (signal, signal_len): (*mut f32, usize),
    (scratch, scratch_len): (*mut f32, usize),
    synthesise: impl FnOnce(
        &transform::Dwt<'call, f32>,
        &[f32],
        &[f32],
        &mut [f32],
        &mut [f32],
    ) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let dwt = self::dwt(memory, dwt)?;
        let approximation = memory.read(approximation, band_len)?;
        let detail = memory.read(detail, band_len)?;
        let signal = memory.write(signal, signal_len)?;
        let scratch = memory.write(scratch, scratch_len)?;
        Ok(synthesise(&dwt, approximation, detail, signal, scratch)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_the_cores_numbers() {
        for (number, mode) in ExtensionMode::ALL.into_iter().enumerate() {
            assert_eq!(extension_mode(number as u32), Ok(mode));
        }
        assert_eq!(extension_mode(9), Err(Status::UnknownMode));
        let named = [
            (Mode::Zero, ExtensionMode::Zero),
            (Mode::Constant, ExtensionMode::Constant),
            (Mode::Symmetric, ExtensionMode::Symmetric),
            (Mode::Periodic, ExtensionMode::Periodic),
            (Mode::Smooth, ExtensionMode::Smooth),
            (Mode::Periodization, ExtensionMode::Periodization),
            (Mode::Reflect, ExtensionMode::Reflect),
            (Mode::Antisymmetric, ExtensionMode::Antisymmetric),
            (Mode::Antireflect, ExtensionMode::Antireflect),
        ];
        for (mode, expected) in named {
            assert_eq!(extension_mode(mode as u32), Ok(expected));
        }
    }
}
