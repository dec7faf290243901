//! Locations against torch itself: `tests/data/locations.json`, made by `tools/goldens.py`.

mod common;
mod little_endian;

use serde_json::Value;
use waveft_core::sampling::{Location, locations, scratch_len};

fn fnv(places: &[u64]) -> u64 {
    let bytes = places.iter().flat_map(|place| place.to_le_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn numbers(value: &Value) -> Vec<u64> {
    serde_json::from_value(value.clone()).unwrap()
}

// Two tests, so that they run side by side: the largest layers take minutes in an emulator.
#[test]
fn locations_are_torchs() {
    compare_every_second_case(0);
}

#[test]
fn locations_are_torchs_in_the_other_cases() {
    compare_every_second_case(1);
}

fn compare_every_second_case(first: usize) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/locations.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 50);
    for case in cases.iter().skip(first).step_by(2) {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (rows, columns, count) = (size("rows"), size("cols"), size("count"));
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
