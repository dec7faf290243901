//! A library that comes before the C library, and fails or ends a process at one of its changes to files (see `shim.c`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Tear,
    Stop,
    Eio,
    Full,
    Short,
}

/// Makes that happen at the change number `at`, from 1. The run has one thread, so that its changes have an order.
pub(crate) fn with_fault(mut command: Command, fault: Fault, at: usize) -> Command {
    let kind = format!("{fault:?}").to_lowercase();
    command
        .env("LD_PRELOAD", library())
        .args(["--threads", "1"]);
    command
        .env("WAVEFT_FAULT", kind)
        .env("WAVEFT_FAULT_AT", at.to_string());
    command
}

/// Makes the process note its changes in a file.
pub(crate) fn with_log(mut command: Command, log: &Path) -> Command {
    command
        .env("LD_PRELOAD", library())
        .args(["--threads", "1"]);
    command.env("WAVEFT_FAULT_LOG", log);
    command
}

/// The library, built when it is first asked for by the compiler that also links Rust's programs.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults-shim.so");
        // Under a name of its own first: another run of these tests may be using the library.
        let built = library.with_extension(std::process::id().to_string());
        let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut compile = Command::new(compiler);
        compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        compile.arg(&built).arg(source).arg("-ldl");
        assert!(compile.status().expect("a C compiler").success());
        fs::rename(built, &library).unwrap();
        library
    })
}
