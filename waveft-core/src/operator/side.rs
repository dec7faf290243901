//! One side of the layer's products: its inputs or its outputs, along one axis of the stored weight.

use crate::element::Real;
use crate::geometry::{Atom, Axis, Geometry};

/// An axis of the layer, and which of an atom's numbers counts its positions.
///
/// Tokens on this side are analysed into *slots*: `2k` is position `k` under the low-pass filter, `2k + 1` under the high-pass one.
/// Without a wavelet a position is one slot.
#[derive(Clone, Copy)]
pub(super) struct Side<'a, F> {
    pub(super) axis: Axis,
    pub(super) is_rows: bool,
    /// `rec_lo` and `rec_hi`; a one without a wavelet.
    pub(super) filters: [&'a [F]; 2],
}

/// Slots of an axis.
const fn slots(axis: Axis) -> usize {
    if axis.taps() == 1 {
        axis.length()
    } else {
        axis.padded_length()
    }
}

/// Slots of the axis that has more.
pub(super) const fn most_slots(layer: Geometry) -> usize {
    let (rows, columns) = (slots(layer.rows()), slots(layer.columns()));
    if rows > columns { rows } else { columns }
}

impl<'a, F: Real> Side<'a, F> {
    /// Slots of this side.
    #[inline(always)]
    pub(super) fn slots(&self) -> usize {
        slots(self.axis)
    }

    /// The first sample that an atom covers on this side, and the taps that lie on it and behind.
    #[inline(always)]
    pub(super) fn taps_on<const TAPS: usize>(&self, atom: &Atom) -> (usize, &'a [F]) {
        let (position, is_high) = if self.is_rows {
            (atom.row(), atom.row_is_high())
        } else {
            (atom.column(), atom.column_is_high())
        };
        let filter = self.filters[usize::from(is_high)];
        if filter.len() == 1 {
            return (position, filter);
        }
        let taps = if TAPS > 0 { TAPS } else { filter.len() };
        let (start, end, cut) = self.axis.support(position, taps);
        (
            start,
            filter.get(cut..cut + end - start).unwrap_or_default(),
        )
    }
}
