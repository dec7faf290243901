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
pub(super) struct Analysis<'a, F, T, const TAPS: usize> {
    side: Side<'a, F>,
    block: Block<'a, T>,
    /// A group as it comes.
    rows: &'a mut [F],
    /// The samples that the taps reach back to, and behind them those of a group.
    samples: &'a mut [F],
}

impl<'a, F: Real, T: Element<Real = F>, const TAPS: usize> Analysis<'a, F, T, TAPS> {
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
    #[inline(always)]
    pub(super) fn group<L: Lanes<F>>(&mut self, group: Range<usize>, slots: &mut [F]) {
        let [low, high] = self.side.filters::<TAPS>();
        let length = group.len() * L::WIDTH;
        let reach = history(low.len()) * L::WIDTH;
        let (_, fresh) = split(self.samples, reach);
        self.block.read::<L>(group, self.rows, fresh);
        if low.len() <= 1 {
            return copy(fresh, slots, length);
        }
        let covered = self.samples.windows(low.len() * L::WIDTH);
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
            let (to_low, to_high) = split(pair, L::WIDTH);
            sums[0].store(to_low);
            sums[1].store(to_high);
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
pub(super) struct Synthesis<'a, F, T, const TAPS: usize> {
    side: Side<'a, F>,
    block: BlockMut<'a, T>,
    scaling: F,
    rows: &'a mut [F],
    samples: &'a mut [F],
}

impl<'a, F: Real, T: Element<Real = F>, const TAPS: usize> Synthesis<'a, F, T, TAPS> {
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
    #[inline(always)]
    pub(super) fn group<L: Lanes<F>>(&mut self, group: Range<usize>, slots: &[F]) {
        let taps = self.side.filters::<TAPS>()[0].len();
        let samples = self
            .samples
            .get_mut(..GROUP * L::WIDTH)
            .unwrap_or_default();
        if taps <= 1 {
            copy(slots, samples, group.len() * L::WIDTH);
        } else {
            let positions = slots.windows(taps * L::WIDTH).step_by(2 * L::WIDTH);
            let pairs = samples.chunks_exact_mut(2 * L::WIDTH);
            for (pair, slots) in pairs.zip(positions) {
                let [even, odd] = pair_of_samples::<L, F>(self.side.filters::<TAPS>(), slots);
                let (to_even, to_odd) = split(pair, L::WIDTH);
                even.store(to_even);
                odd.store(to_odd);
            }
        }
        self.block
            .add::<L>(group, self.rows, samples, self.scaling);
    }

    /// Every feature.
    #[inline(always)]
    pub(super) fn all<L: Lanes<F>>(mut self, slots: &[F]) {
        for group in groups(self.first_group(), self.features()) {
            let here = slots.get(group.start * L::WIDTH..).unwrap_or_default();
            self.group::<L>(group, here);
        }
    }
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
