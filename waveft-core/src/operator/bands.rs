//! Analysis and synthesis of a block of tokens, a group of features at a time.

use super::block::{Block, BlockMut, GROUP, ROWS, groups};
use super::side::Side;
use crate::element::{Element, Real};
use crate::lanes::Lanes;
use core::ops::Range;

/// Vectors of memory that an analysis or a synthesis needs for itself.
pub(super) const fn memory(taps: usize) -> usize {
    ROWS + GROUP + history(taps)
}

/// Samples, or slots, that a group shares with the one before it.
pub(super) const fn history(taps: usize) -> usize {
    taps.saturating_sub(2)
}

/// `Cᵀ x` or `Rᵀ dy` of one block.
pub(super) struct Analysis<'a, F, T> {
    side: Side<'a, F>,
    block: Block<'a, T>,
    /// A group as it comes.
    rows: &'a mut [F],
    /// The samples that the taps reach back to, and behind them those of a group.
    samples: &'a mut [F],
}

impl<'a, F: Real, T: Element<Real = F>> Analysis<'a, F, T> {
    /// `memory` has [`memory`] vectors.
    #[inline(always)]
    pub(super) fn new<L: Lanes<F>>(
        side: Side<'a, F>,
        block: Block<'a, T>,
        memory: &'a mut [F],
    ) -> Self {
        let (rows, samples) = split(memory, ROWS * L::WIDTH);
        let reach = history(side.axis.taps()) * L::WIDTH;
        samples.get_mut(..reach).unwrap_or_default().fill(F::ZERO);
        Self {
            side,
            block,
            rows,
            samples,
        }
    }

    /// The length of the first group.
    #[inline(always)]
    pub(super) fn first_group(&self) -> usize {
        self.block.first_group()
    }

    /// Slots of the side.
    #[inline(always)]
    pub(super) fn slots(&self) -> usize {
        self.side.slots()
    }

    /// What the tokens hold in the slots of a group. Groups come in order, each once.
    // A part of its caller's instructions; on a microcontroller one function for all callers.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn group<L: Lanes<F>>(&mut self, group: Range<usize>, slots: &mut [F]) {
        let [low, high] = self.side.filters;
        let length = group.len() * L::WIDTH;
        let reach = history(low.len()) * L::WIDTH;
        let (_, fresh) = split(self.samples, reach);
        self.block.read::<L>(group, self.rows, fresh);
        if low.len() <= 1 {
            return copy(fresh, slots, length);
        }
        if let (&[low_0, low_1], &[high_0, high_1]) = (low, high) {
            return exchange::<L, F>(fresh, slots, [[low_0, low_1], [high_0, high_1]]);
        }
        let covered = self.samples.windows((low.len() * L::WIDTH).max(1));
        let pairs = slots.chunks_exact_mut(2 * L::WIDTH);
        let positions = pairs.zip(covered.step_by(2 * L::WIDTH));
        for (pair, samples) in positions.take(GROUP / 2) {
            let mut sums = [L::splat(F::ZERO); 2];
            let taps = low.iter().zip(high);
            for ((&low, &high), sample) in taps.zip(samples.chunks_exact(L::WIDTH)) {
                let sample = L::load(sample);
                sums[0] = sample.multiply_add(L::splat(low), sums[0]);
                sums[1] = sample.multiply_add(L::splat(high), sums[1]);
            }
            store_pair(sums, pair);
        }
        shift::<L, F>(self.samples, length, reach);
    }

    /// Every slot.
    #[inline(always)]
    pub(super) fn all<L: Lanes<F>>(mut self, slots: &mut [F]) {
        for group in groups(self.first_group(), self.slots()) {
            let (_, here) = split(slots, group.start * L::WIDTH);
            self.group::<L>(group, here);
        }
    }
}

/// Adds what slots synthesise to the tokens of one block.
pub(super) struct Synthesis<'a, F, T> {
    side: Side<'a, F>,
    block: BlockMut<'a, T>,
    scaling: F,
    rows: &'a mut [F],
    samples: &'a mut [F],
}

impl<'a, F: Real, T: Element<Real = F>> Synthesis<'a, F, T> {
    /// `memory` has [`memory`] vectors.
    #[inline(always)]
    pub(super) fn new<L: Lanes<F>>(
        side: Side<'a, F>,
        block: BlockMut<'a, T>,
        scaling: F,
        memory: &'a mut [F],
    ) -> Self {
        let (rows, samples) = split(memory, ROWS * L::WIDTH);
        Self {
            side,
            block,
            scaling,
            rows,
            samples,
        }
    }

    /// The length of the first group.
    #[inline(always)]
    pub(super) fn first_group(&self) -> usize {
        self.block.first_group()
    }

    /// Features of the side.
    #[inline(always)]
    pub(super) fn features(&self) -> usize {
        self.side.axis.length()
    }

    /// Adds to a group of features what their slots and [`history`] more make of them.
    // As above.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn group<L: Lanes<F>>(&mut self, group: Range<usize>, slots: &[F]) {
        let [low, high] = self.side.filters;
        let (samples, _) = split(self.samples, GROUP * L::WIDTH);
        if low.len() <= 1 {
            copy(slots, samples, group.len() * L::WIDTH);
        } else if let (&[low_0, low_1], &[high_0, high_1]) = (low, high) {
            exchange::<L, F>(slots, samples, [[low_0, high_0], [low_1, high_1]]);
        } else {
            let positions = slots.windows((low.len() * L::WIDTH).max(1));
            let pairs = samples.chunks_exact_mut(2 * L::WIDTH);
            for (pair, slots) in pairs.zip(positions.step_by(2 * L::WIDTH)) {
                store_pair(pair_of_samples::<L, F>([low, high], slots), pair);
            }
        }
        self.block.add::<L>(group, self.rows, samples, self.scaling);
    }

    /// Every feature. Leaves zeros in the slots, which is cheaper now that they are at hand.
    #[inline(always)]
    pub(super) fn all<L: Lanes<F>>(mut self, slots: &mut [F]) {
        let mut rest = slots;
        for group in groups(self.first_group(), self.features()) {
            let length = group.len() * L::WIDTH;
            self.group::<L>(group, rest);
            let (used, behind) = split(rest, length);
            clear::<L, F>(used);
            rest = behind;
        }
        clear::<L, F>(rest);
    }
}

/// Of each pair of vectors another one, a row of `matrix` for each: all that filters of two taps do.
#[inline(always)]
fn exchange<L: Lanes<F>, F: Copy>(from: &[F], to: &mut [F], matrix: [[F; 2]; 2]) {
    let [[a, b], [c, d]] = matrix;
    let (a, b, c, d) = (L::splat(a), L::splat(b), L::splat(c), L::splat(d));
    let pairs = from.chunks_exact(2 * L::WIDTH);
    for (from, to) in pairs.zip(to.chunks_exact_mut(2 * L::WIDTH)) {
        let first = L::load(from);
        let second = L::load(from.get(L::WIDTH..).unwrap_or_default());
        let (even, odd) = (first * a, first * c);
        store_pair(
            [second.multiply_add(b, even), second.multiply_add(d, odd)],
            to,
        );
    }
}

#[inline(always)]
fn store_pair<L: Lanes<F>, F>(pair: [L; 2], to: &mut [F]) {
    let (first, second) = split(to, L::WIDTH);
    pair[0].store(first);
    pair[1].store(second);
}

/// Samples `2u` and `2u + 1` from the slots of the positions `u .. u + L / 2`.
#[inline(always)]
fn pair_of_samples<L: Lanes<F>, F: Real>(filters: [&[F]; 2], slots: &[F]) -> [L; 2] {
    let mut samples = [L::splat(F::ZERO); 2];
    let [low, high] = filters.map(|filter| filter.rchunks_exact(2));
    let positions = slots.chunks_exact(2 * L::WIDTH);
    for ((slots, low), high) in positions.zip(low).zip(high) {
        let of_low = L::load(slots);
        let of_high = L::load(slots.get(L::WIDTH..).unwrap_or_default());
        for ((sample, &low), &high) in samples.iter_mut().zip(low).zip(high) {
            *sample = of_low.multiply_add(L::splat(low), *sample);
            *sample = of_high.multiply_add(L::splat(high), *sample);
        }
    }
    samples
}

/// The first `length` elements and the others, or all and none if there are fewer.
#[inline(always)]
pub(super) fn split<F>(elements: &mut [F], length: usize) -> (&mut [F], &mut [F]) {
    match elements.len() < length {
        true => (elements, &mut []),
        false => elements.split_at_mut(length),
    }
}

/// Zeros in whole vectors. Not `fill`, whose call of another function costs as much as a few of them.
#[inline(always)]
pub(super) fn clear<L: Lanes<F>, F: Real>(elements: &mut [F]) {
    for vector in elements.chunks_exact_mut(L::WIDTH) {
        L::splat(F::ZERO).store(vector);
    }
}

#[inline(always)]
fn copy<F: Copy>(from: &[F], to: &mut [F], length: usize) {
    for (to, &from) in to.iter_mut().zip(from).take(length) {
        *to = from;
    }
}

/// Moves `length` elements, whole vectors, from `start` on to the front.
#[inline(always)]
pub(super) fn shift<L: Lanes<F>, F>(elements: &mut [F], start: usize, length: usize) {
    for at in (0..length).step_by(L::WIDTH) {
        let vector = L::load(elements.get(start + at..).unwrap_or_default());
        vector.store(elements.get_mut(at..).unwrap_or_default());
    }
}
