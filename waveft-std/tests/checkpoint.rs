//! Reading checkpoints: what is there is found, and what lies is refused.

mod checkpoints;

use std::fs::{self, File};

use checkpoints::{Owned, contents, raw_file, serialize, shifted, three_shards, write_shards};
use proptest::prelude::*;
use waveft_std::Error;
use waveft_std::checkpoint::{Checkpoint, Dtype, Header};

#[test]
fn a_file_is_read_as_safetensors_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = three_shards().concat();
    for spaces in 0..8 {
        let file = shifted(&serialize(&tensors), spaces);
        fs::write(&path, &file).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert!(!checkpoint.is_folder());
        assert_eq!(checkpoint.len(), tensors.len());
        for expected in contents(&file) {
            let found = checkpoint.tensor(&expected.name).unwrap();
            assert_eq!(
                (found.dtype, found.shape),
                (expected.dtype, &expected.shape[..])
            );
            assert_eq!(found.bytes, expected.bytes);
            assert_eq!(
                file[found.offset_in_file as usize..][..found.bytes.len()],
                expected.bytes
            );
        }
        let offsets: Vec<u64> = checkpoint
            .tensors()
            .map(|tensor| tensor.offset_in_file)
            .collect();
        assert!(offsets.is_sorted());
        let metadata = checkpoint.files()[0].header().metadata().unwrap();
        assert_eq!(metadata, [("format".to_owned(), "pt".to_owned())]);
        assert!(checkpoint.tensor("no.weight").is_none());
    }
}

#[test]
fn a_folder_with_one_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = three_shards().concat();
    fs::write(folder.path().join("model.safetensors"), serialize(&tensors)).unwrap();
    // As for transformers, an index beside it does not matter.
    fs::write(
        folder.path().join("model.safetensors.index.json"),
        "not JSON",
    )
    .unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert!(checkpoint.is_folder());
    assert_eq!(checkpoint.len(), tensors.len());
}

#[test]
fn shards_are_read() {
    let folder = tempfile::tempdir().unwrap();
    write_shards(folder.path(), &three_shards());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.files().len(), 3);
    for (shard, tensors) in three_shards().iter().enumerate() {
        for expected in tensors {
            let found = checkpoint.tensor(&expected.name).unwrap();
            assert_eq!((found.file, found.bytes), (shard, &expected.bytes[..]));
        }
    }
}

/// The error of opening three shards with something changed.
fn error_of_shards(change: impl FnOnce(&std::path::Path, &mut serde_json::Value)) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_shards(folder.path(), &three_shards());
    let index_path = folder.path().join("model.safetensors.index.json");
    let mut index = serde_json::from_slice(&fs::read(&index_path).unwrap()).unwrap();
    change(folder.path(), &mut index);
    fs::write(&index_path, index.to_string()).unwrap();
    Checkpoint::open(folder.path()).unwrap_err().to_string()
}

#[test]
fn an_index_that_lies_is_refused() {
    for shard in [
        "../model.safetensors",
        "/etc/passwd",
        "",
        "nested/../../x",
        ".",
    ] {
        let error = error_of_shards(|_, index| index["weight_map"]["a.weight"] = shard.into());
        assert!(
            error.contains("inside the folder for `a.weight`"),
            "{error}"
        );
    }
    let error = error_of_shards(|_, index| index["weight_map"]["lost"] = FIRST.into());
    assert!(
        error.contains("\"lost\"") && error.contains(FIRST),
        "{error}"
    );
    assert!(error.contains("no tensor of that name"), "{error}");
    let error = error_of_shards(|_, index| index["weight_map"]["b.weight"] = FIRST.into());
    assert!(error.contains("it in another shard"), "{error}");
    let error = error_of_shards(|_, index| index["weight_map"] = serde_json::json!({}));
    assert!(error.contains("an empty one"), "{error}");
    let error = error_of_shards(|_, index| index["weight_map"]["a.weight"] = 3.into());
    assert!(error.contains("weight_map"), "{error}");
    let error = error_of_shards(|folder, _| fs::remove_file(folder.join(FIRST)).unwrap());
    assert!(error.contains(FIRST), "{error}");
    let error = error_of_shards(|folder, _| {
        fs::copy(folder.join(FIRST), folder.join("copy")).unwrap();
        fs::rename(
            folder.join("copy"),
            folder.join("model-00003-of-00003.safetensors"),
        )
        .unwrap();
    });
    assert!(
        error.contains("it in model-00001-of-00003.safetensors too"),
        "{error}"
    );
}

const FIRST: &str = "model-00001-of-00003.safetensors";

#[test]
fn an_index_that_names_a_tensor_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_shards(folder.path(), &three_shards());
    let index = format!(r#"{{"weight_map": {{"a.weight": "{FIRST}", "a.weight": "{FIRST}"}}}}"#);
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`a.weight` comes twice"), "{error}");
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert!(matches!(Checkpoint::open(&missing), Err(Error::Io { path, .. }) if path == missing));
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model.safetensors.index.json"), "{error}");
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    assert!(Checkpoint::open(&empty).is_err());
}

#[test]
fn a_file_cut_anywhere_or_longer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut file = serialize(&[Owned::new("weight", Dtype::F32, &[2, 3])]);
    for length in 0..file.len() {
        fs::write(&path, &file[..length]).unwrap();
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("expected") && error.contains("bytes"),
            "{error}"
        );
    }
    file.push(0);
    fs::write(&path, &file).unwrap();
    let expected = format!(
        "expected a file of {} bytes, found {} bytes",
        file.len() - 1,
        file.len()
    );
    assert!(
        Checkpoint::open(&path)
            .unwrap_err()
            .to_string()
            .ends_with(&expected)
    );
}

#[test]
fn a_header_that_lies_is_refused() {
    let refuse = |json: &str, data: usize, message: &str| {
        let fault = Header::parse(&raw_file(json, &vec![0; data]))
            .unwrap_err()
            .to_string();
        assert!(fault.contains(message), "{json}: {fault}");
    };
    refuse("[]", 0, "JSON");
    refuse("{", 0, "JSON");
    refuse(
        r#"{"w":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
        4,
        "F99",
    );
    refuse(
        r#"{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        4,
        "-1",
    );
    refuse(r#"{"w":{"dtype":"F32","shape":[1]}}"#, 4, "data_offsets");
    refuse(
        r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        4,
        "tensor `w`: expected 8 bytes for F32 [2], found data offsets [0, 4]",
    );
    refuse(
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        2,
        "from offset 0 on",
    );
    refuse(
        r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}"#,
        2,
        "tensor `w`",
    );
    refuse(
        r#"{"w":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}"#,
        1,
        "whole number of bytes",
    );
    let w = r#""w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    refuse(&format!("{{{w},{w}}}"), 1, "`w` comes twice");
    refuse(
        &format!("{{{w}}}").replace("[1]", "[65536,65536,65536,65536]"),
        1,
        "fits in memory",
    );
    let mut huge = raw_file("{}", &[]);
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(
        Header::parse(&huge)
            .unwrap_err()
            .to_string()
            .contains("at most 100000000 bytes")
    );
}

#[test]
fn tensors_that_would_wrap_around_are_refused() {
    // Eight tensors of 2^61 - 1 bytes each almost fill 64 bits; one more wraps.
    let length = (1u64 << 61) - 1;
    let tensors: Vec<String> = (0..9u64)
        .map(|n| {
            let (start, end) = (n.wrapping_mul(length), (n + 1).wrapping_mul(length));
            format!(r#""t{n}":{{"dtype":"U8","shape":[{length}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    for count in 1..=tensors.len() {
        let json = format!("{{{}}}", tensors[..count].join(","));
        assert!(Header::parse(&raw_file(&json, &[0; 4])).is_err());
    }
}

#[test]
fn a_file_that_is_being_merged_into_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, serialize(&three_shards()[0])).unwrap();
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    assert!(matches!(Checkpoint::open(&path), Err(Error::Busy { path: busy }) if busy == path));
    drop(holder);
    let first = Checkpoint::open(&path).unwrap();
    assert!(
        Checkpoint::open(&path).is_ok(),
        "readers do not keep each other away"
    );
    drop(first);
}

/// Headers that are nearly right.
fn doubtful_header() -> impl Strategy<Value = (String, usize)> {
    let dtype = prop::sample::select(vec!["F32", "BF16", "U8", "F4", "F64", "X"]);
    let shape = prop::collection::vec(0usize..4, 0..3);
    let tensor = (
        dtype,
        shape,
        prop::sample::select(vec![0i64, 0, 0, 0, 1, -1]),
        0usize..3,
    );
    (prop::collection::vec(tensor, 0..5), prop::sample::select(vec![0i64, 0, 0, 1, -1])).prop_map(
        |(tensors, excess)| {
            let mut entries = Vec::new();
            let mut offset = 0i64;
            for (number, (dtype, shape, error, place)) in tensors.into_iter().enumerate() {
                let bits = match dtype {
                    "F4" => 4,
                    "U8" => 8,
                    "BF16" => 16,
                    "F32" => 32,
                    _ => 64,
                };
                let end = offset + shape.iter().product::<usize>() as i64 * bits / 8 + error;
                let entry = format!(
                    r#""t{number}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{offset},{end}]}}"#
                );
                entries.insert(place.min(entries.len()), entry);
                offset = end;
            }
            (format!("{{{}}}", entries.join(",")), (offset + excess).max(0) as usize)
        },
    )
}

proptest! {
    #[test]
    fn headers_are_accepted_as_safetensors_accepts_them((json, data) in doubtful_header()) {
        let file = raw_file(&json, &vec![0; data]);
        let ours = Header::parse(&file);
        let theirs = safetensors::SafeTensors::read_metadata(&file);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        if let (Ok(header), Ok((size, metadata))) = (ours, theirs) {
            prop_assert_eq!(header.data_start(), size as u64 + 8);
            for tensor in header.tensors() {
                let info = metadata.info(&tensor.name).unwrap();
                prop_assert_eq!((tensor.dtype, &tensor.shape), (info.dtype, &info.shape));
                let start = header.data_start();
                let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
                prop_assert_eq!(&tensor.place, &(start + from..start + to));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut file in prop::collection::vec(any::<u8>(), 0..200), size in 0u64..250) {
        if let Some(field) = file.first_chunk_mut::<8>() {
            *field = size.to_le_bytes();
        }
        let _ = Header::parse(&file);
    }
}
