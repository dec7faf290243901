//! One adapted layer, ready to be reconstructed: its sorted atoms, its coefficients, its filters.
//!
//! Layers of one shape and seed share their places, so these are drawn once for all of them, and sorted once for each
//! length of spectrum.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytemuck::{PodCastError, cast_slice_mut, try_cast_slice_mut};
use half::{bf16, f16};
use rayon::prelude::*;
use waveft_core::element::{Element, Real};
use waveft_core::filter_bank::Wavelet;
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather, scatter};

use crate::adapter::Spectrum;
use crate::checkpoint::Dtype;
use crate::config::AdapterConfig;
use crate::error::{Error, Result};

/// Entries of ΔW that one task computes: what stays in a core's L2 cache.
const BAND_ENTRIES: usize = 1 << 18;

/// What a layer's update is made of, before anything is drawn.
#[derive(Clone, Copy, Debug)]
pub struct LayerSpec<'a> {
    /// The adapter's configuration: seed, wavelet, scaling, `use_idwt`, `fan_in_fan_out`.
    pub config: &'a AdapterConfig,
    /// The coefficients, in sampling order.
    pub spectrum: &'a Spectrum,
    /// Rows and columns of the weight as it is stored.
    pub stored: (usize, usize),
    /// The type of the weight that the update is for: `f64` arithmetic for `F64`, else `f32`.
    pub dtype: Dtype,
}

/// A layer's update, ΔW: to be merged, or to be trained as an adapter of a [`WaveFtLinear`](crate::linear::WaveFtLinear).
#[derive(Clone, Debug)]
pub struct LayerUpdate {
    atoms: LayerAtoms,
    coefficients: Coefficients,
}

/// All of a layer's update but its coefficients. Clones share the sorted atoms.
#[derive(Clone, Debug)]
pub(crate) struct LayerAtoms {
    sorted: Arc<SortedAtoms<Vec<Atom>>>,
    seed: u64,
    wavelet: Option<&'static Wavelet>,
    scaling: f64,
}

/// Sorted atoms, and where each stands in sampling order.
struct Places {
    atoms: Arc<SortedAtoms<Vec<Atom>>>,
    order: Vec<u32>,
}

#[derive(Clone, Debug)]
enum Coefficients {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Coefficients {
    fn to_f32(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Single(values) => Cow::Borrowed(values),
            Self::Double(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }

    /// The types of weight that they are for, in words.
    fn weight_types(&self) -> &'static str {
        match self {
            Self::Single(_) => "F32, BF16 or F16, for which the update was prepared",
            Self::Double(_) => "F64, for which the update was prepared",
        }
    }
}

impl LayerSpec<'_> {
    fn wavelet(&self) -> Option<&'static Wavelet> {
        self.config.use_idwt().then(|| self.config.wavelet())
    }

    fn geometry(&self) -> Result<Geometry, waveft_core::Error> {
        let (rows, columns) = self.stored;
        let taps = self.wavelet().map_or(1, Wavelet::taps);
        let geometry = if self.config.fan_in_fan_out() {
            Geometry::new(columns, rows, taps)?.fan_in_fan_out()
        } else {
            Geometry::new(rows, columns, taps)?
        };
        // Both sides are below 2³⁰ now. On 32 bits no memory may hold the weight all the same.
        let bytes = rows as u64 * columns as u64 * 8;
        let bound = isize::MAX as u64;
        if bytes > bound {
            return Err(waveft_core::Error::OutOfBounds {
                what: "bytes of the update in f64",
                bound,
                found: bytes,
            });
        }
        Ok(geometry)
    }
}

/// Prepares all layers of one or more adapters at once, over rayon's threads.
///
/// Places are drawn once for each shape and seed, and sorted once for each shape, seed, filter length and length of
/// spectrum. Cost: O(n) draws and O(n log n) sorting for each of these; see [`waveft_core::sampling`].
///
/// # Errors
/// The index of the first layer that cannot be prepared, and why: a side of zero or one of 2³⁰ or more elements, an
/// update of more than `isize::MAX` bytes in f64, or a spectrum of more than `M · N` coefficients.
pub fn prepare(specs: &[LayerSpec<'_>]) -> Result<Vec<LayerUpdate>, (usize, waveft_core::Error)> {
    let geometries: Vec<Geometry> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| spec.geometry().map_err(|error| (index, error)))
        .collect::<Result<_, _>>()?;
    let drawing = |(index, spec): (usize, &LayerSpec<'_>)| {
        let seed = spec.config.random_loc_seed();
        ((geometries[index].features(), seed), index)
    };
    // The layer with the longest spectrum of each shape and seed: the others' places are the first of its.
    let mut longest = HashMap::new();
    for (key, index) in specs.iter().enumerate().map(drawing) {
        let other = longest.entry(key).or_insert(index);
        if specs[index].spectrum.len() > specs[*other].spectrum.len() {
            *other = index;
        }
    }
    let drawn: HashMap<_, Vec<Location>> = longest
        .into_par_iter()
        .map(|((features, seed), index)| {
            let places = draw(features, seed, specs[index].spectrum.len());
            Ok(((features, seed), places.map_err(|error| (index, error))?))
        })
        .collect::<Result<_, _>>()?;
    let sorting = |index: usize| {
        let (key, _) = drawing((index, &specs[index]));
        (key.1, geometries[index], specs[index].spectrum.len())
    };
    let mut first = HashMap::new();
    for index in 0..specs.len() {
        first.entry(sorting(index)).or_insert(index);
    }
    let sorted: HashMap<_, Places> = first
        .into_par_iter()
        .map(|(key, index)| {
            let (seed, geometry, count) = key;
            let places = &drawn[&(geometry.features(), seed)][..count];
            let sorted = Places::sort(geometry, places).map_err(|error| (index, error))?;
            Ok((key, sorted))
        })
        .collect::<Result<_, _>>()?;
    let update = |(index, spec): (usize, &LayerSpec<'_>)| {
        LayerUpdate::new(spec, &sorted[&sorting(index)]).map_err(|error| (index, error))
    };
    specs.par_iter().enumerate().map(update).collect()
}

fn draw(
    (rows, columns): (usize, usize),
    seed: u64,
    count: usize,
) -> Result<Vec<Location>, waveft_core::Error> {
    let entries = rows as u64 * columns as u64;
    if count == 0 || count as u64 > entries {
        // Before memory is asked for.
        return Err(waveft_core::Error::LocationCount {
            entries,
            found: count,
        });
    }
    let mut places = vec![Location::default(); count];
    let mut scratch = vec![0; scratch_len(entries, count)];
    locations(rows, columns, seed, &mut places, &mut scratch)?;
    Ok(places)
}

impl Places {
    fn sort(geometry: Geometry, places: &[Location]) -> Result<Self, waveft_core::Error> {
        let atoms = vec![Atom::default(); places.len()];
        let mut order = vec![0; places.len()];
        let atoms = Arc::new(SortedAtoms::new(geometry, places, atoms, &mut order)?);
        Ok(Self { atoms, order })
    }

    fn gather<T: Copy>(&self, drawn: &[T]) -> Result<Vec<T>, waveft_core::Error> {
        let mut sorted = drawn.to_vec();
        gather(&self.order, drawn, &mut sorted)?;
        Ok(sorted)
    }
}

impl LayerAtoms {
    pub(crate) fn geometry(&self) -> Geometry {
        self.sorted.geometry()
    }

    /// The update of these coefficients, which are in the atoms' order.
    pub(crate) fn delta<'a, F: Real>(
        &'a self,
        coefficients: &'a [F],
    ) -> Result<DeltaWeight<'a, F>, waveft_core::Error> {
        let spectrum = SparseSpectrum::new(&*self.sorted, coefficients)?;
        // PEFT's arithmetic takes the scaling rounded to the spectrum's type.
        let scaling = F::from_f64(self.scaling);
        DeltaWeight::new(spectrum, self.wavelet.map(F::filter_bank), scaling)
    }

    /// One number for each atom, from the atoms' order to sampling order. Draws and sorts the places once more: keeping
    /// where each stood would take 4 bytes a coefficient.
    pub(crate) fn in_sampling_order(&self, sorted: &[f32]) -> Result<Vec<f32>, waveft_core::Error> {
        let places = draw(self.geometry().features(), self.seed, sorted.len())?;
        let Places { order, .. } = Places::sort(self.geometry(), &places)?;
        let mut drawn = vec![0.0; sorted.len()];
        scatter(&order, sorted, &mut drawn)?;
        Ok(drawn)
    }
}

impl LayerUpdate {
    fn new(spec: &LayerSpec<'_>, places: &Places) -> Result<Self, waveft_core::Error> {
        let coefficients = if spec.dtype == Dtype::F64 {
            Coefficients::Double(places.gather(&spec.spectrum.to_f64())?)
        } else {
            Coefficients::Single(places.gather(&spec.spectrum.to_f32())?)
        };
        let atoms = LayerAtoms {
            sorted: Arc::clone(&places.atoms),
            seed: spec.config.random_loc_seed(),
            wavelet: spec.wavelet(),
            scaling: spec.config.scaling(),
        };
        Ok(Self {
            atoms,
            coefficients,
        })
    }

    /// Rows and columns of the weight as it is stored.
    pub fn stored(&self) -> (usize, usize) {
        let geometry = self.atoms.geometry();
        (geometry.rows().length(), geometry.columns().length())
    }

    /// Its number of coefficients, `n`.
    pub fn coefficients(&self) -> usize {
        self.atoms.sorted.atoms().len()
    }

    /// Its atoms, and the coefficients in f32 and in the atoms' order.
    pub(crate) fn into_parts(self) -> (LayerAtoms, Vec<f32>) {
        let coefficients = self.coefficients.to_f32().into_owned();
        (self.atoms, coefficients)
    }

    /// Adds rows `rows` of ΔW to a band of the weight that holds just these rows, row-major and little-endian.
    ///
    /// `dtype` is the one that the update was prepared for, and `band` is aligned for it. Each entry is rounded once, as
    /// PEFT's merge rounds it. `tensor` is for messages: the base, and the weight's name in it.
    ///
    /// # Errors
    /// When `dtype` is another one, `rows` is empty or out of range, or the band is not aligned or not as long as the rows.
    pub(crate) fn add_rows(
        &self,
        rows: Range<usize>,
        dtype: Dtype,
        band: &mut [u8],
        tensor: (&Path, &str),
    ) -> Result<()> {
        let (base, name) = tensor;
        let unaligned = |error: PodCastError| {
            let expected = format!("whole elements of {dtype}, aligned in memory");
            Error::tensor(base, name, expected, error.to_string())
        };
        let added = match (&self.coefficients, dtype) {
            (Coefficients::Single(values), Dtype::F32) => {
                self.add::<f32>(values, rows, try_cast_slice_mut(band).map_err(unaligned)?)
            }
            (Coefficients::Single(values), Dtype::BF16) => {
                self.add::<bf16>(values, rows, try_cast_slice_mut(band).map_err(unaligned)?)
            }
            (Coefficients::Single(values), Dtype::F16) => {
                self.add::<f16>(values, rows, try_cast_slice_mut(band).map_err(unaligned)?)
            }
            (Coefficients::Double(values), Dtype::F64) => {
                self.add::<f64>(values, rows, try_cast_slice_mut(band).map_err(unaligned)?)
            }
            (coefficients, _) => {
                let expected = coefficients.weight_types();
                return Err(Error::tensor(base, name, expected, dtype.to_string()));
            }
        };
        added.map_err(|source| Error::Core {
            context: format!("{}: tensor {name:?}", base.display()),
            source,
        })
    }

    fn add<T: Element>(
        &self,
        coefficients: &[T::Real],
        rows: Range<usize>,
        band: &mut [T],
    ) -> Result<(), waveft_core::Error> {
        let delta = self.atoms.delta(coefficients)?.rows(rows)?;
        let (rows, columns) = delta.shape();
        let from_little_endian = |band: &mut [T]| {
            if cfg!(target_endian = "big") {
                let elements = cast_slice_mut::<T, u8>(band).chunks_exact_mut(size_of::<T>());
                elements.for_each(<[u8]>::reverse);
            }
        };
        from_little_endian(band);
        let added = MatrixMut::new(band, rows, columns).and_then(|mut band| delta.add(&mut band));
        from_little_endian(band); // and back
        added
    }

    /// Writes ΔW in `f32` over `out`, row-major as the weight is stored, over rayon's threads. A spectrum that is
    /// [dense](DeltaWeight::is_dense) is transformed as a whole, on one thread and with memory for it.
    ///
    /// # Errors
    /// When `out` does not have the weight's `rows · columns` elements.
    pub fn write(&self, out: &mut [f32]) -> Result<(), waveft_core::Error> {
        let (rows, columns) = self.stored();
        if out.len() != rows * columns {
            return Err(waveft_core::Error::Length {
                what: "out",
                expected: rows * columns,
                found: out.len(),
            });
        }
        let coefficients = self.coefficients.to_f32();
        let delta = self.atoms.delta(&coefficients)?;
        if delta.is_dense() {
            let mut scratch = vec![0.0; delta.dense_scratch_len()?];
            return delta.write_dense(&mut MatrixMut::new(out, rows, columns)?, &mut scratch);
        }
        let rows_at_once = (BAND_ENTRIES / columns).max(1);
        out.par_chunks_mut(rows_at_once * columns)
            .enumerate()
            .try_for_each(|(index, band)| {
                let first = index * rows_at_once;
                let count = band.len() / columns;
                let delta = delta.rows(first..first + count)?;
                delta.write(&mut MatrixMut::new(band, count, columns)?)
            })
    }
}

/// Reconstructs all layers at once: ΔW of each in `f32`, row-major as its weight is stored.
///
/// The bits are the same for any number of threads. Cost: clearing `M · N` entries and `n · L²` multiply-adds a layer.
///
/// # Errors
/// None for updates from [`prepare`].
pub fn reconstruct(updates: &[LayerUpdate]) -> Result<Vec<Vec<f32>>, waveft_core::Error> {
    let one = |update: &LayerUpdate| {
        let (rows, columns) = update.stored();
        let mut out = vec![0.0; rows * columns];
        update.write(&mut out)?;
        Ok(out)
    };
    updates.par_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Adapter;
    use crate::target_modules::ModuleShape;

    /// An adapter of one 4 × 4 weight.
    fn adapter() -> Adapter {
        let json = r#"{"peft_type": "WAVEFT", "n_frequency": 2, "target_modules": ["proj"]}"#;
        let module = ModuleShape {
            path: "proj".to_owned(),
            out_features: 4,
            in_features: 4,
        };
        Adapter::create(AdapterConfig::parse(json).unwrap(), &[module]).unwrap()
    }

    /// Its layer on a weight of this shape and type.
    fn spec(adapter: &Adapter, stored: (usize, usize), dtype: Dtype) -> LayerSpec<'_> {
        LayerSpec {
            config: adapter.config(),
            spectrum: &adapter.spectra()[0],
            stored,
            dtype,
        }
    }

    #[test]
    fn a_band_that_does_not_fit_is_refused() {
        let adapter = adapter();
        let update = |dtype| prepare(&[spec(&adapter, (4, 4), dtype)]).unwrap().remove(0);
        let (single, double) = (update(Dtype::BF16), update(Dtype::F64));
        let mut words = [0u64; 17];
        let bytes = cast_slice_mut::<u64, u8>(&mut words);
        let mut refused = |update: &LayerUpdate, dtype, place: Range<usize>, expected: &str| {
            let tensor = (Path::new("base"), "w");
            let error = update
                .add_rows(0..4, dtype, &mut bytes[place], tensor)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(r#"base: tensor "w": "#), "{error}");
            assert!(error.contains(expected), "{error}");
        };
        refused(&single, Dtype::F32, 1..65, "elements of F32, aligned");
        refused(&single, Dtype::BF16, 1..33, "elements of BF16, aligned");
        refused(&double, Dtype::F64, 2..130, "elements of F64, aligned");
        refused(&single, Dtype::F32, 0..63, "elements of F32, aligned");
        refused(&single, Dtype::F32, 0..60, "of 16 elements, found 15");
        refused(&single, Dtype::F64, 0..128, "F32, BF16 or F16, for which");
        refused(&double, Dtype::F32, 0..64, "F64, for which");
    }

    #[test]
    fn sides_whose_product_no_number_holds_are_refused() {
        let adapter = adapter();
        let prepared = |stored| prepare(&[spec(&adapter, stored, Dtype::F32)]);
        let length = usize::MAX / 2;
        for stored in [(length, length), (4, length), (length, 4)] {
            let refused = waveft_core::Error::AxisTooLong { length, taps: 2 };
            assert_eq!(prepared(stored).unwrap_err(), (0, refused));
        }
        // 2³³ bytes are too many for 32 bits; elsewhere it would take long to draw the places.
        if usize::BITS == 32 {
            assert!(prepared((1 << 15, 1 << 15)).is_err());
        }
    }
}
