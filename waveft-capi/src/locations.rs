//! Where a layer has its trained coefficients.

use crate::memory::{Memory, at_border};
use crate::status::Status;
use waveft_core::sampling;

/// A place in a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Location {
    /// Row, from 0.
    pub row: u32,
    /// Column, from 0.
    pub column: u32,
}

const _: () = assert!(
    size_of::<Location>() == size_of::<sampling::Location>()
        && align_of::<Location>() == align_of::<sampling::Location>()
);

/// That a layer's sides are in the core's range. With taps they must be smaller still, which the core says.
pub(crate) fn check_sides(sides: [usize; 2]) -> Result<(), Status> {
    if sides.contains(&0) {
        return Err(Status::EmptyAxis);
    }
    if sides.iter().any(|&side| side >= 1 << 30) {
        return Err(Status::AxisTooLong);
    }
    Ok(())
}

/// Elements of scratch that drawing `count` locations of a `rows` x `columns` matrix takes, in `*len`: at most `8 · count`,
/// and 0 from 214,748,364 entries on.
///
/// Errors: `WAVEFT_EMPTY_AXIS`, `WAVEFT_AXIS_TOO_LONG` (sides of 2^30 or more), `WAVEFT_LOCATION_COUNT` unless
/// `1 <= count <= rows · columns`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_locations_scratch_len(
    rows: usize,
    columns: usize,
    count: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let len = memory.output(len)?;
        check_sides([rows, columns])?;
        let entries = rows as u64 * columns as u64;
        if count == 0 || count as u64 > entries {
            return Err(Status::LocationCount);
        }
        len.write(sampling::scratch_len(entries, count));
        Ok(())
    })
}

/// Draws where a `rows` x `columns` layer (out_features x in_features) has its trained coefficients, as PEFT and torch do
/// from a seed, bit for bit: location `k` is that of coefficient `k` in a file.
///
/// `locations` has `count` elements, `scratch` at least as many as `waveft_locations_scratch_len` says, of any content. A
/// negative seed is its two's complement. Cost: O(count); from 214,748,364 entries on two draws for each entry.
///
/// Errors: those of `waveft_locations_scratch_len`, `WAVEFT_LENGTH`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_locations(
    rows: usize,
    columns: usize,
    seed: u64,
    locations: *mut Location,
    count: usize,
    scratch: *mut u32,
    scratch_len: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let locations = memory.write(locations.cast::<sampling::Location>(), count)?;
        let scratch = memory.write(scratch, scratch_len)?;
        Ok(sampling::locations(
            rows, columns, seed, locations, scratch,
        )?)
    })
}
