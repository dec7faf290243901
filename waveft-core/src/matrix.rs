//! A weight in somebody's memory: rows, columns and strides over a slice.

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
            row_stride,
            // Of a single column the stride is of no account, but must not be zero.
            column_stride: if columns == 1 { 1 } else { column_stride },
        })
    }

    /// `(rows, columns)`.
    #[must_use]
    pub const fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// `count` entries of a row from `column` on, as far as the matrix goes.
    #[inline(always)]
    pub(crate) fn run(&mut self, row: usize, column: usize, count: usize) -> Run<'_, T> {
        let start = row * self.row_stride + column * self.column_stride;
        let reach = count.saturating_sub(1) * self.column_stride + 1;
        Run {
            entries: self.data.get_mut(start..start + reach).unwrap_or_default(),
            stride: self.column_stride,
        }
    }

    /// Asks the memory for a part of a row that is about to be changed.
    #[inline(always)]
    pub(crate) fn prefetch(&self, row: usize, columns: Range<usize>) {
        let line = 64 / size_of::<T>();
        let start = row * self.row_stride + columns.start * self.column_stride;
        let end = start + (columns.len() - 1) * self.column_stride;
        for at in (start..end).step_by(line.max(self.column_stride)) {
            isa::prefetch(self.data, at);
        }
        isa::prefetch(self.data, end);
    }

    /// Sets every entry.
    pub(crate) fn fill(&mut self, value: T) {
        if self.data.len() == self.rows * self.columns {
            // Without gaps, however the strides order them.
            return self.data.fill(value);
        }
        for row in 0..self.rows {
            let mut run = self.run(row, 0, self.columns);
            run.each(|entry| *entry = value);
        }
    }
}

/// Part of a row.
pub(crate) struct Run<'a, T> {
    entries: &'a mut [T],
    stride: usize,
}

impl<T: Copy> Run<'_, T> {
    /// Calls `change` with each entry and one of `others`.
    #[inline(always)]
    pub(crate) fn zip<O>(&mut self, others: &[O], mut change: impl FnMut(&mut T, &O)) {
        if self.stride == 1 {
            // A branch of its own, so that the common case is vectorised.
            in_blocks(self.entries, others, change);
        } else {
            let entries = self.entries.iter_mut().step_by(self.stride);
            entries.zip(others).for_each(|(e, o)| change(e, o));
        }
    }

    /// Copies the entries out.
    #[inline(always)]
    pub(crate) fn copy_to(&mut self, copies: &mut [T]) {
        if self.stride == 1 {
            in_blocks(copies, self.entries, |copy, entry| *copy = *entry);
        } else {
            let entries = self.entries.iter().step_by(self.stride);
            copies.iter_mut().zip(entries).for_each(|(c, e)| *c = *e);
        }
    }

    fn each(&mut self, change: impl FnMut(&mut T)) {
        let entries = self.entries.iter_mut().step_by(self.stride);
        entries.for_each(change);
    }
}

/// Pairs up two slices of one length, eight elements at a time as long as there are: filters are
/// short, and a loop that the compiler vectorises for long slices spends its time in the remainder.
#[inline(always)]
pub(crate) fn in_blocks<A, B>(left: &mut [A], right: &[B], mut f: impl FnMut(&mut A, &B)) {
    let (blocks, left) = left.as_chunks_mut::<8>();
    let (other_blocks, right) = right.as_chunks::<8>();
    for (block, other) in blocks.iter_mut().zip(other_blocks) {
        block.iter_mut().zip(other).for_each(|(a, b)| f(a, b));
    }
    let (blocks, left) = left.as_chunks_mut::<2>();
    let (other_blocks, right) = right.as_chunks::<2>();
    for (block, other) in blocks.iter_mut().zip(other_blocks) {
        block.iter_mut().zip(other).for_each(|(a, b)| f(a, b));
    }
    left.iter_mut().zip(right).for_each(|(a, b)| f(a, b));
}
