//! Tokens in lanes: as many tokens as there are lanes at once, read and added to a group of features at a time.
//!
//! Tokens lie row-major, so a group is transposed on its way in and out, through rows of its own: the tokens' are often a power of
//! two apart, and lines of so many of them, touched by turns, would drive each other out of the first-level cache. Groups
//! begin where a cache line does, if the tokens allow it: what crosses lines takes twice as long.

use crate::element::{Element, Real};
use crate::isa::prefetch_to_second_level;
use crate::lanes::{Lanes, MOST_LANES};
use core::ops::Range;

/// Features of a group; even, and a multiple of every vector's width.
pub(super) const GROUP: usize = 64;

/// Elements from a token's row of a group to the next token's: no power of two.
const ROW: usize = GROUP + 16;

/// Features between those that are read and those that are asked for beforehand.
const AHEAD: usize = 4 * GROUP;

/// Vectors that a group's rows take.
pub(super) const ROWS: usize = ROW;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// As many tokens as there are lanes, or the fewer that are left.
pub(super) struct Block<'a, T> {
    /// From the block's first token on.
    tokens: &'a [T],
    stride: usize,
    count: usize,
    features: usize,
}

/// A [`Block`] to be changed.
pub(super) struct BlockMut<'a, T> {
    tokens: &'a mut [T],
    stride: usize,
    count: usize,
    features: usize,
}

/// The groups that make `0..length`: all of [`GROUP`] but the first and the last.
#[inline(always)]
pub(super) fn groups(first: usize, length: usize) -> impl Iterator<Item = Range<usize>> {
    let bound = move |index: usize| length.min(first + index * GROUP);
    let front = (first > 0).then_some(0..bound(0));
    let count = length.saturating_sub(first).div_ceil(GROUP);
    front
        .into_iter()
        .chain((0..count).map(move |index| bound(index)..bound(index + 1)))
}

/// Features before a cache line begins, if that is so for all tokens and leaves whole pairs; else none.
fn before_a_line<T>(tokens: &[T], stride: usize) -> usize {
    let in_line = LINE / size_of::<T>();
    let before = tokens.as_ptr().align_offset(LINE);
    if stride.is_multiple_of(in_line) && before < in_line && before.is_multiple_of(2) {
        before
    } else {
        0
    }
}

/// From a token, how far it is to what will be read of its lane after [`AHEAD`] features more: in its own row, or behind the end of
/// that in the row that takes its lane in the next block.
#[inline(always)]
const fn ahead(feature: usize, features: usize, next_block: usize) -> usize {
    let ahead = feature + AHEAD;
    if ahead < features {
        ahead
    } else {
        next_block + ahead - features
    }
}

/// Asks for the lines of a group from this element on.
#[inline(always)]
fn ask<T>(tokens: &[T], first: usize) {
    for line in (0..GROUP).step_by(LINE / size_of::<T>()) {
        prefetch_to_second_level(tokens, first + line);
    }
}

impl<'a, T: Element> Block<'a, T> {
    /// Tokens of `features` elements that are `stride` apart, of which the first `count` exist.
    #[inline(always)]
    pub(super) fn new(tokens: &'a [T], stride: usize, count: usize, features: usize) -> Self {
        Self {
            tokens,
            stride,
            count,
            features,
        }
    }

    /// The length of the first group, so that the others begin with a cache line.
    #[inline(always)]
    pub(super) fn first_group(&self) -> usize {
        before_a_line(self.tokens, self.stride)
    }

    /// A vector for each feature of the group, and zeros for those that the tokens lack. `rows` has [`ROWS`] vectors.
    #[inline(always)]
    pub(super) fn read<L: Lanes<T::Real>>(
        &self,
        group: Range<usize>,
        rows: &mut [T::Real],
        vectors: &mut [T::Real],
    ) {
        let width = group.end.min(self.features).saturating_sub(group.start);
        let ahead = ahead(group.start, self.features, L::WIDTH * self.stride);
        let lines = rows.as_chunks_mut::<ROW>().0.iter_mut().take(L::WIDTH);
        for (token, row) in lines.enumerate() {
            let first = token * self.stride;
            ask(self.tokens, first + ahead);
            let from = match token < self.count {
                true => self.tokens.get(first + group.start..).unwrap_or_default(),
                false => &[],
            };
            match from.first_chunk::<GROUP>() {
                Some(from) if width == GROUP => {
                    for at in (0..GROUP).step_by(L::WIDTH) {
                        L::load_from(&from[at..]).store(&mut row[at..]);
                    }
                }
                _ => read_part::<L, T>(from.get(..width).unwrap_or_default(), row),
            }
        }
        let tiles = vectors.chunks_mut(L::WIDTH * L::WIDTH);
        for (tile, to) in tiles.take(GROUP / L::WIDTH).enumerate() {
            let from = rows.get(tile * L::WIDTH..).unwrap_or_default();
            L::transpose(from, ROW, to, L::WIDTH);
        }
    }
}

/// What there is of a row, and zeros.
#[inline(always)]
fn read_part<L: Lanes<T::Real>, T: Element>(from: &[T], row: &mut [T::Real; ROW]) {
    let whole = from.chunks_exact(L::WIDTH);
    let rest = whole.remainder();
    let mut to = row.chunks_exact_mut(L::WIDTH);
    for (from, to) in whole.zip(&mut to) {
        L::load_from(from).store(to);
    }
    if let Some(to) = to.next() {
        L::splat(T::Real::ZERO).store(to);
        for (to, from) in to.iter_mut().zip(rest) {
            *to = from.to_real();
        }
    }
    for to in to {
        L::splat(T::Real::ZERO).store(to);
    }
}

impl<'a, T: Element> BlockMut<'a, T> {
    /// As [`Block::new`].
    #[inline(always)]
    pub(super) fn new(tokens: &'a mut [T], stride: usize, count: usize, features: usize) -> Self {
        Self {
            tokens,
            stride,
            count,
            features,
        }
    }

    /// As [`Block::first_group`].
    #[inline(always)]
    pub(super) fn first_group(&self) -> usize {
        before_a_line(self.tokens, self.stride)
    }

    /// Adds `scaling` times a vector for each feature of the group. `rows` has [`ROWS`] vectors, `vectors` [`GROUP`].
    #[inline(always)]
    pub(super) fn add<L: Lanes<T::Real>>(
        &mut self,
        group: Range<usize>,
        rows: &mut [T::Real],
        vectors: &[T::Real],
        scaling: T::Real,
    ) {
        for (tile, from) in vectors.chunks_exact(L::WIDTH * L::WIDTH).enumerate() {
            let to = rows.get_mut(tile * L::WIDTH..).unwrap_or_default();
            L::transpose(from, L::WIDTH, to, ROW);
        }
        let factor = L::splat(scaling);
        let ahead = ahead(group.start, self.features, L::WIDTH * self.stride);
        let lines = rows.as_chunks::<ROW>().0.iter().take(self.count);
        for (token, row) in lines.enumerate() {
            let first = token * self.stride;
            ask(self.tokens, first + ahead);
            let to = self
                .tokens
                .get_mut(first + group.start..)
                .unwrap_or_default();
            match to.first_chunk_mut::<GROUP>() {
                Some(to) if group.len() == GROUP => {
                    for at in (0..GROUP).step_by(L::WIDTH) {
                        let sum = L::load(&row[at..]).multiply_add(factor, L::load_from(&to[at..]));
                        sum.store_to(&mut to[at..]);
                    }
                }
                _ => add_part::<L, T>(row, scaling, to.get_mut(..group.len()).unwrap_or_default()),
            }
        }
    }
}

#[inline(always)]
fn add_part<L: Lanes<T::Real>, T: Element>(row: &[T::Real; ROW], scaling: T::Real, to: &mut [T]) {
    let mut whole = to.chunks_exact_mut(L::WIDTH);
    let mut row = row.chunks_exact(L::WIDTH);
    for (to, row) in (&mut whole).zip(&mut row) {
        let sum = L::load(row).multiply_add(L::splat(scaling), L::load_from(to));
        sum.store_to(to);
    }
    let rest = whole.into_remainder();
    if let (false, Some(row)) = (rest.is_empty(), row.next()) {
        // In a vector too: one by one they might be rounded otherwise, depending on where tokens begin.
        let mut padded = [T::zeroed(); MOST_LANES];
        for (padded, &mut element) in padded.iter_mut().zip(&mut *rest) {
            *padded = element;
        }
        let sum = L::load(row).multiply_add(L::splat(scaling), L::load_from(&padded));
        sum.store_to(&mut padded);
        for (element, padded) in rest.iter_mut().zip(padded) {
            *element = padded;
        }
    }
}
