//! Tokens in lanes: as many tokens as there are lanes at once, a group of features at a time.
//!
//! Tokens lie row-major, so squares of as many tokens as features are transposed on their way in and out, in registers: they are
//! read where they lie, once, and written there. Groups begin where a cache line does, if the tokens allow it: what crosses lines
//! takes twice as long.

use crate::element::{Element, Real};
use crate::isa::prefetch_to_second_level;
use crate::lanes::{HAS_VECTORS, Lanes, MOST_NARROW_LANES, MOST_VECTORS, Tile};
use crate::slices::{rest, rest_mut};
use core::ops::Range;

/// Features of a group; even, and a multiple of every vector's width. More would not stay in the first-level cache; without vectors
/// memory is dearer than the calls.
pub(super) const GROUP: usize = if HAS_VECTORS { 128 } else { 32 };

/// The most features of a tile.
pub(super) const MOST_FEATURES: usize = if HAS_VECTORS { MOST_NARROW_LANES } else { 2 };

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

/// Each token's features from a group's first on.
pub(super) struct Rows<'a, T> {
    /// From the first token's on.
    elements: &'a [T],
    stride: usize,
    count: usize,
    /// Features that are there; zeros are read behind them.
    width: usize,
}

/// [`Rows`] to be changed. Nothing behind them is.
pub(super) struct RowsMut<'a, T> {
    elements: &'a mut [T],
    stride: usize,
    count: usize,
    width: usize,
}

/// Lines of a block's tokens that the memory is asked for while something else is worked on.
#[derive(Clone, Copy)]
pub(super) struct Asks {
    /// The first token's first line.
    line: *const u8,
    /// Bytes from a token to the next.
    stride: usize,
    /// Lines of each token.
    lines: usize,
}

impl Asks {
    /// Of nothing.
    pub(super) const NONE: Self = Self {
        line: core::ptr::null(),
        stride: 0,
        lines: 0,
    };

    /// Of a group's features. What is not there may be asked for.
    #[inline(always)]
    fn new<T>(tokens: &[T], stride: usize, first: usize) -> Self {
        Self {
            line: tokens.as_ptr().wrapping_add(first).cast(),
            stride: stride * size_of::<T>(),
            lines: (GROUP * size_of::<T>()).div_ceil(LINE),
        }
    }

    /// Of the group behind this one; behind the last of `features`, of the next block's first.
    #[inline(always)]
    fn behind<T>(
        group: &Range<usize>,
        features: usize,
        tokens: &[T],
        stride: usize,
        lanes: usize,
    ) -> Self {
        let first = match group.end < features {
            true => group.end,
            false => lanes.wrapping_mul(stride),
        };
        Self::new(tokens, stride, first)
    }

    /// The first half of each token's lines, and the others.
    #[inline(always)]
    pub(super) fn halves(self) -> [Self; 2] {
        let lines = self.lines / 2;
        let first = Self { lines, ..self };
        let second = Self {
            line: self.line.wrapping_add(lines * LINE),
            lines: self.lines - lines,
            ..self
        };
        [first, second]
    }

    /// Asks for the next line of each token of a block, if one is left.
    #[inline(always)]
    pub(super) fn line<L: Lanes<F>, F>(&mut self) {
        if cfg!(target_arch = "x86_64") && self.lines > 0 {
            self.lines -= 1;
            for row in 0..L::WIDTH {
                prefetch_to_second_level(self.line.wrapping_add(row * self.stride));
            }
            self.line = self.line.wrapping_add(LINE);
        }
    }

    /// Asks for what is left.
    #[inline(always)]
    pub(super) fn all<L: Lanes<F>, F>(&mut self) {
        for _ in 0..self.lines {
            self.line::<L, F>();
        }
    }
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

/// Features of a tile: as many as there are lanes, or a pair of them.
#[inline(always)]
pub(super) const fn vectors<L: Lanes<F>, F>() -> usize {
    if L::WIDTH > 1 { L::WIDTH } else { 2 }
}

/// From a token to the next one. That of a single token may be anything, and nothing depends on it.
#[inline(always)]
const fn stride_of(stride: usize, count: usize, features: usize) -> usize {
    if count > 1 { stride } else { features }
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

impl<'a, T: Element> Block<'a, T> {
    /// Tokens of `features` elements that are `stride` apart, of which the first `count` exist.
    #[inline(always)]
    pub(super) fn new(tokens: &'a [T], stride: usize, count: usize, features: usize) -> Self {
        Self {
            tokens,
            stride: stride_of(stride, count, features),
            count,
            features,
        }
    }

    /// The length of the first group, so that the others begin with a cache line.
    #[inline(always)]
    pub(super) fn first_group(&self) -> usize {
        before_a_line(self.tokens, self.stride)
    }

    /// The tokens' features from a group's first on.
    #[inline(always)]
    pub(super) fn rows(&self, group: &Range<usize>) -> Rows<'_, T> {
        let width = self.features.saturating_sub(group.start);
        Rows {
            elements: rest(self.tokens, group.start),
            stride: self.stride,
            count: self.count,
            width,
        }
    }

    /// What is read behind a group.
    #[inline(always)]
    pub(super) fn asks_behind<L: Lanes<T::Real>>(&self, group: &Range<usize>) -> Asks {
        Asks::behind(group, self.features, self.tokens, self.stride, L::WIDTH)
    }
}

impl<'a, T: Element> Rows<'a, T> {
    /// The rows one by one, each as long as the others: what lies in one lies in all. None if there are fewer than lanes, or one lane,
    /// which gains nothing from them.
    #[inline(always)]
    pub(super) fn each<L: Lanes<T::Real>>(&self) -> Option<[&'a [T]; MOST_VECTORS]> {
        if L::WIDTH == 1 || self.count < L::WIDTH {
            return None;
        }
        let length = self.width;
        let mut rows: [&[T]; MOST_VECTORS] = [&[]; MOST_VECTORS];
        unrolled!(vectors L::WIDTH, at, {
            rows[at] = rest(self.elements, at * self.stride).get(..length)?;
        });
        Some(rows)
    }

    /// The end of the tiles that are in [`each`](Self::each) row.
    #[inline(always)]
    pub(super) fn whole<L: Lanes<T::Real>>(&self) -> usize {
        whole::<L, T::Real>(self.count, self.width)
    }

    /// A vector for each of a tile's features, the first of which is given, where the tile is not in [`each`](Self::each) row.
    #[inline(always)]
    pub(super) fn read_part<L: Lanes<T::Real>>(&self, feature: usize) -> Tile<L> {
        let width = self.width.saturating_sub(feature);
        let mut tile = [L::splat(T::Real::ZERO); MOST_VECTORS];
        if L::WIDTH == 1 {
            let pair = rest(self.elements, feature);
            tile[0] = L::load_part_from(pair, width);
            let second = pair.get(1..).unwrap_or_default();
            tile[1] = L::load_part_from(second, width.saturating_sub(1));
            return tile;
        }
        unrolled!(vectors L::WIDTH, at, {
            if at < self.count {
                let row = rest(self.elements, at * self.stride + feature);
                tile[at] = L::load_part_from(row, width);
            }
        });
        L::transpose(tile)
    }
}

/// The end of the tiles that are whole, of so many tokens and features.
#[inline(always)]
fn whole<L: Lanes<F>, F>(count: usize, width: usize) -> usize {
    match count < L::WIDTH {
        true => 0,
        false => width - width % vectors::<L, F>(),
    }
}

/// Tiles next to each other that are read or written at once, of which those are there that were asked for. Two in `f32` and `f64`
/// make a cache line of each token: rows are often so far apart that all their lines have one set of the first-level cache, which
/// would not keep them until the next tile.
pub(super) type Tiles<L> = [Tile<L>; 2];

/// A vector for each feature of the first `count` tiles that begin with this one. Types that are moved in pairs are read two tiles
/// at a time.
#[inline(always)]
pub(super) fn read_rows<L: Lanes<T::Real>, T: Element>(
    rows: &[&[T]; MOST_VECTORS],
    feature: usize,
    count: usize,
) -> Option<Tiles<L>> {
    let mut tiles = [[L::splat(T::Real::ZERO); MOST_VECTORS]; 2];
    let end = feature + count * L::WIDTH;
    unrolled!(vectors L::WIDTH, at, {
        let row = rows[at].get(feature..end)?;
        if T::IN_PAIRS {
            tiles[0][at] = L::load_pairs_from(row);
        } else {
            tiles[0][at] = L::load_from(row);
            if count == 2 {
                tiles[1][at] = L::load_from(rest(row, L::WIDTH));
            }
        }
    });
    let first = L::transpose(tiles[0]);
    if T::IN_PAIRS {
        unrolled!(pairs L::WIDTH / 2, at, {
            [tiles[0][2 * at], tiles[0][2 * at + 1]] = first[at].split_pairs::<T>();
            [tiles[1][2 * at], tiles[1][2 * at + 1]] = first[L::WIDTH / 2 + at].split_pairs::<T>();
        });
    } else {
        tiles[0] = first;
        if count == 2 {
            tiles[1] = L::transpose(tiles[1]);
        }
    }
    Some(tiles)
}

impl<'a, T: Element> BlockMut<'a, T> {
    /// As [`Block::new`].
    #[inline(always)]
    pub(super) fn new(tokens: &'a mut [T], stride: usize, count: usize, features: usize) -> Self {
        Self {
            tokens,
            stride: stride_of(stride, count, features),
            count,
            features,
        }
    }

    /// As [`Block::first_group`].
    #[inline(always)]
    pub(super) fn first_group(&self) -> usize {
        before_a_line(self.tokens, self.stride)
    }

    /// The tokens' features in a group.
    #[inline(always)]
    pub(super) fn rows(&mut self, group: &Range<usize>) -> RowsMut<'_, T> {
        RowsMut {
            elements: rest_mut(self.tokens, group.start),
            stride: self.stride,
            count: self.count,
            width: group.len(),
        }
    }

    /// As [`Block::asks_behind`].
    #[inline(always)]
    pub(super) fn asks_behind<L: Lanes<T::Real>>(&self, group: &Range<usize>) -> Asks {
        Asks::behind(group, self.features, self.tokens, self.stride, L::WIDTH)
    }

    /// What is added to in a group.
    #[inline(always)]
    pub(super) fn asks(&self, group: &Range<usize>) -> Asks {
        Asks::new(self.tokens, self.stride, group.start)
    }
}

impl<T: Element> RowsMut<'_, T> {
    /// As [`Rows::whole`].
    #[inline(always)]
    pub(super) fn whole<L: Lanes<T::Real>>(&self) -> usize {
        whole::<L, T::Real>(self.count, self.width)
    }

    /// As [`Rows::each`].
    #[inline(always)]
    pub(super) fn each<L: Lanes<T::Real>>(&mut self) -> Option<[&mut [T]; MOST_VECTORS]> {
        if L::WIDTH == 1 || self.count < L::WIDTH {
            return None;
        }
        let length = self.width;
        let mut rows: [&mut [T]; MOST_VECTORS] = Default::default();
        let mut tokens = self.elements.chunks_mut(self.stride.max(1));
        unrolled!(vectors L::WIDTH, at, {
            rows[at] = tokens.next()?.get_mut(..length)?;
        });
        Some(rows)
    }

    /// Adds to each of a tile's features, the first of which is given, `factor` times its vector, where the tile is not in
    /// [`each`](Self::each) row.
    #[inline(always)]
    pub(super) fn add_part<L: Lanes<T::Real>>(
        &mut self,
        feature: usize,
        samples: Tile<L>,
        factor: L,
    ) {
        let width = self.width.saturating_sub(feature);
        if L::WIDTH == 1 {
            let pair = rest_mut(self.elements, feature).iter_mut().take(width);
            for (to, sample) in pair.zip(samples) {
                let to = core::slice::from_mut(to);
                sample.multiply_add(factor, L::load_from(to)).store_to(to);
            }
            return;
        }
        let tile = L::transpose(samples);
        unrolled!(vectors L::WIDTH, at, {
            if at < self.count {
                let row = rest_mut(self.elements, at * self.stride + feature);
                let sum = tile[at].multiply_add(factor, L::load_part_from(row, width));
                sum.store_part_to(row, width);
            }
        });
    }
}

/// Adds to each feature of the first `count` tiles that begin with this one `factor` times its vector. Types that are moved in pairs
/// are written two tiles at a time.
#[inline(always)]
pub(super) fn add_rows<L: Lanes<T::Real>, T: Element>(
    rows: &mut [&mut [T]; MOST_VECTORS],
    feature: usize,
    samples: Tiles<L>,
    count: usize,
    factor: L,
) {
    let end = feature + count * L::WIDTH;
    // Of a pair the first feature is in the first tile, and the second in the second one.
    let mut sums = samples;
    if T::IN_PAIRS {
        unrolled!(pairs L::WIDTH / 2, at, {
            let behind = L::WIDTH / 2 + at;
            [sums[0][at], sums[1][at]] = [samples[0][2 * at], samples[0][2 * at + 1]];
            [sums[0][behind], sums[1][behind]] = [samples[1][2 * at], samples[1][2 * at + 1]];
        });
    }
    sums[0] = L::transpose(sums[0]);
    if count == 2 {
        sums[1] = L::transpose(sums[1]);
    }
    // All are read before any is written: rows are often so far apart that a processor takes what is read for what was just written.
    unrolled!(vectors L::WIDTH, at, {
        let Some(from) = rows[at].get(feature..end) else {
            return;
        };
        if T::IN_PAIRS {
            let [even, odd] = L::load_pairs_from(from).split_pairs::<T>();
            sums[0][at] = sums[0][at].multiply_add(factor, even);
            sums[1][at] = sums[1][at].multiply_add(factor, odd);
        } else {
            sums[0][at] = sums[0][at].multiply_add(factor, L::load_from(from));
            if count == 2 {
                let from = rest(from, L::WIDTH);
                sums[1][at] = sums[1][at].multiply_add(factor, L::load_from(from));
            }
        }
    });
    unrolled!(vectors L::WIDTH, at, {
        if let Some(to) = rows[at].get_mut(feature..end) {
            if T::IN_PAIRS {
                L::join_pairs::<T>([sums[0][at], sums[1][at]]).store_pairs_to(to);
            } else {
                sums[0][at].store_to(to);
                if count == 2 {
                    sums[1][at].store_to(rest_mut(to, L::WIDTH));
                }
            }
        }
    });
}
