//! Adapters for layers of tests.

use serde_json::{Value, json};
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Dtype;
use waveft_std::config::AdapterConfig;
use waveft_std::layer::{LayerSpec, LayerUpdate, prepare};
use waveft_std::target_modules::ModuleShape;

/// An adapter, with these keys in its configuration, of modules `(path, outputs, inputs)` with these spectra, and what it
/// changes in each of them.
pub(crate) fn prepared(
    keys: Value,
    modules: &[(&str, usize, usize)],
    spectra: &[Vec<f32>],
) -> (Adapter, Vec<LayerUpdate>) {
    let mut config =
        json!({"peft_type": "WAVEFT", "target_modules": [], "n_frequency_pattern": {}});
    let object = config.as_object_mut().unwrap();
    object.extend(keys.as_object().unwrap().clone());
    for ((path, ..), spectrum) in modules.iter().zip(spectra) {
        let targets = config["target_modules"].as_array_mut().unwrap();
        targets.push((*path).into());
        config["n_frequency_pattern"][path] = spectrum.len().into();
    }
    let config = AdapterConfig::parse(config.to_string()).unwrap();
    let shapes: Vec<ModuleShape> = (modules.iter())
        .map(|&(path, out_features, in_features)| ModuleShape {
            path: path.to_owned(),
            out_features,
            in_features,
        })
        .collect();
    let mut adapter = Adapter::create(config, &shapes).unwrap();
    for ((path, ..), spectrum) in modules.iter().zip(spectra) {
        adapter.set_spectrum(path, spectrum).unwrap();
    }
    let updates = updates(&adapter, modules);
    (adapter, updates)
}

/// What the adapter changes in the modules, in their order.
pub(crate) fn updates(adapter: &Adapter, modules: &[(&str, usize, usize)]) -> Vec<LayerUpdate> {
    let specs: Vec<LayerSpec<'_>> = (modules.iter())
        .map(|&(path, outputs, inputs)| LayerSpec {
            config: adapter.config(),
            spectrum: (adapter.spectra().iter())
                .find(|spectrum| spectrum.module() == path)
                .unwrap(),
            stored: match adapter.config().fan_in_fan_out() {
                true => (inputs, outputs),
                false => (outputs, inputs),
            },
            dtype: Dtype::F32,
        })
        .collect();
    prepare(&specs).unwrap()
}

/// Numbers between -1 and 1 that differ with the key, and that bf16 and f16 hold exactly.
pub(crate) fn numbers(length: usize, key: u64) -> Vec<f32> {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) % 255
    };
    (0..length)
        .map(|_| (next() as f32 - 127.0) / 128.0)
        .collect()
}
