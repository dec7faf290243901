//! Any journal beside a base, made up, damaged or with its checksums made good again: an operation that fails changes
//! nothing, one that succeeds leaves exactly the journal's old or new bytes, and an undamaged journal always leads back.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use waveft_fuzz::{MadeTensor, file_of, files_below};
use waveft_std::checkpoint::{Checkpoint, Dtype, Edits};
use waveft_std::in_place;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const STATE: usize = 12;
const FIXED: usize = 20;

#[derive(Arbitrary, Debug)]
struct Input {
    sharded: bool,
    origin: Origin,
    mutations: Vec<Mutation>,
    /// Whether the checksums are computed again after the mutations, as far as the blocks can be told apart.
    seal: bool,
    base_mutations: Vec<(u16, u8)>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Origin {
    /// A merge with these changes: the place in the weight, how many bytes, and what they are combined with.
    Merge(Vec<(u8, u8, u8)>),
    Raw(Vec<u8>),
    MadeUp {
        files: Vec<MadeUpFile>,
        runs: Vec<MadeUpRun>,
        applied: bool,
    },
}

#[derive(Arbitrary, Debug)]
enum MadeUpFile {
    /// One of the base's files, with its true length and hash.
    True(u8),
    Named {
        name: String,
        length: u64,
        header_hash: u64,
    },
}

#[derive(Arbitrary, Debug)]
struct MadeUpRun {
    file: u8,
    offset: Offset,
    length: u8,
    old: Content,
    new: Content,
}

#[derive(Arbitrary, Debug)]
enum Offset {
    Near(u16),
    Any(u64),
}

#[derive(Arbitrary, Debug)]
enum Content {
    /// What the base holds there.
    Base,
    Other(u8),
}

#[derive(Arbitrary, Debug)]
enum Mutation {
    Set(u16, u8),
    SetState(bool),
    Truncate(u16),
    Append(Vec<u8>),
    Remove(u16, u8),
    Repeat(u16, u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    Status,
    Finish,
    RollBack,
}

/// A run of a journal, as this file reads it.
struct Run {
    file: PathBuf,
    place: Range<usize>,
    old: Vec<u8>,
    new: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("a path");
    let (path, journal) = write_base(&folder, input.sharded);
    let original = files_below(&folder);
    match &input.origin {
        Origin::Merge(changes) => merge(&path, changes),
        Origin::Raw(bytes) => fs::write(&journal, bytes).expect("a file"),
        Origin::MadeUp {
            files,
            runs,
            applied,
        } => {
            let bytes = made_up(&original, files, runs, *applied);
            fs::write(&journal, bytes).expect("a file");
        }
    }
    let merged = files_below(&folder);
    let is_intact = damage(&input, &folder, &journal, &path);
    let mut state = files_below(&folder);
    for step in input.steps.iter().take(6) {
        state = check_step(*step, &folder, &path, &journal, state);
    }
    if matches!(input.origin, Origin::Merge(_)) && is_intact && journal.exists() {
        in_place::finish(&path, &()).expect("an undamaged journal");
        assert!(without(&journal, files_below(&folder)) == without(&journal, merged));
        in_place::roll_back(&path, &()).expect("an undamaged journal");
        assert!(files_below(&folder) == original);
    }
});

fn without(path: &Path, mut files: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    files.remove(path);
    files
}

/// Writes a small base; its path and its journal's.
fn write_base(folder: &Path, sharded: bool) -> (PathBuf, PathBuf) {
    let tensor = |name: &str, shape: &[usize]| {
        MadeTensor::new(
            name.to_owned(),
            Dtype::F32,
            shape.to_vec(),
            name.repeat(3).as_bytes(),
        )
    };
    let weights = [tensor("a.weight", &[4, 13]), tensor("b.weight", &[3, 5])];
    if !sharded {
        let path = folder.join("base");
        fs::write(&path, file_of(&weights, 1)).expect("a file");
        return (path, folder.join("base.waveft-journal"));
    }
    let mut weight_map = serde_json::Map::new();
    for (shard, weight) in ["one", "two"].into_iter().zip(weights) {
        weight_map.insert(weight.name.clone(), shard.into());
        fs::write(folder.join(shard), file_of(&[weight], 2)).expect("a file");
    }
    let index = json!({ "weight_map": weight_map }).to_string();
    fs::write(folder.join("model.safetensors.index.json"), index).expect("a file");
    (folder.to_owned(), folder.join("model.waveft-journal"))
}

fn merge(path: &Path, changes: &[(u8, u8, u8)]) {
    let mut edits = Edits::new();
    for name in ["a.weight", "b.weight"] {
        edits.edit(name, move |_: Range<usize>, band: &mut [u8]| {
            for &(start, length, with) in changes {
                let start = usize::from(start) % band.len();
                let end = (start + usize::from(length)).min(band.len());
                band[start..end].iter_mut().for_each(|byte| *byte ^= with);
            }
            Ok(())
        });
    }
    let base = Checkpoint::open(path).expect("a checkpoint of our own");
    in_place::apply(base, &edits, &json!({}), &()).expect("edits that fit");
}

fn made_up(
    base: &BTreeMap<PathBuf, Vec<u8>>,
    files: &[MadeUpFile],
    runs: &[MadeUpRun],
    applied: bool,
) -> Vec<u8> {
    let checkpoints: Vec<(&PathBuf, &Vec<u8>)> = base
        .iter()
        .filter(|(path, _)| path.extension().is_none())
        .collect();
    let mut contents: Vec<&[u8]> = Vec::new();
    let mut listed = Vec::new();
    for file in files {
        match file {
            MadeUpFile::True(index) => {
                let (path, bytes) = checkpoints[usize::from(*index) % checkpoints.len()];
                let size = u64::from_le_bytes(*bytes.first_chunk().expect("a size")) as usize;
                let name = path.file_name().expect("a name").to_string_lossy();
                let header_hash = xxh3_64(&bytes[..8 + size]);
                listed.push(
                    json!({ "name": name, "length": bytes.len(), "header_hash": header_hash }),
                );
                contents.push(bytes);
            }
            MadeUpFile::Named {
                name,
                length,
                header_hash,
            } => {
                listed.push(json!({ "name": name, "length": length, "header_hash": header_hash }));
                contents.push(&[]);
            }
        }
    }
    let header = json!({ "waveft": "0", "files": listed, "description": null }).to_string();
    let mut journal = b"waveftJL\x01\0\0\0".to_vec();
    journal.extend(if applied { *b"A\0\0\0" } else { *b"P\0\0\0" });
    journal.extend((header.len() as u32).to_le_bytes());
    journal.extend(header.as_bytes());
    journal.extend([0; 8]);
    let mut block = Vec::new();
    let mut changed = 0u64;
    for run in runs {
        let offset = match run.offset {
            Offset::Near(offset) => u64::from(offset),
            Offset::Any(offset) => offset,
        };
        let content = |content: &Content| match content {
            Content::Other(byte) => vec![*byte; usize::from(run.length)],
            Content::Base => {
                let file = contents.get(usize::from(run.file)).copied();
                let rest = file.and_then(|bytes| bytes.get(usize::try_from(offset).ok()?..));
                let mut bytes = rest.unwrap_or_default().to_vec();
                bytes.resize(usize::from(run.length), 0);
                bytes
            }
        };
        block.extend(u32::from(run.file).to_le_bytes());
        block.extend(u32::from(run.length).to_le_bytes());
        block.extend(offset.to_le_bytes());
        block.extend(content(&run.old));
        block.extend(content(&run.new));
        changed += u64::from(run.length);
    }
    for (kind, payload) in [
        (*b"RUNS", block),
        (
            *b"END.",
            [(runs.len() as u64).to_le_bytes(), changed.to_le_bytes()].concat(),
        ),
    ] {
        journal.extend(kind);
        journal.extend((payload.len() as u32).to_le_bytes());
        journal.extend(payload);
        journal.extend([0; 8]);
    }
    seal(&mut journal);
    journal
}

/// Damages the journal and the base; says whether the journal is as a merge left it and the base still leads back.
fn damage(input: &Input, folder: &Path, journal: &Path, base: &Path) -> bool {
    let before = fs::read(journal).expect("the journal");
    let mut bytes = before.clone();
    for mutation in input.mutations.iter().take(8) {
        mutate(&mut bytes, mutation);
    }
    if input.seal {
        seal(&mut bytes);
    }
    fs::write(journal, &bytes).expect("the journal");
    let files: Vec<PathBuf> = files_below(folder)
        .into_keys()
        .filter(|path| path.extension().is_none() && path.starts_with(base))
        .collect();
    for (at, &(place, with)) in input.base_mutations.iter().take(4).enumerate() {
        let path = &files[at % files.len()];
        let mut file = fs::read(path).expect("the base");
        let place = usize::from(place) % file.len();
        file[place] ^= with;
        fs::write(path, file).expect("the base");
    }
    let mut state_as_before = bytes;
    if let (Some(state), Some(was)) = (state_as_before.get_mut(STATE), before.get(STATE))
        && matches!(*state, b'P' | b'A')
    {
        *state = *was;
    }
    state_as_before == before && input.base_mutations.is_empty()
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let length = bytes.len();
    if length == 0 {
        return;
    }
    let at = |place: u16| usize::from(place) % length;
    match mutation {
        Mutation::Set(place, value) => bytes[at(*place)] = *value,
        Mutation::SetState(applied) => {
            if let Some(state) = bytes.get_mut(STATE) {
                *state = if *applied { b'A' } else { b'P' };
            }
        }
        Mutation::Truncate(place) => bytes.truncate(at(*place)),
        Mutation::Append(more) => bytes.extend(more),
        Mutation::Remove(place, count) => {
            let start = at(*place);
            bytes.drain(start..(start + usize::from(*count)).min(length));
        }
        Mutation::Repeat(place, count) => {
            let start = at(*place);
            let part = bytes[start..(start + usize::from(*count)).min(length)].to_vec();
            bytes.splice(start..start, part);
        }
    }
}

/// The end of the header's checksum, and each block's payload.
fn blocks(journal: &[u8]) -> Option<(usize, Vec<Range<usize>>)> {
    let number = |at: usize| {
        let field = journal.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*field) as usize)
    };
    let mut at = FIXED.checked_add(number(16)?)?.checked_add(8)?;
    let start = at;
    if start > journal.len() {
        return None;
    }
    let mut blocks = Vec::new();
    while let Some(length) = number(at + 4) {
        let payload = at + 8..at + 8 + length;
        if payload.end + 8 > journal.len() {
            break;
        }
        at = payload.end + 8;
        blocks.push(payload);
    }
    Some((start, blocks))
}

/// Makes the checksums good.
fn seal(journal: &mut [u8]) {
    let Some((start, blocks)) = blocks(journal) else {
        return;
    };
    let mut beginning = journal[..start - 8].to_vec();
    beginning[STATE] = 0;
    let mut checksum = xxh3_64(&beginning);
    journal[start - 8..start].copy_from_slice(&checksum.to_le_bytes());
    for payload in blocks {
        let head = xxh3_64_with_seed(&journal[payload.start - 8..payload.start], checksum);
        checksum = xxh3_64_with_seed(&journal[payload.clone()], head);
        journal[payload.end..payload.end + 8].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// The runs of a journal that was accepted.
fn runs_of(journal: &[u8], folder: &Path) -> Vec<Run> {
    let (start, blocks) = blocks(journal).expect("an accepted journal");
    let header: Value = serde_json::from_slice(&journal[FIXED..start - 8]).expect("its header");
    let name = |file: u32| header["files"][file as usize]["name"].as_str();
    let mut runs = Vec::new();
    for payload in blocks {
        if &journal[payload.start - 8..payload.start - 4] != b"RUNS" {
            continue;
        }
        let mut rest = &journal[payload];
        while let Some((head, after)) = rest.split_first_chunk::<16>() {
            let file = u32::from_le_bytes(*head.first_chunk().expect("4 of 16 bytes"));
            let length = u32::from_le_bytes(*head[4..].first_chunk().expect("4 of 12 bytes"));
            let start = u64::from_le_bytes(*head[8..].first_chunk().expect("8 of 8 bytes"));
            let (start, length) = (start as usize, length as usize);
            let (old, after) = after.split_at(length);
            let (new, after) = after.split_at(length);
            runs.push(Run {
                file: folder.join(name(file).expect("a file that the journal lists")),
                place: start..start + length,
                old: old.to_vec(),
                new: new.to_vec(),
            });
            rest = after;
        }
    }
    runs
}

/// Does one step and checks what it did; what is there afterwards.
fn check_step(
    step: Step,
    folder: &Path,
    path: &Path,
    journal: &Path,
    before: BTreeMap<PathBuf, Vec<u8>>,
) -> BTreeMap<PathBuf, Vec<u8>> {
    let done = match step {
        Step::Status => in_place::status(path).map(|_| ()),
        Step::Finish => in_place::finish(path, &()),
        Step::RollBack => in_place::roll_back(path, &()),
    };
    let after = files_below(folder);
    let mut expected = before;
    if done.is_ok() && !matches!(step, Step::Status) {
        let bytes = &expected[journal];
        let is_applied = bytes[STATE] == b'A';
        let is_forward = matches!(step, Step::Finish);
        let runs = if is_forward && is_applied {
            Vec::new()
        } else {
            runs_of(bytes, folder)
        };
        for run in runs {
            let file = expected.get_mut(&run.file).expect("a file of the base");
            let current = &mut file[run.place];
            let is_explained = current == run.old
                || current == run.new
                || (!is_applied
                    && (0..current.len())
                        .all(|at| current[at] == run.old[at] || current[at] == run.new[at]));
            assert!(is_explained, "the base was changed since");
            current.copy_from_slice(if is_forward { &run.new } else { &run.old });
        }
        if is_forward {
            expected.get_mut(journal).expect("it is there")[STATE] = b'A';
        } else {
            expected.remove(journal);
        }
    }
    assert!(after == expected, "{step:?}: {done:?}");
    after
}
