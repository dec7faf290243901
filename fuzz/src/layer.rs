//! Layers from arbitrary choices: their filters, shape, and the places of their coefficients.

use std::array::from_fn;
use std::collections::HashSet;

use arbitrary::Arbitrary;
use waveft_core::element::Real;
use waveft_core::filter_bank::{FilterBank, MAX_TAPS, Wavelet, wavelets};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum};

#[derive(Arbitrary, Debug)]
pub struct MadeLayer {
    filters: Filters,
    rows: u8,
    columns: u8,
    fan_in_fan_out: bool,
    places: Places,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Filters {
    None,
    Named(u8),
    PeftCoif4,
    Own(u8),
}

#[derive(Arbitrary, Debug)]
enum Places {
    Drawn { seed: u64, count: u16 },
    Given(Vec<(u8, u8)>),
}

/// What is asked of a layer so that it is quick.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// The longest side.
    pub side: usize,
    /// Coefficients that are drawn.
    pub drawn: usize,
    /// Coefficients times the square of the taps.
    pub entries: usize,
}

/// A layer without its coefficients.
#[derive(Clone, Debug)]
pub struct Layer<F> {
    /// `dec_lo`, `dec_hi`, `rec_lo`, `rec_hi`, or none without a wavelet.
    pub filters: Option<[Vec<F>; 4]>,
    pub atoms: SortedAtoms<Vec<Atom>>,
    pub order: Vec<u32>,
}

impl MadeLayer {
    /// The layer, with taps of one's own from `own_taps`; `None` if something was refused, which it was rightly.
    pub fn make<F: Real>(
        &self,
        most: Most,
        own_taps: impl FnOnce(usize) -> Vec<F>,
    ) -> Option<Layer<F>> {
        let filters = self.filters(own_taps)?;
        let taps = filters.as_ref().map_or(1, |filters| filters[0].len());
        let [rows, columns] =
            [self.rows, self.columns].map(|side| usize::from(side) % most.side + 1);
        let mut geometry = Geometry::new(rows, columns, taps).expect("a small layer");
        if self.fan_in_fan_out {
            geometry = geometry.fan_in_fan_out();
        }
        let drawn = most.drawn.min(most.entries / (taps * taps));
        let places = self.places(rows, columns, drawn)?;
        let mut order = vec![0; places.len()];
        let atoms = vec![Atom::default(); places.len()];
        let atoms = SortedAtoms::new(geometry, &places, atoms, &mut order);
        let distinct: HashSet<_> = places.iter().collect();
        assert_eq!(
            atoms.is_ok(),
            distinct.len() == places.len(),
            "only a place that comes twice is refused"
        );
        Some(Layer {
            filters,
            atoms: atoms.ok()?,
            order,
        })
    }

    fn filters<F: Real>(&self, own: impl FnOnce(usize) -> Vec<F>) -> Option<Option<[Vec<F>; 4]>> {
        let bank = match self.filters {
            Filters::None => return Some(None),
            Filters::PeftCoif4 => F::filter_bank(&wavelets::PEFT_COIF4),
            Filters::Named(index) => F::filter_bank(wavelet(index)),
            Filters::Own(taps) => {
                let taps = usize::from(taps) % (MAX_TAPS + 4);
                let numbers = own(4 * taps);
                let filters: [_; 4] = from_fn(|at| numbers[at * taps..(at + 1) * taps].to_vec());
                if bank(&filters).is_none() {
                    assert!(!(2..=MAX_TAPS).contains(&taps) || taps % 2 == 1);
                    return None;
                }
                return Some(Some(filters));
            }
        };
        let all = [bank.dec_lo(), bank.dec_hi(), bank.rec_lo(), bank.rec_hi()];
        Some(Some(all.map(<[F]>::to_vec)))
    }

    fn places(&self, rows: usize, columns: usize, most_drawn: usize) -> Option<Vec<Location>> {
        match &self.places {
            Places::Given(given) => {
                let place = |&(row, column): &(u8, u8)| Location {
                    row: u32::from(row) % rows as u32,
                    column: u32::from(column) % columns as u32,
                };
                Some(given.iter().map(place).collect())
            }
            Places::Drawn { seed, count } => {
                let most = most_drawn.min(rows * columns + 1);
                let mut places = vec![Location::default(); usize::from(*count) % (most + 1)];
                let mut scratch = vec![7; scratch_len((rows * columns) as u64, places.len())];
                locations(rows, columns, *seed, &mut places, &mut scratch).ok()?;
                Some(places)
            }
        }
    }
}

/// Any wavelet, but the short ones, which have code of their own, more often than others.
fn wavelet(index: u8) -> &'static Wavelet {
    const SHORT: [Wavelet; 4] = [wavelets::DB1, wavelets::DB2, wavelets::DB3, wavelets::DB4];
    let index = usize::from(index);
    wavelets::ALL
        .get(index)
        .unwrap_or(&SHORT[index % SHORT.len()])
}

fn bank<F: Real>([dec_lo, dec_hi, rec_lo, rec_hi]: &[Vec<F>; 4]) -> Option<FilterBank<'_, F>> {
    FilterBank::without_reconstruction(dec_lo, dec_hi, rec_lo, rec_hi).ok()
}

impl<F: Real> Layer<F> {
    /// The update of coefficients in the atoms' order.
    pub fn delta<'a>(&'a self, coefficients: &'a [F], scaling: F) -> DeltaWeight<'a, F> {
        let spectrum =
            SparseSpectrum::new(&self.atoms, coefficients).expect("a coefficient an atom");
        let bank = self.filters.as_ref().and_then(bank);
        DeltaWeight::new(spectrum, bank, scaling).expect("as many taps")
    }

    /// The same layer with other taps: in another type, or without their signs.
    pub fn with_taps<G: Real>(&self, tap: impl Fn(F) -> G) -> Layer<G> {
        let filters = self.filters.as_ref();
        Layer {
            filters: filters.map(|all| from_fn(|at| all[at].iter().map(|&f| tap(f)).collect())),
            atoms: self.atoms.clone(),
            order: self.order.clone(),
        }
    }
}
