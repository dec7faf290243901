//! Analysis and synthesis of a block of tokens, a group of features at a time.

use super::block::{Asks, Block, BlockMut, GROUP, groups};
use super::side::Side;
use super::tiles::{AnalyseGroup, SynthesiseGroup};
use crate::element::{Element, Real};
use crate::kernel::Kernel;
use crate::lanes::Lanes;
use crate::slices::rest_mut;
use core::hint::black_box;
use core::ops::Range;

/// Samples, or slots, that a group shares with the one before it.
pub(super) const fn history(taps: usize) -> usize {
    taps.saturating_sub(2)
}

/// `Cᵀ x` or `Rᵀ dy` of one block.
pub(super) struct Analysis<'a, F, T, N> {
    side: Side<'a, F>,
    pub(super) block: Block<'a, T>,
    /// The samples that the taps reach back to, and behind them those of a group.
    samples: &'a mut [N],
}

impl<'a, F: Real, T: Element<Real = F>, N: Copy> Analysis<'a, F, T, N> {
    /// `samples` has [`history`] and [`GROUP`] vectors.
    #[inline(always)]
    pub(super) fn new<L: Lanes<F, Numbers = N>>(
        side: Side<'a, F>,
        block: Block<'a, T>,
        samples: &'a mut [N],
    ) -> Self {
        clear::<L, F>(samples);
        Self {
            side,
            block,
            samples,
        }
    }

    /// What the tokens hold in the slots of a group, and anything in those behind that a tile takes. Groups come in order, each
    /// once.
    #[inline(always)]
    pub(super) fn group<L: Lanes<F, Numbers = N>>(
        &mut self,
        group: Range<usize>,
        slots: &mut [N],
        asks: Asks,
    ) {
        L::outline(self.kernel::<L>(group, slots, asks));
    }

    #[inline(always)]
    fn kernel<'k, L: Lanes<F, Numbers = N>>(
        &'k mut self,
        group: Range<usize>,
        slots: &'k mut [N],
        asks: Asks,
    ) -> AnalyseGroup<'k, L, F, T> {
        AnalyseGroup {
            rows: self.block.rows(&group),
            filters: self.side.filters,
            length: group.len(),
            samples: self.samples,
            slots,
            asks,
        }
    }

    /// Every slot.
    #[inline(always)]
    pub(super) fn all<L: Lanes<F, Numbers = N>>(self, slots: &mut [N]) {
        L::outline(AnalyseAll::<L, F, T> {
            analysis: self,
            slots,
        });
    }
}

/// All groups at once, which spares their calls.
struct AnalyseAll<'k, L: Lanes<F>, F, T> {
    analysis: Analysis<'k, F, T, L::Numbers>,
    slots: &'k mut [L::Numbers],
}

impl<L: Lanes<F>, F: Real, T: Element<Real = F>> Kernel for AnalyseAll<'_, L, F, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for group in groups(
            self.analysis.block.first_group(),
            self.analysis.side.slots(),
        ) {
            let here = rest_mut(self.slots, group.start);
            self.analysis.kernel::<L>(group, here, Asks::NONE).run();
        }
    }
}

/// Adds what slots synthesise to the tokens of one block.
pub(super) struct Synthesis<'a, F, T> {
    side: Side<'a, F>,
    pub(super) block: BlockMut<'a, T>,
    scaling: F,
    /// Features that are finished.
    finished: usize,
}

impl<'a, F: Real, T: Element<Real = F>> Synthesis<'a, F, T> {
    #[inline(always)]
    pub(super) fn new(side: Side<'a, F>, block: BlockMut<'a, T>, scaling: F) -> Self {
        Self {
            side,
            block,
            scaling,
            finished: 0,
        }
    }

    /// The next group, if it takes no slot from `end` on: it takes those from its first feature on, and [`history`] behind its
    /// last.
    #[inline(always)]
    pub(super) fn ready(&self, end: usize) -> Option<Range<usize>> {
        let (start, features) = (self.finished, self.side.axis.length());
        let first = self.block.first_group();
        let bound = match start == 0 && first > 0 {
            true => first,
            false => start + GROUP,
        };
        let bound = bound.min(features);
        let reach = bound.next_multiple_of(2) + history(self.side.axis.taps());
        (start < features && reach.min(self.side.slots()) <= end).then_some(start..bound)
    }

    /// Adds to a group of features what their slots and [`history`] more make of them.
    #[inline(always)]
    pub(super) fn group<L: Lanes<F>>(
        &mut self,
        group: Range<usize>,
        slots: &mut [L::Numbers],
        asks: Asks,
    ) {
        self.finished = group.end;
        L::outline(SynthesiseGroup::<L, F, T> {
            rows: self.block.rows(&group),
            filters: self.side.filters,
            factor: self.scaling,
            length: group.len(),
            slots,
            asks,
        });
    }
}

/// Zeros, of which a compiler shall not know that they are: the system's function to fill memory takes twice as long for so few.
#[inline(always)]
pub(super) fn clear<L: Lanes<F>, F: Real>(vectors: &mut [L::Numbers]) {
    let zeros = L::splat(black_box(F::ZERO));
    for vector in vectors {
        zeros.put(vector);
    }
}

/// [`shift`], which leaves zeros.
#[inline(always)]
pub(super) fn take_to_front<L: Lanes<F>, F: Real>(
    vectors: &mut [L::Numbers],
    start: usize,
    length: usize,
) {
    shift(vectors, start, length);
    let taken = vectors.get_mut(start.max(length)..start + length);
    clear::<L, F>(taken.unwrap_or_default());
}

/// Moves `length` vectors, from `start` on, to the front.
#[inline(always)]
pub(super) fn shift<N: Copy>(vectors: &mut [N], start: usize, length: usize) {
    for at in 0..length {
        let vector = vectors.get(start + at).copied();
        if let (Some(vector), Some(to)) = (vector, vectors.get_mut(at)) {
            *to = vector;
        }
    }
}
