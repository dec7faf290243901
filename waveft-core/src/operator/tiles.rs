//! Tiles: squares of as many tokens as features, transposed in registers and filtered there, a group of them at a time.

use super::bands::{clear, history, shift};
use super::block::{Asks, LINE, Rows, RowsMut, add_rows, read_rows, vectors};
use crate::element::{Element, Real};
use crate::kernel::Kernel;
use crate::lanes::{Lanes, MOST_VECTORS, Tile};
use crate::slices::rest;

/// The slots of a group of tokens' features.
pub(super) struct AnalyseGroup<'k, L: Lanes<F>, F, T> {
    pub(super) rows: Rows<'k, T>,
    pub(super) filters: [&'k [F]; 2],
    pub(super) length: usize,
    pub(super) samples: &'k mut [L::Numbers],
    pub(super) slots: &'k mut [L::Numbers],
    /// Of what is worked on next.
    pub(super) asks: Asks,
}

impl<L: Lanes<F>, F: Real, T: Element<Real = F>> Kernel for AnalyseGroup<'_, L, F, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.filters {
            [&[_], _] => self.run_with(Unfiltered),
            [&[a, b], &[c, d]] => self.run_with(Pairs::<L>::new([[a, b], [c, d]])),
            filters => self.run_with(Filters(filters)),
        }
    }
}

impl<L: Lanes<F>, F: Real, T: Element<Real = F>> AnalyseGroup<'_, L, F, T> {
    #[inline(always)]
    fn run_with<B: Band<L, F>>(mut self, band: B) {
        let [twos, ones] = ends::<L, F, T, B>(self.rows.whole::<L>());
        let mut feature = 0;
        if let Some(rows) = self.rows.each::<L>() {
            while feature < twos.min(self.length)
                && let Some([first, second]) = read_rows::<L, T>(&rows, feature, 2)
            {
                self.put(&band, first, feature);
                self.put(&band, second, feature + vectors::<L, F>());
                self.asks.line::<L, F>();
                feature += 2 * vectors::<L, F>();
            }
            while feature < ones.min(self.length)
                && let Some([tile, _]) = read_rows::<L, T>(&rows, feature, 1)
            {
                self.put(&band, tile, feature);
                if feature.is_multiple_of(LINE / size_of::<T>()) {
                    self.asks.line::<L, F>();
                }
                feature += vectors::<L, F>();
            }
        }
        while feature < self.length {
            let tile = self.rows.read_part::<L>(feature);
            self.put(&band, tile, feature);
            feature += vectors::<L, F>();
        }
        shift(self.samples, self.length, history(self.filters[0].len()));
    }

    /// A tile's slots.
    #[inline(always)]
    fn put(&mut self, band: &impl Band<L, F>, tile: Tile<L>, feature: usize) {
        let slots = band.analyse(tile, self.samples, feature);
        store(slots, self.slots, feature);
    }
}

/// Adds to a group of tokens' features what slots synthesise.
pub(super) struct SynthesiseGroup<'k, L: Lanes<F>, F, T> {
    pub(super) rows: RowsMut<'k, T>,
    pub(super) filters: [&'k [F]; 2],
    pub(super) factor: F,
    pub(super) length: usize,
    /// Zeros where they are synthesised.
    pub(super) slots: &'k mut [L::Numbers],
    /// Of what is worked on next.
    pub(super) asks: Asks,
}

impl<L: Lanes<F>, F: Real, T: Element<Real = F>> Kernel for SynthesiseGroup<'_, L, F, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.filters {
            [&[_], _] => self.run_with(Unfiltered),
            [&[a, b], &[c, d]] => self.run_with(Pairs::<L>::new([[a, c], [b, d]])),
            filters => self.run_with(Filters(filters)),
        }
    }
}

impl<L: Lanes<F>, F: Real, T: Element<Real = F>> SynthesiseGroup<'_, L, F, T> {
    #[inline(always)]
    fn run_with<B: Band<L, F>>(mut self, band: B) {
        let factor = L::splat(self.factor);
        let [twos, ones] = ends::<L, F, T, B>(self.rows.whole::<L>());
        let mut feature = 0;
        if let Some(mut rows) = self.rows.each::<L>() {
            while feature < twos {
                let behind = feature + vectors::<L, F>();
                let tiles = [
                    take(&band, self.slots, feature),
                    take(&band, self.slots, behind),
                ];
                add_rows(&mut rows, feature, tiles, 2, factor);
                self.asks.line::<L, F>();
                feature = behind + vectors::<L, F>();
            }
            while feature < ones {
                let tile = take(&band, self.slots, feature);
                add_rows(&mut rows, feature, [tile; 2], 1, factor);
                if feature.is_multiple_of(LINE / size_of::<T>()) {
                    self.asks.line::<L, F>();
                }
                feature += vectors::<L, F>();
            }
        }
        let parts = feature;
        while feature < self.length {
            let samples = band.synthesise(self.slots, feature);
            self.rows.add_part(feature, samples, factor);
            feature += vectors::<L, F>();
        }
        // Those behind are another group's.
        let taken = self.slots.get_mut(parts..self.length);
        clear::<L, F>(taken.unwrap_or_default());
    }
}

/// A tile's samples, and zeros in its slots, which no later tile takes.
#[inline(always)]
fn take<L: Lanes<F>, F: Real>(
    band: &impl Band<L, F>,
    slots: &mut [L::Numbers],
    feature: usize,
) -> Tile<L> {
    let samples = band.synthesise(slots, feature);
    store([L::splat(F::ZERO); MOST_VECTORS], slots, feature);
    samples
}

/// The ends of what is done two tiles at a time, and one at a time behind it, of so many features in whole tiles.
#[inline(always)]
const fn ends<L: Lanes<F>, F, T: Element<Real = F>, B: Band<L, F>>(whole: usize) -> [usize; 2] {
    let twos = match (L::MANY && B::IN_TWOS) || T::IN_PAIRS {
        true => whole - whole % (2 * vectors::<L, F>()),
        false => 0,
    };
    [twos, if T::IN_PAIRS { twos } else { whole }]
}

/// What the filters do to a tile.
trait Band<L: Lanes<F>, F> {
    /// Whether two tiles are in registers at once beside what the filters need.
    const IN_TWOS: bool = true;

    /// Its slots. `samples` are those of the group and [`history`] before; the tile's own are not there yet.
    fn analyse(&self, tile: Tile<L>, samples: &mut [L::Numbers], feature: usize) -> Tile<L>;

    /// Its samples.
    fn synthesise(&self, slots: &[L::Numbers], feature: usize) -> Tile<L>;
}

/// Without a wavelet.
struct Unfiltered;

impl<L: Lanes<F>, F: Real> Band<L, F> for Unfiltered {
    #[inline(always)]
    fn analyse(&self, tile: Tile<L>, _: &mut [L::Numbers], _: usize) -> Tile<L> {
        tile
    }

    #[inline(always)]
    fn synthesise(&self, slots: &[L::Numbers], feature: usize) -> Tile<L> {
        load(slots, feature)
    }
}

/// Filters of two taps: each pair of vectors makes another one, a row of the matrix for each.
struct Pairs<L>([[L; 2]; 2]);

impl<L> Pairs<L> {
    #[inline(always)]
    fn new<F>([[a, b], [c, d]]: [[F; 2]; 2]) -> Self
    where
        L: Lanes<F>,
    {
        Self([[L::splat(a), L::splat(b)], [L::splat(c), L::splat(d)]])
    }
}

impl<L: Lanes<F>, F: Real> Band<L, F> for Pairs<L> {
    #[inline(always)]
    fn analyse(&self, tile: Tile<L>, _: &mut [L::Numbers], _: usize) -> Tile<L> {
        let [[a, b], [c, d]] = self.0;
        let mut pairs = tile;
        unrolled!(pairs vectors::<L, F>() / 2, at, {
            let (first, second) = (tile[2 * at], tile[2 * at + 1]);
            pairs[2 * at] = second.multiply_add(b, first * a);
            pairs[2 * at + 1] = second.multiply_add(d, first * c);
        });
        pairs
    }

    #[inline(always)]
    fn synthesise(&self, slots: &[L::Numbers], feature: usize) -> Tile<L> {
        self.analyse(load(slots, feature), &mut [], feature)
    }
}

/// Any filters.
struct Filters<'f, F>([&'f [F]; 2]);

impl<L: Lanes<F>, F: Real> Band<L, F> for Filters<'_, F> {
    const IN_TWOS: bool = false;

    #[inline(always)]
    fn analyse(&self, tile: Tile<L>, samples: &mut [L::Numbers], feature: usize) -> Tile<L> {
        let [low, high] = self.0;
        store(tile, samples, history(low.len()) + feature);
        let samples = rest(samples, feature);
        let mut slots = [L::splat(F::ZERO); MOST_VECTORS];
        for (first, (&low, &high)) in low.iter().zip(high).enumerate() {
            let (low, high) = (L::splat(low), L::splat(high));
            let Some(samples) = samples.get(first..first + vectors::<L, F>() - 1) else {
                break;
            };
            unrolled!(pairs vectors::<L, F>() / 2, at, {
                let sample = L::get(&samples[2 * at]);
                slots[2 * at] = sample.multiply_add(low, slots[2 * at]);
                slots[2 * at + 1] = sample.multiply_add(high, slots[2 * at + 1]);
            });
        }
        slots
    }

    /// Samples `2u` and `2u + 1` are made of the slots of the positions `u .. u + L / 2`.
    #[inline(always)]
    fn synthesise(&self, slots: &[L::Numbers], feature: usize) -> Tile<L> {
        let slots = rest(slots, feature);
        let mut samples = [L::splat(F::ZERO); MOST_VECTORS];
        let [low, high] = self.0.map(|filter| filter.as_chunks::<2>().0.iter().rev());
        for (position, (low, high)) in low.zip(high).enumerate() {
            let [low, high] = [low, high].map(|&[even, odd]| [L::splat(even), L::splat(odd)]);
            let Some(slots) = slots.get(2 * position..2 * position + vectors::<L, F>()) else {
                break;
            };
            unrolled!(pairs vectors::<L, F>() / 2, at, {
                let (of_low, of_high) = (L::get(&slots[2 * at]), L::get(&slots[2 * at + 1]));
                let (even, odd) = (samples[2 * at], samples[2 * at + 1]);
                samples[2 * at] = of_high.multiply_add(high[0], of_low.multiply_add(low[0], even));
                samples[2 * at + 1] = of_high.multiply_add(high[1], of_low.multiply_add(low[1], odd));
            });
        }
        samples
    }
}

/// Zeros unless all are there.
#[inline(always)]
fn load<L: Lanes<F>, F: Real>(from: &[L::Numbers], first: usize) -> Tile<L> {
    let mut tile = [L::splat(F::ZERO); MOST_VECTORS];
    if let Some(from) = from.get(first..first + vectors::<L, F>()) {
        unrolled!(vectors vectors::<L, F>(), at, {
            tile[at] = L::get(&from[at]);
        });
    }
    tile
}

#[inline(always)]
fn store<L: Lanes<F>, F>(tile: Tile<L>, to: &mut [L::Numbers], first: usize) {
    if let Some(to) = to.get_mut(first..first + vectors::<L, F>()) {
        unrolled!(vectors vectors::<L, F>(), at, {
            tile[at].put(&mut to[at]);
        });
    }
}
