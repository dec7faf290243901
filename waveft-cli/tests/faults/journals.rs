//! Journals that are cut or damaged after they were written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::scene::{Scene, succeeds};
use crate::{Numbers, moments};

/// How many damages of each kind are tried unless the environment says otherwise.
const FEW: u32 = 12;

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// A damaged journal undoes or finishes all or nothing, and the whole one still does afterwards.
#[test]
fn a_damaged_journal_does_all_or_nothing() {
    let scene = Scene::small();
    let mut numbers = Numbers(1);
    for (state, prepare) in [
        ("complete", Scene::complete as fn(&Scene)),
        ("interrupted", Scene::interrupt),
    ] {
        let mut refused = 0;
        for number in 0..moments(FEW) {
            prepare(&scene);
            let journal = fs::read(scene.journal()).unwrap();
            let mut damaged = journal.clone();
            let place = numbers.below(journal.len() as u64) as usize;
            if number % 2 == 0 {
                damaged.truncate(place);
            } else {
                damaged[place] ^= 1 + numbers.below(255) as u8;
            }
            fs::write(scene.journal(), &damaged).unwrap();
            for (command, is_done) in [
                (
                    scene.merge_in_place(),
                    Scene::is_merged as fn(&Scene) -> bool,
                ),
                (scene.command("unmerge"), Scene::is_before),
            ] {
                let left = contents(&scene.base());
                if succeeds(command) {
                    assert!(is_done(&scene));
                } else {
                    refused += 1;
                    assert!(contents(&scene.base()) == left);
                }
            }
            fs::write(scene.journal(), &journal).unwrap();
            scene.undo();
        }
        println!(
            "{state}: {refused} of {} runs with a damaged journal refused",
            2 * moments(FEW)
        );
    }
}
