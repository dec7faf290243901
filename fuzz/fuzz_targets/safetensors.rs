//! Any bytes as a checkpoint: accepted exactly when the safetensors crate accepts them, every tensor inside the file and
//! apart from the others, and written again unchanged. Bytes that begin a JSON object are an index of shards too.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;
use waveft_fuzz::{MadeTensor, file_of, files_below};
use waveft_std::checkpoint::{Checkpoint, Dtype, Edits, Header};
use waveft_std::rewrite::write_to;
use waveft_std::target_modules::linear_modules;

fuzz_target!(|bytes: &[u8]| {
    as_file(bytes);
    if bytes.first() == Some(&b'{') {
        as_index(bytes);
    }
});

fn as_file(bytes: &[u8]) {
    let reference = SafeTensors::deserialize(bytes);
    let header = match (Header::parse(bytes), &reference) {
        (Ok(header), Ok(_)) => header,
        (Ok(_), Err(error)) => panic!("accepted, but not by safetensors: {error}"),
        (Err(fault), Ok(_)) => {
            // What is refused beyond what the crate refuses.
            let said = fault.to_string();
            let is_known = said.contains("comes twice") || said.contains("a name of at most");
            assert!(is_known, "{fault}");
            return;
        }
        (Err(_), Err(_)) => return,
    };
    let reference = reference.expect("accepted above");
    assert_eq!(header.tensors().len(), reference.len());
    let mut end = header.data_start();
    for tensor in header.tensors() {
        assert_eq!(tensor.place.start, end, "no hole and no overlap");
        assert!(tensor.place.start <= tensor.place.end);
        end = tensor.place.end;
        let view = reference
            .tensor(&tensor.name)
            .expect("the crate has it too");
        let place = tensor.place.start as usize..tensor.place.end as usize;
        assert_eq!(view.data(), &bytes[place]);
        assert_eq!(
            (view.dtype(), view.shape()),
            (tensor.dtype, &tensor.shape[..])
        );
    }
    assert_eq!(end, bytes.len() as u64);

    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().join("base");
    fs::write(&base, bytes).expect("a file");
    let checkpoint = Checkpoint::open(&base).expect("the header was accepted");
    assert_eq!(checkpoint.tensors().count(), header.tensors().len());
    for (tensor, expected) in checkpoint.tensors().zip(header.tensors()) {
        assert_eq!(tensor.name, expected.name);
        assert_eq!(tensor.offset_in_file, expected.place.start);
        let place = expected.place.start as usize..expected.place.end as usize;
        assert_eq!(tensor.bytes, &bytes[place]);
    }
    let _ = linear_modules(&checkpoint, bytes.len().is_multiple_of(2));
    write_again(&checkpoint, folder.path());
}

/// Writes the file unchanged, and with its first tensor renamed.
fn write_again(checkpoint: &Checkpoint, folder: &Path) {
    let output = folder.join("output");
    write_to(checkpoint, &Edits::new(), &output, &()).expect("nothing to refuse");
    assert_eq!(
        fs::read(&output).expect("the output"),
        fs::read(checkpoint.path()).expect("the base")
    );
    let Some(first) = checkpoint.tensors().next() else {
        return;
    };
    let new_name = "a name that no tensor has";
    let mut edits = Edits::new();
    edits.rename(first.name, new_name);
    if checkpoint.tensor(new_name).is_some() {
        assert!(write_to(checkpoint, &edits, &output, &()).is_err());
        return;
    }
    write_to(checkpoint, &edits, &output, &()).expect("the new name is free");
    let renamed = Checkpoint::open(&output).expect("what is written can be read");
    for (old, new) in checkpoint.tensors().zip(renamed.tensors()) {
        let name = if old.name == first.name {
            new_name
        } else {
            old.name
        };
        // Empty tensors stand in the order of their names.
        if !old.bytes.is_empty() {
            assert_eq!(new.name, name);
        }
        let found = renamed.tensor(name).expect("every tensor is there");
        assert_eq!(
            (found.dtype, found.shape, found.bytes),
            (old.dtype, old.shape, old.bytes)
        );
    }
    let partial = folder.join(".output.waveft-partial");
    assert!(!partial.exists());
}

fn as_index(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().join("base");
    fs::create_dir(&base).expect("a folder");
    for (shard, name) in [("one", "a.weight"), ("two", "b.weight")] {
        let tensor = MadeTensor::new(name.to_owned(), Dtype::F32, vec![2, 3], b"any");
        fs::write(base.join(shard), file_of(&[tensor], 1)).expect("a file");
    }
    fs::write(base.join("model.safetensors.index.json"), bytes).expect("a file");
    let Ok(checkpoint) = Checkpoint::open(&base) else {
        return;
    };
    let mut edits = Edits::new();
    edits.rename("a.weight", "c.weight");
    edits.add("d.weight", Dtype::U8, [3], vec![1, 2, 3]);
    let before = files_below(&base);
    let output = folder.path().join("output");
    let written = write_to(&checkpoint, &edits, &output, &());
    assert_eq!(files_below(&base), before);
    if written.is_err() {
        assert!(!output.exists());
        return;
    }
    let merged = Checkpoint::open(&output).expect("what is written can be read");
    assert_eq!(merged.len(), checkpoint.len() + 1);
    assert!(merged.tensor("c.weight").is_some() && merged.tensor("d.weight").is_some());
}
