//! What the command looks like where it is used: colours, completions, the manual.

mod run;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use self::run::{complaint, data, printed, waveft};

/// What begins a colour or another look.
const ESCAPE: char = '\u{1b}';

fn with(variables: &[(&str, &str)], arguments: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.envs(variables.iter().copied());
    command.args(arguments).output().unwrap()
}

/// Without looks, for each of them ends in an `m`.
fn plain(text: &str) -> String {
    let mut parts = text.split(ESCAPE);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}

#[test]
fn colours_are_for_terminals_and_those_who_want_them() {
    let adapter = data("adapters/plain");
    let inspect = [Path::new("inspect"), &adapter];
    let nowhere = [Path::new("inspect"), Path::new("nowhere")];
    let piped = printed(&with(&[], &inspect));
    assert!(!piped.contains(ESCAPE), "{piped}");
    complaint(&with(&[], &nowhere));

    let forced = &[("CLICOLOR_FORCE", "1")][..];
    let colored = printed(&with(forced, &inspect));
    assert!(colored.contains("\u{1b}[1mmodule "), "{colored}");
    assert_eq!(plain(&colored), piped);
    let said = String::from_utf8(with(forced, &nowhere).stderr).unwrap();
    assert!(
        said.starts_with("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m nowhere"),
        "{said:?}"
    );

    // Whoever wants none has none, whatever else is set.
    let refused = &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "0")][..];
    assert_eq!(printed(&with(refused, &inspect)), piped);
    complaint(&with(refused, &nowhere));

    let mut json = inspect.to_vec();
    json.push(Path::new("--json"));
    assert!(!printed(&with(forced, &json)).contains(ESCAPE));
}

#[test]
fn every_shell_has_completions() {
    for (shell, part) in [
        ("bash", "complete -F _waveft"),
        ("elvish", "edit:completion"),
        ("fish", "complete -c waveft"),
        ("powershell", "Register-ArgumentCompleter"),
        ("zsh", "#compdef waveft"),
    ] {
        let script = printed(&waveft(&format!("completions {shell}"), &[]));
        assert!(
            script.contains(part) && script.contains("in-place"),
            "{shell}"
        );
    }
    let unknown = waveft("completions tcsh", &[]);
    assert_eq!(unknown.status.code(), Some(2));
}

/// The shell takes the script, and completes by it.
#[cfg(target_os = "linux")]
#[test]
fn bash_completes_the_commands_words() {
    let words = r#"
        eval "$("$0" completions bash)" || exit
        COMP_WORDS=(waveft merge --in) COMP_CWORD=2
        _waveft waveft --in merge
        echo "${COMPREPLY[@]}"
    "#;
    let waveft = Path::new(env!("CARGO_BIN_EXE_waveft"));
    let run = Command::new("bash")
        .arg("-c")
        .arg(words)
        .arg(waveft)
        .output();
    assert_eq!(printed(&run.unwrap()), "--in-place\n");
}

#[test]
fn the_manual_has_a_page_for_each_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share").join("man1");
    let said = printed(&waveft("man --output {}", &[&pages]));
    let names: Vec<_> = fs::read_dir(&pages).unwrap().collect();
    assert!(
        said.starts_with(&format!("wrote {} pages", names.len())),
        "{said}"
    );
    for (name, part) in [
        ("waveft.1", "waveft\\-unmerge(1)"),
        ("waveft.1", ".nf\nwaveft inspect my\\-adapter\n"),
        ("waveft.1", ".SH \"EXIT STATUS\"\n0, 1"),
        (
            "waveft-merge.1",
            ".SH SYNOPSIS\nwaveft merge [OPTIONS] \\-\\-base <FILE|DIR> \\-\\-adapter <DIR>... <\\-\\-output <FILE|DIR>|\\-\\-in\\-place>\n.SH ",
        ),
        (
            "waveft-inspect.1",
            ".SH SYNOPSIS\nwaveft inspect [OPTIONS] <PATH>\n.SH DESC",
        ),
        (
            "waveft.1",
            ".SH SYNOPSIS\nwaveft [OPTIONS] <COMMAND>\n.SH DESC",
        ),
        ("waveft-inspect.1", "\\-\\-plot"),
        ("waveft-completions.1", "powershell"),
        ("waveft-man.1", "\\-\\-output"),
    ] {
        let page = fs::read_to_string(pages.join(name)).unwrap();
        assert!(
            page.contains(part) && page.contains(".TH waveft"),
            "{name}: {page}"
        );
    }
    // Again over the same pages; and where none can be written.
    printed(&waveft("man --quiet --output {}", &[&pages]));
    let file = pages.join("waveft.1");
    let said = complaint(&waveft("man --output {}", &[&file]));
    assert!(said.contains("waveft.1"), "{said}");
}
