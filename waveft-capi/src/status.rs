//! What a call came to.

use core::ffi::{CStr, c_char};
use waveft_core::Error;

/// What a call came to. After all but `WAVEFT_OK` nothing was written, except where a function says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Status {
    /// All was done.
    Ok,
    /// A null pointer where there must be memory.
    NullPointer,
    /// A pointer that is not a multiple of its type's alignment.
    Misaligned,
    /// More elements than memory can hold.
    SizeOverflow,
    /// Memory to be written that overlaps other memory of the same call.
    Overlap,
    /// Atoms that `waveft_atoms_sort` did not make.
    NotSorted,
    /// A name that no discrete wavelet has.
    UnknownWavelet,
    /// A number that is not a `waveft_mode`.
    UnknownMode,
    /// A side of a matrix or a length of zero.
    EmptyAxis,
    /// A side of a layer too long for an atom: length + taps must be below 2^30.
    AxisTooLong,
    /// A number of taps that is odd, zero or above 128, or not that of the layer.
    TapCount,
    /// A tap that is NaN or infinite.
    NonFinite,
    /// A filter bank whose synthesis does not invert its analysis.
    NotReconstructing,
    /// No locations, or more than the matrix has entries.
    LocationCount,
    /// A location outside the layer, or an index outside the order.
    OutOfBounds,
    /// A location that comes twice.
    RepeatedLocation,
    /// A hyperparameter outside its range.
    OutOfRange,
    /// A buffer of another length than the call takes, or a matrix that ends beyond its memory.
    Length,
    /// A signal shorter than its mode needs, or longer than memory.
    SignalLength,
    /// A matrix of another shape than the call takes.
    Shape,
    /// Strides that place two entries in one element, or a gap between entries that the call cannot take.
    Stride,
    /// A level that the transform does not have, or more levels than the shape allows.
    Levels,
    /// A fault of the library: please report it. Outputs hold unspecified values.
    Internal,
}

impl Status {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 23] = [
        Self::Ok,
        Self::NullPointer,
        Self::Misaligned,
        Self::SizeOverflow,
        Self::Overlap,
        Self::NotSorted,
        Self::UnknownWavelet,
        Self::UnknownMode,
        Self::EmptyAxis,
        Self::AxisTooLong,
        Self::TapCount,
        Self::NonFinite,
        Self::NotReconstructing,
        Self::LocationCount,
        Self::OutOfBounds,
        Self::RepeatedLocation,
        Self::OutOfRange,
        Self::Length,
        Self::SignalLength,
        Self::Shape,
        Self::Stride,
        Self::Levels,
        Self::Internal,
    ];

    const fn message(self) -> &'static CStr {
        match self {
            Self::Ok => c"done",
            Self::NullPointer => c"expected memory, found a null pointer",
            Self::Misaligned => c"expected an aligned pointer",
            Self::SizeOverflow => c"expected a size that memory can hold",
            Self::Overlap => c"expected outputs that overlap no other memory of the call",
            Self::NotSorted => c"expected atoms made by waveft_atoms_sort",
            Self::UnknownWavelet => c"expected the name of a discrete wavelet, as PyWavelets has it",
            Self::UnknownMode => c"expected a waveft_mode",
            Self::EmptyAxis => c"expected lengths of at least one",
            Self::AxisTooLong => c"expected length + taps below 2^30",
            Self::TapCount => c"expected an even number of taps from 2 to 128, the layer's",
            Self::NonFinite => c"expected finite taps",
            Self::NotReconstructing => c"expected filters that reconstruct",
            Self::LocationCount => c"expected 1 to rows x columns locations",
            Self::OutOfBounds => c"expected a location or an index within bounds",
            Self::RepeatedLocation => c"expected different locations",
            Self::OutOfRange => c"expected a hyperparameter in its range",
            Self::Length => c"expected a buffer of the call's length",
            Self::SignalLength => c"expected a signal as long as its mode needs",
            Self::Shape => c"expected a matrix of the call's shape",
            Self::Stride => c"expected strides that keep entries apart, and rows without gaps where the call needs them",
            Self::Levels => c"expected a level that the transform has",
            Self::Internal => c"a fault of the library",
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::EmptyAxis => Self::EmptyAxis,
            Error::AxisTooLong { .. } => Self::AxisTooLong,
            Error::TapCount { .. } => Self::TapCount,
            Error::UnknownWavelet => Self::UnknownWavelet,
            Error::NonFinite { .. } => Self::NonFinite,
            Error::NotReconstructing { .. } => Self::NotReconstructing,
            Error::LocationCount { .. } => Self::LocationCount,
            Error::OutOfBounds { .. } => Self::OutOfBounds,
            Error::OutOfRange { .. } => Self::OutOfRange,
            Error::RepeatedPlace { .. } => Self::RepeatedLocation,
            // `DeltaWeight` tells a bank of other taps than the layer's as a length.
            Error::Length {
                what: "filters", ..
            } => Self::TapCount,
            Error::Length { .. } => Self::Length,
            Error::SignalLength { .. } => Self::SignalLength,
            Error::Shape { .. } | Error::AxisLength { .. } => Self::Shape,
            Error::OverlappingStrides { .. }
            | Error::OverlappingAxes { .. }
            | Error::Stride { .. } => Self::Stride,
            Error::Levels { .. } => Self::Levels,
            // What remains is about names, axes and factors that C cannot pass.
            _ => Self::Internal,
        }
    }
}

/// What a status means, in English and without a full stop; of a number that is no status too. It is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn waveft_status_message(status: u32) -> *const c_char {
    let known = Status::ALL.get(status as usize);
    known
        .map_or(c"not a status", |known| known.message())
        .as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_status_has_its_number_and_a_message_of_its_own() {
        let mut messages = HashSet::new();
        for (number, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, number);
            let message = waveft_status_message(number as u32);
            // SAFETY: a string that lives for ever.
            assert!(messages.insert(unsafe { CStr::from_ptr(message) }));
        }
        // SAFETY: as above.
        let unknown = [23, u32::MAX].map(|n| unsafe { CStr::from_ptr(waveft_status_message(n)) });
        assert_eq!(unknown, [c"not a status"; 2]);
    }
}
