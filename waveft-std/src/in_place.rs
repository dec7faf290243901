//! Changing a checkpoint's own files, so that the change can be undone to the byte.
//!
//! Before the first byte is changed, a journal with all old and new bytes is complete on disk: `FILE.waveft-journal` beside a
//! single file, `model.waveft-journal` in a folder. So at any moment one of these holds, whatever happens to the process or the
//! machine:
//!
//! - there is no journal, and the base is untouched;
//! - there is a pending journal, and the merge can be [finished](finish) or [rolled back](roll_back);
//! - there is an applied journal, the merge is complete, and it can be [rolled back](roll_back).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::checkpoint::file_system::{is_at, lock_exclusive, parent_of, sync_folder};
use crate::checkpoint::positioned::{read_exact_at, write_all_at};
use crate::checkpoint::{
    BAND_BYTES, Band, BandBuffer, Change, Checkpoint, CheckpointFile, Edits, Header, Progress,
    Resolved, RowEditor, TensorKey, stays_inside,
};
use crate::error::{Error, Result};
use crate::journal::{
    Differences, JOURNAL_SUFFIX, JournalFile, JournalReader, JournalWriter, Run, WriteAt, mark,
};
pub use crate::journal::{JournalInfo, JournalState};
use crate::rewrite::partial::Partial;

/// Changes the base itself, and keeps a journal from which [`roll_back`] restores it to the byte.
///
/// `base` must be the only open checkpoint of these files: it is closed before they change, and an exclusive lock on them keeps
/// others from opening them until the end. `description` says what is merged, for [`status`] to show. Takes two bands of about
/// 1 MiB (at least a row) and what changes in them for each of rayon's threads; the journal takes the disk space of twice the
/// bytes that change.
///
/// # Errors
/// When the edits do not fit the base, rename a tensor or add one (which takes a new file: see
/// [`rewrite::write_to`](crate::rewrite::write_to)); when a journal is there already; when the files cannot be written, or are
/// in use elsewhere; whatever an editor refuses. In all these cases the base is untouched. When writing to the base itself
/// fails, the journal stays, pending.
pub fn apply(
    base: Checkpoint,
    edits: &Edits<'_>,
    description: &Value,
    progress: &dyn Progress,
) -> Result<()> {
    apply_through(base, edits, description, progress, &mut write_all_at)
}

/// Completes a merge in place that was interrupted; of one that is complete, checks that the base still is as it left it.
///
/// # Errors
/// When there is no journal or a damaged one, when the base was changed by something else since, or is in use: in these cases
/// nothing is written. When writing fails, the journal stays, pending.
pub fn finish(path: impl AsRef<Path>, progress: &dyn Progress) -> Result<()> {
    finish_through(path.as_ref(), progress, &mut write_all_at)
}

/// Undoes a merge in place, complete or interrupted: restores every byte and removes the journal.
///
/// # Errors
/// As for [`finish`].
pub fn roll_back(path: impl AsRef<Path>, progress: &dyn Progress) -> Result<()> {
    roll_back_through(path.as_ref(), progress, &mut write_all_at)
}

/// What a merge in place left in its journal, or `None` when there is none. `path` is the checkpoint's.
///
/// Only the journal's beginning is read and checked.
///
/// # Errors
/// When there is no checkpoint at `path`, or the journal cannot be read or is damaged.
pub fn status(path: impl AsRef<Path>) -> Result<Option<JournalInfo>> {
    let location = Location::of(path.as_ref())?;
    Ok(JournalReader::open(&location.journal)?.map(|journal| journal.info().clone()))
}

/// Refuses a base that an interrupted merge in place left half changed.
pub(crate) fn refuse_unfinished(base: &Checkpoint) -> Result<()> {
    match journals_of(base)?
        .into_iter()
        .find(|found| found.state == JournalState::Pending)
    {
        Some(found) => Err(refused(found)),
        None => Ok(()),
    }
}

fn refused(found: JournalInfo) -> Error {
    let reason = match found.state {
        JournalState::Pending => {
            "expected no interrupted merge in place, found one: finish it by the `waveft merge --in-place` that began it \
             (`in_place::finish`), or undo it by `waveft unmerge` (`in_place::roll_back`)"
        }
        JournalState::Applied => {
            "expected no merge in place yet, found one: undo it by `waveft unmerge` (`in_place::roll_back`), or write to an \
             output"
        }
    };
    Error::Journal {
        path: found.path,
        reason: reason.to_owned(),
    }
}

/// Where a checkpoint's files and its journal are.
struct Location {
    /// The folder that names in the journal count from.
    folder: PathBuf,
    /// The checkpoint's only file, if it is not a folder.
    file: Option<PathBuf>,
    journal: PathBuf,
}

impl Location {
    /// Links are followed, so that a file has one journal whatever path leads to it.
    fn of(path: &Path) -> Result<Self> {
        let real = fs::canonicalize(path).map_err(Error::io(path))?;
        if real.is_dir() {
            let journal = real.join(format!("model{JOURNAL_SUFFIX}"));
            return Ok(Self {
                folder: real,
                file: None,
                journal,
            });
        }
        Ok(Self {
            folder: parent_of(&real),
            journal: journal_of_file(&real),
            file: Some(real),
        })
    }

    /// A file's name counted from the folder, which is not always that of the path that led there.
    fn name_of(&self, mapped: &CheckpointFile) -> Result<String> {
        let Some(real) = &self.file else {
            return Ok(mapped.name().to_owned());
        };
        let name = real.file_name().and_then(|name| name.to_str());
        let unfit = || Error::file(real, "a name in UTF-8, for a journal to hold", "another");
        name.map(str::to_owned).ok_or_else(unfit)
    }
}

fn journal_of_file(real: &Path) -> PathBuf {
    let mut name = real.file_name().map(OsString::from).unwrap_or_default();
    name.push(JOURNAL_SUFFIX);
    real.with_file_name(name)
}

/// The journals that concern a checkpoint: its own, those of its single files, and its folder's when that names it.
fn journals_of(base: &Checkpoint) -> Result<Vec<JournalInfo>> {
    let location = Location::of(base.path())?;
    let of_folder = location.folder.join(format!("model{JOURNAL_SUFFIX}"));
    let mut paths = vec![of_folder.clone()];
    for file in base.files() {
        let real = fs::canonicalize(file.path()).map_err(Error::io(file.path()))?;
        paths.push(journal_of_file(&real));
    }
    let mut found = Vec::new();
    for path in paths {
        let Some(journal) = JournalReader::open(&path)? else {
            continue;
        };
        let info = journal.info();
        let names_it = info
            .files
            .iter()
            .any(|named| base.files().iter().any(|file| file.name() == named.name));
        if path != of_folder || base.is_folder() || names_it {
            found.push(info.clone());
        }
    }
    Ok(found)
}

/// The base's files, open for writing and locked.
struct LockedBase {
    files: Vec<LockedFile>,
}

struct LockedFile {
    path: PathBuf,
    file: File,
    identity: JournalFile,
}

impl LockedBase {
    /// Takes the files over from an open checkpoint, whose maps stay usable until the first write.
    fn take(base: &Checkpoint, location: &Location) -> Result<Self> {
        let mut files = Vec::with_capacity(base.files().len());
        for mapped in base.files() {
            let path = mapped.path();
            let file = open_to_write(path)?;
            // Where there are no locks there is none to give back.
            let _ = mapped.file().unlock();
            lock_exclusive(&file, path)?;
            if !is_at(mapped.file(), path) {
                return Err(Error::file(
                    path,
                    "the file that was opened",
                    "another in its place",
                ));
            }
            let name = location.name_of(mapped)?;
            files.push(LockedFile::identify(file, path.to_owned(), name)?);
        }
        Ok(Self { files })
    }

    /// Opens the files that a journal belongs to, which must be as it says.
    fn of_journal(location: &Location, info: &JournalInfo) -> Result<Self> {
        let mut files = Vec::with_capacity(info.files.len());
        for expected in &info.files {
            if !stays_inside(&expected.name) {
                let reason = format!("expected a file of the base, found {:?}", expected.name);
                return Err(Error::Journal {
                    path: info.path.clone(),
                    reason,
                });
            }
            let path = location.folder.join(&expected.name);
            let file = open_to_write(&path)?;
            lock_exclusive(&file, &path)?;
            let locked = LockedFile::identify(file, path, expected.name.clone())?;
            if locked.identity != *expected {
                let expected = format!(
                    "the {} bytes and the header that were merged into",
                    expected.length
                );
                let found = format!(
                    "{} bytes or another header: the base was changed since",
                    locked.identity.length
                );
                return Err(Error::file(locked.path, expected, found));
            }
            files.push(locked);
        }
        Ok(Self { files })
    }

    fn identities(&self) -> Vec<JournalFile> {
        self.files
            .iter()
            .map(|file| file.identity.clone())
            .collect()
    }

    fn sync(&self) -> Result<()> {
        self.files
            .iter()
            .try_for_each(|file| file.file.sync_all().map_err(Error::io(&file.path)))
    }
}

fn open_to_write(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(Error::io(path))
}

impl LockedFile {
    fn identify(file: File, path: PathBuf, name: String) -> Result<Self> {
        let length = file.metadata().map_err(Error::io(&path))?.len();
        let header_hash = xxh3_64(&read_beginning(&file, &path, length)?);
        Ok(Self {
            path,
            file,
            identity: JournalFile {
                name,
                length,
                header_hash,
            },
        })
    }

    /// An error about the bytes at `offset`, which are not what they should be.
    fn changed_since(&self, expected: Expected, offset: u64) -> Error {
        let expected = format!("{} at offset {offset}", expected.shown());
        let found = "others: the base was changed since";
        let tensor = read_beginning(&self.file, &self.path, self.identity.length)
            .ok()
            .and_then(|beginning| Header::parse_beginning(&beginning, self.identity.length).ok())
            .and_then(|header| {
                let mut tensors = header.tensors().iter();
                tensors
                    .find(|tensor| tensor.place.contains(&offset))
                    .map(|tensor| tensor.name.clone())
            });
        match tensor {
            Some(tensor) => Error::tensor(&self.path, tensor, expected, found),
            None => Error::file(&self.path, expected, found),
        }
    }
}

/// A file's size field and header.
fn read_beginning(file: &File, path: &Path, length: u64) -> Result<Vec<u8>> {
    let mut size = [0; 8];
    read_exact_at(file, &mut size, 0).map_err(Error::io(path))?;
    let data_start = u64::from_le_bytes(size).checked_add(8);
    let Some(data_start) = data_start.filter(|&start| start <= length) else {
        return Err(Error::file(
            path,
            "a header inside the file",
            "a longer one",
        ));
    };
    let mut beginning = vec![0; data_start as usize];
    read_exact_at(file, &mut beginning, 0).map_err(Error::io(path))?;
    Ok(beginning)
}

/// Some bytes of the base, and what is done to them.
struct Piece<'e> {
    file: usize,
    offset: u64,
    length: u64,
    work: Work<'e>,
}

enum Work<'e> {
    Replace(&'e [u8]),
    Edit(Band, &'e [Box<dyn RowEditor + 'e>]),
}

/// What is edited, in the order of the files and of the places in them.
fn pieces<'e>(base: &Checkpoint, resolved: &Resolved<'e>) -> Vec<Piece<'e>> {
    let mut pieces = Vec::new();
    for (file, opened) in base.files().iter().enumerate() {
        for (tensor, entry) in opened.header().tensors().iter().enumerate() {
            let start = entry.place.start;
            match resolved.change(TensorKey { file, tensor }) {
                None => {}
                Some(Change::Replace(bytes)) => {
                    let mut offset = start;
                    for bytes in bytes.chunks(BAND_BYTES as usize) {
                        let length = bytes.len() as u64;
                        pieces.push(Piece {
                            file,
                            offset,
                            length,
                            work: Work::Replace(bytes),
                        });
                        offset += length;
                    }
                }
                Some(Change::Edit(rows, editors)) => {
                    pieces.extend(rows.bands().map(|band| Piece {
                        file,
                        offset: start + band.offset(),
                        length: band.length(),
                        work: Work::Edit(band, editors),
                    }))
                }
            }
        }
    }
    pieces
}

impl Piece<'_> {
    /// What this changes in its file; `old` and `new` are room for the bytes as they are and as they become.
    fn differences(
        &self,
        base: &LockedBase,
        old: &mut BandBuffer,
        new: &mut BandBuffer,
    ) -> Result<Differences> {
        let LockedFile { file, path, .. } = &base.files[self.file];
        let old = old.bytes(self.length).map_err(Error::io(path))?;
        read_exact_at(file, old, self.offset).map_err(Error::io(path))?;
        let new = match &self.work {
            Work::Replace(bytes) => bytes,
            Work::Edit(band, editors) => {
                let new = new.bytes(self.length).map_err(Error::io(path))?;
                new.copy_from_slice(old);
                band.edit(editors, new)?;
                &*new
            }
        };
        Ok(Differences::between(
            old,
            new,
            self.file as u32,
            self.offset,
        ))
    }
}

fn apply_through(
    base: Checkpoint,
    edits: &Edits<'_>,
    description: &Value,
    progress: &dyn Progress,
    write: WriteAt<'_>,
) -> Result<()> {
    let changed_names = edits.changed_names();
    if !changed_names.is_empty() {
        let expected =
            "only tensors that keep their names in place (use --output to write a new checkpoint)";
        let found = format!("renamed or added ones: {}", changed_names.join(", "));
        return Err(Error::file(base.path(), expected, found));
    }
    let resolved = edits.resolve(&base)?;
    let location = Location::of(base.path())?;
    let locked = LockedBase::take(&base, &location)?;
    if let Some(found) = journals_of(&base)?.pop() {
        return Err(refused(found));
    }
    let pieces = pieces(&base, &resolved);
    let edited = pieces.iter().map(|piece| piece.length).sum::<u64>();
    // Half of the work is the journal, the other half the base itself.
    progress.start(2 * edited);
    write_journal(&location, &locked, &pieces, description, progress)?;
    // Closes the maps: the files change from here on.
    drop(base);

    let journal = open_journal(&location)?;
    let length = fs::metadata(&location.journal)
        .map_err(Error::io(&location.journal))?
        .len();
    let mut told = 0;
    replay(
        journal,
        &locked,
        Direction::Forward,
        write,
        &mut |position| {
            let done = (u128::from(edited) * u128::from(position) / u128::from(length)) as u64;
            progress.advance(done - told);
            told = done;
        },
    )?;
    progress.advance(edited - told);
    mark(&location.journal, JournalState::Applied, write)
}

/// Writes the complete journal to disk.
fn write_journal(
    location: &Location,
    base: &LockedBase,
    pieces: &[Piece<'_>],
    description: &Value,
    progress: &dyn Progress,
) -> Result<()> {
    let at_journal = || Error::io(&location.journal);
    let partial = Partial::file(&location.journal)?;
    let handle = partial.reopen().map_err(at_journal())?;
    if let Some(first) = base.files.first() {
        let metadata = first.file.metadata().map_err(Error::io(&first.path))?;
        handle
            .set_permissions(metadata.permissions())
            .map_err(at_journal())?;
    }
    let mut journal = JournalWriter::new(BufWriter::new(&handle), &base.identities(), description)
        .map_err(at_journal())?;
    // As many at once as there are threads, so that memory does not grow with the work; written in order.
    for batch in pieces.chunks(rayon::current_num_threads()) {
        let buffers = <(BandBuffer, BandBuffer)>::default;
        let differences = batch
            .par_iter()
            .map_init(buffers, |(old, new), piece| {
                piece.differences(base, old, new)
            })
            .collect::<Result<Vec<_>>>()?;
        for (differences, piece) in differences.iter().zip(batch) {
            journal.write(differences).map_err(at_journal())?;
            progress.advance(piece.length);
        }
    }
    journal
        .finish()
        .and_then(|()| handle.sync_all())
        .map_err(at_journal())?;
    partial.appear()
}

fn finish_through(path: &Path, progress: &dyn Progress, write: WriteAt<'_>) -> Result<()> {
    let location = Location::of(path)?;
    let (info, base) = open_merged(&location)?;
    if info.state == JournalState::Applied {
        let journal = open_journal(&location)?;
        return verify(journal, &base, Expected::New, &mut |_| ());
    }
    verify_and_replay(&location, &base, Direction::Forward, progress, write)?;
    mark(&location.journal, JournalState::Applied, write)
}

fn roll_back_through(path: &Path, progress: &dyn Progress, write: WriteAt<'_>) -> Result<()> {
    let location = Location::of(path)?;
    let (_, base) = open_merged(&location)?;
    verify_and_replay(&location, &base, Direction::Back, progress, write)?;
    fs::remove_file(&location.journal).map_err(Error::io(&location.journal))?;
    sync_folder(&location.folder).map_err(Error::io(&location.folder))
}

fn open_journal(location: &Location) -> Result<JournalReader> {
    JournalReader::open(&location.journal)?.ok_or_else(|| Error::Journal {
        path: location.journal.clone(),
        reason: "expected the journal of a merge in place, found none".to_owned(),
    })
}

/// The journal's beginning, read while the base that it belongs to is locked.
fn open_merged(location: &Location) -> Result<(JournalInfo, LockedBase)> {
    let before = open_journal(location)?.info().clone();
    let base = LockedBase::of_journal(location, &before)?;
    // Another run may have been at work until the lock.
    let info = open_journal(location)?.info().clone();
    if info.files != before.files {
        return Err(Error::Busy {
            path: location.journal.clone(),
        });
    }
    Ok((info, base))
}

/// Which of a journal's bytes are written.
#[derive(Clone, Copy)]
enum Direction {
    /// The new ones.
    Forward,
    /// The old ones.
    Back,
}

impl Direction {
    fn bytes_of<'j>(self, run: &Run<'j>) -> &'j [u8] {
        match self {
            Self::Forward => run.new,
            Self::Back => run.old,
        }
    }
}

/// Reads the journal to its end against the base, and only then writes.
fn verify_and_replay(
    location: &Location,
    base: &LockedBase,
    direction: Direction,
    progress: &dyn Progress,
    write: WriteAt<'_>,
) -> Result<()> {
    let length = fs::metadata(&location.journal)
        .map_err(Error::io(&location.journal))?
        .len();
    progress.start(2 * length);
    let mut told = 0;
    let mut tell = |position: u64| {
        progress.advance(position - told);
        told = position;
    };
    let journal = open_journal(location)?;
    let state = journal.info().state;
    let expected = match state {
        JournalState::Pending => Expected::Torn,
        JournalState::Applied => Expected::Whole,
    };
    verify(journal, base, expected, &mut tell)?;
    if state == JournalState::Applied {
        // From here on the base is neither as before nor as after.
        mark(&location.journal, JournalState::Pending, write)?;
    }
    let mut tell = |position: u64| tell(length + position);
    replay(open_journal(location)?, base, direction, write, &mut tell)
}

/// Checks the whole journal, and that the base holds the expected bytes wherever it has any.
fn verify(
    mut journal: JournalReader,
    base: &LockedBase,
    expected: Expected,
    tell: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut buffer = BandBuffer::default();
    while let Some(runs) = journal.next_runs()? {
        for window in windows(&runs) {
            // The journal was read against these files' number and lengths.
            let file = &base.files[window.file];
            let current = buffer.bytes(window.length).map_err(Error::io(&file.path))?;
            read_exact_at(&file.file, current, window.offset).map_err(Error::io(&file.path))?;
            for run in window.runs {
                if !expected.explain(&current[window.place_of(run)], run) {
                    return Err(file.changed_since(expected, run.offset));
                }
            }
        }
        tell(journal.position());
    }
    tell(journal.position());
    Ok(())
}

/// What the base may hold where a journal has bytes.
#[derive(Clone, Copy)]
enum Expected {
    /// The new ones.
    New,
    /// The old or the new ones.
    Whole,
    /// Some of the new and some of the old, which a write that was cut short leaves.
    Torn,
}

impl Expected {
    /// Whether these bytes are so.
    fn explain(self, current: &[u8], run: &Run<'_>) -> bool {
        let is_torn = || {
            let mut bytes = current.iter().zip(run.old).zip(run.new);
            bytes.all(|((byte, old), new)| byte == old || byte == new)
        };
        match self {
            Self::New => current == run.new,
            Self::Whole => current == run.new || current == run.old,
            Self::Torn => is_torn(),
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::New => "the bytes from after the merge",
            Self::Whole | Self::Torn => "the bytes from before or after the merge",
        }
    }
}

/// Writes a journal's bytes to the base and brings them to disk.
fn replay(
    mut journal: JournalReader,
    base: &LockedBase,
    direction: Direction,
    write: WriteAt<'_>,
    tell: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut buffer = BandBuffer::default();
    while let Some(runs) = journal.next_runs()? {
        for window in windows(&runs) {
            let LockedFile { file, path, .. } = &base.files[window.file];
            let bytes = match window.runs {
                [run] => direction.bytes_of(run),
                runs => {
                    // What lies between the runs is written as it is: the base is locked, so that nobody changes it meanwhile.
                    let bytes = buffer.bytes(window.length).map_err(Error::io(path))?;
                    read_exact_at(file, bytes, window.offset).map_err(Error::io(path))?;
                    for run in runs {
                        bytes[window.place_of(run)].copy_from_slice(direction.bytes_of(run));
                    }
                    bytes
                }
            };
            write(file, bytes, window.offset).map_err(Error::io(path))?;
        }
        tell(journal.position());
    }
    tell(journal.position());
    base.sync()
}

/// Runs further apart than this are read and written one by one: a page between them need not be touched.
const PAGE_BYTES: u64 = 4096;

/// The most bytes that runs are joined to.
const WINDOW_BYTES: u64 = 1 << 20;

/// Some runs of one file, near one another, and the bytes from the first one's beginning to the last one's end.
///
/// A changed element every few hundred bytes is usual, and a call of the system for each would take longer than the merge.
struct Window<'r, 'j> {
    file: usize,
    offset: u64,
    length: u64,
    runs: &'r [Run<'j>],
}

impl Window<'_, '_> {
    /// Where a run of this window lies in it.
    fn place_of(&self, run: &Run<'_>) -> Range<usize> {
        let start = (run.offset - self.offset) as usize;
        start..start + run.new.len()
    }
}

/// Cuts runs, which are in the order of their places and apart from each other, into windows.
fn windows<'r, 'j>(runs: &'r [Run<'j>]) -> impl Iterator<Item = Window<'r, 'j>> {
    let end_of = |run: &Run<'_>| run.offset + run.new.len() as u64;
    let mut start = runs.first().map_or(0, |run| run.offset);
    let are_joined = move |last: &Run<'_>, next: &Run<'_>| {
        let joined = last.file == next.file
            && next.offset - end_of(last) < PAGE_BYTES
            && end_of(next) - start <= WINDOW_BYTES;
        if !joined {
            start = next.offset;
        }
        joined
    };
    runs.chunk_by(are_joined).filter_map(move |runs| {
        let (first, last) = (runs.first()?, runs.last()?);
        Some(Window {
            file: first.file,
            offset: first.offset,
            length: end_of(last) - first.offset,
            runs,
        })
    })
}

#[cfg(test)]
mod tests {
    //! What is left when the work stops after any write, and that it can be finished and undone from there.

    use std::io;

    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    /// A folder with two shards, its files' contents, and edits of both.
    fn two_shards() -> (tempfile::TempDir, Vec<Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        let mut weight_map = serde_json::Map::new();
        for (name, columns) in [("one", 4000), ("two", 2500)] {
            let bytes: Vec<u8> = (0..3 * columns * 4).map(|n| (n * 7) as u8).collect();
            let view = TensorView::new(Dtype::F32, vec![3, columns], &bytes).unwrap();
            safetensors::serialize_to_file([(name, view)], None, &folder.path().join(name))
                .unwrap();
            weight_map.insert(name.to_owned(), name.into());
        }
        let index = serde_json::json!({ "weight_map": weight_map }).to_string();
        fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        let before = contents(folder.path());
        (folder, before)
    }

    fn contents(folder: &Path) -> Vec<Vec<u8>> {
        ["one", "two"]
            .map(|name| fs::read(folder.join(name)).unwrap())
            .to_vec()
    }

    /// From one changed place to the next: too far to be written at once, and near enough.
    const FAR: usize = 10_000;
    const NEAR: usize = 100;

    /// Changes three places of each tensor, each a run of its own.
    fn edits(distance: usize) -> Edits<'static> {
        let mut edits = Edits::new();
        for name in ["one", "two"] {
            edits.edit(
                name,
                move |_: Range<usize>, band: &mut [u8]| -> Result<()> {
                    for start in [0, distance, 2 * distance] {
                        band[start..start + 24]
                            .iter_mut()
                            .for_each(|byte| *byte = !*byte);
                    }
                    Ok(())
                },
            );
        }
        edits
    }

    /// Writes as usual until `left` writes are done; then writes `torn` bytes of the next and fails, and after it always.
    fn failing(mut left: usize, torn: usize) -> impl FnMut(&File, &[u8], u64) -> io::Result<()> {
        move |file, bytes, offset| {
            if left > 0 {
                left -= 1;
                return write_all_at(file, bytes, offset);
            }
            write_all_at(file, &bytes[..torn.min(bytes.len() - 1)], offset)?;
            Err(io::Error::other("stopped"))
        }
    }

    fn merge(folder: &Path, distance: usize, write: WriteAt<'_>) -> Result<()> {
        apply_through(
            Checkpoint::open(folder).unwrap(),
            &edits(distance),
            &Value::Null,
            &(),
            write,
        )
    }

    /// How many writes a merge takes: six runs or a window for each shard, and the mark.
    fn writes(distance: usize) -> usize {
        if distance == FAR { 7 } else { 3 }
    }

    /// Stops a merge after `done` writes and `torn` bytes, and checks that it is then pending.
    fn interrupted(distance: usize, done: usize, torn: usize) -> (tempfile::TempDir, Vec<Vec<u8>>) {
        let (folder, before) = two_shards();
        let result = merge(folder.path(), distance, &mut failing(done, torn));
        let is_complete = done >= writes(distance);
        assert_eq!(result.is_ok(), is_complete);
        let state = status(folder.path()).unwrap().unwrap().state;
        assert_eq!(state == JournalState::Applied, is_complete);
        (folder, before)
    }

    fn merged(distance: usize) -> Vec<Vec<u8>> {
        let (folder, before) = two_shards();
        merge(folder.path(), distance, &mut write_all_at).unwrap();
        assert_ne!(contents(folder.path()), before);
        contents(folder.path())
    }

    /// Stops a merge there, finishes it, and stops another there and rolls it back.
    fn is_finished_or_rolled_back(distance: usize, done: usize, torn: usize, merged: &[Vec<u8>]) {
        let (folder, _) = interrupted(distance, done, torn);
        finish(folder.path(), &()).unwrap();
        assert!(contents(folder.path()) == merged);
        assert_eq!(
            status(folder.path()).unwrap().unwrap().state,
            JournalState::Applied
        );

        let (folder, before) = interrupted(distance, done, torn);
        roll_back(folder.path(), &()).unwrap();
        assert!(contents(folder.path()) == before);
        assert!(status(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_merge_that_stops_anywhere_is_finished_or_rolled_back() {
        for distance in [FAR, NEAR] {
            let merged = merged(distance);
            for done in 0..=writes(distance) {
                for torn in [0, 1, 11] {
                    is_finished_or_rolled_back(distance, done, torn, &merged);
                }
            }
        }
    }

    /// In each of the three runs, between them, and at their ends.
    #[test]
    fn a_window_that_is_torn_anywhere_is_finished_or_rolled_back() {
        let merged = merged(NEAR);
        for torn in [0, 3, 24, 60, 100, 111, 124, 170, 200, 205, 223] {
            for done in 0..writes(NEAR) - 1 {
                is_finished_or_rolled_back(NEAR, done, torn, &merged);
            }
        }
    }

    #[test]
    fn finishing_and_rolling_back_can_stop_anywhere_too() {
        for distance in [FAR, NEAR] {
            let merged = merged(distance);
            for first in 0..=writes(distance) {
                for second in 0..writes(distance) {
                    for forward in [false, true] {
                        // In a window, the first is torn in its second run and the other one in its third.
                        let (folder, before) = interrupted(distance, first, 105);
                        // The state between is whatever it is; only that it can be left matters.
                        let mut write = failing(second, 207);
                        let _ = finish_through(folder.path(), &(), &mut write);
                        let mut write = failing(second, 207);
                        if roll_back_through(folder.path(), &(), &mut write).is_ok() {
                            assert!(contents(folder.path()) == before);
                            continue;
                        }
                        if forward {
                            finish(folder.path(), &()).unwrap();
                            assert!(contents(folder.path()) == merged);
                        }
                        roll_back(folder.path(), &()).unwrap();
                        assert!(contents(folder.path()) == before);
                    }
                }
            }
        }
    }

    #[test]
    fn an_interrupted_rollback_is_pending() {
        let (folder, _) = two_shards();
        merge(folder.path(), FAR, &mut write_all_at).unwrap();
        // The first write is the mark, the second a run.
        assert!(roll_back_through(folder.path(), &(), &mut failing(2, 3)).is_err());
        assert_eq!(
            status(folder.path()).unwrap().unwrap().state,
            JournalState::Pending
        );
    }

    /// Runs make up windows whole, in order and no longer than may be, and only as far apart as is said.
    #[test]
    fn windows_join_near_runs_of_one_file() {
        let bytes = [0; 24];
        let run = |file, offset, length| Run {
            file,
            offset,
            old: &bytes[..length],
            new: &bytes[..length],
        };
        let long = vec![0; WINDOW_BYTES as usize];
        let runs = [
            run(0, 8, 8),
            run(0, 15 + PAGE_BYTES, 8),
            // A page of other bytes is before this one.
            run(0, 23 + 2 * PAGE_BYTES, 24),
            // Near by its offset, but in another file.
            run(1, 50 + 2 * PAGE_BYTES, 8),
            Run {
                file: 1,
                offset: 60 + 2 * PAGE_BYTES,
                old: &long,
                new: &long,
            },
            run(1, 60 + 2 * PAGE_BYTES + WINDOW_BYTES, 8),
        ];
        let found: Vec<_> = windows(&runs)
            .map(|window| (window.file, window.offset, window.length, window.runs.len()))
            .collect();
        let expected = [
            (0, 8, 15 + PAGE_BYTES, 2),
            (0, 23 + 2 * PAGE_BYTES, 24, 1),
            (1, 50 + 2 * PAGE_BYTES, 8, 1),
            (1, 60 + 2 * PAGE_BYTES, WINDOW_BYTES, 1),
            (1, 60 + 2 * PAGE_BYTES + WINDOW_BYTES, 8, 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(windows(&[]).count(), 0);
    }

    #[test]
    fn nothing_is_written_before_the_journal_is_there() {
        let (folder, before) = two_shards();
        let journal = folder
            .path()
            .canonicalize()
            .unwrap()
            .join("model.waveft-journal");
        let mut write = |_: &File, _: &[u8], _: u64| {
            assert!(journal.exists());
            Err(io::Error::other("stopped"))
        };
        assert!(merge(folder.path(), FAR, &mut write).is_err());
        assert_eq!(contents(folder.path()), before);
    }
}
