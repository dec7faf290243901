//! What the standard library leaves to its caller: locks, which file is which, and bringing files and
//! their names to disk.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Opens a file to read; an error for anything else, such as a pipe, whose opening would wait for its other end.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    if !fs::metadata(path).map_err(Error::io(path))?.is_file() {
        let found = "something that is not a regular file";
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

/// Refuses to put a file in the place of a folder, or of a device or pipe, which writing to is not meant to remove.
pub(crate) fn refuse_irregular(output: &Path) -> Result<()> {
    match fs::metadata(output) {
        Ok(found) if found.is_dir() => Err(Error::file(
            output,
            "a file, as the base is one",
            "a folder",
        )),
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
        .map_err(Error::io(path))?;
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
