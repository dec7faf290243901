//! Configurations: what is kept, what is refused.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use waveft_core::filter_bank::wavelets;
use waveft_std::Error;
use waveft_std::config::{AdapterConfig, Bias, ModuleNames};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn parse(mut keys: Value) -> Result<AdapterConfig, Error> {
    keys["peft_type"] = json!("WAVEFT");
    AdapterConfig::parse(keys.to_string())
}

#[test]
fn pefts_files_are_kept_byte_for_byte() {
    let path = data().join("minilm-fortunes-adapter/adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let config = AdapterConfig::read(&path).unwrap();
    assert_eq!(config.json(), text);
    assert_eq!(config.path(), path);
    assert_eq!(config.n_frequency(), 1024);
    assert_eq!(
        config.modules_to_save(),
        ["classifier", "classifier", "score"]
    );
    assert_eq!(config.task_type(), Some("SEQ_CLS"));
    assert_eq!(
        config.base_model_name_or_path(),
        Some("sentence-transformers/all-MiniLM-L6-v2")
    );
    // A change leaves the rest, in PEFT's format.
    let same = config.with("n_frequency", 1024.into()).unwrap();
    assert_eq!(same.json(), text);
    let other = config.with("n_frequency", 7.into()).unwrap();
    assert_eq!(other.json(), text.replace("1024", "7"));
    assert_eq!(other.n_frequency(), 7);
}

#[test]
fn unknown_keys_and_their_order_are_kept() {
    let text =
        r#"{"zebra": {"b": 1, "a": [null, 1.5e-7]}, "peft_type": "WAVEFT", "aardvark": "\u00e9"}"#;
    let config = AdapterConfig::parse(text).unwrap();
    assert_eq!(config.json(), text);
    let keys: Vec<_> = config.keys().keys().collect();
    assert_eq!(keys, ["zebra", "peft_type", "aardvark"]);
    let changed = config.with("scaling", 2.into()).unwrap();
    let value: Value = serde_json::from_str(changed.json()).unwrap();
    assert_eq!(value["zebra"], json!({"b": 1, "a": [null, 1.5e-7]}));
    assert_eq!(
        value.as_object().unwrap().keys().next_back().unwrap(),
        "scaling"
    );
}

#[test]
fn missing_keys_have_pefts_defaults() {
    let config = parse(json!({})).unwrap();
    assert_eq!(config.n_frequency(), 2592);
    assert_eq!(config.scaling(), 25.0);
    assert_eq!(config.wavelet(), &wavelets::DB1);
    assert!(config.use_idwt());
    assert_eq!(config.random_loc_seed(), 777);
    assert!(!config.fan_in_fan_out());
    assert_eq!(config.target_modules(), None);
    assert_eq!(config.exclude_modules(), None);
    assert_eq!(config.bias(), Bias::None);
    assert!(config.modules_to_save().is_empty());
    assert!(config.layers_to_transform().is_empty());
    assert!(config.layers_pattern().is_empty());
    assert!(config.n_frequency_pattern().is_empty());
    assert!(!config.proportional_parameters());
    assert!(config.init_weights());
}

#[test]
fn values_are_read() {
    let config = parse(json!({
        "scaling": 3, "use_idwt": false, "fan_in_fan_out": true, "bias": "waveft_only", "target_modules": ["a", "b"],
        "exclude_modules": "x|y", "layers_to_transform": 4, "layers_pattern": "h", "proportional_parameters": true,
        "init_weights": false, "n_frequency_pattern": {"z": 3, "a": 1},
    }))
    .unwrap();
    assert_eq!(config.scaling(), 3.0);
    assert!(!config.use_idwt());
    assert!(config.fan_in_fan_out());
    assert_eq!(config.bias(), Bias::WaveftOnly);
    let list = ModuleNames::List(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(config.target_modules(), Some(&list));
    assert_eq!(
        config.exclude_modules(),
        Some(&ModuleNames::Regex("x|y".to_owned()))
    );
    assert_eq!(config.layers_to_transform(), [4]);
    assert_eq!(config.layers_pattern(), ["h"]);
    assert_eq!(
        config.n_frequency_pattern(),
        [("z".to_owned(), 3), ("a".to_owned(), 1)]
    );
    assert!(config.proportional_parameters());
    assert!(!config.init_weights());
}

#[test]
fn scaling_is_the_nearest_f64() {
    // Digits on which a parser that is not exact errs.
    for digits in [
        "0.3",
        "2.7133521e-5",
        "9007199254740993.0",
        "1.7976931348623157e308",
        "5e-324",
        "0.1E1",
    ] {
        let text = format!(r#"{{"peft_type": "WAVEFT", "scaling": {digits}}}"#);
        let scaling = AdapterConfig::parse(text).unwrap().scaling();
        assert_eq!(
            scaling.to_bits(),
            digits.parse::<f64>().unwrap().to_bits(),
            "{digits}"
        );
    }
}

#[test]
fn seeds_are_twos_complement() {
    let seed = |text: &str| {
        let config = AdapterConfig::parse(format!(
            r#"{{"peft_type": "WAVEFT", "random_loc_seed": {text}}}"#
        ));
        config.map(|config| config.random_loc_seed())
    };
    assert_eq!(seed("-1").unwrap(), u64::MAX);
    assert_eq!(seed("-9223372036854775808").unwrap(), 1 << 63);
    assert_eq!(seed("18446744073709551615").unwrap(), u64::MAX);
    assert_eq!(seed("9223372036854775819").unwrap(), (1 << 63) + 11);
    for outside in [
        "-9223372036854775809",
        "18446744073709551616",
        "1.0",
        "\"1\"",
        "null",
        "true",
    ] {
        let error = seed(outside).unwrap_err().to_string();
        assert!(
            error.contains("expected an integer from -2^63 to 2^64 - 1"),
            "{error}"
        );
    }
}

#[test]
fn every_discrete_wavelet_is_accepted() {
    for wavelet in &wavelets::ALL {
        let config = parse(json!({"wavelet_family": wavelet.name()})).unwrap();
        let expected = match wavelet.name() {
            "coif4" => &wavelets::PEFT_COIF4,
            _ => wavelet,
        };
        assert_eq!(config.wavelet(), expected);
    }
    for unknown in ["db0", "db39", "peft-coif4", "DB1", "morl", "", "db1 "] {
        let error = parse(json!({"wavelet_family": unknown}))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected a discrete wavelet of PyWavelets (haar, db1 to db38, "),
            "{error}"
        );
        assert!(error.ends_with(&format!("found {unknown:?}")), "{error}");
    }
}

#[test]
fn wrong_values_are_refused() {
    let refused = [
        ("n_frequency", json!(0)),
        ("n_frequency", json!(-1)),
        ("n_frequency", json!(1.5)),
        ("n_frequency", json!(null)),
        ("n_frequency", json!(true)),
        ("scaling", json!("1")),
        ("scaling", json!(null)),
        ("wavelet_family", json!(null)),
        ("use_idwt", json!(1)),
        ("fan_in_fan_out", json!("false")),
        ("target_modules", json!(1)),
        ("target_modules", json!(["a", 1])),
        ("target_modules", json!({})),
        ("exclude_modules", json!([null])),
        ("bias", json!("lora_only")),
        ("bias", json!(null)),
        ("modules_to_save", json!("classifier")),
        ("modules_to_save", json!([1])),
        ("layers_to_transform", json!("1")),
        ("layers_to_transform", json!([1.5])),
        ("layers_pattern", json!(1)),
        ("layers_pattern", json!([1])),
        ("n_frequency_pattern", json!([])),
        ("n_frequency_pattern", json!({"q": 0})),
        ("n_frequency_pattern", json!({"q": "1"})),
        ("proportional_parameters", json!(0)),
        ("init_weights", json!("gaussian")),
        ("task_type", json!(1)),
        ("base_model_name_or_path", json!([])),
    ];
    for (key, value) in refused {
        let error = parse(json!({key: value})).unwrap_err();
        let Error::Config { key: found, .. } = &error else {
            panic!("{key}: {error}");
        };
        assert_eq!(found, key);
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn null_is_no_list() {
    for key in [
        "modules_to_save",
        "layers_to_transform",
        "layers_pattern",
        "n_frequency_pattern",
        "target_modules",
    ] {
        parse(json!({key: null})).unwrap();
    }
}

#[test]
fn other_methods_are_refused() {
    for (text, found) in [
        (r#"{"peft_type": "LORA"}"#, r#""LORA""#),
        (r#"{"peft_type": null}"#, "null"),
        (r#"{"r": 8}"#, "no such key"),
    ] {
        let error = AdapterConfig::parse(text).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(r#"adapter_config.json: "peft_type": expected "WAVEFT", found {found}"#)
        );
    }
}

#[test]
fn a_method_is_told_before_its_own_keys() {
    let error = AdapterConfig::parse(r#"{"peft_type": "LORA", "bias": "lora_only"}"#).unwrap_err();
    assert!(
        error.to_string().contains(r#"expected "WAVEFT""#),
        "{error}"
    );
}

#[test]
fn invalid_json_is_refused() {
    let deep = format!(
        r#"{{"peft_type": "WAVEFT", "x": {}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let texts = [
        "",
        "{",
        "[1]",
        "null",
        "{\"a\": 1,}",
        "{\"a\": NaN}",
        "{\"scaling\": 1e999}",
        "\u{feff}{}",
        "{} {}",
        &deep,
    ];
    for text in texts {
        let error = AdapterConfig::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("adapter_config.json: "), "{error}");
        assert!(
            error.contains("expected") && error.contains("found") && !error.contains('\n'),
            "{error}"
        );
    }
    let error = AdapterConfig::parse("{\n  \"a\": 1,\n}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "adapter_config.json: line 3, column 1: expected JSON, found trailing comma"
    );
    // Python's json writes and reads these.
    for (number, column, found) in [
        ("Infinity", 13, "Infinity"),
        ("-Infinity", 14, "Infinity"),
        ("NaN", 13, "NaN"),
    ] {
        let text = format!("{{\n \"scaling\": {number}}}");
        let error = AdapterConfig::parse(text).unwrap_err().to_string();
        let expected = "expected a finite number, for JSON has no other";
        assert_eq!(
            error,
            format!("adapter_config.json: line 2, column {column}: {expected}, found {found}")
        );
    }
}

#[test]
fn every_truncation_is_refused() {
    let text = std::fs::read_to_string(data().join("minilm-fortunes-adapter/adapter_config.json"))
        .unwrap();
    for end in 0..text.len() {
        AdapterConfig::parse(&text[..end]).expect_err("a truncated configuration");
    }
}

#[test]
fn too_large_and_non_utf8_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter_config.json");
    std::fs::write(&path, b"{\"peft_type\": \"\xff\"}").unwrap();
    let error = AdapterConfig::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("adapter_config.json: expected JSON in UTF-8"),
        "{error}"
    );
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(waveft_std::config::LARGEST_CONFIG + 1)
        .unwrap();
    let error = AdapterConfig::read(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("expected at most 8388608 bytes, found more"),
        "{error}"
    );
    assert!(matches!(
        AdapterConfig::read(folder.path().join("none")),
        Err(Error::Io { .. })
    ));
    assert!(matches!(
        AdapterConfig::read(folder.path()),
        Err(Error::File { .. })
    ));
}

#[test]
fn combinations_that_peft_refuses() {
    let refused = [
        json!({"target_modules": "q", "layers_to_transform": [1]}),
        json!({"target_modules": "q", "layers_pattern": ""}),
        json!({"target_modules": ["q"], "layers_pattern": "layers"}),
    ];
    for keys in refused {
        assert!(
            matches!(parse(keys.clone()), Err(Error::Config { .. })),
            "{keys}"
        );
    }
    parse(json!({"target_modules": ["q"], "layers_pattern": ""})).unwrap();
    parse(json!({"target_modules": "q", "layers_pattern": null, "layers_to_transform": null}))
        .unwrap();
}
