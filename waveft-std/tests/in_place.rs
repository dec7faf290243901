//! Merging in place: the right bytes, and the old ones back.

mod checkpoints;

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use checkpoints::{
    Owned, child_folder, contents, files_below, names_in, on_threads, run_in_namespace, serialize,
    shifted, three_shards, with_fates, write_shards,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use waveft_std::checkpoint::{Checkpoint, Dtype, Edits};
use waveft_std::in_place::{self, JournalState};
use waveft_std::rewrite::write_to;
use waveft_std::{Error, Result};

/// Where the state is in a journal.
const STATE: usize = 12;

fn apply(path: &Path, edits: &Edits<'_>) -> Result<()> {
    in_place::apply(
        Checkpoint::open(path)?,
        edits,
        &json!({ "adapters": ["one"] }),
        &(),
    )
}

fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".waveft-journal");
    name.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_merge_in_place_is_that_to_an_output_and_can_be_undone(
        (tensors, spaces) in checkpoints::random_checkpoint()
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.safetensors");
        let owned: Vec<Owned> = tensors.iter().map(|(tensor, _)| tensor.clone()).collect();
        let before = shifted(&serialize(&owned), spaces);
        fs::write(&path, &before).unwrap();
        let (edits, expected) = with_fates(&tensors);
        let expected = shifted(&serialize(&expected), spaces);
        let mut journals = Vec::new();
        for threads in 1..=3 {
            on_threads(threads, || apply(&path, &edits)).unwrap();
            prop_assert!(fs::read(&path).unwrap() == expected);
            journals.push(fs::read(journal_of(&path)).unwrap());
            in_place::roll_back(&path, &()).unwrap();
            prop_assert!(fs::read(&path).unwrap() == before);
            prop_assert_eq!(names_in(folder.path()), ["base.safetensors"]);
        }
        prop_assert!(journals[0] == journals[1] && journals[0] == journals[2]);
    }
}

/// Edits of all shards of [`three_shards`].
fn some_edits() -> Edits<'static> {
    let mut edits = Edits::new();
    for name in ["a.weight", "b.weight", "b.empty", "c.weight"] {
        edits.edit(name, |rows: Range<usize>, band: &mut [u8]| -> Result<()> {
            band.iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(1 + rows.start as u8));
            Ok(())
        });
    }
    edits.replace("a.bias", vec![9; 20]);
    edits
}

#[test]
fn shards_are_merged_in_place_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("output"));
    write_shards(&base, &three_shards());
    let before = files_below(&base);
    assert!(in_place::status(&base).unwrap().is_none());
    write_to(
        &Checkpoint::open(&base).unwrap(),
        &some_edits(),
        &output,
        &(),
    )
    .unwrap();
    apply(&base, &some_edits()).unwrap();

    let info = in_place::status(&base).unwrap().unwrap();
    assert_eq!(info.state, JournalState::Applied);
    assert_eq!(info.description, json!({ "adapters": ["one"] }));
    assert_eq!(info.waveft, env!("CARGO_PKG_VERSION"));
    assert_eq!(
        info.path,
        base.canonicalize().unwrap().join("model.waveft-journal")
    );
    let mut merged = files_below(&base);
    merged.retain(|(name, _)| name != Path::new("model.waveft-journal"));
    assert!(merged == files_below(&output));

    in_place::finish(&base, &()).unwrap();
    assert_eq!(
        in_place::status(&base).unwrap().unwrap().state,
        JournalState::Applied
    );
    in_place::roll_back(&base, &()).unwrap();
    assert!(files_below(&base) == before);
    let error = in_place::roll_back(&base, &()).unwrap_err().to_string();
    assert!(
        error.contains("expected the journal of a merge in place, found none"),
        "{error}"
    );
    assert!(in_place::finish(&base, &()).is_err());
}

#[test]
fn a_merge_that_changes_nothing_can_be_undone_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    apply(&path, &Edits::new()).unwrap();
    assert_eq!(
        in_place::status(&path).unwrap().unwrap().state,
        JournalState::Applied
    );
    in_place::roll_back(&path, &()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// A file with one small matrix and a bias.
fn small_base(folder: &Path) -> (PathBuf, Vec<u8>) {
    let path = folder.join("base");
    let tensors = [
        Owned::new("w", Dtype::F32, &[3, 5]),
        Owned::new("bias", Dtype::F32, &[3]),
    ];
    let file = shifted(&serialize(&tensors), 1);
    fs::write(&path, &file).unwrap();
    (path, file)
}

/// Changes the first and the last element of the small matrix.
fn small_edits() -> Edits<'static> {
    let mut edits = Edits::new();
    edits.edit("w", |_: Range<usize>, band: &mut [u8]| -> Result<()> {
        band[..4].iter_mut().for_each(|byte| *byte = !*byte);
        band[56..].iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    });
    edits
}

/// Where the small matrix is.
fn place_of_w(path: &Path) -> usize {
    Checkpoint::open(path)
        .unwrap()
        .tensor("w")
        .unwrap()
        .offset_in_file as usize
}

#[test]
fn what_cannot_be_done_in_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    let mut edits = Edits::new();
    edits.rename("w", "bert.w");
    edits.add("score.weight", Dtype::U8, [0], vec![]);
    let error = apply(&path, &edits).unwrap_err().to_string();
    assert!(
        error.contains("--output") && error.contains("w, score.weight"),
        "{error}"
    );
    let mut edits = small_edits();
    edits.replace("lost", vec![]);
    assert!(
        apply(&path, &edits)
            .unwrap_err()
            .to_string()
            .contains("\"lost\"")
    );
    let mut edits = small_edits();
    edits.edit("w", |_: Range<usize>, _: &mut [u8]| -> Result<()> {
        Err(Error::tensor("base", "w", "better", "worse"))
    });
    assert!(
        apply(&path, &edits)
            .unwrap_err()
            .to_string()
            .contains("expected better")
    );
    let mut edits = small_edits();
    edits.edit("w", |_: Range<usize>, _: &mut [u8]| -> Result<()> {
        panic!("on purpose")
    });
    let panicking = std::panic::AssertUnwindSafe(|| apply(&path, &edits));
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names_in(folder.path()), ["base"]);
}

#[test]
fn a_second_merge_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("model.safetensors");
    fs::write(&base, serialize(&three_shards().concat())).unwrap();
    apply(&base, &some_edits()).unwrap();
    let merged = fs::read(&base).unwrap();
    // By the file's name or the folder's, it is the same merge.
    for path in [&base, folder.path()] {
        let error = apply(path, &some_edits()).unwrap_err().to_string();
        assert!(error.contains("undo it by `waveft unmerge`"), "{error}");
        assert_eq!(fs::read(&base).unwrap(), merged);
    }
    in_place::roll_back(&base, &()).unwrap();
    apply(folder.path(), &some_edits()).unwrap();
    assert!(folder.path().join("model.waveft-journal").exists());
    let error = apply(&base, &some_edits()).unwrap_err().to_string();
    assert!(error.contains("undo it by `waveft unmerge`"), "{error}");
    in_place::roll_back(folder.path(), &()).unwrap();
}

#[test]
fn a_pending_merge_is_refused_as_a_base() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    apply(&path, &small_edits()).unwrap();
    let merged = fs::read(&path).unwrap();
    let output = folder.path().join("output");
    write_to(
        &Checkpoint::open(&path).unwrap(),
        &Edits::new(),
        &output,
        &(),
    )
    .unwrap();
    fs::remove_file(&output).unwrap();
    set_pending(&path);
    let base = Checkpoint::open(&path).unwrap();
    let error = write_to(&base, &Edits::new(), &output, &())
        .unwrap_err()
        .to_string();
    assert!(error.contains("undo it by `waveft unmerge`"), "{error}");
    drop(base);
    let error = apply(&path, &small_edits()).unwrap_err().to_string();
    assert!(error.contains("undo it by `waveft unmerge`"), "{error}");
    assert!(!output.exists());
    in_place::finish(&path, &()).unwrap();
    assert_eq!(
        in_place::status(&path).unwrap().unwrap().state,
        JournalState::Applied
    );
    assert_eq!(fs::read(&path).unwrap(), merged);
    set_pending(&path);
    in_place::roll_back(&path, &()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

fn set_pending(path: &Path) {
    let mut journal = fs::read(journal_of(path)).unwrap();
    assert_eq!(journal[STATE], b'A');
    journal[STATE] = b'P';
    fs::write(journal_of(path), journal).unwrap();
}

#[test]
fn a_base_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    let reader = Checkpoint::open(&path).unwrap();
    assert!(matches!(
        apply(&path, &small_edits()),
        Err(Error::Busy { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names_in(folder.path()), ["base"]);
    drop(reader);
    apply(&path, &small_edits()).unwrap();
    let merged = fs::read(&path).unwrap();
    let holder = File::open(&path).unwrap();
    holder.lock_shared().unwrap();
    assert!(matches!(
        in_place::roll_back(&path, &()),
        Err(Error::Busy { .. })
    ));
    set_pending(&path);
    assert!(matches!(
        in_place::finish(&path, &()),
        Err(Error::Busy { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), merged);
}

#[test]
fn a_base_that_was_changed_since_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    apply(&path, &small_edits()).unwrap();
    let merged = fs::read(&path).unwrap();
    let w = place_of_w(&path);
    let end_of_header = 8 + u64::from_le_bytes(merged[..8].try_into().unwrap()) as usize;
    let refuse = |changed: Vec<u8>, message: &str| {
        fs::write(&path, &changed).unwrap();
        for pending in [false, true] {
            if pending {
                set_pending(&path);
                let error = in_place::finish(&path, &()).unwrap_err().to_string();
                assert!(error.contains(message), "{error}");
            }
            let journal = fs::read(journal_of(&path)).unwrap();
            let error = in_place::roll_back(&path, &()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert!(error.contains("the base was changed since"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), changed);
            assert_eq!(fs::read(journal_of(&path)).unwrap(), journal);
        }
        let mut journal = fs::read(journal_of(&path)).unwrap();
        journal[STATE] = b'A';
        fs::write(journal_of(&path), journal).unwrap();
    };
    let mut changed = merged.clone();
    changed[w + 59] ^= 1;
    refuse(
        changed,
        "tensor \"w\": expected the bytes from before or after the merge at offset",
    );
    let mut longer = merged.clone();
    longer.push(0);
    refuse(longer, "bytes and the header that were merged into");
    let mut other_header = merged.clone();
    other_header[end_of_header - 1] = b'\n';
    refuse(other_header, "bytes and the header that were merged into");

    // Half of a change is what a cut write leaves, but not what a complete merge does.
    let mut torn = merged.clone();
    torn[w] = before[w];
    fs::write(&path, &torn).unwrap();
    assert!(in_place::roll_back(&path, &()).is_err());
    assert_eq!(fs::read(&path).unwrap(), torn);
    set_pending(&path);
    in_place::finish(&path, &()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), merged);

    // What the merge did not touch may change.
    let mut elsewhere = merged.clone();
    elsewhere[w + 30] ^= 1;
    fs::write(&path, &elsewhere).unwrap();
    in_place::roll_back(&path, &()).unwrap();
    elsewhere.splice(w..w + 60, before[w..w + 60].iter().copied());
    elsewhere[w + 30] ^= 1;
    assert_eq!(fs::read(&path).unwrap(), elsewhere);
}

#[test]
fn a_damaged_journal_undoes_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    apply(&path, &small_edits()).unwrap();
    let merged = fs::read(&path).unwrap();
    let journal = fs::read(journal_of(&path)).unwrap();
    let mut refused = 0;
    let mut try_with = |damaged: &[u8]| {
        for finish in [false, true] {
            fs::write(&path, &merged).unwrap();
            fs::write(journal_of(&path), damaged).unwrap();
            let result = if finish {
                in_place::finish(&path, &())
            } else {
                in_place::roll_back(&path, &())
            };
            let found = fs::read(&path).unwrap();
            match result {
                Ok(()) if finish => assert_eq!(found, merged),
                Ok(()) => assert_eq!(found, before),
                Err(_) => {
                    assert_eq!(found, merged);
                    assert_eq!(fs::read(journal_of(&path)).unwrap(), damaged);
                    refused += 1;
                }
            }
        }
    };
    for pending in [false, true] {
        let mut journal = journal.clone();
        if pending {
            journal[STATE] = b'P';
        }
        for length in 0..journal.len() {
            try_with(&journal[..length]);
        }
        for place in 0..journal.len() {
            for flip in [1, 0xFF] {
                let mut damaged = journal.clone();
                damaged[place] ^= flip;
                try_with(&damaged);
            }
        }
        let mut longer = journal.clone();
        longer.push(0);
        try_with(&longer);
    }
    // All are, but the few that `finish` of an applied journal has no need to look at.
    assert!(refused >= 3 * 3 * journal.len());
    fs::write(&path, &merged).unwrap();
    fs::write(journal_of(&path), &journal).unwrap();
    in_place::roll_back(&path, &()).unwrap();
}

#[test]
fn a_journal_that_leads_elsewhere_is_refused() {
    // Another base's journal beside this one.
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = small_base(folder.path());
    apply(&path, &small_edits()).unwrap();
    let other = folder.path().join("other");
    fs::write(&other, serialize(&three_shards()[0])).unwrap();
    let before = fs::read(&other).unwrap();
    fs::rename(&path, folder.path().join("away")).unwrap();
    fs::rename(&other, &path).unwrap();
    let error = in_place::roll_back(&path, &()).unwrap_err().to_string();
    assert!(error.contains("the base was changed since"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn several_editors_see_each_others_work() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    let mut edits = small_edits();
    edits.edit("w", |_: Range<usize>, band: &mut [u8]| -> Result<()> {
        band[..4].iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    });
    apply(&path, &edits).unwrap();
    let w = place_of_w(&path);
    let merged = fs::read(&path).unwrap();
    assert_eq!(merged[..w + 56], before[..w + 56]);
    assert_ne!(merged, before);
    assert_eq!(contents(&merged).len(), 2);
}

#[cfg(unix)]
#[test]
fn links_lead_to_one_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    apply(&link, &small_edits()).unwrap();
    assert_eq!(
        names_in(folder.path()),
        ["base", "base.waveft-journal", "link"]
    );
    assert!(in_place::status(&path).unwrap().is_some());
    in_place::roll_back(&path, &()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);

    // From a folder where the file has another name, and none of the link's is beside it.
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("elsewhere");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for undone in [&link, &path] {
        apply(&link, &small_edits()).unwrap();
        in_place::finish(undone, &()).unwrap();
        in_place::roll_back(undone, &()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    assert_eq!(names_in(elsewhere.path()), ["elsewhere"]);
}

#[test]
fn a_complete_merge_is_complete_only_while_the_base_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = small_base(folder.path());
    apply(&path, &small_edits()).unwrap();
    let merged = fs::read(&path).unwrap();
    in_place::finish(&path, &()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), merged);
    // Somebody put the old file back.
    fs::write(&path, &before).unwrap();
    let error = in_place::finish(&path, &()).unwrap_err().to_string();
    assert!(
        error.contains("expected the bytes from after the merge at offset"),
        "{error}"
    );
    in_place::roll_back(&path, &()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn descriptions_of_any_kind_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = small_base(folder.path());
    let description = json!({ "n": [1, null, 2.5], "name": "ä\u{0}\n" });
    in_place::apply(
        Checkpoint::open(&path).unwrap(),
        &small_edits(),
        &description,
        &(),
    )
    .unwrap();
    assert_eq!(
        in_place::status(&path).unwrap().unwrap().description,
        description
    );
    in_place::roll_back(&path, &()).unwrap();
    in_place::apply(
        Checkpoint::open(&path).unwrap(),
        &small_edits(),
        &Value::Null,
        &(),
    )
    .unwrap();
    assert_eq!(
        in_place::status(&path).unwrap().unwrap().description,
        Value::Null
    );
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_base_alone() {
    let edits = || {
        let mut edits = Edits::new();
        edits.edit("w", |_: Range<usize>, band: &mut [u8]| -> Result<()> {
            band.fill(1);
            Ok(())
        });
        edits
    };
    if let Some(folder) = child_folder() {
        let path = folder.join("full/base");
        let before = fs::read(&path).unwrap();
        let error = apply(&path, &edits()).unwrap_err();
        let Error::Io { path: at, source } = error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(at, journal_of(&path.canonicalize().unwrap()));
        assert!(fs::read(&path).unwrap() == before);
        assert_eq!(names_in(&folder.join("full")), ["base"]);
        println!("child done");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    let big = serialize(&[Owned::new("w", Dtype::F32, &[500, 1000])]);
    fs::write(folder.path().join("base"), big).unwrap();
    let script = "mount -t tmpfs -o size=4m tmpfs full; cp base full/base";
    run_in_namespace(script, "a_full_disk_leaves_the_base_alone", folder.path());
}

#[cfg(unix)]
#[test]
fn a_read_only_base_is_left_alone() {
    if let Some(folder) = child_folder() {
        let path = folder.join("disk/base");
        let error = apply(&path, &small_edits()).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path: at, .. } if *at == path),
            "{error}"
        );
        assert_eq!(names_in(&folder.join("disk")), ["base"]);
        println!("child done");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    small_base(folder.path());
    fs::create_dir(folder.path().join("disk")).unwrap();
    let script = "mount -t tmpfs tmpfs disk; cp base disk/base; mount -o remount,ro disk";
    run_in_namespace(script, "a_read_only_base_is_left_alone", folder.path());
}
