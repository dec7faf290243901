//! Files that lie, and files that are no files: each is refused with a message that says what was expected and what was found,
//! in bounded memory and time, and nothing is written.

#![cfg(target_os = "linux")]

mod generated;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

/// The most memory of its own that a run may have, in KiB.
const MOST_MEMORY: u32 = 1 << 19;

/// The longest that a run may take: what hangs is found, and a busy machine is not.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 10_000;

/// What of a file is compared, if it is longer.
const COMPARED: u64 = 1 << 16;

const MERGE: &str = "merge --base base --adapter adapter --output out";
const SAFE: &str = "merge --base base --adapter adapter --output out --safe";
const IN_PLACE: &str = "merge --base base --adapter adapter --in-place";
const UNMERGE: &str = "unmerge --base base";
const INIT: &str = "init --base base --config adapter/adapter_config.json --output fresh";
const DELTA: &str = "delta --base base --adapter adapter --output out";
const INSPECT: &str = "inspect base";
const INSPECT_ADAPTER: &str = "inspect adapter";

/// A folder with a good base, which is one file, and a good adapter.
fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let modules = generated::modules(2);
    generated::write_base(&folder.path().join("base"), &modules, 16);
    generated::write_adapter(&folder.path().join("adapter"), &modules, "db4", 8);
    folder
}

/// Runs the command in `folder`, within the limits; that of memory, unless the environment says `WAVEFT_UNLIMITED_MEMORY`: a
/// sanitizer takes terabytes of addresses.
fn run(folder: &Path, words: &str) -> Output {
    let memory = match env::var_os("WAVEFT_UNLIMITED_MEMORY") {
        Some(_) => "unlimited".to_owned(),
        None => MOST_MEMORY.to_string(),
    };
    let limited = format!("ulimit -c 0; ulimit -d {memory}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.current_dir(folder).arg("-c").arg(limited);
    command.arg(env!("CARGO_BIN_EXE_waveft"));
    command.args(["--threads", "2"]).args(words.split(' '));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    // So that a long message does not fill the pipe.
    let errors = thread::spawn(move || {
        let mut said = Vec::new();
        errors.read_to_end(&mut said).unwrap();
        said
    });
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{words}: still running after {LONGEST:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut output = child.wait_with_output().unwrap();
    output.stderr = errors.join().unwrap();
    output
}

/// What is in a folder: links and what they say, files with their lengths and beginnings, and what else there is.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (String, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        let bytes = if kind.is_symlink() {
            let link = fs::read_link(&path).unwrap();
            link.as_os_str().as_bytes().to_vec()
        } else if kind.is_file() {
            let mut bytes = Vec::new();
            let file = File::open(&path).unwrap();
            file.take(COMPARED).read_to_end(&mut bytes).unwrap();
            bytes
        } else {
            vec![]
        };
        if kind.is_dir() {
            found.extend(contents(&path));
        }
        let kind = format!(
            "{:?} {}",
            kind.file_type(),
            if kind.is_file() { kind.len() } else { 0 }
        );
        found.insert(path, (kind, bytes));
    }
    found
}

/// Puts a file into the folder of a scene.
type Make = Box<dyn Fn(&Path)>;

/// A command that meets a file, and what it must say.
struct Case {
    what: &'static str,
    words: &'static str,
    /// Puts the file in the place of the good one.
    make: Make,
    expected: &'static str,
}

fn case(
    what: &'static str,
    words: &'static str,
    make: impl Fn(&Path) + 'static,
    expected: &'static str,
) -> Case {
    Case {
        what,
        words,
        make: Box::new(make),
        expected,
    }
}

fn refuse(cases: Vec<Case>) {
    for Case {
        what,
        words,
        make,
        expected,
    } in cases
    {
        let folder = scene();
        make(folder.path());
        let before = contents(folder.path());
        let begun = Instant::now();
        let ran = run(folder.path(), words);
        let time = begun.elapsed();
        let said = String::from_utf8(ran.stderr).unwrap();
        let start: String = said.chars().take(300).collect();
        assert_eq!(ran.status.code(), Some(1), "{what}: {start}");
        assert!(said.starts_with("error: "), "{what}: {start}");
        assert!(said.trim_end().lines().count() == 1, "{what}: {start}");
        assert!(said.len() < LONGEST_MESSAGE, "{what}: {} bytes", said.len());
        assert!(!said.contains("panicked"), "{what}: {start}");
        assert!(
            !said.trim_end().contains(char::is_control),
            "{what}: {said:?}"
        );
        assert!(
            said.contains(expected),
            "{what}: expected {expected:?} in {start}"
        );
        assert!(ran.stdout.is_empty(), "{what}");
        assert!(
            contents(folder.path()) == before,
            "{what}: something was written"
        );
        println!("{what}: {time:.2?}: {start}");
    }
}

/// Writes a safetensors file with this header, and `data` zeros.
fn write_tensors(path: &Path, header: impl AsRef<[u8]>, data: u64) {
    let header = header.as_ref();
    let bytes = [&(header.len() as u64).to_le_bytes(), header].concat();
    fs::write(path, &bytes).unwrap();
    lengthen(path, bytes.len() as u64 + data);
}

/// Makes a file this long, by a hole that takes no disk space.
fn lengthen(path: &Path, length: u64) {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    file.unwrap().set_len(length).unwrap();
}

/// A tensor's entry in a header.
fn tensor(dtype: &str, shape: Value, start: u64, end: u64) -> Value {
    json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] })
}

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A list of so many zeros, in JSON.
fn zeros(count: usize) -> String {
    format!("[{}0]", "0,".repeat(count - 1))
}

/// Brackets that many deep.
fn deep(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

/// The base with another header and so many bytes behind it.
fn base(header: impl AsRef<[u8]> + 'static, data: u64) -> impl Fn(&Path) + 'static {
    move |folder| write_tensors(&folder.join("base"), &header, data)
}

/// The base with one weight for the first module, and an adapter for that.
fn weight(entry: Value, data: u64) -> impl Fn(&Path) + 'static {
    move |folder| {
        let header = json!({ "layers.0.proj.weight": entry }).to_string();
        write_tensors(&folder.join("base"), header, data);
        fs::remove_dir_all(folder.join("adapter")).unwrap();
        generated::write_adapter(&folder.join("adapter"), &generated::modules(1), "db4", 8);
    }
}

/// A folder as the base, with the good base as a shard and this index.
fn index(json: impl AsRef<[u8]> + 'static) -> impl Fn(&Path) + 'static {
    move |folder| {
        fs::rename(folder.join("base"), folder.join("shard")).unwrap();
        fs::create_dir(folder.join("base")).unwrap();
        fs::rename(folder.join("shard"), folder.join("base/shard")).unwrap();
        fs::write(folder.join("base/model.safetensors.index.json"), &json).unwrap();
    }
}

fn weight_map(shard: &str) -> String {
    let names = generated::modules(2).into_iter();
    let entries = names.map(|module| (format!("{module}.weight"), json!(shard)));
    json!({ "weight_map": Value::Object(entries.collect()) }).to_string()
}

fn config_text(text: impl AsRef<[u8]> + 'static) -> impl Fn(&Path) + 'static {
    move |folder| fs::write(folder.join("adapter/adapter_config.json"), &text).unwrap()
}

/// The adapter's configuration with this value for this key, as JSON has it.
fn config(key: &str, value: impl AsRef<str>) -> impl Fn(&Path) + 'static {
    let targets = if key == "target_modules" {
        ""
    } else {
        r#""target_modules": ["proj"], "#
    };
    let value = value.as_ref();
    config_text(format!(
        r#"{{"peft_type": "WAVEFT", "n_frequency": 8, {targets}"{key}": {value}}}"#
    ))
}

fn spectra(header: impl AsRef<[u8]> + 'static, data: u64) -> impl Fn(&Path) + 'static {
    move |folder| {
        write_tensors(
            &folder.join("adapter/adapter_model.safetensors"),
            &header,
            data,
        )
    }
}

/// One spectrum of this entry.
fn spectrum(entry: Value, data: u64) -> impl Fn(&Path) + 'static {
    let name = "base_model.model.layers.0.proj.waveft_spectrum";
    spectra(json!({ name: entry }).to_string(), data)
}

#[test]
fn headers_that_lie() {
    let float = |shape: Value, start, end| tensor("F32", shape, start, end);
    let header = |entries: Value| entries.to_string();
    let many = (0..200_000_u64).map(|n| (n.to_string(), tensor("U8", json!([1]), n, n + 1)));
    let many = Value::Object(many.collect()).to_string();
    let long_shape = zeros(10_000_000);
    let long_shape =
        format!(r#"{{"a":{{"dtype":"F32","shape":{long_shape},"data_offsets":[0,4]}}}}"#);
    let first =
        |bytes: &'static [u8]| move |folder: &Path| fs::write(folder.join("base"), bytes).unwrap();
    refuse(vec![
        case(
            "an empty file",
            MERGE,
            first(b""),
            "at least 8 bytes, found 0",
        ),
        case(
            "seven bytes",
            MERGE,
            first(b"\x08\0\0\0\0\0\0"),
            "at least 8 bytes, found 7",
        ),
        case(
            "a header of 2^64 - 1 bytes",
            MERGE,
            first(&[0xFF; 16]),
            "at most 100000000 bytes",
        ),
        case(
            "a header longer than the file",
            INSPECT,
            first(b"\x80\xF0\xFA\x02\0\0\0\0{}"),
            "a header of 50000000 bytes",
        ),
        case(
            "a header that is no text",
            MERGE,
            base([b'{', 0xFF, b'}'], 0),
            "UTF-8",
        ),
        case("a header that is no JSON", MERGE, base("{", 0), "JSON"),
        case("a list for a header", MERGE, base("[]", 0), "a JSON object"),
        case(
            "overlapping tensors",
            MERGE,
            base(
                header(json!({"a": float(json!([2]), 0, 8), "b": float(json!([2]), 4, 12)})),
                12,
            ),
            "data from offset 8",
        ),
        case(
            "a hole",
            MERGE,
            base(
                header(json!({"a": float(json!([2]), 0, 8), "b": float(json!([2]), 12, 20)})),
                20,
            ),
            "data from offset 8",
        ),
        case(
            "a shape whose product overflows",
            MERGE,
            base(
                header(json!({"a": float(json!([1_u64 << 40, 1_u64 << 40]), 0, 4)})),
                4,
            ),
            "fits in memory",
        ),
        case(
            "a shape of more than the bytes",
            MERGE,
            base(header(json!({"a": float(json!([1_u64 << 40]), 0, 4)})), 4),
            "4398046511104 bytes for F32",
        ),
        case(
            "an end before the start",
            MERGE,
            base(header(json!({"a": float(json!([2]), 8, 0)})), 8),
            "from offset 0",
        ),
        case(
            "offsets of 2^64 - 1",
            MERGE,
            base(header(json!({"a": float(json!([2]), 0, u64::MAX)})), 8),
            "18446744073709551615",
        ),
        case(
            "a negative side",
            MERGE,
            base(header(json!({"a": float(json!([-1]), 0, 4)})), 4),
            "-1",
        ),
        case(
            "an unknown type",
            MERGE,
            base(header(json!({"a": tensor("F31", json!([1]), 0, 4)})), 4),
            "F31",
        ),
        case(
            "numbers for metadata",
            MERGE,
            base(r#"{"__metadata__":{"a":1}}"#, 0),
            "a string",
        ),
        case(
            "a name that comes twice",
            MERGE,
            base(
                r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
                0,
            ),
            "comes twice",
        ),
        case(
            "a deep header",
            MERGE,
            base(format!(r#"{{"a":{}}}"#, deep(1_000_000)), 0),
            "JSON",
        ),
        case(
            "a long shape",
            MERGE,
            base(long_shape, 4),
            "expected 0 bytes for F32",
        ),
        case(
            "many tensors",
            MERGE,
            base(many, 200_000),
            "expected tensor \"layers.0.proj.weight\"",
        ),
        case(
            "a long name",
            INIT,
            base(
                header(
                    json!({(format!("{}proj.weight", "a.".repeat(500_000))): float(json!([1, 1]), 0, 4)}),
                ),
                4,
            ),
            "4096 bytes",
        ),
        case(
            "a file longer than its tensors",
            MERGE,
            |folder| lengthen(&folder.join("base"), 1 << 36),
            "found 68719476736",
        ),
        case(
            "a weight of integers",
            MERGE,
            weight(tensor("I32", json!([16, 16]), 0, 1024), 1024),
            "F32, F64, BF16 or F16",
        ),
        case(
            "a weight of three axes",
            DELTA,
            weight(float(json!([4, 4, 16]), 0, 1024), 1024),
            "a matrix",
        ),
        case(
            "a weight without entries",
            MERGE,
            weight(float(json!([0, 16]), 0, 0), 0),
            "layers.0.proj",
        ),
        case(
            "a row longer than the memory",
            MERGE,
            weight(
                tensor("F64", json!([1, 200_000_000]), 0, 1_600_000_000),
                1_600_000_000,
            ),
            "free memory",
        ),
        case(
            "a row longer than the memory, in place",
            IN_PLACE,
            weight(
                tensor("F64", json!([1, 200_000_000]), 0, 1_600_000_000),
                1_600_000_000,
            ),
            "free memory",
        ),
        case(
            "an update longer than the memory",
            DELTA,
            weight(float(json!([20_000, 10_000]), 0, 800_000_000), 800_000_000),
            "free memory",
        ),
    ]);
}

#[test]
fn indices_that_lead_elsewhere() {
    let outside = "a shard inside the folder";
    let twice = weight_map("shard").replace("layers.1", "layers.0");
    refuse(vec![
        case(
            "a shard above the folder",
            MERGE,
            index(weight_map("../adapter/adapter_model.safetensors")),
            outside,
        ),
        case(
            "a shard above a folder inside",
            MERGE,
            index(weight_map("a/../../base")),
            outside,
        ),
        case(
            "an absolute shard",
            MERGE,
            index(weight_map("/etc/passwd")),
            outside,
        ),
        case(
            "a shard without a name",
            MERGE,
            index(weight_map("")),
            outside,
        ),
        case("the folder itself", MERGE, index(weight_map(".")), outside),
        case(
            "orders to the terminal in a name",
            MERGE,
            index(weight_map("\u{1b}[2J\n\u{9b}2J")),
            r"base/\u{1b}[2J\n\u{9b}2J",
        ),
        case(
            "a NUL in a name",
            MERGE,
            index(weight_map("shard\0")),
            "NUL",
        ),
        case(
            "a shard that is not there",
            MERGE,
            index(weight_map("lost")),
            "lost",
        ),
        case(
            "the index as a shard",
            MERGE,
            index(weight_map("model.safetensors.index.json")),
            "expected a .safetensors file, found JSON",
        ),
        case(
            "a name that comes twice",
            MERGE,
            index(twice),
            "comes twice",
        ),
        case("no map", MERGE, index("{}"), "weight_map"),
        case(
            "an empty map",
            MERGE,
            index(r#"{"weight_map":{}}"#),
            "an empty one",
        ),
        case(
            "numbers for shards",
            MERGE,
            index(r#"{"weight_map":{"a":1}}"#),
            "a string",
        ),
        case(
            "a deep index",
            MERGE,
            index(format!(r#"{{"weight_map":{}}}"#, deep(1_000_000))),
            "weight_map",
        ),
        case(
            "a tensor that the shard lacks",
            MERGE,
            index(r#"{"weight_map":{"a":"shard"}}"#),
            "no tensor of that name",
        ),
        case(
            "a huge index",
            MERGE,
            |folder| {
                index("")(folder);
                lengthen(&folder.join("base/model.safetensors.index.json"), 1 << 36);
            },
            "at most 33554432 bytes",
        ),
        case(
            "a long list beside the map",
            MERGE,
            index(format!(
                r#"{{"metadata":{},"weight_map":{{"a":"shard"}}}}"#,
                zeros(10_000_000)
            )),
            "no tensor of that name",
        ),
    ]);
}

#[test]
fn configurations_that_ask_for_too_much() {
    let path = format!("{}!", "a".repeat(200));
    let catastrophic = move |folder: &Path| {
        let header =
            json!({(format!("{path}.weight")): tensor("F32", json!([4, 4]), 0, 64)}).to_string();
        write_tensors(&folder.join("base"), header, 64);
        config("target_modules", r#""(?:(?=a)(?:a|a)+)+b""#)(folder);
    };
    let regex = |text: String| config("target_modules", json!(text).to_string());
    let names: Vec<String> = (0..100_000).map(|n| format!("name{n}")).collect();
    let counts: BTreeMap<&String, u8> = names.iter().map(|name| (name, 1)).collect();
    let number = "a finite number";
    let count = "an integer of at least 1";
    let seed = "an integer from -2^63 to 2^64 - 1";
    refuse(vec![
        case("no JSON", MERGE, config_text("{"), "expected JSON"),
        case("no text", MERGE, config_text([b'"', 0xFF, b'"']), "UTF-8"),
        case("no object", MERGE, config_text("[]"), "a JSON object"),
        case(
            "deep",
            MERGE,
            config_text(deep(1_000_000)),
            "recursion limit",
        ),
        case(
            "another method",
            MERGE,
            config("peft_type", r#""LORA""#),
            "WAVEFT",
        ),
        case(
            "a long list",
            MERGE,
            config_text(format!(r#"{{"a":{}}}"#, zeros(4_000_000))),
            "peft_type",
        ),
        case(
            "huge",
            MERGE,
            |folder| lengthen(&folder.join("adapter/adapter_config.json"), 1 << 36),
            "at most 8388608",
        ),
        case(
            "a scaling that is NaN",
            MERGE,
            config("scaling", "NaN"),
            number,
        ),
        case(
            "an infinite scaling",
            MERGE,
            config("scaling", "-Infinity"),
            number,
        ),
        case(
            "a scaling out of range",
            MERGE,
            config("scaling", "1e400"),
            "out of range",
        ),
        case(
            "words for the scaling",
            MERGE,
            config("scaling", r#""nan""#),
            "a number",
        ),
        case("no coefficients", INIT, config("n_frequency", "0"), count),
        case("fewer than none", INIT, config("n_frequency", "-1"), count),
        case(
            "1e30 coefficients",
            INIT,
            config("n_frequency", "1e30"),
            count,
        ),
        case(
            "2^64 - 1 coefficients",
            INIT,
            config("n_frequency", "18446744073709551615"),
            "at most 16 x 16 = 256",
        ),
        case(
            "as many by a pattern",
            INIT,
            config("n_frequency_pattern", r#"{"proj":9223372036854775807}"#),
            "at most 16 x 16",
        ),
        case(
            "a seed of 2^64",
            MERGE,
            config("random_loc_seed", "18446744073709551616"),
            seed,
        ),
        case(
            "a seed below -2^63",
            MERGE,
            config("random_loc_seed", "-9223372036854775809"),
            seed,
        ),
        case("half a seed", MERGE, config("random_loc_seed", "0.5"), seed),
        case(
            "an unknown wavelet",
            MERGE,
            config("wavelet_family", r#""db39""#),
            "a discrete wavelet",
        ),
        case(
            "more coefficients than memory",
            INIT,
            |folder| {
                weight(
                    tensor("F32", json!([1 << 20, 1 << 14]), 0, 1 << 36),
                    1 << 36,
                )(folder);
                config("n_frequency", (1_u64 << 33).to_string())(folder);
            },
            "free memory",
        ),
        case(
            "a catastrophic regular expression",
            INIT,
            catastrophic,
            "that can be matched",
        ),
        case(
            "one that repeats repeats",
            INIT,
            regex("(?:(?:a{1000}){1000}){1000}".to_owned()),
            "a valid regular expression",
        ),
        case(
            "one with many groups",
            INIT,
            regex("(".repeat(100_000) + "a" + &")".repeat(100_000)),
            "a valid regular",
        ),
        case(
            "one that does not end",
            INIT,
            regex("(proj".to_owned()),
            "a valid regular expression",
        ),
        case(
            "a long one",
            INIT,
            regex("a|".repeat(2_000_000)),
            "at most 1048576 bytes",
        ),
        case(
            "many modules to save",
            INIT,
            config("modules_to_save", json!(names).to_string()),
            "at most 1048576 bytes",
        ),
        case(
            "many counts",
            INIT,
            config("n_frequency_pattern", json!(counts).to_string()),
            "at most 1048576 bytes",
        ),
        case(
            "many layers",
            INIT,
            |folder| {
                let patterns: Vec<String> = (0..100_000).map(|n| format!("l{n}")).collect();
                let text = json!({"peft_type": "WAVEFT", "target_modules": ["proj"], "layers_to_transform": [1],
                "layers_pattern": patterns});
                config_text(text.to_string())(folder);
            },
            "at most 1048576 bytes",
        ),
    ]);
}

#[test]
fn adapters_that_fit_nothing() {
    let shape = "a spectrum of shape [n]";
    let other = |name: &str| {
        spectra(
            json!({name: tensor("F32", json!([8]), 0, 32)}).to_string(),
            32,
        )
    };
    let name = |module: &str| format!("base_model.model.{module}.waveft_spectrum");
    // One prefix of the base for each of many tensors, and many modules under none of them.
    let prefixes = |folder: &Path| {
        let weight = |n: u64| {
            (
                format!("p{n}.proj.weight"),
                tensor("U8", json!([1, 1]), n, n + 1),
            )
        };
        let weights: serde_json::Map<_, _> = (0..20_000).map(weight).collect();
        write_tensors(
            &folder.join("base"),
            Value::Object(weights).to_string(),
            20_000,
        );
        let name = |module: &str| format!("base_model.model.{module}.waveft_spectrum");
        let mut entries = serde_json::Map::new();
        entries.insert(name("proj"), tensor("F32", json!([1]), 0, 4));
        for n in 1..5000 {
            entries.insert(
                name(&format!("z{n}")),
                tensor("F32", json!([1]), 4 * n, 4 * n + 4),
            );
        }
        spectra(Value::Object(entries).to_string(), 20_000)(folder);
    };
    // NaN is all ones.
    let not_finite = |folder: &Path| {
        let path = folder.join("adapter/adapter_model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[end - 4..].fill(0xFF);
        fs::write(path, bytes).unwrap();
    };
    refuse(vec![
        case(
            "two axes",
            MERGE,
            spectrum(tensor("F32", json!([2, 4]), 0, 32), 32),
            shape,
        ),
        case(
            "no coefficients",
            MERGE,
            spectrum(tensor("F32", json!([0]), 0, 0), 0),
            shape,
        ),
        case(
            "integers",
            MERGE,
            spectrum(tensor("I64", json!([4]), 0, 32), 32),
            "F32, BF16, F16 or F64",
        ),
        case(
            "another method's",
            MERGE,
            other("base_model.model.layers.0.proj.lora_A.weight"),
            "another method's",
        ),
        case(
            "no prefix",
            MERGE,
            other("layers.0.proj.waveft_spectrum"),
            "begins with base_model.model.",
        ),
        case(
            "nothing",
            INSPECT_ADAPTER,
            spectra("{}", 0),
            "at least one tensor",
        ),
        case(
            "more coefficients than entries",
            MERGE,
            spectrum(tensor("F32", json!([257]), 0, 1028), 1028),
            "257",
        ),
        case(
            "more coefficients than memory",
            MERGE,
            spectrum(tensor("F32", json!([1_u64 << 34]), 0, 1 << 36), 1 << 36),
            "free memory",
        ),
        case(
            "the same, checked first",
            SAFE,
            spectrum(tensor("F32", json!([1_u64 << 34]), 0, 1 << 36), 1 << 36),
            "free memory",
        ),
        case(
            "another model's",
            MERGE,
            other(&name("far.away")),
            "expected tensor",
        ),
        case(
            "many prefixes for many modules",
            MERGE,
            prefixes,
            "expected tensor",
        ),
        case(
            "NaN",
            SAFE,
            not_finite,
            "expected finite values, found NaN at 7",
        ),
        case(
            "a pickle",
            MERGE,
            |folder| {
                let path = folder.join("adapter");
                fs::rename(
                    path.join("adapter_model.safetensors"),
                    path.join("adapter_model.bin"),
                )
                .unwrap();
            },
            "a pickle",
        ),
    ]);
}

/// Pipes, whose opening waits for the other end; devices; folders; and links, to themselves and to what is not to be written.
#[test]
fn what_is_no_file() {
    let pipe_at = |path: &'static str| move |folder: &Path| pipe(&folder.join(path));
    let link = |path: &'static str, to: &'static str| {
        move |folder: &Path| {
            let _ = fs::remove_file(folder.join(path));
            symlink(to, folder.join(path)).unwrap();
        }
    };
    let in_folder = |make: fn(&Path)| {
        move |folder: &Path| {
            index(weight_map("shard"))(folder);
            make(folder);
        }
    };
    let irregular = "not a regular file";
    refuse(vec![
        case("a pipe as base", MERGE, pipe_at("base"), irregular),
        case(
            "a pipe as configuration",
            MERGE,
            pipe_at("adapter/adapter_config.json"),
            irregular,
        ),
        case(
            "a pipe as adapter",
            MERGE,
            pipe_at("adapter/adapter_model.safetensors"),
            irregular,
        ),
        case(
            "a pipe as journal",
            MERGE,
            pipe_at("base.waveft-journal"),
            irregular,
        ),
        case(
            "a pipe as journal, in place",
            IN_PLACE,
            pipe_at("base.waveft-journal"),
            irregular,
        ),
        case(
            "a pipe as journal, undone",
            UNMERGE,
            pipe_at("base.waveft-journal"),
            irregular,
        ),
        case(
            "a pipe as index",
            MERGE,
            |folder| {
                index("")(folder);
                pipe(&folder.join("base/model.safetensors.index.json"));
            },
            irregular,
        ),
        case(
            "a pipe as shard",
            MERGE,
            in_folder(|folder| pipe(&folder.join("base/shard"))),
            irregular,
        ),
        case(
            "a pipe beside the shards",
            MERGE,
            in_folder(|folder| pipe(&folder.join("base/other"))),
            "a file or folder to copy",
        ),
        case(
            "a pipe as output",
            MERGE,
            pipe_at("out"),
            "a file or nothing",
        ),
        case(
            "a pipe as update",
            DELTA,
            pipe_at("out"),
            "a file or nothing",
        ),
        case(
            "a link to a device as output",
            MERGE,
            link("out", "/dev/null"),
            "a file or nothing",
        ),
        case(
            "a device as base",
            MERGE,
            link("base", "/dev/zero"),
            irregular,
        ),
        case(
            "a folder as configuration",
            MERGE,
            |folder| {
                let path = folder.join("adapter/adapter_config.json");
                fs::remove_file(&path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "expected a file, found a folder",
        ),
        case(
            "a folder as journal",
            UNMERGE,
            |folder| fs::create_dir(folder.join("base.waveft-journal")).unwrap(),
            "expected a file, found a folder",
        ),
        case(
            "an empty folder as base",
            MERGE,
            |folder| {
                fs::remove_file(folder.join("base")).unwrap();
                fs::create_dir(folder.join("base")).unwrap();
            },
            "a folder with neither",
        ),
        case("a link to itself", MERGE, link("base", "base"), "base"),
        case("a link to nothing", MERGE, link("base", "nothing"), "base"),
        case(
            "a link to the base as output",
            MERGE,
            link("out", "base"),
            "the base itself",
        ),
        case(
            "a link where the output is made",
            MERGE,
            link(".out.waveft-partial", "base"),
            "a file or nothing",
        ),
        case(
            "a link where the journal is made",
            IN_PLACE,
            link(".base.waveft-journal.waveft-partial", "base"),
            "a file or nothing",
        ),
        case(
            "a link to all there is",
            MERGE,
            in_folder(|folder| symlink("/", folder.join("base/all")).unwrap()),
            "links to folders inside",
        ),
        case(
            "a link to a folder outside",
            MERGE,
            in_folder(|folder| symlink("../adapter", folder.join("base/other")).unwrap()),
            "links to folders inside",
        ),
        case(
            "no folder for the output",
            "merge --base base --adapter adapter --output no/out",
            |_| (),
            "no",
        ),
    ]);
}

/// The beginning of a journal, its checksum made good.
fn journal_beginning(state: u8, header: &str) -> Vec<u8> {
    let mut bytes = b"waveftJL\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header.as_bytes());
    let checksum = xxh3_64(&bytes);
    bytes[12] = state;
    bytes.extend(checksum.to_le_bytes());
    bytes
}

fn journal(bytes: Vec<u8>) -> impl Fn(&Path) + 'static {
    move |folder| fs::write(folder.join("base.waveft-journal"), &bytes).unwrap()
}

fn journal_of(name: &str, count: usize) -> impl Fn(&Path) + 'static {
    let file = json!({"name": name, "length": 1, "header_hash": 0});
    let header = json!({"waveft": "0", "files": vec![file; count], "description": null});
    journal(journal_beginning(b'P', &header.to_string()))
}

#[test]
fn journals_that_were_not_written_here() {
    let long = [b"waveftJL\x01\0\0\0P\0\0\0".as_slice(), &[0xFF; 8]].concat();
    let files = format!(
        r#"{{"waveft":"0","files":{},"description":null}}"#,
        deep(1_000_000)
    );
    let inside = "a file of the base";
    refuse(vec![
        case(
            "an empty one",
            UNMERGE,
            journal(vec![]),
            "found its end after 0",
        ),
        case(
            "another file",
            UNMERGE,
            journal(vec![7; 100]),
            "a journal of version 1",
        ),
        case(
            "a header of 4 GiB",
            UNMERGE,
            journal(long),
            "at most 16777216 bytes",
        ),
        case(
            "no JSON",
            UNMERGE,
            journal(journal_beginning(b'P', "{")),
            "a header in JSON",
        ),
        case(
            "a deep one",
            UNMERGE,
            journal(journal_beginning(b'P', &files)),
            "a header in JSON",
        ),
        case(
            "another state",
            UNMERGE,
            journal(journal_beginning(b'X', "{}")),
            "expected a state",
        ),
        case(
            "a file above the folder",
            UNMERGE,
            journal_of("../base", 1),
            inside,
        ),
        case(
            "an absolute file",
            UNMERGE,
            journal_of("/etc/passwd", 1),
            inside,
        ),
        case(
            "a file that is not there",
            UNMERGE,
            journal_of("lost", 1),
            "lost",
        ),
        case(
            "another base",
            UNMERGE,
            journal_of("base", 1),
            "the base was changed since",
        ),
        case(
            "one file many times",
            UNMERGE,
            journal_of("base", 100_000),
            "the base was changed since",
        ),
        case(
            "another merge's",
            IN_PLACE,
            journal_of("base", 1),
            "interrupted merge of other adapters",
        ),
        case(
            "a merge's, for an output",
            MERGE,
            journal_of("base", 1),
            "interrupted merge in place",
        ),
        case(
            "a huge one",
            UNMERGE,
            |folder| {
                journal_of("base", 1)(folder);
                lengthen(&folder.join("base.waveft-journal"), 1 << 36);
            },
            "the base was changed since",
        ),
    ]);
}

/// What looks bad and is not: PEFT's own limits, links, names that are no text.
#[test]
fn what_is_odd_is_taken() {
    let odd_name = OsStr::from_bytes(b"b\xFFse");
    let cases: Vec<(&str, &str, Make)> = vec![
        ("nothing odd", MERGE, Box::new(|_| ())),
        (
            "a seed of 2^64 - 1",
            MERGE,
            Box::new(config("random_loc_seed", "18446744073709551615")),
        ),
        (
            "a seed of -2^63",
            MERGE,
            Box::new(config("random_loc_seed", "-9223372036854775808")),
        ),
        (
            "the largest scaling",
            MERGE,
            Box::new(config("scaling", "1.7976931348623157e308")),
        ),
        (
            "a key that comes twice",
            MERGE,
            Box::new(config("n_frequency", "1")),
        ),
        (
            "a base behind a link",
            MERGE,
            Box::new(|folder| {
                fs::create_dir(folder.join("blobs")).unwrap();
                fs::rename(folder.join("base"), folder.join("blobs/1")).unwrap();
                symlink("blobs/1", folder.join("base")).unwrap();
            }),
        ),
        (
            "shards and other files behind links",
            MERGE,
            Box::new(|folder| {
                index(weight_map("shard"))(folder);
                fs::rename(folder.join("base/shard"), folder.join("blob")).unwrap();
                symlink("../blob", folder.join("base/shard")).unwrap();
                symlink("../adapter/adapter_config.json", folder.join("base/other")).unwrap();
            }),
        ),
        (
            "a name that is no text beside the shards",
            MERGE,
            Box::new(move |folder| {
                index(weight_map("shard"))(folder);
                fs::write(folder.join("base").join(odd_name), "kept").unwrap();
            }),
        ),
    ];
    for (what, words, make) in cases {
        let folder = scene();
        make(folder.path());
        let ran = run(folder.path(), words);
        assert!(
            ran.status.success() && ran.stderr.is_empty(),
            "{what}: {ran:?}"
        );
        assert!(folder.path().join("out").exists(), "{what}");
    }
}

/// What would set the terminal's title, or clear it, is shown and not done.
#[test]
fn names_are_printed_without_control_characters() {
    let folder = scene();
    let name = "\u{1b}]0;title\u{7}.\u{9b}2J\n";
    let header = |name: String| json!({ name: tensor("F32", json!([1]), 0, 4) }).to_string();
    base(header(format!("{name}.weight")), 4)(folder.path());
    let spectrum = format!("base_model.model.{name}.waveft_spectrum");
    spectra(header(spectrum), 4)(folder.path());
    for words in [INSPECT, INSPECT_ADAPTER] {
        let ran = run(folder.path(), words);
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{said}");
        assert!(said.contains(r"\u{1b}]0;title\u{7}.\u{9b}2J\n"), "{said}");
        let mut characters = said.chars().filter(|&c| c != '\n');
        assert!(!characters.any(char::is_control), "{said:?}");
    }
}

/// A journal could not name it, and what it cannot name it could not give back.
#[test]
fn a_base_whose_name_is_no_text_is_not_changed_in_place() {
    let folder = scene();
    let base = folder.path().join(OsStr::from_bytes(b"b\xFFse"));
    fs::rename(folder.path().join("base"), &base).unwrap();
    let before = contents(folder.path());
    let waveft = |target: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
        command.current_dir(folder.path());
        command.args(["merge", "--adapter", "adapter", "--base"]);
        command.arg(&base).args(target).output().unwrap()
    };
    let refused = waveft(&["--in-place"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("expected a name in UTF-8"), "{said}");
    assert!(contents(folder.path()) == before);
    assert!(waveft(&["--output", "out"]).status.success());
}
