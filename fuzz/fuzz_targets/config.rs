//! Any bytes as `adapter_config.json`: what is accepted can be written and read again as the same value, and module
//! matching ends.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use waveft_std::adapter::Adapter;
use waveft_std::config::AdapterConfig;
use waveft_std::target_modules::{ModuleShape, select_modules};

/// Paths as models have them, with repeated parts for expressions that try many ways.
const PATHS: [&str; 7] = [
    "model.layers.0.self_attn.q_proj",
    "model.layers.1.self_attn.q_proj",
    "model.layers.1.mlp.experts.3.up_proj",
    "bert.encoder.layer.10.attention.self.query",
    "classifier",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.a.a",
    "h.0.é",
];

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("adapter_config.json");
    fs::write(&path, bytes).expect("a file");
    let read = AdapterConfig::read(&path);
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(read.is_err());
        return;
    };
    let parsed = AdapterConfig::parse(text);
    let (Ok(read), Ok(config)) = (&read, &parsed) else {
        assert!(read.is_err() && parsed.is_err());
        return;
    };
    assert_eq!(config.json(), text);
    assert_same(read, config);
    let peft_type = config.keys()["peft_type"].clone();
    let written = config
        .with("peft_type", peft_type)
        .expect("a configuration written anew is accepted");
    assert_same(&written, config);

    let modules = PATHS.map(|path| ModuleShape {
        path: path.to_owned(),
        out_features: 7,
        in_features: 5,
    });
    let Ok(selected) = select_modules(config, &modules) else {
        assert!(Adapter::create(config.clone(), &modules).is_err());
        return;
    };
    assert!(!selected.is_empty());
    let mut rest = modules.iter();
    for module in &selected {
        assert!(
            rest.any(|given| given.path == module.path),
            "given, and in order"
        );
        assert!((1..=35).contains(&module.n_frequency));
    }
    let adapter = Adapter::create(config.clone(), &modules).expect("modules were selected");
    assert_eq!(adapter.spectra().len(), selected.len());
});

fn assert_same(one: &AdapterConfig, other: &AdapterConfig) {
    assert_eq!(one.keys(), other.keys());
    assert!(one.keys().keys().eq(other.keys().keys()), "keys in order");
    assert_eq!(read_values(one), read_values(other));
}

/// All that is read from the keys, as text.
fn read_values(config: &AdapterConfig) -> String {
    format!(
        "{:?}",
        (
            (
                config.n_frequency(),
                config.scaling().to_bits(),
                config.wavelet().name(),
                config.use_idwt(),
                config.random_loc_seed(),
                config.fan_in_fan_out(),
                config.target_modules(),
                config.exclude_modules(),
                config.bias(),
            ),
            (
                config.modules_to_save(),
                config.layers_to_transform(),
                config.layers_pattern(),
                config.n_frequency_pattern(),
                config.proportional_parameters(),
                config.init_weights(),
                config.task_type(),
                config.base_model_name_or_path(),
            ),
        )
    )
}
