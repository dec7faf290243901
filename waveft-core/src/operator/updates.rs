//! What is done with a weight's entries under ΔW's: added to, recorded, put back.

use super::DeltaWeight;
use crate::element::{Element, Real};
use crate::error::Error;
use crate::isa::Isa;
use crate::matrix::MatrixMut;
use crate::sweep::{Block, Sweep, Visitor};
use core::ops::Range;

impl<F: Real> DeltaWeight<'_, F> {
    pub(super) fn sweep<T: Copy>(
        &self,
        weight: &mut MatrixMut<'_, T>,
        update: impl Update<T, F>,
    ) -> Result<(), Error> {
        self.check_shape(weight)?;
        let sweep = Sweep {
            spectrum: self.spectrum,
            bank: self.bank,
            rows: self.rows.clone(),
        };
        let first_row = self.rows.start;
        let neighbours = weight.has_neighbours();
        let weight = weight.reborrow();
        if neighbours {
            let target = Target::<_, _, true> {
                weight,
                first_row,
                update,
            };
            sweep.run(self.isa, target);
        } else {
            // Scattered entries gain nothing from vector instructions.
            let target = Target::<_, _, false> {
                weight,
                first_row,
                update,
            };
            sweep.run(Isa::Portable, target);
        }
        Ok(())
    }
}

/// What happens to some of the weight's entries under ΔW's, which still lack the scaling.
pub(super) trait Update<T, F> {
    /// Changes the entries; to be marked `#[inline(always)]`.
    fn update<const W: usize>(&mut self, entries: &mut [T; W], unscaled: &[F; W]);
}

/// Adds ΔW times a scaling.
#[derive(Clone, Copy)]
pub struct Add<F>(pub(super) F);

impl<T: Element> Update<T, T::Real> for Add<T::Real> {
    #[inline(always)]
    fn update<const W: usize>(&mut self, entries: &mut [T; W], unscaled: &[T::Real; W]) {
        for (entry, &unscaled) in entries.iter_mut().zip(unscaled) {
            *entry = T::from_real(entry.to_real() + self.0 * unscaled);
        }
    }
}

/// Keeps what is overwritten at the front of what is left of `undo`.
pub struct Record<'u, T, F> {
    pub(super) undo: &'u mut [T],
    pub(super) add: Add<F>,
}

impl<T: Element> Update<T, T::Real> for Record<'_, T, T::Real> {
    #[inline(always)]
    fn update<const W: usize>(&mut self, entries: &mut [T; W], unscaled: &[T::Real; W]) {
        if let Some((record, rest)) = core::mem::take(&mut self.undo).split_first_chunk_mut() {
            *record = *entries;
            self.undo = rest;
            self.add.update(entries, unscaled);
        }
    }
}

/// Puts back what was recorded.
pub struct Undo<'u, T>(pub(super) &'u [T]);

impl<T: Element> Update<T, T::Real> for Undo<'_, T> {
    #[inline(always)]
    fn update<const W: usize>(&mut self, entries: &mut [T; W], _: &[T::Real; W]) {
        if let Some((record, rest)) = self.0.split_first_chunk() {
            *entries = *record;
            self.0 = rest;
        }
    }
}

/// A weight under the sweep, of which the first row is `first_row` of the layer; `NEIGHBOURS` says
/// whether the entries of a row are neighbours in memory.
struct Target<'w, T, U, const NEIGHBOURS: bool> {
    weight: MatrixMut<'w, T>,
    first_row: usize,
    update: U,
}

impl<T: Copy, F: Real, U: Update<T, F>, const NEIGHBOURS: bool> Visitor<F>
    for Target<'_, T, U, NEIGHBOURS>
{
    // Scattered entries gain nothing from wide blocks, whose code is most of a program that adds an update.
    const WIDEST: usize = if NEIGHBOURS { 16 } else { 1 };

    #[inline(always)]
    fn expect(&self, rows: Range<usize>, columns: Range<usize>) {
        if NEIGHBOURS {
            let row = rows.start - self.first_row;
            self.weight.prefetch(row, rows.end - rows.start, columns);
        }
    }

    #[inline(always)]
    fn visit<const W: usize>(&mut self, row: usize, column: usize, block: Block<'_, F, W>) {
        let column_stride = if NEIGHBOURS {
            1
        } else {
            self.weight.column_stride()
        };
        let mut element =
            (row - self.first_row) * self.weight.row_stride() + column * column_stride;
        for unscaled in block {
            if NEIGHBOURS {
                if let Some(entries) = self.weight.neighbours(element) {
                    self.update.update(entries, &unscaled);
                }
            } else if let Some(mut entries) = self.weight.get(element) {
                self.update.update(&mut entries, &unscaled);
                self.weight.put(element, &entries);
            }
            element += self.weight.row_stride();
        }
    }
}
