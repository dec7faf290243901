//! Filter banks in factors: one level of the transform in place, with about half the multiplications.
//!
//! Direct convolution makes an approximation and a detail out of `L` samples with `2L` multiplications. A bank that
//! reconstructs perfectly can be factored into *lifting steps*, each of which adds one or two multiples of the odd samples
//! to the even ones or of the even to the odd, and a scale for each band at the end: `L + 2` multiplications for an
//! orthogonal bank of `L` taps, [fewer](Lifting::multiplications) for a biorthogonal one.
//!
//! # The contract
//! Samples are two arrays, `even[i] = x̂[2i + s]` and `odd[i] = x̂[2i + 1 + s]`, `x̂` being the signal with its extension and
//! `s` the first sample of the first coefficient (see [`transform`](crate::transform)). With `H = L/2` the operators of
//! direct convolution are these, `low` and `high` standing for `dec_lo` and `dec_hi` backwards or for `rec_lo` and `rec_hi`:
//!
//! ```text
//! gathered    approximation[k] = Σᵢ low[2i] · even[k+i] + low[2i+1] · odd[k+i]       i in 0..H
//!                    detail[k] = Σᵢ high[2i] · even[k+i] + high[2i+1] · odd[k+i]
//! scattered            even[u] = Σᵢ low[2i] · approximation[u−i] + high[2i] · detail[u−i]
//!                       odd[u] = Σᵢ low[2i+1] · approximation[u−i] + high[2i+1] · detail[u−i]
//! ```
//!
//! All four work on two slices of one length `n` in place and make what can be made of `n` entries, which is `n − H + 1`
//! entries of each kind. With [`offsets`](Lifting::offsets) `[a, b]`, `a + b = H − 1`, they lie here, what is beside them
//! being left over from the steps:
//!
//! | operator | `low`, `high` | first slice | second slice |
//! |---|---|---|---|
//! | [`analysis`](Lifting::analysis) | `dec_lo`, `dec_hi` backwards | `even` → `approximation[k]` at `a + k` | `odd` → `detail[k]` at `b + k` |
//! | [`synthesis_adjoint`](Lifting::synthesis_adjoint) | `rec_lo`, `rec_hi` | as for analysis | as for analysis |
//! | [`synthesis`](Lifting::synthesis) | `rec_lo`, `rec_hi` | `approximation` → `even[H−1+k]` at `b + k` | `detail` → `odd[H−1+k]` at `a + k` |
//! | [`analysis_adjoint`](Lifting::analysis_adjoint) | `dec_lo`, `dec_hi` backwards | as for synthesis | as for synthesis |
//!
//! No entry comes from another than those that direct convolution takes it from, so a NaN or an infinity goes no further
//! than there. Beyond its ends a slice is not zero but missing: who wants the whole of an adjoint puts `H − 1` zeros before
//! and after the coefficients.
//!
//! # Which banks
//! All of [`ALL`] but dmey. Its filters are cut short, and so are the digits of PEFT's coif4: both reconstruct not quite
//! perfectly, and what has no exact inverse has no steps, exact or near.
//!
//! A bank of one's own takes steps by [`FilterBank::with_lifting`], which verifies them. `python tools/lifting.py --taps FILE`
//! in the repository finds them for the analysis filters in a file and prints them as Rust. It can do no better than the
//! digits that it is given: a division loses some, and long filters need more than the 16 of an f64.
//!
//! # Accuracy
//! Quotients of Euclid's division may be taken from either end of a filter. Taken greedily, they grow beyond 10⁹ for
//! db30 and ruin an f32; `tools/lifting.py` searches for the choices that lose least to rounding, with the exact taps to 260
//! digits. What is left, relative to the norm, the worst of each family on noise:
//!
//! | family | largest tap | analysis, f32 | by convolution | there and back, f32 | by convolution | f64 |
//! |---|---|---|---|---|---|---|
//! | haar, db | 1.7 | 1.7 · 10⁻⁷ | 1.4 · 10⁻⁷ | 1.9 · 10⁻⁷ | 2.0 · 10⁻⁷ | 3.5 · 10⁻¹⁶ |
//! | sym | 4.2 | 1.8 · 10⁻⁷ | 1.2 · 10⁻⁷ | 1.9 · 10⁻⁷ | 1.7 · 10⁻⁷ | 3.4 · 10⁻¹⁶ |
//! | coif | 1.5 | 2.2 · 10⁻⁷ | 1.5 · 10⁻⁷ | 2.3 · 10⁻⁷ | 2.1 · 10⁻⁷ | 5.1 · 10⁻¹⁶ |
//! | bior, rbio | 1.6 | 1.2 · 10⁻⁷ | 0.9 · 10⁻⁷ | 1.4 · 10⁻⁷ | 1.3 · 10⁻⁷ | 2.2 · 10⁻¹⁶ |
//! | bior5.5, rbio5.5 | 10.0 | 3.8 · 10⁻⁷ | 0.7 · 10⁻⁷ | 3.3 · 10⁻⁷ | 1.0 · 10⁻⁷ | 5.6 · 10⁻¹⁶ |
//!
//! # Source
//! I. Daubechies, W. Sweldens, “Factoring wavelet transforms into lifting steps”, Journal of Fourier Analysis and
//! Applications 4 (1998), 247–269.
//!
//! # Examples
//! ```
//! use waveft_core::filter_bank::wavelets::DB2;
//!
//! let lifting = DB2.double().lifting().unwrap();
//! let [a, b] = lifting.offsets();
//! assert_eq!(a + b, 1); // L/2 − 1
//!
//! // Four pairs of samples give three pairs of coefficients.
//! let (mut even, mut odd) = ([1.0, 3.0, 2.0, 5.0], [4.0, 1.0, 0.0, 2.0]);
//! lifting.analysis(&mut even, &mut odd);
//! let (approximation, detail) = (&mut even[a..a + 3], &mut odd[b..b + 3]);
//!
//! // Three pairs of coefficients give two pairs of samples.
//! lifting.synthesis(approximation, detail);
//! assert!((approximation[b] - 3.0).abs() < 1e-14 && (approximation[b + 1] - 2.0).abs() < 1e-14);
//! assert!((detail[a] - 1.0).abs() < 1e-14 && detail[a + 1].abs() < 1e-14);
//! ```
//!
//! [`ALL`]: crate::filter_bank::wavelets::ALL
//! [`FilterBank::with_lifting`]: crate::filter_bank::FilterBank::with_lifting

use crate::element::Real;
use crate::error::Error;
use crate::filter_bank::{FilterBank, MAX_TAPS, most_error};
use crate::lanes::{Lanes, MOST_LANES};
use crate::slices::split_mut;

/// The most steps of a bank: one more than pairs of taps.
pub(crate) const MOST_STEPS: usize = MAX_TAPS / 2 + 1;

/// One of the two arrays that samples are split into, and that the bands come out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Even samples, or the approximation.
    Even,
    /// Odd samples, or the detail.
    Odd,
}

impl Phase {
    const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }
}

/// A lifting step: adds one or two multiples of the other array's entries to each entry of one array,
/// `target[k] += taps[0] · source[k + shift] + taps[1] · source[k + shift + 1]`.
///
/// If `taps[1]` is zero, `source[k + shift + 1]` is not looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<F> {
    target: Phase,
    shift: i8,
    taps: [F; 2],
}

impl<F: Real> Step<F> {
    /// A step that adds nothing.
    pub(crate) const NONE: Self = Self {
        target: Phase::Even,
        shift: 0,
        taps: [F::ZERO; 2],
    };

    /// A step onto `target`. Of one tap the second is zero; the first never is.
    pub const fn new(target: Phase, shift: i8, taps: [F; 2]) -> Self {
        Self {
            target,
            shift,
            taps,
        }
    }

    /// The array that is added to; the other one is the source.
    pub const fn target(&self) -> Phase {
        self.target
    }

    /// How far ahead of an entry the first of its sources is.
    pub const fn shift(&self) -> isize {
        self.shift as isize
    }

    /// What the sources are multiplied with; the second is zero in a step of one tap, the first never.
    pub const fn taps(&self) -> [F; 2] {
        self.taps
    }

    /// Whether there is one source and not two.
    pub fn is_single(&self) -> bool {
        self.taps[1] == F::zero()
    }

    /// The step on two slices: every entry of the target that has its sources in the slices is added to, the others stay.
    pub fn apply(&self, even: &mut [F], odd: &mut [F]) {
        self.apply_in::<F::Portable>(even, odd);
    }

    /// [`apply`](Self::apply) in vectors of one's choice.
    #[inline(always)]
    pub(crate) fn apply_in<L: Lanes<F>>(&self, even: &mut [F], odd: &mut [F]) {
        let (target, source) = match self.target {
            Phase::Even => (even, &*odd),
            Phase::Odd => (odd, &*even),
        };
        add_multiples::<L, F>(target, source, self.shift(), self.taps);
    }

    fn inverse(self) -> Self {
        let taps = self.taps.map(|tap| F::zero() - tap);
        Self { taps, ..self }
    }

    /// Source and target exchanged, each pair of entries with the tap it had.
    fn transpose(self) -> Self {
        let [first, second] = self.taps;
        let target = self.target.other();
        if self.is_single() {
            let shift = self.shift.wrapping_neg();
            return Self {
                target,
                shift,
                ..self
            };
        }
        Self {
            target,
            // −shift − 1.
            shift: !self.shift,
            taps: [second, first],
        }
    }

    /// The same step where each array begins at its offset.
    fn with_offsets(self, [a, b]: [u8; 2]) -> Self {
        let (target, source) = match self.target {
            Phase::Even => (a, b),
            Phase::Odd => (b, a),
        };
        // Wraps where steps are nobody's: those of a bank are far from it.
        let shift = self.shift.wrapping_add_unsigned(target);
        let shift = shift.wrapping_sub_unsigned(source);
        Self { shift, ..self }
    }
}

/// `target[k] += taps[0] · source[k + shift] + taps[1] · source[k + shift + 1]` wherever these are in the slices.
#[inline(always)]
fn add_multiples<L: Lanes<F>, F: Real>(
    target: &mut [F],
    source: &[F],
    shift: isize,
    [first, second]: [F; 2],
) {
    let ahead = shift.unsigned_abs();
    let (target, source) = if shift < 0 {
        (target.get_mut(ahead..).unwrap_or_default(), source)
    } else {
        (target, source.get(ahead..).unwrap_or_default())
    };
    if second == F::zero() {
        let length = target.len().min(source.len());
        let (target, source) = (&mut target[..length], &source[..length]);
        let tap = L::splat(first);
        let mut targets = target.chunks_exact_mut(L::WIDTH);
        let sources = source.chunks_exact(L::WIDTH);
        let rest = sources.remainder();
        for (target, near) in (&mut targets).zip(sources) {
            let sum = L::load(near).multiply_add(tap, L::load(target));
            sum.store(target);
        }
        // The rest by the same multiply-adds.
        let target = targets.into_remainder();
        let sum = part::<L, F>(rest).multiply_add(tap, part(target));
        put_part(sum, target);
        return;
    }
    let length = target.len().min(source.len().saturating_sub(1));
    let target = &mut target[..length];
    let (near, far) = (
        source.get(..length).unwrap_or_default(),
        source.get(1..).unwrap_or_default(),
    );
    let taps = [first, second].map(L::splat);
    let mut targets = target.chunks_exact_mut(L::WIDTH);
    let (nears, fars) = (near.chunks_exact(L::WIDTH), far.chunks_exact(L::WIDTH));
    for ((target, near), far) in (&mut targets).zip(nears.clone()).zip(fars) {
        let sum = L::load(near).multiply_add(taps[0], L::load(target));
        let sum = L::load(far).multiply_add(taps[1], sum);
        sum.store(target);
    }
    let target = targets.into_remainder();
    let far = far.get(length - target.len()..length).unwrap_or_default();
    let sum = part::<L, F>(nears.remainder()).multiply_add(taps[0], part(target));
    put_part(part::<L, F>(far).multiply_add(taps[1], sum), target);
}

/// Fewer numbers than a vector has, and zeros.
#[inline(always)]
fn part<L: Lanes<F>, F: Real>(from: &[F]) -> L {
    let mut numbers = [F::zero(); MOST_LANES];
    for (number, &value) in numbers.iter_mut().zip(from) {
        *number = value;
    }
    L::load(&numbers)
}

/// As many numbers of a vector as there is room for.
#[inline(always)]
fn put_part<L: Lanes<F>, F: Real>(vector: L, to: &mut [F]) {
    let mut numbers = [F::zero(); MOST_LANES];
    vector.store(&mut numbers);
    for (value, number) in to.iter_mut().zip(numbers) {
        *value = number;
    }
}

/// A filter bank in factors; [`FilterBank::lifting`](crate::filter_bank::FilterBank::lifting) has it.
///
/// The [module](self) tells which entries the operators read and write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lifting<'a, F> {
    offsets: [u8; 2],
    scales: [F; 2],
    inverse_scales: [F; 2],
    steps: &'a [Step<F>],
}

impl<'a, F: Real> Lifting<'a, F> {
    /// Factors of a bank of one's own, which [`FilterBank::with_lifting`] verifies: what the accessors tell again.
    pub const fn new(
        offsets: [u8; 2],
        scales: [F; 2],
        inverse_scales: [F; 2],
        steps: &'a [Step<F>],
    ) -> Self {
        Self {
            offsets,
            scales,
            inverse_scales,
            steps,
        }
    }

    /// `[a, b]`, at most 63 each: where analysis leaves the first approximation and the first detail. Their sum is
    /// `L/2 − 1`.
    pub fn offsets(&self) -> [usize; 2] {
        self.offsets.map(usize::from)
    }

    /// What approximation and detail are multiplied with at the end of analysis.
    pub const fn scales(&self) -> [F; 2] {
        self.scales
    }

    /// What approximation and detail are multiplied with at the beginning of synthesis: 1 over
    /// [`scales`](Self::scales), each rounded once from the exact value.
    pub const fn inverse_scales(&self) -> [F; 2] {
        self.inverse_scales
    }

    /// Multiplications for each pair of coefficients: a step's one or two, and the two scales.
    ///
    /// For an orthogonal bank of `L` taps it is `L + 2`, for a biorthogonal one from 4 to `L + 2`.
    pub fn multiplications(&self) -> usize {
        let taps = |step: &Step<F>| if step.is_single() { 1 } else { 2 };
        self.steps.iter().map(taps).sum::<usize>() + 2
    }

    /// The steps of [`analysis`](Self::analysis). [`scales`](Self::scales) come after them.
    pub fn analysis_steps(&self) -> impl DoubleEndedIterator<Item = Step<F>> + Clone + use<'a, F> {
        self.steps.iter().copied()
    }

    /// The steps of [`synthesis`](Self::synthesis). [`inverse_scales`](Self::inverse_scales) come before them.
    pub fn synthesis_steps(&self) -> impl DoubleEndedIterator<Item = Step<F>> + Clone + use<'a, F> {
        let offsets = self.offsets;
        let undone = move |step: Step<F>| step.inverse().with_offsets(offsets);
        self.analysis_steps().rev().map(undone)
    }

    /// The steps of [`analysis_adjoint`](Self::analysis_adjoint). [`scales`](Self::scales) come before them.
    pub fn analysis_adjoint_steps(
        &self,
    ) -> impl DoubleEndedIterator<Item = Step<F>> + Clone + use<'a, F> {
        let offsets = self.offsets;
        let transposed = move |step: Step<F>| step.transpose().with_offsets(offsets);
        self.analysis_steps().rev().map(transposed)
    }

    /// The steps of [`synthesis_adjoint`](Self::synthesis_adjoint). [`inverse_scales`](Self::inverse_scales) come after
    /// them.
    pub fn synthesis_adjoint_steps(
        &self,
    ) -> impl DoubleEndedIterator<Item = Step<F>> + Clone + use<'a, F> {
        self.analysis_steps().map(|step| step.transpose().inverse())
    }

    /// Analysis, in place.
    ///
    /// Cost: [`multiplications`](Self::multiplications) for each pair of entries, and as many passes over them as steps.
    pub fn analysis(&self, even: &mut [F], odd: &mut [F]) {
        apply(self.analysis_steps(), even, odd);
        scale(self.scales, even, odd);
    }

    /// Synthesis, in place.
    ///
    /// Cost: that of [`analysis`](Self::analysis).
    pub fn synthesis(&self, approximation: &mut [F], detail: &mut [F]) {
        scale(self.inverse_scales, approximation, detail);
        apply(self.synthesis_steps(), approximation, detail);
    }

    /// The transpose of analysis, in place.
    ///
    /// Cost: that of [`analysis`](Self::analysis).
    pub fn analysis_adjoint(&self, approximation: &mut [F], detail: &mut [F]) {
        scale(self.scales, approximation, detail);
        apply(self.analysis_adjoint_steps(), approximation, detail);
    }

    /// The transpose of synthesis, in place.
    ///
    /// Cost: that of [`analysis`](Self::analysis).
    pub fn synthesis_adjoint(&self, even: &mut [F], odd: &mut [F]) {
        apply(self.synthesis_adjoint_steps(), even, odd);
        scale(self.inverse_scales, even, odd);
    }
}

/// What an operator does with a bank's filters.
struct Operator<'f, F> {
    /// The low-pass and the high-pass filter.
    filters: [(&'static str, &'f [F]); 2],
    is_backwards: bool,
    is_scattered: bool,
}

impl<F: Real> Operator<'_, F> {
    /// The filter, and the index of its tap, that an output takes an input by that lies `lag` entries ahead. Beyond the
    /// filter taps are zero.
    fn tap(&self, input: usize, output: usize, lag: isize) -> (&'static str, isize, F) {
        let [(_, low), _] = self.filters;
        let taps = low.len() as isize;
        let (band, at) = if self.is_scattered {
            (input, taps - 2 - 2 * lag + output as isize)
        } else {
            (output, 2 * lag + input as isize)
        };
        let at = if self.is_backwards { taps - 1 - at } else { at };
        let [low, high] = self.filters;
        let (name, filter) = if band == 0 { low } else { high };
        (
            name,
            at,
            filter.get(at as usize).copied().unwrap_or(F::ZERO),
        )
    }
}

impl<F: Real> Lifting<'_, F> {
    /// That all four operators are the bank's, by what they make of each entry of arrays long enough to have ends and a middle.
    pub(crate) fn check(&self, bank: &FilterBank<'_, F>) -> Result<(), Error> {
        let (bound, found) = (MOST_STEPS + 1, self.steps.len());
        if found >= bound {
            let (bound, found) = (bound as u64, found as u64);
            return Err(Error::OutOfBounds {
                what: "number of steps",
                bound,
                found,
            });
        }
        let dec = [("dec_lo", bank.dec_lo()), ("dec_hi", bank.dec_hi())];
        let rec = [("rec_lo", bank.rec_lo()), ("rec_hi", bank.rec_hi())];
        let operator = |filters, is_backwards, is_scattered| Operator {
            filters,
            is_backwards,
            is_scattered,
        };
        self.check_operator(Self::analysis, &operator(dec, true, false))?;
        self.check_operator(Self::synthesis, &operator(rec, false, true))?;
        self.check_operator(Self::analysis_adjoint, &operator(dec, true, true))?;
        self.check_operator(Self::synthesis_adjoint, &operator(rec, false, false))
    }

    fn check_operator(
        &self,
        apply: fn(&Self, &mut [F], &mut [F]),
        operator: &Operator<'_, F>,
    ) -> Result<(), Error> {
        let half = operator.filters[0].1.len() / 2;
        let length = 3 * half - 2;
        let [a, b] = self.offsets();
        let offsets = if operator.is_scattered {
            [b, a]
        } else {
            [a, b]
        };
        for (input, index) in (0..2).flat_map(|input| (0..length).map(move |index| (input, index)))
        {
            let mut arrays = [[F::ZERO; 3 * MAX_TAPS / 2]; 2];
            let mut arrays = arrays.each_mut().map(|array| split_mut(array, length).0);
            if let Some(entry) = arrays.get_mut(input).and_then(|array| array.get_mut(index)) {
                *entry = F::one();
            }
            let [first, second] = &mut arrays;
            apply(self, first, second);
            for (output, (array, offset)) in arrays.iter().zip(offsets).enumerate() {
                for k in 0..=length - half {
                    let (filter, at, expected) =
                        operator.tap(input, output, index as isize - k as isize);
                    let expected = expected.to_f64();
                    let found = array
                        .get(offset + k)
                        .map_or(f64::NAN, |value| value.to_f64());
                    let apart = found - expected;
                    // A NaN is none of these.
                    let is_close = (-most_error::<F>()..=most_error::<F>()).contains(&apart);
                    if !is_close {
                        return Err(Error::OtherSteps {
                            filter,
                            at,
                            expected,
                            found,
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

fn apply<F: Real>(steps: impl Iterator<Item = Step<F>>, even: &mut [F], odd: &mut [F]) {
    steps.for_each(|step| step.apply(even, odd));
}

fn scale<F: Real>([by_even, by_odd]: [F; 2], even: &mut [F], odd: &mut [F]) {
    even.iter_mut().for_each(|value| *value *= by_even);
    odd.iter_mut().for_each(|value| *value *= by_odd);
}

/// A bank's factors as the tables have them.
pub(crate) struct Factors<const N: usize> {
    pub(crate) offsets: [u8; 2],
    pub(crate) scales: [f64; 2],
    pub(crate) inverse_scales: [f64; 2],
    pub(crate) steps: [Step<f64>; N],
}

impl<const N: usize> Factors<N> {
    pub(crate) const fn double(&'static self) -> Lifting<'static, f64> {
        Lifting {
            offsets: self.offsets,
            scales: self.scales,
            inverse_scales: self.inverse_scales,
            steps: &self.steps,
        }
    }

    /// With the steps that [`single_steps`](Self::single_steps) gave.
    pub(crate) const fn single(&self, steps: &'static [Step<f32>]) -> Lifting<'static, f32> {
        Lifting {
            offsets: self.offsets,
            scales: rounded(self.scales),
            inverse_scales: rounded(self.inverse_scales),
            steps,
        }
    }

    /// Each tap to the nearest f32.
    pub(crate) const fn single_steps(&self) -> [Step<f32>; N] {
        let mut result = [even(0, 0.0, 0.0).rounded(); N];
        let mut k = 0;
        while k < N {
            result[k] = self.steps[k].rounded();
            k += 1;
        }
        result
    }
}

impl Step<f64> {
    const fn rounded(self) -> Step<f32> {
        Step {
            target: self.target,
            shift: self.shift,
            taps: rounded(self.taps),
        }
    }
}

const fn rounded(pair: [f64; 2]) -> [f32; 2] {
    [pair[0] as f32, pair[1] as f32]
}

/// A step that adds to the even array.
pub(crate) const fn even(shift: i8, first: f64, second: f64) -> Step<f64> {
    Step {
        target: Phase::Even,
        shift,
        taps: [first, second],
    }
}

/// A step that adds to the odd array.
pub(crate) const fn odd(shift: i8, first: f64, second: f64) -> Step<f64> {
    Step {
        target: Phase::Odd,
        shift,
        taps: [first, second],
    }
}
