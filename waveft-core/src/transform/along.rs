//! Many lines at once: a transform along one axis of strided arrays.

use super::Dwt;
use super::frame::{Direction, Frame, Side, taps_len};
use super::rows::{AnalyseRows, Rows, SynthesiseRows};
use crate::array::{Array, ArrayMut};
use crate::element::{Element, Real};
use crate::error::{Error, check_scratch};
use crate::slices::{rest, rest_mut, split_mut};

/// Lines that are synthesised side by side: two rows of them are scratch.
const SIDE_BY_SIDE: usize = 512;

impl<F: Real> Dwt<'_, F> {
    /// Elements of scratch that the transforms along an axis need: that of a line, and room for one and for its bands.
    #[must_use]
    pub fn along_scratch_len(&self) -> usize {
        let line = self.reconstructed_length() + 2 * self.band_length();
        let room = taps_len(self.bank.taps());
        (line + self.scratch_len()).max(room + 2 * SIDE_BY_SIDE)
    }

    /// [`forward`](Self::forward) of every line along an axis.
    ///
    /// `signal` has `N` entries along the axis and the bands have [`band_length`](Self::band_length); their other lengths
    /// are the same. Strides may be any. Where lines lie side by side in all three arrays many are transformed at once;
    /// else each is copied.
    ///
    /// # Errors
    /// [`Error::NoSuchAxis`] unless `axis < D`, [`Error::AxisLength`] for another shape, [`Error::Length`] unless
    /// `scratch` has at least [`along_scratch_len`](Self::along_scratch_len).
    ///
    /// # Examples
    /// ```
    /// use waveft_core::array::{Array, ArrayMut};
    /// use waveft_core::{extension_mode::ExtensionMode, filter_bank::wavelets::HAAR, transform::Dwt};
    ///
    /// let rows = Array::new(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3])?;
    /// let dwt = Dwt::new(HAAR.single(), ExtensionMode::Symmetric, 2)?;
    /// let mut scratch = vec![0.0; dwt.along_scratch_len()];
    /// let (mut sums, mut differences) = ([0.0; 3], [0.0; 3]);
    /// let mut approximation = ArrayMut::new(&mut sums, [1, 3])?;
    /// let mut detail = ArrayMut::new(&mut differences, [1, 3])?;
    /// dwt.forward_along(0, &rows, &mut approximation, &mut detail, &mut scratch)?;
    /// assert!((sums[2] - 9.0 / 2f32.sqrt()).abs() < 1e-6);
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn forward_along<T: Element<Real = F>, const D: usize>(
        &self,
        axis: usize,
        signal: &Array<'_, T, D>,
        approximation: &mut ArrayMut<'_, T, D>,
        detail: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.analyse_along(axis, Side::Analysis, signal, approximation, detail, scratch)
    }

    /// [`inverse`](Self::inverse) of every line along an axis, as [`forward_along`](Self::forward_along); `signal` has
    /// [`reconstructed_length`](Self::reconstructed_length) entries along the axis.
    ///
    /// # Errors
    /// Those of [`forward_along`](Self::forward_along).
    pub fn inverse_along<T: Element<Real = F>, const D: usize>(
        &self,
        axis: usize,
        approximation: &Array<'_, T, D>,
        detail: &Array<'_, T, D>,
        signal: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.synthesise_along(
            axis,
            Side::Synthesis,
            [approximation, detail],
            signal,
            scratch,
        )
    }

    /// [`forward_adjoint`](Self::forward_adjoint) of every line along an axis, as
    /// [`forward_along`](Self::forward_along).
    ///
    /// # Errors
    /// Those of [`forward_along`](Self::forward_along).
    pub fn forward_adjoint_along<T: Element<Real = F>, const D: usize>(
        &self,
        axis: usize,
        approximation: &Array<'_, T, D>,
        detail: &Array<'_, T, D>,
        signal: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.synthesise_along(
            axis,
            Side::Analysis,
            [approximation, detail],
            signal,
            scratch,
        )
    }

    /// [`inverse_adjoint`](Self::inverse_adjoint) of every line along an axis, as
    /// [`forward_along`](Self::forward_along); `signal` has [`reconstructed_length`](Self::reconstructed_length) entries
    /// along the axis.
    ///
    /// # Errors
    /// Those of [`forward_along`](Self::forward_along).
    pub fn inverse_adjoint_along<T: Element<Real = F>, const D: usize>(
        &self,
        axis: usize,
        signal: &Array<'_, T, D>,
        approximation: &mut ArrayMut<'_, T, D>,
        detail: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        self.analyse_along(
            axis,
            Side::Synthesis,
            signal,
            approximation,
            detail,
            scratch,
        )
    }

    /// Samples of the lines that a side's operators work on.
    fn samples(&self, side: Side) -> usize {
        match side {
            Side::Analysis => self.length(),
            Side::Synthesis => self.reconstructed_length(),
        }
    }

    fn frame<'r>(&self, side: Side, direction: Direction, room: &'r mut [F]) -> Frame<'r, F> {
        match side {
            Side::Analysis => self.forward_frame(direction, room),
            Side::Synthesis => self.inverse_frame(self.samples(side), direction, room),
        }
    }

    fn analyse_along<T: Element<Real = F>, const D: usize>(
        &self,
        axis: usize,
        side: Side,
        signal: &Array<'_, T, D>,
        low: &mut ArrayMut<'_, T, D>,
        high: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let lines = Lines {
            axis,
            shapes: [signal.shape(), low.shape(), high.shape()],
            strides: [signal.strides(), low.strides(), high.strides()],
        };
        lines.check(self.samples(side), self.band_length())?;
        check_scratch(self.along_scratch_len(), scratch.len())?;
        let (room, scratch) = split_mut(scratch, taps_len(self.bank.taps()));
        let frame = &self.frame(side, Direction::Gather, room);
        let (signal, low, high) = (signal.data(), low.data(), high.data());
        let [from, to, other] = lines.strides.map(|strides| strides[axis]);
        if let (Some((side, width)), Some(signal), Some(low), Some(high)) = (
            lines.side_by_side(),
            T::as_reals(signal),
            T::as_reals_mut(low),
            T::as_reals_mut(high),
        ) {
            for [start, low_start, high_start] in lines.starts(side) {
                F::analyse_rows(
                    self.isa,
                    AnalyseRows {
                        frame,
                        width,
                        signal: Rows::new(rest(signal, start), from),
                        bands: [
                            Rows::new(rest_mut(low, low_start), to),
                            Rows::new(rest_mut(high, high_start), other),
                        ],
                    },
                );
            }
            return Ok(());
        }
        let (line, scratch) = split_mut(scratch, frame.samples);
        let (band, scratch) = split_mut(scratch, frame.coefficients);
        let (other_band, scratch) = split_mut(scratch, frame.coefficients);
        for [start, low_start, high_start] in lines.starts(D) {
            gather(rest(signal, start), from, line);
            self.analyse(frame, None, line, [&mut *band, &mut *other_band], scratch);
            scatter(band, rest_mut(low, low_start), to);
            scatter(other_band, rest_mut(high, high_start), other);
        }
        Ok(())
    }

    fn synthesise_along<T: Element<Real = F>, const D: usize>(
        &self,
        axis: usize,
        side: Side,
        [low, high]: [&Array<'_, T, D>; 2],
        signal: &mut ArrayMut<'_, T, D>,
        scratch: &mut [F],
    ) -> Result<(), Error> {
        let lines = Lines {
            axis,
            shapes: [signal.shape(), low.shape(), high.shape()],
            strides: [signal.strides(), low.strides(), high.strides()],
        };
        lines.check(self.samples(side), self.band_length())?;
        check_scratch(self.along_scratch_len(), scratch.len())?;
        let (room, scratch) = split_mut(scratch, taps_len(self.bank.taps()));
        let frame = &self.frame(side, Direction::Scatter, room);
        let [to, from, other] = lines.strides.map(|strides| strides[axis]);
        let (low, high, signal) = (low.data(), high.data(), signal.data());
        if let (Some((side, width)), Some(low), Some(high)) =
            (lines.side_by_side(), T::as_reals(low), T::as_reals(high))
            && let Some(signal) = T::as_reals_mut(signal)
        {
            for [start, low_start, high_start] in lines.starts(side) {
                for first in (0..width).step_by(SIDE_BY_SIDE) {
                    F::synthesise_rows(
                        self.isa,
                        SynthesiseRows {
                            frame,
                            width: SIDE_BY_SIDE.min(width - first),
                            bands: [
                                Rows::new(rest(low, low_start + first), from),
                                Rows::new(rest(high, high_start + first), other),
                            ],
                            signal: Rows::new(rest_mut(signal, start + first), to),
                            scratch: &mut *scratch,
                        },
                    );
                }
            }
            return Ok(());
        }
        let (line, scratch) = split_mut(scratch, frame.samples);
        let (band, scratch) = split_mut(scratch, frame.coefficients);
        let (other_band, scratch) = split_mut(scratch, frame.coefficients);
        for [start, low_start, high_start] in lines.starts(D) {
            gather(rest(low, low_start), from, band);
            gather(rest(high, high_start), other, other_band);
            self.synthesise(frame, None, [&*band, &*other_band], line, scratch);
            scatter(line, rest_mut(signal, start), to);
        }
        Ok(())
    }
}

/// The lines along an axis of a signal and its two bands.
struct Lines<const D: usize> {
    axis: usize,
    shapes: [[usize; D]; 3],
    strides: [[usize; D]; 3],
}

impl<const D: usize> Lines<D> {
    fn check(&self, samples: usize, coefficients: usize) -> Result<(), Error> {
        if self.axis >= D {
            return Err(Error::NoSuchAxis {
                axes: D,
                found: self.axis,
            });
        }
        let names = ["signal", "approximation", "detail"];
        let lengths = [samples, coefficients, coefficients];
        for ((what, length), shape) in names.into_iter().zip(lengths).zip(self.shapes) {
            for (axis, found) in shape.into_iter().enumerate() {
                let expected = match axis {
                    axis if axis == self.axis => length,
                    axis => self.shapes[0][axis],
                };
                if expected != found {
                    return Err(Error::AxisLength {
                        what,
                        axis,
                        expected,
                        found,
                    });
                }
            }
        }
        Ok(())
    }

    /// An axis along which lines are neighbours in every array, and its length.
    fn side_by_side(&self) -> Option<(usize, usize)> {
        let neighbours = |axis: usize| self.strides.iter().all(|strides| strides[axis] == 1);
        let mut axes = self.shapes[0].into_iter().enumerate();
        axes.find(|&(axis, length)| axis != self.axis && length > 1 && neighbours(axis))
    }

    /// Where lines begin in each array: the first of those side by side along axis `side`, if there is
    /// such an axis.
    fn starts(&self, side: usize) -> impl Iterator<Item = [usize; 3]> {
        let mut shape = self.shapes[0];
        for axis in [self.axis, side] {
            if let Some(length) = shape.get_mut(axis) {
                *length = 1;
            }
        }
        (0..shape.into_iter().product()).map(move |mut line: usize| {
            let mut starts = [0; 3];
            for (axis, length) in shape.into_iter().enumerate().rev() {
                let length = length.max(1);
                for (start, strides) in starts.iter_mut().zip(self.strides) {
                    *start += line % length * strides[axis];
                }
                line /= length;
            }
            starts
        })
    }
}

/// A line into neighbouring elements.
fn gather<T: Element>(from: &[T], stride: usize, to: &mut [T::Real]) {
    for (index, to) in to.iter_mut().enumerate() {
        if let Some(from) = from.get(index * stride) {
            *to = from.to_real();
        }
    }
}

/// Neighbouring elements into a line.
fn scatter<T: Element>(from: &[T::Real], to: &mut [T], stride: usize) {
    for (index, &from) in from.iter().enumerate() {
        if let Some(to) = to.get_mut(index * stride) {
            *to = T::from_real(from);
        }
    }
}
