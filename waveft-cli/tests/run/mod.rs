//! Runs of the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) fn data(path: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../waveft-std/tests/data");
    data.join(path).canonicalize().unwrap()
}

/// Runs the command; words are separated by spaces, `{}` stands for the next path.
pub(crate) fn waveft(words: &str, paths: &[&Path]) -> Output {
    let mut paths = paths.iter();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
    for word in words.split_whitespace() {
        match word {
            "{}" => command.arg(paths.next().unwrap()),
            word => command.arg(word),
        };
    }
    assert!(paths.next().is_none());
    // Whoever tests may have asked for colours or none.
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.output().unwrap()
}

/// What a run printed, having ended well and without complaint.
pub(crate) fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a failed run complained of, in one line, having printed nothing.
pub(crate) fn complaint(output: &Output) -> String {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(output.stdout.is_empty());
    assert!(
        errors.starts_with("error: ") && errors.lines().count() == 1,
        "{errors}"
    );
    errors
}
