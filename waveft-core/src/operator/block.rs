//! A block of tokens at once, a token in each lane: analysis, the sparse spectrum, synthesis.
//!
//! Tokens come row-major, so tiles of as many tokens as features as there are lanes are transposed on
//! their way in and out. In between a *slot* is a vector: `2k` is position `k` under the low-pass
//! filter and `2k + 1` under the high-pass one, of one axis of the layer. A block's slots stay in the
//! cache of the second level; the tokens themselves are read and written once, a group of features of
//! one token after that of the other: rows often are a power of two apart, and single lines of so many
//! of them would drive each other out of the first level.

use super::DeltaWeight;
use crate::array::{Array, ArrayMut};
use crate::element::{Element, Real};
use crate::geometry::{Atom, Axis};
use crate::isa::{prefetch, prefetch_to_read};
use crate::lanes::{LaneKernel, Lanes, MOST_LANES};
use core::ops::Range;

/// Features that are analysed at once; even, and a multiple of every vector's width.
const GROUP: usize = 64;

/// `for at in 0..count`, up to 16 vectors or 8 pairs of them, without a loop: what is indexed by constants stays in registers.
macro_rules! unrolled {
    (vectors $count:expr, $at:ident, $work:block) => {
        unrolled!($count, $at, $work, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (pairs $count:expr, $at:ident, $work:block) => {
        unrolled!($count, $at, $work, 0 1 2 3 4 5 6 7)
    };
    ($count:expr, $at:ident, $work:block, $($index:literal)*) => {
        $(
            if $index < $count {
                let $at = $index;
                $work
            }
        )*
    };
}

/// Slots of an axis: two a position.
pub(super) const fn slots(axis: Axis) -> usize {
    if axis.taps() == 1 {
        axis.length()
    } else {
        axis.padded_length()
    }
}

/// Vectors that are needed beside the slots: a group as it comes, and transposed behind the taps before it.
pub(super) const fn window(axis: Axis) -> usize {
    2 * GROUP + axis.taps()
}

/// An axis of the layer, and which number of an atom counts its slots.
#[derive(Clone, Copy)]
pub(super) struct Side<'a, F> {
    pub(super) axis: Axis,
    pub(super) is_rows: bool,
    /// `rec_lo` and `rec_hi`; a one without a wavelet.
    pub(super) filters: [&'a [F]; 2],
}

impl<F: Real> Side<'_, F> {
    #[inline(always)]
    fn slot(&self, atom: &Atom) -> usize {
        let slot = if self.is_rows {
            atom.row_slot()
        } else {
            atom.column_slot()
        };
        // Without a wavelet a position is one slot.
        if self.filters[0].len() == 1 {
            slot / 2
        } else {
            slot
        }
    }

    /// The filters, of a length that the compiler knows if `TAPS` is not 0.
    #[inline(always)]
    fn filters<const TAPS: usize>(&self) -> [&[F]; 2] {
        let known = |filter: &'_ [F]| if TAPS > 0 { TAPS } else { filter.len() };
        self.filters
            .map(|filter| filter.get(..known(filter)).unwrap_or_default())
    }

    /// What the block's tokens hold in each slot: `Cᵀ x`, or `Rᵀ dy`.
    #[inline(always)]
    fn analyse<L, T, const TAPS: usize>(
        &self,
        block: &Block<'_, T>,
        slots: &mut [F],
        window: &mut [F],
    ) where
        L: Lanes<F>,
        T: Element<Real = F>,
    {
        let [low, high] = self.filters::<TAPS>();
        let features = self.axis.length();
        let group = GROUP * L::WIDTH;
        let (rows, window) = window.split_at_mut(group.min(window.len()));
        if low.len() == 1 {
            for (index, slots) in slots.chunks_mut(group).enumerate() {
                block.read::<L>(index * GROUP, features, rows);
                transpose_group::<L, F>(rows, slots);
            }
            return;
        }
        let history = (low.len() - 2) * L::WIDTH;
        let Some(window) = window.get_mut(..history + group) else {
            return;
        };
        window[..history].fill(F::ZERO);
        for (index, slots) in slots.chunks_mut(group).enumerate() {
            block.read::<L>(index * GROUP, features, rows);
            transpose_group::<L, F>(rows, &mut window[history..]);
            let samples = window.windows(low.len() * L::WIDTH);
            let positions = samples.step_by(2 * L::WIDTH);
            for (pair, samples) in slots.chunks_exact_mut(2 * L::WIDTH).zip(positions) {
                let mut sums = [L::splat(F::ZERO); 2];
                let taps = low.iter().zip(high);
                for ((&low, &high), sample) in taps.zip(samples.chunks_exact(L::WIDTH)) {
                    let sample = L::load(sample);
                    sums[0] = sample.multiply_add(L::splat(low), sums[0]);
                    sums[1] = sample.multiply_add(L::splat(high), sums[1]);
                }
                let (to_low, to_high) = pair.split_at_mut(L::WIDTH);
                sums[0].store(to_low);
                sums[1].store(to_high);
            }
            window.copy_within(group.., 0);
        }
    }

    /// Adds `scaling` times what the slots synthesise to the block's tokens.
    #[inline(always)]
    fn synthesise<L, T, const TAPS: usize>(
        &self,
        slots: &[F],
        scaling: F,
        block: &mut BlockMut<'_, T>,
        window: &mut [F],
    ) where
        L: Lanes<F>,
        T: Element<Real = F>,
    {
        let taps = self.filters::<TAPS>()[0].len();
        let features = self.axis.length();
        let (rows, window) = window.split_at_mut((GROUP * L::WIDTH).min(window.len()));
        let samples = window.get_mut(..GROUP * L::WIDTH).unwrap_or_default();
        for feature in (0..features).step_by(GROUP) {
            let slots = slots.get(feature * L::WIDTH..).unwrap_or_default();
            if taps == 1 {
                let count = samples.len().min(slots.len());
                samples[..count].copy_from_slice(&slots[..count]);
            } else {
                let positions = slots.windows(taps * L::WIDTH).step_by(2 * L::WIDTH);
                let pairs = samples.chunks_exact_mut(2 * L::WIDTH);
                for (pair, slots) in pairs.zip(positions) {
                    let [even, odd] = self.pair_of_samples::<L, TAPS>(slots);
                    let (to_even, to_odd) = pair.split_at_mut(L::WIDTH);
                    even.store(to_even);
                    odd.store(to_odd);
                }
            }
            transpose_back::<L, F>(samples, rows);
            block.add::<L>(rows, scaling, feature, features);
        }
    }

    /// Samples `2u` and `2u + 1` from the slots of the positions `u .. u + L / 2`.
    #[inline(always)]
    fn pair_of_samples<L: Lanes<F>, const TAPS: usize>(&self, slots: &[F]) -> [L; 2] {
        let mut samples = [L::splat(F::ZERO); 2];
        let [low, high] = self.filters::<TAPS>().map(|filter| filter.rchunks_exact(2));
        let positions = slots.chunks_exact(2 * L::WIDTH);
        for ((slots, low), high) in positions.zip(low).zip(high) {
            let (of_low, of_high) = slots.split_at(L::WIDTH);
            let (of_low, of_high) = (L::load(of_low), L::load(of_high));
            for ((sample, &low), &high) in samples.iter_mut().zip(low).zip(high) {
                *sample = of_low.multiply_add(L::splat(low), *sample);
                *sample = of_high.multiply_add(L::splat(high), *sample);
            }
        }
        samples
    }
}

/// As many tokens as there are lanes, or the fewer that are left.
struct Block<'a, T> {
    /// From the block's first token on.
    tokens: &'a [T],
    stride: usize,
    count: usize,
}

/// A [`Block`] to be changed.
struct BlockMut<'a, T> {
    tokens: &'a mut [T],
    stride: usize,
    count: usize,
}

impl<T: Element> Block<'_, T> {
    /// A group of features from `feature` on, row after row; zeros where there are none.
    #[inline(always)]
    fn read<L: Lanes<T::Real>>(&self, feature: usize, features: usize, rows: &mut [T::Real]) {
        let width = GROUP.min(features.saturating_sub(feature));
        for (token, row) in rows.chunks_exact_mut(GROUP).take(L::WIDTH).enumerate() {
            let first = token * self.stride + feature;
            let from = match token < self.count {
                true => self.tokens.get(first..first + width).unwrap_or_default(),
                false => &[],
            };
            prefetch_to_read(self.tokens, first + GROUP);
            prefetch_to_read(self.tokens, first + GROUP + GROUP / 2);
            let whole = from.chunks_exact(L::WIDTH);
            let rest = whole.remainder();
            let mut to = row.chunks_exact_mut(L::WIDTH);
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
    }
}

impl<T: Element> BlockMut<'_, T> {
    /// Adds `scaling` times a group of features, row after row, to those from `feature` on.
    #[inline(always)]
    fn add<L: Lanes<T::Real>>(
        &mut self,
        rows: &[T::Real],
        scaling: T::Real,
        feature: usize,
        features: usize,
    ) {
        let width = GROUP.min(features - feature);
        for (token, row) in rows.chunks_exact(GROUP).take(self.count).enumerate() {
            let first = token * self.stride + feature;
            prefetch(self.tokens, first + GROUP);
            prefetch(self.tokens, first + GROUP + GROUP / 2);
            let to = self
                .tokens
                .get_mut(first..first + width)
                .unwrap_or_default();
            let mut whole = to.chunks_exact_mut(L::WIDTH);
            for (to, row) in (&mut whole).zip(row.chunks_exact(L::WIDTH)) {
                let sum = L::load(row).multiply_add(L::splat(scaling), L::load_from(to));
                sum.store_to(to);
            }
            let rest = whole.into_remainder();
            let done = width - rest.len();
            for (to, &row) in rest.iter_mut().zip(&row[done..]) {
                *to = T::from_real(row * scaling + to.to_real());
            }
        }
    }
}

/// Tokens × features to features × tokens.
#[inline(always)]
fn transpose_group<L: Lanes<F>, F>(rows: &[F], columns: &mut [F]) {
    for tile in 0..GROUP / L::WIDTH {
        let from = rows.get(tile * L::WIDTH..).unwrap_or_default();
        let to = columns.get_mut(tile * L::WIDTH * L::WIDTH..);
        transpose::<L, F>(from, GROUP, to.unwrap_or_default(), L::WIDTH);
    }
}

/// Features × tokens to tokens × features.
#[inline(always)]
fn transpose_back<L: Lanes<F>, F>(columns: &[F], rows: &mut [F]) {
    for tile in 0..GROUP / L::WIDTH {
        let from = columns.get(tile * L::WIDTH * L::WIDTH..);
        let to = rows.get_mut(tile * L::WIDTH..).unwrap_or_default();
        transpose::<L, F>(from.unwrap_or_default(), L::WIDTH, to, GROUP);
    }
}

/// Exchanges the numbers' places in the first `WIDTH` vectors with the vectors' own.
///
/// To interleave the first half with the second rotates the bits of a number's place, those of its
/// vector above those of its lane, by one: after half of them the two have changed sides.
#[inline(always)]
fn transpose<L: Lanes<F>, F>(from: &[F], from_stride: usize, to: &mut [F], to_stride: usize) {
    let mut tile = [L::load(&[]); MOST_LANES];
    unrolled!(vectors L::WIDTH, at, {
        tile[at] = L::load(from.get(at * from_stride..).unwrap_or_default());
    });
    for width in [2, 4, 8, 16] {
        if width <= L::WIDTH {
            tile = interleave_halves(tile);
        }
    }
    unrolled!(vectors L::WIDTH, at, {
        tile[at].store(to.get_mut(at * to_stride..).unwrap_or_default());
    });
}

#[inline(always)]
fn interleave_halves<L: Lanes<F>, F>(before: [L; MOST_LANES]) -> [L; MOST_LANES] {
    let mut after = before;
    unrolled!(pairs L::WIDTH / 2, at, {
        let (first, second) = before[at].interleave(before[at + L::WIDTH / 2]);
        after[2 * at] = first;
        after[2 * at + 1] = second;
    });
    after
}

/// The sum over the lanes of each of the first `WIDTH` vectors.
#[inline(always)]
fn sum_lanes<L: Lanes<F>, F>(mut vectors: [L; MOST_LANES]) -> L {
    for pairs in [8, 4, 2, 1] {
        if pairs < L::WIDTH {
            unrolled!(pairs pairs, at, {
                let (even, odd) = vectors[2 * at].deinterleave(vectors[2 * at + 1]);
                vectors[at] = even + odd;
            });
        }
    }
    vectors[0]
}

/// `y += x ΔWᵀ`, or with the sides exchanged `dx += dy ΔW`.
pub(super) struct Apply<'a, 'd, F, T> {
    pub(super) delta: &'a DeltaWeight<'d, F>,
    pub(super) from: Side<'a, F>,
    pub(super) to: Side<'a, F>,
    pub(super) input: &'a Array<'a, T, 2>,
    pub(super) output: ArrayMut<'a, T, 2>,
    pub(super) scratch: &'a mut [F],
}

impl<F: Real, T: Element<Real = F>> LaneKernel<F> for Apply<'_, '_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        // Short filters as Haar's gain from a loop that is none.
        match self.from.axis.taps() {
            2 => self.run_with::<L, 2>(),
            _ => self.run_with::<L, 0>(),
        }
    }
}

impl<F: Real, T: Element<Real = F>> Apply<'_, '_, F, T> {
    /// Under filters of `TAPS` taps, or any number for 0.
    #[inline(always)]
    fn run_with<L: Lanes<F>, const TAPS: usize>(mut self) {
        let Self { from, to, .. } = self;
        let (analysed, rest) = self.scratch.split_at_mut(slots(from.axis) * L::WIDTH);
        let (spread, window) = rest.split_at_mut(slots(to.axis) * L::WIDTH);
        let spectrum = self.delta.spectrum;
        for tokens in blocks::<L, F>(self.input.shape()[0]) {
            let block = block(self.input, &tokens);
            from.analyse::<L, T, TAPS>(&block, analysed, window);
            spread.fill(F::ZERO);
            for (atom, &coefficient) in spectrum.atoms().iter().zip(spectrum.coefficients()) {
                let from = L::load(vector::<L, F>(analysed, from.slot(atom)));
                add::<L, F>(from, coefficient, spread, to.slot(atom));
            }
            let mut block = block_mut(&mut self.output, &tokens);
            to.synthesise::<L, T, TAPS>(spread, self.delta.scaling, &mut block, window);
        }
    }
}

/// `dc += …`, and `dx += dy ΔW` if `input_gradient` is there.
pub(super) struct Backward<'a, 'd, F, T> {
    pub(super) delta: &'a DeltaWeight<'d, F>,
    pub(super) inputs: Side<'a, F>,
    pub(super) outputs: Side<'a, F>,
    pub(super) input: &'a Array<'a, T, 2>,
    pub(super) output_gradient: &'a Array<'a, T, 2>,
    pub(super) input_gradient: Option<ArrayMut<'a, T, 2>>,
    pub(super) gradient: &'a mut [F],
    pub(super) scratch: &'a mut [F],
}

impl<F: Real, T: Element<Real = F>> LaneKernel<F> for Backward<'_, '_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        match self.inputs.axis.taps() {
            2 => self.run_with::<L, 2>(),
            _ => self.run_with::<L, 0>(),
        }
    }
}

impl<F: Real, T: Element<Real = F>> Backward<'_, '_, F, T> {
    /// As for [`Apply`].
    #[inline(always)]
    fn run_with<L: Lanes<F>, const TAPS: usize>(mut self) {
        let Self {
            inputs, outputs, ..
        } = self;
        let count = slots(inputs.axis) * L::WIDTH;
        let (of_input, rest) = self.scratch.split_at_mut(count);
        let (of_output, rest) = rest.split_at_mut(slots(outputs.axis) * L::WIDTH);
        let (spread, window) = rest.split_at_mut(count);
        let scaling = self.delta.scaling;
        for tokens in blocks::<L, F>(self.input.shape()[0]) {
            inputs.analyse::<L, T, TAPS>(&block(self.input, &tokens), of_input, window);
            outputs.analyse::<L, T, TAPS>(&block(self.output_gradient, &tokens), of_output, window);
            let spread_to = self.input_gradient.is_some().then_some(&mut *spread);
            let sides = (inputs, outputs);
            let slots = (&*of_input, &*of_output, spread_to);
            accumulate::<L, F>(self.delta, sides, slots, self.gradient);
            if let Some(input_gradient) = &mut self.input_gradient {
                let mut block = block_mut(input_gradient, &tokens);
                inputs.synthesise::<L, T, TAPS>(spread, scaling, &mut block, window);
            }
        }
    }
}

/// One block's share of the spectrum's gradient, and `Sᵀ Rᵀ dy`, of which `spread` is cleared first.
#[inline(always)]
fn accumulate<L: Lanes<F>, F: Real>(
    delta: &DeltaWeight<'_, F>,
    (inputs, outputs): (Side<'_, F>, Side<'_, F>),
    (of_input, of_output, mut spread): (&[F], &[F], Option<&mut [F]>),
    gradient: &mut [F],
) {
    if let Some(spread) = &mut spread {
        spread.fill(F::ZERO);
    }
    let atoms = delta.spectrum.atoms().chunks(L::WIDTH);
    let coefficients = delta.spectrum.coefficients().chunks(L::WIDTH);
    let groups = atoms.zip(coefficients).zip(gradient.chunks_mut(L::WIDTH));
    for ((atoms, coefficients), gradient) in groups {
        let mut products = [L::splat(F::ZERO); MOST_LANES];
        let zero = products[0];
        for ((atom, &coefficient), product) in atoms.iter().zip(coefficients).zip(&mut products) {
            let slot = inputs.slot(atom);
            let output = L::load(vector::<L, F>(of_output, outputs.slot(atom)));
            let input = L::load(vector::<L, F>(of_input, slot));
            *product = output.multiply_add(input, zero);
            if let Some(spread) = &mut spread {
                add::<L, F>(output, coefficient, spread, slot);
            }
        }
        let sums = sum_lanes::<L, F>(products);
        let mut unscaled = [F::ZERO; MOST_LANES];
        sums.store(&mut unscaled);
        for (gradient, unscaled) in gradient.iter_mut().zip(unscaled) {
            *gradient += delta.scaling * unscaled;
        }
    }
}

/// `slots[slot] += coefficient · from`.
#[inline(always)]
fn add<L: Lanes<F>, F: Real>(from: L, coefficient: F, slots: &mut [F], slot: usize) {
    let first = slot * L::WIDTH;
    let to = slots.get_mut(first..first + L::WIDTH).unwrap_or_default();
    from.multiply_add(L::splat(coefficient), L::load(to))
        .store(to);
}

#[inline(always)]
fn vector<L: Lanes<F>, F>(slots: &[F], slot: usize) -> &[F] {
    let first = slot * L::WIDTH;
    slots.get(first..first + L::WIDTH).unwrap_or_default()
}

/// The blocks of so many tokens.
#[inline(always)]
fn blocks<L: Lanes<F>, F>(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..tokens).step_by(L::WIDTH);
    starts.map(move |start| start..tokens.min(start + L::WIDTH))
}

#[inline(always)]
fn block<'a, T>(array: &Array<'a, T, 2>, tokens: &Range<usize>) -> Block<'a, T> {
    let stride = array.strides()[0];
    Block {
        tokens: array
            .data()
            .get(tokens.start * stride..)
            .unwrap_or_default(),
        stride,
        count: tokens.len(),
    }
}

#[inline(always)]
fn block_mut<'a, T>(array: &'a mut ArrayMut<'_, T, 2>, tokens: &Range<usize>) -> BlockMut<'a, T> {
    let stride = array.strides()[0];
    let data = array.data();
    BlockMut {
        tokens: data.get_mut(tokens.start * stride..).unwrap_or_default(),
        stride,
        count: tokens.len(),
    }
}
