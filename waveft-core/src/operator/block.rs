//! Tokens in lanes: as many tokens as there are lanes at once, read and added to a group of features at a time.
//!
//! Tokens lie row-major, so a group is transposed on its way in and out, through rows of its own: the tokens' are often a power of
//! two apart, and lines of so many of them, touched by turns, would drive each other out of the first-level cache. Groups
//! begin where a cache line does, if the tokens allow it: what crosses lines takes twice as long.

use crate::element::{Element, Real};
use crate::isa::prefetch_to_second_level;
use crate::lanes::Lanes;
use core::ops::Range;

/// Features of a group; even, and a multiple of every vector's width.
pub(super) const GROUP: usize = 64;

/// Elements from a token's row of a group to the next token's: no power of two.
const ROW: usize = GROUP + 16;

/// Features between those that are read and those that are asked for beforehand.
const AHEAD: usize = 2 * GROUP;

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

/// Asks for the lines of a token's group that comes after the present one by [`AHEAD`]; behind the end of a row that is the
/// beginning of the row that takes its lane in the next block.
#[inline(always)]
fn ask_ahead<T>(
    tokens: &[T],
    stride: usize,
    features: usize,
    (token, lanes): (usize, usize),
    feature: usize,
) {
    let ahead = feature + AHEAD;
    let first = match ahead < features {
        true => token * stride + ahead,
        false => (token + lanes) * stride + ahead - features,
    };
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
        for (token, row) in rows.chunks_exact_mut(ROW).take(L::WIDTH).enumerate() {
            let first = token * self.stride + group.start;
            let from = match token < self.count {
                true => self.tokens.get(first..first + width).unwrap_or_default(),
                false => &[],
            };
            ask_ahead(
                self.tokens,
                self.stride,
                self.features,
                (token, L::WIDTH),
                group.start,
            );
            let whole = from.chunks_exact(L::WIDTH);
            let rest = whole.remainder();
            let mut to = row[..GROUP].chunks_exact_mut(L::WIDTH);
            for (from, to) in whole.zip(&mut to) {
                L::load_from(from).store(to);
            }
            for to in to {
                to.fill(T::Real::ZERO);
            }
            let done = from.len() - rest.len();
            for (to, from) in row[done..].iter_mut().zip(rest) {
                *to = from.to_real();
            }
        }
        for (tile, to) in vectors
            .chunks_mut(L::WIDTH * L::WIDTH)
            .take(GROUP / L::WIDTH)
            .enumerate()
        {
            let from = rows.get(tile * L::WIDTH..).unwrap_or_default();
            L::transpose(from, ROW, to, L::WIDTH);
        }
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
        for (token, row) in rows.chunks_exact(ROW).take(self.count).enumerate() {
            let lane = (token, L::WIDTH);
            ask_ahead(
                self.tokens,
                self.stride,
                self.features,
                lane,
                group.start,
            );
            let first = token * self.stride;
            let to = self
                .tokens
                .get_mut(first + group.start..first + group.end)
                .unwrap_or_default();
            let mut whole = to.chunks_exact_mut(L::WIDTH);
            for (to, row) in (&mut whole).zip(row.chunks_exact(L::WIDTH)) {
                let sum = L::load(row).multiply_add(factor, L::load_from(to));
                sum.store_to(to);
            }
            let rest = whole.into_remainder();
            let done = group.len() - rest.len();
            for (to, &row) in rest.iter_mut().zip(&row[done..]) {
                *to = T::from_real(row * scaling + to.to_real());
            }
        }
    }
}
