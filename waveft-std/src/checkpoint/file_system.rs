//! What the standard library leaves to its caller: locks, which file is which, and bringing files and
//! their names to disk.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// What the system knows of a base or an adapter, whose name on the Hub is often given for a path.
pub(crate) fn metadata_of(path: &Path) -> Result<fs::Metadata> {
    let error = match fs::metadata(path) {
        Ok(metadata) => return Ok(metadata),
        Err(error) => error,
    };
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    if is_missing && looks_like_a_name_on_the_hub(path) {
        return Err(Error::file(
            path,
            "a file or folder on this machine",
            "none; what is on the Hub under this name has to be downloaded first",
        ));
    }
    Err(Error::io(path)(error))
}

/// Whether a path is `someone/something`, where there is no folder `someone`.
fn looks_like_a_name_on_the_hub(path: &Path) -> bool {
    let is_name = |component| matches!(component, Component::Normal(_));
    let parts = path.components().count();
    parts == 2 && path.components().all(is_name) && !parent_of(path).exists()
}

/// Opens a file to read; an error for anything else, such as a pipe, whose opening would wait for its other end.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let metadata = fs::metadata(path).map_err(Error::io(path))?;
    if !metadata.is_file() {
        let found = match metadata.is_dir() {
            true => "a folder",
            false => "something that is not a regular file",
        };
        return Err(Error::file(path, "a file", found));
    }
    File::open(path).map_err(Error::io(path))
}

/// All of a file of at most `most` bytes.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    if bytes.len() as u64 > most {
        return Err(Error::file(path, format!("at most {most} bytes"), "more"));
    }
    Ok(bytes)
}

/// Refuses to put a file in the place of a folder, or of a device or pipe, which writing to is not meant to remove. `expected`
/// says of a folder what it should be.
pub(crate) fn refuse_irregular(output: &Path, expected: &str) -> Result<()> {
    match fs::metadata(output) {
        Ok(found) if found.is_dir() => Err(Error::file(output, expected, "a folder")),
        Ok(found) if !found.is_file() => Err(Error::file(
            output,
            "a file or nothing",
            "a device, pipe or socket",
        )),
        _ => Ok(()),
    }
}

/// Holds `file` for reading until it is closed; an error when a merge in place is changing it.
pub(crate) fn lock_shared(file: &File, path: &Path) -> Result<()> {
    refuse_if_held(file.try_lock_shared(), path)
}

/// Holds `file` alone until it is closed; an error when another run has it.
pub(crate) fn lock_exclusive(file: &File, path: &Path) -> Result<()> {
    refuse_if_held(file.try_lock(), path)
}

fn refuse_if_held(lock: Result<(), TryLockError>, path: &Path) -> Result<()> {
    match lock {
        Err(TryLockError::WouldBlock) => Err(Error::Busy {
            path: path.to_owned(),
        }),
        // Some file systems have no locks; work on them goes on without.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The folder that a path's last part is in.
pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a folder, and those that it is in, unless it is there.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    if path.is_file() {
        return Err(Error::file(path, "a folder", "a file"));
    }
    fs::create_dir_all(path).map_err(Error::io(path))
}

/// An error of the crate tempfile's without the path in its message, which is that of the file beside the output.
fn without_path(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((message, _)) => io::Error::new(error.kind(), message),
        None => error,
    }
}

/// Has `write` write a file beside `path`, then brings it to disk and to its name: it appears complete or not at all, in the
/// place of an older one.
///
/// # Errors
/// When the folder or the file cannot be written, and what `write` fails with.
///
/// # Examples
/// ```
/// use std::io::Write as _;
/// use waveft_std::checkpoint::write_whole;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("note");
/// write_whole(&path, |file| file.write_all(b"whole"))?;
/// assert_eq!(std::fs::read(&path)?, b"whole");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<()> {
    let folder = parent_of(path);
    // Else the message would name the file beside it.
    fs::metadata(&folder).map_err(Error::io(&folder))?;
    let mut builder = tempfile::Builder::new();
    // As for any new file; a temporary one would be its owner's only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder
        .prefix(".waveft-")
        .tempfile_in(&folder)
        .map_err(|error| Error::io(path)(without_path(error)))?;
    let mut writer = BufWriter::new(temporary.as_file());
    write(&mut writer)
        .and_then(|()| writer.flush())
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(Error::io(path))?;
    drop(writer);
    temporary
        .persist(path)
        .map_err(|error| Error::io(path)(error.error))?;
    sync_folder(&folder).map_err(Error::io(&folder))
}

/// Brings the names in a folder to disk.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems have nothing to sync for a folder, and say so.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Brings the names in a folder to disk: nothing to do where folders cannot be opened.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether the open file is the one at `path`.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => is_same(&open, &named),
        _ => false,
    }
}

/// Whether the open file is the one at `path`, as far as that can be told here.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Whether both are of one file.
#[cfg(unix)]
pub(crate) fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether both are of one file: unknown here.
#[cfg(not(unix))]
pub(crate) fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_beside_the_output_is_not_told() {
        let beside = tempfile::Builder::new().tempfile_in("nowhere").unwrap_err();
        assert!(beside.to_string().contains("nowhere"), "{beside}");
        let expected = fs::metadata("nowhere").unwrap_err();
        assert_eq!(without_path(beside).to_string(), expected.to_string());
    }
}
