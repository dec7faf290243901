//! What the firmware holds itself against: the same training on the host, and one of PEFT's ΔW.
//!
//! The wavelet is the one that the environment's `WAVEFT_WAVELET` names, `none` for none.

use learning::{Learner, Memory, STEPS, scratch_len};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use waveft_core::filter_bank::Wavelet;

const GOLDENS: &str = "../../waveft-core/tests/data/delta.safetensors";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed={GOLDENS}");
    println!("cargo:rerun-if-env-changed=WAVEFT_WAVELET");
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    let name = std::env::var("WAVEFT_WAVELET").unwrap_or_else(|_| "db4".into());
    let wavelet = (name != "none").then(|| Wavelet::from_name(&name).unwrap());
    let text = wavelet_text(wavelet) + &training_text(wavelet) + &golden_text(wavelet);
    let out = std::env::var_os("OUT_DIR").unwrap();
    std::fs::write(Path::new(&out).join("expected.rs"), text).unwrap();
}

/// Names one wavelet, so that no other is linked.
fn wavelet_text(wavelet: Option<&Wavelet>) -> String {
    let bank = wavelet.map(|wavelet| {
        let constant = wavelet.name().replace('.', "_").to_uppercase();
        format!("waveft_core::filter_bank::wavelets::{constant}.single()")
    });
    let bank = bank.map_or("None".into(), |bank| format!("Some({bank})"));
    format!(
        "pub const BANK: Option<waveft_core::filter_bank::FilterBank<'static, f32>> = {bank};\n"
    )
}

fn training_text(wavelet: Option<&Wavelet>) -> String {
    let mut memory = Memory::new();
    let mut learner = Learner::new(wavelet.map(|wavelet| wavelet.single()), &mut memory).unwrap();
    let mut scratch = vec![0.0; scratch_len(wavelet.map_or(1, Wavelet::taps))];
    let before = learner.correct(&mut scratch).unwrap();
    let losses: Vec<f32> = (0..STEPS)
        .map(|_| learner.step(&mut scratch).unwrap())
        .collect();
    let after = learner.correct(&mut scratch).unwrap();
    let [hidden, output] = learner.coefficients();
    let mut text = format!("pub const CORRECT: [usize; 2] = [{before}, {after}];\n");
    for (name, values) in [
        ("LOSSES", &losses[..]),
        ("HIDDEN", hidden),
        ("OUTPUT", output),
    ] {
        text += &floats(name, values);
    }
    text
}

/// The first f32 case of the wavelet whose ΔW is not transposed and has 16 rows or more.
fn golden_text(wavelet: Option<&Wavelet>) -> String {
    let bytes = std::fs::read(GOLDENS).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases = &metadata.metadata().as_ref().unwrap()["cases"];
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    let fits = |case: &&Value| {
        let same = match wavelet {
            Some(wavelet) => case["wavelet"] == wavelet.name() && case["use_idwt"] == true,
            None => case["use_idwt"] == false,
        };
        let whole = case["dtype"] == "f32" && case["fan_in_fan_out"] == false;
        same && whole && case["rows"].as_u64() >= Some(16)
    };
    let case = cases
        .iter()
        .find(fits)
        .expect("PEFT has filters for db1-10, sym2-10 and coif1-3");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &str| -> Vec<f32> {
        let name = format!("{}.{name}", case["name"].as_str().unwrap());
        let bytes = tensors.tensor(&name).unwrap().data().as_chunks().0;
        bytes.iter().copied().map(f32::from_le_bytes).collect()
    };
    let seed = case["seed"].as_str().unwrap().parse::<i128>().unwrap() as u64;
    let mut text = format!("pub const SEED: u64 = {seed};\n");
    writeln!(
        text,
        "pub const SCALING: f32 = {:?};",
        case["scaling"].as_f64().unwrap()
    )
    .unwrap();
    for (name, key) in [("ROWS", "rows"), ("COLUMNS", "cols"), ("COUNT", "n")] {
        writeln!(text, "pub const {name}: usize = {};", case[key]).unwrap();
    }
    text + &floats("SPECTRUM", &tensor("spectrum")) + &floats("DELTA", &tensor("delta"))
}

fn floats(name: &str, values: &[f32]) -> String {
    format!("pub static {name}: [f32; {}] = {values:?};\n", values.len())
}
