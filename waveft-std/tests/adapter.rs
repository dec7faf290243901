//! Adapter folders: PEFT's read and written, bad ones refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;
use waveft_std::Error;
use waveft_std::adapter::{Adapter, MODEL_FILE};
use waveft_std::checkpoint::Checkpoint;
use waveft_std::config::{AdapterConfig, CONFIG_FILE};
use waveft_std::name_map::NameMap;
use waveft_std::target_modules::ModuleShape;

const CONFIG: &str = r#"{"peft_type": "WAVEFT", "n_frequency": 3, "target_modules": ["q"]}"#;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Every case of the goldens with the folders of its adapters.
fn cases() -> Vec<(Value, Vec<PathBuf>)> {
    let goldens: Value = serde_json::from_str(include_str!("data/cases.json")).unwrap();
    let cases = goldens["cases"].as_array().unwrap().clone();
    let folders = |case: &Value| {
        let adapters = case["adapters"].as_array().unwrap().iter();
        adapters
            .map(|folder| data().join(folder.as_str().unwrap()))
            .collect()
    };
    cases
        .into_iter()
        .map(|case| (case.clone(), folders(&case)))
        .collect()
}

/// Every adapter folder that PEFT saved.
fn peft_adapters() -> Vec<PathBuf> {
    let goldens = cases().into_iter().flat_map(|(_, folders)| folders);
    goldens
        .chain([data().join("minilm-fortunes-adapter")])
        .collect()
}

#[test]
fn everything_in_pefts_adapters_is_read() {
    for folder in peft_adapters() {
        let adapter = Adapter::read(&folder).unwrap();
        let bytes = fs::read(folder.join(MODEL_FILE)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for spectrum in adapter.spectra() {
            let view = file.tensor(spectrum.key()).unwrap();
            assert_eq!(
                spectrum.key(),
                format!("base_model.model.{}.waveft_spectrum", spectrum.module())
            );
            assert_eq!(
                (spectrum.dtype(), &[spectrum.len()][..]),
                (view.dtype(), view.shape())
            );
            let expected: Vec<f32> = match view.dtype() {
                Dtype::F32 => view
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect(),
                Dtype::BF16 => view
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|bytes| bf16::from_le_bytes(*bytes).to_f32())
                    .collect(),
                Dtype::F16 => view
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
                    .collect(),
                other => panic!("{other}"),
            };
            assert_eq!(spectrum.to_f32(), expected);
            assert!(expected.iter().any(|value| *value != 0.0));
        }
        for tensor in adapter.tensors() {
            let view = file.tensor(tensor.key()).unwrap();
            assert_eq!(
                (tensor.dtype(), tensor.shape(), tensor.bytes()),
                (view.dtype(), view.shape(), view.data())
            );
        }
        let read = adapter.spectra().iter().map(|spectrum| spectrum.key());
        let read = read
            .chain(adapter.tensors().iter().map(|tensor| tensor.key()))
            .chain(adapter.unused());
        let read: BTreeSet<&str> = read.collect();
        assert_eq!(read, file.names().into_iter().collect());
        assert!(
            adapter
                .spectra()
                .is_sorted_by(|one, other| one.module() < other.module())
        );
    }
}

#[test]
fn what_peft_saved_is_written_byte_for_byte() {
    for folder in peft_adapters() {
        let copy = tempfile::tempdir().unwrap();
        let copy = copy.path().join("new/folder");
        Adapter::read(&folder).unwrap().save(&copy).unwrap();
        for file in [CONFIG_FILE, MODEL_FILE] {
            let (expected, found) = (fs::read(folder.join(file)), fs::read(copy.join(file)));
            assert!(
                expected.unwrap() == found.unwrap(),
                "{}",
                folder.join(file).display()
            );
        }
        assert_eq!(fs::read_dir(copy).unwrap().count(), 2);
    }
}

#[test]
fn types_are_ordered_as_the_safetensors_library_does() {
    let key = |module: &str| format!("base_model.model.{module}.waveft_spectrum");
    let bytes = [7; 16];
    let types = [
        ("a", Dtype::F16, 2),
        ("b", Dtype::F64, 8),
        ("c", Dtype::BF16, 2),
        ("d", Dtype::F32, 4),
    ];
    let view = |dtype, size: usize| TensorView::new(dtype, vec![16 / size], &bytes).unwrap();
    let tensors = types.map(|(module, dtype, size)| (key(module), view(dtype, size)));
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    let file = safetensors::serialize(tensors, metadata).unwrap();
    let folder = with_model(&file);
    let adapter = Adapter::read(&folder).unwrap();
    let modules: Vec<_> = adapter
        .spectra()
        .iter()
        .map(|spectrum| spectrum.module())
        .collect();
    assert_eq!(modules, ["a", "b", "c", "d"]);
    adapter.save(&folder).unwrap();
    assert!(fs::read(folder.path().join(MODEL_FILE)).unwrap() == file);
}

#[test]
fn an_adapter_can_be_saved_over_itself() {
    let folder = tempfile::tempdir().unwrap();
    let source = data().join("minilm-fortunes-adapter");
    Adapter::read(&source).unwrap().save(&folder).unwrap();
    Adapter::read(&folder).unwrap().save(&folder).unwrap();
    for file in [CONFIG_FILE, MODEL_FILE] {
        assert!(
            fs::read(source.join(file)).unwrap() == fs::read(folder.path().join(file)).unwrap()
        );
    }
}

#[cfg(unix)]
#[test]
fn saved_files_have_a_new_files_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("any"), "").unwrap();
    Adapter::read(data().join("minilm-fortunes-adapter"))
        .unwrap()
        .save(&folder)
        .unwrap();
    let mode = |name: &str| {
        fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode(MODEL_FILE), mode("any"));
    assert_eq!(mode(CONFIG_FILE), mode("any"));
}

#[test]
fn names_of_whole_tensors_are_the_bases() {
    let names = |case: &str| -> (Vec<String>, Vec<String>) {
        let adapter = Adapter::read(data().join("adapters").join(case)).unwrap();
        let names = adapter
            .tensors()
            .iter()
            .map(|tensor| tensor.name().to_owned());
        (
            names.collect(),
            adapter.unused().map(str::to_owned).collect(),
        )
    };
    let (tensors, unused) = names("modules-to-save");
    assert_eq!(tensors, ["classifier.bias", "classifier.weight"]);
    assert!(unused.is_empty());
    let (tensors, unused) = names("bias-all");
    assert!(tensors.contains(&"bert.encoder.layer.0.attention.self.query.bias".to_owned()));
    assert!(tensors.contains(&"bert.encoder.layer.0.attention.self.key.bias".to_owned()));
    assert!(tensors.contains(&"classifier.bias".to_owned()));
    let copies = [
        "base_model.model.classifier.modules_to_save.bias",
        "base_model.model.classifier.original_module.bias",
    ];
    assert_eq!(unused, copies);
}

#[test]
fn every_golden_adapter_finds_its_base_and_output_names() {
    for (case, folders) in cases() {
        let base = Checkpoint::open(data().join(case["base"].as_str().unwrap())).unwrap();
        let expected = Checkpoint::open(data().join(case["expected"].as_str().unwrap())).unwrap();
        for folder in folders {
            let adapter = Adapter::read(&folder).unwrap();
            let modules = adapter.spectra().iter().map(|spectrum| spectrum.module());
            let names = base.tensors().map(|tensor| tensor.name);
            let map = NameMap::resolve(base.path(), modules, names).unwrap();
            for spectrum in adapter.spectra() {
                assert!(base.tensor(&map.weight_name(spectrum.module())).is_some());
                let output = map
                    .output_name(&map.weight_name(spectrum.module()))
                    .into_owned();
                assert!(expected.tensor(&output).is_some(), "{output} in {case}");
            }
            for tensor in adapter.tensors() {
                let output = map.output_name(&map.base_name(tensor.name())).into_owned();
                let head = tensor.name().starts_with("classifier");
                assert!(
                    head || expected.tensor(&output).is_some(),
                    "{output} in {case}"
                );
            }
        }
    }
}

#[test]
fn adapters_are_created_as_peft_does() {
    let mut compared = 0;
    for (case, folders) in cases() {
        let base = Checkpoint::open(data().join(case["base"].as_str().unwrap())).unwrap();
        let prefix = case["prefix"].as_str().unwrap();
        for folder in folders {
            let saved = Adapter::read(&folder).unwrap();
            let modules = linear_modules(&base, prefix, saved.config().fan_in_fan_out());
            let created = Adapter::create(saved.config().clone(), &modules).unwrap();
            let shape = |adapter: &Adapter| -> Vec<(String, usize)> {
                let spectra = adapter.spectra().iter();
                spectra
                    .map(|spectrum| (spectrum.key().to_owned(), spectrum.len()))
                    .collect()
            };
            assert_eq!(shape(&created), shape(&saved), "{case}");
            compared += 1;
        }
    }
    assert!(compared > 20);
}

#[test]
fn fresh_numbers_are_torchs() {
    let (case, folders) = cases()
        .into_iter()
        .find(|(case, _)| case["torch_seed"].is_u64())
        .unwrap();
    let saved = Adapter::read(&folders[0]).unwrap();
    let config = saved
        .config()
        .with("random_loc_seed", case["torch_seed"].clone())
        .unwrap();
    // PEFT draws in the order of the model: attention before the feed-forward block, queries first.
    let path = |layer: usize, module: &str| format!("model.layers.{layer}.{module}");
    let order = ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"];
    let paths = (0..3).flat_map(|layer| order.map(|module| path(layer, module)));
    let modules: Vec<_> = paths
        .map(|path| ModuleShape {
            path,
            out_features: 100,
            in_features: 100,
        })
        .collect();
    let created = Adapter::create(config, &modules).unwrap();
    assert_eq!(created.spectra().len(), saved.spectra().len());
    for (created, saved) in created.spectra().iter().zip(saved.spectra()) {
        assert_eq!(created.module(), saved.module());
        for (ours, theirs) in created.to_f32().iter().zip(saved.to_f32()) {
            assert!(
                (ours - theirs).abs() < 1.5e-8,
                "{}: {ours} {theirs}",
                saved.module()
            );
        }
    }
}

#[test]
fn a_created_adapter_is_read_back() {
    let json = r#"{"peft_type": "WAVEFT", "n_frequency": 3, "target_modules": ["q"], "init_weights": false, "new": 1}"#;
    let module = |path: &str| ModuleShape {
        path: path.to_owned(),
        out_features: 2,
        in_features: 4,
    };
    let created = Adapter::create(
        AdapterConfig::parse(json).unwrap(),
        &[module("b.q"), module("a.q")],
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    created.save(folder.path().join("other")).unwrap();
    let read = Adapter::read(folder.path().join("other")).unwrap();
    assert_eq!(read.name(), "other");
    assert_eq!(read.config().json(), json);
    let modules: Vec<_> = read
        .spectra()
        .iter()
        .map(|spectrum| spectrum.module())
        .collect();
    assert_eq!(modules, ["a.q", "b.q"]);
    for (one, other) in created.spectra().iter().zip(read.spectra()) {
        assert_eq!(one.to_f32(), other.to_f32());
        assert!(other.to_f32().iter().all(|value| *value != 0.0));
    }
    let twice = Adapter::create(
        AdapterConfig::parse(json).unwrap(),
        &[module("a.q"), module("a.q")],
    );
    assert!(
        twice
            .unwrap_err()
            .to_string()
            .ends_with(r#"module "a.q": expected one module of this path, found two"#)
    );
}

#[test]
fn a_named_adapters_parent_tells_its_name() {
    let error = Adapter::read(data().join("adapters/named"))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("named: expected adapter_config.json, found adapters in subfolders, of which to give one: \"other\""), "{error}");
    assert_eq!(
        Adapter::read(data().join("adapters/named/other"))
            .unwrap()
            .name(),
        "other"
    );
    let error = Adapter::read(data()).unwrap_err().to_string();
    assert!(error.contains("minilm-fortunes-adapter"), "{error}");
}

#[test]
fn missing_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = || Adapter::read(&folder).unwrap_err().to_string();
    assert!(
        error().ends_with("expected adapter_config.json, found no such file"),
        "{}",
        error()
    );
    fs::write(folder.path().join(CONFIG_FILE), CONFIG).unwrap();
    assert!(
        error().contains("adapter_model.safetensors: "),
        "{}",
        error()
    );
    fs::write(folder.path().join("adapter_model.bin"), "pickle").unwrap();
    assert!(
        error().contains("expected adapter_model.safetensors, found only adapter_model.bin"),
        "{}",
        error()
    );
    let file = folder.path().join("adapter_model.bin");
    assert!(
        Adapter::read(file)
            .unwrap_err()
            .to_string()
            .ends_with("expected an adapter's folder, found a file")
    );
    assert!(matches!(
        Adapter::read(folder.path().join("none")),
        Err(Error::Io { .. })
    ));
}

#[test]
fn spectra_of_every_float_type_are_read() {
    let values = [1.5f32, -0.25, 1024.0];
    let f64s = [0.1f64, -1e-300, 3.0];
    let bytes = |bytes: Vec<Vec<u8>>| bytes.concat();
    let cases = [
        (
            "F32",
            bytes(values.map(|x| x.to_le_bytes().to_vec()).to_vec()),
        ),
        (
            "BF16",
            bytes(
                values
                    .map(|x| bf16::from_f32(x).to_le_bytes().to_vec())
                    .to_vec(),
            ),
        ),
        (
            "F16",
            bytes(
                values
                    .map(|x| f16::from_f32(x).to_le_bytes().to_vec())
                    .to_vec(),
            ),
        ),
        (
            "F64",
            bytes(f64s.map(|x| x.to_le_bytes().to_vec()).to_vec()),
        ),
    ];
    for (dtype, bytes) in cases {
        let key = "base_model.model.a.q.waveft_spectrum";
        let header = json!({key: {"dtype": dtype, "shape": [3], "data_offsets": [0, bytes.len()]}});
        let folder = folder_of(header.to_string().as_bytes(), &bytes);
        let adapter = Adapter::read(&folder).unwrap();
        let spectrum = &adapter.spectra()[0];
        match dtype {
            "F64" => {
                assert_eq!(spectrum.to_f64(), f64s);
                assert_eq!(spectrum.to_f32(), f64s.map(|x| x as f32));
            }
            _ => {
                assert_eq!(spectrum.to_f32(), values);
                assert_eq!(spectrum.to_f64(), values.map(f64::from));
            }
        }
        let copy = tempfile::tempdir().unwrap();
        adapter.save(&copy).unwrap();
        assert_eq!(
            Adapter::read(&copy).unwrap().spectra()[0].to_f64(),
            spectrum.to_f64()
        );
    }
}

#[test]
fn unfit_tensors_are_refused() {
    let spectrum = "base_model.model.a.q.waveft_spectrum";
    let cases = [
        (
            spectrum,
            Dtype::F32,
            vec![0],
            "expected a spectrum of shape [n], n at least 1, found shape [0]",
        ),
        (
            spectrum,
            Dtype::F32,
            vec![],
            "expected a spectrum of shape [n], n at least 1, found shape []",
        ),
        (
            spectrum,
            Dtype::F32,
            vec![1, 2],
            "expected a spectrum of shape [n], n at least 1, found shape [1, 2]",
        ),
        (
            spectrum,
            Dtype::I64,
            vec![2],
            "expected a spectrum in F32, BF16, F16 or F64, found I64",
        ),
        (
            "base_model.model.a.q.lora_A.weight",
            Dtype::F32,
            vec![2],
            "found another method's \"lora_A\"",
        ),
        (
            "base_model.model.a.q.waveft_indices",
            Dtype::F32,
            vec![2],
            "found another method's \"waveft_indices\"",
        ),
        (
            "a.q.waveft_spectrum",
            Dtype::F32,
            vec![2],
            "expected a name that begins with base_model.model., found another",
        ),
        (
            "base_model.model.classifier.weight",
            Dtype::F32,
            vec![2],
            "expected at least one tensor named base_model.model.<module>.waveft_spectrum, found none",
        ),
    ];
    for (name, dtype, shape, expected) in cases {
        let size = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let bytes = vec![0; size];
        let view = TensorView::new(dtype, shape, &bytes).unwrap();
        let folder = with_model(&safetensors::serialize([(name, view)], None).unwrap());
        let error = Adapter::read(&folder).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
        assert!(error.contains("adapter_model.safetensors: "), "{error}");
    }
    let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let names = [
        "base_model.model.q.bias",
        "base_model.model.q.base_layer.bias",
        spectrum,
    ];
    let folder =
        with_model(&safetensors::serialize(names.map(|name| (name, &view)), None).unwrap());
    let error = Adapter::read(&folder).unwrap_err().to_string();
    assert!(
        error.contains(r#"expected one tensor for the base's "q.bias", found"#),
        "{error}"
    );
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let whole = fs::read(data().join("adapters/plain").join(MODEL_FILE)).unwrap();
    let folder = with_model(&whole);
    Adapter::read(&folder).unwrap();
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    assert!(whole.len() > header + 3);
    for end in (0..header + 4).chain([whole.len() - 1]) {
        fs::write(folder.path().join(MODEL_FILE), &whole[..end]).unwrap();
        let error = Adapter::read(&folder).unwrap_err().to_string();
        assert!(
            error.contains("adapter_model.safetensors: "),
            "{end}: {error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    fs::write(folder.path().join(MODEL_FILE), longer).unwrap();
    Adapter::read(&folder).unwrap_err();
}

#[test]
fn changed_bytes_never_panic() {
    let whole = fs::read(data().join("adapters/plain").join(MODEL_FILE)).unwrap();
    let folder = with_model(&whole);
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    for at in 0..header {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            fs::write(folder.path().join(MODEL_FILE), changed).unwrap();
            if let Ok(adapter) = Adapter::read(&folder) {
                adapter
                    .spectra()
                    .iter()
                    .for_each(|spectrum| assert_eq!(spectrum.to_f32().len(), spectrum.len()));
            }
        }
    }
}

#[test]
fn lying_headers_are_refused() {
    let key = "base_model.model.a.q.waveft_spectrum";
    let entry = |shape: &str, offsets: &str| {
        format!(r#""{key}":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let good = entry("[2]", "[0,8]");
    Adapter::read(folder_of(format!("{{{good}}}").as_bytes(), &[0; 8])).unwrap();
    let headers = [
        format!("{{{}}}", entry("[3]", "[0,8]")),
        format!("{{{}}}", entry("[2]", "[0,12]")),
        format!("{{{}}}", entry("[2]", "[4,12]")),
        format!("{{{}}}", entry("[2]", "[8,0]")),
        format!("{{{}}}", entry("[18446744073709551615]", "[0,8]")),
        format!("{{{}}}", entry("[4611686018427387904,4]", "[0,8]")),
        format!("{{{}}}", entry("[2]", "[0,18446744073709551615]")),
        format!("{{{}}}", entry("[-2]", "[0,8]")),
        format!("{{{good},{good}}}"),
        format!("{{{}}}", good.replace("F32", "F33")),
        format!("{{{}}}", good.replace("\"F32\"", "null")),
        "[]".to_owned(),
        "{}".to_owned(),
        "{".to_owned(),
        String::new(),
    ];
    for header in headers {
        let error = Adapter::read(folder_of(header.as_bytes(), &[0; 8]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("adapter_model.safetensors: ") && !error.contains('\n'),
            "{header}: {error}"
        );
    }
    Adapter::read(folder_of(b"{\"\xff\": 1}", &[])).unwrap_err();
    for size in [0, 7, 1 << 40, u64::MAX, u64::MAX - 8] {
        let mut bytes = size.to_le_bytes().to_vec();
        bytes.extend(format!("{{{good}}}").bytes().chain([0; 8]));
        Adapter::read(with_model(&bytes)).unwrap_err();
    }
}

#[test]
fn another_methods_adapter_is_refused() {
    let folder = with_model(&[]);
    fs::write(folder.path().join(CONFIG_FILE), r#"{"peft_type": "LORA"}"#).unwrap();
    let error = Adapter::read(&folder).unwrap_err().to_string();
    assert!(
        error.ends_with(r#"adapter_config.json: "peft_type": expected "WAVEFT", found "LORA""#),
        "{error}"
    );
}

#[test]
fn saving_where_nothing_can_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let adapter = Adapter::read(data().join("minilm-fortunes-adapter")).unwrap();
    assert!(matches!(
        adapter.save(file.join("below")),
        Err(Error::Io { .. })
    ));
    // A folder in the place of a file: the error leaves nothing behind.
    fs::create_dir(folder.path().join(MODEL_FILE)).unwrap();
    assert!(matches!(adapter.save(&folder), Err(Error::Io { .. })));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
}

/// An adapter's folder with these bytes for its tensors' file.
fn with_model(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(CONFIG_FILE), CONFIG).unwrap();
    fs::write(folder.path().join(MODEL_FILE), bytes).unwrap();
    folder
}

/// The same, of a header and data.
fn folder_of(header: &[u8], data: &[u8]) -> TempDir {
    with_model(&[&(header.len() as u64).to_le_bytes(), header, data].concat())
}

/// The linear modules of a base: every matrix that is no embedding.
fn linear_modules(base: &Checkpoint, prefix: &str, fan_in_fan_out: bool) -> Vec<ModuleShape> {
    let module = |name: &str, shape: &[usize]| {
        let path = name.strip_suffix(".weight")?;
        let &[rows, columns] = shape else { return None };
        let is_embedding = ["embed", "wte", "wpe"]
            .iter()
            .any(|part| path.contains(part));
        let (out_features, in_features) = if fan_in_fan_out {
            (columns, rows)
        } else {
            (rows, columns)
        };
        (!is_embedding).then(|| ModuleShape {
            path: format!("{prefix}{path}"),
            out_features,
            in_features,
        })
    };
    base.tensors()
        .filter_map(|tensor| module(tensor.name, tensor.shape))
        .collect()
}
