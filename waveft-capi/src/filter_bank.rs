//! Filter banks.

use crate::memory::{Memory, at_border};
use crate::status::Status;
use core::ffi::c_char;
use waveft_core::filter_bank::{FilterBank as Checked, Wavelet};

/// Four filters of `taps` taps each, `L`: even, 2 to 128, with PyWavelets' names and order.
///
/// Each of `WAVEFT_HAAR`, `WAVEFT_DB1`, … is a bank in read-only memory, and a program that names some links these only.
/// A bank of one's own is a structure like any other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct FilterBank {
    /// The analysis low-pass filter.
    pub dec_lo: *const f32,
    /// The analysis high-pass filter.
    pub dec_hi: *const f32,
    /// The synthesis low-pass filter.
    pub rec_lo: *const f32,
    /// The synthesis high-pass filter.
    pub rec_hi: *const f32,
    /// Taps of each.
    pub taps: usize,
}

// SAFETY: the pointers of a bank in read-only memory are to read-only memory too.
unsafe impl Sync for FilterBank {}

impl FilterBank {
    pub(crate) const fn of(wavelet: &Wavelet) -> Self {
        let bank = wavelet.single();
        Self {
            dec_lo: bank.dec_lo().as_ptr(),
            dec_hi: bank.dec_hi().as_ptr(),
            rec_lo: bank.rec_lo().as_ptr(),
            rec_hi: bank.rec_hi().as_ptr(),
            taps: bank.taps(),
        }
    }

    fn filters<'call>(&self, memory: &mut Memory<'call>) -> Result<[&'call [f32]; 4], Status> {
        Ok([
            memory.read(self.dec_lo, self.taps)?,
            memory.read(self.dec_hi, self.taps)?,
            memory.read(self.rec_lo, self.taps)?,
            memory.read(self.rec_hi, self.taps)?,
        ])
    }
}

/// The core's bank.
pub(crate) fn checked<'call>(
    memory: &mut Memory<'call>,
    bank: *const FilterBank,
) -> Result<Checked<'call, f32>, Status> {
    let bank = memory.value(bank)?;
    let [dec_lo, dec_hi, rec_lo, rec_hi] = bank.filters(memory)?;
    Ok(Checked::without_reconstruction(
        dec_lo, dec_hi, rec_lo, rec_hi,
    )?)
}

/// The bank that PyWavelets has under a name in lower case: "haar", "db1" to "db38", "sym2" to "sym20", "coif1" to "coif17",
/// "dmey", "bior1.1" to "bior6.8", "rbio1.1" to "rbio6.8". It lives as long as the program.
///
/// A program that calls this links the taps of every wavelet; one that has to be small names a `WAVEFT_…` bank.
///
/// Errors: `WAVEFT_UNKNOWN_WAVELET`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_filter_bank_named(
    name: *const c_char,
    bank: *mut FilterBank,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let name = memory.text(name)?;
        let bank = memory.output(bank)?;
        let name = name.to_str().map_err(|_| Status::UnknownWavelet)?;
        bank.write(FilterBank::of(Wavelet::from_name(name)?));
        Ok(())
    })
}

/// Whether a bank of one's own reconstructs: whether synthesis undoes analysis, to 1e-5. No other function asks for that.
///
/// Errors: `WAVEFT_TAP_COUNT`, `WAVEFT_NON_FINITE`, `WAVEFT_NOT_RECONSTRUCTING` (also of "dmey" and PEFT's coif4).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_filter_bank_check(bank: *const FilterBank) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let bank = memory.value(bank)?;
        let [dec_lo, dec_hi, rec_lo, rec_hi] = bank.filters(memory)?;
        Checked::new(dec_lo, dec_hi, rec_lo, rec_hi)?;
        Ok(())
    })
}
