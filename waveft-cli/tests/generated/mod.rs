//! Bases and adapters of any size, made for one test.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

/// Names of modules.
pub(crate) fn modules(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("layers.{n}.proj")).collect()
}

/// Writes a file with one f32 weight of `side × side` for each module; the weights are a hole, which takes no disk space.
pub(crate) fn write_base(path: &Path, modules: &[String], side: usize) -> File {
    let bytes = 4 * side * side;
    let tensors = modules
        .iter()
        .map(|module| (format!("{module}.weight"), vec![side, side], bytes));
    let mut file = File::create_new(path).unwrap();
    let (header, length) = header(tensors);
    file.write_all(&header).unwrap();
    file.set_len((header.len() + length) as u64).unwrap();
    file
}

/// Writes an adapter's folder with `n` coefficients for each module.
pub(crate) fn write_adapter(folder: &Path, modules: &[String], wavelet: &str, n: usize) {
    fs::create_dir(folder).unwrap();
    let config = json!({
        "peft_type": "WAVEFT", "wavelet_family": wavelet, "n_frequency": n, "target_modules": ["proj"],
    });
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let name = |module| format!("base_model.model.{module}.waveft_spectrum");
    let tensors = modules.iter().map(|module| (name(module), vec![n], 4 * n));
    let (mut bytes, _) = header(tensors);
    for k in 0..modules.len() * n {
        bytes.extend((k as f32 + 1.0).to_le_bytes());
    }
    fs::write(folder.join("adapter_model.safetensors"), bytes).unwrap();
}

/// A safetensors file's beginning, and the length of what follows it.
fn header(tensors: impl Iterator<Item = (String, Vec<usize>, usize)>) -> (Vec<u8>, usize) {
    let (mut entries, mut end) = (Map::new(), 0);
    for (name, shape, bytes) in tensors {
        let offsets = [end, end + bytes];
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": offsets});
        entries.insert(name, entry);
        end += bytes;
    }
    let mut json = Value::Object(entries).to_string();
    while !json.len().is_multiple_of(8) {
        json.push(' ');
    }
    let size = (json.len() as u64).to_le_bytes();
    ([&size, json.as_bytes()].concat(), end)
}
