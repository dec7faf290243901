//! Normal numbers against torch's.

use serde_json::Value;
use waveft_std::normal::NormalGenerator;

/// Largest difference from torch's scalar kernels allowed, of numbers whose largest are about 0.04.
const TOLERANCE: f32 = 2e-9;

/// The same from its AVX2 kernels: those two differ by 1.1e-8.
const TOLERANCE_AVX2: f32 = 1.5e-8;

#[test]
fn consecutive_calls_give_torchs_numbers() {
    let goldens: Value = serde_json::from_str(include_str!("data/randn.json")).unwrap();
    let mut compared = 0;
    for case in goldens["cases"].as_array().unwrap() {
        let seed = case["seed"].as_str().unwrap().parse::<i128>().unwrap() as u64;
        let mut generator = NormalGenerator::new(seed);
        let calls = case["calls"].as_array().unwrap();
        let calls_avx2 = case["calls_avx2"].as_array().unwrap();
        for (call, call_avx2) in calls.iter().zip(calls_avx2) {
            let (expected, expected_avx2) = (numbers(call), numbers(call_avx2));
            let mut found = vec![0.0; expected.len()];
            generator.fill(&mut found);
            for ((found, expected), avx2) in found.iter().zip(expected).zip(expected_avx2) {
                let found = found * 0.01;
                assert!(
                    (found - expected).abs() <= TOLERANCE,
                    "{case}: {found} {expected}"
                );
                assert!(
                    (found - avx2).abs() <= TOLERANCE_AVX2,
                    "{case}: {found} {avx2}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 500);
}

#[test]
fn no_numbers_use_no_draw() {
    let mut generator = NormalGenerator::new(7);
    generator.fill(&mut []);
    let mut after = [0.0; 2];
    generator.fill(&mut after);
    let mut fresh = [0.0; 2];
    NormalGenerator::new(7).fill(&mut fresh);
    assert_eq!(after, fresh);
}

fn numbers(call: &Value) -> Vec<f32> {
    let hex = |bits: &Value| u32::from_str_radix(bits.as_str().unwrap(), 16).unwrap();
    call.as_array()
        .unwrap()
        .iter()
        .map(|bits| f32::from_bits(hex(bits)))
        .collect()
}
