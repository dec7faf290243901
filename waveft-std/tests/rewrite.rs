//! Writing a changed checkpoint: the right bytes, and all of them or none.

mod checkpoints;

use std::collections::HashSet;
use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use checkpoints::{
    Owned, child_folder, contents, files_below, names_in, on_threads, raw_file, run_in_namespace,
    serialize, shifted, three_shards, with_fates, write_shards,
};
use proptest::prelude::*;
use waveft_std::checkpoint::{Checkpoint, Dtype, Edits, Progress};
use waveft_std::rewrite::write_to;
use waveft_std::{Error, Result};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_output_is_what_a_plain_rewrite_gives((tensors, spaces) in checkpoints::random_checkpoint()) {
        let folder = tempfile::tempdir().unwrap();
        let owned: Vec<Owned> = tensors.iter().map(|(tensor, _)| tensor.clone()).collect();
        let base_file = shifted(&serialize(&owned), spaces);
        fs::write(folder.path().join("base"), &base_file).unwrap();
        let base = Checkpoint::open(folder.path().join("base")).unwrap();
        let (edits, expected) = with_fates(&tensors);
        // Names stay, so the header does, to the byte.
        let expected = shifted(&serialize(&expected), spaces);
        for threads in 1..=3 {
            let output = folder.path().join(format!("output{threads}"));
            on_threads(threads, || write_to(&base, &edits, &output, &())).unwrap();
            prop_assert!(fs::read(&output).unwrap() == expected);
        }
        prop_assert!(fs::read(folder.path().join("base")).unwrap() == base_file);
    }
}

/// Edits that rename, replace, edit and add.
fn some_edits() -> Edits<'static> {
    let mut edits = Edits::new();
    edits.rename("a.weight", "bert.a.weight");
    edits.rename("c.steps", "a.weight");
    edits.replace("a.bias", vec![9; 20]);
    edits.edit(
        "a.weight",
        |_: Range<usize>, band: &mut [u8]| -> Result<()> {
            band.iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(1));
            Ok(())
        },
    );
    edits.edit(
        "a.weight",
        |_: Range<usize>, band: &mut [u8]| -> Result<()> {
            band.iter_mut()
                .for_each(|byte| *byte = byte.wrapping_mul(3));
            Ok(())
        },
    );
    edits.add("score.weight", Dtype::F32, [2, 2], vec![5; 16]);
    edits.add("score.bias", Dtype::U8, [1], vec![6]);
    edits
}

/// What they make of the tensors of three shards.
fn edited(tensors: &[Owned]) -> Vec<Owned> {
    let mut tensors = tensors.to_vec();
    for tensor in &mut tensors {
        match tensor.name.as_str() {
            "a.weight" => {
                "bert.a.weight".clone_into(&mut tensor.name);
                let change = |byte: &mut u8| *byte = byte.wrapping_add(1).wrapping_mul(3);
                tensor.bytes.iter_mut().for_each(change);
            }
            "a.bias" => tensor.bytes = vec![9; 20],
            "c.steps" => "a.weight".clone_into(&mut tensor.name),
            _ => {}
        }
    }
    tensors
}

fn added() -> [Owned; 2] {
    let tensor = |name: &str, dtype, shape: &[usize], bytes| Owned {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        bytes,
    };
    [
        tensor("score.weight", Dtype::F32, &[2, 2], vec![5; 16]),
        tensor("score.bias", Dtype::U8, &[1], vec![6]),
    ]
}

fn by_name(mut tensors: Vec<Owned>) -> Vec<Owned> {
    tensors.sort_by(|one, other| one.name.cmp(&other.name));
    tensors
}

#[test]
fn names_change_and_tensors_are_added_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.safetensors");
    let tensors = three_shards().concat();
    fs::write(&path, shifted(&serialize(&tensors), 3)).unwrap();
    let output = folder.path().join("output.safetensors");
    write_to(
        &Checkpoint::open(&path).unwrap(),
        &some_edits(),
        &output,
        &(),
    )
    .unwrap();
    let file = fs::read(&output).unwrap();
    let expected = by_name([edited(&tensors), added().to_vec()].concat());
    assert_eq!(contents(&file), expected);

    // The new header is as safetensors lays it out: the tensors aligned, the base's order kept.
    let written = Checkpoint::open(&output).unwrap();
    assert_eq!(
        written.files()[0].header().metadata().unwrap(),
        [("format".into(), "pt".into())]
    );
    assert_eq!(written.files()[0].header().data_start() % 8, 0);
    for tensor in written.tensors() {
        assert_eq!(
            tensor.offset_in_file % (tensor.dtype.bitsize() as u64 / 8),
            0,
            "{tensor:?}"
        );
    }
    let names: Vec<&str> = written.tensors().map(|tensor| tensor.name).collect();
    let expected = [
        "a.bias",
        "bert.a.weight",
        "score.weight",
        "b.empty",
        "b.weight",
        "c.weight",
        "a.weight",
        "flag",
        "score.bias",
    ];
    // Which of two tensors of one dtype comes first is the base's business.
    assert_eq!(
        names.iter().collect::<HashSet<_>>(),
        expected.iter().collect()
    );
    let place = |name| names.iter().position(|&other| other == name).unwrap();
    assert!(
        place("bert.a.weight") < place("score.weight") && place("score.weight") < place("b.weight")
    );
}

#[test]
fn shards_keep_their_layout() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("output"));
    write_shards(&base, &three_shards());
    fs::write(
        base.join("model.waveft-journal.old.waveft-journal"),
        "left over",
    )
    .unwrap();
    fs::write(base.join(".x.waveft-partial"), "left over").unwrap();
    fs::create_dir(&output).unwrap();
    write_to(
        &Checkpoint::open(&base).unwrap(),
        &some_edits(),
        &output,
        &(),
    )
    .unwrap();

    let names: Vec<_> = files_below(&output)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "config.json",
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
        "nested/vocab.txt",
    ];
    assert_eq!(names, expected.map(std::path::PathBuf::from));
    assert_eq!(fs::read(output.join("nested/vocab.txt")).unwrap(), b"words");
    for (number, shard) in three_shards().iter().enumerate() {
        let name = format!("model-{:05}-of-00003.safetensors", number + 1);
        let mut expected = edited(shard);
        if number == 2 {
            expected.extend(added());
        }
        assert_eq!(
            contents(&fs::read(output.join(&name)).unwrap()),
            by_name(expected)
        );
    }
    let second = "model-00002-of-00003.safetensors";
    assert_eq!(
        fs::read(output.join(second)).unwrap(),
        fs::read(base.join(second)).unwrap()
    );

    let index = |folder: &Path| -> serde_json::Value {
        let text = fs::read(folder.join("model.safetensors.index.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let (before, after) = (index(&base), index(&output));
    assert_eq!(after["metadata"]["kept"], before["metadata"]["kept"]);
    let total = |index: &serde_json::Value| index["metadata"]["total_size"].as_u64().unwrap();
    assert_eq!(total(&after), total(&before) + 17);
    let checkpoint = Checkpoint::open(&output).unwrap();
    assert_eq!(checkpoint.len(), 9);
    assert_eq!(after["weight_map"].as_object().unwrap().len(), 9);
    assert_eq!(names_in(folder.path()), ["base", "output"]);
}

#[test]
fn without_edits_a_folder_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("output"));
    write_shards(&base, &three_shards());
    write_to(
        &Checkpoint::open(&base).unwrap(),
        &Edits::new(),
        &output,
        &(),
    )
    .unwrap();
    assert_eq!(files_below(&base), files_below(&output));
}

#[test]
fn empty_tensors_and_empty_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base");
    fs::write(&path, raw_file("{}", &[])).unwrap();
    let output = folder.path().join("output");
    write_to(
        &Checkpoint::open(&path).unwrap(),
        &Edits::new(),
        &output,
        &(),
    )
    .unwrap();
    assert_eq!(fs::read(&output).unwrap(), fs::read(&path).unwrap());
    let mut edits = Edits::new();
    edits.add("none", Dtype::F32, [0, 3], vec![]);
    write_to(&Checkpoint::open(&path).unwrap(), &edits, &output, &()).unwrap();
    assert_eq!(contents(&fs::read(&output).unwrap())[0].shape, [0, 3]);
}

#[test]
fn progress_adds_up() {
    #[derive(Default)]
    struct Sum {
        total: AtomicU64,
        done: AtomicU64,
    }
    impl Progress for Sum {
        fn start(&self, total_bytes: u64) {
            assert_eq!(self.total.swap(total_bytes, Ordering::Relaxed), 0);
        }
        fn advance(&self, bytes: u64) {
            self.done.fetch_add(bytes, Ordering::Relaxed);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    write_shards(&base, &three_shards());
    let sum = Sum::default();
    let output = folder.path().join("output");
    write_to(
        &Checkpoint::open(&base).unwrap(),
        &Edits::new(),
        &output,
        &sum,
    )
    .unwrap();
    let size: usize = files_below(&output)
        .iter()
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert_eq!(sum.total.into_inner(), size as u64);
    assert_eq!(sum.done.into_inner(), size as u64);
}

#[test]
fn edits_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base");
    let tensors = [
        three_shards().concat(),
        vec![Owned::new("packed", Dtype::F4, &[2, 3])],
    ]
    .concat();
    fs::write(&path, serialize(&tensors)).unwrap();
    let base = Checkpoint::open(&path).unwrap();
    let refuse = |message: &str, change: &dyn Fn(&mut Edits<'static>)| {
        let mut edits = Edits::new();
        change(&mut edits);
        let error = write_to(&base, &edits, folder.path().join("output"), &()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(names_in(folder.path()), ["base"]);
    };
    let nothing = |_: Range<usize>, _: &mut [u8]| -> Result<()> { Ok(()) };
    refuse("\"lost\": expected a tensor of the base", &|edits| {
        edits.rename("lost", "x")
    });
    refuse("\"lost\"", &|edits| edits.replace("lost", vec![]));
    refuse("\"lost\"", &|edits| edits.edit("lost", nothing));
    refuse("expected 20 bytes for F32 [5], found 19 bytes", &|edits| {
        edits.replace("a.bias", vec![0; 19]);
    });
    refuse("expected a matrix", &|edits| edits.edit("a.bias", nothing));
    refuse("rows of whole bytes, found F4 [2, 3]", &|edits| {
        edits.edit("packed", nothing)
    });
    refuse("a replacement or an editor", &|edits| {
        edits.edit("c.weight", nothing);
        edits.replace("c.weight", vec![0; 2]);
    });
    refuse("one replacement", &|edits| {
        edits.replace("c.steps", vec![0; 3]);
        edits.replace("c.steps", vec![0; 3]);
    });
    refuse("one new name", &|edits| {
        edits.rename("flag", "x");
        edits.rename("flag", "y");
    });
    refuse("a name that is taken", &|edits| {
        edits.rename("flag", "a.bias")
    });
    refuse("a name that is taken", &|edits| {
        edits.rename("flag", "x");
        edits.rename("a.bias", "x");
    });
    refuse("a name that is taken", &|edits| {
        edits.add("flag", Dtype::U8, [0], vec![])
    });
    refuse("a name that is taken", &|edits| {
        edits.rename("flag", "__metadata__")
    });
    refuse("expected 4 bytes for U8 [4], found 3 bytes", &|edits| {
        edits.add("new", Dtype::U8, [4], vec![0; 3]);
    });
}

/// A base with a matrix of several bands, and an editor that fails at its last.
fn failing_edits(path: &Path, fail: fn() -> Result<()>) -> Edits<'static> {
    fs::write(
        path,
        serialize(&[Owned::new("w", Dtype::F32, &[700, 1000])]),
    )
    .unwrap();
    let mut edits = Edits::new();
    edits.edit("w", move |rows: Range<usize>, _: &mut [u8]| -> Result<()> {
        if rows.end == 700 { fail() } else { Ok(()) }
    });
    edits
}

#[test]
fn an_editor_that_refuses_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, output) = (folder.path().join("base"), folder.path().join("output"));
    let edits = failing_edits(&path, || Err(Error::tensor("base", "w", "better", "worse")));
    fs::write(&output, "older").unwrap();
    let base = Checkpoint::open(&path).unwrap();
    let error = write_to(&base, &edits, &output, &()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "base: tensor \"w\": expected better, found worse"
    );
    assert_eq!(fs::read(&output).unwrap(), b"older");
    assert_eq!(names_in(folder.path()), ["base", "output"]);
}

#[test]
fn an_editor_that_panics_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, output) = (folder.path().join("base"), folder.path().join("output"));
    let edits = failing_edits(&path, || panic!("on purpose"));
    let base = Checkpoint::open(&path).unwrap();
    let write = || write_to(&base, &edits, &output, &());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err());
    assert_eq!(names_in(folder.path()), ["base"]);

    let nested = folder.path().join("folder");
    fs::create_dir(&nested).unwrap();
    fs::rename(&path, nested.join("model.safetensors")).unwrap();
    let base = Checkpoint::open(&nested).unwrap();
    let write = || write_to(&base, &edits, &output, &());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err());
    assert_eq!(names_in(folder.path()), ["folder"]);
}

fn refused_as_base(base: &Path, output: &Path) {
    let before = fs::read(base.join("model.safetensors"))
        .or_else(|_| fs::read(base))
        .unwrap();
    let error = write_to(&Checkpoint::open(base).unwrap(), &Edits::new(), output, &()).unwrap_err();
    assert!(
        matches!(&error, Error::OutputIsBase { path } if path == output),
        "{error}"
    );
    assert!(
        fs::read(base.join("model.safetensors"))
            .or_else(|_| fs::read(base))
            .unwrap()
            == before
    );
}

#[test]
fn an_output_that_is_the_base_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let model = root.join("outer/model");
    fs::create_dir_all(model.join("inside")).unwrap();
    let file = model.join("model.safetensors");
    fs::write(&file, serialize(&three_shards()[0])).unwrap();

    refused_as_base(&file, &file);
    refused_as_base(&file, &model.join("inside/../model.safetensors"));
    refused_as_base(&model, &model);
    refused_as_base(&model, &model.join("inside"));
    refused_as_base(&model, &model.join("new"));
    refused_as_base(&model, &root.join("outer"));
    #[cfg(unix)]
    {
        fs::hard_link(&file, root.join("hard")).unwrap();
        refused_as_base(&file, &root.join("hard"));
        std::os::unix::fs::symlink(&file, root.join("soft")).unwrap();
        refused_as_base(&file, &root.join("soft"));
        refused_as_base(&root.join("soft"), &file);
        std::os::unix::fs::symlink(&model, root.join("linked")).unwrap();
        refused_as_base(&model, &root.join("linked"));
        refused_as_base(&root.join("linked"), &model);
        refused_as_base(&model, &root.join("linked/new"));
    }
}

#[test]
fn an_output_in_the_way_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("output"));
    write_shards(&base, &three_shards());
    let write = |from: &Path, to: &Path| write_to(&Checkpoint::open(from)?, &Edits::new(), to, &());
    fs::create_dir(&output).unwrap();
    fs::write(output.join("precious"), "kept").unwrap();
    let error = write(&base, &output).unwrap_err();
    assert!(
        matches!(&error, Error::OutputExists { path } if *path == output),
        "{error}"
    );
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    assert!(matches!(
        write(&base, &file),
        Err(Error::OutputExists { .. })
    ));
    let error = write(&base.join("model-00001-of-00003.safetensors"), &output).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected a file, as the base is one, found a folder")
    );
    let error = write(&base, &folder.path().join("missing/output")).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert!(write(&base, Path::new("/")).is_err());
    assert_eq!(fs::read(output.join("precious")).unwrap(), b"kept");
    assert_eq!(fs::read(&file).unwrap(), b"kept");
    assert_eq!(names_in(folder.path()), ["base", "file", "output"]);
}

#[test]
fn two_runs_on_one_output_keep_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (path, output) = (folder.path().join("base"), folder.path().join("output"));
    fs::write(&path, serialize(&three_shards()[0])).unwrap();
    let partial = folder.path().join(".output.waveft-partial");
    let other_run = File::create(&partial).unwrap();
    other_run.lock().unwrap();
    let base = Checkpoint::open(&path).unwrap();
    let error = write_to(&base, &Edits::new(), &output, &()).unwrap_err();
    assert!(
        matches!(&error, Error::Busy { path } if *path == output),
        "{error}"
    );
    assert!(partial.exists(), "the other run's work is left alone");

    // A killed run holds no lock: what it left is used again.
    drop(other_run);
    fs::write(&partial, vec![1; 10_000]).unwrap();
    write_to(&base, &Edits::new(), &output, &()).unwrap();
    assert_eq!(fs::read(&output).unwrap(), fs::read(&path).unwrap());
    assert_eq!(names_in(folder.path()), ["base", "output"]);
}

#[test]
fn a_folder_that_a_killed_run_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("output"));
    write_shards(&base, &three_shards());
    let partial = folder.path().join(".output.waveft-partial");
    fs::create_dir_all(partial.join("deep/er")).unwrap();
    fs::write(partial.join("deep/er/file"), "left over").unwrap();
    fs::write(partial.join("config.json"), "left over").unwrap();
    #[cfg(unix)]
    {
        let other_run = File::open(&partial).unwrap();
        other_run.lock().unwrap();
        let write = write_to(
            &Checkpoint::open(&base).unwrap(),
            &Edits::new(),
            &output,
            &(),
        );
        assert!(matches!(write, Err(Error::Busy { .. })));
        assert!(partial.join("deep/er/file").exists());
    }
    write_to(
        &Checkpoint::open(&base).unwrap(),
        &Edits::new(),
        &output,
        &(),
    )
    .unwrap();
    assert_eq!(files_below(&base), files_below(&output));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn permissions_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (base, output) = (folder.path().join("base"), folder.path().join("output"));
        write_shards(&base, &three_shards());
        let set = |name: &str, mode| {
            fs::set_permissions(base.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let modes = [
            ("config.json", 0o440),
            ("nested/vocab.txt", 0o777),
            ("nested", 0o751),
            ("model.safetensors.index.json", 0o604),
            ("model-00001-of-00003.safetensors", 0o400),
            ("model-00002-of-00003.safetensors", 0o646),
        ];
        modes.iter().for_each(|&(name, mode)| set(name, mode));
        set("", 0o705);
        write_to(
            &Checkpoint::open(&base).unwrap(),
            &some_edits(),
            &output,
            &(),
        )
        .unwrap();
        for (name, expected) in modes {
            assert_eq!(mode(&output.join(name)), expected, "{name}");
        }
        assert_eq!(mode(&output), 0o705);
        let first = "model-00001-of-00003.safetensors";
        let base = Checkpoint::open(base.join(first)).unwrap();
        let output = folder.path().join("file");
        write_to(&base, &Edits::new(), &output, &()).unwrap();
        assert_eq!(mode(&output), 0o400);
    }

    #[test]
    fn links_become_files() {
        // As the Hugging Face cache lays a model out.
        let folder = tempfile::tempdir().unwrap();
        let (blobs, base) = (folder.path().join("blobs"), folder.path().join("snapshot"));
        write_shards(&blobs, &three_shards());
        fs::create_dir(&base).unwrap();
        fs::create_dir(base.join("nested")).unwrap();
        for (name, _) in files_below(&blobs) {
            symlink(blobs.join(&name), base.join(&name)).unwrap();
        }
        let output = folder.path().join("output");
        write_to(
            &Checkpoint::open(&base).unwrap(),
            &Edits::new(),
            &output,
            &(),
        )
        .unwrap();
        assert_eq!(files_below(&blobs), files_below(&output));
        let is_link = |name| {
            fs::symlink_metadata(output.join(name))
                .unwrap()
                .is_symlink()
        };
        assert!(!names_in(&output).into_iter().any(is_link));

        symlink(".", base.join("loop")).unwrap();
        let base = Checkpoint::open(&base).unwrap();
        let error = write_to(&base, &Edits::new(), folder.path().join("again"), &()).unwrap_err();
        assert!(
            error.to_string().contains("a link to a folder above it"),
            "{error}"
        );
        assert_eq!(names_in(folder.path()), ["blobs", "output", "snapshot"]);
    }

    #[test]
    fn a_full_disk_leaves_nothing() {
        if let Some(folder) = child_folder() {
            let full = folder.join("full");
            for base in ["file", "folder"] {
                let base = Checkpoint::open(folder.join(base)).unwrap();
                let error = write_to(&base, &Edits::new(), full.join("output"), &()).unwrap_err();
                let Error::Io { path, source } = error else {
                    panic!("{error}")
                };
                assert!(path.starts_with(full.join("output")), "{path:?}");
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
                assert_eq!(names_in(&full), [""; 0]);
            }
            println!("child done");
            return;
        }
        let folder = prepared();
        let script = "mount -t tmpfs -o size=1m tmpfs full";
        run_in_namespace(script, "unix::a_full_disk_leaves_nothing", folder.path());
    }

    #[test]
    fn missing_permission_leaves_nothing() {
        if let Some(folder) = child_folder() {
            for base in ["file", "folder"] {
                let base = Checkpoint::open(folder.join(base)).unwrap();
                let output = folder.join("full/output");
                let error = write_to(&base, &Edits::new(), &output, &()).unwrap_err();
                assert!(
                    matches!(&error, Error::Io { path, .. } if *path == output),
                    "{error}"
                );
                assert_eq!(names_in(&folder.join("full")), [""; 0]);
            }
            println!("child done");
            return;
        }
        let folder = prepared();
        let script = "mount -t tmpfs -o ro tmpfs full";
        run_in_namespace(
            script,
            "unix::missing_permission_leaves_nothing",
            folder.path(),
        );
    }

    /// A file and a folder of 2 MB, and a place for a small disk.
    fn prepared() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("full")).unwrap();
        let big = [Owned::new("w", Dtype::F32, &[500, 1000])];
        fs::write(folder.path().join("file"), serialize(&big)).unwrap();
        write_shards(&folder.path().join("folder"), &[big.to_vec()]);
        folder
    }
}
