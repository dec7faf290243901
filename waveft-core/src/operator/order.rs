//! The atoms in the order in which a side is swept.

use super::DeltaWeight;
use super::block::GROUP;
use super::side::slots;
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
    3 * count + slots(layer.columns()) + most_groups(layer)
}

/// The most groups of a side: the first one and the last one may be shorter than the others.
const fn most_groups(layer: Geometry) -> usize {
    let (rows, columns) = (slots(layer.rows()), slots(layer.columns()));
    let most = if rows > columns { rows } else { columns };
    most / GROUP + 2
}

/// Elements of scratch for the order of `count` atoms, of which `gradients` have gradients.
pub(super) const fn order_len<F>(layer: Geometry, count: usize, gradients: usize) -> usize {
    elements::<F>(words(layer, count)) + count + gradients
}

/// The atoms by their slots on the side that is swept, with their coefficients and what their gradients are added to.
///
/// A spectrum is sorted by rows already. For the columns it is counted into their order, in `O(n + C)`, and copied, so that what the
/// sweep needs of each atom lies where it is next.
pub(super) struct Order<'a, F> {
    /// Atoms of each group.
    pub(super) counts: &'a [u32],
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
        let (counts, words) = split_mut(words, most_groups(layer));
        counts.fill(0);
        let mut grouped = Grouped { counts, first };
        let (in_order, words) = split_mut(words, 2 * atoms.len());
        let in_order = in_order.as_chunks_mut().0;
        // Without a wavelet there is one slot where an atom counts two.
        let halved = u32::from(delta.bank.is_none());
        if by_rows {
            for (slots, atom) in in_order.iter_mut().zip(atoms) {
                let [row, column] = slots_of(atom, halved);
                *slots = [grouped.count(row), column];
            }
            return Self {
                counts: grouped.counts,
                slots: in_order,
                coefficients,
                gradient,
                copied: None,
            };
        }
        let (indices, next) = split_mut(words, atoms.len());
        sort_by_column(atoms, halved, indices, next);
        let (coefficients_in_order, copies) = split_mut(copies, atoms.len());
        let (gradient_in_order, _) = split_mut(copies, gradient.len());
        let copies = in_order.iter_mut().zip(&mut *coefficients_in_order);
        for ((slots, coefficient), &index) in copies.zip(&*indices) {
            if let (Some(atom), Some(&from)) =
                (atoms.get(index as usize), coefficients.get(index as usize))
            {
                let [row, column] = slots_of(atom, halved);
                (*slots, *coefficient) = ([grouped.count(column), row], from);
            }
        }
        for (element, &index) in gradient_in_order.iter_mut().zip(&*indices) {
            *element = gradient.get(index as usize).copied().unwrap_or(F::ZERO);
        }
        Self {
            counts: grouped.counts,
            slots: in_order,
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

/// How many atoms there are in each group.
struct Grouped<'a> {
    counts: &'a mut [u32],
    /// The length of the first group, or zero.
    first: usize,
}

impl Grouped<'_> {
    /// Counts an atom, and tells its slot from its group's first on.
    #[inline(always)]
    fn count(&mut self, slot: u32) -> u32 {
        let behind = (slot as usize).checked_sub(self.first);
        let (group, local) = match behind {
            None => (0, slot as usize),
            Some(behind) => (usize::from(self.first > 0) + behind / GROUP, behind % GROUP),
        };
        if let Some(count) = self.counts.get_mut(group) {
            *count += 1;
        }
        local as u32
    }
}

/// The slots of an atom among those of the rows and of the columns.
#[inline(always)]
fn slots_of(atom: &Atom, halved: u32) -> [u32; 2] {
    [atom.row_slot(), atom.column_slot()].map(|slot| (slot >> halved) as u32)
}

/// The indices of the atoms, sorted by column; those of one column stay in their order. `next` has a word for each slot of the
/// columns.
#[inline(always)]
fn sort_by_column(atoms: &[Atom], halved: u32, indices: &mut [u32], next: &mut [u32]) {
    let column = |atom: &Atom| slots_of(atom, halved)[1] as usize;
    next.fill(0);
    for atom in atoms {
        if let Some(count) = next.get_mut(column(atom)) {
            *count += 1;
        }
    }
    let mut before = 0;
    for next in &mut *next {
        (*next, before) = (before, before + *next);
    }
    for (index, atom) in atoms.iter().enumerate() {
        if let Some(next) = next.get_mut(column(atom)) {
            if let Some(place) = indices.get_mut(*next as usize) {
                *place = index as u32;
            }
            *next += 1;
        }
    }
}
