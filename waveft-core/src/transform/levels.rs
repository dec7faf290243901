//! The separable transform of an array, over one or more levels.

use super::frame::{self, Direction, Frame, Side, taps_len};
use super::kernels::{Analyse, Synthesise};
use super::plane::{AnalysePlane, Plane, SynthesisePlane};
use super::rows::{AnalyseRows, Rows, SynthesiseRows};
use super::{Dwt, dwt_max_level};
use crate::array::{Array, ArrayMut, row_major};
use crate::element::{Element, Real};
use crate::error::{Error, check_rows, check_scratch};
use crate::extension_mode::ExtensionMode;
use crate::filter_bank::FilterBank;
use crate::isa::Isa;
use crate::slices::{pieces, pieces_mut, split, split_mut};
use core::mem::take;
use core::ops::Range;

/// The most levels: each at least halves what is left of an axis.
const MOST_LEVELS: usize = usize::BITS as usize;

/// The separable transform of arrays of `D` axes over one or more levels: a bank and a mode for each axis, the shape and
/// the number of levels chosen once.
///
/// A level splits the array along each axis, in two dimensions into the bands `aa`, `ad`, `da`, `dd` (a letter an axis:
/// approximation or detail), and the next level splits the approximation again. PyWavelets calls the whole `wavedec`,
/// `wavedec2` and `wavedecn`, and its inverse `waverec…`.
///
/// # Coefficients
/// All bands are in one buffer of [`coefficients_len`](Self::coefficients_len) elements, each row-major, the coarsest
/// first: the approximation, then from the last level to the first its details in alphabetic order. [`band`](Self::band)
/// tells where each is, and [`bands`](Self::bands) lists them; the order is that of PyWavelets' `ravel_coeffs`.
///
/// ```text
/// aa₂ | ad₂ | da₂ | dd₂ | ad₁ | da₁ | dd₁        two axes, two levels
/// ```
///
/// # Examples
/// ```
/// use waveft_core::array::{Array, ArrayMut};
/// use waveft_core::extension_mode::ExtensionMode::{Periodization, Symmetric};
/// use waveft_core::filter_bank::wavelets::{DB2, HAAR};
/// use waveft_core::transform::Wavedec;
///
/// let image: Vec<f32> = (0..20 * 30).map(|i| (i % 7) as f32).collect();
/// let axes = [(DB2.single(), Symmetric), (HAAR.single(), Periodization)];
/// let plan = Wavedec::new(axes, [20, 30], 2)?;
/// let mut coefficients = vec![0.0; plan.coefficients_len()];
/// let mut scratch = vec![0.0; plan.scratch_len::<f32>()];
/// plan.forward(&Array::new(&image, [20, 30])?, &mut coefficients, &mut scratch)?;
///
/// let finest = plan.band(1, [true, true])?;
/// assert_eq!(finest.shape, [11, 15]);
/// assert_eq!(finest.range.end, coefficients.len());
///
/// let mut back = vec![0.0; 20 * 30];
/// plan.inverse(&coefficients, &mut ArrayMut::new(&mut back, [20, 30])?, &mut scratch)?;
/// assert!(image.iter().zip(back).all(|(x, y)| (x - y).abs() < 1e-5));
/// # Ok::<(), waveft_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wavedec<'a, F, const D: usize> {
    axes: [(FilterBank<'a, F>, ExtensionMode); D],
    shape: [usize; D],
    levels: usize,
    isa: Isa,
}

/// Where a band of a [`Wavedec`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band<const D: usize> {
    /// 1 for the finest, up to the plan's levels.
    pub level: usize,
    /// For each axis, whether it is the detail.
    pub detail: [bool; D],
    /// Coefficients along each axis.
    pub shape: [usize; D],
    /// Its place among the coefficients.
    pub range: Range<usize>,
}

impl<'a, F: Real, const D: usize> Wavedec<'a, F, D> {
    /// The transform of arrays of a shape, with a bank and a mode for each axis.
    ///
    /// # Errors
    /// [`Error::NoSuchAxis`] if `D = 0`; [`Error::SignalLength`] for a length that [`Dwt::new`] refuses, on any level;
    /// [`Error::Levels`] unless `1 ≤ levels ≤ max(1, l)`, `l` being the smallest of the axes'
    /// [`dwt_max_level`]; [`Error::Length`] if the array has more elements than a slice can.
    pub fn new(
        axes: [(FilterBank<'a, F>, ExtensionMode); D],
        shape: [usize; D],
        levels: usize,
    ) -> Result<Self, Error> {
        let plan = Self {
            axes,
            shape,
            levels,
            isa: Isa::detect(),
        };
        let deepest = axes.iter().zip(shape);
        let deepest = deepest.map(|((bank, _), length)| dwt_max_level(length, bank.taps()));
        let most = deepest
            .min()
            .ok_or(Error::NoSuchAxis { axes: 0, found: 0 })?
            .clamp(1, MOST_LEVELS);
        plan.check_axes(1)?;
        if levels == 0 || levels > most {
            return Err(Error::Levels {
                least: 1,
                most,
                found: levels,
            });
        }
        for level in 2..=levels {
            plan.check_axes(level)?;
        }
        // Coefficients and all scratch are a small multiple of the largest product on the first level.
        let lengths = plan
            .dwts(1)
            .map(|dwt| dwt.reconstructed_length().max(2 * dwt.band_length()));
        let most = isize::MAX as usize / size_of::<F>() / 8;
        let entries = crate::array::entries(lengths).unwrap_or(usize::MAX);
        if entries > most {
            return Err(Error::Length {
                what: "array",
                expected: most,
                found: entries,
            });
        }
        Ok(plan)
    }

    /// The same transform computed with other instructions; results may differ in the last bits.
    #[must_use]
    pub const fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// Entries of the array along each axis.
    #[must_use]
    pub const fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// How many levels.
    #[must_use]
    pub const fn levels(&self) -> usize {
        self.levels
    }

    /// Coefficients of all bands: on each level `2ᴰ − 1` times the product of its band lengths, and once more that of
    /// the last.
    #[must_use]
    pub fn coefficients_len(&self) -> usize {
        self.details_start(0)
    }

    /// Elements of scratch that arrays of `T` need: what the first two levels' approximations take, a few rows, and for
    /// three axes or more two arrays; in half precision also a copy of the array and of the coefficients.
    #[must_use]
    pub fn scratch_len<T: Element<Real = F>>(&self) -> usize {
        let copies = if T::as_reals(&[]).is_some() {
            0
        } else {
            self.entries() + self.coefficients_len()
        };
        copies + self.between(1) + self.between(2) + self.step_scratch_len()
    }

    /// Where a band is. A level other than the last has no approximation of its own.
    ///
    /// # Errors
    /// [`Error::Levels`] unless `1 ≤ level ≤ levels`, or for the approximation `level = levels`.
    pub fn band(&self, level: usize, detail: [bool; D]) -> Result<Band<D>, Error> {
        let code = detail
            .iter()
            .fold(0, |code, &detail| 2 * code + usize::from(detail));
        let least = if code == 0 { self.levels } else { 1 };
        if level < least || level > self.levels {
            return Err(Error::Levels {
                least,
                most: self.levels,
                found: level,
            });
        }
        let shape = self.shape_after(level);
        let length = product(shape);
        let start = match code {
            0 => 0,
            _ => self.details_start(level) + (code - 1) * length,
        };
        Ok(Band {
            level,
            detail,
            shape,
            range: start..start + length,
        })
    }

    /// All bands, in the order of their places.
    pub fn bands(&self) -> impl Iterator<Item = Band<D>> {
        let details = (1..=self.levels)
            .rev()
            .flat_map(|level| (1..1usize << D).map(move |code| (level, code)));
        let all = core::iter::once((self.levels, 0)).chain(details);
        all.filter_map(|(level, code)| {
            let detail = core::array::from_fn(|axis| code >> (D - 1 - axis) & 1 == 1);
            self.band(level, detail).ok()
        })
    }

    /// Analysis over all levels, from an array of the plan's shape to
    /// [`coefficients_len`](Self::coefficients_len) coefficients. What was in them is overwritten.
    ///
    /// Cost: `2D` multiply-adds for each tap and entry on the first level, a `2ᴰ`th of it on the next, and so on.
    ///
    /// # Errors
    /// [`Error::AxisLength`] for another shape, [`Error::Length`] unless the coefficients have their length and the
    /// scratch at least [`scratch_len`](Self::scratch_len), [`Error::Stride`] unless rows are contiguous and, for three
    /// axes or more, the array row-major (in half precision any strides are taken).
    pub fn forward<T: Element<Real = F>>(
        &self,
        array: &Array<'_, T, D>,
        coefficients: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.analyse(Side::Analysis, array, coefficients, scratch)
    }

    /// Synthesis over all levels: the array of the plan's shape whose coefficients these are. What was in it is
    /// overwritten.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn inverse<T: Element<Real = F>>(
        &self,
        coefficients: &[T],
        array: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.synthesise(Side::Synthesis, coefficients, array, scratch)
    }

    /// The adjoint of [`forward`](Self::forward), from coefficients to an array: it carries a gradient back.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_adjoint<T: Element<Real = F>>(
        &self,
        coefficients: &[T],
        array: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.synthesise(Side::Analysis, coefficients, array, scratch)
    }

    /// The adjoint of [`inverse`](Self::inverse), from an array to coefficients.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn inverse_adjoint<T: Element<Real = F>>(
        &self,
        array: &Array<'_, T, D>,
        coefficients: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.analyse(Side::Synthesis, array, coefficients, scratch)
    }

    fn analyse<T: Element<Real = F>>(
        &self,
        side: Side,
        array: &Array<'_, T, D>,
        coefficients: &mut [T],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.check::<T>(
            array.shape(),
            array.strides(),
            coefficients.len(),
            scratch.len(),
        )?;
        if let (Some(data), Some(coefficients)) =
            (T::as_reals(array.data()), T::as_reals_mut(coefficients))
        {
            let stride = outer_stride(array.strides());
            self.decompose(side, data, stride, coefficients, scratch);
            return Ok(());
        }
        let (data, scratch) = split_mut(scratch, self.entries());
        let (sums, scratch) = split_mut(scratch, coefficients.len());
        for (to, from) in data.iter_mut().zip(places(array.shape(), array.strides())) {
            *to = array
                .data()
                .get(from)
                .map_or(F::zero(), |value| value.to_real());
        }
        self.decompose(
            side,
            data,
            outer_stride(row_major(self.shape)),
            sums,
            scratch,
        );
        for (to, from) in coefficients.iter_mut().zip(sums) {
            *to = T::from_real(*from);
        }
        Ok(())
    }

    fn synthesise<T: Element<Real = F>>(
        &self,
        side: Side,
        coefficients: &[T],
        array: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let (shape, strides) = (array.shape(), array.strides());
        self.check::<T>(shape, strides, coefficients.len(), scratch.len())?;
        if let (Some(data), Some(coefficients)) =
            (T::as_reals_mut(array.data()), T::as_reals(coefficients))
        {
            self.recompose(side, coefficients, data, outer_stride(strides), scratch);
            return Ok(());
        }
        let (data, scratch) = split_mut(scratch, self.entries());
        let (terms, scratch) = split_mut(scratch, coefficients.len());
        for (to, from) in terms.iter_mut().zip(coefficients) {
            *to = from.to_real();
        }
        self.recompose(
            side,
            terms,
            data,
            outer_stride(row_major(self.shape)),
            scratch,
        );
        for (from, to) in data.iter().zip(places(shape, strides)) {
            if let Some(to) = array.data().get_mut(to) {
                *to = T::from_real(*from);
            }
        }
        Ok(())
    }

    /// All levels of analysis. Rows of `data`, along the first axis, are `stride` apart.
    fn decompose(
        &self,
        side: Side,
        data: &[F],
        stride: usize,
        coefficients: &mut [F],
        scratch: &mut [F],
    ) {
        let (mut to, scratch) = split_mut(scratch, self.between(1));
        let (mut from, scratch) = split_mut(scratch, self.between(2));
        let last = product(self.shape_after(self.levels));
        let (coarsest, mut details) = split_mut(coefficients, last);
        for level in 1..=self.levels {
            let length = product(self.shape_after(level));
            let finer = details.len().saturating_sub(((1 << D) - 1) * length);
            let (coarser, own) = split_mut(details, finer);
            details = coarser;
            let approximation = if level == self.levels {
                &mut *coarsest
            } else {
                to.get_mut(..length).unwrap_or_default()
            };
            let (data, stride) = match level {
                1 => (data, stride),
                _ => (&*from, outer_stride(row_major(self.shape_after(level - 1)))),
            };
            let (frames, scratch) = self.frames(level, side, Direction::Gather, scratch);
            analyse_level(self.isa, &frames, data, stride, approximation, own, scratch);
            core::mem::swap(&mut from, &mut to);
        }
    }

    /// All levels of synthesis.
    fn recompose(
        &self,
        side: Side,
        coefficients: &[F],
        data: &mut [F],
        stride: usize,
        scratch: &mut [F],
    ) {
        let (mut to, scratch) = split_mut(scratch, self.between(1));
        let (mut from, scratch) = split_mut(scratch, self.between(2));
        if self.levels % 2 == 1 {
            core::mem::swap(&mut from, &mut to);
        }
        let last = product(self.shape_after(self.levels));
        let (coarsest, mut details) = split(coefficients, last);
        for level in (1..=self.levels).rev() {
            let length = product(self.shape_after(level));
            let (own, finer) = split(details, ((1 << D) - 1) * length);
            details = finer;
            let approximation = if level == self.levels {
                coarsest
            } else {
                from.get(..length).unwrap_or_default()
            };
            let (frames, scratch) = self.frames(level, side, Direction::Scatter, scratch);
            if level == 1 {
                synthesise_level(self.isa, &frames, approximation, own, data, stride, scratch);
            } else {
                let shape = self.shape_after(level - 1);
                let to = to.get_mut(..product(shape)).unwrap_or_default();
                let stride = outer_stride(row_major(shape));
                synthesise_level(self.isa, &frames, approximation, own, to, stride, scratch);
            }
            core::mem::swap(&mut from, &mut to);
        }
    }

    fn check_axes(&self, level: usize) -> Result<(), Error> {
        let shape = self.shape_after(level - 1);
        for (&(bank, mode), length) in self.axes.iter().zip(shape) {
            Dwt::new(bank, mode, length)?;
        }
        Ok(())
    }

    /// The transforms along the axes on a level.
    fn dwts(&self, level: usize) -> [Dwt<'a, F>; D] {
        let shape = self.shape_after(level - 1);
        core::array::from_fn(|axis| {
            let (bank, mode) = self.axes[axis];
            Dwt {
                bank,
                mode,
                length: shape[axis],
                isa: self.isa,
                algorithm: None,
            }
        })
    }

    /// What a level does along each axis, and what is left of the scratch.
    fn frames<'r>(
        &self,
        level: usize,
        side: Side,
        direction: Direction,
        mut scratch: &'r mut [F],
    ) -> ([Frame<'r, F>; D], &'r mut [F]) {
        let frames = self.dwts(level).map(|dwt| {
            let (room, rest) = split_mut(take(&mut scratch), taps_len(dwt.bank.taps()));
            scratch = rest;
            match side {
                Side::Analysis => dwt.forward_frame(direction, room),
                Side::Synthesis => dwt.inverse_frame(dwt.length(), direction, room),
            }
        });
        (frames, scratch)
    }

    /// The approximation's shape after some levels.
    fn shape_after(&self, levels: usize) -> [usize; D] {
        let mut shape = self.shape;
        for _ in 0..levels {
            for (length, &(bank, mode)) in shape.iter_mut().zip(&self.axes) {
                let dwt = Dwt {
                    bank,
                    mode,
                    length: *length,
                    isa: self.isa,
                    algorithm: None,
                };
                *length = dwt.band_length();
            }
        }
        shape
    }

    /// Where a level's details begin; for level 0 where those of level 1 end.
    fn details_start(&self, level: usize) -> usize {
        let coarser = (level + 1..=self.levels).map(|level| product(self.shape_after(level)));
        product(self.shape_after(self.levels)) + ((1 << D) - 1) * coarser.sum::<usize>()
    }

    fn entries(&self) -> usize {
        product(self.shape)
    }

    /// The approximation that a level hands to the next.
    fn between(&self, level: usize) -> usize {
        if level < self.levels {
            product(self.shape_after(level))
        } else {
            0
        }
    }

    fn step_scratch_len(&self) -> usize {
        let dwts = self.dwts(1);
        let line = |dwt: &Dwt<'_, F>| frame::scratch_len(dwt.band_length(), dwt.bank.taps());
        let lines = dwts.iter().map(line).max().unwrap_or(0);
        let rooms = dwts.iter().map(|dwt| taps_len(dwt.bank.taps()));
        let work = match dwts.last() {
            Some(columns) if D == 2 => Plane::<F>::scratch_len(
                columns.length(),
                columns.band_length(),
                columns.bank.taps(),
            ),
            Some(_) if D > 2 => {
                let largest = dwts.map(|dwt| dwt.length().max(2 * dwt.band_length()));
                // Two whole arrays, two slices of one along the first axis, and a line.
                2 * product(largest) + 2 * product(largest) / largest[0].max(1) + lines
            }
            _ => lines,
        };
        rooms.sum::<usize>() + work
    }

    fn check<T: Element<Real = F>>(
        &self,
        shape: [usize; D],
        strides: [usize; D],
        coefficients: usize,
        scratch: usize,
    ) -> Result<(), Error> {
        check_shape("array", self.shape, shape)?;
        let axes = strides.into_iter().zip(row_major(shape)).enumerate();
        for (axis, (found, expected)) in axes {
            // A plane's rows may be apart, and of one entry the stride is of no account.
            let free = (D == 2 && axis == 0) || shape[axis] == 1 || T::as_reals(&[]).is_none();
            if found != expected && !free {
                return Err(Error::Stride {
                    axis,
                    expected,
                    found,
                });
            }
        }
        let expected = self.coefficients_len();
        if coefficients != expected {
            return Err(Error::Length {
                what: "coefficients",
                expected,
                found: coefficients,
            });
        }
        check_scratch(self.scratch_len::<T>(), scratch)
    }
}

fn product<const D: usize>(shape: [usize; D]) -> usize {
    shape.into_iter().product()
}

/// Elements from a row of a plane to the next.
fn outer_stride<const D: usize>(strides: [usize; D]) -> usize {
    strides.first().copied().unwrap_or(1)
}

/// The elements of an array's entries, in row-major order.
fn places<const D: usize>(shape: [usize; D], strides: [usize; D]) -> impl Iterator<Item = usize> {
    (0..product(shape)).map(move |mut entry| {
        let mut place = 0;
        for axis in (0..D).rev() {
            let length = shape[axis].max(1);
            place += entry % length * strides[axis];
            entry /= length;
        }
        place
    })
}

/// Parts of a level, for callers that share an image among threads. Each row comes out the same whatever
/// part it is in.
impl<F: Real> Wavedec<'_, F, 2> {
    /// Rows and columns of the approximation after a level; of the array for level 0.
    ///
    /// # Errors
    /// [`Error::Levels`] unless `level ≤ levels`.
    pub fn level_shape(&self, level: usize) -> Result<[usize; 2], Error> {
        if level > self.levels {
            return Err(Error::Levels {
                least: 0,
                most: self.levels,
                found: level,
            });
        }
        Ok(self.shape_after(level))
    }

    /// Elements of scratch that a part needs: a few rows.
    #[must_use]
    pub fn part_scratch_len(&self) -> usize {
        self.step_scratch_len()
    }

    /// Some rows of the four bands that a level makes of the approximation before it, or level 1 of the array: `aa`, `ad`,
    /// `da` and `dd`, each with `rows.len()` rows, row-major.
    ///
    /// # Errors
    /// [`Error::Levels`] unless `1 ≤ level ≤ levels`; [`Error::OutOfBounds`] unless the rows are rows of the bands;
    /// [`Error::AxisLength`], [`Error::Length`] and [`Error::Stride`] as for [`forward`](Self::forward).
    pub fn forward_rows(
        &self,
        level: usize,
        rows: Range<usize>,
        source: &Array<'_, F, 2>,
        bands: [&mut [F]; 4],
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let shape = self.level_shape(level)?;
        self.check_part(level, &rows, shape[0], source.strides(), scratch)?;
        check_shape("source", self.shape_after(level - 1), source.shape())?;
        check_bands(
            rows.len() * shape[1],
            bands.each_ref().map(|band| band.len()),
        )?;
        let (frames, scratch) = self.frames(level, Side::Analysis, Direction::Gather, scratch);
        let [vertical, horizontal] = &frames;
        F::analyse_plane(
            self.isa,
            AnalysePlane {
                plane: Plane {
                    rows: vertical,
                    columns: horizontal,
                },
                first: rows.start,
                image: source.data(),
                stride: outer_stride(source.strides()),
                bands,
                scratch,
            },
        );
        Ok(())
    }

    /// Some rows of the approximation before a level, or of the array before level 1, from the level's four whole bands.
    /// `target` has just these rows.
    ///
    /// # Errors
    /// Those of [`forward_rows`](Self::forward_rows), the rows being rows of the target.
    pub fn inverse_rows(
        &self,
        level: usize,
        rows: Range<usize>,
        bands: [&[F]; 4],
        target: &mut ArrayMut<'_, F, 2>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let shape = self.level_shape(level)?;
        let [height, width] = self.shape_after(level.saturating_sub(1));
        self.check_part(level, &rows, height, target.strides(), scratch)?;
        check_shape("target", [rows.len(), width], target.shape())?;
        check_bands(product(shape), bands.map(<[F]>::len))?;
        let (frames, scratch) = self.frames(level, Side::Synthesis, Direction::Scatter, scratch);
        let [vertical, horizontal] = &frames;
        let stride = outer_stride(target.strides());
        F::synthesise_plane(
            self.isa,
            SynthesisePlane {
                plane: Plane {
                    rows: vertical,
                    columns: horizontal,
                },
                bands,
                target: rows,
                image: target.data(),
                stride,
                scratch,
            },
        );
        Ok(())
    }

    fn check_part(
        &self,
        level: usize,
        rows: &Range<usize>,
        most: usize,
        strides: [usize; 2],
        scratch: &[F],
    ) -> Result<(), Error> {
        if level == 0 {
            return Err(Error::Levels {
                least: 1,
                most: self.levels,
                found: level,
            });
        }
        check_rows(most, rows)?;
        if strides[1] != 1 {
            return Err(Error::Stride {
                axis: 1,
                expected: 1,
                found: strides[1],
            });
        }
        check_scratch(self.part_scratch_len(), scratch.len())
    }
}

fn check_shape<const D: usize>(
    what: &'static str,
    expected: [usize; D],
    found: [usize; D],
) -> Result<(), Error> {
    for (axis, (expected, found)) in expected.into_iter().zip(found).enumerate() {
        if expected != found {
            return Err(Error::AxisLength {
                what,
                axis,
                expected,
                found,
            });
        }
    }
    Ok(())
}

fn check_bands(expected: usize, found: [usize; 4]) -> Result<(), Error> {
    for (what, found) in ["band aa", "band ad", "band da", "band dd"]
        .into_iter()
        .zip(found)
    {
        if expected != found {
            return Err(Error::Length {
                what,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// One level of analysis.
fn analyse_level<F: Real, const D: usize>(
    isa: Isa,
    frames: &[Frame<'_, F>; D],
    data: &[F],
    stride: usize,
    approximation: &mut [F],
    details: &mut [F],
    scratch: &mut [F],
) {
    match frames.as_slice() {
        [frame] => F::analyse_line(
            isa,
            Analyse {
                frame,
                factors: None,
                signal: data.get(..frame.samples).unwrap_or_default(),
                bands: [approximation, details],
                scratch,
            },
        ),
        [rows, columns] => {
            let mut details = pieces_mut(details, approximation.len());
            let mut detail = || details.next().unwrap_or_default();
            F::analyse_plane(
                isa,
                AnalysePlane {
                    plane: Plane { rows, columns },
                    first: 0,
                    image: data,
                    stride,
                    bands: [approximation, detail(), detail(), detail()],
                    scratch,
                },
            );
        }
        _ => analyse_axes(isa, frames, data, approximation, details, scratch),
    }
}

/// One level of analysis, an axis after the other.
fn analyse_axes<F: Real, const D: usize>(
    isa: Isa,
    frames: &[Frame<'_, F>; D],
    data: &[F],
    approximation: &mut [F],
    details: &mut [F],
    scratch: &mut [F],
) {
    let half = product(
        frames
            .each_ref()
            .map(|frame| frame.samples.max(2 * frame.coefficients)),
    );
    let (mut to, scratch) = split_mut(scratch, half);
    let (mut from, scratch) = split_mut(scratch, half);
    let mut shape = frames.each_ref().map(|frame| frame.samples);
    copy(data, from, product(shape));
    for (axis, frame) in frames.iter().enumerate() {
        let before = product(shape);
        let after = frame.coefficients * before / shape[axis].max(1);
        let arrays = pieces(from, before).zip(pieces_mut(to, 2 * after));
        for (array, bands) in arrays.take(1 << axis) {
            let (low, high) = split_mut(bands, after);
            let inner: usize = shape.iter().skip(axis + 1).product();
            let blocks = pieces(array, frame.samples * inner);
            let size = frame.coefficients * inner;
            let bands = pieces_mut(low, size).zip(pieces_mut(high, size));
            for (signal, (low, high)) in blocks.zip(bands) {
                if inner == 1 {
                    F::analyse_line(
                        isa,
                        Analyse {
                            frame,
                            factors: None,
                            signal,
                            bands: [low, high],
                            scratch: &mut *scratch,
                        },
                    );
                } else {
                    F::analyse_rows(
                        isa,
                        AnalyseRows {
                            frame,
                            width: inner,
                            signal: Rows::new(signal, inner),
                            bands: [low, high].map(|band| Rows::new(band, inner)),
                        },
                    );
                }
            }
        }
        shape[axis] = frame.coefficients;
        core::mem::swap(&mut from, &mut to);
    }
    let (first, others) = split(from, approximation.len());
    copy(first, approximation, first.len());
    copy(others, details, others.len());
}

/// One level of synthesis.
fn synthesise_level<F: Real, const D: usize>(
    isa: Isa,
    frames: &[Frame<'_, F>; D],
    approximation: &[F],
    details: &[F],
    data: &mut [F],
    stride: usize,
    scratch: &mut [F],
) {
    match frames.as_slice() {
        [frame] => F::synthesise_line(
            isa,
            Synthesise {
                frame,
                factors: None,
                bands: [approximation, details],
                signal: data.get_mut(..frame.samples).unwrap_or_default(),
                scratch,
            },
        ),
        [rows, columns] => {
            let mut details = pieces(details, approximation.len());
            let mut detail = || details.next().unwrap_or_default();
            F::synthesise_plane(
                isa,
                SynthesisePlane {
                    plane: Plane { rows, columns },
                    bands: [approximation, detail(), detail(), detail()],
                    target: 0..rows.samples,
                    image: data,
                    stride,
                    scratch,
                },
            );
        }
        _ => synthesise_axes(isa, frames, approximation, details, data, scratch),
    }
}

/// One level of synthesis, an axis after the other, the last first.
fn synthesise_axes<F: Real, const D: usize>(
    isa: Isa,
    frames: &[Frame<'_, F>; D],
    approximation: &[F],
    details: &[F],
    data: &mut [F],
    scratch: &mut [F],
) {
    let half = product(
        frames
            .each_ref()
            .map(|frame| frame.samples.max(2 * frame.coefficients)),
    );
    let (mut to, scratch) = split_mut(scratch, half);
    let (mut from, scratch) = split_mut(scratch, half);
    let (first, others) = split_mut(from, approximation.len());
    copy(approximation, first, approximation.len());
    copy(details, others, details.len());
    let mut shape = frames.each_ref().map(|frame| frame.coefficients);
    for (axis, frame) in frames.iter().enumerate().rev() {
        let before = product(shape);
        let after = frame.samples * before / shape[axis].max(1);
        let arrays = pieces(from, 2 * before).zip(pieces_mut(to, after));
        for (bands, array) in arrays.take(1 << axis) {
            let (low, high) = split(bands, before);
            let inner: usize = shape.iter().skip(axis + 1).product();
            let blocks = pieces_mut(array, frame.samples * inner);
            let size = frame.coefficients * inner;
            let bands = pieces(low, size).zip(pieces(high, size));
            for (signal, (low, high)) in blocks.zip(bands) {
                if inner == 1 {
                    F::synthesise_line(
                        isa,
                        Synthesise {
                            frame,
                            factors: None,
                            bands: [low, high],
                            signal,
                            scratch: &mut *scratch,
                        },
                    );
                } else {
                    F::synthesise_rows(
                        isa,
                        SynthesiseRows {
                            frame,
                            width: inner,
                            bands: [low, high].map(|band| Rows::new(band, inner)),
                            signal: Rows::new(signal, inner),
                            scratch: &mut *scratch,
                        },
                    );
                }
            }
        }
        shape[axis] = frame.samples;
        core::mem::swap(&mut from, &mut to);
    }
    copy(from, data, product(shape));
}

/// Copies the first `length` elements, or those that both have.
fn copy<F: Copy>(from: &[F], to: &mut [F], length: usize) {
    for (to, from) in to.iter_mut().zip(from).take(length) {
        *to = *from;
    }
}
