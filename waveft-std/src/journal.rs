//! The journal of a merge in place: every byte that it changes, as it was and as it becomes.
//!
//! It stands by itself: with it, an interrupted merge is finished or rolled back without the adapter. All numbers are
//! little-endian. Each checksum is the XXH3 hash of its block, seeded with the checksum before it, so that blocks cannot be
//! lost, doubled or exchanged unnoticed.
//!
//! | Bytes                | What                                                                        |
//! |----------------------|-----------------------------------------------------------------------------|
//! | 8                    | `waveftJL`                                                                  |
//! | 4                    | version, 1                                                                  |
//! | 4                    | state: `P` (pending) or `A` (applied), then three zeros; under no checksum  |
//! | 4                    | length of the header                                                        |
//! |                      | header: JSON with `waveft` (version), `files` (the base's), `description`   |
//! | 8                    | checksum of all before it but the state                                     |
//! | any number of blocks |                                                                             |
//! | · 4                  | `RUNS`                                                                      |
//! | · 4                  | length of the runs                                                          |
//! | ·                    | runs: file (4), length (4), offset (8), old bytes, new bytes                |
//! | · 8                  | checksum                                                                    |
//! | 4                    | `END.`                                                                      |
//! | 4                    | 16                                                                          |
//! | 16                   | number of runs, bytes that they change                                      |
//! | 8                    | checksum                                                                    |

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::checkpoint::file_system::open_regular;
use crate::error::{Error, Result};

/// What a journal's name ends in.
pub(crate) const JOURNAL_SUFFIX: &str = ".waveft-journal";

const MAGIC: [u8; 8] = *b"waveftJL";
const VERSION: u32 = 1;
const STATE_OFFSET: u64 = 12;
const FIXED_LENGTH: usize = 20;
const RUNS: [u8; 4] = *b"RUNS";
const END: [u8; 4] = *b"END.";
const RUN_HEAD: usize = 16;

/// When a block is full: a run more may still go in.
const BLOCK_BYTES: usize = 1 << 20;

/// The most bytes that one run changes.
const LONGEST_RUN: usize = 1 << 20;

/// The longest block or header that is read: more than any that is written, and no burden when a length is damaged.
const LONGEST_BLOCK: usize = 1 << 24;

/// Differences this many bytes apart are one run: a run of its own would take as much room and a write more.
const GAP: usize = 16;

/// How far a merge in place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalState {
    /// It was interrupted: some of the changes may be in the base. It can be finished or rolled back.
    Pending,
    /// All changes are in the base. They can be undone.
    Applied,
}

impl JournalState {
    fn byte(self) -> u8 {
        match self {
            Self::Pending => b'P',
            Self::Applied => b'A',
        }
    }
}

/// What a journal says about itself.
#[derive(Debug, Clone)]
pub struct JournalInfo {
    /// The journal's path.
    pub path: PathBuf,
    /// How far the merge is.
    pub state: JournalState,
    /// The version of waveft that wrote it.
    pub waveft: String,
    /// What was merged, as the caller of [`in_place::apply`](crate::in_place::apply) put it.
    pub description: Value,
    /// The base's files that it belongs to.
    pub(crate) files: Vec<JournalFile>,
}

/// One of the base's files, so that another one in its place is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalFile {
    /// Its name, counted from the journal's folder.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// The XXH3 hash of its size field and header.
    pub(crate) header_hash: u64,
}

/// The header as it is written.
#[derive(Serialize, Deserialize)]
struct HeaderJson {
    waveft: String,
    files: Vec<JournalFile>,
    description: Value,
}

/// Some bytes that change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) old: &'a [u8],
    pub(crate) new: &'a [u8],
}

/// The differences of some bytes, encoded for a journal.
pub(crate) struct Differences {
    blocks: Vec<Vec<u8>>,
    runs: u64,
    bytes: u64,
}

impl Differences {
    /// What to write over `old`, which is at `offset` of the base's file number `file`, to make it `new`, which is as long.
    pub(crate) fn between(old: &[u8], new: &[u8], file: u32, offset: u64) -> Self {
        let mut differences = Self {
            blocks: Vec::new(),
            runs: 0,
            bytes: 0,
        };
        for run in differing_runs(old, new) {
            let (old, new) = (&old[run.clone()], &new[run.clone()]);
            if differences
                .blocks
                .last()
                .is_none_or(|block| block.len() >= BLOCK_BYTES)
            {
                differences.blocks.push(Vec::new());
            }
            if let Some(block) = differences.blocks.last_mut() {
                block.extend(file.to_le_bytes());
                block.extend((run.len() as u32).to_le_bytes());
                block.extend((offset + run.start as u64).to_le_bytes());
                block.extend(old);
                block.extend(new);
            }
            differences.runs += 1;
            differences.bytes += run.len() as u64;
        }
        differences
    }
}

/// Where two slices of one length differ, in steps of 8 bytes so that no element is cut, near ones joined.
fn differing_runs(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    /// Most blocks of an edited matrix are equal, and comparing a whole one is quick.
    const COMPARED: usize = 4096;
    const STEP: usize = 8;
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (block, (old, new)) in old.chunks(COMPARED).zip(new.chunks(COMPARED)).enumerate() {
        if old == new {
            continue;
        }
        for (step, (old, new)) in old.chunks(STEP).zip(new.chunks(STEP)).enumerate() {
            if old == new {
                continue;
            }
            let start = block * COMPARED + step * STEP;
            let end = start + new.len();
            match runs.last_mut() {
                Some(last) if start - last.end < GAP && end - last.start <= LONGEST_RUN => {
                    last.end = end;
                }
                _ => runs.push(start..end),
            }
        }
    }
    runs
}

/// Writes a journal from its beginning to its end.
pub(crate) struct JournalWriter<W> {
    output: W,
    checksum: u64,
    runs: u64,
    bytes: u64,
}

impl<W: Write> JournalWriter<W> {
    /// Writes the beginning of a pending journal.
    pub(crate) fn new(
        mut output: W,
        files: &[JournalFile],
        description: &Value,
    ) -> io::Result<Self> {
        let header = HeaderJson {
            waveft: env!("CARGO_PKG_VERSION").to_owned(),
            files: files.to_vec(),
            description: description.clone(),
        };
        let header = serde_json::to_vec(&header)?;
        if header.len() > LONGEST_BLOCK {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the description is too long",
            ));
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([JournalState::Pending.byte(), 0, 0, 0]);
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        let checksum = checksum_of_beginning(&bytes);
        bytes.extend(checksum.to_le_bytes());
        output.write_all(&bytes)?;
        Ok(Self {
            output,
            checksum,
            runs: 0,
            bytes: 0,
        })
    }

    /// Writes differences, which must lie after those before.
    pub(crate) fn write(&mut self, differences: &Differences) -> io::Result<()> {
        self.runs += differences.runs;
        self.bytes += differences.bytes;
        differences
            .blocks
            .iter()
            .try_for_each(|block| self.write_block(RUNS, block))
    }

    /// Writes the end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let counts = [self.runs.to_le_bytes(), self.bytes.to_le_bytes()].concat();
        self.write_block(END, &counts)?;
        self.output.flush()
    }

    fn write_block(&mut self, kind: [u8; 4], payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u32).to_le_bytes();
        self.checksum = checksum_of_block(kind, length, payload, self.checksum);
        self.output.write_all(&kind)?;
        self.output.write_all(&length)?;
        self.output.write_all(payload)?;
        self.output.write_all(&self.checksum.to_le_bytes())
    }
}

/// Reads a journal block by block, believing nothing.
pub(crate) struct JournalReader {
    input: BufReader<File>,
    info: JournalInfo,
    checksum: u64,
    runs: u64,
    bytes: u64,
    position: u64,
    /// No run may start before this place: its file's number, and the offset.
    next_place: (usize, u64),
    block: Vec<u8>,
}

impl JournalReader {
    /// Opens a journal and reads its beginning; `None` when there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let file = match open_regular(path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            opened => opened?,
        };
        let mut input = BufReader::with_capacity(1 << 18, file);
        let mut beginning = read_bytes(&mut input, FIXED_LENGTH, path)?;
        let [a, b, c, d] = field(&beginning, 8);
        if beginning.get(..8) != Some(&MAGIC) || u32::from_le_bytes([a, b, c, d]) != VERSION {
            return Err(damaged(
                path,
                "expected a journal of version 1, found another beginning",
            ));
        }
        let state = match field(&beginning, 12) {
            [b'P', 0, 0, 0] => JournalState::Pending,
            [b'A', 0, 0, 0] => JournalState::Applied,
            state => return Err(damaged(path, format!("expected a state, found {state:?}"))),
        };
        let header_length = u32::from_le_bytes(field(&beginning, 16)) as usize;
        if header_length > LONGEST_BLOCK {
            let reason = format!(
                "expected a header of at most {LONGEST_BLOCK} bytes, found {header_length}"
            );
            return Err(damaged(path, reason));
        }
        beginning.extend(read_bytes(&mut input, header_length, path)?);
        let checksum = checksum_of_beginning(&beginning);
        if read_bytes(&mut input, 8, path)? != checksum.to_le_bytes() {
            return Err(damaged(
                path,
                "expected the header's checksum, found another",
            ));
        }
        let header: HeaderJson = serde_json::from_slice(
            beginning.get(FIXED_LENGTH..).unwrap_or_default(),
        )
        .map_err(|error| damaged(path, format!("expected a header in JSON, found {error}")))?;
        Ok(Some(Self {
            input,
            info: JournalInfo {
                path: path.to_owned(),
                state,
                waveft: header.waveft,
                description: header.description,
                files: header.files,
            },
            checksum,
            runs: 0,
            bytes: 0,
            position: (FIXED_LENGTH + header_length + 8) as u64,
            next_place: (0, 0),
            block: Vec::new(),
        }))
    }

    /// What the journal says about itself.
    pub(crate) fn info(&self) -> &JournalInfo {
        &self.info
    }

    /// How many of its bytes have been read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next block's runs, or `None` after the last, where the journal has been found whole.
    pub(crate) fn next_runs(&mut self) -> Result<Option<Vec<Run<'_>>>> {
        let kind = self.read_block()?;
        if kind == END {
            let counts = [self.runs.to_le_bytes(), self.bytes.to_le_bytes()].concat();
            if self.block != counts {
                return Err(
                    self.damaged("expected the number of its runs at its end, found another")
                );
            }
            let mut one_more = [0];
            return match self
                .input
                .read(&mut one_more)
                .map_err(Error::io(&self.info.path))?
            {
                0 => Ok(None),
                _ => Err(self.damaged("expected nothing after its end, found more")),
            };
        }
        if kind != RUNS {
            return Err(self.damaged(format!("expected a block of runs, found kind {kind:?}")));
        }
        let mut runs = Vec::new();
        let mut rest = self.block.as_slice();
        while !rest.is_empty() {
            let Some((run, after)) = split_run(rest) else {
                return Err(damaged(
                    &self.info.path,
                    "expected a whole run, found a part of one",
                ));
            };
            let end = run.offset.checked_add(run.new.len() as u64);
            let is_inside = self
                .info
                .files
                .get(run.file)
                .is_some_and(|file| end <= Some(file.length));
            let (Some(end), true, true) =
                (end, is_inside, (run.file, run.offset) >= self.next_place)
            else {
                let reason = format!(
                    "expected runs in order and inside their files, found {} bytes at {}",
                    run.new.len(),
                    run.offset
                );
                return Err(damaged(&self.info.path, reason));
            };
            self.next_place = (run.file, end);
            self.runs += 1;
            self.bytes += run.new.len() as u64;
            runs.push(run);
            rest = after;
        }
        Ok(Some(runs))
    }

    /// Reads a block and checks it.
    fn read_block(&mut self) -> Result<[u8; 4]> {
        let path = &self.info.path;
        let head = read_bytes(&mut self.input, 8, path)?;
        let (kind, length) = (field(&head, 0), field(&head, 4));
        let payload_length = u32::from_le_bytes(length) as usize;
        if payload_length > LONGEST_BLOCK {
            let reason = format!(
                "expected a block of at most {LONGEST_BLOCK} bytes, found {payload_length}"
            );
            return Err(damaged(path, reason));
        }
        self.block = read_bytes(&mut self.input, payload_length, path)?;
        self.checksum = checksum_of_block(kind, length, &self.block, self.checksum);
        if read_bytes(&mut self.input, 8, path)? != self.checksum.to_le_bytes() {
            return Err(damaged(
                path,
                format!(
                    "expected the checksum of the block at {}, found another",
                    self.position
                ),
            ));
        }
        self.position += (8 + payload_length + 8) as u64;
        Ok(kind)
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        damaged(&self.info.path, reason)
    }
}

/// Writes bytes at a place of a file. The tests put one here that fails.
pub(crate) type WriteAt<'w> = &'w mut dyn FnMut(&File, &[u8], u64) -> io::Result<()>;

/// Notes in a journal, on disk, how far the merge is.
pub(crate) fn mark(path: &Path, state: JournalState, write: WriteAt<'_>) -> Result<()> {
    let file = File::options()
        .write(true)
        .open(path)
        .map_err(Error::io(path))?;
    // One byte: it is written whole or not at all.
    write(&file, &[state.byte()], STATE_OFFSET)
        .and_then(|()| file.sync_all())
        .map_err(Error::io(path))
}

fn split_run(bytes: &[u8]) -> Option<(Run<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(RUN_HEAD)?;
    let length = u32::from_le_bytes(field(head, 4)) as usize;
    let (old, rest) = rest.split_at_checked(length)?;
    let (new, rest) = rest.split_at_checked(length)?;
    let offset = u64::from_le_bytes(field(head, 8));
    Some((
        Run {
            file: u32::from_le_bytes(field(head, 0)) as usize,
            offset,
            old,
            new,
        },
        rest,
    ))
}

/// The `N` bytes at `offset`, with zeros for those that are not there.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

fn read_bytes(input: &mut impl Read, length: usize, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input
        .take(length as u64)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    if bytes.len() != length {
        return Err(damaged(
            path,
            format!(
                "expected {length} bytes more, found its end after {}",
                bytes.len()
            ),
        ));
    }
    Ok(bytes)
}

/// All of a journal's beginning but the state, which changes.
fn checksum_of_beginning(bytes: &[u8]) -> u64 {
    let mut checked = bytes.to_vec();
    if let Some(state) = checked.get_mut(STATE_OFFSET as usize) {
        *state = 0;
    }
    xxh3_64(&checked)
}

fn checksum_of_block(kind: [u8; 4], length: [u8; 4], payload: &[u8], before: u64) -> u64 {
    let head = xxh3_64_with_seed(&[kind, length].concat(), before);
    xxh3_64_with_seed(payload, head)
}

fn damaged(path: &Path, reason: impl Into<String>) -> Error {
    Error::Journal {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A journal with these blocks' bytes as they are; one file of 1000 bytes.
    fn journal(blocks: &[&[u8]]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let base = JournalFile {
            name: "base".to_owned(),
            length: 1000,
            header_hash: 0,
        };
        let mut writer = JournalWriter::new(file.as_file(), &[base], &Value::Null).unwrap();
        for &block in blocks {
            writer.write_block(RUNS, block).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    fn run(file: u32, offset: u64, length: u32) -> Vec<u8> {
        let mut bytes = [
            &file.to_le_bytes()[..],
            &length.to_le_bytes(),
            &offset.to_le_bytes(),
        ]
        .concat();
        bytes.resize(bytes.len() + 2 * length as usize, 1);
        bytes
    }

    /// Checksums are right in all of these, so only the runs themselves can be refused.
    #[test]
    fn runs_that_make_no_sense_are_refused() {
        let refuse = |blocks: &[&[u8]], message: &str| {
            let file = journal(blocks);
            let mut reader = JournalReader::open(file.path()).unwrap().unwrap();
            let error = loop {
                match reader.next_runs() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("accepted, not refused with {message}"),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(error.contains(message), "{error}");
        };
        refuse(&[&run(0, 990, 11)], "inside their files");
        refuse(&[&run(1, 0, 1)], "inside their files");
        refuse(&[&run(0, u64::MAX, 2)], "inside their files");
        refuse(&[&run(0, 10, 2), &run(0, 11, 2)], "in order");
        refuse(&[&[run(0, 10, 2), run(0, 0, 2)].concat()], "in order");
        refuse(&[&run(0, 10, 2)[..19]], "a part of one");
        refuse(&[&run(0, 10, 2)], "number of its runs");
    }

    #[test]
    fn blocks_in_another_order_are_refused() {
        let write = |blocks: [&[u8]; 2]| std::fs::read(journal(&blocks).path()).unwrap();
        let (one, two) = (run(0, 0, 4), run(0, 100, 4));
        let whole = write([&one, &two]);
        let length = 8 + one.len() + 8;
        let first = whole.len() - 32 - 2 * length;
        let mut exchanged = whole.clone();
        exchanged[first..first + 2 * length].rotate_left(length);
        assert_ne!(exchanged, whole);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), exchanged).unwrap();
        let mut reader = JournalReader::open(file.path()).unwrap().unwrap();
        let error = reader.next_runs().unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
    }

    proptest! {
        #[test]
        fn differences_are_found_and_no_more_than_needed(
            mut new in prop::collection::vec(Just(0u8), 0..20_000),
            places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let old = new.clone();
            for place in places {
                if !new.is_empty() {
                    let place = place.index(new.len());
                    new[place] = 1;
                }
            }
            let runs = differing_runs(&old, &new);
            let mut patched = old.clone();
            for run in &runs {
                patched[run.clone()].copy_from_slice(&new[run.clone()]);
                prop_assert_eq!(run.start % 8, 0);
                prop_assert!(old[run.start..(run.start + 8).min(run.end)] != new[run.start..(run.start + 8).min(run.end)]);
            }
            prop_assert!(patched == new);
            for pair in runs.windows(2) {
                prop_assert!(pair[0].end + GAP <= pair[1].start);
            }
        }
    }

    #[test]
    fn long_differences_are_cut() {
        let old = vec![0; 3 * LONGEST_RUN + 5];
        let new = vec![1; old.len()];
        let differences = Differences::between(&old, &new, 0, 0);
        assert_eq!(differences.bytes, old.len() as u64);
        assert!(
            differences
                .blocks
                .iter()
                .all(|block| block.len() < LONGEST_BLOCK / 2)
        );
    }
}
