//! The sparse spectrum between analysed tokens and those that are to be synthesised.
//!
//! Atoms are sorted by row, so the side that lies along the rows is swept in their order, a group of slots at a time that stays in
//! the first-level cache; only the slots of the other side are kept whole and reached at random.

use super::DeltaWeight;
use super::bands::{Analysis, Synthesis, clear, history, memory, shift, split};
use super::block::{Block, BlockMut, GROUP, LINE, groups};
use super::side::{Side, slots};
use crate::array::{Array, ArrayMut};
use crate::element::{Element, Real};
use crate::geometry::{Atom, Geometry};
use crate::lanes::{LaneKernel, Lanes, MOST_LANES, sum_lanes};
use core::ops::Range;

/// Elements of scratch with the slots of the stored weight's columns kept so many times: these, a group's slots, what an analysis or a
/// synthesis needs, and what lets them begin with a cache line.
pub(super) const fn scratch_len<F>(geometry: Geometry, times: usize) -> usize {
    let taps = geometry.taps();
    let vectors = times * slots(geometry.columns()) + GROUP + history(taps) + memory(taps);
    vectors * MOST_LANES + LINE / size_of::<F>() - 1
}

/// The scratch from its first cache line on: the vectors kept, a group's slots, and an analysis' or a synthesis' memory.
#[inline(always)]
fn parts<L: Lanes<F>, F>(scratch: &mut [F], kept: usize, taps: usize) -> [&mut [F]; 3] {
    let before = scratch.as_ptr().align_offset(LINE);
    let (_, scratch) = split(scratch, before);
    let (kept, rest) = split(scratch, kept * L::WIDTH);
    let (group, rest) = split(rest, (GROUP + history(taps)) * L::WIDTH);
    // Scratch is for the most lanes: with fewer no more than is needed, or all of it would be worked through.
    let memory = match L::WIDTH < MOST_LANES {
        true => split(rest, memory(taps) * L::WIDTH).0,
        false => rest,
    };
    [kept, group, memory]
}

/// The atoms that a sweep along the rows has not passed yet.
struct Atoms<'a, F> {
    atoms: &'a [Atom],
    coefficients: &'a [F],
    /// The number of those passed.
    passed: usize,
    /// Without a wavelet there is one slot where an atom counts two.
    halved: u32,
}

/// The atoms of a group.
struct Part<'a, F> {
    atoms: &'a [Atom],
    coefficients: &'a [F],
    range: Range<usize>,
}

impl<'a, F: Real> Atoms<'a, F> {
    #[inline(always)]
    fn new(delta: &DeltaWeight<'a, F>) -> Self {
        Self {
            atoms: delta.spectrum.atoms(),
            coefficients: delta.spectrum.coefficients(),
            passed: 0,
            halved: u32::from(delta.bank.is_none()),
        }
    }

    /// The slots of an atom among those of the rows and of the columns.
    #[inline(always)]
    fn slots(&self, atom: &Atom) -> (usize, usize) {
        (
            atom.row_slot() >> self.halved,
            atom.column_slot() >> self.halved,
        )
    }

    /// Those of the rows' slots before `end`, which are passed then.
    #[inline(always)]
    fn before(&mut self, end: usize) -> Part<'a, F> {
        let rest = self.atoms.get(self.passed..).unwrap_or_default();
        // At one position both filters' atoms come by turns, but groups are whole positions.
        let is_behind = |atom: &Atom| self.slots(atom).0 >= end;
        let count = rest.iter().position(is_behind).unwrap_or(rest.len());
        let range = self.passed..self.passed + count;
        self.passed = range.end;
        Part {
            atoms: rest.get(..count).unwrap_or_default(),
            coefficients: self.coefficients.get(range.clone()).unwrap_or_default(),
            range,
        }
    }
}

/// `y += x ΔWᵀ`, or with the sides exchanged `dx += dy ΔW`.
pub struct Apply<'a, 'd, F, T> {
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
    fn run<L: Lanes<F>>(mut self) {
        let Self {
            delta, from, to, ..
        } = self;
        let taps = from.axis.taps();
        let columns = if from.is_rows { to } else { from };
        let [kept, group, memory] = parts::<L, F>(self.scratch, columns.slots(), taps);
        clear::<L, F>(kept);
        for tokens in blocks::<L, F>(self.input.shape()[0]) {
            let input = block(self.input, &tokens);
            let output = block_mut(&mut self.output, &tokens);
            if from.is_rows {
                let analysis = Analysis::new::<L>(from, input, memory);
                sweep_analysis::<L, F, T>(delta, analysis, group, Some(kept), None);
                Synthesis::new::<L>(to, output, delta.scaling, memory).all::<L>(kept);
            } else {
                Analysis::new::<L>(from, input, memory).all::<L>(kept);
                let synthesis = Synthesis::new::<L>(to, output, delta.scaling, memory);
                sweep_synthesis::<L, F, T>(delta, kept, synthesis, group);
            }
        }
    }
}

/// `dc += …`, and `dx += dy ΔW` if `input_gradient` is there.
pub struct Backward<'a, 'd, F, T> {
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
    fn run<L: Lanes<F>>(mut self) {
        let Self {
            delta,
            inputs,
            outputs,
            ..
        } = self;
        let taps = inputs.axis.taps();
        let columns = if inputs.is_rows { outputs } else { inputs };
        let count = columns.slots();
        let [kept, group, memory] = parts::<L, F>(self.scratch, 2 * count, taps);
        let (analysed, spread) = split(kept, count * L::WIDTH);
        clear::<L, F>(spread);
        for tokens in blocks::<L, F>(self.input.shape()[0]) {
            let input = (inputs, block(self.input, &tokens));
            let output_gradient = (outputs, block(self.output_gradient, &tokens));
            let (of_columns, of_rows) = match inputs.is_rows {
                true => (output_gradient, input),
                false => (input, output_gradient),
            };
            Analysis::new::<L>(of_columns.0, of_columns.1, memory).all::<L>(analysed);
            let analysis = Analysis::new::<L>(of_rows.0, of_rows.1, memory);
            let gradient = Some((&*analysed, &mut *self.gradient));
            let Some(input_gradient) = &mut self.input_gradient else {
                sweep_analysis::<L, F, T>(delta, analysis, group, None, gradient);
                continue;
            };
            let input_gradient = block_mut(input_gradient, &tokens);
            if inputs.is_rows {
                sweep_analysis::<L, F, T>(delta, analysis, group, None, gradient);
                let synthesis = Synthesis::new::<L>(inputs, input_gradient, delta.scaling, memory);
                sweep_synthesis::<L, F, T>(delta, analysed, synthesis, group);
            } else {
                let spread_to = Some(&mut *spread);
                sweep_analysis::<L, F, T>(delta, analysis, group, spread_to, gradient);
                Synthesis::new::<L>(inputs, input_gradient, delta.scaling, memory).all::<L>(spread);
            }
        }
    }
}

/// Sweeps the analysed tokens of the side along the rows, and for each atom adds what its slot there holds, times the coefficient,
/// to its slot of `spread`; and to its gradient the product with its slot of `analysed`, over all lanes. Both are the other side's.
#[inline(always)]
fn sweep_analysis<L: Lanes<F>, F: Real, T: Element<Real = F>>(
    delta: &DeltaWeight<'_, F>,
    mut analysis: Analysis<'_, F, T>,
    slots_of_group: &mut [F],
    mut spread: Option<&mut [F]>,
    mut gradient: Option<(&[F], &mut [F])>,
) {
    let mut atoms = Atoms::new(delta);
    for group in groups(analysis.first_group(), analysis.slots()) {
        let start = group.start;
        let part = atoms.before(group.end);
        analysis.group::<L>(group, slots_of_group);
        if let Some(spread) = &mut spread {
            for (atom, &coefficient) in part.atoms.iter().zip(part.coefficients) {
                let (row, column) = atoms.slots(atom);
                let here = vector::<L, F>(slots_of_group, row - start);
                add::<L, F>(here, coefficient, spread, column);
            }
        }
        if let Some((analysed, gradient)) = &mut gradient {
            let gradient = gradient.get_mut(part.range).unwrap_or_default();
            let parts = gradient.chunks_mut(L::WIDTH);
            for (some, gradient) in part.atoms.chunks(L::WIDTH).zip(parts) {
                let mut products = [L::splat(F::ZERO); MOST_LANES];
                unrolled!(vectors L::WIDTH, at, {
                    if let Some(atom) = some.get(at) {
                        let (row, column) = atoms.slots(atom);
                        let here = vector::<L, F>(slots_of_group, row - start);
                        products[at] = here * vector::<L, F>(analysed, column);
                    }
                });
                let scaled = sum_lanes::<L, F>(products) * L::splat(delta.scaling);
                if gradient.len() == L::WIDTH {
                    (L::load(gradient) + scaled).store(gradient);
                } else {
                    let mut numbers = [F::ZERO; MOST_LANES];
                    scaled.store(&mut numbers);
                    for (gradient, number) in gradient.iter_mut().zip(numbers) {
                        *gradient += number;
                    }
                }
            }
        }
    }
}

/// Sweeps the side along the rows and adds to its tokens what the atoms make of the other side's `analysed` slots.
#[inline(always)]
fn sweep_synthesis<L: Lanes<F>, F: Real, T: Element<Real = F>>(
    delta: &DeltaWeight<'_, F>,
    analysed: &[F],
    mut synthesis: Synthesis<'_, F, T>,
    slots_of_group: &mut [F],
) {
    let mut atoms = Atoms::new(delta);
    // A group of features takes the slots from its first feature on, and so many behind them that the next one takes too.
    let shared = history(delta.spectrum.geometry().taps());
    let mut filled = 0;
    for group in groups(synthesis.first_group(), synthesis.features()) {
        let (start, length) = (group.start, group.len());
        let end = group.end.next_multiple_of(2) + shared;
        let (_, fresh) = split(slots_of_group, (filled - start) * L::WIDTH);
        clear::<L, F>(fresh);
        filled = end;
        let part = atoms.before(end);
        for (atom, &coefficient) in part.atoms.iter().zip(part.coefficients) {
            let (row, column) = atoms.slots(atom);
            let there = vector::<L, F>(analysed, column);
            add::<L, F>(there, coefficient, slots_of_group, row - start);
        }
        synthesis.group::<L>(group, slots_of_group);
        shift::<L, F>(slots_of_group, length * L::WIDTH, shared * L::WIDTH);
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
fn vector<L: Lanes<F>, F>(slots: &[F], slot: usize) -> L {
    L::load(slots.get(slot * L::WIDTH..).unwrap_or_default())
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
    let from = array.data().get(tokens.start * stride..);
    Block::new(
        from.unwrap_or_default(),
        stride,
        tokens.len(),
        array.shape()[1],
    )
}

#[inline(always)]
fn block_mut<'a, T: Element>(
    array: &'a mut ArrayMut<'_, T, 2>,
    tokens: &Range<usize>,
) -> BlockMut<'a, T> {
    let (stride, features) = (array.strides()[0], array.shape()[1]);
    let from = array.data().get_mut(tokens.start * stride..);
    BlockMut::new(from.unwrap_or_default(), stride, tokens.len(), features)
}
