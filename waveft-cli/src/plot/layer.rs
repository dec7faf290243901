//! What a picture shows of one adapted module: where its coefficients lie, and the update that they make.

use std::collections::HashMap;

use waveft_core::element::Real as _;
use waveft_core::filter_bank::Wavelet;
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};
use waveft_std::config::AdapterConfig;

use super::cells::Cells;

/// Entries of ΔW in memory at once, unless one row has more.
const BAND_ENTRIES: usize = 1 << 20;

/// The sub-bands as PyWavelets names them, in the order of the quadrants of a spectrum.
pub(super) const BANDS: [(&str, &str); 4] = [
    ("cA", "approximation"),
    ("cH", "horizontal details"),
    ("cV", "vertical details"),
    ("cD", "diagonal details"),
];

/// One module: its coefficients in sampling order, and where they lie.
pub(super) struct Layer<'a> {
    pub(super) config: &'a AdapterConfig,
    pub(super) geometry: Geometry,
    pub(super) places: &'a [Location],
    pub(super) coefficients: &'a [f32],
}

/// The places of all of an adapter's modules: those of one shape share them.
#[derive(Default)]
pub(super) struct Places {
    drawn: HashMap<(usize, usize), Vec<Location>>,
}

impl Places {
    /// The first `count` places of an `out × in` module.
    pub(super) fn of(
        &mut self,
        (rows, columns): (usize, usize),
        seed: u64,
        count: usize,
    ) -> Result<&[Location], waveft_core::Error> {
        let places = self.drawn.entry((rows, columns)).or_default();
        if places.len() < count {
            let entries = rows as u64 * columns as u64;
            if count as u64 > entries {
                // Before memory is asked for.
                return Err(waveft_core::Error::LocationCount {
                    entries,
                    found: count,
                });
            }
            places.resize(count, Location::default());
            let mut scratch = vec![0; scratch_len(entries, count)];
            locations(rows, columns, seed, places, &mut scratch)?;
        }
        Ok(&places[..count])
    }
}

impl Layer<'_> {
    /// The wavelet, if coefficients are not entries of ΔW themselves.
    pub(super) fn wavelet(&self) -> Option<&'static Wavelet> {
        self.config.use_idwt().then(|| self.config.wavelet())
    }

    /// The energy `Σ (scaling · c)²` of each sub-band. Without a wavelet the first has all of it.
    pub(super) fn energies(&self) -> Result<[f64; 4], waveft_core::Error> {
        let mut energies = [0.0; 4];
        for (&place, &coefficient) in self.places.iter().zip(self.coefficients) {
            let atom = self.geometry.atom(place)?;
            let band = usize::from(atom.row_is_high()) + 2 * usize::from(atom.column_is_high());
            energies[band] += energy(self.config, &[coefficient]);
        }
        Ok(energies)
    }

    /// The spectrum `S`, of `P × Q`.
    pub(super) fn spectrum(&self) -> Cells {
        let (rows, columns) = (self.geometry.rows(), self.geometry.columns());
        let mut cells = Cells::new(rows.padded_length(), columns.padded_length());
        for (place, &coefficient) in self.places.iter().zip(self.coefficients) {
            let row = place.row as usize + rows.offset();
            cells.put(row, place.column as usize + columns.offset(), coefficient);
        }
        cells
    }

    /// The update ΔW, `out × in`, formed in bands.
    pub(super) fn update(&self) -> Result<Cells, waveft_core::Error> {
        let count = self.coefficients.len();
        let mut order = vec![0; count];
        let atoms = vec![Atom::default(); count];
        let atoms = SortedAtoms::new(self.geometry, self.places, atoms, &mut order)?;
        let mut sorted = vec![0.0; count];
        gather(&order, self.coefficients, &mut sorted)?;
        let spectrum = SparseSpectrum::new(&atoms, &sorted)?;
        let filters = self.wavelet().map(f32::filter_bank);
        let delta = DeltaWeight::new(spectrum, filters, self.config.scaling() as f32)?;

        let (rows, columns) = delta.shape();
        let mut cells = Cells::new(rows, columns);
        let rows_at_once = (BAND_ENTRIES / columns).clamp(1, rows);
        let mut band = vec![0.0; rows_at_once * columns];
        for first in (0..rows).step_by(rows_at_once) {
            let last = (first + rows_at_once).min(rows);
            let band = &mut band[..(last - first) * columns];
            let part = delta.rows(first..last)?;
            part.write(&mut MatrixMut::new(band, last - first, columns)?)?;
            for (row, entries) in (first..).zip(band.chunks_exact(columns)) {
                cells.put_row(row, entries);
            }
        }
        Ok(cells)
    }
}

/// `Σ (scaling · c)²`: what an orthogonal wavelet makes the squared norm of ΔW, but for what its edges cut off.
pub(super) fn energy(config: &AdapterConfig, coefficients: &[f32]) -> f64 {
    let scaled = coefficients
        .iter()
        .map(|&c| config.scaling() * f64::from(c));
    scaled.map(|c| c * c).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(use_idwt: bool) -> AdapterConfig {
        let json = format!(
            r#"{{"peft_type": "WAVEFT", "wavelet_family": "db1", "scaling": 2.0, "use_idwt": {use_idwt}}}"#
        );
        AdapterConfig::parse(json).unwrap()
    }

    /// Haar on 8 × 4: the quadrants of the spectrum are 4 × 2.
    #[test]
    fn a_coefficient_is_in_its_quadrant_and_under_its_atom() {
        let config = config(true);
        let geometry = Geometry::new(8, 4, 2).unwrap();
        for (row, column, band) in [(1, 1, 0), (1, 3, 1), (5, 1, 2), (5, 3, 3)] {
            let places = [Location { row, column }];
            let layer = Layer {
                config: &config,
                geometry,
                places: &places,
                coefficients: &[3.0],
            };
            let energies = layer.energies().unwrap();
            assert_eq!(energies[band], 36.0);
            assert_eq!(energies.iter().sum::<f64>(), 36.0);
            let spectrum = layer.spectrum();
            assert_eq!(spectrum.value(row as usize, column as usize), 3.0);
            let update = layer.update().unwrap();
            for (row, column) in (0..8).flat_map(|row| (0..4).map(move |column| (row, column))) {
                // The atom has 2 × 2 entries of scaling · c / 2, the high-pass filters' of either sign.
                let inside = row / 2 == 1 && column / 2 == 1;
                let expected = if inside { 3.0 } else { 0.0 };
                let found = update.value(row, column).abs();
                assert!((found - expected).abs() < 1e-6, "{row}, {column}: {found}");
            }
        }
    }

    #[test]
    fn without_a_wavelet_the_update_is_the_coefficients() {
        let config = config(false);
        let places = [Location { row: 7, column: 2 }];
        let layer = Layer {
            config: &config,
            geometry: Geometry::new(8, 4, 1).unwrap(),
            places: &places,
            coefficients: &[-3.0],
        };
        assert_eq!(layer.update().unwrap().value(7, 2), -6.0);
        assert_eq!(layer.energies().unwrap(), [36.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn places_are_drawn_once_and_again_for_more() {
        let mut places = Places::default();
        let few = places.of((8, 4), 777, 3).unwrap().to_vec();
        let many = places.of((8, 4), 777, 32).unwrap().to_vec();
        assert_eq!(few[..], many[..3]);
        assert_eq!(places.of((8, 4), 777, 3).unwrap(), few);
        assert!(places.of((8, 4), 777, 33).is_err());
    }
}
