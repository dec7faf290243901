//! Atoms in the operator's order, kept in the caller's memory, and coefficients brought into it.

use crate::locations::{Location, check_sides};
use crate::memory::{Memory, at_border};
use crate::status::Status;
use core::slice;
use waveft_core::geometry::{self, Geometry};
use waveft_core::spectrum::SortedAtoms;
use waveft_core::{Error, sampling, spectrum};

/// A layer and the taps of the filters that its update is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Layer {
    /// Outputs, `M`.
    pub out_features: usize,
    /// Inputs, `N`.
    pub in_features: usize,
    /// Taps of the filters, `L`; 1 for an update without a wavelet (`use_idwt = false`).
    pub taps: usize,
    /// Not 0 if the weight is stored in_features x out_features (`fan_in_fan_out`).
    pub fan_in_fan_out: u32,
}

/// Storage of one atom: where a coefficient's outer product of two filters lies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Atom {
    opaque: [u32; 2],
}

/// A layer's atoms, made by `waveft_atoms_sort`: what layers of one shape and seed share.
///
/// It keeps the address of the atoms' storage, which must stay as it is for as long as this is used. It may be moved or
/// copied, and needs no freeing. Zeroed memory is refused with `WAVEFT_NOT_SORTED`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Atoms {
    opaque: [usize; 8],
}

/// What [`Atoms`] holds.
#[derive(Clone)]
#[repr(C)]
struct Sorted {
    mark: usize,
    atoms: SortedAtoms<Storage>,
}

/// "WFT1": says that the rest was made here.
const MARK: usize = 0x5746_5431;

const _: () = assert!(
    size_of::<Atom>() == size_of::<geometry::Atom>()
        && align_of::<Atom>() == align_of::<geometry::Atom>()
);
const _: () = assert!(
    size_of::<Atoms>() == size_of::<Sorted>() && align_of::<Atoms>() == align_of::<Sorted>()
);

/// The caller's storage. Not a slice, for between calls it is the caller's again.
#[derive(Clone, Copy)]
pub(crate) struct Storage {
    data: *mut geometry::Atom,
    len: usize,
}

impl AsRef<[geometry::Atom]> for Storage {
    fn as_ref(&self) -> &[geometry::Atom] {
        // SAFETY: made of a slice in `waveft_atoms_sort`; the caller was told to leave it as it is, and `sorted` finds that
        // the call does not write it.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}

impl AsMut<[geometry::Atom]> for Storage {
    fn as_mut(&mut self) -> &mut [geometry::Atom] {
        // SAFETY: used in `waveft_atoms_sort` only, which has the slice to itself.
        unsafe { slice::from_raw_parts_mut(self.data, self.len) }
    }
}

/// The atoms that a caller had sorted.
pub(crate) fn sorted<'call>(
    memory: &mut Memory<'call>,
    atoms: *const Atoms,
) -> Result<&'call SortedAtoms<Storage>, Status> {
    let words = memory.read(atoms, 1)?;
    let [Atoms { opaque: [MARK, ..] }] = words else {
        return Err(Status::NotSorted);
    };
    // SAFETY: the mark says that `waveft_atoms_sort` wrote this or what it was copied from, a `Sorted`, of which size and
    // alignment are the same; `words` has its memory for the call.
    let sorted = unsafe { &*words.as_ptr().cast::<Sorted>() };
    let storage = sorted.atoms.atoms();
    memory.read(storage.as_ptr(), storage.len())?;
    Ok(&sorted.atoms)
}

/// Sorts the atoms of `count` locations into `storage`, and tells in `order` where each stood in `locations`: 8 + 4 bytes a
/// coefficient. `locations` is not needed afterwards.
///
/// `locations`, `storage` and `order` have `count` elements. In place, O(count · log count).
///
/// Errors: `WAVEFT_EMPTY_AXIS`, `WAVEFT_AXIS_TOO_LONG`, `WAVEFT_TAP_COUNT`, `WAVEFT_OUT_OF_BOUNDS`, `WAVEFT_LENGTH` for 2^32
/// locations or more, `WAVEFT_REPEATED_LOCATION`; only in the last case `storage` and `order` then hold unspecified values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_atoms_sort(
    layer: *const Layer,
    locations: *const Location,
    count: usize,
    storage: *mut Atom,
    order: *mut u32,
    atoms: *mut Atoms,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    at_border(memory, |memory| {
        let layer = memory.value(layer)?;
        let locations = memory.read(locations.cast::<sampling::Location>(), count)?;
        let storage = memory.write(storage.cast::<geometry::Atom>(), count)?;
        let order = memory.write(order, count)?;
        let atoms = memory.output(atoms.cast::<Sorted>())?;
        check_sides([layer.out_features, layer.in_features])?;
        let geometry = Geometry::new(layer.out_features, layer.in_features, layer.taps)?;
        let geometry = match layer.fan_in_fan_out {
            0 => geometry,
            _ => geometry.fan_in_fan_out(),
        };
        let storage = Storage {
            data: storage.as_mut_ptr(),
            len: count,
        };
        atoms.write(Sorted {
            mark: MARK,
            atoms: SortedAtoms::new(geometry, locations, storage, order)?,
        });
        Ok(())
    })
}

/// Brings coefficients from a file's order into the atoms': `sorted[k] = drawn[order[k]]`. All have `count` elements.
///
/// Errors: `WAVEFT_OUT_OF_BOUNDS` if `order` has an index of `count` or more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_gather(
    order: *const u32,
    drawn: *const f32,
    sorted: *mut f32,
    count: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    reorder(memory, order, (drawn, sorted), count, spectrum::gather)
}

/// Brings coefficients or their gradients back into a file's order: `drawn[order[k]] = sorted[k]`. All have `count`
/// elements.
///
/// Errors: `WAVEFT_OUT_OF_BOUNDS` if `order` has an index of `count` or more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn waveft_scatter(
    order: *const u32,
    sorted: *const f32,
    drawn: *mut f32,
    count: usize,
) -> Status {
    // SAFETY: asked of every caller at the head of the header.
    let memory = unsafe { Memory::of_the_caller() };
    reorder(memory, order, (sorted, drawn), count, spectrum::scatter)
}

fn reorder<'call>(
    memory: Memory<'call>,
    order: *const u32,
    (from, to): (*const f32, *mut f32),
    count: usize,
    reorder: impl FnOnce(&[u32], &[f32], &mut [f32]) -> Result<(), Error>,
) -> Status {
    at_border(memory, |memory| {
        let order = memory.read(order, count)?;
        let from = memory.read(from, count)?;
        let to = memory.write(to, count)?;
        // The core finds a wrong index when it comes to it; here nothing is written before.
        if order.iter().any(|&index| index as usize >= count) {
            return Err(Status::OutOfBounds);
        }
        Ok(reorder(order, from, to)?)
    })
}
