//! The atoms in the order in which a side is swept.

use super::DeltaWeight;
use super::block::GROUP;
use super::side::most_slots;
use crate::element::Real;
use crate::geometry::{Atom, Geometry};
use crate::slices::split_mut;

/// An atom's slot on the side that is swept, counted from its group's first, and on the other one.
pub(super) type Slots = [u32; 2];

/// Elements that hold so many words of 32 bits.
const fn elements<F>(words: usize) -> usize {
    (words * size_of::<u32>()).div_ceil(size_of::<F>())
}

/// Words for the order of `count` atoms.
const fn words(layer: Geometry, count: usize) -> usize {
    3 * count + most_groups(layer)
}

/// The most groups of a side: the first one and the last one may be shorter than the others.
const fn most_groups(layer: Geometry) -> usize {
    most_slots(layer) / GROUP + 2
}

/// Elements of scratch for the order of `count` atoms, of which `gradients` have gradients.
pub(super) const fn order_len<F>(layer: Geometry, count: usize, gradients: usize) -> usize {
    elements::<F>(words(layer, count)) + count + gradients
}

/// The atoms by their groups on the side that is swept, with their coefficients and what their gradients are added to.
///
/// A spectrum is sorted by rows already. For the columns its atoms are counted into their groups, in `O(n)`, and copied, so that what
/// the sweep needs of each atom lies where it is next. Within a group they stay sorted by rows.
pub(super) struct Order<'a, F> {
    /// The end of each group's atoms.
    pub(super) ends: &'a [u32],
    pub(super) slots: &'a [Slots],
    pub(super) coefficients: &'a [F],
    pub(super) gradient: &'a mut [F],
    /// Of the copies the spectrum's indices, and the gradient that is copied.
    copied: Option<(&'a [u32], &'a mut [F])>,
}

impl<'a, F: Real> Order<'a, F> {
    /// The first group is `first` long, or as long as the others if that is zero. `gradient` has an element for each atom, or none;
    /// `scratch` has [`order_len`] elements.
    #[inline(always)]
    pub(super) fn new(
        delta: &DeltaWeight<'a, F>,
        by_rows: bool,
        first: usize,
        gradient: &'a mut [F],
        scratch: &'a mut [F],
    ) -> Self {
        let spectrum = delta.spectrum;
        let (atoms, coefficients) = (spectrum.atoms(), spectrum.coefficients());
        let layer = spectrum.geometry();
        let words = words(layer, atoms.len());
        let (words, copies) = split_mut(scratch, elements::<F>(words));
        let words: &mut [u32] = bytemuck::try_cast_slice_mut(words).unwrap_or_default();
        let (ends, words) = split_mut(words, most_groups(layer));
        let (in_order, words) = split_mut(words, 2 * atoms.len());
        let (indices, _) = split_mut(words, atoms.len());
        let places = Places {
            by_rows,
            // Without a wavelet there is one slot where an atom counts two.
            halved: u32::from(delta.bank.is_none()),
            first,
        };
        places.order(atoms, ends, in_order.as_chunks_mut().0, indices);
        let (ends, slots) = (&*ends, in_order.as_chunks().0);
        if by_rows {
            return Self {
                ends,
                slots,
                coefficients,
                gradient,
                copied: None,
            };
        }
        let (coefficients_in_order, copies) = split_mut(copies, atoms.len());
        let (gradient_in_order, _) = split_mut(copies, gradient.len());
        copy(coefficients, indices, coefficients_in_order);
        copy(gradient, indices, gradient_in_order);
        Self {
            ends,
            slots,
            coefficients: coefficients_in_order,
            gradient: gradient_in_order,
            copied: Some((indices, gradient)),
        }
    }

    /// Puts the gradient where it was copied from.
    #[inline(always)]
    pub(super) fn finish(self) {
        let Some((indices, gradient)) = self.copied else {
            return;
        };
        for (&index, &sum) in indices.iter().zip(&*self.gradient) {
            if let Some(element) = gradient.get_mut(index as usize) {
                *element = sum;
            }
        }
    }
}

#[inline(always)]
fn copy<F: Real>(from: &[F], indices: &[u32], to: &mut [F]) {
    for (to, &index) in to.iter_mut().zip(indices) {
        *to = from.get(index as usize).copied().unwrap_or(F::ZERO);
    }
}

/// Where atoms are on the side that is swept.
struct Places {
    by_rows: bool,
    halved: u32,
    /// The length of the first group, or zero.
    first: usize,
}

impl Places {
    /// Counts the atoms into their groups; those of a group stay in their order.
    #[inline(always)]
    fn order(&self, atoms: &[Atom], ends: &mut [u32], slots: &mut [Slots], indices: &mut [u32]) {
        ends.fill(0);
        for atom in atoms {
            if let Some(count) = ends.get_mut(self.of(atom).0) {
                *count += 1;
            }
        }
        let mut before = 0;
        for end in &mut *ends {
            (*end, before) = (before, before + *end);
        }
        for (index, atom) in atoms.iter().enumerate() {
            let (group, of_atom) = self.of(atom);
            let Some(next) = ends.get_mut(group) else {
                continue;
            };
            let place = *next as usize;
            *next += 1;
            if let (Some(slots), Some(from)) = (slots.get_mut(place), indices.get_mut(place)) {
                (*slots, *from) = (of_atom, index as u32);
            }
        }
    }

    /// An atom's group, and its slots.
    #[inline(always)]
    fn of(&self, atom: &Atom) -> (usize, Slots) {
        let [row, column] =
            [atom.row_slot(), atom.column_slot()].map(|slot| (slot >> self.halved) as u32);
        let [slot, other] = match self.by_rows {
            true => [row, column],
            false => [column, row],
        };
        let (group, local) = match (slot as usize).checked_sub(self.first) {
            None => (0, slot),
            Some(behind) => (
                usize::from(self.first > 0) + behind / GROUP,
                (behind % GROUP) as u32,
            ),
        };
        (group, [local, other])
    }
}
