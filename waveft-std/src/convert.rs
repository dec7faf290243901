//! From one floating-point type of a tensor to another.

use half::{bf16, f16};

use crate::checkpoint::Dtype;

/// Whether [`convert`] can.
pub(crate) fn is_convertible(from: Dtype, to: Dtype) -> bool {
    let is_float = |dtype| matches!(dtype, Dtype::F32 | Dtype::F64 | Dtype::BF16 | Dtype::F16);
    from == to || (is_float(from) && is_float(to))
}

/// The same values in another type, each rounded once, ties to even; `None` unless the types are equal or both are
/// among F32, F64, BF16 and F16.
pub(crate) fn convert(bytes: &[u8], from: Dtype, to: Dtype) -> Option<Vec<u8>> {
    if from == to {
        return Some(bytes.to_vec());
    }
    let values: Vec<f64> = match from {
        Dtype::F32 => read(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F64 => read(bytes, f64::from_le_bytes),
        Dtype::BF16 => read(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        Dtype::F16 => read(bytes, |b| f16::from_le_bytes(b).to_f64()),
        _ => return None,
    };
    let write = |value: &f64| match to {
        Dtype::F32 => (*value as f32).to_le_bytes().to_vec(),
        Dtype::F64 => value.to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f64(*value).to_le_bytes().to_vec(),
        _ => f16::from_f64(*value).to_le_bytes().to_vec(),
    };
    is_convertible(from, to).then(|| values.iter().flat_map(write).collect())
}

fn read<const SIZE: usize>(bytes: &[u8], value: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
    let (elements, _) = bytes.as_chunks();
    elements.iter().map(|&element| value(element)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_once() {
        // Halfway between two bf16, and just above: rounding to f32 first would lose the difference.
        let between = 1.0 + 1.0 / 256.0;
        let above = between + 1e-12;
        let bytes: Vec<u8> = [between, above]
            .iter()
            .flat_map(|v: &f64| v.to_le_bytes())
            .collect();
        let found = convert(&bytes, Dtype::F64, Dtype::BF16).unwrap();
        let expected = [bf16::from_f64(1.0), bf16::from_f64(1.0 + 1.0 / 128.0)];
        assert_eq!(found, expected.map(bf16::to_le_bytes).concat());
        let back = convert(&found, Dtype::BF16, Dtype::F16).unwrap();
        assert_eq!(convert(&back, Dtype::F16, Dtype::BF16).unwrap(), found);
        assert_eq!(convert(&[1, 0], Dtype::I16, Dtype::I16).unwrap(), [1, 0]);
        assert!(convert(&[1, 0], Dtype::I16, Dtype::F16).is_none());
        assert!(convert(&[1, 0], Dtype::F16, Dtype::I16).is_none());
    }
}
