//! Real weights: a real adapter merged into all-MiniLM-L6-v2, and into the two of its layers that are in `demo/`, held
//! against what PEFT makes of them (`tools/minilm_goldens.py`).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::{Value, json};
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Checkpoint;
use waveft_std::merge::Merge;
use waveft_std::{in_place, rewrite};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn real_adapter() -> Adapter {
    Adapter::read(project("waveft-std/tests/data/minilm-fortunes-adapter")).unwrap()
}

fn golden(name: &str) -> Vec<Value> {
    let path = project("waveft-std/tests/data").join(name);
    let golden: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    golden["cases"].as_array().unwrap().clone()
}

fn fnv1a64(bytes: &[u8]) -> String {
    let state = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |state, &byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{state:016x}")
}

/// The adapted weights of `merged` are PEFT's, all other tensors of `base` are untouched; `prefix` is what the names in
/// the base lack.
///
/// Where one atom alone covers an entry, the bits are PEFT's. Where two do, PEFT's convolution may round their sum
/// otherwise than ours: each side then rounds two products, the sum, the scaling and the merged weight, each by at most
/// half of `EPSILON`, so they differ by at most `EPSILON · (3 · Σ|atom| + |merged|)`.
fn assert_merged_as_peft(base: &Checkpoint, merged: &Checkpoint, cases: &[Value], prefix: &str) {
    for case in cases {
        assert!(base.tensor(case["name"].as_str().unwrap()).is_some());
    }
    for tensor in base.tensors() {
        let name = tensor.name;
        let ours = merged.tensor(&format!("{prefix}{name}")).unwrap();
        assert_eq!((ours.dtype, ours.shape), (tensor.dtype, tensor.shape));
        let Some(case) = cases.iter().find(|case| case["name"] == name) else {
            assert!(ours.bytes == tensor.bytes, "{name} was changed");
            continue;
        };
        assert_eq!(case["base"], fnv1a64(tensor.bytes), "{name}: another base");
        let mut alone = ours.bytes.to_vec();
        for shared in case["shared"].as_array().unwrap() {
            let at = 4 * shared[0].as_u64().unwrap() as usize;
            let theirs = u32::from_str_radix(shared[1].as_str().unwrap(), 16).unwrap();
            let theirs = f32::from_bits(theirs);
            let our = f32::from_le_bytes(alone[at..at + 4].try_into().unwrap());
            let atoms = shared[2].as_f64().unwrap() as f32;
            assert!(
                (our - theirs).abs() <= f32::EPSILON * (3.0 * atoms + theirs.abs()),
                "{name}: {our} for {theirs}, byte {at}"
            );
            alone[at..at + 4].fill(0);
        }
        assert_eq!(case["alone"], fnv1a64(&alone), "{name}: not PEFT's bits");
        let entries = ours.bytes.chunks(4).zip(tensor.bytes.chunks(4));
        let changed = entries.filter(|(ours, before)| ours != before).count();
        assert_eq!(case["changed"], changed, "{name}");
    }
}

#[test]
fn the_demo_merges_as_peft_merges_it_and_back() {
    let (base, adapter) = (project("demo/base.safetensors"), project("demo/adapter"));
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("base.safetensors");
    fs::copy(&base, &copy).unwrap();
    let adapters = [Adapter::read(adapter).unwrap()];
    let opened = Checkpoint::open(&copy).unwrap();
    let merge = Merge::new(&opened, &adapters, true).unwrap();
    let cases = golden("minilm-demo.json");
    assert_eq!((cases.len(), merge.adapted().count()), (4, 4));

    let output = folder.path().join("merged.safetensors");
    rewrite::write_to(&opened, &merge.edits(), &output, &()).unwrap();
    let merged = Checkpoint::open(&output).unwrap();
    assert_eq!(merged.len(), opened.len());
    assert_merged_as_peft(&opened, &merged, &cases, "");

    in_place::apply(opened, &merge.edits(), &json!({}), &()).unwrap();
    assert!(fs::read(&copy).unwrap() == fs::read(&output).unwrap());
    in_place::roll_back(&copy, &()).unwrap();
    assert!(fs::read(&copy).unwrap() == fs::read(&base).unwrap());
}

#[test]
fn the_demo_is_part_of_the_real_adapter() {
    let demo = Adapter::read(project("demo/adapter")).unwrap();
    let real = real_adapter();
    for spectrum in demo.spectra() {
        let all = real.spectra().iter();
        let same = all.filter(|other| other.key() == spectrum.key());
        assert!(same.map(|other| other.to_f32()).eq([spectrum.to_f32()]));
    }
    for key in ["scaling", "wavelet_family", "random_loc_seed", "use_idwt"] {
        assert_eq!(demo.config().keys()[key], real.config().keys()[key]);
    }
}

/// Where `tools/minilm.sh` puts the real base; `None`, after saying so, when it has not been fetched.
fn minilm() -> Option<PathBuf> {
    let folder = env::var("WAVEFT_MINILM").unwrap_or_else(|_| "target/minilm".to_owned());
    let folder = project(&folder);
    if folder.join("model.safetensors").exists() {
        return Some(folder);
    }
    // Not `eprintln!`, whose output the test harness keeps to itself when a test passes.
    let message = "all-MiniLM-L6-v2 is absent, so merging into it was not tested; tools/minilm.sh fetches it\n";
    io::stderr().write_all(message.as_bytes()).unwrap();
    None
}

#[test]
fn minilm_merges_as_peft_merges_it() {
    let Some(folder) = minilm() else { return };
    let base = Checkpoint::open(&folder).unwrap();
    let adapters = [real_adapter()];
    let merge = Merge::new(&base, &adapters, true).unwrap();
    let cases = golden("minilm-merged.json");
    assert_eq!((cases.len(), merge.adapted().count()), (12, 12));

    let outputs = tempfile::tempdir().unwrap();
    let output = outputs.path().join("merged");
    rewrite::write_to(&base, &merge.edits(), &output, &()).unwrap();
    let merged = Checkpoint::open(&output).unwrap();
    assert_merged_as_peft(&base, &merged, &cases, "bert.");
    // The trained head comes with the adapter.
    let added: Vec<&str> = merge.added().collect();
    assert_eq!(added, ["classifier.bias", "classifier.weight"]);
    assert_eq!(merged.len(), base.len() + added.len());
    for head in adapters[0].tensors() {
        let ours = merged.tensor(head.name()).unwrap();
        assert_eq!(ours.shape, head.shape());
        assert!(ours.bytes == head.bytes(), "{}", head.name());
    }
    for file in ["config.json", "tokenizer.json"] {
        assert!(fs::read(output.join(file)).unwrap() == fs::read(folder.join(file)).unwrap());
    }
}
