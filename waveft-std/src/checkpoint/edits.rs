//! What is to change in a checkpoint, whether it is written anew or in place.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::ops::Range;

use super::header::{HeaderTensor, byte_length};
use super::{Checkpoint, Dtype, TensorKey};
use crate::error::{Error, Result};
use crate::room::refuse_without_room;

/// The bytes of a tensor that are in work at a time, on each thread: what stays in a core's L2 cache.
pub(crate) const BAND_BYTES: u64 = 1 << 20;

/// Changes a matrix's rows, a band of them at a time.
///
/// Bands of one tensor are edited in any order and on several threads at once, so what an editor does to a row must depend on
/// that row alone.
pub trait RowEditor: Sync {
    /// Changes the rows `rows` of the matrix, whose bytes `band` holds, row-major and as in the file (little-endian).
    ///
    /// `band` starts at a multiple of 8 bytes, so that it can be seen as a slice of any element type, and is
    /// `rows.len() ·` (bytes of a row) long.
    ///
    /// # Errors
    /// Whatever the editor refuses; the whole work is then given up and nothing is changed.
    fn edit(&self, rows: Range<usize>, band: &mut [u8]) -> Result<()>;
}

impl<F: Fn(Range<usize>, &mut [u8]) -> Result<()> + Sync> RowEditor for F {
    fn edit(&self, rows: Range<usize>, band: &mut [u8]) -> Result<()> {
        self(rows, band)
    }
}

/// Told of the bytes that are done, for instance to draw a progress bar; `()` ignores it.
pub trait Progress: Sync {
    /// The work is `total_bytes` long. Called once, first.
    fn start(&self, total_bytes: u64);
    /// Another `bytes` are done. Called from several threads; the sum over all calls is the total when the work succeeds.
    fn advance(&self, bytes: u64);
}

impl Progress for () {
    fn start(&self, _: u64) {}
    fn advance(&self, _: u64) {}
}

/// What is to change in a checkpoint: given to [`write_to`](crate::rewrite::write_to) or to
/// [`in_place::apply`](crate::in_place::apply), which check it against the base.
///
/// Tensors go by the names that the base has, also those that are renamed.
///
/// ```
/// use waveft_std::checkpoint::Edits;
///
/// let mut edits = Edits::new();
/// edits.edit("embeddings.weight", |_rows: std::ops::Range<usize>, band: &mut [u8]| {
///     band.fill(0);
///     Ok(())
/// });
/// edits.rename("embeddings.weight", "bert.embeddings.weight");
/// ```
#[derive(Default)]
pub struct Edits<'a> {
    renames: Vec<(String, String)>,
    replacements: Vec<(String, Cow<'a, [u8]>)>,
    editors: BTreeMap<String, Vec<Box<dyn RowEditor + 'a>>>,
    pub(crate) additions: Vec<Addition<'a>>,
}

/// A tensor that the base lacks.
pub(crate) struct Addition<'a> {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> Edits<'a> {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the base's tensor `old` the name `new`.
    pub fn rename(&mut self, old: impl Into<String>, new: impl Into<String>) {
        self.renames.push((old.into(), new.into()));
    }

    /// Gives the tensor `name` these bytes, of its own shape and dtype.
    pub fn replace(&mut self, name: impl Into<String>, bytes: impl Into<Cow<'a, [u8]>>) {
        self.replacements.push((name.into(), bytes.into()));
    }

    /// Changes the matrix `name` through `editor`. Several editors of one tensor work one after the other, in the order in
    /// which they were given.
    pub fn edit(&mut self, name: impl Into<String>, editor: impl RowEditor + 'a) {
        self.editors
            .entry(name.into())
            .or_default()
            .push(Box::new(editor));
    }

    /// Adds a tensor that the base lacks: into its only file, or its last one.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) {
        self.additions.push(Addition {
            name: name.into(),
            dtype,
            shape: shape.into(),
            bytes: bytes.into(),
        });
    }

    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.renames.is_empty()
            && self.replacements.is_empty()
            && self.editors.is_empty()
            && self.additions.is_empty()
    }

    /// The names of the tensors that are renamed or added, which cannot be done in place.
    pub(crate) fn changed_names(&self) -> Vec<&str> {
        let renamed = self.renames.iter().map(|(old, _)| old.as_str());
        renamed
            .chain(self.additions.iter().map(|addition| addition.name.as_str()))
            .collect()
    }

    /// These edits by the base's tensors, checked: every tensor is there, every length fits, no name comes twice.
    pub(crate) fn resolve(&self, base: &Checkpoint) -> Result<Resolved<'_>> {
        let mut changes = HashMap::new();
        for (name, bytes) in &self.replacements {
            let key = base.key(name)?;
            let tensor = base.header_tensor(key);
            let length = tensor.place.end - tensor.place.start;
            if bytes.len() as u64 != length {
                let expected = format!("{length} bytes for {} {:?}", tensor.dtype, tensor.shape);
                return Err(base.refuse(key, expected, format!("{} bytes", bytes.len())));
            }
            if changes.insert(key, Change::Replace(bytes)).is_some() {
                return Err(base.refuse(key, "one replacement", "two"));
            }
        }
        for (name, editors) in &self.editors {
            let key = base.key(name)?;
            let tensor = base.header_tensor(key);
            let Some(rows) = Rows::of(tensor) else {
                let found = format!("{} {:?}", tensor.dtype, tensor.shape);
                return Err(base.refuse(key, "a matrix with rows of whole bytes", found));
            };
            if changes.insert(key, Change::Edit(rows, editors)).is_some() {
                return Err(base.refuse(key, "a replacement or an editor", "both"));
            }
        }
        Ok(Resolved {
            changes,
            names: self.resolve_names(base)?,
        })
    }

    /// The new names by the base's tensors; no two tensors of the result may have one name.
    fn resolve_names(&self, base: &Checkpoint) -> Result<HashMap<TensorKey, &str>> {
        let mut names = HashMap::new();
        for (old, new) in &self.renames {
            let key = base.key(old)?;
            if names.insert(key, new.as_str()).is_some() {
                return Err(base.refuse(key, "one new name", "two"));
            }
        }
        let added = self.additions.iter().map(|addition| addition.name.as_str());
        let mut arriving = HashSet::new();
        for name in names.values().copied().chain(added) {
            let taken = base.key(name).is_ok_and(|key| !names.contains_key(&key));
            if taken || name == "__metadata__" || !arriving.insert(name) {
                return Err(Error::tensor(
                    base.path(),
                    name,
                    "a name of its own",
                    "a name that is taken",
                ));
            }
        }
        for Addition {
            name,
            dtype,
            shape,
            bytes,
        } in &self.additions
        {
            let expected = byte_length(*dtype, shape);
            if expected != Some(bytes.len()) {
                let expected = expected.map_or("a length that overflows".to_owned(), |length| {
                    format!("{length} bytes")
                });
                let expected = format!("{expected} for {dtype} {shape:?}");
                return Err(Error::tensor(
                    base.path(),
                    name,
                    expected,
                    format!("{} bytes", bytes.len()),
                ));
            }
        }
        Ok(names)
    }
}

/// [`Edits`] checked against a base.
pub(crate) struct Resolved<'e> {
    changes: HashMap<TensorKey, Change<'e>>,
    names: HashMap<TensorKey, &'e str>,
}

impl<'e> Resolved<'e> {
    /// What happens to a tensor's bytes, if anything.
    pub(crate) fn change(&self, key: TensorKey) -> Option<Change<'e>> {
        self.changes.get(&key).copied()
    }

    /// A tensor's new name, if it gets one.
    pub(crate) fn new_name(&self, key: TensorKey) -> Option<&'e str> {
        self.names.get(&key).copied()
    }
}

/// What happens to a tensor's bytes.
#[derive(Clone, Copy)]
pub(crate) enum Change<'e> {
    Replace(&'e [u8]),
    Edit(Rows, &'e [Box<dyn RowEditor + 'e>]),
}

/// The rows of a matrix in a file.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    count: usize,
    bytes: u64,
}

impl Rows {
    /// `None` for what is not a matrix, or has rows that do not end at a byte.
    fn of(tensor: &HeaderTensor) -> Option<Self> {
        let &[count, columns] = tensor.shape.as_slice() else {
            return None;
        };
        Some(Self {
            count,
            bytes: byte_length(tensor.dtype, &[columns])? as u64,
        })
    }

    /// The rows in bands of about [`BAND_BYTES`], at least a row each; none when the matrix is empty.
    pub(crate) fn bands(self) -> impl Iterator<Item = Band> {
        let count = if self.bytes == 0 { 0 } else { self.count };
        let rows = usize::try_from(BAND_BYTES / self.bytes.max(1))
            .unwrap_or(usize::MAX)
            .max(1);
        (0..count).step_by(rows).map(move |first| Band {
            rows: first..first.saturating_add(rows).min(count),
            row_bytes: self.bytes,
        })
    }
}

/// Some rows of a matrix, edited in one go.
#[derive(Clone)]
pub(crate) struct Band {
    rows: Range<usize>,
    row_bytes: u64,
}

impl Band {
    /// Where the band starts, counted from the matrix's start.
    pub(crate) fn offset(&self) -> u64 {
        self.rows.start as u64 * self.row_bytes
    }

    /// The band's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.rows.len() as u64 * self.row_bytes
    }

    /// Changes the band's bytes through `editors`, one after the other.
    pub(crate) fn edit(&self, editors: &[Box<dyn RowEditor + '_>], bytes: &mut [u8]) -> Result<()> {
        editors
            .iter()
            .try_for_each(|editor| editor.edit(self.rows.clone(), bytes))
    }
}

/// Room for a band, reused from one to the next; its bytes start at a multiple of 8.
#[derive(Default)]
pub(crate) struct BandBuffer(Vec<u64>);

impl BandBuffer {
    /// Room for `length` bytes, holding anything; an error when memory has none, for a row may be as long as a file.
    pub(crate) fn bytes(&mut self, length: u64) -> io::Result<&mut [u8]> {
        let words = length.div_ceil(size_of::<u64>() as u64);
        if (self.0.len() as u64) < words {
            refuse_without_room(words, size_of::<u64>())?;
            self.0.resize(words as usize, 0);
        }
        Ok(&mut bytemuck::cast_slice_mut(&mut self.0)[..length as usize])
    }
}
