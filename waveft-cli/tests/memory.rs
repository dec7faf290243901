//! How much memory a merge takes: it must not grow with the base.

#![cfg(target_os = "linux")]

mod generated;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The most memory of its own that a run may have, in bytes: half of one of the base's two tensors.
const MOST: u64 = 32 << 20;

/// Runs the command on two threads, and returns the most anonymous memory that it was seen to have, in bytes. Maps of files do
/// not count: the system takes their pages back when it needs them.
fn peak(arguments: &[&Path]) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
    command.args(["--threads", "2"]).args(arguments);
    let mut run = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kilobytes = text
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
        if let Some(kilobytes) = kilobytes {
            peak = peak.max(1024 * kilobytes.trim().parse::<u64>().unwrap());
        }
        if let Some(status) = run.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn memory_does_not_grow_with_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let [base, adapter, output] =
        ["base", "adapter", "merged"].map(|name| folder.path().join(name));
    let modules = generated::modules(2);
    // 128 MiB: an output of that is written to disk, however busy that is.
    generated::write_base(&base, &modules, 4096);
    generated::write_adapter(&adapter, &modules, "db4", 200);
    let merge = [
        Path::new("merge"),
        "--base".as_ref(),
        &base,
        "--adapter".as_ref(),
        &adapter,
    ];
    let to_output: [&Path; 2] = ["--output".as_ref(), &output];
    let in_place: [&Path; 1] = ["--in-place".as_ref()];
    let unmerge = ["unmerge".as_ref(), "--base".as_ref(), base.as_path()];
    for arguments in [
        &[&merge[..], &to_output].concat()[..],
        &[&merge[..], &in_place].concat(),
        &unmerge,
    ] {
        let found = peak(arguments);
        println!("{}: {} KiB", arguments[0].display(), found >> 10);
        assert!((1..MOST).contains(&found), "{arguments:?}: {found} bytes");
        // It takes the disk space that the base does not.
        let _ = fs::remove_file(&output);
    }
}
