//! The finetune example's own code: its network with an adapter is PEFT's, and it learns.

#[path = "../examples/finetune/baselines.rs"]
#[allow(dead_code)]
mod baselines;
#[path = "../examples/finetune/cross_entropy.rs"]
mod cross_entropy;
#[path = "../examples/finetune/digits.rs"]
mod digits;
#[path = "../examples/finetune/network.rs"]
mod network;
#[path = "../examples/finetune/training.rs"]
mod training;

use std::fs;
use std::path::{Path, PathBuf};

use baselines::{Baselines, Settings};
use cross_entropy::judge;
use digits::{CLASSES, Images, Part, Pose};
use network::{Network, fresh_adapter};
use rayon::ThreadPoolBuilder;
use serde_json::Value;
use training::fine_tune;
use waveft_core::optimiser::{Rates, Sgd};
use waveft_core::schedule::Schedule;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Checkpoint;
use waveft_std::training::{Optimiser, Progress, Trainer};
use waveft_std::{Error, Result};

/// Trained by PEFT, and by the example; each with PEFT's logits.
const GOLDENS: [&str; 2] = ["digits_adapter", "finetune_adapter"];

/// Logits go up to 30, and each is off by the roundings of three sums in f32: both goldens are within 2e-5.
const LOGITS_BOUND: f32 = 1e-4;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn base() -> PathBuf {
    digits::file("base.safetensors")
}

fn fresh() -> Adapter {
    fresh_adapter(&base(), &digits::file("adapter_config.json")).unwrap()
}

fn images(part: Part) -> Images {
    Images::read(part, Pose::Turned).unwrap()
}

fn logits_of_peft(name: &str) -> Vec<f32> {
    let file = Checkpoint::open(golden(name).join("logits.safetensors")).unwrap();
    let tensor = file.tensor("logits").unwrap();
    let values = tensor.bytes.as_chunks().0.iter();
    values.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[test]
fn with_either_adapter_the_network_is_pefts() {
    let held_out = images(Part::HeldOut);
    assert_eq!(held_out.labels.len(), 450);
    for name in GOLDENS {
        let adapter = Adapter::read(golden(name)).unwrap();
        let network = Network::read(&base(), &adapter).unwrap();
        let found = network.logits(&held_out.pixels).unwrap();
        let expected = logits_of_peft(name);
        assert_eq!(
            (found.len(), expected.len()),
            (450 * CLASSES, 450 * CLASSES)
        );
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let is_near = (found - expected).abs() <= LOGITS_BOUND;
            assert!(is_near, "{name}, logit {at}: {found} for {expected}");
        }
        let found = network.judge(&held_out).unwrap();
        let expected = judge(&expected, &held_out.labels);
        assert!((found.loss - expected.loss).abs() < 1e-6, "{name}");
        assert_eq!(found.accuracy, expected.accuracy, "{name}");
    }
}

#[test]
fn losses_and_accuracies_are_those_that_torch_tells() {
    let json = fs::read(digits::file("baselines.json")).unwrap();
    let told: Value = serde_json::from_slice(&json).unwrap();
    let is_told = |adapter: &Adapter, pose: Pose, told: &Value| {
        let network = Network::read(&base(), adapter).unwrap();
        let images = Images::read(Part::HeldOut, pose).unwrap();
        let found = network.judge(&images).unwrap();
        let off = |key: &str, found: f64| (found - told[key].as_f64().unwrap()).abs();
        // Curves have five digits of losses and four of accuracies, of which an image is 0.0022.
        assert!(off("loss", found.loss) < 1e-5, "{told} {}", found.loss);
        assert!(
            off("accuracy", found.accuracy) < 1e-4,
            "{told} {}",
            found.accuracy
        );
    };
    is_told(&fresh(), Pose::Upright, &told["before"]["upright"]);
    is_told(&fresh(), Pose::Turned, &told["before"]["rotated"]);
    assert_eq!(told["methods"][0]["method"], "waveft");
    let last = told["methods"][0]["curve"].as_array().unwrap().last();
    let trained = Adapter::read(golden("digits_adapter")).unwrap();
    is_told(&trained, Pose::Turned, last.unwrap());
}

/// One step of plain SGD follows the gradient, so a small one lowers the loss by rate · |gradient|².
#[test]
fn a_small_step_keeps_what_the_gradient_promises() {
    const RATE: f64 = 1e-8;
    let first: Vec<u64> = (0..32).collect();
    let batch = images(Part::Training).select(&first);
    let mut network = Network::read(&base(), &fresh()).unwrap();
    let rates = Rates::new(RATE, 0.0).unwrap();
    let schedule = Schedule::Constant { warmup_steps: 0 };
    let sgd = Optimiser::Sgd(Sgd::default());
    let mut trainer = Trainer::new(sgd, schedule, vec![rates, rates]);
    let before = network.judge(&batch).unwrap().loss;
    let mut promised = 0.0;
    let report = |progress: &Progress| promised = RATE * progress.gradient_norm.powi(2);
    network.train(&batch, &mut trainer, report).unwrap();
    let kept = before - network.judge(&batch).unwrap().loss;
    assert!((kept / promised - 1.0).abs() < 0.01, "{kept} of {promised}");
}

/// Two epochs of training: the adapter, the network's logits, and the loss and accuracy after each epoch.
fn short_run() -> (Adapter, Vec<f32>, Vec<(f64, f64)>) {
    let baselines = Baselines::read().unwrap();
    let settings = Settings {
        epochs: 2,
        ..baselines.training
    };
    let learning_rate = baselines.method("waveft").unwrap().lr;
    let (training, held_out) = (images(Part::Training), images(Part::HeldOut));
    let mut adapter = fresh();
    let mut network = Network::read(&base(), &adapter).unwrap();
    let mut course = Vec::new();
    let after_epoch = |epoch: &baselines::Epoch| {
        course.push((epoch.loss, epoch.accuracy));
        Ok(())
    };
    let trained: Result<()> = fine_tune(
        &mut network,
        settings,
        learning_rate,
        (&training, &held_out),
        after_epoch,
    );
    trained.unwrap();
    network.store(&mut adapter).unwrap();
    (adapter, network.logits(&held_out.pixels).unwrap(), course)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_short_run_learns_and_is_the_same_from_its_file_and_on_any_number_of_threads() {
    let with_threads = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(short_run)
    };
    let (adapter, logits, course) = with_threads(1);
    let [(first, _), (second, accuracy)] = course[..] else {
        panic!("{course:?}");
    };
    // From a loss of 16.7 and an accuracy of 11.8 %.
    assert!(first < 8.0 && second < 0.6 && accuracy > 0.8, "{course:?}");
    let spectra = adapter.spectra().iter().map(|spectrum| spectrum.len());
    assert_eq!(spectra.sum::<usize>(), 2122);

    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path()).unwrap();
    let read = Adapter::read(folder.path()).unwrap();
    let network = Network::read(&base(), &read).unwrap();
    let again = network.logits(&images(Part::HeldOut).pixels).unwrap();
    assert_eq!(bits(&again), bits(&logits));
    assert_eq!(bits(&with_threads(3).1), bits(&logits));
}

#[test]
fn an_adapter_without_a_layers_spectrum_is_refused() {
    let config = fresh()
        .config()
        .with("target_modules", Value::from(vec!["fc1", "fc2"]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter_config.json");
    fs::write(&path, config.unwrap().json()).unwrap();
    let adapter = fresh_adapter(&base(), &path).unwrap();
    let error = Network::read(&base(), &adapter).err().unwrap();
    assert!(
        matches!(&error, Error::Module { module, .. } if module == "fc3"),
        "{error}"
    );
}
