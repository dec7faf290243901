//! Base checkpoints: `.safetensors` files, mapped into memory and never copied.
//!
//! A checkpoint is one file, or a folder with `model.safetensors` or with `model.safetensors.index.json` and the shards that it
//! names. [`Edits`] say what is to change in it; [`rewrite`](crate::rewrite) and [`in_place`](crate::in_place) carry them out.

mod edits;
pub(crate) mod file_system;
mod header;
mod index;
pub(crate) mod positioned;
mod unique_map;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
pub use safetensors::Dtype;

pub(crate) use self::edits::{Addition, BAND_BYTES, Band, BandBuffer, Change, Resolved, Rows};
pub use self::edits::{Edits, Progress, RowEditor};
pub use self::file_system::write_whole;
use self::file_system::{lock_shared, metadata_of, open_regular, read_at_most};
pub use self::header::{Header, HeaderFault, HeaderTensor};
pub(crate) use self::index::{Index, stays_inside};
use crate::config::{CONFIG_FILE, adapters_below};
use crate::error::{Error, Result};

/// The only file of a folder that has no index.
const SINGLE_FILE: &str = "model.safetensors";

/// The index of a sharded folder.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";

/// The largest index read, in bytes: 32 MiB, twice what naming every expert of the largest models takes.
const LARGEST_INDEX: u64 = 32 << 20;

/// An open checkpoint.
///
/// Its files are mapped read-only and held under a shared lock for as long as this lives: a merge in place asks for an
/// exclusive one first, so no waveft changes a file that another one is reading.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    is_folder: bool,
    files: Vec<CheckpointFile>,
    by_name: HashMap<String, TensorKey>,
    index: Option<Index>,
}

/// One `.safetensors` file of a [`Checkpoint`].
#[derive(Debug)]
pub struct CheckpointFile {
    name: String,
    path: PathBuf,
    header: Header,
    map: Mmap,
    file: File,
}

/// A tensor's place in a [`Checkpoint`]: its file, and its place among the file's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TensorKey {
    pub(crate) file: usize,
    pub(crate) tensor: usize,
}

/// One tensor of a [`Checkpoint`], its bytes in the mapped file.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// The tensor's name.
    pub name: &'a str,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape, outermost axis first.
    pub shape: &'a [usize],
    /// Its bytes, row-major and little-endian. They start anywhere: an element may lie across an alignment boundary.
    pub bytes: &'a [u8],
    /// Which of [`Checkpoint::files`] holds it.
    pub file: usize,
    /// Where `bytes` starts in that file.
    pub offset_in_file: u64,
}

impl Checkpoint {
    /// Opens the checkpoint at `path`: a `.safetensors` file, or a folder with `model.safetensors`, or one with
    /// `model.safetensors.index.json` and shards. (A folder with both is its single file, as for transformers.)
    ///
    /// Reads the headers only; costs nothing that grows with the tensors' size.
    ///
    /// # Errors
    /// When a file cannot be read, is no valid safetensors file (see [`Header::parse`]), or is being changed by a merge in
    /// place; when the index is invalid, names a shard outside the folder or one that lacks the tensor, or when two shards hold
    /// tensors of one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let metadata = metadata_of(path)?;
        let mut checkpoint = Self {
            path: path.to_owned(),
            is_folder: metadata.is_dir(),
            files: Vec::new(),
            by_name: HashMap::new(),
            index: None,
        };
        if !checkpoint.is_folder {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            checkpoint.open_file(name, path.to_owned())?;
        } else if path.join(SINGLE_FILE).exists() {
            checkpoint.open_file(SINGLE_FILE.to_owned(), path.join(SINGLE_FILE))?;
        } else {
            checkpoint.open_shards()?;
        }
        Ok(checkpoint)
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether that is a folder.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The `.safetensors` files, in the order in which the index names them.
    pub fn files(&self) -> &[CheckpointFile] {
        &self.files
    }

    /// The tensor of this name, or `None`.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        self.by_name.get(name).and_then(|&key| self.tensor_at(key))
    }

    /// All tensors: file by file, in the order of their data.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.keys().filter_map(|key| self.tensor_at(key))
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn keys(&self) -> impl Iterator<Item = TensorKey> {
        self.files.iter().enumerate().flat_map(|(file, opened)| {
            (0..opened.header.tensors().len()).map(move |tensor| TensorKey { file, tensor })
        })
    }

    fn tensor_at(&self, key: TensorKey) -> Option<Tensor<'_>> {
        let file = self.files.get(key.file)?;
        let HeaderTensor {
            name,
            dtype,
            shape,
            place,
        } = file.header.tensors().get(key.tensor)?;
        // The header was checked against the map's length, so the place is inside it.
        let bytes = file.map.get(place.start as usize..place.end as usize)?;
        Some(Tensor {
            name,
            dtype: *dtype,
            shape,
            bytes,
            file: key.file,
            offset_in_file: place.start,
        })
    }

    fn open_shards(&mut self) -> Result<()> {
        let index_path = self.path.join(INDEX_FILE);
        if !index_path.exists() {
            let expected = format!("{SINGLE_FILE} or {INDEX_FILE}");
            return Err(Error::file(&self.path, expected, no_checkpoint(&self.path)));
        }
        let index = Index::parse(read_at_most(&index_path, LARGEST_INDEX)?)
            .map_err(|(expected, found)| Error::file(&index_path, expected, found))?;
        for shard in index.shards() {
            self.open_file(shard.to_owned(), self.path.join(shard))?;
        }
        for (name, shard) in &index.weight_map {
            let holder = self
                .by_name
                .get(name)
                .and_then(|key| self.files.get(key.file));
            if holder.is_none_or(|file| file.name != *shard) {
                let found = holder.map_or("no tensor of that name", |_| "it in another shard");
                return Err(Error::tensor(
                    self.path.join(shard),
                    name,
                    "the tensor that the index puts here",
                    found,
                ));
            }
        }
        self.index = Some(index);
        Ok(())
    }

    fn open_file(&mut self, name: String, path: PathBuf) -> Result<()> {
        let file = CheckpointFile::open(name, path)?;
        for (tensor, entry) in file.header.tensors().iter().enumerate() {
            let key = TensorKey {
                file: self.files.len(),
                tensor,
            };
            if let Some(first) = self.by_name.insert(entry.name.clone(), key) {
                let found = self
                    .files
                    .get(first.file)
                    .map_or("another shard", |file| file.name.as_str());
                return Err(Error::tensor(
                    file.path,
                    &entry.name,
                    "a tensor in one shard",
                    format!("it in {found} too"),
                ));
            }
        }
        self.files.push(file);
        Ok(())
    }

    pub(crate) fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// The key of the tensor `name`, or an error that says that it is missing.
    pub(crate) fn key(&self, name: &str) -> Result<TensorKey> {
        let missing = || {
            Error::tensor(
                &self.path,
                name,
                "a tensor of the base",
                "none of that name",
            )
        };
        self.by_name.get(name).copied().ok_or_else(missing)
    }

    /// The header's entry of a tensor; `key` is one of this checkpoint's.
    pub(crate) fn header_tensor(&self, key: TensorKey) -> &HeaderTensor {
        &self.files[key.file].header.tensors()[key.tensor]
    }

    /// An error about a tensor; `key` is one of this checkpoint's.
    pub(crate) fn refuse(
        &self,
        key: TensorKey,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::tensor(
            self.files[key.file].path(),
            &self.header_tensor(key).name,
            expected,
            found,
        )
    }
}

impl CheckpointFile {
    fn open(name: String, path: PathBuf) -> Result<Self> {
        let file = open_regular(&path)?;
        lock_shared(&file, &path)?;
        // SAFETY: the map is only read, and the file is kept open beside it under a shared lock. Whatever of this library
        // changes a base takes an exclusive lock first and has no map of that file; a foreign program that writes to the file
        // or cuts it while it is mapped is what any reader of mapped checkpoints has to trust not to run. The bytes are only
        // ever seen as plain integers, of which every value is valid.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path))?;
        let header = Header::parse(&map).map_err(|fault| match fault.tensor {
            Some(tensor) => Error::tensor(&path, tensor, fault.expected, fault.found),
            None => Error::file(&path, fault.expected, fault.found),
        })?;
        Ok(Self {
            name,
            path,
            header,
            map,
            file,
        })
    }

    /// The file's name, counted from the folder if the checkpoint is one: the name that the index has for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's header, with its tensors in the order of their data and its `__metadata__`.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file's length in bytes.
    pub fn length(&self) -> u64 {
        self.map.len() as u64
    }

    /// The whole mapped file.
    #[cfg(not(unix))]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// What a folder has that is taken for a checkpoint and is none.
fn no_checkpoint(folder: &Path) -> String {
    if folder.join(CONFIG_FILE).exists() {
        return "an adapter's folder".to_owned();
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: BTreeSet<String> = names.collect();
    let is_pickle = |name: &&String| name.starts_with("pytorch_model") && name.ends_with(".bin");
    if let Some(file) = names.iter().find(|name| name.ends_with(".safetensors")) {
        return format!("a folder with other files, such as {file:?}; a file can be given itself");
    }
    match names.iter().find(is_pickle) {
        Some(file) => format!(
            "only a pickle, {file:?}; load it with transformers and save it with save_pretrained"
        ),
        None => adapters_below(folder).unwrap_or_else(|| "a folder with neither".to_owned()),
    }
}
