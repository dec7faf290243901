//! A weight in somebody's memory: rows, columns and strides over a slice.

use crate::array::ArrayMut;
use crate::error::Error;
use crate::isa;
use core::ops::Range;

/// A mutable `rows × columns` matrix, or part of one, in a slice.
///
/// Entry `(i, j)` is element `i · row_stride + j · column_stride`.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Copy> MatrixMut<'a, T> {
    /// A row-major matrix that fills `data`.
    ///
    /// # Errors
    /// [`Error::EmptyAxis`] if a side is zero, [`Error::Length`] unless
    /// `data.len() = rows · columns`.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize) -> Result<Self, Error> {
        let expected = rows.saturating_mul(columns);
        if data.len() != expected {
            return Err(Error::Length {
                what: "matrix",
                expected,
                found: data.len(),
            });
        }
        Self::with_strides(data, rows, columns, columns, 1)
    }

    /// A matrix with any strides: part of a larger one, or a transposed one.
    ///
    /// # Errors
    /// [`Error::EmptyAxis`] if a side is zero, [`Error::OverlappingStrides`] if one stride does not
    /// reach over the other axis, [`Error::Length`] if `data` ends before the last entry, element
    /// `(rows − 1) · row_stride + (columns − 1) · column_stride`.
    ///
    /// ```
    /// use waveft_core::matrix::MatrixMut;
    /// let mut data = [0.0; 12]; // 3 × 4
    /// assert!(MatrixMut::with_strides(&mut data[1..], 3, 2, 4, 1).is_ok());
    /// assert!(MatrixMut::with_strides(&mut data, 3, 4, 2, 1).is_err());
    /// ```
    pub fn with_strides(
        data: &'a mut [T],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Result<Self, Error> {
        if rows == 0 || columns == 0 {
            return Err(Error::EmptyAxis);
        }
        let last_row = (rows - 1).saturating_mul(row_stride);
        let last_column = (columns - 1).saturating_mul(column_stride);
        // One stride must step over everything the other axis reaches.
        let apart = (rows == 1 || row_stride > last_column && column_stride > 0)
            || (columns == 1 || column_stride > last_row && row_stride > 0);
        let single = (rows == 1 || row_stride > 0) && (columns == 1 || column_stride > 0);
        if !apart || !single {
            return Err(Error::OverlappingStrides {
                row_stride,
                column_stride,
            });
        }
        let expected = last_row.saturating_add(last_column).saturating_add(1);
        if data.len() < expected {
            return Err(Error::Length {
                what: "matrix",
                expected,
                found: data.len(),
            });
        }
        Ok(Self {
            data,
            rows,
            columns,
            // Of a single row or column the stride is of no account, but must neither be zero nor
            // lead out of `usize`.
            row_stride: if rows == 1 { 1 } else { row_stride },
            column_stride: if columns == 1 { 1 } else { column_stride },
        })
    }

    /// The same matrix, borrowed for less long.
    pub(crate) const fn reborrow(&mut self) -> MatrixMut<'_, T> {
        MatrixMut {
            data: self.data,
            rows: self.rows,
            columns: self.columns,
            row_stride: self.row_stride,
            column_stride: self.column_stride,
        }
    }

    /// The same matrix as an array of two axes, borrowed for less long.
    pub(crate) fn as_array(&mut self) -> Result<ArrayMut<'_, T, 2>, Error> {
        let strides = [self.row_stride, self.column_stride];
        ArrayMut::with_strides(self.data, [self.rows, self.columns], strides)
    }

    /// `(rows, columns)`.
    #[must_use]
    pub const fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The element of an entry.
    #[inline(always)]
    pub(crate) const fn element(&self, row: usize, column: usize) -> usize {
        row * self.row_stride + column * self.column_stride
    }

    /// Elements from a row to the next.
    #[inline(always)]
    pub(crate) const fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// `W` entries of a row, the first of them at `element`, if they are neighbours in memory.
    #[inline(always)]
    pub(crate) fn neighbours<const W: usize>(&mut self, element: usize) -> Option<&mut [T; W]> {
        self.data.get_mut(element..)?.first_chunk_mut()
    }

    /// Whether the entries of a row are neighbours in memory.
    #[inline(always)]
    pub(crate) const fn has_neighbours(&self) -> bool {
        self.column_stride == 1
    }

    /// A copy of `W` entries of a row, the first of them at `element`, if the matrix has them.
    pub(crate) fn get<const W: usize>(&self, element: usize) -> Option<[T; W]> {
        let rest = self.data.get(element..)?;
        let mut entries = [*rest.first()?; W];
        for (i, entry) in entries.iter_mut().enumerate() {
            *entry = *rest.get(i * self.column_stride)?;
        }
        Some(entries)
    }

    /// Puts what [`get`](Self::get) got back.
    pub(crate) fn put<const W: usize>(&mut self, element: usize, entries: &[T; W]) {
        let rest = self.data.get_mut(element..).unwrap_or_default();
        for (i, entry) in entries.iter().enumerate() {
            if let Some(place) = rest.get_mut(i * self.column_stride) {
                *place = *entry;
            }
        }
    }

    /// Elements from a column to the next.
    #[inline(always)]
    pub(crate) const fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// Asks the memory for a block that is about to be changed, of a matrix whose entries are
    /// neighbours in a row: the two ends of each row.
    #[inline(always)]
    pub(crate) fn prefetch(&self, row: usize, rows: usize, columns: Range<usize>) {
        let mut element = row * self.row_stride + columns.start;
        // Two neighbours are nearly always in one line.
        let width = columns.end - columns.start;
        let last = if width > 2 { width - 1 } else { 0 };
        for _ in 0..rows {
            isa::prefetch(self.data, element);
            if last > 0 {
                isa::prefetch(self.data, element + last);
            }
            element += self.row_stride;
        }
    }

    /// Sets every entry.
    pub(crate) fn fill(&mut self, value: T) {
        if self.data.len() == self.rows * self.columns {
            // Without gaps, however the strides order them.
            return self.data.fill(value);
        }
        for row in 0..self.rows {
            for column in 0..self.columns {
                self.put(self.element(row, column), &[value]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter_bank::wavelets::DB1;
    use crate::geometry::{Atom, Geometry};
    use crate::operator::DeltaWeight;
    use crate::sampling::Location;
    use crate::spectrum::{SortedAtoms, SparseSpectrum};

    #[test]
    fn the_stride_of_a_single_row_or_column_is_of_no_account() {
        for (rows, columns) in [(1, 4), (4, 1)] {
            let layer = Geometry::new(rows, columns, DB1.taps()).unwrap();
            let place = Location {
                row: rows as u32 - 1,
                column: columns as u32 - 1,
            };
            let atoms = [Atom::default()];
            let atoms = SortedAtoms::new(layer, &[place], atoms, &mut [0]).unwrap();
            let spectrum = SparseSpectrum::new(&atoms, &[1.0f32]).unwrap();
            let delta = DeltaWeight::new(spectrum, Some(DB1.single()), 1.0).unwrap();
            let mut expected = [0.0f32; 4];
            let mut matrix = MatrixMut::new(&mut expected, rows, columns).unwrap();
            delta.write(&mut matrix).unwrap();
            for stride in [0, usize::MAX] {
                let mut found = [0.0f32; 4];
                let (row, column) = if rows == 1 { (stride, 1) } else { (1, stride) };
                let matrix = MatrixMut::with_strides(&mut found, rows, columns, row, column);
                delta.write(&mut matrix.unwrap()).unwrap();
                assert_eq!(found, expected, "{stride}");
            }
        }
    }
}
