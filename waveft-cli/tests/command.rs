//! The command as a script drives it: its contract, its exit status, what it says.

mod run;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use self::run::{complaint, data, printed, waveft};

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Names and contents of a folder's files.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn merges_a_file_into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let base = data("bases/llama").join("model.safetensors");
    let (adapter, output) = (
        data("adapters/plain"),
        folder.path().join("merged.safetensors"),
    );
    let run = waveft(
        "merge --base {} --adapter {} --output {}",
        &[&base, &adapter, &output],
    );
    assert!(printed(&run).contains("6 weights adapted"));
    let (before, after) = (fs::read(&base).unwrap(), fs::read(&output).unwrap());
    assert_eq!(before.len(), after.len());
    assert_ne!(before, after);
    // Again over the same output, quietly, on one thread.
    let run = waveft(
        "--quiet --threads 1 merge --base {} --adapter {} --output {}",
        &[&base, &adapter, &output],
    );
    assert_eq!(printed(&run), "");
    assert_eq!(fs::read(&output).unwrap(), after);
}

#[test]
fn merges_shards_into_shards_and_several_adapters_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (data("bases/llama-sharded"), folder.path().join("merged"));
    let run = waveft(
        "merge --base {} --adapter {} --output {}",
        &[&base, &data("adapters/sharded"), &output],
    );
    printed(&run);
    let names = |folder: &Path| {
        contents(folder)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&base), names(&output));

    let base = data("bases/llama");
    let adapters = [data("adapters/two/0"), data("adapters/two/1")];
    let (together, first, second) = (
        folder.path().join("both"),
        folder.path().join("one"),
        folder.path().join("two"),
    );
    let [zero, one] = &adapters;
    printed(&waveft(
        "merge --base {} --adapter {} {} --output {}",
        &[&base, zero, one, &together],
    ));
    printed(&waveft(
        "merge --base {} --adapter {} --output {}",
        &[&base, zero, &first],
    ));
    printed(&waveft(
        "merge --base {} --adapter {} --output {}",
        &[&first, one, &second],
    ));
    assert!(contents(&together) == contents(&second));
}

#[test]
fn merges_in_place_and_unmerges_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    copy_folder(&data("bases/llama-bf16"), &base);
    let before = contents(&base);
    let (adapter, other) = (data("adapters/bf16"), data("adapters/bf16-spectra"));
    printed(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &adapter],
    ));
    let merged = contents(&base);
    assert_ne!(before, merged);
    let inspected = printed(&waveft("inspect {}", &[&base]));
    assert!(
        inspected.contains("merged in place (complete)"),
        "{inspected}"
    );
    let path = fs::canonicalize(&adapter).unwrap().display().to_string();
    assert!(inspected.contains(&format!("(complete): {path}\n")));
    let again = complaint(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &other],
    ));
    let expected = format!("found one of {path}; `waveft unmerge");
    assert!(again.contains(&expected), "{again}");
    assert!(contents(&base) == merged);
    // Elsewhere it can be merged into once more, but that is hardly ever meant.
    let output = folder.path().join("twice");
    let twice = printed(&waveft(
        "merge --base {} --adapter {} --output {}",
        &[&base, &adapter, &output],
    ));
    assert!(twice.contains(&format!("beside {path}, which")), "{twice}");
    let again = printed(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &adapter],
    ));
    assert!(again.contains("already: nothing to do"), "{again}");
    assert!(contents(&base) == merged);
    printed(&waveft("unmerge --base {}", &[&base]));
    assert!(contents(&base) == before);
    let nothing = complaint(&waveft("unmerge --base {}", &[&base]));
    assert!(nothing.contains("found none"), "{nothing}");
}

#[test]
fn an_interrupted_merge_in_place_is_finished_or_undone() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    copy_folder(&data("bases/llama"), &base);
    let before = contents(&base);
    let adapter = data("adapters/plain");
    printed(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &adapter],
    ));
    let merged = contents(&base);
    // A run that was killed between the journal and the first byte: the journal says so, the base is as before.
    let journal = base.join("model.waveft-journal");
    let interrupt = || {
        for (name, bytes) in &before {
            fs::write(base.join(name), bytes).unwrap();
        }
        let mut bytes = merged
            .iter()
            .find(|(name, _)| name.contains("journal"))
            .unwrap()
            .1
            .clone();
        let state = bytes.iter().position(|&byte| byte == b'A').unwrap();
        bytes[state] = b'P';
        fs::write(&journal, bytes).unwrap();
    };
    interrupt();
    let inspected = printed(&waveft("inspect {}", &[&base]));
    assert!(
        inspected.contains("merged in place (interrupted)"),
        "{inspected}"
    );
    let output = folder.path().join("elsewhere");
    let refused = complaint(&waveft(
        "merge --base {} --adapter {} --output {}",
        &[&base, &adapter, &output],
    ));
    assert!(
        refused.contains("finish it by the `waveft merge --in-place` that began it")
            && !output.exists(),
        "{refused}"
    );
    let other = complaint(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &data("adapters/regex")],
    ));
    assert!(
        other.contains("interrupted merge of other adapters"),
        "{other}"
    );
    let finished = printed(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &adapter],
    ));
    assert!(
        finished.contains("finished the interrupted merge"),
        "{finished}"
    );
    assert!(contents(&base) == merged);
    interrupt();
    printed(&waveft("unmerge --base {}", &[&base]));
    assert!(contents(&base) == before);
}

#[test]
fn a_head_cannot_be_added_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    copy_folder(&data("bases/bert"), &base);
    let before = contents(&base);
    let adapter = data("adapters/prefixed");
    let refused = complaint(&waveft(
        "merge --base {} --adapter {} --in-place",
        &[&base, &adapter],
    ));
    assert!(
        refused.contains("classifier.weight") && refused.contains("--output"),
        "{refused}"
    );
    assert!(contents(&base) == before);
    let output = folder.path().join("merged");
    let run = waveft(
        "merge --base {} --adapter {} --output {}",
        &[&base, &adapter, &output],
    );
    assert!(printed(&run).contains("renamed to the adapter's names"));
}

#[test]
fn prints_pefts_locations() {
    let run = waveft(
        "locations --rows 4096 --cols 4096 --count 3 --seed 777",
        &[],
    );
    assert_eq!(printed(&run), "335,2151\n2011,3029\n1651,3799\n");
    let same = |a: &str, b: &str| {
        let run = |seed: &str| {
            printed(&waveft(
                &format!("locations --rows 9 --cols 7 --count 63 --seed {seed}"),
                &[],
            ))
        };
        assert_eq!(run(a), run(b));
    };
    same("-1", "18446744073709551615");
    same("-9223372036854775808", "9223372036854775808");
    let side = "a whole number from 1 to 1073741823";
    let seed = "a whole number from -9223372036854775808 to 18446744073709551615";
    for (sides, rest, named) in [
        ("0 --cols 7", "1 --seed 0", ["'0' for '--rows <M>'", side]),
        ("-3 --cols 7", "1 --seed 0", ["'-3' for '--rows <M>'", side]),
        (
            "many --cols 7",
            "1 --seed 0",
            ["'many' for '--rows <M>'", side],
        ),
        (
            "99999999999 --cols 7",
            "1 --seed 0",
            ["for '--rows <M>'", side],
        ),
        ("9 --cols 0", "1 --seed 0", ["'0' for '--cols <N>'", side]),
        (
            "9 --cols 1073741824",
            "1 --seed 0",
            ["for '--cols <N>'", side],
        ),
        (
            "9 --cols 18446744073709551615",
            "1 --seed 0",
            ["for '--cols <N>'", side],
        ),
        (
            "9 --cols 7",
            "0 --seed 0",
            ["'0' for '--count <K>'", "a whole number from 1 to"],
        ),
        (
            "9 --cols 7",
            "64 --seed 0",
            [
                "from 1 to 63, the entries of 9 x 7, found 64",
                "Usage: waveft locations",
            ],
        ),
        (
            "1 --cols 1073741823",
            "1073741824 --seed 0",
            ["from 1 to 1073741823, the", "found 1073741824"],
        ),
        (
            "9 --cols 7",
            "1 --seed 18446744073709551616",
            ["for '--seed <S>'", seed],
        ),
        (
            "9 --cols 7",
            "1 --seed -9223372036854775809",
            ["for '--seed <S>'", seed],
        ),
    ] {
        let usage = waveft(&format!("locations --rows {sides} --count {rest}"), &[]);
        assert_eq!(usage.status.code(), Some(2), "{sides}");
        let said = String::from_utf8(usage.stderr).unwrap();
        assert!(named.iter().all(|part| said.contains(part)), "{said}");
        assert!(usage.stdout.is_empty());
    }
}

#[test]
fn writes_the_update_on_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("delta.safetensors");
    let run = waveft(
        "delta --base {} --adapter {} --output {}",
        &[&data("bases/gpt2"), &data("adapters/conv1d"), &output],
    );
    printed(&run);
    let inspected = waveft("inspect {} --json", &[&output]);
    let facts: Value = serde_json::from_str(&printed(&inspected)).unwrap();
    let tensors = facts["tensors"].as_array().unwrap();
    assert!(!tensors.is_empty());
    for tensor in tensors {
        assert_eq!(tensor["dtype"], "F32");
        assert!(tensor["name"].as_str().unwrap().ends_with(".weight"));
    }
}

#[test]
fn inspects_an_adapter_with_and_without_its_base() {
    let adapter = data("minilm-fortunes-adapter");
    let facts: Value =
        serde_json::from_str(&printed(&waveft("inspect {} --json", &[&adapter]))).unwrap();
    assert_eq!(facts["wavelet"], "db1");
    assert_eq!(facts["coefficients"], 12 * 1024);
    assert_eq!(facts["parameters"], 15368);
    assert_eq!(facts["modules"].as_array().unwrap().len(), 12);
    assert_eq!(facts["share"], json!(null));

    let (base, adapter) = (data("bases/gpt2"), data("adapters/conv1d"));
    let run = waveft("inspect {} --base {} --json", &[&adapter, &base]);
    let facts: Value = serde_json::from_str(&printed(&run)).unwrap();
    assert!(facts["share"].as_f64().unwrap() > 0.0);
    let text = printed(&waveft("inspect {} --base {}", &[&adapter, &base]));
    assert!(text.contains("weights stored in × out"), "{text}");
    assert!(!text.contains("--base"), "{text}");
    let text = printed(&waveft("inspect {}", &[&data("minilm-fortunes-adapter")]));
    assert!(text.contains("\nbase sentence-transformers/"), "{text}");
    assert!(text.contains("known from the base, by --base"), "{text}");
}

#[test]
fn creates_an_adapter_that_merges_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (base, fresh) = (data("bases/llama"), folder.path().join("fresh"));
    let config = data("adapters/plain").join("adapter_config.json");
    let words = "init --base {} --config {} --output {}";
    let said = printed(&waveft(words, &[&base, &config, &fresh]));
    let facts: Value =
        serde_json::from_str(&printed(&waveft("inspect {} --json", &[&fresh]))).unwrap();
    for module in facts["modules"].as_array().unwrap() {
        assert!(said.contains(module["module"].as_str().unwrap()), "{said}");
    }
    let again = complaint(&waveft(words, &[&base, &config, &fresh]));
    assert!(again.contains("adapter_config.json"), "{again}");
    let output = folder.path().join("merged");
    printed(&waveft(
        "merge --base {} --adapter {} --output {} --safe",
        &[&base, &fresh, &output],
    ));
    assert!(contents(&output) == contents(&base));
}

#[test]
fn a_misspelt_setting_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (config, fresh) = (
        folder.path().join("config.json"),
        folder.path().join("fresh"),
    );
    let known = data("adapters/plain").join("adapter_config.json");
    let text = fs::read_to_string(known).unwrap();
    let words = "init --base {} --config {} --output {}";
    for (text, is_told) in [
        (text.replace("\"scaling\"", "\"scalling\""), true),
        (text, false),
    ] {
        fs::write(&config, text).unwrap();
        let said = printed(&waveft(words, &[&data("bases/llama"), &config, &fresh]));
        let told = "\"scalling\" in the configuration is no setting of WaveFT";
        assert_eq!(said.contains(told), is_told, "{said}");
        assert_eq!(said.contains("no setting"), is_told, "{said}");
        fs::remove_dir_all(&fresh).unwrap();
    }
}

#[test]
fn target_modules_that_match_nothing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (config, fresh) = (
        folder.path().join("config.json"),
        folder.path().join("fresh"),
    );
    let base = data("bases/llama");
    let mut keys: Value = serde_json::from_slice(
        &fs::read(data("adapters/plain").join("adapter_config.json")).unwrap(),
    )
    .unwrap();
    for (names, options, told) in [
        (json!(["q_proj", "self_attn.v_proj"]), "", ""),
        (
            json!(["qproj", "q_proj", "_proj"]),
            "",
            r#"["qproj", "_proj"], which no linear module there has"#,
        ),
        (json!(["qproj", "q_proj"]), "--quiet", ""),
    ] {
        keys["target_modules"] = names;
        fs::write(&config, keys.to_string()).unwrap();
        let words = format!("init --base {{}} --config {{}} --output {{}} {options}");
        let run = waveft(&words, &[&base, &config, &fresh]);
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success() && fresh.exists(), "{said}");
        assert!(said.contains(told), "{said}");
        assert_eq!(
            said.lines().count(),
            usize::from(!told.is_empty()),
            "{said}"
        );
        assert_eq!(said.starts_with("warning: "), !told.is_empty(), "{said}");
        fs::remove_dir_all(&fresh).unwrap();
    }
}

#[test]
fn spectra_that_are_not_finite_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = folder.path().join("adapter");
    copy_folder(&data("adapters/plain"), &adapter);
    let base = folder.path().join("base");
    copy_folder(&data("bases/llama"), &base);
    // The file's last number.
    let spectra = adapter.join("adapter_model.safetensors");
    let mut bytes = fs::read(&spectra).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&spectra, bytes).unwrap();

    let output = folder.path().join("merged");
    let words = "merge --base {} --adapter {} --output {}";
    let paths: [&Path; 3] = [&base, &adapter, &output];
    let refused = complaint(&waveft(&format!("{words} --safe"), &paths));
    assert!(refused.contains("NaN") && !output.exists(), "{refused}");
    for (words, paths) in [
        (words, &paths[..]),
        ("merge --base {} --adapter {} --in-place", &paths[..2]),
    ] {
        let run = waveft(words, paths);
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success(), "{said}");
        assert!(
            said.starts_with("warning: ") && said.lines().count() == 1,
            "{said}"
        );
        assert!(
            said.contains("found NaN at") && said.contains("--safe refuses"),
            "{said}"
        );
    }
    fs::remove_dir_all(&output).unwrap();
    printed(&waveft(&format!("{words} --quiet"), &paths));
}

#[test]
fn failures_name_what_is_wrong_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let (llama, plain) = (data("bases/llama"), data("adapters/plain"));
    let words = "merge --base {} --adapter {} --output {}";
    let nowhere = folder.path().join("nowhere");
    for (base, adapter, expected) in [
        (&nowhere, &plain, "nowhere"),
        (&llama, &nowhere, "nowhere"),
        // An adapter for another model, and a checkpoint that is no adapter.
        (&llama, &data("adapters/conv1d"), "expected tensor"),
        (&llama, &llama, "adapter_config.json"),
    ] {
        let said = complaint(&waveft(words, &[base, adapter, &output]));
        assert!(said.contains(expected), "{said}");
        assert!(
            fs::read_dir(folder.path()).unwrap().next().is_none(),
            "{said}"
        );
    }
    let other = folder.path().join("lora");
    copy_folder(&plain, &other);
    let config = other.join("adapter_config.json");
    let text = fs::read_to_string(&config).unwrap();
    for (from, to, expected) in [
        ("WAVEFT", "LORA", "LORA"),
        ("\"db", "\"ab", "wavelet_family"),
        ("{", "{{", "line 1"),
    ] {
        fs::write(&config, text.replacen(from, to, 1)).unwrap();
        let said = complaint(&waveft(words, &[&llama, &other, &output]));
        assert!(
            said.contains(expected) && said.contains("adapter_config.json"),
            "{said}"
        );
    }
    let itself = complaint(&waveft(words, &[&llama, &plain, &llama]));
    assert!(itself.contains("the base itself"), "{itself}");
    for usage in [
        "",
        "merge",
        "merge --base a --adapter b",
        "merge --base a --adapter b --in-place --output c",
        "mend",
    ] {
        assert_eq!(waveft(usage, &[]).status.code(), Some(2), "{usage}");
    }
}

/// What people give in the place of a base, an adapter or an output; each message says what it is, and what to do.
#[test]
fn what_stands_in_anothers_place_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for (name, bytes) in [
        ("model.bin", &b"PK\x03\x04\x00\x00\x08\x08\x00\x00"[..]),
        ("old.bin", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20"),
        ("pointer", b"version https://git-lfs.github.com/spec/v1\n"),
        ("text", b"{\"peft_type\": \"WAVEFT\"}"),
    ] {
        fs::write(place(name), bytes).unwrap();
    }
    for name in ["pickles", "empty", "adapters"] {
        fs::create_dir(place(name)).unwrap();
    }
    fs::write(place("pickles/pytorch_model-00001-of-00002.bin"), "PK").unwrap();
    let adapter = data("adapters/plain");
    copy_folder(&adapter, &place("adapters/first"));
    let tensors = adapter.join("adapter_model.safetensors");
    let (llama, output) = (data("bases/llama"), place("out"));
    let hub = Path::new("someone/a-model");
    for (base, adapter, expected) in [
        (place("model.bin").as_path(), &*adapter, "found a pickle"),
        (&place("old.bin"), &adapter, "found a pickle"),
        (&place("pointer"), &adapter, "git lfs pull"),
        (&place("text"), &adapter, "found JSON"),
        (&place("pickles"), &adapter, "-00001-of-00002.bin"),
        (
            &place("adapters"),
            &adapter,
            "of which to give one: \"first\"",
        ),
        (&place("empty"), &adapter, "found a folder with neither"),
        (&tensors, &adapter, "its tensors are an adapter's"),
        (hub, &adapter, "downloaded first"),
        (&llama, hub, "downloaded first"),
        (
            &llama,
            &place("adapters"),
            "of which to give one: \"first\"",
        ),
    ] {
        let words = "merge --base {} --adapter {} --output {}";
        let said = complaint(&waveft(words, &[base, adapter, &output]));
        assert!(said.contains(expected) && !output.exists(), "{said}");
    }

    let config = adapter.join("adapter_config.json");
    let file = llama.join("model.safetensors");
    for (words, paths, expected) in [
        (
            "delta --base {} --adapter {} --output {}",
            &[&llama, &adapter, &place("empty")][..],
            "expected a file, found a folder",
        ),
        (
            "init --base {} --config {} --output {}",
            &[&llama, &adapter, &place("out")],
            "expected a file, found a folder",
        ),
        (
            "init --base {} --config {} --output {}",
            &[&llama, &config, &place("text")],
            "expected a folder, found a file",
        ),
        (
            "man --output {}",
            &[&place("text")],
            "expected a folder, found a file",
        ),
        (
            "inspect {}",
            &[&place("empty")],
            "expected adapter_config.json, model.safetensors or",
        ),
        ("inspect {}", &[&place("adapters")], "of which to give one"),
        (
            "inspect {} --base {}",
            &[&file, &llama],
            "expected an adapter's folder, which has a base",
        ),
    ] {
        let paths: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
        let said = complaint(&waveft(words, &paths));
        assert!(said.contains(expected) && !output.exists(), "{said}");
    }
    assert!(fs::read_dir(place("empty")).unwrap().next().is_none());
}

/// A run that cannot say what it did has still done it; one that cannot say why it failed has still failed.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("merged");
    let full = || fs::File::create("/dev/full").unwrap();
    let merge = |adapter: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
        command.arg("merge").arg("--base").arg(data("bases/llama"));
        command.arg("--adapter").arg(adapter);
        command.arg("--output").arg(&output);
        command
    };
    let failed = merge(&folder.path().join("nowhere"))
        .stderr(full())
        .status();
    assert_eq!(failed.unwrap().code(), Some(1));
    let done = merge(&data("adapters/plain")).stdout(full()).output();
    let done = done.unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    assert!(output.join("model.safetensors").exists());
}

#[test]
fn an_adapter_is_not_overwritten_by_what_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = folder.path().join("adapter");
    copy_folder(&data("adapters/plain"), &adapter);
    let before = contents(&adapter);
    let base = data("bases/llama").join("model.safetensors");
    let output = adapter.join("adapter_model.safetensors");
    for command in ["merge", "delta"] {
        let words = format!("{command} --base {{}} --adapter {{}} --output {{}}");
        let said = complaint(&waveft(&words, &[&base, &adapter, &output]));
        assert!(said.contains("adapter_model.safetensors"), "{said}");
        assert!(contents(&adapter) == before, "{command}");
    }
}

#[test]
fn more_locations_than_there_is_memory_for_are_refused() {
    let run = "locations --rows 1000000000 --cols 1000000000 --count 900000000000000000 --seed 0";
    let said = complaint(&waveft(run, &[]));
    assert!(said.contains("memory"), "{said}");
}

/// The base that a configuration names may be another model by now.
#[test]
fn inspects_an_adapter_beside_a_base_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = folder.path().join("adapter");
    copy_folder(&data("adapters/plain"), &adapter);
    let config = adapter.join("adapter_config.json");
    let mut facts: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    let other = data("bases/gpt2");
    facts["base_model_name_or_path"] = json!(other);
    fs::write(&config, facts.to_string()).unwrap();
    let facts = printed(&waveft("inspect {} --json", &[&adapter]));
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert_eq!(facts["share"], json!(null));
    let said = complaint(&waveft("inspect {} --base {}", &[&adapter, &other]));
    assert!(said.contains("expected tensor"), "{said}");
}

#[test]
fn a_fresh_adapter_replaces_no_trained_one() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("adapter_model.safetensors");
    fs::write(&model, "trained").unwrap();
    let (base, plain) = (data("bases/llama"), data("adapters/plain"));
    let config = plain.join("adapter_config.json");
    let words = "init --base {} --config {} --output {}";
    let said = complaint(&waveft(words, &[&base, &config, folder.path()]));
    assert!(said.contains("adapter_model.safetensors"), "{said}");
    assert_eq!(fs::read_to_string(&model).unwrap(), "trained");
}

#[cfg(unix)]
#[test]
fn a_link_is_replaced_by_the_output_and_not_followed() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, "kept").unwrap();
    symlink(&target, &link).unwrap();
    let (base, adapter) = (data("bases/llama"), data("adapters/plain"));
    let file = base.join("model.safetensors");
    let words = "merge --base {} --adapter {} --output {}";
    printed(&waveft(words, &[&file, &adapter, &link]));
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");

    // No rename puts a folder in a link's place, so that this is refused before any work.
    let (empty, link) = (folder.path().join("empty"), folder.path().join("to-folder"));
    fs::create_dir(&empty).unwrap();
    symlink(&empty, &link).unwrap();
    let said = complaint(&waveft(words, &[&base, &adapter, &link]));
    assert!(said.contains("expected no such file or folder"), "{said}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_dir(&empty).unwrap().next().is_none());
}

/// A limit on the size of files stands for a full disk: writing fails at a place that needs no rights to arrange.
#[cfg(unix)]
#[test]
fn what_is_not_written_whole_does_not_appear() {
    let folder = tempfile::tempdir().unwrap();
    let (base, adapter) = (data("bases/llama"), data("adapters/plain"));
    let config = folder.path().join("config.json");
    let mut keys: Value =
        serde_json::from_slice(&fs::read(adapter.join("adapter_config.json")).unwrap()).unwrap();
    keys["n_frequency"] = json!(32);
    fs::write(&config, keys.to_string()).unwrap();
    let adapter: &Path = &adapter;
    for (command, option, input, output) in [
        ("init", "--config", config.as_path(), "fresh"),
        ("delta", "--adapter", adapter, "delta.safetensors"),
    ] {
        let output = folder.path().join(output);
        let run = |limit: &str| {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{limit} exec \"$0\" \"$@\""));
            shell.arg(env!("CARGO_BIN_EXE_waveft")).arg(command);
            shell.arg("--base").arg(&base).arg(option).arg(input);
            shell.arg("--output").arg(&output).output().unwrap()
        };
        // One block, which has 512 bytes or 1024. Unless the signal is ignored, the system ends the run before it can say anything.
        let refused = run("trap '' XFSZ; ulimit -f 1;");
        let said = complaint(&refused);
        assert!(said.contains(output.to_str().unwrap()), "{said}");
        assert!(said.contains("File too large"), "{said}");
        let left = || match fs::read_dir(&output) {
            Ok(entries) => entries.map(|entry| entry.unwrap().file_name()).collect(),
            Err(_) => vec![],
        };
        assert!(!output.is_file() && left().is_empty(), "{:?}", left());

        let ended = run("ulimit -c 0; ulimit -f 1;");
        assert_eq!(ended.status.code(), None, "{ended:?}");
        let is_hidden = |name: &std::ffi::OsString| name.to_str().unwrap().starts_with('.');
        assert!(
            !output.is_file() && left().iter().all(is_hidden),
            "{:?}",
            left()
        );
        // What the ended run left is in nobody's way.
        printed(&run(""));
        assert!(output.exists());
    }
}
