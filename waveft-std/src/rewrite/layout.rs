//! Where everything in an output's files comes from.

use std::ops::Range;

use crate::checkpoint::{
    Addition, Change, Checkpoint, CheckpointFile, Dtype, Edits, Header, INDEX_FILE, Resolved,
    RowEditor, Rows, TensorKey,
};
use crate::error::{Error, Result};

/// One file of the output, laid out.
pub(super) struct FileLayout<'e> {
    /// The file's length in bytes.
    pub(super) length: u64,
    /// Its parts, which cover it.
    pub(super) parts: Vec<Part<'e>>,
}

/// Some bytes of an output's file.
pub(super) struct Part<'e> {
    /// Where they start in it.
    pub(super) to: u64,
    /// How many there are.
    pub(super) length: u64,
    pub(super) source: Source<'e>,
}

/// Where bytes of the output come from.
pub(super) enum Source<'e> {
    /// The base's file, from this offset on.
    Base { from: u64 },
    /// A new header.
    Header(Vec<u8>),
    /// A tensor that an edit gives.
    Bytes(&'e [u8]),
    /// The rows of the matrix at this offset of the base's file, edited.
    Rows {
        from: u64,
        rows: Rows,
        editors: &'e [Box<dyn RowEditor + 'e>],
    },
}

/// One tensor of the output, before it has a place.
struct Planned<'e> {
    name: &'e str,
    dtype: Dtype,
    shape: &'e [usize],
    length: u64,
    source: Source<'e>,
}

/// Lays out the output's files, one for each of the base's. Additions go into the last.
pub(super) fn lay_out<'e>(
    base: &'e Checkpoint,
    edits: &'e Edits<'_>,
    resolved: &Resolved<'e>,
) -> Result<Vec<FileLayout<'e>>> {
    let last = base.files().len().saturating_sub(1);
    let lay_out_file = |(number, file): (usize, &'e CheckpointFile)| {
        let additions = if number == last {
            edits.additions.as_slice()
        } else {
            &[]
        };
        FileLayout::new(number, file, additions, resolved)
    };
    base.files().iter().enumerate().map(lay_out_file).collect()
}

impl<'e> FileLayout<'e> {
    fn new(
        number: usize,
        file: &'e CheckpointFile,
        additions: &'e [Addition<'_>],
        resolved: &Resolved<'e>,
    ) -> Result<Self> {
        let key = |tensor| TensorKey {
            file: number,
            tensor,
        };
        let header = file.header();
        let mut is_new_header = !additions.is_empty();
        let mut tensors = Vec::with_capacity(header.tensors().len() + additions.len());
        for (place, tensor) in header.tensors().iter().enumerate() {
            let new_name = resolved.new_name(key(place));
            is_new_header |= new_name.is_some();
            let Range { start: from, end } = tensor.place;
            let source = match resolved.change(key(place)) {
                None => Source::Base { from },
                Some(Change::Replace(bytes)) => Source::Bytes(bytes),
                Some(Change::Edit(rows, editors)) => Source::Rows {
                    from,
                    rows,
                    editors,
                },
            };
            tensors.push(Planned {
                name: new_name.unwrap_or(&tensor.name),
                dtype: tensor.dtype,
                shape: &tensor.shape,
                length: end - from,
                source,
            });
        }
        for addition in additions {
            insert_aligned(&mut tensors, addition);
        }

        let mut layout = Self {
            length: 0,
            parts: Vec::new(),
        };
        if is_new_header {
            let entries = tensors
                .iter()
                .map(|planned| (planned.name, planned.dtype, planned.shape, planned.length));
            let bytes = Header::serialize(header.metadata(), entries).map_err(|error| {
                Error::file(file.path(), "names that JSON can hold", error.to_string())
            })?;
            layout.push(bytes.len() as u64, Source::Header(bytes));
        } else {
            layout.push(header.data_start(), Source::Base { from: 0 });
        }
        for planned in tensors {
            layout.push(planned.length, planned.source);
        }
        Ok(layout)
    }

    /// Puts `length` bytes after those that are there; what follows itself in the base too is one part.
    fn push(&mut self, length: u64, source: Source<'e>) {
        let to = self.length;
        self.length += length;
        if let (
            Some(Part {
                source: Source::Base { from: before },
                length: run,
                ..
            }),
            Source::Base { from },
        ) = (self.parts.last_mut(), &source)
            && *before + *run == *from
        {
            *run += length;
        } else if length > 0 {
            self.parts.push(Part { to, length, source });
        }
    }
}

/// Puts an addition before the first tensor whose elements are smaller than its own. In a file that is in safetensors' order,
/// which is by falling element size, that aligns it and disaligns nothing.
fn insert_aligned<'e>(tensors: &mut Vec<Planned<'e>>, addition: &'e Addition<'_>) {
    let smaller = |planned: &Planned<'_>| planned.dtype.bitsize() < addition.dtype.bitsize();
    let place = tensors.iter().position(smaller).unwrap_or(tensors.len());
    let planned = Planned {
        name: &addition.name,
        dtype: addition.dtype,
        shape: &addition.shape,
        length: addition.bytes.len() as u64,
        source: Source::Bytes(&addition.bytes),
    };
    tensors.insert(place, planned);
}

/// The text of the output's index, or `None` when the base has none or no name changes.
pub(super) fn new_index(
    base: &Checkpoint,
    edits: &Edits<'_>,
    resolved: &Resolved<'_>,
) -> Result<Option<Vec<u8>>> {
    let (Some(index), Some(last)) = (base.index(), base.files().last()) else {
        return Ok(None);
    };
    if edits.changed_names().is_empty() {
        return Ok(None);
    }
    let new_name = |old: &str| base.key(old).ok().and_then(|key| resolved.new_name(key));
    let added: Vec<_> = edits
        .additions
        .iter()
        .map(|addition| {
            // Its length was checked against this product.
            let elements: usize = addition.shape.iter().product();
            (
                addition.name.as_str(),
                last.name(),
                elements as u64,
                addition.bytes.len() as u64,
            )
        })
        .collect();
    let text = index.rewritten(new_name, &added);
    let invalid = |error: serde_json::Error| {
        Error::file(
            base.path().join(INDEX_FILE),
            "names that JSON can hold",
            error.to_string(),
        )
    };
    text.map(Some).map_err(invalid)
}
