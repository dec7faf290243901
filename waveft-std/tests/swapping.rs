//! Adapters merged into live weights and taken out again: every bit of the base comes back.

mod layers;

use std::sync::Arc;

use bytemuck::cast_slice;
use half::{bf16, f16};
use layers::{numbers, prepared};
use proptest::prelude::*;
use safetensors::tensor::{TensorView, serialize_to_file};
use serde_json::json;
use waveft_std::checkpoint::{Checkpoint, Dtype};
use waveft_std::layer::LayerUpdate;
use waveft_std::linear::{Base, WaveFtLinear, Weight, parameter_groups};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Adapters of different wavelets and lengths, which overlap.
fn update(index: usize, outputs: usize, inputs: usize, is_transposed: bool) -> LayerUpdate {
    let wavelet = ["db1", "db4", "sym8"][index];
    let keys = json!({
        "wavelet_family": wavelet, "random_loc_seed": index, "scaling": 7.0,
        "fan_in_fan_out": is_transposed,
    });
    let spectrum = numbers(40 + 60 * index, index as u64 + 9);
    prepared(keys, &[("m", outputs, inputs)], &[spectrum])
        .1
        .remove(0)
}

fn layer(weight: Weight<'_>, outputs: usize, inputs: usize) -> WaveFtLinear<Weight<'_>> {
    let is_transposed = weight.is_fan_in_fan_out();
    let mut layer = WaveFtLinear::new("m", weight).unwrap();
    for (index, name) in NAMES.into_iter().enumerate() {
        let update = update(index, outputs, inputs, is_transposed);
        layer.add_adapter(name, update).unwrap();
    }
    layer
}

/// A weight of 24 × 20 elements of any bits, among them those of no number.
fn weight(bytes: &[u8], kind: usize) -> Weight<'static> {
    let weight = match kind % 3 {
        0 => Weight::new(elements(bytes, f32::from_le_bytes), 24, 20),
        1 => Weight::new(elements(bytes, bf16::from_le_bytes), 24, 20),
        _ => Weight::new(elements(bytes, f16::from_le_bytes), 24, 20),
    };
    let weight = weight.unwrap();
    if kind < 3 {
        weight
    } else {
        weight.fan_in_fan_out()
    }
}

fn elements<T, const SIZE: usize>(bytes: &[u8], read: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks();
    elements
        .iter()
        .take(24 * 20)
        .map(|&bytes| read(bytes))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The weight under an adapter depends on that adapter alone, not on those that were there before.
    #[test]
    fn every_sequence_of_swaps_leaves_the_base_as_it_was(
        kind in 0usize..6,
        bytes in prop::collection::vec(any::<u8>(), 24 * 20 * 4),
        sequence in prop::collection::vec(prop::option::of(0usize..3), 1..20),
    ) {
        let base = weight(&bytes, kind);
        let (outputs, inputs) = if kind < 3 { (24, 20) } else { (20, 24) };
        let mut swapped = layer(base.clone(), outputs, inputs);
        for adapter in sequence {
            let name = adapter.map(|index| NAMES[index]);
            swapped.switch_to(name).unwrap();
            let mut fresh = layer(base.clone(), outputs, inputs);
            fresh.merge(name.as_slice()).unwrap();
            prop_assert!(swapped.base().bytes() == fresh.base().bytes());
            prop_assert!(swapped.merged().eq(name));
            prop_assert!(name.is_none() == (swapped.base().bytes() == base.bytes()));
        }
        swapped.switch_to(None).unwrap();
        prop_assert!(swapped.base().bytes() == base.bytes());
        swapped.merge(&NAMES).unwrap();
        prop_assert!(swapped.merged().eq(NAMES));
        swapped.switch_to(Some("b")).unwrap();
        swapped.unmerge().unwrap();
        prop_assert!(swapped.base().bytes() == base.bytes());
    }
}

#[test]
fn a_merged_layer_gives_what_its_adapters_gave() {
    for is_transposed in [false, true] {
        let weight = Weight::new(numbers(24 * 20, 1), 24, 20).unwrap();
        let (weight, outputs, inputs) = match is_transposed {
            true => (weight.fan_in_fan_out(), 20, 24),
            false => (weight, 24, 20),
        };
        let mut layer = layer(weight, outputs, inputs)
            .with_frozen_bias(numbers(outputs, 2))
            .unwrap();
        layer.activate(&["c", "a"]).unwrap();
        let x = numbers(5 * inputs, 3);
        let (mut apart, mut merged, mut after) = (
            vec![0.0; 5 * outputs],
            vec![0.0; 5 * outputs],
            vec![0.0; 5 * outputs],
        );
        layer.forward(&x, &mut apart).unwrap();
        layer.merge(&["c"]).unwrap();
        layer.merge(&["a"]).unwrap();
        layer.forward(&x, &mut merged).unwrap();
        layer.unmerge().unwrap();
        layer.forward(&x, &mut after).unwrap();
        let largest = apart.iter().fold(0.0f32, |most, y| most.max(y.abs()));
        let far = |y: &[f32]| {
            y.iter()
                .zip(&apart)
                .any(|(y, apart)| (y - apart).abs() > 2e-6 * largest)
        };
        assert!(!far(&merged) && apart == after && apart != merged);
        layer.enable(false).unwrap();
        layer.forward(&x, &mut after).unwrap();
        assert!(far(&after));
    }
}

#[test]
fn a_weight_that_is_not_owned_is_copied_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let elements = numbers(24 * 20, 1);
    let halves: Vec<f16> = elements
        .iter()
        .map(|&element| f16::from_f32(element))
        .collect();
    let view = |dtype, bytes| TensorView::new(dtype, vec![24, 20], bytes).unwrap();
    let flat = TensorView::new(Dtype::F32, vec![480], cast_slice(&elements)).unwrap();
    let tensors = [
        ("w", view(Dtype::F32, cast_slice(&elements))),
        ("h", view(Dtype::F16, cast_slice(&halves))),
        ("flat", flat),
        ("double", view(Dtype::I32, cast_slice(&elements))),
    ];
    serialize_to_file(tensors, None, &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let file = Arc::new(Checkpoint::open(&path).unwrap());
    for name in ["w", "h"] {
        let mapped = Weight::mapped(Arc::clone(&file), name).unwrap();
        assert!(
            std::ptr::eq(mapped.bytes(), file.tensor(name).unwrap().bytes),
            "not copied"
        );
        let mut layer = layer(mapped, 24, 20);
        layer.switch_to(Some("a")).unwrap();
        assert_ne!(layer.base().bytes(), file.tensor(name).unwrap().bytes);
        layer.unmerge().unwrap();
        assert_eq!(layer.base().bytes(), file.tensor(name).unwrap().bytes);
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let mut borrowed = layer(Weight::new(&elements[..], 24, 20).unwrap(), 24, 20);
    borrowed.switch_to(Some("a")).unwrap();
    assert_eq!(elements, numbers(24 * 20, 1));

    for (name, expected) in [
        (
            "x",
            r#"tensor "x": expected a tensor of this name, found none"#,
        ),
        (
            "flat",
            r#"tensor "flat": expected a matrix, found shape [480]"#,
        ),
        (
            "double",
            r#"tensor "double": expected F32, BF16 or F16, found I32"#,
        ),
    ] {
        let error = Weight::mapped(Arc::clone(&file), name).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[test]
fn a_mapped_weight_off_its_alignment_is_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let elements = numbers(6, 1);
    // By hand, for the library aligns: the data begins at an odd byte.
    let header = r#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}  "#;
    let header = &header[..header.len() - (header.len() + 1) % 2];
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length[..], header.as_bytes(), cast_slice(&elements)].concat();
    assert_eq!((8 + header.len()) % 2, 1);
    std::fs::write(&path, bytes).unwrap();
    let weight = Weight::mapped(Arc::new(Checkpoint::open(&path).unwrap()), "w").unwrap();
    let mut y = [0.0f32; 2];
    weight.forward(&[1.0, 0.0, 0.0], None, &mut y).unwrap();
    assert_eq!(y, [elements[0], elements[3]]);
}

#[test]
fn what_is_merged_must_come_out_first() {
    let mut layer = layer(Weight::new(numbers(24 * 20, 1), 24, 20).unwrap(), 24, 20);
    let (x, dy) = (numbers(20, 2), numbers(24, 3));
    layer.backward(&x, &dy, None).unwrap();
    layer.merge(&["a"]).unwrap();
    let before = format!("{layer:?}");
    let refused = |result: waveft_std::Result<()>, expected: &str| {
        assert_eq!(
            result.unwrap_err().to_string(),
            format!("layer \"m\": expected {expected}")
        );
    };
    let merged = "no merged adapters, found 1";
    let mut y = vec![0.0; 24];
    refused(layer.backward(&x, &dy, None), merged);
    refused(layer.backward_rows(&[None], &x, &dy, None), merged);
    refused(layer.forward_rows(&[None], &x, &mut y), merged);
    refused(layer.add_adapters(&x, &mut y), merged);
    refused(layer.add_adapters_backward(&x, &dy, None), merged);
    refused(layer.activate(&["b"]), merged);
    refused(layer.enable(false), merged);
    refused(layer.add_adapter("d", update(0, 24, 20, false)), merged);
    refused(parameter_groups([&mut layer]).map(drop), merged);
    let unknown = r#"one of the adapters ["a", "b", "c"], found "d""#;
    refused(layer.switch_to(Some("d")), unknown);
    refused(layer.merge(&["b", "d"]), unknown);
    refused(
        layer.merge(&["b", "a"]),
        r#"adapters that are not merged yet, found "a" twice"#,
    );
    refused(
        layer.merge(&["b", "b"]),
        r#"adapters that are not merged yet, found "b" twice"#,
    );
    assert_eq!(format!("{layer:?}"), before);
    assert_eq!(y, vec![0.0; 24]);

    let mut square = WaveFtLinear::new("m", Weight::new(numbers(400, 1), 20, 20).unwrap()).unwrap();
    square.add_adapter("t", update(0, 20, 20, true)).unwrap();
    let other_way = r#"a weight stored inputs x outputs for "t", found outputs x inputs"#;
    refused(square.switch_to(Some("t")), other_way);
    refused(square.merge(&["t"]), other_way);
}
