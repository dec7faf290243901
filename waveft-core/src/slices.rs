//! Slices cut where they are known to be long enough, and into pieces known not to be empty, but not to the compiler.

use core::slice::{ChunksExact, ChunksExactMut};

/// The first `at` elements and the others.
#[inline(always)]
pub(crate) fn split<T>(slice: &[T], at: usize) -> (&[T], &[T]) {
    slice.split_at(at.min(slice.len()))
}

/// The first `at` elements and the others.
#[inline(always)]
pub(crate) fn split_mut<T>(slice: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
    slice.split_at_mut(at.min(slice.len()))
}

/// The elements from `at` on.
#[inline(always)]
pub(crate) fn rest<T>(slice: &[T], at: usize) -> &[T] {
    split(slice, at).1
}

/// The elements from `at` on.
#[inline(always)]
pub(crate) fn rest_mut<T>(slice: &mut [T], at: usize) -> &mut [T] {
    split_mut(slice, at).1
}

/// Pieces of `size` elements.
#[inline(always)]
pub(crate) fn pieces<T>(slice: &[T], size: usize) -> ChunksExact<'_, T> {
    slice.chunks_exact(size.max(1))
}

/// Pieces of `size` elements.
#[inline(always)]
pub(crate) fn pieces_mut<T>(slice: &mut [T], size: usize) -> ChunksExactMut<'_, T> {
    slice.chunks_exact_mut(size.max(1))
}
