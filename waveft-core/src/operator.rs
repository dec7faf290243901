//! The update itself: `ΔW = scaling · R · S · Cᵀ`, written, added, subtracted and taken back.

// Here and below as in `lanes`.
#[allow(unconditional_panic)]
mod atoms;
mod bands;
#[allow(unconditional_panic)]
mod block;
pub(crate) mod kernels;
mod order;
mod products;
mod side;
#[allow(unconditional_panic)]
mod tiles;
mod token;
mod tokens;
mod updates;

pub use self::tokens::{apply_scratch_len, backward_scratch_len};

use self::updates::{Add, Record, Undo};
use crate::element::{Element, Real};
use crate::error::{Error, check_length, check_rows};
use crate::extension_mode::ExtensionMode;
use crate::filter_bank::{FilterBank, MAX_TAPS};
use crate::isa::Isa;
use crate::matrix::MatrixMut;
use crate::spectrum::SparseSpectrum;
use crate::transform::Wavedec;
use core::ops::Range;

/// The update of one layer, never formed: `S` sparse, `R` and `C` one-dimensional synthesis.
///
/// Every entry that an atom covers is computed in `F` as PEFT computes it: the product of a row tap
/// and a column tap, times the coefficient, summed over the atoms, times the scaling. Where two or
/// more atoms overlap, PEFT sums in whatever order its convolution takes; here it is always the
/// same one.
///
/// With `n` atoms and filters of `L` taps each method costs `O(n · L²)`, whatever the layer's size.
/// No memory is needed beyond a few kilobytes of stack.
///
/// ```
/// use waveft_core::filter_bank::wavelets::DB1;
/// use waveft_core::geometry::{Atom, Geometry};
/// use waveft_core::matrix::MatrixMut;
/// use waveft_core::operator::DeltaWeight;
/// use waveft_core::sampling::{Location, locations, scratch_len};
/// use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};
///
/// const N: usize = 3; // coefficients of a 4 × 6 layer
/// let layer = Geometry::new(4, 6, DB1.taps())?;
/// let (mut places, mut scratch) = ([Location::default(); N], [0; scratch_len(4 * 6, N)]);
/// locations(4, 6, 777, &mut places, &mut scratch)?;
/// let mut order = [0; N];
/// let atoms = SortedAtoms::new(layer, &places, [Atom::default(); N], &mut order)?;
///
/// let mut sorted = [0.0; N];
/// gather(&order, &[1.0, -2.0, 0.5], &mut sorted)?;
/// let spectrum = SparseSpectrum::new(&atoms, &sorted)?;
/// let delta = DeltaWeight::new(spectrum, Some(DB1.single()), 25.0)?;
///
/// let mut weight = [0.125f32; 4 * 6];
/// let mut undo = [0.0; 4 * N];
/// assert_eq!(delta.undo_len(), undo.len());
/// delta.add_recording(&mut MatrixMut::new(&mut weight, 4, 6)?, &mut undo)?;
/// assert_ne!(weight, [0.125; 4 * 6]);
/// delta.undo(&mut MatrixMut::new(&mut weight, 4, 6)?, &undo)?;
/// assert_eq!(weight, [0.125; 4 * 6]);
/// # Ok::<(), waveft_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeltaWeight<'a, F> {
    spectrum: SparseSpectrum<'a, F>,
    bank: Option<FilterBank<'a, F>>,
    scaling: F,
    rows: Range<usize>,
    isa: Isa,
}

impl<'a, F: Real> DeltaWeight<'a, F> {
    /// The update of a spectrum under a filter bank; `None` is `use_idwt = false`, where
    /// `ΔW[i, j] = scaling · c`.
    ///
    /// # Errors
    /// [`Error::Length`] if the spectrum's geometry was made for another number of taps
    /// (1 for `None`).
    pub fn new(
        spectrum: SparseSpectrum<'a, F>,
        bank: Option<FilterBank<'a, F>>,
        scaling: F,
    ) -> Result<Self, Error> {
        let expected = spectrum.geometry().taps();
        let found = bank.map_or(1, |bank| bank.taps());
        check_length("filters", expected, found)?;
        let rows = 0..spectrum.geometry().rows().length();
        Ok(Self {
            spectrum,
            bank,
            scaling,
            rows,
            isa: Isa::detect(),
        })
    }

    /// The same update computed with other instructions; the bits are the same.
    #[must_use]
    pub const fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// The part of the update that falls on some rows of the stored weight, so that a large weight
    /// can be changed in bands. Methods then take a matrix of just these rows.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] unless `rows.start < rows.end ≤` the stored weight's rows.
    pub fn rows(&self, rows: Range<usize>) -> Result<Self, Error> {
        check_rows(self.spectrum.geometry().rows().length(), &rows)?;
        Ok(Self {
            rows,
            ..self.clone()
        })
    }

    /// Shape of the matrix that the methods take: `(rows, columns)` of the stored weight, or of the
    /// band of it that [`rows`](Self::rows) chose.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        let columns = self.spectrum.geometry().columns().length();
        (self.rows.len(), columns)
    }

    /// Elements that [`add_recording`](Self::add_recording) may overwrite and keep:
    /// `min(n · L², rows · columns)`.
    #[must_use]
    pub fn undo_len(&self) -> usize {
        let (rows, columns) = self.shape();
        let taps = self.spectrum.geometry().taps();
        let atoms = self.spectrum.atoms().len();
        let covered = atoms.saturating_mul(taps).saturating_mul(taps);
        covered.min(rows.saturating_mul(columns))
    }

    /// Writes ΔW over `out`, rounded once to `T`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `out` has [`shape`](Self::shape).
    pub fn write<T: Element<Real = F>>(&self, out: &mut MatrixMut<'_, T>) -> Result<(), Error> {
        self.check_shape(out)?;
        out.fill(T::zeroed());
        self.add(out)
    }

    /// `weight += ΔW`: each entry the rounded sum of the exact entry and ΔW's, as PEFT merges.
    /// Entries that no atom covers keep their bits.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` has [`shape`](Self::shape).
    pub fn add<T: Element<Real = F>>(&self, weight: &mut MatrixMut<'_, T>) -> Result<(), Error> {
        T::add_update(self, weight, Add(self.scaling))
    }

    /// `weight −= ΔW`, as PEFT unmerges: near what was there before [`add`](Self::add), but not
    /// exactly. [`undo`](Self::undo) is exact.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` has [`shape`](Self::shape).
    pub fn subtract<T: Element<Real = F>>(
        &self,
        weight: &mut MatrixMut<'_, T>,
    ) -> Result<(), Error> {
        T::add_update(self, weight, Add(F::zero() - self.scaling))
    }

    /// [`add`](Self::add) that keeps what it overwrites, in the first elements of `undo`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` has [`shape`](Self::shape), [`Error::Length`] unless `undo`
    /// has [`undo_len`](Self::undo_len) elements.
    pub fn add_recording<T: Element<Real = F>>(
        &self,
        weight: &mut MatrixMut<'_, T>,
        undo: &mut [T],
    ) -> Result<(), Error> {
        self.check_undo(undo.len())?;
        let add = Add(self.scaling);
        T::record_update(self, weight, Record { undo, add })
    }

    /// Puts back every byte that [`add_recording`](Self::add_recording) overwrote, whatever was done
    /// to those entries since. Several additions are undone last first. The record fits weights whose columns are next to
    /// each other in memory, or those whose columns are not, as the one was that it was made on.
    ///
    /// # Errors
    /// Those of [`add_recording`](Self::add_recording).
    pub fn undo<T: Element<Real = F>>(
        &self,
        weight: &mut MatrixMut<'_, T>,
        undo: &[T],
    ) -> Result<(), Error> {
        self.check_undo(undo.len())?;
        T::undo_update(self, weight, Undo(undo))
    }

    /// Whether [`write_dense`](Self::write_dense) is faster than [`write`](Self::write): if `40 · n · L² ≥ (L + 4) · M · N`,
    /// as `benches/delta` finds it on layers of 512² and 4096². For db1 that is one coefficient to 27 entries, for
    /// db4 one to 213 and for sym8 one to 512.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        let geometry = self.spectrum.geometry();
        let entries = geometry.rows().length() as u128 * geometry.columns().length() as u128;
        let taps = geometry.taps() as u128;
        let covered = self.spectrum.atoms().len() as u128 * taps * taps;
        taps > 1 && 40 * covered >= (taps + 4) * entries
    }

    /// Elements of scratch that [`write_dense`](Self::write_dense) needs: the whole spectrum's, and a few rows'.
    ///
    /// # Errors
    /// Those of [`write_dense`](Self::write_dense) but for its matrix.
    pub fn dense_scratch_len(&self) -> Result<usize, Error> {
        let plan = self.dense_plan()?;
        Ok(plan.coefficients_len() + plan.part_scratch_len())
    }

    /// [`write`](Self::write) by the transform of the whole spectrum, which does not depend on how many atoms there are.
    ///
    /// Sums are taken in another order, and with the scaling in the coefficients, so that entries differ in the last bits.
    /// Cost: that of an inverse [`Wavedec`] of one level.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `out` has [`shape`](Self::shape), [`Error::Stride`] unless its rows are contiguous,
    /// [`Error::TapCount`] without a wavelet, [`Error::Length`] unless `scratch` has
    /// [`dense_scratch_len`](Self::dense_scratch_len) elements or more.
    pub fn write_dense(&self, out: &mut MatrixMut<'_, F>, scratch: &mut [F]) -> Result<(), Error> {
        self.check_shape(out)?;
        let plan = self.dense_plan()?;
        let expected = plan.coefficients_len() + plan.part_scratch_len();
        let found = scratch.len();
        let Some((bands, scratch)) = scratch.split_at_mut_checked(plan.coefficients_len()) else {
            let what = "scratch";
            return Err(Error::Length {
                what,
                expected,
                found,
            });
        };
        bands.fill(F::zero());
        let [height, width] = plan.level_shape(1)?;
        for (atom, &coefficient) in self
            .spectrum
            .atoms()
            .iter()
            .zip(self.spectrum.coefficients())
        {
            let band = 2 * usize::from(atom.row_is_high()) + usize::from(atom.column_is_high());
            let place = (band * height + atom.row()) * width + atom.column();
            if let Some(entry) = bands.get_mut(place) {
                *entry = self.scaling * coefficient;
            }
        }
        let length = height * width;
        let band = |index: usize| {
            bands
                .get(index * length..(index + 1) * length)
                .unwrap_or_default()
        };
        let bands = [band(0), band(1), band(2), band(3)];
        plan.inverse_rows(1, self.rows.clone(), bands, &mut out.as_array()?, scratch)
    }

    fn dense_plan(&self) -> Result<Wavedec<'a, F, 2>, Error> {
        let geometry = self.spectrum.geometry();
        let bank = self.bank.ok_or(Error::TapCount {
            found: geometry.taps(),
            most: MAX_TAPS,
        })?;
        let shape = [geometry.rows().length(), geometry.columns().length()];
        let plan = Wavedec::new([(bank, ExtensionMode::Zero); 2], shape, 1)?;
        Ok(plan.with_isa(self.isa))
    }

    fn check_shape<T: Copy>(&self, matrix: &MatrixMut<'_, T>) -> Result<(), Error> {
        let (expected, found) = (self.shape(), matrix.shape());
        if expected == found {
            Ok(())
        } else {
            Err(Error::Shape { expected, found })
        }
    }

    fn check_undo(&self, found: usize) -> Result<(), Error> {
        check_length("undo", self.undo_len(), found)
    }
}
