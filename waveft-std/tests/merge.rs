//! Merging against PEFT itself: every case of `tests/data/cases.json`, made by `tools/goldens.py`.

use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use waveft_std::Error;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::{Checkpoint, Dtype, Tensor};
use waveft_std::delta::write_delta;
use waveft_std::layer::{LayerSpec, prepare, reconstruct};
use waveft_std::merge::Merge;
use waveft_std::{in_place, rewrite};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

fn cases() -> Vec<Value> {
    let cases: Value = serde_json::from_slice(&fs::read(data("cases.json")).unwrap()).unwrap();
    let cases = cases.get("cases").unwrap_or(&cases).as_array().unwrap();
    assert!(cases.len() > 20);
    cases.clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn adapters(case: &Value) -> Vec<Adapter> {
    let folders = case["adapters"].as_array().unwrap().iter();
    folders
        .map(|folder| Adapter::read(data(folder.as_str().unwrap())).unwrap())
        .collect()
}

fn values(tensor: &Tensor<'_>) -> Vec<f64> {
    let elements = tensor.bytes.chunks_exact(tensor.dtype.bitsize() / 8);
    elements
        .map(|bytes| match tensor.dtype {
            Dtype::F32 => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
            Dtype::BF16 => bf16::from_le_bytes(bytes.try_into().unwrap()).to_f64(),
            Dtype::F16 => f16::from_le_bytes(bytes.try_into().unwrap()).to_f64(),
            Dtype::I64 => i64::from_le_bytes(bytes.try_into().unwrap()) as f64,
            other => panic!("{other}"),
        })
        .collect()
}

/// A tensor of a golden equals ours: to the bit for most entries, to a rounding of the type for those where several atoms
/// overlap, which PEFT sums in another order.
fn assert_close(case: &str, ours: &Tensor<'_>, golden: &Tensor<'_>) {
    let context = format!("{case}: {}", golden.name);
    assert_eq!(ours.dtype, golden.dtype, "{context}");
    assert_eq!(ours.shape, golden.shape, "{context}");
    let (ours, theirs) = (values(ours), values(golden));
    let epsilon = match golden.dtype {
        Dtype::BF16 => 1.0 / 128.0,
        Dtype::F16 => 1.0 / 1024.0,
        _ => 5e-7,
    };
    let largest = theirs
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    for (our, their) in ours.iter().zip(&theirs) {
        assert!(
            (our - their).abs()
                <= epsilon
                    * their.abs().max(if golden.dtype == Dtype::F32 {
                        largest
                    } else {
                        largest / 16.0
                    }),
            "{context}: {our} for {their}"
        );
    }
    let differing = ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
    if golden.dtype != Dtype::F32 {
        assert!(
            differing * 50 <= ours.len(),
            "{context}: {differing} of {}",
            ours.len()
        );
    }
}

#[test]
fn every_case_merges_as_peft_merges_it() {
    for case in cases() {
        let name = text(&case, "name");
        let base = Checkpoint::open(data(text(&case, "base"))).unwrap();
        let adapters = adapters(&case);
        let merge = Merge::new(&base, &adapters, true).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("merged");
        rewrite::write_to(&base, &merge.edits(), &output, &()).unwrap();
        let merged = Checkpoint::open(&output).unwrap();
        let golden = Checkpoint::open(data(text(&case, "expected"))).unwrap();
        // The prefix is there where the adapter brings a head; without one the base's names stay.
        let prefix = text(&case, "prefix");
        let prefixed = merge.added().len() > 0;
        assert_eq!(merged.len(), golden.len(), "{name}");
        for tensor in golden.tensors() {
            let bare = tensor.name.strip_prefix(prefix).unwrap_or(tensor.name);
            let ours = if prefixed { tensor.name } else { bare };
            let ours = merged
                .tensor(ours)
                .unwrap_or_else(|| panic!("{name}: {ours}"));
            assert_close(name, &ours, &tensor);
        }
    }
}

#[test]
fn merging_in_place_and_back_restores_every_byte() {
    for case in cases() {
        let source = data(text(&case, "base"));
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&source).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let base = Checkpoint::open(folder.path()).unwrap();
        let adapters = adapters(&case);
        let merge = Merge::new(&base, &adapters, false).unwrap();
        let edits = merge.edits();
        let output = folder.path().parent().unwrap().join(format!(
            "{}-merged",
            folder.path().file_name().unwrap().display()
        ));
        rewrite::write_to(&base, &edits, &output, &()).unwrap();
        let applied = in_place::apply(base, &edits, &json!({}), &());
        if merge.added().len() > 0 || !merge.renamed().is_empty() {
            assert!(applied.unwrap_err().to_string().contains("--output"));
        } else {
            applied.unwrap();
            for file in Checkpoint::open(&output).unwrap().files() {
                let here = fs::read(folder.path().join(file.name())).unwrap();
                assert!(here == fs::read(file.path()).unwrap(), "{case}");
            }
            in_place::roll_back(folder.path(), &()).unwrap();
        }
        for entry in fs::read_dir(&source).unwrap() {
            let entry = entry.unwrap();
            let here = fs::read(folder.path().join(entry.file_name())).unwrap();
            assert!(here == fs::read(entry.path()).unwrap(), "{case}");
        }
        fs::remove_dir_all(output).unwrap();
    }
}

#[test]
fn deltas_are_pefts() {
    let mut seen = 0;
    for case in cases() {
        let Some(golden) = case.get("delta") else {
            continue;
        };
        let base = Checkpoint::open(data(text(&case, "base"))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("delta.safetensors");
        write_delta(&base, &adapters(&case)[0], &output, &()).unwrap();
        let ours = Checkpoint::open(&output).unwrap();
        let golden = Checkpoint::open(data(golden.as_str().unwrap())).unwrap();
        assert_eq!(ours.len(), golden.len());
        for tensor in golden.tensors() {
            assert_close("delta", &ours.tensor(tensor.name).unwrap(), &tensor);
            seen += 1;
        }
    }
    assert!(seen > 6);
}

#[test]
fn threads_change_no_bit_of_a_batch() {
    let adapter = Adapter::read(data("minilm-fortunes-adapter")).unwrap();
    let specs: Vec<LayerSpec<'_>> = adapter
        .spectra()
        .iter()
        .map(|spectrum| LayerSpec {
            config: adapter.config(),
            spectrum,
            stored: (384, 384),
            dtype: Dtype::F32,
        })
        .collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| reconstruct(&prepare(&specs).unwrap()).unwrap())
    };
    let one = with(1);
    assert_eq!(one.len(), 12);
    assert!(one.iter().flatten().any(|&entry| entry != 0.0));
    for threads in [2, 3, 7] {
        assert!(with(threads) == one);
    }
}

/// A base of one matrix `layer.weight`, and an adapter for it with this spectrum.
fn small(folder: &Path, rows: usize, columns: usize, spectrum: &[f32]) -> (Checkpoint, Adapter) {
    let base = folder.join("base.safetensors");
    write(
        &base,
        "layer.weight",
        &[rows, columns],
        &vec![0.5; rows * columns],
    );
    let adapter = folder.join("adapter");
    fs::create_dir(&adapter).unwrap();
    let config = json!({"peft_type": "WAVEFT", "n_frequency": 4, "target_modules": ["layer"]});
    fs::write(adapter.join("adapter_config.json"), config.to_string()).unwrap();
    let key = "base_model.model.layer.waveft_spectrum";
    let file = adapter.join("adapter_model.safetensors");
    write(&file, key, &[spectrum.len()], spectrum);
    (
        Checkpoint::open(base).unwrap(),
        Adapter::read(adapter).unwrap(),
    )
}

fn write(path: &Path, name: &str, shape: &[usize], values: &[f32]) {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap();
    safetensors::serialize_to_file([(name, view)], None, path).unwrap();
}

/// A head of another type than the base's, which an adapter update goes on top of: in bands, and as a vector.
#[test]
fn saved_tensors_take_the_bases_type() {
    let folder = tempfile::tempdir().unwrap();
    let (_, adapter) = small(folder.path(), 4, 3, &[0.25; 4]);
    let base = folder.path().join("half.safetensors");
    let ones: Vec<u8> = [f16::ONE; 12]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let view = |shape: &[usize]| {
        let bytes = &ones[..2 * shape.iter().product::<usize>()];
        TensorView::new(Dtype::F16, shape.to_vec(), bytes).unwrap()
    };
    let tensors = [
        ("layer.weight", view(&[4, 3])),
        ("head.weight", view(&[2, 3])),
        ("head.bias", view(&[2])),
    ];
    safetensors::serialize_to_file(tensors, None, &base).unwrap();

    let mut config: Value = serde_json::from_str(adapter.config().json()).unwrap();
    config["modules_to_save"] = json!(["head", "layer"]);
    let saved = folder.path().join("saved");
    fs::create_dir(&saved).unwrap();
    fs::write(saved.join("adapter_config.json"), config.to_string()).unwrap();
    let values: Vec<u8> = (0..12)
        .flat_map(|i| (i as f32 / 8.0).to_le_bytes())
        .collect();
    let view = |shape: &[usize]| {
        let bytes = &values[..4 * shape.iter().product::<usize>()];
        TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()
    };
    let spectrum = adapter.spectra()[0].to_f32();
    let bytes: Vec<u8> = spectrum.iter().flat_map(|v| v.to_le_bytes()).collect();
    let spectrum = TensorView::new(Dtype::F32, vec![4], &bytes).unwrap();
    let tensors = [
        ("base_model.model.layer.waveft_spectrum", spectrum),
        ("base_model.model.layer.base_layer.weight", view(&[4, 3])),
        ("base_model.model.head.weight", view(&[2, 3])),
        ("base_model.model.head.bias", view(&[2])),
    ];
    safetensors::serialize_to_file(tensors, None, &saved.join("adapter_model.safetensors"))
        .unwrap();

    let base = Checkpoint::open(&base).unwrap();
    let adapters = [Adapter::read(&saved).unwrap()];
    let merge = Merge::new(&base, &adapters, false).unwrap();
    let output = folder.path().join("merged.safetensors");
    rewrite::write_to(&base, &merge.edits(), &output, &()).unwrap();
    let merged = Checkpoint::open(&output).unwrap();
    let eighths = |count: usize| (0..count).map(|i| i as f64 / 8.0).collect::<Vec<_>>();
    assert_eq!(values_of(&merged, "head.weight"), eighths(6));
    assert_eq!(values_of(&merged, "head.bias"), eighths(2));
    let spec = LayerSpec {
        config: adapters[0].config(),
        spectrum: &adapters[0].spectra()[0],
        stored: (4, 3),
        dtype: Dtype::F16,
    };
    let delta = &reconstruct(&prepare(&[spec]).unwrap()).unwrap()[0];
    let expected = eighths(12).into_iter().zip(delta);
    let expected: Vec<f64> = expected
        .map(|(w, d)| f16::from_f32(w as f32 + d).to_f64())
        .collect();
    assert_eq!(values_of(&merged, "layer.weight"), expected);
}

fn values_of(checkpoint: &Checkpoint, name: &str) -> Vec<f64> {
    values(&checkpoint.tensor(name).unwrap())
}

#[test]
fn what_does_not_fit_is_refused_with_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let (base, adapter) = small(folder.path(), 2, 3, &[1.0; 7]);
    let error = Merge::new(&base, &[adapter], false)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("base_model.model.layer.waveft_spectrum"),
        "{error}"
    );
    assert!(
        error.contains("1 to 6 locations") && error.contains("found 7"),
        "{error}"
    );

    for (found, spectrum) in [("NaN", [f32::NAN, 1.0]), ("inf", [1.0, f32::INFINITY])] {
        let folder = tempfile::tempdir().unwrap();
        let (base, adapter) = small(folder.path(), 2, 3, &spectrum);
        let error = Merge::new(&base, std::slice::from_ref(&adapter), true).unwrap_err();
        assert!(matches!(error, Error::NonFinite { .. }), "{error}");
        assert!(error.to_string().contains(found), "{error}");
        assert!(Merge::new(&base, &[adapter], false).is_ok());
    }

    // Finite coefficients whose update overflows: found when the weight is written.
    let folder = tempfile::tempdir().unwrap();
    let (base, adapter) = small(folder.path(), 4, 4, &[3e38]);
    let merge = Merge::new(&base, std::slice::from_ref(&adapter), true).unwrap();
    let output = folder.path().join("merged.safetensors");
    let error = rewrite::write_to(&base, &merge.edits(), &output, &()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");

    let folder = tempfile::tempdir().unwrap();
    let (_, adapter) = small(folder.path(), 4, 4, &[1.0]);
    let other = folder.path().join("other.safetensors");
    for (name, shape) in [
        ("layers.weight", &[4, 4][..]),
        ("layer.weight", &[16]),
        ("layer.weight", &[0, 4]),
    ] {
        let entries = shape.iter().product::<usize>();
        write(&other, name, shape, &vec![0.0; entries]);
        let base = Checkpoint::open(&other).unwrap();
        let error = Merge::new(&base, std::slice::from_ref(&adapter), false).unwrap_err();
        assert!(error.to_string().contains("layer.weight"), "{error}");
    }
}

/// With a head that the base lacks, the base's names get the adapter's prefix, and one of them may be another's then.
#[test]
fn tensors_that_would_share_a_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, adapter) = small(folder.path(), 2, 2, &[1.0; 4]);
    let bytes: Vec<u8> = [1.0f32; 4].iter().flat_map(|v| v.to_le_bytes()).collect();
    let view = || TensorView::new(Dtype::F32, vec![2, 2], &bytes).unwrap();
    let mut config: Value = serde_json::from_str(adapter.config().json()).unwrap();
    config["modules_to_save"] = json!(["head"]);
    let saved = folder.path().join("saved");
    fs::create_dir(&saved).unwrap();
    fs::write(saved.join("adapter_config.json"), config.to_string()).unwrap();
    let spectrum = TensorView::new(Dtype::F32, vec![4], &bytes).unwrap();
    let tensors = [
        ("base_model.model.p.layer.waveft_spectrum", spectrum),
        ("base_model.model.p.head.weight", view()),
    ];
    safetensors::serialize_to_file(tensors, None, &saved.join("adapter_model.safetensors"))
        .unwrap();
    let adapters = [Adapter::read(&saved).unwrap()];

    for (other, fits) in [("other", true), ("y", false)] {
        let base = folder.path().join(format!("{other}.safetensors"));
        let tensors = ["layer.weight", "p.y", other].map(|name| (name, view()));
        safetensors::serialize_to_file(tensors, None, &base).unwrap();
        let base = Checkpoint::open(&base).unwrap();
        let error = Merge::new(&base, &adapters, false).err();
        assert_eq!(error.is_none(), fits, "{error:?}");
        let error = error.map_or_else(String::new, |error| error.to_string());
        assert!(fits || error.contains("p.y"), "{error}");
    }
}

/// With `safe`, saved tensors too must be finite, in the type that they get.
#[test]
fn saved_tensors_that_are_not_finite_are_refused() {
    fn view(dtype: Dtype, bytes: &[u8]) -> TensorView<'_> {
        TensorView::new(dtype, vec![3], bytes).unwrap()
    }
    for (value, dtype, width) in [(f32::NAN, Dtype::F32, 4), (1e6, Dtype::F16, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let (base, adapter) = small(folder.path(), 4, 4, &[1.0]);
        let weight = base.tensor("layer.weight").unwrap().bytes;
        let weight = TensorView::new(Dtype::F32, vec![4, 4], weight).unwrap();
        let tensors = [
            ("layer.weight", weight),
            ("bias", view(dtype, &[0; 12][..3 * width])),
        ];
        let path = folder.path().join("biased.safetensors");
        safetensors::serialize_to_file(tensors, None, &path).unwrap();
        let base = Checkpoint::open(&path).unwrap();

        let bias: Vec<u8> = [0.0, 1.0, value]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let spectrum = 1f32.to_le_bytes();
        let spectrum = TensorView::new(Dtype::F32, vec![1], &spectrum).unwrap();
        let tensors = [
            ("base_model.model.layer.waveft_spectrum", spectrum),
            ("base_model.model.bias", view(Dtype::F32, &bias)),
        ];
        let saved = folder.path().join("saved");
        adapter.save(&saved).unwrap();
        safetensors::serialize_to_file(tensors, None, &saved.join("adapter_model.safetensors"))
            .unwrap();
        let adapters = [Adapter::read(&saved).unwrap()];
        assert!(Merge::new(&base, &adapters, false).is_ok());
        let error = Merge::new(&base, &adapters, true).unwrap_err();
        assert!(matches!(error, Error::NonFinite { at: 2, .. }), "{error}");
        assert!(
            error.to_string().contains("base_model.model.bias"),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn an_update_of_its_own_has_the_bases_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (base, adapter) = small(folder.path(), 4, 4, &[1.0]);
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let output = folder.path().join("delta.safetensors");
    write_delta(&base, &adapter, &output, &()).unwrap();
    let mode = fs::metadata(&output).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}
