//! Output that appears complete or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint::file_system::{is_at, lock_exclusive, parent_of, sync_folder};
use crate::error::{Error, Result};

/// What the hidden name of an unfinished output ends in.
pub(crate) const PARTIAL_SUFFIX: &str = ".waveft-partial";

/// How often a run waits for others that are just done with the same output.
const LOCK_ATTEMPTS: usize = 100;

/// An output under work: a file or folder with a hidden name beside its place, so that one rename brings it there.
///
/// The name follows from the output's alone, so what a killed run left is found and used again; a lock held on it keeps a second
/// run on the same output away. Dropped before [`Partial::appear`], by an error or a panic, it removes itself.
pub(crate) struct Partial {
    path: PathBuf,
    output: PathBuf,
    /// Where both are.
    parent: PathBuf,
    /// The open file or folder, which holds the lock.
    handle: Option<File>,
    is_folder: bool,
    appeared: bool,
}

impl Partial {
    /// An empty file that will become `output`.
    pub(crate) fn file(output: &Path) -> Result<Self> {
        let mut partial = Self::at(output, false)?;
        let handle = partial.open_and_lock(|path| {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true);
            // Until it has the base's permissions, nobody else may read it.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path)
        })?;
        let emptied = handle.set_len(0);
        partial.handle = Some(handle);
        emptied.map_err(Error::io(output))?;
        Ok(partial)
    }

    /// An empty folder that will become `output`.
    pub(crate) fn folder(output: &Path) -> Result<Self> {
        let mut partial = Self::at(output, true)?;
        partial.handle = partial.make_and_lock_folder()?;
        clear_folder(&partial.path).map_err(Error::io(output))?;
        Ok(partial)
    }

    /// Another handle of the open file.
    pub(crate) fn reopen(&self) -> io::Result<File> {
        match &self.handle {
            Some(handle) => handle.try_clone(),
            None => OpenOptions::new().write(true).open(&self.path),
        }
    }

    /// The hidden path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the output its own name, in place of a file or an empty folder that has it. Its contents must have been brought to
    /// disk before; this brings the name there.
    pub(crate) fn appear(mut self) -> Result<()> {
        fs::rename(&self.path, &self.output).map_err(Error::io(&self.output))?;
        self.appeared = true;
        sync_folder(&self.parent).map_err(Error::io(&self.output))
    }

    fn at(output: &Path, is_folder: bool) -> Result<Self> {
        let Some(name) = output.file_name() else {
            return Err(Error::file(
                output,
                "an output with a name",
                "a path that ends in none",
            ));
        };
        let parent = parent_of(output);
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(PARTIAL_SUFFIX);
        let path = parent.join(hidden);
        let is_other_kind = match fs::symlink_metadata(&path) {
            Ok(found) if is_folder => !found.is_dir(),
            Ok(found) => !found.is_file(),
            Err(_) => false,
        };
        if is_other_kind {
            let expected = if is_folder {
                "a folder or nothing"
            } else {
                "a file or nothing"
            };
            return Err(Error::file(path, expected, "something else"));
        }
        Ok(Self {
            path,
            output: output.to_owned(),
            parent,
            handle: None,
            is_folder,
            appeared: false,
        })
    }

    /// Opens what is at the hidden path and locks it; again when, in between, another run finished and renamed it.
    fn open_and_lock(&self, open: impl Fn(&Path) -> io::Result<File>) -> Result<File> {
        for _ in 0..LOCK_ATTEMPTS {
            let handle = open(&self.path).map_err(Error::io(&self.output))?;
            lock_exclusive(&handle, &self.output)?;
            if is_at(&handle, &self.path) {
                return Ok(handle);
            }
        }
        Err(Error::Busy {
            path: self.output.clone(),
        })
    }

    #[cfg(unix)]
    fn make_and_lock_folder(&self) -> Result<Option<File>> {
        let make = |path: &Path| {
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => File::open(path),
            }
        };
        self.open_and_lock(make).map(Some)
    }

    /// A folder cannot be locked here.
    #[cfg(not(unix))]
    fn make_and_lock_folder(&self) -> Result<Option<File>> {
        fs::create_dir_all(&self.path).map_err(Error::io(&self.output))?;
        Ok(None)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.appeared {
            return;
        }
        // Without a handle the output is another run's. An error is lost here, but the one that led here is told.
        if self.is_folder && (self.handle.is_some() || cfg!(not(unix))) {
            let _ = fs::remove_dir_all(&self.path);
        } else if self.handle.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn clear_folder(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
