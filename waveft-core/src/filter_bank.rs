//! Filter banks of the discrete wavelets.
//!
//! A bank is four filters of one even length `L`: the analysis pair `dec_lo`, `dec_hi` and the synthesis pair
//! `rec_lo`, `rec_hi`, named and ordered as in PyWavelets. [`wavelets`] has the banks of all 106 discrete wavelets
//! of PyWavelets 1.9.0 as constants, in f64 and f32; a program that names one links no other. A bank of one's own
//! is made with [`FilterBank::new`].
//!
//! # Accuracy
//! Every f64 tap is the f64 nearest the exact algebraic value, and every f32 tap is that f64 rounded once.
//! `tools/filter_banks.py` solves the defining equations with 260 digits and verifies the rounding; it takes from
//! PyWavelets only which solution is meant. PyWavelets' own digits differ from these by up to 2 · 10⁻¹¹ in the sym
//! family, 10⁻¹² in bior and rbio from 4.4 on and two units in the last place in coif; all its others are the same.
//! Two banks have no exact value and are copied: [`wavelets::DMEY`] from PyWavelets and [`wavelets::PEFT_COIF4`]
//! from PEFT. All others come with their factors too ([`FilterBank::lifting`]), made from the exact taps by
//! `tools/lifting.py` and rounded in the same way.
//!
//! # Examples
//! ```
//! use waveft_core::filter_bank::{Wavelet, wavelets};
//!
//! let bank = wavelets::DB2.double();
//! assert_eq!(bank.taps(), 4);
//! assert!((bank.rec_lo()[0] - (1.0 + 3f64.sqrt()) / 32f64.sqrt()).abs() < 1e-15);
//!
//! let sym8 = Wavelet::from_name("sym8").unwrap();
//! assert_eq!(sym8.single().rec_hi().len(), 16);
//! ```

// One number a line, as the script prints them.
#[rustfmt::skip]
// db1's taps are the square root of 1/2, in a table of numbers like any other.
#[allow(clippy::approx_constant)]
mod tables;
// As above, one step a line.
#[rustfmt::skip]
// Some of db1's and bior's numbers are known ones.
#[allow(clippy::approx_constant)]
mod factors;
pub mod wavelets;

use crate::Error;
use crate::element::Real;
use crate::lifting::Lifting;

/// The most taps a filter bank may have. PyWavelets' longest, coif17, has 102.
pub const MAX_TAPS: usize = 128;

/// Four filters of one even length `L`, `2 ≤ L ≤ MAX_TAPS`, PyWavelets' names and order.
///
/// # Examples
/// ```
/// use waveft_core::filter_bank::FilterBank;
///
/// // The Haar wavelet without its square roots: averages and differences.
/// let bank = FilterBank::new(&[0.5, 0.5], &[-0.5, 0.5], &[1.0, 1.0], &[1.0, -1.0])?;
/// assert_eq!(bank.taps(), 2);
/// # Ok::<(), waveft_core::Error>(())
/// ```
///
/// Two banks are equal if their filters are.
#[derive(Clone, Copy, Debug)]
pub struct FilterBank<'a, F> {
    dec_lo: &'a [F],
    dec_hi: &'a [F],
    rec_lo: &'a [F],
    rec_hi: &'a [F],
    lifting: Option<Lifting<'a, F>>,
}

impl<F: PartialEq> PartialEq for FilterBank<'_, F> {
    fn eq(&self, other: &Self) -> bool {
        let filters = |bank: &Self| [bank.dec_lo, bank.dec_hi, bank.rec_lo, bank.rec_hi];
        filters(self) == filters(other)
    }
}

impl<'a, F> FilterBank<'a, F> {
    /// A bank of four filters, `L` taps each, of which nothing but the lengths is looked at: what is synthesised need
    /// not be what was analysed. [`new`](Self::new) asks for that too.
    ///
    /// # Errors
    /// [`Error::UnequalFilters`] unless all four have one length `L`; [`Error::TapCount`] unless `L` is even and
    /// `2 ≤ L ≤ MAX_TAPS`.
    pub const fn without_reconstruction(
        dec_lo: &'a [F],
        dec_hi: &'a [F],
        rec_lo: &'a [F],
        rec_hi: &'a [F],
    ) -> Result<Self, Error> {
        let taps = dec_lo.len();
        if dec_hi.len() != taps || rec_lo.len() != taps || rec_hi.len() != taps {
            return Err(Error::UnequalFilters {
                found: [taps, dec_hi.len(), rec_lo.len(), rec_hi.len()],
            });
        }
        if taps < 2 || taps > MAX_TAPS || !taps.is_multiple_of(2) {
            return Err(Error::TapCount {
                found: taps,
                most: MAX_TAPS,
            });
        }
        Ok(Self {
            dec_lo,
            dec_hi,
            rec_lo,
            rec_hi,
            lifting: None,
        })
    }

    /// Taps of each filter, `L`.
    pub const fn taps(&self) -> usize {
        self.dec_lo.len()
    }

    /// The analysis low-pass filter, `L` taps: gives the approximation.
    pub const fn dec_lo(&self) -> &'a [F] {
        self.dec_lo
    }

    /// The analysis high-pass filter, `L` taps: gives the detail.
    pub const fn dec_hi(&self) -> &'a [F] {
        self.dec_hi
    }

    /// The synthesis low-pass filter, `L` taps: what one approximation coefficient adds to the signal.
    pub const fn rec_lo(&self) -> &'a [F] {
        self.rec_lo
    }

    /// The synthesis high-pass filter, `L` taps: what one detail coefficient adds to the signal.
    pub const fn rec_hi(&self) -> &'a [F] {
        self.rec_hi
    }
}

impl<'a, F: Copy> FilterBank<'a, F> {
    /// The bank in factors, which halves the multiplications: of each wavelet in [`wavelets`] but
    /// [`DMEY`](wavelets::DMEY) and [`PEFT_COIF4`](wavelets::PEFT_COIF4), which have none for they do not reconstruct
    /// perfectly, and of a bank of one's own if it [was given any](Self::with_lifting).
    pub const fn lifting(&self) -> Option<Lifting<'a, F>> {
        self.lifting
    }
}

impl<'a, F: Real> FilterBank<'a, F> {
    /// A bank of four filters, `L` taps each, that reconstructs: synthesis inverts analysis.
    ///
    /// Cost: `2L²` multiplications.
    ///
    /// # Errors
    /// Those of [`without_reconstruction`](Self::without_reconstruction); [`Error::NonFinite`] if a tap is NaN or
    /// infinite; [`Error::NotReconstructing`] if the [reconstruction error](Self::reconstruction_error) exceeds
    /// 10⁻⁸, in f32 10⁻⁵, so that taps need as many right digits.
    pub fn new(
        dec_lo: &'a [F],
        dec_hi: &'a [F],
        rec_lo: &'a [F],
        rec_hi: &'a [F],
    ) -> Result<Self, Error> {
        let bank = Self::without_reconstruction(dec_lo, dec_hi, rec_lo, rec_hi)?;
        let filters = [dec_lo, dec_hi, rec_lo, rec_hi];
        let names = ["dec_lo", "dec_hi", "rec_lo", "rec_hi"];
        for (filter, taps) in names.into_iter().zip(filters) {
            let at = taps.iter().position(|tap| !tap.to_f64().is_finite());
            if let Some(at) = at {
                return Err(Error::NonFinite { filter, at });
            }
        }
        let most = most_error::<F>();
        let found = bank.reconstruction_error().to_f64();
        if found > most {
            return Err(Error::NotReconstructing { most, found });
        }
        Ok(bank)
    }

    /// The bank with its factors, in which [`Algorithm::Lifting`](crate::transform::Algorithm::Lifting) transforms lines.
    ///
    /// All four operators of [`lifting`](crate::lifting) are verified to have the bank's taps to 10⁻⁸, in f32 to 10⁻⁵. Cost:
    /// about `18L³` multiplications.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] for more than `MAX_TAPS / 2 + 1` steps; [`Error::OtherSteps`], with the first tap that is
    /// another, if the factors are not the bank's.
    ///
    /// # Examples
    /// ```
    /// use waveft_core::filter_bank::FilterBank;
    /// use waveft_core::lifting::{Lifting, Phase, Step};
    ///
    /// // Averages and differences: odd −= even, even += odd / 2, and the differences are halved and turned.
    /// let bank = FilterBank::new(&[0.5, 0.5], &[-0.5, 0.5], &[1.0, 1.0], &[1.0, -1.0])?;
    /// let steps = [Step::new(Phase::Odd, 0, [-1.0, 0.0]), Step::new(Phase::Even, 0, [0.5, 0.0])];
    /// let lifting = Lifting::new([0, 0], [1.0, -0.5], [1.0, -2.0], &steps);
    /// assert_eq!(bank.with_lifting(lifting)?.lifting(), Some(lifting));
    /// assert!(bank.with_lifting(Lifting::new([0, 0], [1.0, 0.5], [1.0, 2.0], &steps)).is_err());
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn with_lifting(self, lifting: Lifting<'a, F>) -> Result<Self, Error> {
        lifting.check(&self)?;
        Ok(Self {
            lifting: Some(lifting),
            ..self
        })
    }

    /// How far synthesis after analysis is from the identity: the largest difference of an entry of its matrix, away from
    /// the ends of a signal. Taps that are not finite give any number.
    ///
    /// Entry `(n, n − d)` is `Σ rec_lo[i] · dec_lo[L−1−i+d] + rec_hi[i] · dec_hi[L−1−i+d]`, the sum being over the even
    /// `i` or over the odd ones.
    ///
    /// # Examples
    /// ```
    /// use waveft_core::filter_bank::wavelets::{DB4, DMEY};
    ///
    /// assert!(DB4.double().reconstruction_error() < 1e-15);
    /// assert!(DMEY.double().reconstruction_error() > 1e-4);
    /// ```
    pub fn reconstruction_error(&self) -> F {
        let last = self.taps() as isize - 1;
        let mut largest = F::zero();
        for parity in 0..2 {
            for distance in -last..=last {
                let mut entry = if distance == 0 {
                    F::zero() - F::one()
                } else {
                    F::zero()
                };
                let synthesis = self.rec_lo.iter().zip(self.rec_hi).enumerate();
                for (i, (&rec_low, &rec_high)) in synthesis.skip(parity).step_by(2) {
                    let j = last - i as isize + distance;
                    let Ok(j) = usize::try_from(j) else { continue };
                    if let (Some(&low), Some(&high)) = (self.dec_lo.get(j), self.dec_hi.get(j)) {
                        entry += rec_low * low + rec_high * high;
                    }
                }
                let size = if entry < F::zero() {
                    F::zero() - entry
                } else {
                    entry
                };
                if size > largest {
                    largest = size;
                }
            }
        }
        largest
    }
}

/// How far the taps of a bank of one's own may be from what they must be.
pub(crate) const fn most_error<F>() -> f64 {
    if size_of::<F>() == 4 { 1e-5 } else { 1e-8 }
}

/// A named discrete wavelet with its filter bank in both precisions. [`wavelets`] has them all.
///
/// # Examples
/// ```
/// use waveft_core::filter_bank::wavelets::COIF2;
///
/// assert_eq!(COIF2.name(), "coif2");
/// assert_eq!(COIF2.taps(), 12);
/// assert!(COIF2.is_orthogonal());
/// assert_eq!(COIF2.vanishing_moments_psi(), Some(4));
/// assert_eq!(COIF2.vanishing_moments_phi(), Some(3));
/// assert_eq!(COIF2.single().rec_lo()[0], COIF2.double().rec_lo()[0] as f32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wavelet {
    name: &'static str,
    double: FilterBank<'static, f64>,
    single: FilterBank<'static, f32>,
    is_orthogonal: bool,
    vanishing_moments_psi: Option<usize>,
    vanishing_moments_phi: Option<usize>,
}

impl Wavelet {
    /// PyWavelets' name: `"db4"`, `"bior2.2"`, …; of [`wavelets::PEFT_COIF4`] `"peft-coif4"`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Taps of each filter, `L`: even, 2 to 102.
    pub const fn taps(&self) -> usize {
        self.double.taps()
    }

    /// The filter bank in f64.
    pub const fn double(&self) -> FilterBank<'static, f64> {
        self.double
    }

    /// The filter bank in f32: each f64 tap rounded once.
    pub const fn single(&self) -> FilterBank<'static, f32> {
        self.single
    }

    /// Whether PyWavelets calls the wavelet orthogonal: db, sym, coif, haar and dmey. dmey's even shifts are
    /// orthonormal to 0.0022 only; bior1.1 and rbio1.1 are haar under another name, yet not called orthogonal.
    pub const fn is_orthogonal(&self) -> bool {
        self.is_orthogonal
    }

    /// Vanishing moments of the wavelet ψ as PyWavelets reports them; `None` for dmey and PEFT's coif4.
    ///
    /// For bior and rbio it is the first number of the name, for both families. The truth for `biorN.M` is that
    /// `dec_hi` has `N` and `rec_hi` has `M`, for `rbioN.M` the reverse, and for 5.5 they are 6 and 4.
    pub const fn vanishing_moments_psi(&self) -> Option<usize> {
        self.vanishing_moments_psi
    }

    /// Vanishing moments of the scaling function φ, counted from the first order, as PyWavelets reports them;
    /// `None` for dmey and PEFT's coif4. For bior and rbio it is the second number of the name.
    pub const fn vanishing_moments_phi(&self) -> Option<usize> {
        self.vanishing_moments_phi
    }

    /// The wavelet PyWavelets has under a name, in lower case. `"haar"` and `"db1"` are both there;
    /// `"peft-coif4"` is not, and `"coif4"` is the true one.
    ///
    /// A program that calls this links the taps and factors of every wavelet in both precisions, about 240 KB. Cost: up to
    /// 106 comparisons.
    ///
    /// # Errors
    /// [`Error::UnknownWavelet`], which says what there is.
    ///
    /// # Examples
    /// ```
    /// use waveft_core::filter_bank::Wavelet;
    ///
    /// assert_eq!(Wavelet::from_name("rbio6.8")?.taps(), 18);
    /// assert!(Wavelet::from_name("db39").is_err());
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn from_name(name: &str) -> Result<&'static Self, Error> {
        let found = wavelets::ALL.iter().find(|wavelet| wavelet.name == name);
        found.ok_or(Error::UnknownWavelet)
    }
}
