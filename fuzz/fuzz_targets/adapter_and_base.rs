//! Any small adapters and base, whole or damaged, through reading, merging and writing: errors leave nothing behind and
//! the base as it was, and merging in place gives the bytes of merging to an output and gives the old ones back.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use waveft_fuzz::{MadeDtype, MadeTensor, file_of, files_below};
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::{Checkpoint, Dtype};
use waveft_std::delta::write_delta;
use waveft_std::in_place;
use waveft_std::merge::Merge;
use waveft_std::rewrite::write_to;

/// Modules of adapters and bases, with and without what precedes them.
const MODULES: [&str; 8] = [
    "q", "a.q", "b.a.q", "a.k", "b.a.k", "head", "b.head", "a.q.q",
];

const WAVELETS: [&str; 8] = [
    "db1", "db2", "sym8", "coif4", "bior3.3", "coif17", "haar", "db0",
];

#[derive(Arbitrary, Debug)]
struct Input {
    base: Vec<Tensor>,
    sharded: bool,
    spaces: u8,
    adapters: Vec<AdapterInput>,
    safe: bool,
    output_exists: bool,
    base_damage: Damage,
}

/// One byte of a file that is changed, now and then: whole files get further.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Damage {
    whether: u8,
    place: u16,
    with: u8,
}

#[derive(Arbitrary, Debug)]
struct AdapterInput {
    spectra: Vec<SpectrumInput>,
    tensors: Vec<Tensor>,
    config: Config,
    damage: Damage,
}

#[derive(Arbitrary, Debug)]
struct SpectrumInput {
    /// Mostly a module of the base.
    of_base: u8,
    module: u8,
    dtype: MadeDtype,
    length: u16,
    is_matrix: u8,
    pattern: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Tensor {
    module: u8,
    kind: u8,
    through_base_layer: bool,
    dtype: MadeDtype,
    shape: Shape,
    pattern: Vec<u8>,
}

/// Mostly a matrix.
#[derive(Arbitrary, Debug)]
struct Shape {
    kind: u8,
    sides: [u8; 3],
}

#[derive(Arbitrary, Debug)]
struct Config {
    wavelet: u8,
    use_idwt: bool,
    fan_in_fan_out: bool,
    seed: i64,
    scaling: f64,
    bias: u8,
    to_save: Vec<u8>,
}

impl Shape {
    fn sides(&self) -> Vec<usize> {
        let [a, b, c] = self.sides.map(|side| usize::from(side % 40));
        match self.kind % 8 {
            0 => vec![],
            1 => vec![a],
            2 => vec![a % 4, b, c % 4],
            _ => vec![a, b],
        }
    }
}

fn module(index: u8) -> &'static str {
    MODULES[usize::from(index) % MODULES.len()]
}

impl Tensor {
    fn make(&self, prefix: &str) -> MadeTensor {
        let layer = if self.through_base_layer && !prefix.is_empty() {
            ".base_layer"
        } else {
            ""
        };
        let end = if self.kind.is_multiple_of(4) {
            "bias"
        } else {
            "weight"
        };
        MadeTensor::new(
            format!("{prefix}{}{layer}.{end}", module(self.module)),
            self.dtype.into(),
            self.shape.sides(),
            &self.pattern,
        )
    }
}

impl AdapterInput {
    fn write(&self, folder: &Path, base: &[Tensor]) {
        let spectra = self.spectra.iter().take(4).map(|spectrum| {
            // Now and then longer than a weight.
            let length = usize::from(spectrum.length);
            let length = if length > 65_000 { 2000 } else { length % 40 };
            let shape = if spectrum.is_matrix == 255 {
                vec![1, length]
            } else {
                vec![length]
            };
            let of_base = base.get(usize::from(spectrum.of_base) % base.len().max(1));
            let module = match of_base {
                Some(tensor) if spectrum.of_base < 224 => module(tensor.module),
                _ => module(spectrum.module),
            };
            MadeTensor::new(
                format!("base_model.model.{module}.waveft_spectrum"),
                spectrum.dtype.into(),
                shape,
                &spectrum.pattern,
            )
        });
        let tensors = self.tensors.iter().take(4);
        let tensors = tensors.map(|tensor| tensor.make("base_model.model."));
        let mut file = file_of(&spectra.chain(tensors).collect::<Vec<_>>(), 0);
        damage(&mut file, self.damage);
        fs::create_dir(folder).expect("a folder");
        fs::write(folder.join("adapter_model.safetensors"), file).expect("a file");
        let config = self.config.json().to_string();
        fs::write(folder.join("adapter_config.json"), config).expect("a file");
    }
}

impl Config {
    fn json(&self) -> Value {
        let to_save: Vec<&str> = self.to_save.iter().map(|&index| module(index)).collect();
        let bias = ["none", "all", "waveft_only", "none"][usize::from(self.bias % 4)];
        json!({
            "peft_type": "WAVEFT",
            "wavelet_family": WAVELETS[usize::from(self.wavelet) % WAVELETS.len()],
            "use_idwt": self.use_idwt,
            "fan_in_fan_out": self.fan_in_fan_out,
            "random_loc_seed": self.seed,
            "scaling": self.scaling,
            "bias": bias,
            "modules_to_save": to_save,
        })
    }
}

fn damage(file: &mut [u8], damage: Damage) {
    if damage.whether >= 240 {
        let place = usize::from(damage.place) % file.len();
        file[place] ^= damage.with;
    }
}

fn write_base(input: &Input, folder: &Path) -> PathBuf {
    let base = folder.join("base");
    let mut tensors: Vec<MadeTensor> = Vec::new();
    for tensor in input.base.iter().take(8) {
        let tensor = tensor.make("");
        if tensors.iter().all(|other| other.name != tensor.name) {
            tensors.push(tensor);
        }
    }
    let spaces = usize::from(input.spaces % 16);
    if !input.sharded {
        let mut file = file_of(&tensors, spaces);
        damage(&mut file, input.base_damage);
        fs::write(&base, file).expect("a file");
        return base;
    }
    fs::create_dir(&base).expect("a folder");
    let mut weight_map = serde_json::Map::new();
    let (one, two) = tensors.split_at(tensors.len() / 2);
    for (shard, tensors) in [("one", one), ("two", two)] {
        for tensor in tensors {
            weight_map.insert(tensor.name.clone(), shard.into());
        }
        let mut file = file_of(tensors, spaces);
        damage(&mut file, input.base_damage);
        fs::write(base.join(shard), file).expect("a file");
    }
    let index = json!({ "metadata": { "total_size": 1 }, "weight_map": weight_map }).to_string();
    fs::write(base.join("model.safetensors.index.json"), index).expect("a file");
    base
}

fuzz_target!(|input: Input| {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let base = write_base(&input, folder);
    let mut adapters = Vec::new();
    for (number, adapter) in input.adapters.iter().take(3).enumerate() {
        let path = folder.join(format!("adapter{number}"));
        adapter.write(&path, &input.base);
        let before = files_below(&path);
        let Ok(adapter) = Adapter::read(&path) else {
            continue;
        };
        let copy = folder.join(format!("copy{number}"));
        adapter
            .save(&copy)
            .expect("an adapter that was read can be saved");
        let copied = Adapter::read(&copy).expect("an adapter that was saved can be read");
        assert_eq!(copied.config().json(), adapter.config().json());
        for (one, other) in copied.spectra().iter().zip(adapter.spectra()) {
            assert_eq!((one.key(), one.dtype()), (other.key(), other.dtype()));
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(one.to_f64()), bits(other.to_f64()));
        }
        assert!(files_below(&path) == before);
        adapters.push(adapter);
    }
    let Ok(checkpoint) = Checkpoint::open(&base) else {
        return;
    };
    if let Some(adapter) = adapters.first() {
        check_delta(&checkpoint, adapter, folder);
    }
    let Ok(merge) = Merge::new(&checkpoint, &adapters, input.safe) else {
        return;
    };
    let before = files_below(folder);
    let output = folder.join("output");
    if input.output_exists && !checkpoint.is_folder() {
        fs::write(&output, "old").expect("a file");
    }
    let with_old = files_below(folder);
    let written = write_to(&checkpoint, &merge.edits(), &output, &());
    let mut after = files_below(folder);
    if let Err(error) = written {
        assert!(after == with_old, "left behind: {error}");
        assert!(input.safe, "only values that are not finite: {error}");
        assert!(matches!(error, waveft_std::Error::NonFinite { .. }));
        assert!(in_place::apply(checkpoint, &merge.edits(), &json!({}), &()).is_err());
        assert!(files_below(folder) == with_old);
        return;
    }
    let merged = after.split_off(&output);
    let beside = merged
        .iter()
        .filter(|(path, _)| !path.starts_with(&output))
        .map(|(path, bytes)| (path.clone(), bytes.clone()));
    after.extend(beside);
    assert!(after == before, "nothing but the output is new");
    check_output(&checkpoint, &merge, &output, input.safe);
    check_in_place(checkpoint, &merge, &base, &output);
    assert!(below(&base, files_below(folder)) == below(&base, before));
});

fn below(folder: &Path, files: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    files
        .into_iter()
        .filter(|(path, _)| path.starts_with(folder))
        .collect()
}

fn check_delta(base: &Checkpoint, adapter: &Adapter, folder: &Path) {
    let before = files_below(folder);
    let output = folder.join("delta");
    match write_delta(base, adapter, &output, &()) {
        Err(_) => assert!(files_below(folder) == before),
        Ok(()) => {
            let delta = Checkpoint::open(&output).expect("what is written can be read");
            assert_eq!(delta.len(), adapter.spectra().len());
            for tensor in delta.tensors() {
                let base = base.tensor(tensor.name).expect("the base's names");
                let mut shape = base.shape.to_vec();
                if adapter.config().fan_in_fan_out() {
                    shape.reverse();
                }
                assert_eq!(tensor.shape, shape);
            }
            drop(delta);
            fs::remove_file(&output).expect("the output");
            assert!(files_below(folder) == before);
        }
    }
}

/// What no adapter is for is as before, and with `safe` all merged weights are finite.
fn check_output(base: &Checkpoint, merge: &Merge<'_>, output: &Path, safe: bool) {
    let output = Checkpoint::open(output).expect("what is written can be read");
    assert_eq!(output.len(), base.len() + merge.added().len());
    let renamed: BTreeMap<&str, &str> = merge
        .renamed()
        .iter()
        .map(|(old, new)| (old.as_str(), new.as_str()))
        .collect();
    for tensor in base.tensors() {
        let name = renamed.get(tensor.name).copied().unwrap_or(tensor.name);
        let found = output.tensor(name).expect("every tensor is there");
        assert_eq!((found.dtype, found.shape), (tensor.dtype, tensor.shape));
        let is_adapted = merge.adapted().any(|(name, _)| name == tensor.name);
        let is_replaced = merge.replaced().any(|name| name == tensor.name);
        if !is_adapted && !is_replaced {
            assert_eq!(found.bytes, tensor.bytes);
        }
        if is_adapted && safe {
            assert!(is_finite(found.dtype, found.bytes));
        }
    }
}

fn is_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    // All ones in the exponent, which follows the sign.
    let exponent: u64 = match dtype {
        Dtype::F64 => 0x7FF0 << 48,
        Dtype::F32 => 0x7F80 << 16,
        Dtype::BF16 => 0x7F80,
        _ => 0x7C00,
    };
    bytes.chunks(dtype.bitsize() / 8).all(|element| {
        let mut number = [0; 8];
        number[..element.len()].copy_from_slice(element);
        u64::from_le_bytes(number) & exponent != exponent
    })
}

fn check_in_place(checkpoint: Checkpoint, merge: &Merge<'_>, base: &Path, output: &Path) {
    let can_be = merge.renamed().is_empty() && merge.added().len() == 0;
    let files: Vec<String> = checkpoint
        .files()
        .iter()
        .map(|file| file.name().to_owned())
        .collect();
    let is_folder = checkpoint.is_folder();
    let applied = in_place::apply(checkpoint, &merge.edits(), &json!({}), &());
    assert_eq!(applied.is_ok(), can_be, "{applied:?}");
    if !can_be {
        return;
    }
    let read = |place: &Path, name: &str| {
        let path = if is_folder {
            place.join(name)
        } else {
            place.to_owned()
        };
        fs::read(path).expect("a file")
    };
    for name in &files {
        assert!(
            read(base, name) == read(output, name),
            "in place as elsewhere"
        );
    }
    in_place::roll_back(base, &()).expect("the journal of this merge");
}
