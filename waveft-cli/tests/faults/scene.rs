//! A base in two shards, an adapter, and what is compared.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Map, json};

use crate::generated;

const SHARDS: [&str; 2] = ["one.safetensors", "two.safetensors"];

/// A base of two shards with three weights each, of which the first and the last are adapted: between them is more than what
/// one write joins.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) before: Vec<Vec<u8>>,
    pub(crate) merged: Vec<Vec<u8>>,
}

impl Scene {
    /// A base of 24 MiB, so that a run takes time to be killed in.
    pub(crate) fn large() -> Self {
        Self::new(tempfile::tempdir().unwrap(), 1024, 20_000)
    }

    /// A base of 96 KiB, in memory if possible: many runs bring it to disk.
    pub(crate) fn small() -> Self {
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let folder = in_memory.or_else(|_| tempfile::tempdir());
        Self::new(folder.unwrap(), 64, 300)
    }

    /// Weights of `side × side`, with `n` coefficients in each adapted one.
    fn new(folder: tempfile::TempDir, side: usize, n: usize) -> Self {
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        let modules = generated::modules(6);
        let mut weight_map = Map::new();
        for (shard, modules) in SHARDS.into_iter().zip(modules.chunks(3)) {
            let file = generated::write_base(&base.join(shard), modules, side);
            // So that bytes that were lost between the changed ones would be missed.
            let weights: Vec<u8> = (0..3 * side * side)
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
        fs::write(base.join("config.json"), "{}").unwrap();
        let adapted = [0, 2, 3, 5].map(|number| modules[number].clone());
        generated::write_adapter(&folder.path().join("adapter"), &adapted, "db4", n);
        let before = weights(&base);
        let mut scene = Self {
            folder,
            before,
            merged: vec![],
        };
        assert!(succeeds(scene.merge_to_output()));
        scene.merged = weights(&scene.output());
        assert_ne!(scene.merged, scene.before);
        fs::remove_dir_all(scene.output()).unwrap();
        scene
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.path().join("base")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.path().join("merged")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.base().join("model.waveft-journal")
    }

    pub(crate) fn has_journal(&self) -> bool {
        self.journal().exists()
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
        command.arg(name).arg("--base").arg(self.base());
        command
    }

    fn merge(&self) -> Command {
        let mut command = self.command("merge");
        command.arg("--adapter").arg(self.path().join("adapter"));
        command
    }

    pub(crate) fn merge_to_output(&self) -> Command {
        let mut command = self.merge();
        command.arg("--output").arg(self.output());
        command
    }

    pub(crate) fn merge_in_place(&self) -> Command {
        let mut command = self.merge();
        command.arg("--in-place");
        command
    }

    pub(crate) fn is_before(&self) -> bool {
        weights(&self.base()) == self.before
    }

    pub(crate) fn is_merged(&self) -> bool {
        weights(&self.base()) == self.merged
    }

    /// Undoes a merge in place, or finds that there is none.
    pub(crate) fn undo(&self) {
        let had_journal = self.has_journal();
        assert_eq!(succeeds(self.command("unmerge")), had_journal);
        assert!(self.is_before() && !self.has_journal());
    }

    /// Merges in place, or finishes that, or finds that it is done.
    pub(crate) fn complete(&self) {
        for _ in 0..2 {
            assert!(succeeds(self.merge_in_place()));
            assert!(self.is_merged() && self.has_journal());
        }
    }

    /// Leaves what a merge in place leaves that is killed between the two shards.
    pub(crate) fn interrupt(&self) {
        self.complete();
        fs::write(self.base().join(SHARDS[1]), &self.before[1]).unwrap();
        let mut journal = fs::read(self.journal()).unwrap();
        let state = journal.iter().position(|&byte| byte == b'A').unwrap();
        journal[state] = b'P';
        fs::write(self.journal(), journal).unwrap();
    }

    /// Merges to the output, whatever is there of it: nothing, or all.
    pub(crate) fn complete_output(&self) {
        assert!(self.is_before());
        if self.output().exists() {
            assert!(weights(&self.output()) == self.merged);
            assert_eq!(fs::read_dir(self.output()).unwrap().count(), 4);
            fs::remove_dir_all(self.output()).unwrap();
        }
        assert!(succeeds(self.merge_to_output()));
        assert!(weights(&self.output()) == self.merged);
        assert_eq!(fs::read_dir(self.path()).unwrap().count(), 3);
        fs::remove_dir_all(self.output()).unwrap();
    }
}

fn weights(folder: &Path) -> Vec<Vec<u8>> {
    SHARDS
        .map(|shard| fs::read(folder.join(shard)).unwrap())
        .to_vec()
}

pub(crate) fn succeeds(mut command: Command) -> bool {
    is_success(&command.output().unwrap())
}

/// Whether a run succeeded; one that did not must have said why.
pub(crate) fn is_success(run: &Output) -> bool {
    let said = String::from_utf8_lossy(&run.stderr);
    match run.status.code() {
        Some(0) => assert!(said.is_empty(), "{said}"),
        code => assert!(code == Some(1) && said.starts_with("error: "), "{run:?}"),
    }
    run.status.success()
}
