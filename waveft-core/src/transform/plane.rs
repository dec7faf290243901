//! One level in two dimensions, in one sweep.
//!
//! A row of coefficients needs `L` rows of the image, most of which are still in the cache from the row
//! before. They are combined into a low-pass and a high-pass row, each at once filtered along itself
//! into two bands, so that the image is read once and the bands are written once. Synthesis goes the
//! same way back.

use super::frame::{Frame, half_length, scratch_len};
use super::rows::Rows;
use crate::element::Real;
use crate::filter_bank::MAX_TAPS;
use crate::lanes::{LaneKernel, Lanes};
use crate::polyphase::{Ahead, Apart, Each, Sink, Split, Terms, combine, in_turns};
use crate::slices::{pieces_mut, rest, split_mut};
use core::array::from_fn;
use core::ops::Range;

/// The most rows that a row beyond the ends is made from.
const MOST_TERMS: usize = 3;

/// The operators along a column, which counts rows, and along a row.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a, F> {
    pub(super) rows: &'a Frame<'a, F>,
    pub(super) columns: &'a Frame<'a, F>,
}

impl<F: Real> Plane<'_, F> {
    /// Elements of scratch that a sweep needs.
    pub(super) const fn scratch_len(samples: usize, coefficients: usize, taps: usize) -> usize {
        // Analysis: both halves of two rows.
        let analysis = 4 * half_length(coefficients, taps);
        // Synthesis: two rows of both bands, one that is beyond the ends, and what a line needs.
        let synthesis = 4 * coefficients + samples + scratch_len(coefficients, taps);
        if analysis > synthesis {
            analysis
        } else {
            synthesis
        }
    }
}

/// From an image, of which rows are `stride` apart, to rows of its four bands, from row `first` on as many
/// as there is room for: both low-pass, rows low-pass and columns high-pass, the reverse, both high-pass.
pub struct AnalysePlane<'a, F> {
    pub(super) plane: Plane<'a, F>,
    pub(super) first: usize,
    pub(super) image: &'a [F],
    pub(super) stride: usize,
    pub(super) bands: [&'a mut [F]; 4],
    pub(super) scratch: &'a mut [F],
}

impl<F: Real> LaneKernel<F> for AnalysePlane<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let Plane { rows, columns } = self.plane;
        let half = columns.half_length();
        let extension = columns.extension();
        let (low, scratch) = split_mut(self.scratch, 2 * half);
        let high = scratch.get_mut(..2 * half).unwrap_or_default();
        let width = columns.coefficients;
        let count = self.bands[0].len().checked_div(width).unwrap_or(0);
        let mut bands = (self.bands).map(|band| pieces_mut(band, width));
        for k in self.first..rows.coefficients.min(self.first + count) {
            let split = Split {
                length: columns.samples,
                halves: [&mut *low, &mut *high].map(|line| columns.own(split_mut(line, half))),
            };
            // What the next row of coefficients needs that this one does not.
            let next = (2 * k as isize + rows.shift + 2 * rows.half() as isize).max(0) as usize;
            let next = [next, next + 1];
            let mut sink = Ahead {
                sink: split,
                rows: next.map(|row| self.image.get(row * self.stride..).unwrap_or_default()),
            };
            analyse_rows::<L, _>(rows, k, self.image, self.stride, &mut sink);
            let [low_low, low_high, high_low, high_high] =
                (bands.each_mut()).map(|band| band.next().unwrap_or_default());
            let bands = [(low_low, low_high), (high_low, high_high)];
            for (line, (band, other)) in [&mut *low, &mut *high].into_iter().zip(bands) {
                columns.filter_line::<L>(&extension, line, band, other);
            }
        }
    }
}

/// Row `k` of the low-pass and of the high-pass coefficients, from rows that are `stride` apart.
#[inline(always)]
pub(super) fn analyse_rows<L: Lanes<F>, F: Real>(
    frame: &Frame<'_, F>,
    k: usize,
    rows: &[F],
    stride: usize,
    sink: &mut impl Sink<F>,
) {
    if frame.outgrows_line() {
        let row = |at: usize| rest(rows, at * stride);
        frame.sum_own(k, row, sink);
        return;
    }
    let first = 2 * k as isize + frame.shift;
    let mut taps = frame.pairs;
    let inside = first >= 0 && first as usize + taps.len() <= frame.samples;
    let from = rows
        .get(first.max(0) as usize * stride..)
        .unwrap_or_default();
    let mut list = None;
    if !inside {
        let list = list.insert(RowList::new());
        for (index, pair) in (first..).zip(taps) {
            for (row, weight) in frame.terms(index) {
                let row = rows.get(row * stride..).unwrap_or_default();
                list.push(row, pair.map(|tap| weight * tap));
            }
        }
    }
    if let Some(list) = &list {
        taps = list.taps();
    }
    let row = |row: usize| match &list {
        None => from.get(row * stride..).unwrap_or_default(),
        Some(list) => list.rows.get(row).copied().unwrap_or_default(),
    };
    let inputs = Each(|pair| [row(2 * pair), row(2 * pair + 1)]);
    let taps = in_turns(taps);
    combine::<L, _, _, _>(&Terms { taps, inputs }, sink);
}

/// Rows that are not as far apart as others, each with its taps; behind them none.
struct RowList<'a, F> {
    rows: [&'a [F]; MOST_TERMS * MAX_TAPS],
    taps: [[F; 2]; MOST_TERMS * MAX_TAPS],
    count: usize,
}

impl<'a, F: Real> RowList<'a, F> {
    const fn new() -> Self {
        Self {
            rows: [&[]; _],
            taps: [[F::ZERO; 2]; _],
            count: 0,
        }
    }

    fn push(&mut self, row: &'a [F], taps: [F; 2]) {
        if let (Some(place), Some(own)) =
            (self.rows.get_mut(self.count), self.taps.get_mut(self.count))
        {
            (*place, *own) = (row, taps);
            self.count += 1;
        }
    }

    /// Those of the rows, and of one more if that makes them even.
    fn taps(&self) -> &[[F; 2]] {
        self.taps
            .get(..self.count.next_multiple_of(2))
            .unwrap_or_default()
    }
}

/// From the four bands to some rows of the image, which are `stride` apart; to all of them if the operator
/// has an extension.
pub struct SynthesisePlane<'a, F> {
    pub(super) plane: Plane<'a, F>,
    pub(super) bands: [&'a [F]; 4],
    pub(super) target: Range<usize>,
    /// Just the target.
    pub(super) image: &'a mut [F],
    pub(super) stride: usize,
    pub(super) scratch: &'a mut [F],
}

impl<F: Real> LaneKernel<F> for SynthesisePlane<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let Plane { rows, columns } = self.plane;
        let (pair, scratch) = split_mut(self.scratch, 4 * columns.coefficients);
        let (beyond, scratch) = split_mut(scratch, columns.samples);
        let target = self.target.start as isize..self.target.end as isize;
        // First the target, then what its extension takes from beyond the ends.
        let [before, behind] = rows.outside();
        for (part, indices) in [target.clone(), before, behind].into_iter().enumerate() {
            for u in rows.pairs_covering(indices.clone()) {
                let halves = synthesise_pair::<L, _>(self.plane, u, self.bands, pair);
                for (index, [low, high]) in (2 * u + rows.shift..).zip(halves) {
                    if !indices.contains(&index) {
                        continue;
                    }
                    let at = index - target.start;
                    let own = row_mut(self.image, at, self.stride, columns.samples);
                    let row = own.filter(|_| part == 0).unwrap_or(&mut *beyond);
                    columns.synthesise::<L, _, _>(low, high, row, scratch);
                    if part > 0 {
                        fold_row(rows, index, beyond, self.image, self.stride);
                    }
                }
            }
        }
    }
}

/// Of the even and of the odd row of pair `u`, the low-pass and the high-pass coefficients.
#[inline(always)]
fn synthesise_pair<'p, L: Lanes<F>, F: Real>(
    plane: Plane<'_, F>,
    u: isize,
    [low_low, low_high, high_low, high_high]: [&[F]; 4],
    pair: &'p mut [F],
) -> [[&'p [F]; 2]; 2] {
    let width = plane.columns.coefficients;
    let mut parts = pieces_mut(pair, width);
    let mut rows: [[&mut [F]; 2]; 2] = from_fn(|_| from_fn(|_| parts.next().unwrap_or_default()));
    let bands = [[low_low, high_low], [low_high, high_high]];
    for (bands, [even, odd]) in bands.into_iter().zip(&mut rows) {
        let bands = bands.map(|band| Rows::new(band, width));
        synthesise_rows::<L, _>(plane.rows, u, &bands, [even, odd]);
    }
    let [[even_low, odd_low], [even_high, odd_high]] = rows;
    [[even_low, even_high], [odd_low, odd_high]]
}

/// Rows `2u + s` and `2u + s + 1` from the rows of two bands.
#[inline(always)]
pub(super) fn synthesise_rows<'b, L: Lanes<F>, F: Real>(
    frame: &Frame<'_, F>,
    u: isize,
    bands: &[Rows<&'b [F]>; 2],
    [even, odd]: [&mut [F]; 2],
) {
    let rows = |row: usize| {
        let row = |band: &Rows<&'b [F]>| band.data.get(row * band.stride..).unwrap_or_default();
        bands.each_ref().map(row)
    };
    let mut sink = Ahead {
        sink: Apart(even, odd),
        rows: rows((u + 1).max(0) as usize),
    };
    // Coefficients that are not there are nothing.
    let inputs = Each(|back: usize| match frame.coefficient(u - back as isize) {
        Some(row) => rows(row),
        None => [&[][..]; 2],
    });
    let taps = in_turns(frame.pairs);
    combine::<L, _, _, _>(&Terms { taps, inputs }, &mut sink);
}

/// Adds a row beyond the ends to those that it is made from.
#[inline(always)]
pub(super) fn fold_row<F: Real>(
    frame: &Frame<'_, F>,
    index: isize,
    row: &[F],
    rows: &mut [F],
    stride: usize,
) {
    for (at, weight) in frame.terms(index) {
        if let Some(to) = row_mut(rows, at as isize, stride, row.len()) {
            for (to, &value) in to.iter_mut().zip(row) {
                *to += weight * value;
            }
        }
    }
}

/// A row, if there is one at the index.
#[inline(always)]
pub(super) fn row_mut<F>(
    rows: &mut [F],
    index: isize,
    stride: usize,
    width: usize,
) -> Option<&mut [F]> {
    let start = usize::try_from(index).ok()?.checked_mul(stride)?;
    rows.get_mut(start..start.checked_add(width)?)
}
