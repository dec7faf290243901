//! One operator on one axis: which samples each coefficient belongs to, by which taps, and what the
//! samples beyond the ends are.
//!
//! Analysis and the adjoint of synthesis are [`analyse`](Frame::analyse), synthesis and the adjoint of
//! analysis [`synthesise`](Frame::synthesise); the two of a pair have the same taps and the same
//! extension, so that they are transposes of each other.

use crate::element::{Element, Real};
use crate::extension_mode::{ExtensionMode, FirstCopy};
use crate::filter_bank::MAX_TAPS;
use crate::kernel::Kernel;
use crate::lanes::Lanes;
use crate::lifting::{MOST_STEPS, Step};
use crate::polyphase::{
    Apart, Backwards, Forwards, Joined, Sink, Terms, combine, combine_pairs, deinterleave,
    in_turns, interleave,
};
use crate::slices::{rest, split, split_mut};
use core::marker::PhantomData;
use core::ops::Range;
use core::slice::from_mut;

/// Pairs of coefficients that are made at once: their samples stay in the first cache.
const CHUNK: usize = 1024;

/// What there is beyond the ends of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// What a mode makes of the line.
    Extension(ExtensionMode),
    /// Nothing.
    Nothing,
    /// The line again, every `period` samples, of which it may lack the last.
    Around {
        /// An even number.
        period: usize,
    },
}

impl Beyond {
    /// The sample at `index` as a sum of real ones, as [`ExtensionMode::sample`] has it.
    fn sample(self, index: isize, length: usize) -> [(usize, i16); 3] {
        match self {
            Self::Extension(mode) => mode.sample(index, length),
            Self::Nothing => ExtensionMode::Zero.sample(index, length),
            Self::Around { period } => {
                let at = index.checked_rem_euclid(period as isize);
                let at = at.unwrap_or(0) as usize;
                [(at, i16::from(at < length)), (0, 0), (0, 0)]
            }
        }
    }

    /// The copy of a line before or behind it, where there is one.
    #[inline(always)]
    const fn first_copy(self, before: bool, length: usize) -> Option<FirstCopy> {
        match self {
            Self::Extension(mode) => mode.first_copy(before, length),
            Self::Nothing | Self::Around { .. } => None,
        }
    }

    /// Whether coefficients count around.
    const fn is_periodized(self) -> bool {
        matches!(
            self,
            Self::Around { .. } | Self::Extension(ExtensionMode::Periodization)
        )
    }
}

/// An operator on lines of `samples` samples and two bands of `coefficients` coefficients.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a, F> {
    beyond: Beyond,
    pub(super) samples: usize,
    pub(super) coefficients: usize,
    /// The first sample of coefficient 0.
    pub(super) shift: isize,
    /// The `L` taps in the order of the terms that are combined. From samples to coefficients: what a
    /// coefficient's samples are multiplied by for either band, first sample first. From coefficients to
    /// samples: what coefficients `u`, `u − 1`, … are multiplied by for the even and for the odd sample
    /// of pair `u`, first that of the low-pass, then that of the high-pass band.
    pub(super) pairs: &'a [[F; 2]],
}

/// Which of an axis' two frames is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Analysis and its adjoint.
    Analysis,
    /// Synthesis and its adjoint.
    Synthesis,
}

/// Which of a frame's two operators is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From samples to coefficients.
    Gather,
    /// From coefficients to samples, the transpose.
    Scatter,
}

impl<'a, F: Real> Frame<'a, F> {
    /// With the taps of two filters, or the same from their ends, in a room of [`taps_len`] elements.
    #[inline(always)]
    pub(super) fn new(
        beyond: Beyond,
        [samples, coefficients]: [usize; 2],
        filters: [&[F]; 2],
        is_reversed: bool,
        direction: Direction,
        room: &'a mut [F],
    ) -> Self {
        let (pairs, _) = room.as_chunks_mut();
        let (fours, _) = pairs.as_chunks_mut();
        let [low, high] = filters.map(|filter| filter.as_chunks().0.iter());
        let arranged = |[a, b]: [F; 2], [c, d]: [F; 2]| match direction {
            Direction::Gather => [[a, c], [b, d]],
            Direction::Scatter => [[a, b], [c, d]],
        };
        if is_reversed {
            for (four, (&[b, a], &[d, c])) in fours.iter_mut().zip(low.zip(high).rev()) {
                *four = arranged([a, b], [c, d]);
            }
        } else {
            for (four, (&low, &high)) in fours.iter_mut().zip(low.zip(high)) {
                *four = arranged(low, high);
            }
        }
        let taps = pairs.len() as isize;
        let shift = if beyond.is_periodized() {
            1 - taps / 2
        } else {
            2 - taps
        };
        Self {
            beyond,
            samples,
            coefficients,
            shift,
            pairs,
        }
    }

    /// Half the taps, `L / 2`: as many pairs of samples belong to a coefficient.
    pub(super) const fn half(&self) -> usize {
        self.pairs.len() / 2
    }

    fn chunk(&self) -> usize {
        chunk(self.coefficients, self.pairs.len()).max(1)
    }

    /// `low[k]`, `high[k]`: the sums of the coefficient's samples times their taps, by convolution or in
    /// factors.
    #[inline(always)]
    pub(super) fn analyse<L, T, U>(
        &self,
        factors: Option<&Factors<F>>,
        samples: &[T],
        low: &mut [U],
        high: &mut [U],
        scratch: &mut [F],
    ) where
        L: Lanes<F>,
        T: Element<Real = F>,
        U: Element<Real = F>,
    {
        if self.outgrows_line() {
            for (k, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let sample = |at: usize| rest(samples, at);
                self.sum_own(k, sample, &mut Apart(from_mut(low), from_mut(high)));
            }
            return;
        }
        let chunk = self.chunk();
        // Two taps see their own pair of samples only, the first at index 0.
        let done = if self.pairs.len() == 2 && factors.is_none() {
            combine_pairs::<L, _, _, _>(self.pairs, samples, low, high)
        } else {
            0
        };
        let (even, odd) = split_mut(scratch, chunk + self.half());
        let [low, high] = [low, high].map(|band| band.get_mut(done..).unwrap_or_default());
        let bands = low.chunks_mut(chunk).zip(high.chunks_mut(chunk));
        for (index, (low, high)) in bands.enumerate() {
            let first = 2 * (done + index * chunk) as isize + self.shift;
            let count = low.len() + self.half() - 1;
            let (Some(even), Some(odd)) = (even.get_mut(..count), odd.get_mut(..count)) else {
                return;
            };
            self.split::<L, _>(samples, first, even, odd);
            match factors {
                None => self.filter::<L, _>((even, odd), low, high),
                Some(factors) => factors.lift_to_bands::<L, _>(even, odd, low, high),
            }
        }
    }

    /// [`synthesise`](Self::synthesise) in lifting steps, with scales for the two bands at their beginning.
    #[inline(always)]
    pub(super) fn synthesise_lifted<L, T, U>(
        &self,
        factors: &Factors<F>,
        bands: [&[T]; 2],
        samples: &mut [U],
        scratch: &mut [F],
    ) where
        L: Lanes<F>,
        T: Element<Real = F>,
        U: Element<Real = F>,
    {
        let chunk = self.chunk();
        // First what is inside the line, then what its extension takes there.
        let [before, behind] = self.outside();
        let parts = [0..samples.len() as isize, before, behind];
        for (part, indices) in parts.into_iter().enumerate() {
            let covering = self.pairs_covering(indices.clone());
            for start in covering.clone().step_by(chunk) {
                let count = chunk.min((covering.end - start) as usize);
                let [even, odd] = self.lift_pairs::<L, _>(factors, bands, start, count, scratch);
                let first = 2 * start + self.shift;
                if part == 0 {
                    join::<L, _, _>(even, odd, first, samples);
                    continue;
                }
                let values = even.iter().zip(odd).flat_map(|(&even, &odd)| [even, odd]);
                for (index, value) in (first..).zip(values) {
                    if indices.contains(&index) {
                        self.fold(samples, index, value);
                    }
                }
            }
        }
    }

    /// The even and the odd samples of `count` pairs from `start`.
    #[inline(always)]
    fn lift_pairs<'s, L, T>(
        &self,
        factors: &Factors<F>,
        bands: [&[T]; 2],
        start: isize,
        count: usize,
        scratch: &'s mut [F],
    ) -> [&'s [F]; 2]
    where
        L: Lanes<F>,
        T: Element<Real = F>,
    {
        let copied = count + self.half() - 1;
        let (first, rest) = split_mut(scratch, copied);
        let second = rest.get_mut(..copied).unwrap_or_default();
        let before = start + 1 - self.half() as isize;
        self.copy::<L, _>(bands[0], before, factors.scales[0], first);
        self.copy::<L, _>(bands[1], before, factors.scales[1], second);
        factors.lift::<L>(first, second);
        let [a, b] = factors.offsets;
        [
            first.get(b..b + count).unwrap_or_default(),
            second.get(a..a + count).unwrap_or_default(),
        ]
    }

    /// Coefficients from index `first`, which may be outside the band, times a scale.
    #[inline(always)]
    fn copy<L, T>(&self, band: &[T], first: isize, by: F, to: &mut [F])
    where
        L: Lanes<F>,
        T: Element<Real = F>,
    {
        let length = to.len() as isize;
        let before = (-first).max(0).min(length) as usize;
        let inside = self.coefficients as isize - first;
        let inside = inside.max(before as isize).min(length);
        let from = (first + before as isize).max(0) as usize;
        let own = band.get(from..from + inside as usize - before);
        let (outside, rest) = split_mut(to, before);
        let (to, behind) = split_mut(rest, inside as usize - before);
        scale::<L, _, _, _>(own.unwrap_or_default(), by, to);
        let edges = [(first, outside), (first + inside, behind)];
        for (first, edge) in edges {
            for (index, to) in (first..).zip(edge) {
                let at = self.coefficient(index).and_then(|at| band.get(at));
                *to = at.map_or(F::zero(), |coefficient| by * coefficient.to_real());
            }
        }
    }

    /// Whether a sum over the extension would lose too much in f32: where a line shorter than the filters is
    /// continued to many times its size.
    #[inline(always)]
    pub(super) fn outgrows_line(&self) -> bool {
        use ExtensionMode::{Antireflect, Smooth};
        size_of::<F>() == size_of::<f32>()
            && self.samples < self.pairs.len()
            && matches!(self.beyond, Beyond::Extension(Smooth | Antireflect))
    }

    /// Coefficient `k` of either band of as many lines side by side as there are places, from the lines' own
    /// samples alone. `row` has these at an index.
    #[inline(never)]
    pub(super) fn sum_own<'r, T: Element<Real = F>>(
        &self,
        k: usize,
        row: impl Fn(usize) -> &'r [T],
        sink: &mut impl Sink<F>,
    ) {
        // What each sample is multiplied by in all, if it is among the coefficient's.
        let mut taps = [None; MAX_TAPS];
        for (index, pair) in (2 * k as isize + self.shift..).zip(self.pairs) {
            for (at, weight) in self.terms(index) {
                if let Some(taps) = taps.get_mut(at) {
                    let sums: &mut [Sum<F>; 2] = taps.get_or_insert([Sum::ZERO; 2]);
                    for (sum, &tap) in sums.iter_mut().zip(pair) {
                        sum.add_product(tap, weight);
                    }
                }
            }
        }
        let taps = taps.map(|sums| sums.map(|sums| sums.map(Sum::rounded)));
        for place in 0..sink.length() {
            let mut sums = [F::zero(); 2];
            for (at, taps) in taps.iter().enumerate() {
                if let (Some(taps), Some(sample)) = (taps, row(at).get(place)) {
                    let sample = sample.to_real();
                    sums = [sums[0] + taps[0] * sample, sums[1] + taps[1] * sample];
                }
            }
            sink.put(place, sums);
        }
    }

    /// Coefficients from a line's two halves, of which the odd one lies behind the even one; what is beyond
    /// the line's ends is filled in.
    #[inline(always)]
    pub(super) fn filter_line<L: Lanes<F>>(
        &self,
        extension: &Extension<'_, F>,
        line: &mut [F],
        low: &mut [F],
        high: &mut [F],
    ) {
        if self.outgrows_line() {
            for (k, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let sample = |at: usize| rest(line, self.place(at as isize));
                self.sum_own(k, sample, &mut Apart(from_mut(low), from_mut(high)));
            }
            return;
        }
        extension.apply(line);
        self.filter::<L, _>(split(line, self.half_length()), low, high);
    }

    /// Coefficients from the even and the odd samples of theirs.
    #[inline(always)]
    fn filter<L, U>(&self, (even, odd): (&[F], &[F]), low: &mut [U], high: &mut [U])
    where
        L: Lanes<F>,
        U: Element<Real = F>,
    {
        let terms = Terms {
            taps: in_turns(self.pairs),
            inputs: Forwards([even, odd]),
        };
        combine::<L, _, _, _>(&terms, &mut Apart(low, high));
    }

    /// Splits the samples from index `first`, which may be outside the line, into even and odd ones.
    #[inline(always)]
    fn split<L, T>(&self, samples: &[T], first: isize, even: &mut [F], odd: &mut [F])
    where
        L: Lanes<F>,
        T: Element<Real = F>,
    {
        let inside = pairs_inside(first, even.len(), samples.len());
        let start = (first + 2 * inside.start as isize).max(0) as usize;
        deinterleave::<L, _, _>(
            samples
                .get(start..start + 2 * inside.len())
                .unwrap_or_default(),
            even.get_mut(inside.clone()).unwrap_or_default(),
            odd.get_mut(inside.clone()).unwrap_or_default(),
        );
        let outside = [0..inside.start, inside.end..even.len()];
        for (before, outside) in [true, false].into_iter().zip(outside) {
            let copy = self.beyond.first_copy(before, samples.len());
            let start = first + 2 * outside.start as isize;
            let [even, odd] = [&mut *even, &mut *odd]
                .map(|half| half.get_mut(outside.clone()).unwrap_or_default());
            for (index, (even, odd)) in (start..).step_by(2).zip(even.iter_mut().zip(odd)) {
                *even = self.sample(samples, index, copy);
                *odd = self.sample(samples, index + 1, copy);
            }
        }
    }

    /// Even, and as many odd, samples that all coefficients of a line see.
    pub(super) const fn half_length(&self) -> usize {
        half_length(self.coefficients, self.pairs.len())
    }

    /// Of the halves of a line, where its own even and odd samples go.
    #[inline(always)]
    pub(super) fn own<'h>(&self, (even, odd): (&'h mut [F], &'h mut [F])) -> [&'h mut [F]; 2] {
        let before = -self.shift as usize;
        if before.is_multiple_of(2) {
            let own = |half: &'h mut [F]| half.get_mut(before / 2..).unwrap_or_default();
            [own(even), own(odd)]
        } else {
            // The line begins in the middle of a pair.
            let own = |half: &'h mut [F], at| half.get_mut(at..).unwrap_or_default();
            [own(odd, before / 2), own(even, before / 2 + 1)]
        }
    }

    /// Fills in what is beyond the ends of a line whose own samples are in place, of which the odd half
    /// lies behind the even one.
    fn extend(&self, line: &mut [F]) {
        for index in self.beyond_ends() {
            let mut sum = F::zero();
            for (at, weight) in self.terms(index) {
                if let Some(&sample) = line.get(self.place(at as isize)) {
                    sum += weight * sample;
                }
            }
            if let Some(to) = line.get_mut(self.place(index)) {
                *to = sum;
            }
        }
    }

    /// The indices beyond the ends of a line that its coefficients see.
    fn beyond_ends(&self) -> impl Iterator<Item = isize> {
        let end = self.shift + 2 * self.half_length() as isize;
        (self.shift..0).chain(self.samples as isize..end)
    }

    /// Where a line's two halves have the sample at `index`.
    fn place(&self, index: isize) -> usize {
        let place = (index - self.shift) as usize;
        place / 2 + place % 2 * self.half_length()
    }

    /// How [`extend`](Self::extend) does it, found once for many lines.
    pub(super) fn extension(&self) -> Extension<'_, F> {
        let none = Copied {
            to: 0,
            from: 0,
            weight: F::zero(),
        };
        let mut copies = [none; 2 * MAX_TAPS];
        let mut count = 0;
        for index in self.beyond_ends() {
            let mut terms = self.terms(index);
            let (at, weight) = terms.next().unwrap_or((0, F::zero()));
            let places = [index, at as isize].map(|index| u32::try_from(self.place(index)));
            let (Some(copy), [Ok(to), Ok(from)], None) =
                (copies.get_mut(count), places, terms.next())
            else {
                return Extension::Sums(self);
            };
            *copy = Copied { to, from, weight };
            count += 1;
        }
        Extension::Copies { copies, count }
    }

    /// The row that `index` is, as a sum of the line's own; without those of weight 0.
    #[inline(always)]
    pub(super) fn terms(&self, index: isize) -> impl Iterator<Item = (usize, F)> {
        let terms = self.beyond.sample(index, self.samples).into_iter();
        let terms = terms.filter(|&(_, weight)| weight != 0);
        terms.map(|(at, weight)| (at, F::from(weight)))
    }

    /// The sample at an index that may be outside the line, beyond the end that the copy is of.
    #[inline(always)]
    fn sample<T: Element<Real = F>>(
        &self,
        samples: &[T],
        index: isize,
        copy: Option<FirstCopy>,
    ) -> F {
        if let Some(sample) = samples.get(index as usize) {
            return sample.to_real();
        }
        match copy.and_then(|copy| Some((samples.get(copy.place(index))?, copy.is_negated))) {
            Some((sample, false)) => sample.to_real(),
            Some((sample, true)) => F::zero() - sample.to_real(),
            None => self.sum(samples, index),
        }
    }

    /// The same for all that an extension may be made of.
    #[inline(never)]
    fn sum<T: Element<Real = F>>(&self, samples: &[T], index: isize) -> F {
        let mut sum = F::zero();
        for (at, weight) in self.beyond.sample(index, samples.len()) {
            if let (Some(sample), true) = (samples.get(at), weight != 0) {
                sum += F::from(weight) * sample.to_real();
            }
        }
        sum
    }

    /// Adds up what each coefficient times its taps is on its samples; what falls outside the line goes
    /// to the samples that the extension takes there.
    #[inline(always)]
    pub(super) fn synthesise<L, T, U>(
        &self,
        low: &[T],
        high: &[T],
        samples: &mut [U],
        scratch: &mut [F],
    ) where
        L: Lanes<F>,
        T: Element<Real = F>,
        U: Element<Real = F>,
    {
        let length = samples.len() as isize;
        let covering = self.pairs_covering(0..length);
        let inner = self.inner_pairs(length);
        let [start, end] = [inner.start, inner.end].map(|pair| 2 * pair + self.shift);
        if !inner.is_empty()
            && let Some(samples) = samples.get_mut(start as usize..end as usize)
        {
            let terms = Terms {
                taps: in_turns(self.pairs),
                inputs: Backwards {
                    sequences: [low, high],
                    first: inner.start as usize + 1 - self.half(),
                },
            };
            combine::<L, _, _, _>(&terms, &mut Joined(samples));
        }
        let outside = self.outside();
        if inner == covering && outside.iter().all(Range::is_empty) {
            return;
        }
        let chunk = self.chunk();
        let (pairs, scratch) = split_mut(scratch, 2 * chunk);
        let (even, odd) = pairs.split_at_mut(pairs.len() / 2);
        L::outline(Edges::<L, _, _, _> {
            frame: self,
            bands: [low, high],
            samples,
            parts: [
                covering.start..inner.start,
                inner.end..covering.end,
                self.pairs_covering(outside[0].clone()),
                self.pairs_covering(outside[1].clone()),
            ],
            outside,
            halves: [even, odd],
            scratch,
            lanes: PhantomData,
        });
    }

    /// The pairs of samples that are inside a line and belong to coefficients inside the bands only.
    #[inline(always)]
    fn inner_pairs(&self, length: isize) -> Range<isize> {
        let first = ((1 - self.shift) >> 1).max(self.half() as isize - 1);
        let last = (length - self.shift) >> 1;
        let start = first.min(self.pairs_covering(0..length).end);
        start..last.min(self.coefficients as isize).max(start)
    }

    /// Adds to the samples that the one at an index outside the line is made from.
    fn fold<U: Element<Real = F>>(&self, samples: &mut [U], index: isize, value: F) {
        for (at, weight) in self.beyond.sample(index, samples.len()) {
            if let (Some(sample), true) = (samples.get_mut(at), weight != 0) {
                *sample = U::from_real(sample.to_real() + F::from(weight) * value);
            }
        }
    }

    /// The pairs of samples `2u + s`, `2u + s + 1`, by `u`, that cover some indices.
    #[inline(always)]
    pub(super) fn pairs_covering(&self, indices: Range<isize>) -> Range<isize> {
        let start = (indices.start - self.shift) >> 1;
        let end = (indices.end - self.shift + 1) >> 1;
        start..end
    }

    /// The indices outside the line that coefficients have samples at, before it and behind it, as far
    /// as they are made from samples at all.
    #[inline(always)]
    pub(super) fn outside(&self) -> [Range<isize>; 2] {
        let length = self.samples as isize;
        match self.beyond {
            Beyond::Nothing | Beyond::Around { .. } | Beyond::Extension(ExtensionMode::Zero) => {
                [0..0, 0..0]
            }
            // Indices count around; an odd line has its last sample twice.
            Beyond::Extension(ExtensionMode::Periodization) => [0..0, length..length + length % 2],
            Beyond::Extension(_) => {
                let last = self.coefficients as isize - 1;
                let end = 2 * last + self.shift + self.pairs.len() as isize;
                [self.shift..0, length..end.max(length)]
            }
        }
    }

    /// The coefficient at an index that may be outside a band.
    #[inline(always)]
    pub(super) fn coefficient(&self, index: isize) -> Option<usize> {
        let count = self.coefficients as isize;
        if (0..count).contains(&index) {
            Some(index as usize)
        } else if self.beyond.is_periodized() {
            index.checked_rem_euclid(count).map(|at| at as usize)
        } else {
            None
        }
    }
}

/// Even samples that so many coefficients see.
pub(super) const fn half_length(coefficients: usize, taps: usize) -> usize {
    coefficients + taps / 2 - 1
}

const fn chunk(coefficients: usize, taps: usize) -> usize {
    let pairs = coefficients + taps / 2;
    if pairs < CHUNK { pairs } else { CHUNK }
}

/// Elements that a frame's taps take.
pub(super) const fn taps_len(taps: usize) -> usize {
    2 * taps
}

/// Two sequences of pairs, and two of coefficients.
pub(super) const fn scratch_len(coefficients: usize, taps: usize) -> usize {
    let chunk = chunk(coefficients, taps);
    2 * chunk + 2 * (chunk + taps / 2)
}

/// An operator in factors: the first `count` of the steps.
#[derive(Clone, Copy)]
pub(super) struct Factors<F> {
    steps: [Step<F>; MOST_STEPS],
    count: usize,
    scales: [F; 2],
    offsets: [usize; 2],
}

impl<F: Real> Factors<F> {
    pub(super) fn new(
        steps: impl Iterator<Item = Step<F>>,
        scales: [F; 2],
        offsets: [usize; 2],
    ) -> Self {
        let mut factors = Self {
            steps: [Step::NONE; _],
            count: 0,
            scales,
            offsets,
        };
        for (place, step) in factors.steps.iter_mut().zip(steps) {
            *place = step;
            factors.count += 1;
        }
        factors
    }

    /// The steps, in place.
    #[inline(always)]
    fn lift<L: Lanes<F>>(&self, even: &mut [F], odd: &mut [F]) {
        for step in self.steps.iter().take(self.count) {
            step.apply_in::<L>(even, odd);
        }
    }

    /// Coefficients from the even and the odd samples of theirs.
    #[inline(always)]
    fn lift_to_bands<L, U>(&self, even: &mut [F], odd: &mut [F], low: &mut [U], high: &mut [U])
    where
        L: Lanes<F>,
        U: Element<Real = F>,
    {
        self.lift::<L>(even, odd);
        let ([a, b], [of_low, of_high]) = (self.offsets, self.scales);
        scale::<L, _, _, _>(even.get(a..).unwrap_or_default(), of_low, low);
        scale::<L, _, _, _>(odd.get(b..).unwrap_or_default(), of_high, high);
    }
}

/// Each number times a factor.
#[inline(always)]
fn scale<L, F, T, U>(from: &[T], by: F, to: &mut [U])
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
    U: Element<Real = F>,
{
    let factor = L::splat(by);
    let from = from.get(..to.len()).unwrap_or_default();
    let mut chunks = to.chunks_exact_mut(L::WIDTH);
    let from = from.chunks_exact(L::WIDTH);
    let rest = from.remainder();
    let zero = L::splat(F::zero());
    for (to, from) in (&mut chunks).zip(from) {
        L::load_from(from).multiply_add(factor, zero).store_to(to);
    }
    for (to, from) in chunks.into_remainder().iter_mut().zip(rest) {
        *to = U::from_real(from.to_real() * by);
    }
}

/// Writes pairs of samples, the first at index `first`, as far as they are inside the line.
#[inline(always)]
fn join<L, F, U>(even: &[F], odd: &[F], first: isize, samples: &mut [U])
where
    L: Lanes<F>,
    F: Real,
    U: Element<Real = F>,
{
    let inside = pairs_inside(first, even.len(), samples.len());
    let start = (first + 2 * inside.start as isize).max(0) as usize;
    if let Some(samples) = samples.get_mut(start..start + 2 * inside.len()) {
        let [even, odd] = [even, odd].map(|half| half.get(inside.clone()).unwrap_or_default());
        interleave::<L, _, _>(even, odd, samples);
    }
    // Of the pairs at the ends one sample may be inside.
    for outside in [0..inside.start, inside.end..even.len()] {
        for pair in outside {
            let values = [even, odd].map(|half| half.get(pair).copied().unwrap_or(F::ZERO));
            for (index, value) in (first + 2 * pair as isize..).zip(values) {
                let at = usize::try_from(index).ok();
                if let Some(sample) = at.and_then(|at| samples.get_mut(at)) {
                    *sample = U::from_real(value);
                }
            }
        }
    }
}

/// What there is beyond the ends of lines.
pub(super) enum Extension<'a, F> {
    /// Each sample is one of the line, times a weight.
    Copies {
        copies: [Copied<F>; 2 * MAX_TAPS],
        count: usize,
    },
    /// Some are sums.
    Sums(&'a Frame<'a, F>),
}

/// A sample of a line that is needed in another place as well.
#[derive(Clone, Copy)]
pub(super) struct Copied<F> {
    to: u32,
    from: u32,
    weight: F,
}

impl<F: Real> Extension<'_, F> {
    /// Fills in what is beyond the ends of a line whose own samples are in place, of which the odd half
    /// lies behind the even one.
    #[inline(always)]
    pub(super) fn apply(&self, line: &mut [F]) {
        let (copies, count) = match self {
            Self::Copies { copies, count } => (copies, *count),
            Self::Sums(frame) => return frame.extend(line),
        };
        for copy in copies.iter().take(count) {
            let from = line.get(copy.from as usize).copied();
            if let (Some(from), Some(to)) = (from, line.get_mut(copy.to as usize)) {
                // Where nothing is taken a NaN does no harm.
                *to = if copy.weight == F::zero() {
                    copy.weight
                } else {
                    copy.weight * from
                };
            }
        }
    }
}

/// A sum of f32, and what its parts lost to rounding.
#[derive(Clone, Copy)]
struct Sum<F> {
    sum: F,
    lost: F,
}

impl<F: Real> Sum<F> {
    const ZERO: Self = Self {
        sum: F::ZERO,
        lost: F::ZERO,
    };

    /// Adds `tap · weight`, which is an integer below 2¹².
    fn add_product(&mut self, tap: F, weight: F) {
        // Either half of the tap has 12 bits, so that its product is exact.
        let scaled = tap * F::from(4097);
        let upper = scaled - (scaled - tap);
        for part in [upper, tap - upper] {
            let value = part * weight;
            let sum = self.sum + value;
            let added = sum - self.sum;
            self.lost += (self.sum - (sum - added)) + (value - added);
            self.sum = sum;
        }
    }

    fn rounded(self) -> F {
        self.sum + self.lost
    }
}

/// Synthesis of pairs of samples that are not like the others.
struct Edges<'a, L, F, T, U> {
    frame: &'a Frame<'a, F>,
    bands: [&'a [T]; 2],
    samples: &'a mut [U],
    /// Two that are inside the line, and two that its extension takes there.
    parts: [Range<isize>; 4],
    /// The samples that the latter two are there for.
    outside: [Range<isize>; 2],
    /// A chunk of even and of odd samples.
    halves: [&'a mut [F]; 2],
    /// A chunk and more of either band's coefficients.
    scratch: &'a mut [F],
    lanes: PhantomData<L>,
}

impl<L, F, T, U> Kernel for Edges<'_, L, F, T, U>
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
    U: Element<Real = F>,
{
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let chunk = self.halves[0].len().max(1);
        for (part, pairs) in self.parts.clone().into_iter().enumerate() {
            let outside = part.checked_sub(2).and_then(|part| self.outside.get(part));
            let outside = outside.cloned();
            for start in pairs.clone().step_by(chunk) {
                let count = chunk.min((pairs.end - start) as usize);
                self.synthesise(start, count);
                self.place(start, count, outside.clone());
            }
        }
    }
}

impl<L, F, T, U> Edges<'_, L, F, T, U>
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
    U: Element<Real = F>,
{
    /// Writes each sample of the pairs from `start` that is inside the line, or adds each that is outside to those that it
    /// is made from.
    #[inline(always)]
    fn place(&mut self, start: isize, count: usize, outside: Option<Range<isize>>) {
        let [even, odd] = self.halves.each_ref().map(|half| half.iter().take(count));
        let values = even.zip(odd).flat_map(|(&even, &odd)| [even, odd]);
        for (index, value) in (2 * start + self.frame.shift..).zip(values) {
            match &outside {
                None => {
                    if let Some(sample) = self.samples.get_mut(index as usize) {
                        *sample = U::from_real(value);
                    }
                }
                Some(outside) => {
                    if outside.contains(&index) {
                        self.frame.fold(self.samples, index, value);
                    }
                }
            }
        }
    }

    /// The pairs from `start`, through copies of their coefficients.
    #[inline(always)]
    fn synthesise(&mut self, start: isize, count: usize) {
        let half = self.frame.half();
        // Coefficients from `u − (L/2 − 1)` for the first pair to `u` for the last.
        let first = start + 1 - half as isize;
        let copied = (count + half - 1).min(self.scratch.len() / 2);
        let (low, high) = split_mut(self.scratch, copied);
        for (index, (low, high)) in (first..).zip(low.iter_mut().zip(high.iter_mut())) {
            let at = self.frame.coefficient(index);
            let get = |band: &[T]| {
                at.and_then(|at| band.get(at))
                    .map_or(F::zero(), |coefficient| coefficient.to_real())
            };
            (*low, *high) = (get(self.bands[0]), get(self.bands[1]));
        }
        let (low, high) = (&*low, &*high);
        let terms = Terms {
            taps: in_turns(self.frame.pairs),
            inputs: Backwards {
                sequences: [low, high],
                first: 0,
            },
        };
        let [even, odd] = &mut self.halves;
        if let (Some(even), Some(odd)) = (even.get_mut(..count), odd.get_mut(..count)) {
            combine::<L, _, _, _>(&terms, &mut Apart(even, odd));
        }
    }
}

/// Which of `pairs` pairs of samples, the first at index `first`, are inside a line of `length`.
#[inline(always)]
fn pairs_inside(first: isize, pairs: usize, length: usize) -> Range<usize> {
    let pairs = pairs as isize;
    let start = ((1 - first) >> 1).max(0).min(pairs);
    let end = (length as isize - first) >> 1;
    let end = end.max(start).min(pairs);
    start as usize..end as usize
}
