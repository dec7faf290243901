//! Every change to a file as the last one, as the one that fails, and as the one at which another run comes.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::moments;
use crate::scene::{Scene, is_success, succeeds};
use crate::shim::{Fault, with_fault, with_log};

/// How many changes of each command are tried with each fault unless the environment says otherwise.
const FEW: u32 = 6;

/// A command that changes files.
struct Job {
    name: &'static str,
    /// Makes the scene ready.
    before: fn(&Scene),
    command: fn(&Scene) -> Command,
    /// Checks what is left, and that all can be had from there. The number is another for each fault.
    after: fn(&Scene, usize),
}

const JOBS: [Job; 4] = [
    Job {
        name: "merge --output",
        before: |_| (),
        command: Scene::merge_to_output,
        after: |scene, _| scene.complete_output(),
    },
    Job {
        name: "merge --in-place",
        before: |_| (),
        command: Scene::merge_in_place,
        after: finish_or_undo,
    },
    Job {
        name: "merge --in-place again",
        before: Scene::interrupt,
        command: Scene::merge_in_place,
        after: finish_or_undo,
    },
    Job {
        name: "unmerge",
        before: Scene::complete,
        command: |scene| scene.command("unmerge"),
        after: finish_or_undo,
    },
];

fn finish_or_undo(scene: &Scene, number: usize) {
    // Without a journal nothing can be undone, so nothing may be done.
    assert!(scene.is_before() || scene.has_journal());
    if number.is_multiple_of(2) {
        scene.complete();
    }
    scene.undo();
}

/// The changes that a job makes when nothing is in its way.
fn changes(scene: &Scene, job: &Job) -> Vec<String> {
    let log = scene.path().join("log");
    (job.before)(scene);
    assert!(succeeds(with_log((job.command)(scene), &log)));
    let changes = fs::read_to_string(&log).unwrap();
    fs::remove_file(log).unwrap();
    (job.after)(scene, 1);
    let folder = format!("{}/", scene.path().canonicalize().unwrap().display());
    changes
        .lines()
        .map(|line| line.replace(&folder, ""))
        .collect()
}

/// Some of the numbers from 1 to `count`, the first and the last among them.
fn some_of(count: usize) -> BTreeSet<usize> {
    let tried = (moments(FEW) as usize).clamp(2, count.max(2));
    (0..tried)
        .map(|number| 1 + number * (count - 1) / (tried - 1))
        .collect()
}

/// Has each job meet a fault at some of its changes, or at all; `check` sees how it ended.
fn try_each(fault: Fault, check: impl Fn(&Output)) {
    let scene = Scene::small();
    for job in &JOBS {
        let count = changes(&scene, job).len();
        let tried = some_of(count);
        for &at in &tried {
            (job.before)(&scene);
            let run = with_fault((job.command)(&scene), fault, at).output();
            check(&run.unwrap());
            (job.after)(&scene, at);
        }
        println!(
            "{fault:?}: {}: {} of {count} changes",
            job.name,
            tried.len()
        );
    }
}

#[test]
fn a_run_that_ends_at_any_change_leaves_all_that_is_needed() {
    for fault in [Fault::Kill, Fault::Tear] {
        try_each(fault, |run| assert_eq!(run.status.code(), None, "{run:?}"));
    }
}

#[test]
fn a_change_that_fails_is_told_and_leaves_all_that_is_needed() {
    for fault in [Fault::Eio, Fault::Full] {
        try_each(fault, |run| {
            is_success(run);
        });
    }
}

/// Without it, the test before would prove nothing.
#[test]
fn a_write_that_fails_is_noticed() {
    let scene = Scene::small();
    for job in &JOBS {
        for (fault, reason) in [(Fault::Eio, "os error 5"), (Fault::Full, "os error 28")] {
            let changes = changes(&scene, job);
            let at = 1 + changes
                .iter()
                .position(|change| change.starts_with("write "))
                .unwrap();
            (job.before)(&scene);
            let run = with_fault((job.command)(&scene), fault, at)
                .output()
                .unwrap();
            assert!(!is_success(&run));
            let said = String::from_utf8_lossy(&run.stderr);
            assert!(said.contains(reason), "{said}");
            (job.after)(&scene, at);
        }
    }
}

#[test]
fn short_writes_are_continued() {
    try_each(Fault::Short, |run| assert!(is_success(run), "{run:?}"));
}

/// Where `change` first is at or after `from`, and the place behind it.
fn behind(changes: &[String], from: usize, change: &str) -> usize {
    let found = changes[from..].iter().position(|other| other == change);
    from + 1 + found.unwrap_or_else(|| panic!("{change} after {from}: {changes:#?}"))
}

fn first(changes: &[String], beginning: &str) -> usize {
    let found = changes
        .iter()
        .position(|change| change.starts_with(beginning));
    found.unwrap_or_else(|| panic!("{beginning}: {changes:#?}"))
}

fn last(changes: &[String], beginning: &str) -> usize {
    let found = changes
        .iter()
        .rposition(|change| change.starts_with(beginning));
    found.unwrap_or_else(|| panic!("{beginning}: {changes:#?}"))
}

/// What a power cut would take is what was not brought to disk, so the order in which that is done counts.
#[test]
fn what_is_needed_is_on_disk_before_it_is_needed() {
    let scene = Scene::small();
    let [output, in_place, again, unmerge] = JOBS.each_ref().map(|job| changes(&scene, job));

    let renamed = first(&output, "rename merged");
    for file in [
        "one.safetensors",
        "two.safetensors",
        "config.json",
        "model.safetensors.index.json",
    ] {
        let partial = format!(".merged.waveft-partial/{file}");
        let written = last(&output, &format!("write {partial}"));
        assert!(behind(&output, written, &format!("sync {partial}")) <= renamed);
    }
    assert!(behind(&output, 0, "sync .merged.waveft-partial") <= renamed);
    assert_eq!(output[renamed + 1..].len(), 1);

    let partial = "base/.model.waveft-journal.waveft-partial";
    let (journal, base) = ("base/model.waveft-journal", "sync base");
    let written = last(&in_place, &format!("write {partial}"));
    let synced = behind(&in_place, written, &format!("sync {partial}"));
    let renamed = behind(&in_place, synced, &format!("rename {journal}"));
    let named = behind(&in_place, renamed, base);
    for changes in [&in_place, &again] {
        let marked = first(changes, &format!("write {journal}"));
        for shard in ["one", "two"].map(|name| format!("base/{name}.safetensors")) {
            let write = format!("write {shard}");
            if changes == &in_place {
                assert!(first(changes, &write) >= named);
            }
            let written = last(changes, &write);
            assert!(behind(changes, written, &format!("sync {shard}")) <= marked);
        }
        behind(changes, marked, &format!("sync {journal}"));
    }

    let marked = behind(&unmerge, 0, &format!("write {journal}"));
    let marked = behind(&unmerge, marked, &format!("sync {journal}"));
    let removed = first(&unmerge, &format!("unlink {journal}"));
    for shard in ["one", "two"].map(|name| format!("base/{name}.safetensors")) {
        assert!(first(&unmerge, &format!("write {shard}")) >= marked);
        let written = last(&unmerge, &format!("write {shard}"));
        assert!(behind(&unmerge, written, &format!("sync {shard}")) <= removed);
    }
    behind(&unmerge, removed, base);
}

/// A run that is stopped; one that a failed test leaves so is ended.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // Nothing to do for one that ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a run that stops at a change, and waits until it has.
fn stopped(command: Command, at: usize) -> Stopped {
    let mut command = with_fault(command, Fault::Stop, at);
    let run = Stopped(command.stdout(Stdio::null()).spawn().unwrap());
    let stat = format!("/proc/{}/stat", run.0.id());
    let begun = Instant::now();
    loop {
        let stat = fs::read_to_string(&stat).unwrap();
        if stat.rsplit(')').next().unwrap().starts_with(" T") {
            return run;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{stat}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn go_on(mut run: Stopped) {
    let continued = Command::new("kill")
        .arg("-CONT")
        .arg(run.0.id().to_string())
        .status();
    assert!(continued.unwrap().success());
    assert!(run.0.wait().unwrap().success());
}

#[test]
fn a_second_run_on_one_base_is_told_to_wait() {
    let scene = Scene::small();
    let inspect = |scene: &Scene| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waveft"));
        command.arg("inspect").arg(scene.base());
        command
    };
    for job in &JOBS[1..] {
        let count = changes(&scene, job).len();
        for at in some_of(count) {
            (job.before)(&scene);
            let first = stopped((job.command)(&scene), at);
            let had_journal = scene.has_journal();
            for (number, second) in [
                scene.merge_in_place(),
                scene.merge_to_output(),
                inspect(&scene),
                scene.command("unmerge"),
            ]
            .into_iter()
            .enumerate()
            {
                let mut second = second;
                let run = second.output().unwrap();
                let said = String::from_utf8_lossy(&run.stderr);
                assert!(!is_success(&run), "{} at {at}: {number}", job.name);
                let is_told = said.contains("no other run is using, found it locked");
                // As long as there is no journal, there is nothing to undo.
                let is_nothing = number == 3 && !had_journal && said.contains("found none");
                assert!(is_told || is_nothing, "{} at {at}: {said}", job.name);
            }
            go_on(first);
            (job.after)(&scene, at);
        }
    }
}

#[test]
fn a_second_run_on_one_output_is_told_to_wait() {
    let scene = Scene::small();
    let job = &JOBS[0];
    let changes = changes(&scene, job);
    // Behind the rename, the output is there.
    let count = 1 + first(&changes, "rename merged");
    for at in some_of(count).into_iter().filter(|&at| at > 1) {
        let first = stopped(scene.merge_to_output(), at);
        let run = scene.merge_to_output().output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(
            !is_success(&run) && said.contains("found it locked"),
            "{said}"
        );
        go_on(first);
        assert!(scene.output().exists());
        scene.complete_output();
    }
}

#[test]
fn runs_at_the_same_time_merge_once_or_not_at_all() {
    let scene = Scene::small();
    let mut merged = 0;
    let rounds = moments(FEW);
    for round in 0..rounds as usize {
        let runs: Vec<Child> = (0..4)
            .map(|_| {
                let mut command = scene.merge_in_place();
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let done = runs
            .into_iter()
            .map(|run| is_success(&run.wait_with_output().unwrap()))
            .filter(|&done| done)
            .count();
        assert!(if done > 0 {
            scene.is_merged()
        } else {
            scene.is_before()
        });
        merged += usize::from(done > 0);
        finish_or_undo(&scene, round);
    }
    println!("four merges at once: {merged} of {rounds} times one was done");
}
