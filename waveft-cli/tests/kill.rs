//! Runs that are killed: whatever moment that hits, the base can be had as it was and as it becomes.

#![cfg(unix)]

mod generated;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

/// How many runs of each kind are killed, at as many moments spread over the time that one takes.
const KILLS: u32 = 20;

const SHARDS: [&str; 2] = ["one.safetensors", "two.safetensors"];

/// One kind of run at a time: they would make each other's time longer, and more of the kills would come too late.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A base of 16 MiB in two shards, an adapter, and what is compared.
struct Scene {
    folder: tempfile::TempDir,
    before: Vec<Vec<u8>>,
    merged: Vec<Vec<u8>>,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        let modules = generated::modules(4);
        let mut weight_map = Map::new();
        for (shard, modules) in SHARDS.into_iter().zip(modules.chunks(2)) {
            let file = generated::write_base(&base.join(shard), modules, 1024);
            // So that bytes that were lost between the changed ones would be missed.
            let weights: Vec<u8> = (0..2_u32 << 20)
                .flat_map(|n| ((n % 4093) as f32).to_le_bytes())
                .collect();
            let start = file.metadata().unwrap().len() - weights.len() as u64;
            file.write_all_at(&weights, start).unwrap();
            weight_map.extend(
                modules
                    .iter()
                    .map(|module| (format!("{module}.weight"), json!(shard))),
            );
        }
        let index = json!({ "weight_map": weight_map }).to_string();
        fs::write(base.join("model.safetensors.index.json"), index).unwrap();
        generated::write_adapter(&folder.path().join("adapter"), &modules, "db4", 20_000);
        let before = weights(&base);
        let mut scene = Self {
            folder,
            before,
            merged: vec![],
            _turn: turn,
        };
        assert!(succeeds(scene.merge_to_output()));
        scene.merged = weights(&scene.output());
        assert_ne!(scene.merged, scene.before);
        fs::remove_dir_all(scene.output()).unwrap();
        scene
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("merged")
    }

    fn has_journal(&self) -> bool {
        self.base().join("model.waveft-journal").exists()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
        command.arg(name).arg("--base").arg(self.base());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn merge(&self) -> Command {
        let mut command = self.command("merge");
        command
            .arg("--adapter")
            .arg(self.folder.path().join("adapter"));
        command
    }

    fn merge_to_output(&self) -> Command {
        let mut command = self.merge();
        command.arg("--output").arg(self.output());
        command
    }

    fn merge_in_place(&self) -> Command {
        let mut command = self.merge();
        command.arg("--in-place");
        command
    }

    fn is_before(&self) -> bool {
        weights(&self.base()) == self.before
    }

    fn is_merged(&self) -> bool {
        weights(&self.base()) == self.merged
    }

    /// Undoes a merge in place, or finds that there is none.
    fn undo(&self) {
        let had_journal = self.has_journal();
        assert_eq!(succeeds(self.command("unmerge")), had_journal);
        assert!(self.is_before() && !self.has_journal());
    }

    /// Merges in place, or finishes that, or finds that it is done.
    fn complete(&self) {
        // Refused when it is done.
        succeeds(self.merge_in_place());
        assert!(self.is_merged() && self.has_journal());
        assert!(!succeeds(self.merge_in_place()) && self.is_merged());
    }
}

fn weights(folder: &Path) -> Vec<Vec<u8>> {
    SHARDS
        .map(|shard| fs::read(folder.join(shard)).unwrap())
        .to_vec()
}

fn succeeds(mut command: Command) -> bool {
    let code = command.status().unwrap().code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    code == Some(0)
}

/// How long a run takes that succeeds.
fn time_of(command: Command) -> Duration {
    let start = Instant::now();
    assert!(succeeds(command));
    start.elapsed()
}

/// Starts runs that are killed at moments spread over `time`, and after each looks at what it left.
fn kill_each(name: &str, time: Duration, start: impl Fn() -> Command, mut check: impl FnMut(u32)) {
    let mut killed = 0;
    for kill in 0..KILLS {
        let mut run = start().spawn().unwrap();
        thread::sleep(time * (2 * kill + 1) / (2 * KILLS));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
        check(kill);
    }
    println!("{name}: {killed} of {KILLS} killed before their end");
}

#[test]
fn a_killed_merge_leaves_no_output_or_a_whole_one() {
    let scene = Scene::new();
    let time = time_of(scene.merge_to_output());
    fs::remove_dir_all(scene.output()).unwrap();
    let mut left = 0;
    kill_each(
        "merge --output",
        time,
        || scene.merge_to_output(),
        |_| {
            assert!(scene.is_before());
            left += u32::from(scene.folder.path().join(".merged.waveft-partial").exists());
            if scene.output().exists() {
                assert!(weights(&scene.output()) == scene.merged);
                fs::remove_dir_all(scene.output()).unwrap();
            }
            assert!(succeeds(scene.merge_to_output()));
            assert!(weights(&scene.output()) == scene.merged);
            assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 3);
            fs::remove_dir_all(scene.output()).unwrap();
        },
    );
    println!("merge --output: {left} left a part, hidden");
}

#[test]
fn a_killed_merge_in_place_is_finished_or_undone() {
    let scene = Scene::new();
    let (mut journals, mut between) = (0, 0);
    let time = time_of(scene.merge_in_place());
    scene.undo();
    kill_each(
        "merge --in-place",
        time,
        || scene.merge_in_place(),
        |kill| {
            journals += u32::from(scene.has_journal());
            let (is_before, is_merged) = (scene.is_before(), scene.is_merged());
            between += u32::from(!is_before && !is_merged);
            // Without a journal nothing can be undone, so nothing may be done.
            assert!(is_before || scene.has_journal());
            if kill % 2 == 0 {
                scene.complete();
            }
            scene.undo();
        },
    );
    println!("merge --in-place: {journals} left a journal, {between} a base in between");
}

#[test]
fn a_killed_unmerge_is_finished_or_merged_again() {
    let scene = Scene::new();
    let (mut journals, mut between) = (0, 0);
    scene.complete();
    let time = time_of(scene.command("unmerge"));
    let merged = || {
        scene.complete();
        scene.command("unmerge")
    };
    kill_each("unmerge", time, merged, |kill| {
        journals += u32::from(scene.has_journal());
        let (is_before, is_merged) = (scene.is_before(), scene.is_merged());
        between += u32::from(!is_before && !is_merged);
        assert!(is_before || scene.has_journal());
        if kill % 2 == 0 {
            scene.undo();
        }
    });
    println!("unmerge: {journals} left a journal, {between} a base in between");
}
