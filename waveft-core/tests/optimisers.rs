//! Optimisers and schedules against torch and transformers: `optimisers.safetensors`, made by `tools/optimiser_goldens.py`.

mod little_endian;

use bytemuck::Pod;
use little_endian::elements;
use safetensors::SafeTensors;
use serde_json::Value;
use waveft_core::Error;
use waveft_core::element::Real;
use waveft_core::isa::Isa;
use waveft_core::optimiser::{
    AdamW, Rates, Sgd, clip_factor, first_non_finite, scale, sum_of_squares,
};
use waveft_core::schedule::Schedule;

struct Goldens {
    bytes: Vec<u8>,
}

impl Goldens {
    fn open() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/optimisers.safetensors"
        );
        let bytes = std::fs::read(path).unwrap();
        Self { bytes }
    }

    fn cases(&self, key: &str) -> Vec<Value> {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).unwrap();
        let cases = &header.metadata().as_ref().unwrap()[key];
        let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
        assert!(!cases.is_empty());
        cases
    }

    fn tensor<T: Pod>(&self, name: &str) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        elements(tensors.tensor(name).unwrap().data())
    }

    /// What is stored in f32 of both types' cases.
    fn shared<F: Real>(&self, name: &str) -> Vec<F> {
        self.tensor::<f32>(name)
            .into_iter()
            .map(|value| F::from_f64(value.into()))
            .collect()
    }
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap()
}

/// A case's parameter after each step, with its state: values first.
fn states<F: Real>(goldens: &Goldens, case: &Value) -> Vec<Vec<Vec<F>>> {
    let mut values = goldens.shared::<F>("start");
    let gradients = goldens.shared::<F>("gradients");
    let rates = Rates::new(number(case, "lr"), number(case, "weight_decay")).unwrap();
    let length = values.len();
    let steps = (1..).zip(gradients.chunks_exact(length));
    if case["optimiser"] == "adam_w" {
        let betas = [0, 1].map(|index| case["betas"][index].as_f64().unwrap());
        let adam_w = AdamW::new(betas, number(case, "eps")).unwrap();
        let (mut first, mut second) = (vec![F::ZERO; length], vec![F::ZERO; length]);
        let step = |(step, gradient)| {
            let update = adam_w.update(step, rates).unwrap();
            update
                .apply(&mut values, gradient, &mut first, &mut second)
                .unwrap();
            vec![values.clone(), first.clone(), second.clone()]
        };
        steps.map(step).collect()
    } else {
        let sgd = Sgd::new(number(case, "momentum")).unwrap();
        let mut velocity = vec![F::ZERO; sgd.velocity_len(length)];
        let step = |(_, gradient)| {
            let update = sgd.update(rates);
            update.apply(&mut values, gradient, &mut velocity).unwrap();
            vec![values.clone(), velocity.clone()]
        };
        steps.map(step).collect()
    }
}

/// Our states at the steps kept, as one array for each slice, beside the names of torch's.
fn kept<F: Real>(goldens: &Goldens, case: &Value) -> Vec<(String, Vec<F>)> {
    let kept = goldens.cases("kept");
    let states = states::<F>(goldens, case);
    let name = case["name"].as_str().unwrap();
    let slices: &[&str] = match case["optimiser"].as_str().unwrap() {
        "adam_w" => &["values", "first_moment", "second_moment"],
        _ if number(case, "momentum") == 0.0 => &["values"],
        _ => &["values", "velocity"],
    };
    let at_kept = |index: usize| {
        kept.iter()
            .flat_map(|step| states[step.as_u64().unwrap() as usize - 1][index].clone())
            .collect()
    };
    let slices = slices.iter().enumerate();
    slices
        .map(|(index, slice)| (format!("{name}.{slice}"), at_kept(index)))
        .collect()
}

/// Whether a multiply-add is rounded once.
fn is_fused() -> bool {
    let isa = Isa::detect();
    isa != Isa::Portable || isa.instructions() == "neon" || cfg!(target_feature = "fma")
}

/// How many numbers of the type lie between the two, plus one.
fn ulps(one: f32, other: f32) -> u32 {
    let order = |value: f32| {
        let bits = value.to_bits() as i32;
        i64::from(if bits < 0 { i32::MIN - bits } else { bits })
    };
    order(one).abs_diff(order(other)) as u32
}

#[test]
fn in_f64_the_optimisers_are_torchs_to_rounding() {
    let goldens = Goldens::open();
    // Torch's were fused where they were made; elsewhere every step rounds once more.
    let rounding = if is_fused() { 1e-14 } else { 4e-14 };
    for case in goldens.cases("optimisers") {
        if case["dtype"] != "f64" {
            continue;
        }
        for (name, found) in kept::<f64>(&goldens, &case) {
            let expected = goldens.tensor::<f64>(&name);
            assert_eq!(found.len(), expected.len(), "{name}");
            let largest = expected.iter().fold(0.0, |most: f64, e| most.max(e.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                // An entry that has come near zero keeps the rounding of where it was.
                let bound = rounding * expected.abs().max(1e-3 * largest);
                assert!(
                    (found - expected).abs() <= bound,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
}

/// Where torch and we fuse the same operations, all bits are torch's but for its square roots.
#[test]
fn in_f32_the_optimisers_are_torchs_bits() {
    let goldens = Goldens::open();
    let fused = Isa::detect() != Isa::Portable || cfg!(target_feature = "fma");
    let rounding = if is_fused() { 1e-5 } else { 4e-5 };
    for case in goldens.cases("optimisers") {
        if case["dtype"] != "f32" {
            continue;
        }
        for (name, found) in kept::<f32>(&goldens, &case) {
            let expected = goldens.tensor::<f32>(&name);
            assert_eq!(found.len(), expected.len(), "{name}");
            let largest = expected.iter().fold(0.0, |most: f32, e| most.max(e.abs()));
            let is_root_used = name.ends_with(".values") && case["optimiser"] == "adam_w";
            let most = if is_root_used { ADAM_W_ULPS } else { 0 };
            for (&found, &expected) in found.iter().zip(&expected) {
                if fused {
                    let ulps = ulps(found, expected);
                    assert!(ulps <= most, "{name}: {found} {expected}, {ulps} ulp");
                }
                let bound = rounding * expected.abs().max(1e-3 * largest);
                assert!(
                    (found - expected).abs() <= bound,
                    "{name}: {found} {expected}"
                );
            }
            if fused && is_root_used {
                let expected = goldens.tensor::<f32>(&format!("{name}_rounded_root"));
                assert_eq!(found, expected, "{name}");
            }
        }
    }
}

/// What MKL's square roots, off by one ulp at most, make of AdamW's parameters in 50 steps: 2 with torch's defaults, and 32
/// where a parameter came near zero.
const ADAM_W_ULPS: u32 = 32;

#[test]
fn clipping_is_torchs() {
    fn check<F: Real>(goldens: &Goldens, case: &Value, tolerance: f64) {
        let gradients = goldens.shared::<F>("gradients");
        let length = goldens.tensor::<f32>("start").len();
        let mut first = gradients[..length].to_vec();
        let mut second = gradients[length..][..length / 2].to_vec();
        let norm = (sum_of_squares(&first) + sum_of_squares(&second)).sqrt();
        let expected = number(case, "norm");
        assert!((norm - expected).abs() <= tolerance * expected, "{case}");
        let factor = clip_factor(number(case, "max_norm"), norm).unwrap();
        scale(&mut first, factor);
        scale(&mut second, factor);
        let expected = goldens.tensor::<F>(case["name"].as_str().unwrap());
        assert_eq!(expected.len(), first.len() + second.len());
        for (found, expected) in first.iter().chain(&second).zip(&expected) {
            let (found, expected) = (found.to_f64(), expected.to_f64());
            let bound = 2.0 * tolerance * expected.abs();
            assert!(
                (found - expected).abs() <= bound,
                "{case}: {found} {expected}"
            );
        }
    }
    let goldens = Goldens::open();
    for case in goldens.cases("clipping") {
        match case["dtype"].as_str().unwrap() {
            "f32" => check::<f32>(&goldens, &case, 2.0 * f64::from(f32::EPSILON)),
            _ => check::<f64>(&goldens, &case, 2.0 * f64::EPSILON),
        }
    }
}

#[test]
fn schedules_are_those_of_transformers() {
    let goldens = Goldens::open();
    for case in goldens.cases("schedules") {
        let steps = |key: &str| case[key].as_u64().unwrap();
        let (warmup_steps, total_steps) = (steps("warmup_steps"), steps("total_steps"));
        let schedule = match case["kind"].as_str().unwrap() {
            "constant" => Schedule::Constant { warmup_steps },
            "linear" => Schedule::Linear {
                warmup_steps,
                total_steps,
            },
            _ => Schedule::Cosine {
                warmup_steps,
                total_steps,
            },
        };
        let expected = case["factors"].as_array().unwrap();
        assert!(expected.len() > 40);
        for (step, expected) in (0..).zip(expected) {
            let (found, expected) = (schedule.factor(step), expected.as_f64().unwrap());
            // Cosines may differ in the last bit.
            let bound = match schedule {
                Schedule::Cosine { .. } => f64::EPSILON,
                _ => 0.0,
            };
            assert!(
                (found - expected).abs() <= bound,
                "{schedule:?} {step}: {found} {expected}"
            );
        }
    }
}

/// However a parameter is divided, its bits are the same.
#[test]
fn a_parameter_may_be_updated_in_parts() {
    fn check<F: Real + std::fmt::Debug>() {
        let goldens = Goldens::open();
        let (start, gradients) = (
            goldens.shared::<F>("start"),
            goldens.shared::<F>("gradients"),
        );
        let gradient = &gradients[..start.len()];
        let rates = Rates::new(0.1, 0.01).unwrap();
        let adam_w = AdamW::default().update(3, rates).unwrap();
        let sgd = Sgd::new(0.9).unwrap().update(rates);
        let whole = [start.len()];
        let parts = [1, 16, 0, 31, 7, 28];
        let updated = [&whole[..], &parts[..]].map(|lengths| {
            let (mut values, mut first, mut second) = (start.clone(), start.clone(), start.clone());
            // Squares are never below zero.
            second.iter_mut().for_each(|entry| *entry *= *entry);
            let mut from = 0;
            for length in lengths {
                let part = from..from + length;
                from = part.end;
                let gradient = &gradient[part.clone()];
                let (values, first) = (&mut values[part.clone()], &mut first[part.clone()]);
                let second = &mut second[part];
                adam_w.apply(values, gradient, first, second).unwrap();
                sgd.apply(values, gradient, first).unwrap();
            }
            assert_eq!(from, start.len());
            (values, first, second)
        });
        assert_eq!(updated[0], updated[1]);
        assert!(updated[0].0.iter().all(|value| value.to_f64().is_finite()));
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn sums_of_squares_have_every_entry() {
    for length in 0..70 {
        let entries: Vec<f32> = (0..length).map(|entry| entry as f32).collect();
        let expected: f64 = (0..length).map(|entry| f64::from(entry * entry)).sum();
        assert_eq!(sum_of_squares(&entries), expected);
        for at in 0..entries.len() {
            let mut entries = entries.clone();
            entries[at] = f32::NEG_INFINITY;
            assert_eq!(sum_of_squares(&entries), f64::INFINITY);
            assert_eq!(first_non_finite(&entries), Some(at));
            entries[at] = f32::NAN;
            assert!(sum_of_squares(&entries).is_nan());
            assert_eq!(first_non_finite(&entries), Some(at));
        }
    }
    assert!(sum_of_squares(&[f32::MAX; 100]).is_finite());
}

#[test]
fn what_is_out_of_range_is_refused() {
    fn refused<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    refused(
        Rates::new(-0.1, 0.0),
        "expected finite learning rate of at least 0, found -0.1",
    );
    refused(
        Rates::new(f64::INFINITY, 0.0),
        "expected finite learning rate of at least 0, found inf",
    );
    refused(
        Rates::new(0.1, f64::NAN),
        "expected finite weight decay of at least 0, found NaN",
    );
    refused(
        Rates::new(0.1, 0.0).unwrap().scaled(-1.0),
        "expected finite learning rate of at least 0, found -0.1",
    );
    refused(
        Sgd::new(1.0),
        "expected momentum of at least 0 and below 1, found 1",
    );
    refused(
        AdamW::new([1.5, 0.9], 1e-8),
        "expected first beta of at least 0 and below 1, found 1.5",
    );
    refused(
        AdamW::new([0.9, -0.5], 1e-8),
        "expected second beta of at least 0 and below 1, found -0.5",
    );
    refused(
        AdamW::new([0.9, 0.9], -1.0),
        "expected finite epsilon of at least 0, found -1",
    );
    let rates = Rates::new(0.1, 0.0).unwrap();
    refused(
        AdamW::default().update::<f32>(0, rates),
        "expected finite step number of at least 1, found 0",
    );
    refused(
        clip_factor(f64::NAN, 1.0),
        "expected finite largest gradient norm of at least 0, found NaN",
    );
    refused(
        clip_factor(1.0, f64::INFINITY),
        "expected finite gradient norm of at least 0, found inf",
    );
}

#[test]
fn slices_of_another_length_are_refused_and_nothing_is_changed() {
    let rates = Rates::new(0.1, 0.1).unwrap();
    let refused = |what| {
        Err(Error::Length {
            what,
            expected: 3,
            found: 2,
        })
    };
    let update = AdamW::default().update::<f32>(1, rates).unwrap();
    for (what, lengths) in [
        ("gradient", [2, 3, 3]),
        ("first moment", [3, 2, 3]),
        ("second moment", [3, 3, 2]),
    ] {
        let [gradient, mut first, mut second] = lengths.map(|length| vec![1.0; length]);
        let mut values = [1.0; 3];
        let found = update.apply(&mut values, &gradient, &mut first, &mut second);
        assert_eq!(found, refused(what));
        assert!(
            values
                .iter()
                .chain(&first)
                .chain(&second)
                .all(|v| *v == 1.0)
        );
    }
    let mut values = [1.0; 3];
    let update = Sgd::new(0.5).unwrap().update::<f64>(rates);
    let found = update.apply(&mut values, &[1.0; 2], &mut [1.0; 3]);
    assert_eq!(found, refused("gradient"));
    let found = update.apply(&mut values, &[1.0; 3], &mut [1.0; 2]);
    assert_eq!(found, refused("velocity"));
    let plain = Sgd::default().update::<f64>(rates);
    let found = plain.apply(&mut values, &[1.0; 3], &mut [1.0; 2]);
    let expected = Error::Length {
        what: "velocity",
        expected: 0,
        found: 2,
    };
    assert_eq!(found, Err(expected));
    assert_eq!(values, [1.0; 3]);
}
