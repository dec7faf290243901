//! Matrices in the caller's memory.

use crate::memory::Memory;
use crate::status::Status;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::matrix;

/// A matrix to be read: entry `(i, j)` is `data[i · row_stride + j · column_stride]`, and lies within `len` elements.
///
/// A row-major matrix that fills its memory has `len = rows · columns`, `row_stride = columns` and `column_stride = 1`. All of
/// the `len` elements are its memory, also those that strides leave out.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Matrix {
    /// The first entry.
    pub data: *const f32,
    /// Elements of memory from there on.
    pub len: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Elements from a row to the next.
    pub row_stride: usize,
    /// Elements from a column to the next.
    pub column_stride: usize,
}

/// A matrix to be written: as `waveft_matrix`, with strides that keep its entries apart.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct MatrixMut {
    /// The first entry.
    pub data: *mut f32,
    /// Elements of memory from there on.
    pub len: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Elements from a row to the next.
    pub row_stride: usize,
    /// Elements from a column to the next.
    pub column_stride: usize,
}

/// The matrix as the core's array, to be read.
pub(crate) fn array<'call>(
    memory: &mut Memory<'call>,
    matrix: *const Matrix,
) -> Result<Array<'call, f32, 2>, Status> {
    let matrix = memory.value(matrix)?;
    let data = memory.read(matrix.data, matrix.len)?;
    let shape = [matrix.rows, matrix.columns];
    let strides = [matrix.row_stride, matrix.column_stride];
    Ok(Array::with_strides(data, shape, strides)?)
}

/// The matrix as the core's array, to be written.
pub(crate) fn array_mut<'call>(
    memory: &mut Memory<'call>,
    matrix: *const MatrixMut,
) -> Result<ArrayMut<'call, f32, 2>, Status> {
    let matrix = memory.value(matrix)?;
    let data = memory.write(matrix.data, matrix.len)?;
    let shape = [matrix.rows, matrix.columns];
    let strides = [matrix.row_stride, matrix.column_stride];
    Ok(ArrayMut::with_strides(data, shape, strides)?)
}

/// The matrix as a weight of the core's.
pub(crate) fn weight<'call>(
    memory: &mut Memory<'call>,
    matrix: *const MatrixMut,
) -> Result<matrix::MatrixMut<'call, f32>, Status> {
    let matrix = memory.value(matrix)?;
    let data = memory.write(matrix.data, matrix.len)?;
    Ok(matrix::MatrixMut::with_strides(
        data,
        matrix.rows,
        matrix.columns,
        matrix.row_stride,
        matrix.column_stride,
    )?)
}
