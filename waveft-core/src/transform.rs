//! One level of the discrete wavelet transform along one axis: analysis, synthesis, and the exact adjoint of each.
//!
//! Analysis splits a signal `x` of `N` samples into two bands of half the rate, the approximation and the detail;
//! synthesis puts them together. With filters of `L` taps, coefficient `k` of either band belongs to the samples
//!
//! ```text
//! 2k + s .. 2k + s + L        s = 2 − L, for periodization 1 − L/2
//! ```
//!
//! and, `x̂` being the signal with its [extension](crate::extension_mode) and `i` running over `0..L`,
//!
//! | operator | what it computes | on what |
//! |---|---|---|
//! | [`forward`](Dwt::forward), `A` | `a[k] = Σᵢ dec_lo[L−1−i] · x̂[2k+s+i]`, `d` with `dec_hi` | `N` samples |
//! | [`inverse`](Dwt::inverse), `S` | adds `a[k] · rec_lo[i] + d[k] · rec_hi[i]` to sample `2k+s+i` | `N + N mod 2` samples |
//! | [`forward_adjoint`](Dwt::forward_adjoint), `Aᵀ` | as `S` with the reversed `dec_lo`, `dec_hi`, what falls on the extension going back to the samples it came from | `N` samples |
//! | [`inverse_adjoint`](Dwt::inverse_adjoint), `Sᵀ` | as `A` with the reversed `rec_lo`, `rec_hi`, beyond the ends zeros | `N + N mod 2` samples |
//!
//! For periodization, where indices count around, `S` and `Sᵀ` have no ends. Lengths and values are those of PyWavelets'
//! `dwt` and `idwt`; its `idwt` returns `N + 1` samples for an odd `N` too.
//!
//! # What inverts what
//! `S A x = x` for every mode if the bank reconstructs perfectly; of an odd `N` in the first `N` samples. `A S` is the
//! identity only for periodization of even `N`; elsewhere there are more coefficients than samples.
//!
//! With an orthogonal bank and even `N`, `S = Aᵀ` for zero extension and for periodization. In every other mode the two
//! differ near the ends, and a gradient taken through `S` in place of `Aᵀ` is wrong there. `Sᵀ` does not depend on the
//! mode, except that periodization has its own.
//!
//! # Accuracy
//! There and back changes a signal by less than 10⁻¹⁴ of its norm in f64 and 2 · 10⁻⁶ in f32, over all wavelets, modes and
//! lengths tried. There is one exception: dmey's table inverts itself to 6 · 10⁻³ only, with smooth extension to
//! 6 · 10⁻². Smooth and antireflect extension continue a signal shorter than the filters to many times its size, and its
//! coefficients are up to 480 times as large as itself. Sums over such an extension would lose up to 7 · 10⁻⁶ of the
//! signal in f32; there, and whichever the algorithm, what each sample is multiplied by in all is found first, without
//! loss, and only then multiplied.
//!
//! What the tests hold, over all wavelets, modes and lengths (dmey apart where something is inverted), and the worst that was
//! measured; relative to the norm, or for values to the sum of magnitudes:
//!
//! | what | bound | measured |
//! |---|---|---|
//! | values against PyWavelets, f64, one axis | 10⁻¹² | 3.4 · 10⁻¹⁴ |
//! | the same, two, three and four axes | 10⁻¹², 10⁻¹¹, 10⁻¹⁰ | 1.4 · 10⁻¹³, 8.7 · 10⁻¹³, 1.4 · 10⁻¹¹ |
//! | values against MATLAB's, with PyWavelets' filters | 10⁻¹⁰ | 2.6 · 10⁻¹¹ |
//! | synthesis after analysis, f64: lines, images | 10⁻¹² | 8.3 · 10⁻¹⁵, 5.6 · 10⁻¹⁶ |
//! | synthesis after analysis, f32 | 2 · 10⁻⁶ | 1.1 · 10⁻⁶ |
//! | `⟨A x, y⟩ = ⟨x, Aᵀ y⟩` and `⟨S y, x⟩ = ⟨y, Sᵀ x⟩`, f64 | 10⁻¹², images 10⁻¹³ | 1.1 · 10⁻¹⁵, 1.6 · 10⁻¹⁶ |
//! | instruction sets against each other, lines | 4 units in the last place | 1.8 |
//! | lifting against convolution, f64 | 2 · 10⁻¹³ | |
//!
//! # More than a line
//! [`Dwt`] works on one line, or on all lines along an axis of a strided array
//! ([`forward_along`](Dwt::forward_along) and its three companions). [`Wavedec`] is the separable transform of a whole array over one or more levels; in two
//! dimensions each level is one sweep over the image.
//!
//! # How
//! Convolution in polyphase form, in the widest vectors that the machine has ([`with_isa`](Dwt::with_isa) takes others),
//! or [lifting steps](crate::lifting) where those are faster ([`algorithm`](Dwt::algorithm)). Each pair of an operator and its adjoint goes the same way in both directions, with the same taps and the
//! same description of the extension, so that the adjoint's matrix is the transpose of the operator's, but for the
//! rounding of sums. A NaN or an infinity reaches no coefficient whose `L` samples it is not among. Memory beyond the
//! arrays is the caller's; each plan tells how much.
//!
//! # Coming from PyWavelets
//! Lengths, values and the order of bands are the same; filters are exact to rounding where PyWavelets' tables are off by up
//! to 2 · 10⁻¹¹. Plans are made once and take a length or a shape; results go where the caller says, or, with feature
//! `alloc`, into a `Vec` by the methods that end in `_vec`.
//!
//! | PyWavelets | here |
//! |---|---|
//! | `pywt.Wavelet("db4")` | [`wavelets::DB4`](crate::filter_bank::wavelets::DB4), [`Wavelet::from_name`](crate::filter_bank::Wavelet::from_name) |
//! | `pywt.Wavelet("mine", filter_bank=…)` | [`FilterBank::new`], which refuses what does not reconstruct |
//! | `pywt.Modes.symmetric` | [`ExtensionMode::Symmetric`], [`ExtensionMode::from_name`] |
//! | `dwt(x, wavelet, mode)` | [`Dwt::forward`] |
//! | `idwt(cA, cD, wavelet, mode)` | [`Dwt::inverse`]; `None` for a band is a band of zeros |
//! | `dwt(x, wavelet, mode, axis)` | [`Dwt::forward_along`], [`Dwt::inverse_along`] |
//! | `dwt2`, `dwtn` | [`Wavedec`] of one level: `cA`, `(cH, cV, cD)` are bands `aa`, `da`, `ad`, `dd` |
//! | `idwt2`, `idwtn` | [`Wavedec::inverse`], which gives back the shape of the plan, where PyWavelets rounds odd lengths up |
//! | `wavedec`, `wavedec2`, `wavedecn` | [`Wavedec::forward`] |
//! | `waverec`, `waverec2`, `waverecn` | [`Wavedec::inverse`] |
//! | a sequence of wavelets or modes, one an axis | the array of pairs that [`Wavedec::new`] takes |
//! | `dwt_max_level(n, filter_len)` | [`dwt_max_level`]; more levels are refused, not warned of |
//! | `dwt_coeff_len(n, filter_len, mode)` | [`Dwt::band_length`] |
//! | `ravel_coeffs`, `unravel_coeffs` | the order of [`Wavedec`]'s buffer is theirs; [`Wavedec::band`] tells places and shapes |
//! | `coeffs_to_array` | not there: bands are contiguous, not tiles of an image |
//! | `pywt.pad(x, n, mode)`, `swt`, `wp`, `cwt` | not there |
//! | no counterpart | [`Dwt::forward_adjoint`], [`Dwt::inverse_adjoint`]: what a gradient goes through |
//!
//! # Sources
//! - S. G. Mallat, “A theory for multiresolution signal decomposition: the wavelet representation”, IEEE Transactions on
//!   Pattern Analysis and Machine Intelligence 11 (1989), 674–693: the algorithm.
//! - PyWavelets 1.9.0, [Signal extension modes]: the modes and their lengths.
//!
//! [Signal extension modes]: https://pywavelets.readthedocs.io/en/latest/ref/signal-extension-modes.html

#[cfg(feature = "alloc")]
mod allocating;
mod along;
mod frame;
pub(crate) mod kernels;
mod levels;
mod plane;
mod rows;

use crate::element::{Element, Real};
use crate::error::Error;
use crate::extension_mode::ExtensionMode;
use crate::filter_bank::{FilterBank, MAX_TAPS};
use crate::isa::Isa;
use crate::lifting::{Lifting, Step};
use crate::slices::split_mut;
use frame::{Beyond, Direction, Factors, Frame, taps_len};
use kernels::{Analyse, Join, Synthesise};
pub use levels::{Band, Wavedec};

/// How a line is transformed. The results are the same but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Convolution in polyphase form: `2L` multiply-adds a pair of coefficients, all at once.
    Direct,
    /// The bank's [lifting steps](crate::lifting): about `L + 2` multiply-adds, a pass over a chunk for each step.
    Lifting,
}

/// One level on one axis: bank, mode, length and algorithm chosen once.
///
/// # Examples
/// ```
/// use waveft_core::extension_mode::ExtensionMode;
/// use waveft_core::filter_bank::wavelets::DB2;
/// use waveft_core::transform::Dwt;
///
/// let dwt = Dwt::new(DB2.double(), ExtensionMode::Symmetric, 5)?;
/// assert_eq!((dwt.band_length(), dwt.reconstructed_length()), (4, 6));
///
/// let signal = [1.0f64, 2.0, 4.0, 3.0, 2.0];
/// let (mut approximation, mut detail, mut back) = ([0.0; 4], [0.0; 4], [0.0; 6]);
/// let mut scratch = [0.0; 40];
/// assert!(dwt.scratch_len() <= scratch.len());
/// dwt.forward(&signal, &mut approximation, &mut detail, &mut scratch)?;
/// dwt.inverse(&approximation, &detail, &mut back, &mut scratch)?;
/// assert!(signal.iter().zip(back).all(|(x, y)| (x - y).abs() < 1e-14));
/// # Ok::<(), waveft_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dwt<'a, F> {
    bank: FilterBank<'a, F>,
    mode: ExtensionMode,
    length: usize,
    isa: Isa,
    /// If it was asked for.
    algorithm: Option<Algorithm>,
}

/// Samples from which on lifting is faster than convolution where there is no fused multiply-add.
const LIFTED_FROM: usize = 512;

/// Samples up to which a frame takes a part of the time that is worth saving. A million were a tenth slower without one.
const JOINED_TO: usize = 4096;

impl<'a, F: Real> Dwt<'a, F> {
    /// The transform of signals of `length` samples, `N`.
    ///
    /// # Errors
    /// [`Error::SignalLength`] unless `mode.least_length() ≤ N ≤ isize::MAX / size_of::<F>() − MAX_TAPS`.
    pub fn new(bank: FilterBank<'a, F>, mode: ExtensionMode, length: usize) -> Result<Self, Error> {
        let least = mode.least_length();
        let most = isize::MAX as usize / size_of::<F>() - MAX_TAPS;
        if length < least || length > most {
            return Err(Error::SignalLength {
                least,
                most,
                found: length,
            });
        }
        Ok(Self {
            bank,
            mode,
            length,
            isa: Isa::detect(),
            algorithm: None,
        })
    }

    /// The same transform computed with other instructions; results may differ in the last bits.
    #[must_use]
    pub const fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// The same transform by another algorithm than [`algorithm`](Self::algorithm) chose.
    ///
    /// # Errors
    /// [`Error::NotFactored`] if lifting is asked for and the bank [has no steps](FilterBank::lifting).
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, Error> {
        if algorithm == Algorithm::Lifting && self.bank.lifting().is_none() {
            return Err(Error::NotFactored);
        }
        self.algorithm = Some(algorithm);
        Ok(self)
    }

    /// The algorithm that lines are transformed by: the one asked for, or what `benches/transform` found faster.
    ///
    /// With fused multiply-adds in registers convolution takes about half of lifting's time, for every bank and length:
    /// its sums never leave the registers, where lifting passes over its arrays once a step. Without them
    /// ([`Isa::Portable`]), from 512 samples on, it is lifting that takes about two thirds of the other's.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        let lifted = self.isa == Isa::Portable
            && self.length >= LIFTED_FROM
            && self.bank.lifting().is_some();
        self.algorithm.unwrap_or(if lifted {
            Algorithm::Lifting
        } else {
            Algorithm::Direct
        })
    }

    /// Samples of the signal, `N`.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Coefficients of each band: `⌊(N + L − 1) / 2⌋`, for periodization `⌈N / 2⌉`.
    #[must_use]
    pub const fn band_length(&self) -> usize {
        match self.mode {
            ExtensionMode::Periodization => self.length.div_ceil(2),
            _ => (self.length + self.bank.taps() - 1) / 2,
        }
    }

    /// Samples that synthesis gives: `N`, plus 1 if that is odd. The signal is the first `N` of them.
    #[must_use]
    pub const fn reconstructed_length(&self) -> usize {
        self.length.next_multiple_of(2)
    }

    /// Elements of scratch that a line needs: `O(L + min(N, 2048))`. What they hold is of no account before, and
    /// unspecified after.
    #[must_use]
    pub const fn scratch_len(&self) -> usize {
        let taps = self.bank.taps();
        taps_len(taps) + frame::scratch_len(self.band_length(), taps)
    }

    /// Analysis, `A`: from `N` samples to [`band_length`](Self::band_length) coefficients in each band. What was in them
    /// is overwritten.
    ///
    /// Samples and coefficients may be stored in half precision; what is computed is `F`. Cost: `2L` multiply-adds for
    /// each of the about `N / 2` pairs of coefficients.
    ///
    /// # Errors
    /// [`Error::Length`] unless the slices have these lengths, and `scratch` at least
    /// [`scratch_len`](Self::scratch_len).
    pub fn forward<T: Element<Real = F>>(
        &self,
        signal: &[T],
        approximation: &mut [T],
        detail: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let found = [signal.len(), approximation.len(), detail.len()];
        self.check(self.length, found, scratch)?;
        let bands = [approximation, detail];
        let (room, scratch) = split_mut(scratch, taps_len(self.bank.taps()));
        let frame = &self.forward_frame(Direction::Gather, room);
        let steps = self.lifting(Lifting::analysis_steps, Lifting::scales);
        self.analyse(frame, steps.as_ref(), signal, bands, scratch);
        Ok(())
    }

    /// Synthesis, `S`: from [`band_length`](Self::band_length) coefficients in each band to
    /// [`reconstructed_length`](Self::reconstructed_length) samples. What was in them is overwritten.
    ///
    /// Cost: that of [`forward`](Self::forward).
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn inverse<T: Element<Real = F>>(
        &self,
        approximation: &[T],
        detail: &[T],
        signal: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let found = [signal.len(), approximation.len(), detail.len()];
        self.check(self.reconstructed_length(), found, scratch)?;
        if self.length <= JOINED_TO
            && self.mode != ExtensionMode::Periodization
            && self.algorithm() == Algorithm::Direct
        {
            // Of an even number of samples none belongs to a coefficient that is not there.
            let kernel = Join {
                filters: [self.bank.rec_lo(), self.bank.rec_hi()],
                bands: [approximation, detail],
                signal,
            };
            T::join_line(self.isa, kernel);
        } else {
            self.inverse_by_frame(approximation, detail, signal, scratch);
        }
        Ok(())
    }

    /// [`inverse`](Self::inverse) around the ends or in factors, out of the way of the other.
    #[inline(never)]
    fn inverse_by_frame<T: Element<Real = F>>(
        &self,
        approximation: &[T],
        detail: &[T],
        signal: &mut [T],
        scratch: &mut [F],
    ) {
        let bands = [approximation, detail];
        let (room, scratch) = split_mut(scratch, taps_len(self.bank.taps()));
        let frame = &self.inverse_frame(self.reconstructed_length(), Direction::Scatter, room);
        let steps = self.lifting(Lifting::synthesis_steps, Lifting::inverse_scales);
        self.synthesise(frame, steps.as_ref(), bands, signal, scratch);
    }

    /// The adjoint of analysis, `Aᵀ`: from [`band_length`](Self::band_length) coefficients in each band to `N` samples,
    /// so that `⟨A x, (a, d)⟩ = ⟨x, Aᵀ (a, d)⟩`. What was in them is overwritten. It carries a gradient from the
    /// coefficients back to the signal.
    ///
    /// Cost: that of [`forward`](Self::forward). In half precision the samples that the extension is made from are
    /// rounded once for each sample beyond the ends that falls on them.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_adjoint<T: Element<Real = F>>(
        &self,
        approximation: &[T],
        detail: &[T],
        signal: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let found = [signal.len(), approximation.len(), detail.len()];
        self.check(self.length, found, scratch)?;
        let bands = [approximation, detail];
        let (room, scratch) = split_mut(scratch, taps_len(self.bank.taps()));
        let frame = &self.forward_frame(Direction::Scatter, room);
        let steps = self.lifting(Lifting::analysis_adjoint_steps, Lifting::scales);
        self.synthesise(frame, steps.as_ref(), bands, signal, scratch);
        Ok(())
    }

    /// The adjoint of synthesis, `Sᵀ`: from [`reconstructed_length`](Self::reconstructed_length) samples to
    /// [`band_length`](Self::band_length) coefficients in each band, so that `⟨S (a, d), y⟩ = ⟨(a, d), Sᵀ y⟩`. What was in
    /// them is overwritten.
    ///
    /// Cost: that of [`forward`](Self::forward).
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn inverse_adjoint<T: Element<Real = F>>(
        &self,
        signal: &[T],
        approximation: &mut [T],
        detail: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let found = [signal.len(), approximation.len(), detail.len()];
        self.check(self.reconstructed_length(), found, scratch)?;
        let bands = [approximation, detail];
        let (room, scratch) = split_mut(scratch, taps_len(self.bank.taps()));
        let frame = &self.inverse_frame(self.reconstructed_length(), Direction::Gather, room);
        let steps = self.lifting(Lifting::synthesis_adjoint_steps, Lifting::inverse_scales);
        self.analyse(frame, steps.as_ref(), signal, bands, scratch);
        Ok(())
    }

    /// The bank's factors, if the plan is to use them.
    fn lifting<S: Iterator<Item = Step<F>>>(
        &self,
        steps: impl Fn(&Lifting<'a, F>) -> S,
        scales: impl Fn(&Lifting<'a, F>) -> [F; 2],
    ) -> Option<Factors<F>> {
        let lifting = match self.algorithm() {
            Algorithm::Direct => return None,
            Algorithm::Lifting => self.bank.lifting()?,
        };
        let steps = steps(&lifting);
        Some(Factors::new(steps, scales(&lifting), lifting.offsets()))
    }

    fn analyse<T: Element<Real = F>>(
        &self,
        frame: &Frame<'_, F>,
        factors: Option<&Factors<F>>,
        signal: &[T],
        bands: [&mut [T]; 2],
        scratch: &mut [F],
    ) {
        let line = Analyse {
            frame,
            factors,
            signal,
            bands,
            scratch,
        };
        T::analyse_line(self.isa, line);
    }

    fn synthesise<T: Element<Real = F>>(
        &self,
        frame: &Frame<'_, F>,
        factors: Option<&Factors<F>>,
        bands: [&[T]; 2],
        signal: &mut [T],
        scratch: &mut [F],
    ) {
        let line = Synthesise {
            frame,
            factors,
            bands,
            signal,
            scratch,
        };
        T::synthesise_line(self.isa, line);
    }

    /// Analysis of the signal with its extension; its transpose is the adjoint.
    fn forward_frame<'r>(&self, direction: Direction, room: &'r mut [F]) -> Frame<'r, F> {
        let filters = [self.bank.dec_lo(), self.bank.dec_hi()];
        let beyond = Beyond::Extension(self.mode);
        let lengths = [self.length, self.band_length()];
        Frame::new(beyond, lengths, filters, true, direction, room)
    }

    /// Synthesis is this frame's transpose. Around the `samples` there is nothing, or, for periodization, themselves.
    fn inverse_frame<'r>(
        &self,
        samples: usize,
        direction: Direction,
        room: &'r mut [F],
    ) -> Frame<'r, F> {
        let filters = [self.bank.rec_lo(), self.bank.rec_hi()];
        let beyond = match self.mode {
            ExtensionMode::Periodization => Beyond::Around {
                period: self.reconstructed_length(),
            },
            _ => Beyond::Nothing,
        };
        let lengths = [samples, self.band_length()];
        Frame::new(beyond, lengths, filters, false, direction, room)
    }

    #[inline(always)]
    fn check(&self, samples: usize, found: [usize; 3], scratch: &[F]) -> Result<(), Error> {
        let band = self.band_length();
        let [signal, approximation, detail] = found;
        if signal == samples
            && approximation == band
            && detail == band
            && scratch.len() >= self.scratch_len()
        {
            return Ok(());
        }
        Err(self.misfit(samples, found, scratch.len()))
    }

    /// Which of some lengths is not as it must be.
    #[cold]
    fn misfit(&self, samples: usize, found: [usize; 3], scratch: usize) -> Error {
        let band = self.band_length();
        let expected = [samples, band, band];
        let names = ["signal", "approximation", "detail"];
        for ((what, expected), found) in names.into_iter().zip(expected).zip(found) {
            if expected != found {
                return Error::Length {
                    what,
                    expected,
                    found,
                };
            }
        }
        Error::Length {
            what: "scratch",
            expected: self.scratch_len(),
            found: scratch,
        }
    }
}

/// How often a signal of `length` samples can be halved, with filters of `taps` taps, so that the coarsest coefficients
/// still see more signal than extension: `⌊log₂(length / (taps − 1))⌋`, 0 if that is negative or `taps < 2`.
///
/// The number is PyWavelets' `dwt_max_level`, which it only advises.
///
/// # Examples
/// ```
/// use waveft_core::transform::dwt_max_level;
///
/// assert_eq!(dwt_max_level(1000, 8), 7);
/// assert_eq!(dwt_max_level(6, 8), 0);
/// ```
#[must_use]
pub const fn dwt_max_level(length: usize, taps: usize) -> usize {
    if taps < 2 || length < taps {
        return 0;
    }
    (length / (taps - 1)).ilog2() as usize
}
