//! What several golden tests share: layers built with allocation, and golden files.
#![allow(dead_code, unreachable_pub)]

use crate::little_endian::elements;
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::Value;
use waveft_core::element::{Element, Real};
use waveft_core::filter_bank::{FilterBank, Wavelet, wavelets};
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::matrix::MatrixMut;
use waveft_core::operator::DeltaWeight;
use waveft_core::sampling::{Location, locations, scratch_len};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};

/// One layer's update, owning its slices.
#[derive(Clone, Debug)]
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
        let bank = wavelet.map(F::filter_bank);
        Self::with_bank(
            (rows, columns),
            bank,
            fan_in_fan_out,
            seed,
            scaling,
            spectrum,
        )
    }

    pub fn with_bank(
        (rows, columns): (usize, usize),
        bank: Option<FilterBank<'static, F>>,
        fan_in_fan_out: bool,
        seed: u64,
        scaling: F,
        spectrum: &[F],
    ) -> Self {
        let taps = bank.map_or(1, |bank| bank.taps());
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
            bank,
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

/// ΔW, `M × N` whatever the storage.
pub fn formed<F: Real>(layer: &Layer<F>, transposed: bool) -> Vec<F> {
    let (rows, columns) = layer.shape();
    let mut stored = vec![F::zero(); rows * columns];
    let mut matrix = MatrixMut::new(&mut stored, rows, columns).unwrap();
    layer.delta().write(&mut matrix).unwrap();
    if !transposed {
        return stored;
    }
    let entry = |index: usize| stored[index % rows * columns + index / rows];
    (0..rows * columns).map(entry).collect()
}

/// Any wavelet or none, a shape, a share of its places, a seed.
pub fn layers() -> impl Strategy<
    Value = (
        Option<&'static Wavelet>,
        (usize, usize),
        Vec<f64>,
        u64,
        bool,
    ),
> {
    let wavelet = prop_oneof![
        1 => Just(None),
        9 => (0..wavelets::ALL.len()).prop_map(|i| Some(&wavelets::ALL[i])),
    ];
    let shape = (1usize..60, 1usize..60);
    (wavelet, shape, 0.0..1.0f64, any::<u64>(), any::<bool>()).prop_flat_map(
        |(wavelet, shape, share, seed, transposed)| {
            // Sparse ones as often as dense ones.
            let n = ((shape.0 * shape.1) as f64 * share.powi(4)) as usize;
            let spectrum = prop::collection::vec(-1.0..1.0f64, n.max(1));
            spectrum.prop_map(move |spectrum| (wavelet, shape, spectrum, seed, transposed))
        },
    )
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
