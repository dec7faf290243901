//! From one floating-point type of a tensor to another.

use half::{bf16, f16};

use crate::checkpoint::Dtype;

/// Whether [`convert`] can.
pub(crate) fn is_convertible(from: Dtype, to: Dtype) -> bool {
    from == to || (is_float(from) && is_float(to))
}

/// Whether a type's numbers can be computed with: F32, F64, BF16 or F16.
pub(crate) fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F64 | Dtype::BF16 | Dtype::F16)
}

/// The same values in another type, as torch copies them: rounded to f32, ties to even, and from there to a half
/// precision; `None` unless the types are equal or both are among F32, F64, BF16 and F16.
pub(crate) fn convert(bytes: &[u8], from: Dtype, to: Dtype) -> Option<Vec<u8>> {
    if from == to {
        return Some(bytes.to_vec());
    }
    let values = values(bytes, from)?;
    // Not from f64 to a half precision: `half` then leaves out the last 32 bits.
    Some(match to {
        Dtype::F32 => write(&values, |value| (value as f32).to_le_bytes()),
        Dtype::F64 => write(&values, f64::to_le_bytes),
        Dtype::BF16 => write(&values, |value| bf16::from_f32(value as f32).to_le_bytes()),
        Dtype::F16 => write(&values, |value| f16::from_f32(value as f32).to_le_bytes()),
        _ => return None,
    })
}

/// The elements' values, exactly; `None` unless the type is F32, F64, BF16 or F16.
pub(crate) fn values(bytes: &[u8], dtype: Dtype) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F32 => read(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F64 => read(bytes, f64::from_le_bytes),
        Dtype::BF16 => read(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        Dtype::F16 => read(bytes, |b| f16::from_le_bytes(b).to_f64()),
        _ => return None,
    })
}

fn write<const SIZE: usize>(values: &[f64], bytes: impl Fn(f64) -> [u8; SIZE]) -> Vec<u8> {
    let elements: Vec<[u8; SIZE]> = values.iter().map(|&value| bytes(value)).collect();
    elements.into_flattened()
}

/// What `value` makes of each element.
pub(crate) fn read<const SIZE: usize, T>(bytes: &[u8], value: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks();
    elements.iter().map(|&element| value(element)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_as_torch_rounds_them() {
        // What torch 2.11 makes of 1 + 1/256 + above: halfway between two bf16, above that by less than f32 sees, by one
        // unit in the last place of f32, and by more.
        let halfway = 1.0 + 1.0 / 256.0;
        for (above, expected) in [
            (0.0, 1.0),
            (1e-12, 1.0),
            (f64::from(f32::EPSILON), 1.0078125),
            (1e-6, 1.0078125),
        ] {
            let value = halfway + above;
            let expected = bf16::from_f32(expected).to_le_bytes();
            let double = convert(&value.to_le_bytes(), Dtype::F64, Dtype::BF16);
            assert_eq!(double.unwrap(), expected, "{above}");
            let single = convert(&(value as f32).to_le_bytes(), Dtype::F32, Dtype::BF16);
            assert_eq!(single.unwrap(), expected, "{above}");
        }
    }

    #[test]
    fn what_fits_is_kept_and_what_is_no_number_is_not_converted() {
        let ones = [bf16::ONE; 2].map(bf16::to_le_bytes).concat();
        let there = convert(&ones, Dtype::BF16, Dtype::F16).unwrap();
        assert_eq!(there, [f16::ONE; 2].map(f16::to_le_bytes).concat());
        assert_eq!(convert(&there, Dtype::F16, Dtype::BF16).unwrap(), ones);
        assert_eq!(convert(&[1, 0], Dtype::I16, Dtype::I16).unwrap(), [1, 0]);
        assert!(convert(&[1, 0], Dtype::I16, Dtype::F16).is_none());
        assert!(convert(&[1, 0], Dtype::F16, Dtype::I16).is_none());
    }
}
