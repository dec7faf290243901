//! The sparse spectrum `S`: atoms in the order the operator takes them, each with its coefficient.
//!
//! A file holds coefficients in sampling order. The operator sweeps the weight once from its first
//! row to its last, so it wants them sorted by row. [`SortedAtoms`] finds that order once for all
//! layers of a shape and seed, [`gather`] brings a layer's coefficients into it, and [`scatter`]
//! brings them, or their gradients, back.

mod order;

use crate::error::{Error, check_length};
use crate::filter_bank::MAX_TAPS;
use crate::geometry::{Atom, Geometry};
use crate::sampling::Location;

/// The atoms of a layer in ascending order, kept in `A`: `[Atom; N]`, `Vec<Atom>`, `&mut [Atom]`, …
///
/// An `A` of another kind has to show by `as_ref` the atoms that were sorted by way of its `as_mut`: this is not checked, and if it
/// does not, ΔW and its products have unspecified values.
#[derive(Clone, Debug)]
pub struct SortedAtoms<A> {
    geometry: Geometry,
    atoms: A,
}

impl<A: AsRef<[Atom]> + AsMut<[Atom]>> SortedAtoms<A> {
    /// Sorts the atoms of `places` into `atoms`, and tells in `order` where each stood in `places`.
    ///
    /// All three have one length `n`. Sorts in place, in `O(n log(M N))`, without allocation.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice has another length than `places` or `n ≥ 2³²`,
    /// [`Error::OutOfBounds`] if a place lies outside the layer, and [`Error::RepeatedPlace`] if one
    /// comes twice; `order` then holds unspecified values.
    ///
    /// ```
    /// use waveft_core::{geometry::{Atom, Geometry}, sampling::Location, spectrum::SortedAtoms};
    /// let layer = Geometry::new(4, 4, 2)?;
    /// let places = [Location { row: 3, column: 1 }, Location { row: 0, column: 0 }];
    /// let mut order = [0; 2];
    /// SortedAtoms::new(layer, &places, [Atom::default(); 2], &mut order)?;
    /// assert_eq!(order, [1, 0]);
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn new(
        geometry: Geometry,
        places: &[Location],
        mut atoms: A,
        order: &mut [u32],
    ) -> Result<Self, Error> {
        sort(geometry, places, atoms.as_mut(), order)?;
        Ok(Self { geometry, atoms })
    }
}

impl<A: AsRef<[Atom]>> SortedAtoms<A> {
    /// The layer's axes.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The atoms, in ascending order.
    #[must_use]
    pub fn atoms(&self) -> &[Atom] {
        self.atoms.as_ref()
    }
}

fn sort(
    geometry: Geometry,
    places: &[Location],
    atoms: &mut [Atom],
    order: &mut [u32],
) -> Result<(), Error> {
    check_length("atoms", places.len(), atoms.len())?;
    check_length("order", places.len(), order.len())?;
    check_length("places", places.len().min(u32::MAX as usize), places.len())?;
    for place in places {
        geometry.atom(*place)?;
    }
    for (((atom, index), place), position) in atoms.iter_mut().zip(&mut *order).zip(places).zip(0..)
    {
        *atom = geometry.atom(*place)?;
        *index = position;
    }
    order::sort(atoms, order);
    // A place trained twice would be recorded twice, and undoing would not restore it.
    for (atoms, indices) in atoms.array_windows().zip(order.array_windows()) {
        let ([one, other], &[first, second]) = (atoms, indices);
        if one == other {
            return Err(Error::RepeatedPlace {
                first: first.min(second) as usize,
                second: first.max(second) as usize,
            });
        }
    }
    mark_alone(atoms, geometry.taps());
    Ok(())
}

/// Marks the atoms whose entries no other atom covers: in a sparse spectrum nearly all of them, and
/// they need no summing.
///
/// Two atoms meet if their positions are less than `L / 2` apart on both axes. The atoms of one row
/// position are sorted by column, so for every distance in rows a pointer runs along that finds the
/// first one near enough: `O(n · L)` in all.
fn mark_alone(atoms: &mut [Atom], taps: usize) {
    let reach = taps.div_ceil(2);
    // Entry `i` for the row position `i + 1 − reach` below.
    let mut near = [0; MAX_TAPS + 1];
    let near = near.get_mut(..2 * reach - 1).unwrap_or_default();
    for at in 0..atoms.len() {
        let Some(atom) = atoms.get(at).copied() else {
            return;
        };
        let first_column = (atom.column() + 1).saturating_sub(reach);
        let meets = |(index, pointer): (usize, &mut usize)| {
            let Some(row) = (atom.row() + index + 1).checked_sub(reach) else {
                return false;
            };
            let before = |a: &Atom| (a.row(), a.column()) < (row, first_column);
            while atoms.get(*pointer).is_some_and(before) {
                *pointer += 1;
            }
            // Not the atom itself, but the next one in its row.
            let other = *pointer + usize::from(*pointer == at);
            let meets = |a: &Atom| a.row() == row && a.column() < atom.column() + reach;
            atoms.get(other).is_some_and(meets)
        };
        let is_alone = !near.iter_mut().enumerate().any(meets);
        if let Some(atom) = atoms.get_mut(at).filter(|_| is_alone) {
            atom.set_alone();
        }
    }
}

/// Brings coefficients from sampling order into the atoms' order: `sorted[k] = drawn[order[k]]`.
///
/// # Errors
/// [`Error::Length`] unless all three have one length, [`Error::OutOfBounds`] if `order` names an
/// entry that is not there; `sorted` then holds unspecified values.
pub fn gather<T: Copy>(order: &[u32], drawn: &[T], sorted: &mut [T]) -> Result<(), Error> {
    check_length("drawn coefficients", order.len(), drawn.len())?;
    check_length("sorted coefficients", order.len(), sorted.len())?;
    for (entry, &index) in sorted.iter_mut().zip(order) {
        *entry = *drawn.get(index as usize).ok_or(Error::OutOfBounds {
            what: "order",
            bound: drawn.len() as u64,
            found: u64::from(index),
        })?;
    }
    Ok(())
}

/// Brings coefficients back into sampling order: `drawn[order[k]] = sorted[k]`.
///
/// # Errors
/// Those of [`gather`]; `drawn` then holds unspecified values.
pub fn scatter<T: Copy>(order: &[u32], sorted: &[T], drawn: &mut [T]) -> Result<(), Error> {
    check_length("sorted coefficients", order.len(), sorted.len())?;
    check_length("drawn coefficients", order.len(), drawn.len())?;
    let bound = drawn.len() as u64;
    for (&value, &index) in sorted.iter().zip(order) {
        *drawn.get_mut(index as usize).ok_or(Error::OutOfBounds {
            what: "order",
            bound,
            found: u64::from(index),
        })? = value;
    }
    Ok(())
}

/// Sorted atoms of one layer and their coefficients.
#[derive(Clone, Copy, Debug)]
pub struct SparseSpectrum<'a, F> {
    geometry: Geometry,
    atoms: &'a [Atom],
    coefficients: &'a [F],
}

impl<'a, F> SparseSpectrum<'a, F> {
    /// Joins atoms with coefficients in the same order, which [`gather`] makes. Nothing but their number is checked: coefficients
    /// in another order give another ΔW.
    ///
    /// # Errors
    /// [`Error::Length`] unless both have one length.
    pub fn new<A: AsRef<[Atom]>>(
        atoms: &'a SortedAtoms<A>,
        coefficients: &'a [F],
    ) -> Result<Self, Error> {
        let geometry = atoms.geometry();
        let atoms = atoms.atoms();
        check_length("coefficients", atoms.len(), coefficients.len())?;
        Ok(Self {
            geometry,
            atoms,
            coefficients,
        })
    }

    /// The layer's axes.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The atoms, in ascending order.
    #[must_use]
    pub const fn atoms(&self) -> &'a [Atom] {
        self.atoms
    }

    /// The coefficients, in the atoms' order.
    #[must_use]
    pub const fn coefficients(&self) -> &'a [F] {
        self.coefficients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_comes_twice_is_refused() {
        let place = |row, column| Location { row, column };
        for taps in [1, 4] {
            let layer = Geometry::new(5, 3, taps).unwrap();
            let places = [place(4, 0), place(2, 1), place(4, 0)];
            let atoms = [Atom::default(); 3];
            let error = SortedAtoms::new(layer, &places, atoms, &mut [0; 3]).unwrap_err();
            let repeated = Error::RepeatedPlace {
                first: 0,
                second: 2,
            };
            assert_eq!(error, repeated);
        }
    }

    #[test]
    fn an_atom_is_the_same_alone_and_in_company() {
        let layer = Geometry::new(8, 8, 2).unwrap();
        let sorted = |column| {
            let places = [0, column].map(|column| Location { row: 0, column });
            SortedAtoms::new(layer, &places, [Atom::default(); 2], &mut [0; 2]).unwrap()
        };
        // Place (0, 4) has the position of place (0, 0) in the other half.
        let (alone, company) = (sorted(3), sorted(4));
        assert!(alone.atoms()[0].is_alone() && !company.atoms()[0].is_alone());
        assert_eq!(alone.atoms()[0], company.atoms()[0]);
        let set = std::collections::HashSet::from([alone.atoms()[0], company.atoms()[0]]);
        assert_eq!(set.len(), 1);
    }
}
