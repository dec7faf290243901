//! One operator along an axis whose samples are rows: many lines at once, side by side.

use super::frame::Frame;
use super::plane::{analyse_rows, fold_row, row_mut, synthesise_rows};
use crate::element::Real;
use crate::lanes::{LaneKernel, Lanes};
use crate::polyphase::Apart;
use crate::slices::split_mut;

/// A band or a signal whose entry `i` is the row at `i · stride`.
pub(super) struct Rows<S> {
    pub(super) data: S,
    pub(super) stride: usize,
}

impl<S> Rows<S> {
    pub(super) const fn new(data: S, stride: usize) -> Self {
        Self { data, stride }
    }
}

/// From rows of samples to rows of coefficients.
pub struct AnalyseRows<'a, F> {
    pub(super) frame: &'a Frame<'a, F>,
    pub(super) width: usize,
    pub(super) signal: Rows<&'a [F]>,
    pub(super) bands: [Rows<&'a mut [F]>; 2],
}

impl<F: Real> LaneKernel<F> for AnalyseRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let [low, high] = self.bands;
        for k in 0..self.frame.coefficients {
            let at = k as isize;
            let (Some(low), Some(high)) = (
                row_mut(low.data, at, low.stride, self.width),
                row_mut(high.data, at, high.stride, self.width),
            ) else {
                return;
            };
            let Rows { data, stride } = self.signal;
            analyse_rows::<L, _>(self.frame, k, data, stride, &mut Apart(low, high));
        }
    }
}

/// From rows of coefficients to rows of samples.
pub struct SynthesiseRows<'a, F> {
    pub(super) frame: &'a Frame<'a, F>,
    pub(super) width: usize,
    pub(super) bands: [Rows<&'a [F]>; 2],
    pub(super) signal: Rows<&'a mut [F]>,
    /// Two rows.
    pub(super) scratch: &'a mut [F],
}

impl<F: Real> LaneKernel<F> for SynthesiseRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let Self { frame, width, .. } = self;
        let (even, odd) = split_mut(self.scratch, width);
        let odd = odd.get_mut(..width).unwrap_or_default();
        let Rows { data, stride } = self.signal;
        // First the signal, then what its extension takes from beyond the ends.
        let [before, behind] = frame.outside();
        let parts = [0..frame.samples as isize, before, behind];
        for (part, indices) in parts.into_iter().enumerate() {
            for u in frame.pairs_covering(indices.clone()) {
                synthesise_rows::<L, _>(frame, u, &self.bands, [&mut *even, &mut *odd]);
                for (index, row) in (2 * u + frame.shift..).zip([&*even, &*odd]) {
                    if !indices.contains(&index) {
                        continue;
                    }
                    if part > 0 {
                        fold_row(frame, index, row, data, stride);
                    } else if let Some(to) = row_mut(data, index, stride, width) {
                        for (to, &sample) in to.iter_mut().zip(row) {
                            *to = sample;
                        }
                    }
                }
            }
        }
    }
}
