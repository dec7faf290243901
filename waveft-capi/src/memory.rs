//! The border: a call's pointers become slices, and its result a status.

use crate::status::Status;
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;

/// The most pieces of memory that a call has: a gradient's are the atoms and their storage, the
/// coefficients, four filters, three matrices, the gradient and scratch.
const MOST_PIECES: usize = 12;

/// The memory of one call. No piece of it that is written overlaps another.
pub(crate) struct Memory<'call> {
    /// Addresses, and whether they are written.
    pieces: [(Range<usize>, bool); MOST_PIECES],
    len: usize,
    call: PhantomData<&'call mut ()>,
}

impl<'call> Memory<'call> {
    /// No memory yet; the methods add to it.
    ///
    /// # Safety
    /// For all of `'call`, every pointer given to a method must be null, misaligned, or the address of as many elements as
    /// are given with it (text: up to its NUL), which nobody else writes, nor reads if they are to be written. What is
    /// read must be initialised.
    pub(crate) unsafe fn of_the_caller() -> Self {
        Self {
            pieces: [const { (0..0, false) }; MOST_PIECES],
            len: 0,
            call: PhantomData,
        }
    }

    /// Elements to be read. `T` is a type of which all bits are values.
    pub(crate) fn read<T>(&mut self, data: *const T, len: usize) -> Result<&'call [T], Status> {
        if !self.claim(data, len, false)? {
            return Ok(&[]);
        }
        // SAFETY: `claim` has found a pointer that is neither null nor misaligned, and a size that a slice may have;
        // `of_the_caller` was promised the elements, and `claim` found that none of them is written.
        Ok(unsafe { slice::from_raw_parts(data, len) })
    }

    /// Elements to be written. `T` is a type of which all bits are values.
    pub(crate) fn write<T>(&mut self, data: *mut T, len: usize) -> Result<&'call mut [T], Status> {
        if !self.claim(data, len, true)? {
            return Ok(&mut []);
        }
        // SAFETY: as in `read`, and `claim` found no other piece that has one of these elements.
        Ok(unsafe { slice::from_raw_parts_mut(data, len) })
    }

    /// The place of a result.
    pub(crate) fn output<T>(&mut self, at: *mut T) -> Result<&'call mut MaybeUninit<T>, Status> {
        let place = self.write(at.cast::<MaybeUninit<T>>(), 1)?;
        place.first_mut().ok_or(Status::Internal)
    }

    /// A copy of a small structure. `T` is a type of which all bits are values.
    pub(crate) fn value<T: Copy>(&mut self, at: *const T) -> Result<T, Status> {
        span(at, 1)?;
        // SAFETY: `span` has found a pointer that is neither null nor misaligned, and `of_the_caller` was promised one
        // element there.
        Ok(unsafe { at.read() })
    }

    /// A text that ends with NUL.
    pub(crate) fn text(&mut self, text: *const c_char) -> Result<&'call CStr, Status> {
        span(text, 1)?;
        // SAFETY: not null, as `span` has found; `of_the_caller` was promised a NUL.
        Ok(unsafe { CStr::from_ptr(text) })
    }

    /// Adds a piece; whether it has elements.
    fn claim<T>(&mut self, data: *const T, len: usize, written: bool) -> Result<bool, Status> {
        if len == 0 {
            return Ok(false);
        }
        let span = span(data, len)?;
        let pieces = self.pieces.get(..self.len).unwrap_or_default();
        let meets = |(other, other_written): &(Range<usize>, bool)| {
            (written || *other_written) && span.start < other.end && other.start < span.end
        };
        if pieces.iter().any(meets) {
            return Err(Status::Overlap);
        }
        let piece = self.pieces.get_mut(self.len).ok_or(Status::Internal)?;
        *piece = (span, written);
        self.len += 1;
        Ok(true)
    }
}

/// The addresses of `len` elements.
fn span<T>(data: *const T, len: usize) -> Result<Range<usize>, Status> {
    if data.is_null() {
        return Err(Status::NullPointer);
    }
    if !data.is_aligned() {
        return Err(Status::Misaligned);
    }
    let size = len.checked_mul(size_of::<T>());
    let size = size.filter(|&size| size <= isize::MAX as usize);
    let end = size.and_then(|size| data.addr().checked_add(size));
    let end = end.ok_or(Status::SizeOverflow)?;
    Ok(data.addr()..end)
}

/// Does a call's work. A panic, of which none is known, ends here.
pub(crate) fn at_border<'call>(
    mut memory: Memory<'call>,
    work: impl FnOnce(&mut Memory<'call>) -> Result<(), Status>,
) -> Status {
    let work = || work(&mut memory);
    #[cfg(feature = "std")]
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or(Err(Status::Internal));
    #[cfg(not(feature = "std"))]
    let result = work();
    result.err().unwrap_or(Status::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory<'call>() -> Memory<'call> {
        // SAFETY: each test passes memory of its own.
        unsafe { Memory::of_the_caller() }
    }

    #[test]
    fn what_is_written_overlaps_nothing() {
        let mut data = [0.0f32; 10];
        let at = data.as_mut_ptr();
        let mut memory = memory();
        assert!(memory.read(at, 4).is_ok());
        assert!(memory.read(at, 5).is_ok(), "what is only read may overlap");
        assert_eq!(memory.write(at.wrapping_add(4), 3), Err(Status::Overlap));
        assert!(memory.write(at.wrapping_add(5), 3).is_ok());
        assert_eq!(memory.read(at.wrapping_add(7), 2), Err(Status::Overlap));
        assert!(memory.read(at.wrapping_add(8), 2).is_ok());
        assert!(memory.write(at, 0).is_ok(), "nothing overlaps nothing");
    }

    #[test]
    fn pointers_are_refused() {
        let mut data = [0u32; 2];
        let at = data.as_mut_ptr();
        let mut memory = memory();
        assert_eq!(
            memory.read::<f32>(core::ptr::null(), 1),
            Err(Status::NullPointer)
        );
        assert_eq!(memory.read::<f32>(core::ptr::null(), 0), Ok(&[][..]));
        assert_eq!(
            memory.read(at.wrapping_byte_add(1), 1),
            Err(Status::Misaligned)
        );
        for len in [usize::MAX, usize::MAX / 4, isize::MAX as usize / 4 + 1] {
            assert_eq!(memory.write(at, len), Err(Status::SizeOverflow));
        }
        let last = core::ptr::without_provenance::<u32>(usize::MAX - 3);
        assert_eq!(memory.read(last, 2), Err(Status::SizeOverflow));
    }

    #[test]
    fn more_pieces_than_any_call_has_are_refused() {
        let data = [0u32; 2];
        let mut memory = memory();
        for _ in 0..MOST_PIECES {
            assert!(memory.read(data.as_ptr(), 2).is_ok());
        }
        assert_eq!(memory.read(data.as_ptr(), 2), Err(Status::Internal));
    }

    #[cfg(feature = "std")]
    #[test]
    fn no_panic_crosses_the_border() {
        let status = at_border(memory(), |_| panic!("on purpose"));
        assert_eq!(status, Status::Internal);
        assert_eq!(at_border(memory(), |_| Ok(())), Status::Ok);
    }
}
