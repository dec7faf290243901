//! Two-channel filtering in polyphase form: the one loop that all transforms spend their time in.
//!
//! Every step of a transform makes two sequences at once, low-pass and high-pass band or even and odd
//! samples, out of the same inputs. The inputs are shifted views of one sequence along a row, and rows
//! across columns, so [`combine`] serves both. Where a row must be split into its even and odd samples
//! for the next step, or joined from them, its results go there from the registers.

use crate::element::{Element, Real};
use crate::isa::{prefetch, prefetch_to_read};
use crate::lanes::{Lanes, MOST_LANES};

/// Vectors of each output that are summed at once: enough sums on their way to hide how long an
/// addition takes, few enough for 16 registers. An even number.
const TILE: usize = 4;

/// The same for 32 registers: a tenth faster along lines.
const LARGE_TILE: usize = 8;

/// How far before its turn memory that is written is asked for, in elements: so far that it has come by
/// then, also from the next row on. 512 and 4096 are no better. The few places at an end are not asked for.
const WRITTEN_AHEAD: usize = 1024;

/// Where results go. Its methods are `#[inline(always)]`.
pub(crate) trait Sink<F: Real> {
    /// Whether results may come in large tiles.
    const LARGE: bool = true;

    /// Places of each output.
    fn length(&self) -> usize;

    /// The results from place `at`: `N` vectors of each output. Of an even `N`, `at` is even.
    fn store<L: Lanes<F>, const N: usize>(&mut self, at: usize, sums: [[L; N]; 2]);

    /// One result of each output.
    fn put(&mut self, at: usize, sums: [F; 2]);
}

/// Inputs that come in pairs. Its method is `#[inline(always)]`.
pub(crate) trait Inputs<'a, T: 'a> {
    /// Of each of the first `pairs` pairs the `length` places from `at` on, more than none; of an input that is not there
    /// none.
    fn places(&self, at: usize, length: usize, pairs: usize) -> impl Iterator<Item = [&'a [T]; 2]>;
}

/// The pair at an index. Each input is at least as long as the outputs, or not there.
pub(crate) struct Each<I>(pub(crate) I);

impl<'a, T: 'a, I: Fn(usize) -> [&'a [T]; 2]> Inputs<'a, T> for Each<I> {
    #[inline(always)]
    fn places(&self, at: usize, length: usize, pairs: usize) -> impl Iterator<Item = [&'a [T]; 2]> {
        let places = move |input: &'a [T]| input.get(at..at + length).unwrap_or_default();
        (0..pairs).map(move |index| (self.0)(index).map(places))
    }
}

/// Two sequences; those of a pair begin one place later than those of the pair before it.
pub(crate) struct Forwards<'a, T>(pub(crate) [&'a [T]; 2]);

impl<'a, T> Inputs<'a, T> for Forwards<'a, T> {
    #[inline(always)]
    fn places(&self, at: usize, length: usize, pairs: usize) -> impl Iterator<Item = [&'a [T]; 2]> {
        let [first, second] = windows(self.0, at, length, pairs);
        first.zip(second).map(|(first, second)| [first, second])
    }
}

/// Two sequences; those of the last pair begin at the first place, those of a pair one place later than those of the pair
/// behind it.
pub(crate) struct Backwards<'a, T> {
    pub(crate) sequences: [&'a [T]; 2],
    pub(crate) first: usize,
}

impl<'a, T> Inputs<'a, T> for Backwards<'a, T> {
    #[inline(always)]
    fn places(&self, at: usize, length: usize, pairs: usize) -> impl Iterator<Item = [&'a [T]; 2]> {
        let [first, second] =
            windows(self.sequences, self.first + at, length, pairs).map(Iterator::rev);
        first.zip(second).map(|(first, second)| [first, second])
    }
}

/// `count` runs of `length` places of either sequence, the first from `at` on, each a place later than the one before it.
#[inline(always)]
fn windows<T>(
    sequences: [&[T]; 2],
    at: usize,
    length: usize,
    count: usize,
) -> [core::slice::Windows<'_, T>; 2] {
    sequences.map(|sequence| {
        let places = sequence.get(at..at + length + count - 1);
        places.unwrap_or_default().windows(length.max(1))
    })
}

/// Inputs, and the two taps that each is multiplied by: for each pair the first input's, then the second's.
pub(crate) struct Terms<C, I> {
    pub(crate) taps: C,
    pub(crate) inputs: I,
}

/// The taps of pairs of inputs.
pub(crate) trait Taps<'t, F: 't>: ExactSizeIterator<Item = [&'t [F; 2]; 2]> + Clone {}

impl<'t, F: 't, C: ExactSizeIterator<Item = [&'t [F; 2]; 2]> + Clone> Taps<'t, F> for C {}

/// Those of inputs one after the other.
#[inline(always)]
pub(crate) fn in_turns<F>(taps: &[[F; 2]]) -> impl Taps<'_, F> {
    taps.as_chunks().0.iter().map(<[[F; 2]; 2]>::each_ref)
}

/// Those of the first and of the second inputs.
#[inline(always)]
pub(crate) fn side_by_side<'t, F>([first, second]: [&'t [F]; 2]) -> impl Taps<'t, F> {
    let pairs = first.as_chunks().0.iter().zip(second.as_chunks().0);
    pairs.map(|(first, second)| [first, second])
}

/// `outputs[c][k] = Σⱼ taps[j][c] · inputs(j / 2)[j mod 2][k]`.
///
/// Each sum is taken in the order of `j` from zero, whatever `k`. Cost: 2 multiply-adds an input and
/// place.
#[inline(always)]
pub(crate) fn combine<'t, 'a, L, F, T, S>(
    terms: &Terms<impl Taps<'t, F>, impl Inputs<'a, T>>,
    sink: &mut S,
) where
    L: Lanes<F>,
    S: Sink<F>,
    F: Real,
    T: Element<Real = F> + 'a,
{
    let length = sink.length();
    if length < L::WIDTH {
        combine_short::<L, _, _>(terms, sink);
        return;
    }
    let mut at = 0;
    if L::MANY && S::LARGE {
        while at + LARGE_TILE * L::WIDTH <= length {
            sink.store(at, sums::<LARGE_TILE, L, _, _>(terms, at));
            at += LARGE_TILE * L::WIDTH;
        }
    }
    while at + TILE * L::WIDTH <= length {
        sink.store(at, sums::<TILE, L, _, _>(terms, at));
        at += TILE * L::WIDTH;
    }
    if at + 2 * L::WIDTH <= length {
        sink.store(at, sums::<2, L, _, _>(terms, at));
        at += 2 * L::WIDTH;
    }
    while at < length {
        // The last places once more, with some before them, come out the same.
        let last = at.min(length - L::WIDTH);
        sink.store(last, sums::<1, L, _, _>(terms, last));
        at += L::WIDTH;
    }
}

/// `N` vectors of each output, from place `at`.
#[inline(always)]
fn sums<'t, 'a, const N: usize, L, F, T>(
    terms: &Terms<impl Taps<'t, F>, impl Inputs<'a, T>>,
    at: usize,
) -> [[L; N]; 2]
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F> + 'a,
{
    let mut sums = [[L::splat(F::zero()); N]; 2];
    let length = N * L::WIDTH;
    let taps = terms.taps.clone();
    let inputs = terms.inputs.places(at, length, taps.len());
    for (taps, [first, second]) in taps.zip(inputs) {
        if first.len() == length {
            add(&mut sums, taps[0], first);
        }
        if second.len() == length {
            add(&mut sums, taps[1], second);
        }
    }
    sums
}

/// Adds an input times its taps.
#[inline(always)]
fn add<const N: usize, L, F, T>(sums: &mut [[L; N]; 2], taps: &[F; 2], input: &[T])
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
{
    let (tap, other) = (L::splat(taps[0]), L::splat(taps[1]));
    let [first, second] = sums;
    for vector in 0..N {
        let values = L::load_from(&input[vector * L::WIDTH..]);
        first[vector] = values.multiply_add(tap, first[vector]);
        second[vector] = values.multiply_add(other, second[vector]);
    }
}

/// Fewer places than a vector has, by the same multiply-adds.
#[inline(always)]
fn combine_short<'t, 'a, L, F, T>(
    terms: &Terms<impl Taps<'t, F>, impl Inputs<'a, T>>,
    sink: &mut impl Sink<F>,
) where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F> + 'a,
{
    let length = sink.length();
    let mut sums = [[L::splat(F::zero()); 1]; 2];
    let taps = terms.taps.clone();
    let inputs = terms.inputs.places(0, length, taps.len());
    for (taps, inputs) in taps.zip(inputs) {
        for (input, taps) in inputs.into_iter().zip(taps) {
            let mut values = [F::zero(); MOST_LANES];
            for (value, element) in values.iter_mut().zip(input).take(length) {
                *value = element.to_real();
            }
            add(&mut sums, taps, &values);
        }
    }
    let [first, second] = sums.map(|[sum]| to_array(sum));
    for (at, (first, second)) in first.into_iter().zip(second).take(length).enumerate() {
        sink.put(at, [first, second]);
    }
}

/// The numbers of a vector, and zeros.
#[inline(always)]
fn to_array<L: Lanes<F>, F: Real>(vector: L) -> [F; MOST_LANES] {
    let mut values = [F::zero(); MOST_LANES];
    vector.store(&mut values);
    values
}

/// Each output in a slice of its own, of one length.
pub(crate) struct Apart<'a, U>(pub(crate) &'a mut [U], pub(crate) &'a mut [U]);

impl<F: Real, U: Element<Real = F>> Sink<F> for Apart<'_, U> {
    #[inline(always)]
    fn length(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn store<L: Lanes<F>, const N: usize>(&mut self, at: usize, sums: [[L; N]; 2]) {
        for (output, sums) in [&mut *self.0, &mut *self.1].into_iter().zip(sums) {
            if let Some(output) = output.get_mut(at..at + N * L::WIDTH) {
                for (vector, sum) in sums.into_iter().enumerate() {
                    if N >= TILE {
                        prefetch(output, vector * L::WIDTH + WRITTEN_AHEAD);
                    }
                    sum.store_to(&mut output[vector * L::WIDTH..]);
                }
            }
        }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, sums: [F; 2]) {
        for (output, sum) in [&mut *self.0, &mut *self.1].into_iter().zip(sums) {
            if let Some(output) = output.get_mut(at) {
                *output = U::from_real(sum);
            }
        }
    }
}

/// Both outputs in turns: `samples[2k]` of the first, `samples[2k + 1]` of the second.
pub(crate) struct Joined<'a, U>(pub(crate) &'a mut [U]);

impl<F: Real, U: Element<Real = F>> Sink<F> for Joined<'_, U> {
    #[inline(always)]
    fn length(&self) -> usize {
        self.0.len() / 2
    }

    #[inline(always)]
    fn store<L: Lanes<F>, const N: usize>(&mut self, at: usize, [even, odd]: [[L; N]; 2]) {
        if let Some(samples) = self.0.get_mut(2 * at..2 * (at + N * L::WIDTH)) {
            for (vector, (even, odd)) in even.into_iter().zip(odd).enumerate() {
                let (first, second) = even.interleave(odd);
                for (at, vector) in [(2 * vector, first), (2 * vector + 1, second)] {
                    if N >= TILE {
                        prefetch(samples, at * L::WIDTH + WRITTEN_AHEAD);
                    }
                    vector.store_to(samples.get_mut(at * L::WIDTH..).unwrap_or_default());
                }
            }
        }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, sums: [F; 2]) {
        if let Some(samples) = self.0.get_mut(2 * at..2 * at + 2) {
            (samples[0], samples[1]) = (U::from_real(sums[0]), U::from_real(sums[1]));
        }
    }
}

/// Each output split into its even and its odd places: `[[first's], [second's]]`.
pub(crate) struct Split<'a, F> {
    pub(crate) length: usize,
    pub(crate) halves: [[&'a mut [F]; 2]; 2],
}

impl<F: Real> Sink<F> for Split<'_, F> {
    #[inline(always)]
    fn length(&self) -> usize {
        self.length
    }

    #[inline(always)]
    fn store<L: Lanes<F>, const N: usize>(&mut self, at: usize, sums: [[L; N]; 2]) {
        if N % 2 == 1 {
            let [first, second] = sums.map(|sums| sums.map(to_array));
            for (vector, (first, second)) in first.into_iter().zip(second).enumerate() {
                let at = at + vector * L::WIDTH;
                let values = first.into_iter().zip(second).take(L::WIDTH);
                for (at, (first, second)) in (at..).zip(values) {
                    self.put(at, [first, second]);
                }
            }
            return;
        }
        let range = at / 2..(at + N * L::WIDTH) / 2;
        for ([even, odd], sums) in self.halves.iter_mut().zip(sums) {
            if let (Some(even), Some(odd)) =
                (even.get_mut(range.clone()), odd.get_mut(range.clone()))
            {
                for pair in 0..N / 2 {
                    let (evens, odds) = sums[2 * pair].deinterleave(sums[2 * pair + 1]);
                    evens.store(&mut even[pair * L::WIDTH..]);
                    odds.store(&mut odd[pair * L::WIDTH..]);
                }
            }
        }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, sums: [F; 2]) {
        for (halves, sum) in self.halves.iter_mut().zip(sums) {
            if let Some(place) = halves[at % 2].get_mut(at / 2) {
                *place = sum;
            }
        }
    }
}

/// Stores elsewhere, and asks for the same places of some rows that are needed soon.
pub(crate) struct Ahead<'a, F, S> {
    pub(crate) sink: S,
    pub(crate) rows: [&'a [F]; 2],
}

impl<F: Real, S: Sink<F>> Sink<F> for Ahead<'_, F, S> {
    // Memory would be asked for in larger bursts, and large planes take a fifth longer.
    const LARGE: bool = false;

    #[inline(always)]
    fn length(&self) -> usize {
        self.sink.length()
    }

    #[inline(always)]
    fn store<L: Lanes<F>, const N: usize>(&mut self, at: usize, sums: [[L; N]; 2]) {
        for row in self.rows {
            for line in (0..N * L::WIDTH).step_by(64 / size_of::<F>()) {
                prefetch_to_read(row, at + line);
            }
        }
        self.sink.store(at, sums);
    }

    #[inline(always)]
    fn put(&mut self, at: usize, sums: [F; 2]) {
        self.sink.put(at, sums);
    }
}

/// Both bands of two taps, without a detour: `outputs[c][k] = taps[0][c] · samples[2k] + taps[1][c] ·
/// samples[2k + 1]`, for whole vectors; returns how many places these are.
#[inline(always)]
pub(crate) fn combine_pairs<L, F, T, U>(
    taps: &[[F; 2]],
    samples: &[T],
    low: &mut [U],
    high: &mut [U],
) -> usize
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
    U: Element<Real = F>,
{
    let &[even_taps, odd_taps] = taps else {
        return 0;
    };
    let [even_taps, odd_taps] = [even_taps.map(L::splat), odd_taps.map(L::splat)];
    let zero = L::splat(F::zero());
    let pairs = samples.chunks_exact(2 * L::WIDTH);
    let lows = low.chunks_exact_mut(L::WIDTH);
    let highs = high.chunks_exact_mut(L::WIDTH);
    let mut done = 0;
    for ((samples, low), high) in pairs.zip(lows).zip(highs) {
        let (even, odd) = L::load_from(samples).deinterleave(L::load_from(&samples[L::WIDTH..]));
        for (band, output) in [low, high].into_iter().enumerate() {
            prefetch(output, WRITTEN_AHEAD);
            let sum = even.multiply_add(even_taps[band], zero);
            odd.multiply_add(odd_taps[band], sum).store_to(output);
        }
        done += L::WIDTH;
    }
    done
}

/// Splits samples into those at even and those at odd places: `samples.len() = 2 · even.len()`.
#[inline(always)]
pub(crate) fn deinterleave<L, F, T>(samples: &[T], even: &mut [F], odd: &mut [F])
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
{
    let mut pairs = samples.chunks_exact(2 * L::WIDTH);
    let mut evens = even.chunks_exact_mut(L::WIDTH);
    let mut odds = odd.chunks_exact_mut(L::WIDTH);
    for ((pairs, even), odd) in (&mut pairs).zip(&mut evens).zip(&mut odds) {
        let (first, second) = (L::load_from(pairs), L::load_from(&pairs[L::WIDTH..]));
        let (evens, odds) = first.deinterleave(second);
        evens.store(even);
        odds.store(odd);
    }
    let rest = pairs.remainder().chunks_exact(2);
    let halves = evens.into_remainder().iter_mut().zip(odds.into_remainder());
    for (pair, (even, odd)) in rest.zip(halves) {
        (*even, *odd) = (pair[0].to_real(), pair[1].to_real());
    }
}

/// Joins samples at even and at odd places: `samples.len() = 2 · even.len()`.
#[inline(always)]
pub(crate) fn interleave<L, F, T>(even: &[F], odd: &[F], samples: &mut [T])
where
    L: Lanes<F>,
    F: Real,
    T: Element<Real = F>,
{
    let mut pairs = samples.chunks_exact_mut(2 * L::WIDTH);
    let mut evens = even.chunks_exact(L::WIDTH);
    let mut odds = odd.chunks_exact(L::WIDTH);
    for ((pairs, even), odd) in (&mut pairs).zip(&mut evens).zip(&mut odds) {
        let (first, second) = L::load(even).interleave(L::load(odd));
        first.store_to(pairs);
        second.store_to(&mut pairs[L::WIDTH..]);
    }
    let rest = pairs.into_remainder().chunks_exact_mut(2);
    let halves = evens.remainder().iter().zip(odds.remainder());
    for (pair, (&even, &odd)) in rest.zip(halves) {
        (pair[0], pair[1]) = (T::from_real(even), T::from_real(odd));
    }
}
