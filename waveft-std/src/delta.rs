//! The update on its own: a safetensors file with ΔW of every module that an adapter adapts.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use bytemuck::cast_slice;
use serde_json::json;

use crate::adapter::Adapter;
use crate::checkpoint::file_system::refuse_irregular;
use crate::checkpoint::{Checkpoint, Dtype, Header, Progress};
use crate::error::{Error, Result};
use crate::layer::{LayerSpec, LayerUpdate, prepare};
use crate::name_map::NameMap;
use crate::rewrite::partial::Partial;
use crate::rewrite::{refuse_base, refuse_read};
use crate::room::refuse_without_room;

/// Writes ΔW in f32, `out × in`, of each of the adapter's modules, under the name of its weight in the base.
///
/// The output appears complete or not at all; an older file of that name is replaced. It has the
/// permissions of the base's first file. One ΔW at a time is in memory.
///
/// # Errors
/// When a module's weight is not in the base or not a matrix, when a spectrum has more coefficients than its weight has
/// entries or memory lacks room, when the output is the base, a file that is being read, such as the adapter's, or no file,
/// and when writing fails.
pub fn write_delta(
    base: &Checkpoint,
    adapter: &Adapter,
    output: impl AsRef<Path>,
    progress: &dyn Progress,
) -> Result<()> {
    let output = output.as_ref();
    refuse_base(base, output)?;
    refuse_irregular(output, "a file")?;
    refuse_read(output)?;
    adapter.refuse_without_room()?;
    let (names, updates) = updates(base, adapter)?;
    let largest = updates.iter().map(entries).max().unwrap_or(0);
    refuse_without_room(largest, size_of::<f32>()).map_err(Error::io(base.path()))?;
    let header = header(&names, &updates)
        .map_err(|error| Error::file(output, "names that JSON can hold", error.to_string()))?;
    let lengths = updates.iter().map(|update| entries(update) * 4);
    progress.start(lengths.sum());

    let partial = Partial::file(output)?;
    let write = |file: &File| {
        let mut file = BufWriter::new(file);
        file.write_all(&header)?;
        for update in &updates {
            let mut delta = vec![0.0f32; entries(update) as usize];
            update.write(&mut delta).map_err(std::io::Error::other)?;
            // A file of tensors is little-endian wherever it is written.
            if cfg!(target_endian = "big") {
                for entry in &mut delta {
                    *entry = f32::from_bits(entry.to_bits().swap_bytes());
                }
            }
            file.write_all(cast_slice(&delta))?;
            progress.advance(entries(update) * 4);
        }
        file.into_inner()?.sync_all()
    };
    let file = partial.reopen().map_err(Error::io(output))?;
    if let Some(first) = base.files().first() {
        let metadata = first.file().metadata().map_err(Error::io(first.path()))?;
        let permissions = file.set_permissions(metadata.permissions());
        permissions.map_err(Error::io(output))?;
    }
    write(&file).map_err(Error::io(output))?;
    partial.appear()
}

fn entries(update: &LayerUpdate) -> u64 {
    let (rows, columns) = update.stored();
    rows as u64 * columns as u64
}

/// The weights' names in the base, and their updates laid out `out × in`.
fn updates(base: &Checkpoint, adapter: &Adapter) -> Result<(Vec<String>, Vec<LayerUpdate>)> {
    let modules = adapter.spectra().iter().map(|spectrum| spectrum.module());
    let map = NameMap::resolve(
        base.path(),
        modules,
        base.tensors().map(|tensor| tensor.name),
    )?;
    let transposed = adapter.config().fan_in_fan_out();
    let config = adapter.config().with("fan_in_fan_out", json!(false))?;
    let mut names = Vec::new();
    let mut specs = Vec::new();
    for spectrum in adapter.spectra() {
        let name = map.weight_name(spectrum.module());
        let shape = base.tensor(&name).map_or(&[][..], |weight| weight.shape);
        let &[rows, columns] = shape else {
            let found = format!("shape {shape:?}");
            return Err(Error::tensor(base.path(), name, "a matrix", found));
        };
        names.push(name);
        specs.push(LayerSpec {
            config: &config,
            spectrum,
            stored: if transposed {
                (columns, rows)
            } else {
                (rows, columns)
            },
            dtype: Dtype::F32,
        });
    }
    let updates = prepare(&specs).map_err(|(index, source)| {
        let (adapter, key) = (adapter.path().display(), specs[index].spectrum.key());
        let context = format!("{adapter}: tensor {key:?} for {:?}", names[index]);
        Error::Core { context, source }
    })?;
    Ok((names, updates))
}

fn header(names: &[String], updates: &[LayerUpdate]) -> serde_json::Result<Vec<u8>> {
    let metadata = [("format".to_owned(), "pt".to_owned())];
    let shapes = updates
        .iter()
        .map(|update| <[usize; 2]>::from(update.stored()));
    let shapes: Vec<_> = shapes.collect();
    let tensors = names.iter().zip(&shapes).zip(updates);
    let tensors = tensors.map(|((name, shape), update)| {
        (name.as_str(), Dtype::F32, &shape[..], entries(update) * 4)
    });
    Header::serialize(Some(&metadata), tensors)
}
