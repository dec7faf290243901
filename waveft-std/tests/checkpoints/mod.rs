//! Small checkpoints, made on the spot.

#![allow(dead_code, unreachable_pub)] // Each test binary uses its part.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use safetensors::tensor::TensorView;
use waveft_std::checkpoint::Dtype;

/// A tensor with bytes of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Owned {
    /// A tensor with bytes that follow from its name.
    pub fn new(name: &str, dtype: Dtype, shape: &[usize]) -> Self {
        let length = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let seed = name
            .bytes()
            .fold(7u32, |hash, byte| hash.wrapping_mul(31) + u32::from(byte));
        let mut state = seed | 1;
        let bytes = (0..length)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        Self {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes,
        }
    }
}

/// The bytes of a file with these tensors, as the safetensors crate writes it.
pub fn serialize(tensors: &[Owned]) -> Vec<u8> {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).unwrap();
        (&tensor.name, view)
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

/// The same file with `spaces` more in its header, which moves the data to any alignment.
pub fn shifted(file: &[u8], spaces: usize) -> Vec<u8> {
    let size = u64::from_le_bytes(file[..8].try_into().unwrap());
    let (header, data) = file[8..].split_at(size as usize);
    let mut shifted = (size + spaces as u64).to_le_bytes().to_vec();
    shifted.extend(header);
    shifted.resize(shifted.len() + spaces, b' ');
    shifted.extend(data);
    shifted
}

/// A file from a header's JSON and its data.
pub fn raw_file(json: &str, data: &[u8]) -> Vec<u8> {
    [
        &(json.len() as u64).to_le_bytes()[..],
        json.as_bytes(),
        data,
    ]
    .concat()
}

/// What the safetensors crate finds in a file, by name.
pub fn contents(file: &[u8]) -> Vec<Owned> {
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    let mut contents: Vec<Owned> = tensors
        .iter()
        .map(|(name, view)| Owned {
            name: name.to_owned(),
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        })
        .collect();
    contents.sort_by(|one, other| one.name.cmp(&other.name));
    contents
}

/// Writes a sharded checkpoint: an index, a shard for each list of tensors, two other files.
pub fn write_shards(folder: &Path, shards: &[Vec<Owned>]) {
    fs::create_dir_all(folder.join("nested")).unwrap();
    let mut weight_map = serde_json::Map::new();
    let mut total = 0;
    for (number, tensors) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        // Each shard's data starts at another alignment.
        fs::write(folder.join(&name), shifted(&serialize(tensors), number)).unwrap();
        for tensor in tensors {
            weight_map.insert(tensor.name.clone(), name.clone().into());
            total += tensor.bytes.len();
        }
    }
    let index = serde_json::json!({
        "metadata": { "total_size": total, "kept": [1, 2] },
        "weight_map": weight_map,
    });
    let index = serde_json::to_string_pretty(&index).unwrap();
    fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    fs::write(folder.join("config.json"), "{}").unwrap();
    fs::write(folder.join("nested/vocab.txt"), "words").unwrap();
}

/// Three shards with matrices of several dtypes, odd sizes and nothing in them.
pub fn three_shards() -> Vec<Vec<Owned>> {
    vec![
        vec![
            Owned::new("a.weight", Dtype::F32, &[5, 7]),
            Owned::new("a.bias", Dtype::F32, &[5]),
            Owned::new("flag", Dtype::BOOL, &[3]),
        ],
        vec![
            Owned::new("b.weight", Dtype::BF16, &[3, 9]),
            Owned::new("b.empty", Dtype::BF16, &[0, 4]),
        ],
        vec![
            Owned::new("c.weight", Dtype::F16, &[1, 1]),
            Owned::new("c.steps", Dtype::U8, &[3]),
        ],
    ]
}

/// Every file below a folder with its contents, in order.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The names of what is in a folder, in order.
pub fn names_in(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect()
}

/// Runs `work` on so many threads.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(work)
}

/// What happens to one tensor of a random checkpoint.
#[derive(Debug, Clone)]
pub enum Fate {
    Keep,
    Replace,
    /// Each byte whose place in its row is a multiple of the first number is XORed with the second and its row.
    Edit(usize, u8),
}

impl Fate {
    /// What a row becomes.
    pub fn edit_row(every: usize, mask: u8, row: usize, bytes: &mut [u8]) {
        for byte in bytes.iter_mut().step_by(every) {
            *byte ^= mask ^ (row as u8);
        }
    }
}

/// Some tensors, what happens to each, and how far their data is shifted. Big rows and many rows make many bands.
pub fn random_checkpoint() -> impl Strategy<Value = (Vec<(Owned, Fate)>, usize)> {
    let dtype = prop_oneof![
        Just(Dtype::F32),
        Just(Dtype::BF16),
        Just(Dtype::F16),
        Just(Dtype::F64),
        Just(Dtype::U8),
    ];
    let shape = prop_oneof![
        6 => (0usize..9, 0usize..9),
        1 => (200usize..400, 4000usize..4100),
        1 => (2usize..4, 600_000usize..600_100),
    ];
    let fate = prop_oneof![
        Just(Fate::Keep),
        Just(Fate::Replace),
        (1usize..300, any::<u8>()).prop_map(|(every, mask)| Fate::Edit(every, mask)),
    ];
    let tensors = prop::collection::vec((dtype, shape, fate), 1..6).prop_map(|tensors| {
        let name = |(number, (dtype, (rows, columns), fate)): (usize, (_, (usize, usize), _))| {
            // Shapes were drawn in elements of a byte's order: bigger ones would only be slower.
            let columns = if columns > 1000 {
                columns * 8 / Dtype::bitsize(&dtype)
            } else {
                columns
            };
            (
                Owned::new(&format!("layer.{number}.weight"), dtype, &[rows, columns]),
                fate,
            )
        };
        tensors.into_iter().enumerate().map(name).collect()
    });
    (tensors, 0usize..8)
}

/// Adds the fates to edits, and says what each tensor becomes.
pub fn with_fates(
    tensors: &[(Owned, Fate)],
) -> (waveft_std::checkpoint::Edits<'static>, Vec<Owned>) {
    let mut edits = waveft_std::checkpoint::Edits::new();
    let mut expected = Vec::new();
    for (tensor, fate) in tensors {
        let mut becomes = tensor.clone();
        match *fate {
            Fate::Keep => {}
            Fate::Replace => {
                becomes
                    .bytes
                    .iter_mut()
                    .for_each(|byte| *byte = byte.wrapping_add(77));
                edits.replace(&tensor.name, becomes.bytes.clone());
            }
            Fate::Edit(every, mask) => {
                let row_bytes = tensor.shape[1] * tensor.dtype.bitsize() / 8;
                for (row, bytes) in becomes.bytes.chunks_mut(row_bytes.max(1)).enumerate() {
                    Fate::edit_row(every, mask, row, bytes);
                }
                let editor = move |rows: std::ops::Range<usize>, band: &mut [u8]| {
                    assert_eq!(band.as_ptr().align_offset(8), 0, "bands are aligned");
                    assert_eq!(band.len(), rows.len() * row_bytes);
                    for (row, bytes) in rows.zip(band.chunks_mut(row_bytes)) {
                        Fate::edit_row(every, mask, row, bytes);
                    }
                    Ok(())
                };
                edits.edit(&tensor.name, editor);
            }
        }
        expected.push(becomes);
    }
    (edits, expected)
}

/// Runs a test of this binary again, alone, in a mount namespace of its own where `script` has been run first; `false`, with a
/// message, where that is not allowed.
pub fn run_in_namespace(script: &str, test: &str, folder: &Path) -> bool {
    let can = std::process::Command::new("unshare")
        .args(["-rm", "true"])
        .output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no mount namespaces here");
        return false;
    }
    let output = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-ec", &format!("{script}\nexec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, folder)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("child done"), "the test did not run: {text}");
    true
}

/// The folder in which this process is to play the child of [`run_in_namespace`].
pub fn child_folder() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

const CHILD: &str = "WAVEFT_TEST_CHILD";
