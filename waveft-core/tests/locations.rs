//! Locations against torch itself: `tests/data/locations.json`, made by `tools/goldens.py`.

mod common;
mod little_endian;

use serde_json::Value;
use waveft_core::sampling::{INSIDE_OUT_FROM, Location, locations, scratch_len};

fn fnv(places: &[u64]) -> u64 {
    let bytes = places.iter().flat_map(|place| place.to_le_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn numbers(value: &Value) -> Vec<u64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn locations_are_torchs() {
    compare(151, |total, _| total < INSIDE_OUT_FROM);
}

// Layers of this size take a minute each in an emulator: tests that run side by side, and one that an emulator leaves out.
#[test]
fn locations_of_the_least_layer_shuffled_inside_out_are_torchs() {
    compare(1, |total, count| total == INSIDE_OUT_FROM && count >= 1000);
}

#[test]
fn locations_of_a_long_line_are_torchs() {
    compare(1, |total, count| total == 230_000_000 && count >= 1000);
}

#[test]
fn locations_of_a_large_matrix_are_torchs() {
    compare(1, |total, count| total == 15_000 * 15_001 && count >= 1000);
}

#[test]
fn few_locations_of_large_layers_are_torchs() {
    compare(4, |total, count| total >= INSIDE_OUT_FROM && count < 1000);
}

/// Compares the cases, of which there are `expected`, whose number of entries and of places `is_compared` takes.
fn compare(expected: usize, is_compared: impl Fn(u64, usize) -> bool) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/locations.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let size = |case: &Value, key: &str| case[key].as_u64().unwrap() as usize;
    let sizes = |case: &Value| ["rows", "cols", "count"].map(|key| size(case, key));
    let cases = file["cases"].as_array().unwrap().iter();
    let cases: Vec<&Value> = cases
        .filter(|case| {
            let [rows, columns, count] = sizes(case);
            is_compared(rows as u64 * columns as u64, count)
        })
        .collect();
    assert_eq!(cases.len(), expected);
    for case in cases {
        let [rows, columns, count] = sizes(case);
        let mut places = vec![Location::default(); count];
        let mut scratch = vec![3; scratch_len(rows as u64 * columns as u64, count)];
        let seed = common::seed(&case["seed"]);
        locations(rows, columns, seed, &mut places, &mut scratch).unwrap();
        let flat: Vec<u64> = places
            .iter()
            .map(|place| u64::from(place.row) * columns as u64 + u64::from(place.column))
            .collect();
        if let Some(all) = case.get("locations") {
            assert_eq!(flat, numbers(all), "{case}");
        } else {
            assert_eq!(flat[..16], numbers(&case["first"]), "{case}");
            assert_eq!(flat[count - 16..], numbers(&case["last"]), "{case}");
            let expected = case["fnv1a64"].as_str().unwrap();
            assert_eq!(format!("{:016x}", fnv(&flat)), expected, "{case}");
        }
    }
}
