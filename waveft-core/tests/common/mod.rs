//! What several golden tests share: layers built with allocation, and golden files.
#![allow(dead_code, unreachable_pub)]

use crate::little_endian::elements;
use safetensors::SafeTensors;
use serde_json::Value;
use waveft_core::element::{Element, Real};
use waveft_core::filter_bank::{FilterBank, Wavelet, wavelets};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};

/// One layer's update, owning its slices.
pub struct Layer<F: 'static> {
    pub atoms: SortedAtoms<Vec<Atom>>,
    pub coefficients: Vec<F>,
    pub bank: Option<FilterBank<'static, F>>,
    pub scaling: F,
}

impl<F: Real> Layer<F> {
    pub fn new(
        (rows, columns): (usize, usize),
        wavelet: Option<&Wavelet>,
        fan_in_fan_out: bool,
        seed: u64,
        scaling: F,
        spectrum: &[F],
    ) -> Self {
        let taps = wavelet.map_or(1, Wavelet::taps);
        let mut geometry = Geometry::new(rows, columns, taps).unwrap();
        if fan_in_fan_out {
            geometry = geometry.fan_in_fan_out();
        }
        let n = spectrum.len();
        let mut places = vec![Location::default(); n];
        let mut scratch = vec![7; scratch_len(rows as u64 * columns as u64, n)];
        locations(rows, columns, seed, &mut places, &mut scratch).unwrap();
        let mut order = vec![0; n];
        let atoms = vec![Atom::default(); n];
        let atoms = SortedAtoms::new(geometry, &places, atoms, &mut order).unwrap();
        let mut coefficients = spectrum.to_vec();
        gather(&order, spectrum, &mut coefficients).unwrap();
        Self {
            atoms,
            coefficients,
            bank: wavelet.map(F::filter_bank),
            scaling,
        }
    }

    pub fn delta(&self) -> DeltaWeight<'_, F> {
        let spectrum = SparseSpectrum::new(&self.atoms, &self.coefficients).unwrap();
        DeltaWeight::new(spectrum, self.bank, self.scaling).unwrap()
    }

    /// Rows and columns of the stored weight.
    pub fn shape(&self) -> (usize, usize) {
        self.delta().shape()
    }
}

/// The wavelet that PEFT uses under a name.
pub fn wavelet(name: &str) -> &'static Wavelet {
    if name == "coif4" {
        &wavelets::PEFT_COIF4
    } else {
        Wavelet::from_name(name).unwrap()
    }
}

/// A seed as torch takes it.
pub fn seed(value: &Value) -> u64 {
    let number: i128 = value.as_str().unwrap().parse().unwrap();
    number as u64
}

/// A golden file: its tensors, and the cases named in its metadata.
pub struct Golden {
    bytes: Vec<u8>,
    pub cases: Vec<Value>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let cases = &metadata.metadata().as_ref().unwrap()["cases"];
        let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
        assert!(!cases.is_empty());
        Self { bytes, cases }
    }

    /// A tensor's elements.
    pub fn tensor<T: Element>(&self, name: &str) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        elements(tensors.tensor(name).unwrap().data())
    }
}
