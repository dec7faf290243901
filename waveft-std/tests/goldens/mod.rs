//! What PEFT and torch give in training; tools/README.md describes the file.

use half::bf16;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The golden file, and what it says of its cases.
pub(crate) struct Goldens {
    bytes: Vec<u8>,
    pub(crate) cases: Value,
}

impl Goldens {
    pub(crate) fn read() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/training.safetensors"
        );
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let cases = &metadata.metadata().as_ref().unwrap()["cases"];
        let cases = serde_json::from_str(cases).unwrap();
        Self { bytes, cases }
    }

    /// A tensor's values, exactly.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).unwrap();
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F64 => data
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from_le_bytes(b))
                .collect(),
            Dtype::F32 => {
                let values = data.as_chunks().0.iter();
                values.map(|&b| f32::from_le_bytes(b).into()).collect()
            }
            Dtype::BF16 => {
                let values = data.as_chunks().0.iter();
                values.map(|&b| bf16::from_le_bytes(b).into()).collect()
            }
            other => panic!("{name} is {other:?}"),
        }
    }
}

/// Largest difference over largest value.
pub(crate) fn deviation(found: impl Iterator<Item = f64>, expected: &[f64]) -> f64 {
    let largest = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
    let found: Vec<f64> = found.collect();
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    differences.fold(0.0, f64::max) / largest
}
