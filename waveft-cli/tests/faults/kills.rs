//! Runs that are killed at any moment of their time.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::scene::{Scene, succeeds};
use crate::{Numbers, moments};

/// How many runs of each kind are killed unless the environment says otherwise.
const FEW: u32 = 20;

/// One kind of run at a time: they would make each other's time longer, and more of the kills would come too late.
fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a run takes that succeeds.
fn time_of(command: Command) -> Duration {
    let start = Instant::now();
    assert!(succeeds(command));
    start.elapsed()
}

/// Starts runs that are killed at random moments, one in each part of `time`, and after each looks at what it left.
fn kill_each(name: &str, time: Duration, start: impl Fn() -> Command, mut check: impl FnMut(u32)) {
    let kills = moments(FEW);
    let mut numbers = Numbers(u64::from(kills));
    let mut killed = 0;
    for kill in 0..kills {
        let mut command = start();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut run = command.spawn().unwrap();
        thread::sleep(time * (1000 * kill + numbers.below(1000) as u32) / (1000 * kills));
        run.kill().unwrap();
        killed += u32::from(run.wait().unwrap().code().is_none());
        check(kill);
    }
    println!("{name}: {killed} of {kills} killed before their end");
}

#[test]
fn a_killed_merge_leaves_no_output_or_a_whole_one() {
    let _turn = turn();
    let scene = Scene::large();
    let time = time_of(scene.merge_to_output());
    fs::remove_dir_all(scene.output()).unwrap();
    let mut left = 0;
    kill_each(
        "merge --output",
        time,
        || scene.merge_to_output(),
        |_| {
            left += u32::from(scene.path().join(".merged.waveft-partial").exists());
            scene.complete_output();
        },
    );
    println!("merge --output: {left} left a part, hidden");
}

#[test]
fn a_killed_merge_in_place_is_finished_or_undone() {
    let _turn = turn();
    let scene = Scene::large();
    let (mut journals, mut between) = (0, 0);
    let time = time_of(scene.merge_in_place());
    scene.undo();
    kill_each(
        "merge --in-place",
        time,
        || scene.merge_in_place(),
        |kill| {
            journals += u32::from(scene.has_journal());
            let (is_before, is_merged) = (scene.is_before(), scene.is_merged());
            between += u32::from(!is_before && !is_merged);
            // Without a journal nothing can be undone, so nothing may be done.
            assert!(is_before || scene.has_journal());
            if kill % 2 == 0 {
                scene.complete();
            }
            scene.undo();
        },
    );
    println!("merge --in-place: {journals} left a journal, {between} a base in between");
}

#[test]
fn a_killed_unmerge_is_finished_or_merged_again() {
    let _turn = turn();
    let scene = Scene::large();
    let (mut journals, mut between) = (0, 0);
    scene.complete();
    let time = time_of(scene.command("unmerge"));
    let merged = || {
        scene.complete();
        scene.command("unmerge")
    };
    kill_each("unmerge", time, merged, |kill| {
        journals += u32::from(scene.has_journal());
        let (is_before, is_merged) = (scene.is_before(), scene.is_merged());
        between += u32::from(!is_before && !is_merged);
        assert!(is_before || scene.has_journal());
        if kill % 2 == 0 {
            scene.undo();
        }
    });
    println!("unmerge: {journals} left a journal, {between} a base in between");
}
