//! Writing a changed checkpoint beside its base.
//!
//! The output is laid out as the base is. What no edit touches is copied inside the kernel; an edited matrix goes through
//! memory in bands that fit in a core's cache, many at once, each written at its place, so that the result is the same for any
//! number of threads and memory does not grow with the checkpoint. The output appears complete or not at all.

mod layout;
mod other_files;
pub(crate) mod partial;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::layout::{FileLayout, Source, lay_out, new_index};
use self::other_files::{OtherFile, OtherFiles};
use self::partial::Partial;
use crate::checkpoint::file_system::{
    is_same, lock_exclusive, parent_of, refuse_irregular, sync_folder,
};
use crate::checkpoint::positioned::{read_exact_at, write_all_at};
use crate::checkpoint::{
    Band, BandBuffer, Checkpoint, CheckpointFile, Edits, INDEX_FILE, Progress, Resolved, RowEditor,
};
use crate::error::{Error, Result};
use crate::in_place;

/// How much is copied in one go: enough to make opening the files nothing, little enough to share and to show progress.
const COPY_BYTES: u64 = 16 << 20;

/// Writes to `output` what `base` becomes by `edits`: a file for a file, a folder for a folder.
///
/// A folder's output has the same shards, the same index (with the new names and the added tensors) and all other files of the
/// base's folder and of the folders in it; links are followed and become files. Tensors keep the base's order. Added tensors go
/// into the last shard, each before the first tensor whose elements are smaller, so that its own stay aligned. Where no name
/// changes, the base's header is kept to the byte. Files have the permissions of the base's.
///
/// Everything is written under the hidden name `.NAME.waveft-partial` beside the output, brought to disk, and given its name
/// last. That takes the place of a file or an empty folder of this name; where a symbolic link to a file is, the link itself is
/// replaced and what it leads to is kept. An error or a panic removes it; what a killed run leaves is replaced by the next run with the same output. Beside the
/// mapped base it takes a band of about 1 MiB (at least a row) for each of rayon's threads.
///
/// # Errors
/// When the edits do not fit the base (a tensor that it lacks, another length, a name that is taken); when an interrupted merge
/// in place left the base half changed; when the output is the base, inside it or around it, is a folder that holds anything
/// or, for a folder, a link, is a device or pipe, is being written by another run, or is a file that is being read, such as an
/// adapter's; when a link in the base's folder leads to a folder outside; whatever an editor refuses; when a row is longer than
/// memory has room for; and when reading or writing fails. The base is never changed, and until the new output is complete, an old one stays.
///
/// # Examples
/// ```
/// use waveft_std::checkpoint::{Checkpoint, Edits};
/// # let folder = tempfile::tempdir().unwrap();
/// # let (base, output) = (folder.path().join("base.safetensors"), folder.path().join("merged.safetensors"));
/// # let json = br#"{"weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
/// # std::fs::write(&base, [&(json.len() as u64).to_le_bytes()[..], json, &[0; 8]].concat()).unwrap();
///
/// let base = Checkpoint::open(base)?;
/// let mut edits = Edits::new();
/// edits.edit("weight", |_rows: std::ops::Range<usize>, band: &mut [u8]| {
///     band.fill(1);
///     Ok(())
/// });
/// waveft_std::rewrite::write_to(&base, &edits, &output, &())?;
/// assert_eq!(Checkpoint::open(&output)?.tensor("weight").unwrap().bytes, [1; 8]);
/// # Ok::<(), waveft_std::Error>(())
/// ```
pub fn write_to(
    base: &Checkpoint,
    edits: &Edits<'_>,
    output: impl AsRef<Path>,
    progress: &dyn Progress,
) -> Result<()> {
    let output = output.as_ref();
    let resolved = edits.resolve(base)?;
    in_place::refuse_unfinished(base)?;
    refuse_base(base, output)?;
    if base.is_folder() {
        write_folder(base, edits, &resolved, output, progress)
    } else {
        write_file(base, edits, &resolved, output, progress)
    }
}

fn write_file(
    base: &Checkpoint,
    edits: &Edits<'_>,
    resolved: &Resolved<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    refuse_irregular(output, "a file, as the base is one")?;
    refuse_read(output)?;
    let layouts = lay_out(base, edits, resolved)?;
    progress.start(layouts.iter().map(|layout| layout.length).sum());
    let partial = Partial::file(output)?;
    let handle = partial.reopen().map_err(Error::io(output))?;
    let target = Target {
        handle,
        path: partial.path().to_owned(),
        shown: output.to_owned(),
    };
    write_targets(base, &layouts, &[target], progress)?;
    partial.appear()
}

fn write_folder(
    base: &Checkpoint,
    edits: &Edits<'_>,
    resolved: &Resolved<'_>,
    output: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    refuse_filled(output)?;
    let layouts = lay_out(base, edits, resolved)?;
    let new_index = new_index(base, edits, resolved)?;
    let mut others = OtherFiles::of(base)?;
    if new_index.is_some() {
        others
            .files
            .retain(|other| other.name != Path::new(INDEX_FILE));
    }
    let lengths = layouts.iter().map(|layout| layout.length);
    progress.start(
        lengths
            .chain(others.files.iter().map(|other| other.length))
            .sum(),
    );

    let partial = Partial::folder(output)?;
    for folder in &others.folders {
        fs::create_dir_all(partial.path().join(folder)).map_err(Error::io(output.join(folder)))?;
    }
    copy_others(base, &others.files, partial.path(), output, progress)?;
    if let Some(text) = new_index {
        let like = base.path().join(INDEX_FILE);
        let like = File::open(&like).map_err(Error::io(&like))?;
        let file = File::create_new(partial.path().join(INDEX_FILE));
        let write = |mut file: File| {
            file.write_all(&text)
                .and_then(|()| finish_file(&like, &file))
        };
        file.and_then(write)
            .map_err(Error::io(output.join(INDEX_FILE)))?;
    }
    let mut targets = Vec::with_capacity(layouts.len());
    for file in base.files() {
        let (path, shown) = (partial.path().join(file.name()), output.join(file.name()));
        let handle = File::create_new(&path).map_err(Error::io(&shown))?;
        targets.push(Target {
            handle,
            path,
            shown,
        });
    }
    write_targets(base, &layouts, &targets, progress)?;
    for folder in others
        .folders
        .iter()
        .rev()
        .map(PathBuf::as_path)
        .chain([Path::new("")])
    {
        let finished = finish_folder(&base.path().join(folder), &partial.path().join(folder));
        finished.map_err(Error::io(output.join(folder)))?;
    }
    partial.appear()
}

/// A file of tensors under work.
struct Target {
    handle: File,
    path: PathBuf,
    /// The name that it will have.
    shown: PathBuf,
}

/// What one thread writes in one go.
struct Piece<'e> {
    file: usize,
    to: u64,
    length: u64,
    source: PieceSource<'e>,
}

enum PieceSource<'e> {
    Base {
        from: u64,
    },
    Bytes(&'e [u8]),
    Band {
        from: u64,
        band: Band,
        editors: &'e [Box<dyn RowEditor + 'e>],
    },
}

/// Writes the files of tensors and brings their contents to disk.
fn write_targets(
    base: &Checkpoint,
    layouts: &[FileLayout<'_>],
    targets: &[Target],
    progress: &dyn Progress,
) -> Result<()> {
    for (layout, target) in layouts.iter().zip(targets) {
        target
            .handle
            .set_len(layout.length)
            .map_err(Error::io(&target.shown))?;
    }
    let cut = |(file, layout)| pieces(file, layout);
    let pieces: Vec<Piece<'_>> = layouts.iter().enumerate().flat_map(cut).collect();
    pieces
        .par_iter()
        .try_for_each_init(BandBuffer::default, |buffer, piece| {
            write_piece(
                &base.files()[piece.file],
                &targets[piece.file],
                piece,
                buffer,
            )?;
            progress.advance(piece.length);
            Ok(())
        })?;
    targets
        .par_iter()
        .zip(base.files())
        .try_for_each(|(target, file)| {
            finish_file(file.file(), &target.handle).map_err(Error::io(&target.shown))
        })
}

/// A file's layout, cut into pieces.
fn pieces<'e>(file: usize, layout: &'e FileLayout<'e>) -> Vec<Piece<'e>> {
    let mut pieces = Vec::new();
    for part in &layout.parts {
        let mut push = |start, length, source| {
            pieces.push(Piece {
                file,
                to: part.to + start,
                length,
                source,
            });
        };
        match &part.source {
            Source::Base { from } => {
                for start in (0..part.length).step_by(COPY_BYTES as usize) {
                    let length = COPY_BYTES.min(part.length - start);
                    push(start, length, PieceSource::Base { from: from + start });
                }
            }
            Source::Header(bytes) => push(0, part.length, PieceSource::Bytes(bytes)),
            Source::Bytes(bytes) => push(0, part.length, PieceSource::Bytes(bytes)),
            Source::Rows {
                from,
                rows,
                editors,
            } => {
                for band in rows.bands() {
                    let (start, length) = (band.offset(), band.length());
                    push(
                        start,
                        length,
                        PieceSource::Band {
                            from: from + start,
                            band,
                            editors,
                        },
                    );
                }
            }
        }
    }
    pieces
}

fn write_piece(
    source: &CheckpointFile,
    target: &Target,
    piece: &Piece<'_>,
    buffer: &mut BandBuffer,
) -> Result<()> {
    let bytes: &[u8] = match &piece.source {
        PieceSource::Base { from } => {
            return copy_range(source, *from, target, piece.to, piece.length);
        }
        PieceSource::Bytes(bytes) => bytes,
        PieceSource::Band {
            from,
            band,
            editors,
        } => {
            let bytes = buffer
                .bytes(piece.length)
                .map_err(Error::io(source.path()))?;
            read_exact_at(source.file(), bytes, *from).map_err(Error::io(source.path()))?;
            band.edit(editors, bytes)?;
            bytes
        }
    };
    write_all_at(&target.handle, bytes, piece.to).map_err(Error::io(&target.shown))
}

/// Copies bytes inside the kernel, through handles of its own, as a shared handle has one cursor only.
#[cfg(unix)]
fn copy_range(
    source: &CheckpointFile,
    from: u64,
    target: &Target,
    to: u64,
    length: u64,
) -> Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};

    let open = || {
        let mut reader = File::open(source.path())?;
        reader.seek(SeekFrom::Start(from))?;
        let is_same = is_same(&reader.metadata()?, &source.file().metadata()?);
        Ok((reader, is_same))
    };
    let (reader, is_same) = open().map_err(Error::io(source.path()))?;
    if !is_same {
        return Err(Error::file(
            source.path(),
            "the file that was opened",
            "another in its place",
        ));
    }
    let copy = || {
        let mut writer = OpenOptions::new().write(true).open(&target.path)?;
        writer.seek(SeekFrom::Start(to))?;
        io::copy(&mut reader.take(length), &mut writer)
    };
    match copy().map_err(Error::io(&target.shown))? {
        copied if copied == length => Ok(()),
        copied => {
            let expected = format!("{length} bytes from offset {from} on");
            Err(Error::file(
                source.path(),
                expected,
                format!("{copied} bytes"),
            ))
        }
    }
}

/// Copies bytes, through the map: a second handle could not write beside the first one's lock here.
#[cfg(not(unix))]
fn copy_range(
    source: &CheckpointFile,
    from: u64,
    target: &Target,
    to: u64,
    length: u64,
) -> Result<()> {
    let bytes = &source.bytes()[from as usize..(from + length) as usize];
    write_all_at(&target.handle, bytes, to).map_err(Error::io(&target.shown))
}

fn copy_others(
    base: &Checkpoint,
    others: &[OtherFile],
    partial: &Path,
    output: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    others
        .par_iter()
        .try_for_each(|OtherFile { name, length }| {
            let (from, to) = (base.path().join(name), partial.join(name));
            let mut source = File::open(&from).map_err(Error::io(&from))?;
            copy_other(&mut source, &to).map_err(Error::io(output.join(name)))?;
            progress.advance(*length);
            Ok(())
        })
}

fn copy_other(source: &mut File, to: &Path) -> io::Result<()> {
    let mut target = File::create_new(to)?;
    io::copy(source, &mut target)?;
    finish_file(source, &target)
}

/// Gives a written file the permissions of the base's and brings it to disk.
fn finish_file(like: &File, file: &File) -> io::Result<()> {
    file.set_permissions(like.metadata()?.permissions())?;
    file.sync_all()
}

/// Gives a filled folder the permissions of the base's, kept usable for its owner, and brings its names to disk.
fn finish_folder(like: &Path, path: &Path) -> io::Result<()> {
    sync_folder(path)?;
    let mut permissions = fs::metadata(like)?.permissions();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        permissions.set_mode(permissions.mode() | 0o700);
    }
    #[cfg(not(unix))]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions)
}

/// Refuses an output that is the base, one of its files, inside the base's folder or around it, whatever links lead there.
pub(crate) fn refuse_base(base: &Checkpoint, output: &Path) -> Result<()> {
    let refused = || {
        Err(Error::OutputIsBase {
            path: output.to_owned(),
        })
    };
    if let Ok(existing) = fs::metadata(output) {
        let is_file_of_base = base
            .files()
            .iter()
            .filter_map(|file| file.file().metadata().ok())
            .any(|file| is_same(&file, &existing));
        if is_file_of_base {
            return refused();
        }
    }
    let real_base = fs::canonicalize(base.path()).map_err(Error::io(base.path()))?;
    let real_output = match fs::canonicalize(output) {
        Ok(real) => real,
        Err(_) => {
            let parent = parent_of(output);
            let real = fs::canonicalize(&parent).map_err(Error::io(&parent))?;
            real.join(output.file_name().unwrap_or_default())
        }
    };
    let is_inside = base.is_folder() && real_output.starts_with(&real_base);
    if real_output == real_base || is_inside || real_base.starts_with(&real_output) {
        return refused();
    }
    Ok(())
}

/// Refuses to replace a file that is being read, by this run or another: the adapter's, which would be lost. Open
/// checkpoints hold a shared lock.
pub(crate) fn refuse_read(output: &Path) -> Result<()> {
    // Opening a pipe would wait for its other end; what cannot be opened, or is not there, is nobody's.
    if !output.is_file() {
        return Ok(());
    }
    let Ok(existing) = File::open(output) else {
        return Ok(());
    };
    match lock_exclusive(&existing, output) {
        Err(Error::Busy { .. }) => Err(Error::file(
            output,
            "an output that nothing reads",
            "one that is being read: an adapter's own file, or another run's",
        )),
        locked => locked,
    }
}

/// Refuses an output folder that is a file or a link, which no folder can replace, or holds anything.
fn refuse_filled(output: &Path) -> Result<()> {
    let is_filled = match fs::symlink_metadata(output) {
        Ok(found) if found.is_dir() => {
            fs::read_dir(output).map_or(true, |mut entries| entries.next().is_some())
        }
        found => found.is_ok(),
    };
    if is_filled {
        return Err(Error::OutputExists {
            path: output.to_owned(),
        });
    }
    Ok(())
}
