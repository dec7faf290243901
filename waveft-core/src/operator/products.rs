//! The sparse spectrum between tokens that are analysed and those that are synthesised.
//!
//! One side's tokens are analysed and all their slots kept. The other side is swept from its first feature to its last, a group at
//! a time that stays in the first-level cache, with the atoms in its order: only the slots that are kept are reached at random.

use super::DeltaWeight;
use super::atoms::{Differentiate, Spread};
use super::bands::{Analysis, Synthesis, clear, history, take_to_front};
use super::block::{Asks, Block, BlockMut, GROUP, LINE, MOST_FEATURES, groups};
use super::order::{Order, order_len};
use super::side::{Side, most_slots};
use crate::array::{Array, ArrayMut};
use crate::element::{Element, Real};
use crate::geometry::Geometry;
use crate::lanes::{LaneKernel, Lanes, MOST_NARROW_LANES};
use crate::slices::{rest, rest_mut, split, split_mut};
use core::ops::Range;

/// Vectors of slots that a sweep adds to: a group's that are not synthesised yet, the next one's, and what these share.
const fn spread_len(taps: usize) -> usize {
    2 * GROUP + history(taps) + MOST_FEATURES
}

/// Slots that are kept: of either side, and as many more as a tile may take.
const fn kept_len(layer: Geometry) -> usize {
    most_slots(layer) + MOST_FEATURES
}

/// Elements of scratch for a product with `count` atoms, of which `gradients` have gradients.
pub(super) const fn scratch_len<F>(layer: Geometry, count: usize, gradients: usize) -> usize {
    let taps = layer.taps();
    let vectors = kept_len(layer) + spread_len(taps) + 2 * GROUP + history(taps);
    vectors * MOST_NARROW_LANES + order_len::<F>(layer, count, gradients) + LINE / size_of::<F>()
        - 1
}

/// What a product keeps in its scratch.
struct Memory<'a, N> {
    kept: &'a mut [N],
    spread: &'a mut [N],
    /// A group's slots on the side that is swept.
    group: &'a mut [N],
    samples: &'a mut [N],
}

impl<'a, N: bytemuck::Pod> Memory<'a, N> {
    /// From the first cache line on, and what is left.
    #[inline(always)]
    fn new<L: Lanes<F, Numbers = N>, F: Real>(
        layer: Geometry,
        scratch: &'a mut [F],
    ) -> (Self, &'a mut [F]) {
        let taps = layer.taps();
        let before = scratch.as_ptr().align_offset(LINE);
        let (_, rest) = split_mut(scratch, before);
        let (kept, rest) = vectors::<L, F>(rest, kept_len(layer));
        let (spread, rest) = vectors::<L, F>(rest, spread_len(taps));
        let (group, rest) = vectors::<L, F>(rest, GROUP);
        let (samples, rest) = vectors::<L, F>(rest, history(taps) + GROUP);
        let memory = Self {
            kept,
            spread,
            group,
            samples,
        };
        (memory, rest)
    }
}

/// The first `count` vectors, and the others' elements.
#[inline(always)]
fn vectors<L: Lanes<F>, F: Real>(
    elements: &mut [F],
    count: usize,
) -> (&mut [L::Numbers], &mut [F]) {
    let (vectors, rest) = split_mut(elements, count * L::WIDTH);
    (
        bytemuck::try_cast_slice_mut(vectors).unwrap_or_default(),
        rest,
    )
}

/// `y += x ΔWᵀ`, `dx += dy ΔW`, and `dc += …`: what is there of the last two is done together.
pub struct Product<'a, 'd, F, T> {
    pub(super) delta: &'a DeltaWeight<'d, F>,
    pub(super) kept: (Side<'a, F>, &'a Array<'a, T, 2>),
    pub(super) swept: Side<'a, F>,
    /// The tokens of the side that is swept, for the gradient of the spectrum.
    pub(super) differentiated: Option<&'a Array<'a, T, 2>>,
    /// The tokens of the side that is swept that are added to.
    pub(super) output: Option<ArrayMut<'a, T, 2>>,
    /// Empty without tokens to differentiate.
    pub(super) gradient: &'a mut [F],
    pub(super) scratch: &'a mut [F],
}

impl<F: Real, T: Element<Real = F>> LaneKernel<F> for Product<'_, '_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(mut self) {
        let Self { delta, swept, .. } = self;
        let layer = delta.spectrum.geometry();
        let first = self.first_group::<L>();
        let (mut memory, rest) = Memory::<L::Numbers>::new::<L, F>(layer, self.scratch);
        let mut order = Order::new(delta, swept.is_rows, first, self.gradient, rest);
        let (side, input) = self.kept;
        for tokens in blocks::<L, F>(input.shape()[0]) {
            let analysis = Analysis::new::<L>(side, block(input, &tokens), memory.samples);
            analysis.all::<L>(memory.kept);
            let differentiated = self.differentiated.map(|input| block(input, &tokens));
            let output = self
                .output
                .as_mut()
                .map(|output| block_mut(output, &tokens));
            let parts = (differentiated, output);
            sweep::<L, F, T>(swept, delta.scaling, first, parts, &mut order, &mut memory);
        }
        order.finish();
    }
}

impl<F: Real, T: Element<Real = F>> Product<'_, '_, F, T> {
    /// The length of the sweep's first group in all blocks, so that the others begin where a cache line does in the first one.
    #[inline(always)]
    fn first_group<L: Lanes<F>>(&mut self) -> usize {
        let tokens = 0..self.kept.1.shape()[0].min(L::WIDTH);
        match (self.differentiated, &mut self.output) {
            (Some(input), _) => block(input, &tokens).first_group(),
            (None, Some(output)) => {
                let first = block_mut(output, &tokens).first_group();
                (first + history(self.swept.axis.taps())) % GROUP
            }
            (None, None) => 0,
        }
    }
}

/// Sweeps a side: adds to each atom's gradient what its two slots give, and to the output what the slots that are kept make of it.
///
/// While one thing is worked on, the memory is asked for what is next: there is more time beside the atoms, which are in the caches,
/// than beside the tokens.
#[inline(always)]
fn sweep<L: Lanes<F>, F: Real, T: Element<Real = F>>(
    swept: Side<'_, F>,
    scaling: F,
    first: usize,
    (differentiated, output): (Option<Block<'_, T>>, Option<BlockMut<'_, T>>),
    order: &mut Order<'_, F>,
    memory: &mut Memory<'_, L::Numbers>,
) {
    let mut synthesis = output.map(|output| Synthesis::new(swept, output, scaling));
    let mut analysis =
        differentiated.map(|tokens| Analysis::new::<L>(swept, tokens, memory.samples));
    // What the block before spread behind its last feature.
    clear::<L, F>(memory.spread);
    // The first slot that is not synthesised yet, and the first atom that is not passed.
    let (mut start, mut passed) = (0, 0);
    for (group, &end) in groups(first, swept.slots()).zip(order.ends) {
        let count = (end as usize).saturating_sub(passed);
        let [soon, later] = match &synthesis {
            Some(synthesis) => synthesis.block.asks(&group).halves(),
            None => [Asks::NONE; 2],
        };
        if let Some(analysis) = &mut analysis {
            analysis.group::<L>(group.clone(), memory.group, soon);
        }
        let spread = Spread::<L, F> {
            slots: split(rest(order.slots, passed), count).0,
            coefficients: split(rest(order.coefficients, passed), count).0,
            kept: memory.kept,
            spread: rest_mut(memory.spread, group.start - start),
            asks: later,
        };
        match &analysis {
            Some(_) => L::outline(Differentiate {
                spread,
                gradient: rest_mut(order.gradient, passed),
                group: memory.group,
                scaling,
            }),
            None => L::outline(spread),
        }
        passed += count;
        let Some(synthesis) = &mut synthesis else {
            // What was spread is for nothing.
            clear::<L, F>(split_mut(memory.spread, GROUP).0);
            start = group.end;
            continue;
        };
        let next = match &analysis {
            Some(analysis) => analysis.block.asks_behind::<L>(&group),
            None => synthesis.block.asks_behind::<L>(&group).halves()[0],
        };
        while let Some(features) = synthesis.ready(group.end) {
            let count = features.len();
            synthesis.group::<L>(features, memory.spread, next);
            start += count;
            take_to_front::<L, F>(memory.spread, count, group.end.saturating_sub(start));
        }
    }
}

/// The blocks of so many tokens.
#[inline(always)]
fn blocks<L: Lanes<F>, F>(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..tokens).step_by(L::WIDTH);
    starts.map(move |start| start..tokens.min(start + L::WIDTH))
}

#[inline(always)]
fn block<'a, T: Element>(array: &Array<'a, T, 2>, tokens: &Range<usize>) -> Block<'a, T> {
    let stride = array.strides()[0];
    let from = rest(array.data(), tokens.start * stride);
    Block::new(from, stride, tokens.len(), array.shape()[1])
}

#[inline(always)]
fn block_mut<'a, T: Element>(
    array: &'a mut ArrayMut<'_, T, 2>,
    tokens: &Range<usize>,
) -> BlockMut<'a, T> {
    let (stride, features) = (array.strides()[0], array.shape()[1]);
    let from = rest_mut(array.data(), tokens.start * stride);
    BlockMut::new(from, stride, tokens.len(), features)
}
