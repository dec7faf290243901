//! Where a trained coefficient lies: from a sampled place to an atom on each axis.
//!
//! PEFT pads a layer's `M × N` places to a spectrum of `P × Q`, both even, and cuts that into four
//! sub-bands. On each axis of length `T`, with filters of `L` taps,
//!
//! ```text
//! P = T + L − 2, plus 1 if odd        H = P / 2        offset = ⌊(P − T) / 2⌋
//! ```
//!
//! and place `i` is position `k = (i + offset) mod H` of the half `⌊(i + offset) / H⌋`. The atom at
//! position `k` covers samples `2k − (L − 2) .. 2k + 2`, as far as they lie in `0..T`.

use crate::error::Error;
use crate::sampling::Location;

/// One axis of a layer: `T` samples synthesised by filters of `L` taps, or taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    length: usize,
    taps: usize,
}

impl Axis {
    /// An axis of `length` samples under filters of `taps` taps. One tap stands for no wavelet at
    /// all (`use_idwt = false`): a coefficient is then one sample.
    ///
    /// # Errors
    /// [`Error::EmptyAxis`] if `length = 0`, [`Error::TapCount`] unless `taps` is 1 or even and at
    /// most [`MAX_TAPS`](crate::filter_bank::MAX_TAPS), [`Error::AxisTooLong`] unless
    /// `length + taps < 2³⁰`.
    pub const fn new(length: usize, taps: usize) -> Result<Self, Error> {
        let most = crate::filter_bank::MAX_TAPS;
        if length == 0 {
            return Err(Error::EmptyAxis);
        }
        if taps == 0 || taps > most || (taps > 1 && taps % 2 == 1) {
            return Err(Error::TapCount { found: taps, most });
        }
        if (length as u64).saturating_add(taps as u64) >= 1 << 30 {
            return Err(Error::AxisTooLong { length, taps });
        }
        Ok(Self { length, taps })
    }

    /// Samples, `T`.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Taps of the filters, `L`; 1 without a wavelet.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.taps
    }

    /// Positions of the padded spectrum, `P`: even, but `T` without a wavelet.
    #[must_use]
    pub const fn padded_length(&self) -> usize {
        if self.taps == 1 {
            self.length
        } else {
            (self.length + self.taps - 2).next_multiple_of(2)
        }
    }

    /// Positions of one half of the padded spectrum, `H = P / 2`.
    #[must_use]
    pub const fn half_length(&self) -> usize {
        self.padded_length() / 2
    }

    /// Positions before the first sampled one, `⌊(P − T) / 2⌋`.
    #[must_use]
    pub const fn offset(&self) -> usize {
        (self.padded_length() - self.length) / 2
    }

    /// Where place `index` of `0..T` lies: its position `k`, and whether in the second half.
    pub(crate) const fn position(&self, index: usize) -> (usize, bool) {
        let padded = index + self.offset();
        if self.taps > 1 && padded >= self.half_length() {
            (padded - self.half_length(), true)
        } else {
            (padded, false)
        }
    }

    /// The samples that position `k` covers, and the first of its taps that is not cut off. `taps`
    /// is the axis' own, more than one, given by callers that know it at compile time.
    #[inline(always)]
    pub(crate) const fn support(&self, position: usize, taps: usize) -> (usize, usize, usize) {
        let end = 2 * position + 2;
        let (start, cut) = if end < taps {
            (0, taps - end)
        } else {
            (end - taps, 0)
        };
        let end = if end < self.length { end } else { self.length };
        (start, end, cut)
    }
}

/// A layer's two axes, in the order in which its weight is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    rows: Axis,
    columns: Axis,
    transposed: bool,
}

/// A coefficient's atom: a position and a filter on each axis of the stored weight.
///
/// Eight bytes a coefficient are all that a layer keeps of its places.
#[derive(Clone, Copy, Debug, Default)]
pub struct Atom {
    /// Twice the position of the row filter, plus one for the high-pass one; doubled once more, the
    /// lowest bit saying that no other atom of the layer covers what this one covers.
    row: u32,
    /// Twice the position of the column filter, plus one for the high-pass one.
    column: u32,
}

impl Atom {
    /// What [`default`](Self::default) gives, for arrays in statics.
    pub const ZERO: Self = Self { row: 0, column: 0 };

    const fn new(row: (usize, bool), column: (usize, bool)) -> Self {
        Self {
            row: (row.0 as u32) << 2 | (row.1 as u32) << 1,
            column: (column.0 as u32) << 1 | column.1 as u32,
        }
    }

    /// Position of the row filter, `k` of the row axis.
    #[inline(always)]
    #[must_use]
    pub const fn row(&self) -> usize {
        (self.row >> 2) as usize
    }

    /// Whether the row filter is the high-pass one.
    #[inline(always)]
    #[must_use]
    pub const fn row_is_high(&self) -> bool {
        self.row & 2 == 2
    }

    /// Twice the position of the row filter, plus one for the high-pass one.
    #[inline(always)]
    pub(crate) const fn row_slot(&self) -> usize {
        (self.row >> 1) as usize
    }

    /// Twice the position of the column filter, plus one for the high-pass one.
    #[inline(always)]
    pub(crate) const fn column_slot(&self) -> usize {
        self.column as usize
    }

    /// Whether no other atom of the layer covers an entry that this one covers.
    pub(crate) const fn is_alone(&self) -> bool {
        self.row & 1 == 1
    }

    pub(crate) const fn set_alone(&mut self) {
        self.row |= 1;
    }

    /// Position of the column filter, `k` of the column axis.
    #[inline(always)]
    #[must_use]
    pub const fn column(&self) -> usize {
        (self.column >> 1) as usize
    }

    /// Whether the column filter is the high-pass one.
    #[inline(always)]
    #[must_use]
    pub const fn column_is_high(&self) -> bool {
        self.column & 1 == 1
    }

    /// The order in which the operator takes atoms: by row position, then by column position, then
    /// by filter.
    pub(crate) const fn key(&self) -> u64 {
        let filters = (self.row & 2) | self.column & 1;
        (self.row() as u64) << 33 | (self.column() as u64) << 2 | filters as u64
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Atom {}

impl core::hash::Hash for Atom {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Geometry {
    /// A layer of `out_features × in_features` (`M × N`) whose weight is stored like that,
    /// under filters of `taps` taps (1: no wavelet).
    ///
    /// # Errors
    /// Those of [`Axis::new`].
    ///
    /// ```
    /// use waveft_core::geometry::Geometry;
    /// let layer = Geometry::new(5, 3, 8)?;
    /// assert_eq!(layer.rows().padded_length(), 12);
    /// assert_eq!(layer.columns().padded_length(), 10);
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub const fn new(out_features: usize, in_features: usize, taps: usize) -> Result<Self, Error> {
        let rows = match Axis::new(out_features, taps) {
            Ok(axis) => axis,
            Err(error) => return Err(error),
        };
        let columns = match Axis::new(in_features, taps) {
            Ok(axis) => axis,
            Err(error) => return Err(error),
        };
        Ok(Self {
            rows,
            columns,
            transposed: false,
        })
    }

    /// The same layer with its weight stored `in × out` (`fan_in_fan_out`, transformers' `Conv1D`).
    /// Places are still counted `out × in`.
    #[must_use]
    pub const fn fan_in_fan_out(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            transposed: !self.transposed,
        }
    }

    /// The axis along which the stored weight's rows are counted.
    #[must_use]
    pub const fn rows(&self) -> Axis {
        self.rows
    }

    /// The axis along which the stored weight's columns are counted.
    #[must_use]
    pub const fn columns(&self) -> Axis {
        self.columns
    }

    /// The layer's `(out_features, in_features)`.
    #[must_use]
    pub const fn features(&self) -> (usize, usize) {
        let (rows, columns) = (self.rows.length, self.columns.length);
        if self.transposed {
            (columns, rows)
        } else {
            (rows, columns)
        }
    }

    /// Taps of the filters; 1 without a wavelet.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.rows.taps
    }

    /// Whether the weight is stored `in × out`.
    #[must_use]
    pub const fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// The atom of a sampled place.
    ///
    /// The halves are crossed as PEFT crosses them: the column's half chooses the row filter, the
    /// row's half the column filter.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] unless the place lies in `out_features × in_features`.
    ///
    /// ```
    /// use waveft_core::{geometry::Geometry, sampling::Location};
    /// let layer = Geometry::new(8, 8, 2)?;
    /// let atom = layer.atom(Location { row: 1, column: 6 })?;
    /// assert_eq!((atom.row(), atom.column()), (1, 2));
    /// assert!(atom.row_is_high() && !atom.column_is_high());
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub const fn atom(&self, place: Location) -> Result<Atom, Error> {
        let (row, column) = if self.transposed {
            (place.column, place.row)
        } else {
            (place.row, place.column)
        };
        if row as usize >= self.rows.length {
            return Err(out_of_bounds("stored row", self.rows.length, row));
        }
        if column as usize >= self.columns.length {
            return Err(out_of_bounds("stored column", self.columns.length, column));
        }
        let (row, row_half) = self.rows.position(row as usize);
        let (column, column_half) = self.columns.position(column as usize);
        Ok(Atom::new((row, column_half), (column, row_half)))
    }
}

const fn out_of_bounds(what: &'static str, bound: usize, found: u32) -> Error {
    Error::OutOfBounds {
        what,
        bound: bound as u64,
        found: found as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_that_is_too_long_is_refused_and_no_length_wraps() {
        for (length, taps) in [((1 << 30) - 2, 2), (1 << 30, 1), (usize::MAX, 8)] {
            let expected = Err(Error::AxisTooLong { length, taps });
            assert_eq!(Axis::new(length, taps), expected);
            let layer = Geometry::new(4, length, taps);
            assert_eq!(layer.err(), expected.err());
        }
        assert!(Axis::new((1 << 30) - 3, 2).is_ok());
    }
}
