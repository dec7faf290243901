//! The files of a checkpoint's folder that are not its tensors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::partial::PARTIAL_SUFFIX;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::journal::JOURNAL_SUFFIX;

/// What else is in a checkpoint's folder, in a fixed order. Paths are counted from it.
#[derive(Default)]
pub(super) struct OtherFiles {
    /// The folders below it, each before those inside it.
    pub(super) folders: Vec<PathBuf>,
    pub(super) files: Vec<OtherFile>,
}

/// A file that is copied as it is.
pub(super) struct OtherFile {
    pub(super) name: PathBuf,
    pub(super) length: u64,
}

impl OtherFiles {
    /// Finds them, following links, without what waveft itself leaves beside a checkpoint.
    pub(super) fn of(base: &Checkpoint) -> Result<Self> {
        let mut others = Self::default();
        others.collect(base, Path::new(""), &mut Vec::new())?;
        Ok(others)
    }

    /// Adds what is in `folder`; `above` are the real paths of the folders that lead there.
    fn collect(
        &mut self,
        base: &Checkpoint,
        folder: &Path,
        above: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let full = base.path().join(folder);
        let real = fs::canonicalize(&full).map_err(Error::io(&full))?;
        if above.contains(&real) {
            return Err(Error::file(
                full,
                "folders that end",
                "a link to a folder above it",
            ));
        }
        if let Some(base) = above.first().filter(|base| !real.starts_with(base)) {
            // It could lead to all that there is.
            let expected = format!("links to folders inside {}", base.display());
            return Err(Error::file(
                full,
                expected,
                format!("one to {}", real.display()),
            ));
        }
        above.push(real);
        for name in sorted_names(&full).map_err(Error::io(&full))? {
            let (name, full) = (folder.join(&name), full.join(&name));
            if is_ours(&name)
                || base
                    .files()
                    .iter()
                    .any(|file| Path::new(file.name()) == name)
            {
                continue;
            }
            let metadata = fs::metadata(&full).map_err(Error::io(&full))?;
            if metadata.is_dir() {
                self.folders.push(name.clone());
                self.collect(base, &name, above)?;
            } else if metadata.is_file() {
                self.files.push(OtherFile {
                    name,
                    length: metadata.len(),
                });
            } else {
                return Err(Error::file(
                    full,
                    "a file or folder to copy",
                    "something else",
                ));
            }
        }
        above.pop();
        Ok(())
    }
}

fn sorted_names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Whether a file is a journal or an unfinished output.
fn is_ours(name: &Path) -> bool {
    let name = name.as_os_str().as_encoded_bytes();
    [PARTIAL_SUFFIX, JOURNAL_SUFFIX]
        .iter()
        .any(|suffix| name.ends_with(suffix.as_bytes()))
}
