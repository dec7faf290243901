//! What several fuzz targets share: numbers and layers, small checkpoints made from arbitrary choices, and what is in a folder.

pub mod layer;
pub mod numbers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use serde_json::{Map, json};
use waveft_std::checkpoint::Dtype;

/// A tensor of a made-up file.
#[derive(Clone, Debug)]
pub struct MadeTensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// Types of a made-up tensor: those that are merged, and some that are not.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum MadeDtype {
    F32,
    Bf16,
    F16,
    F64,
    U8,
    I64,
}

impl From<MadeDtype> for Dtype {
    fn from(dtype: MadeDtype) -> Self {
        match dtype {
            MadeDtype::F32 => Self::F32,
            MadeDtype::Bf16 => Self::BF16,
            MadeDtype::F16 => Self::F16,
            MadeDtype::F64 => Self::F64,
            MadeDtype::U8 => Self::U8,
            MadeDtype::I64 => Self::I64,
        }
    }
}

impl MadeTensor {
    /// A tensor whose bytes repeat `pattern`, or are zero when it is empty.
    pub fn new(name: String, dtype: Dtype, shape: Vec<usize>, pattern: &[u8]) -> Self {
        let length = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let pattern = if pattern.is_empty() { &[0] } else { pattern };
        let bytes = pattern.iter().copied().cycle().take(length).collect();
        Self {
            name,
            dtype,
            shape,
            bytes,
        }
    }
}

/// The bytes of a `.safetensors` file with these tensors in this order, `spaces` more in its header. Of several tensors
/// of one name only the first is taken.
pub fn file_of(tensors: &[MadeTensor], spaces: usize) -> Vec<u8> {
    let mut header = Map::new();
    let mut data = Vec::new();
    for tensor in tensors {
        if header.contains_key(&tensor.name) {
            continue;
        }
        let start = data.len();
        data.extend(&tensor.bytes);
        let entry = json!({
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [start, data.len()],
        });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&header).expect("a map of strings");
    header.resize(header.len() + spaces, b' ');
    let size = header.len() as u64;
    [&size.to_le_bytes()[..], &header, &data].concat()
}

/// Every file below a folder with its contents.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder of our own") {
            let path = entry.expect("an entry of a folder of our own").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file of our own");
                files.insert(path, bytes);
            }
        }
    }
    files
}
