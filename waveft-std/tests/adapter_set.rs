//! Adapters switched on one base in memory, against checkpoints that were merged.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use waveft_std::adapter::Adapter;
use waveft_std::adapter_set::AdapterSet;
use waveft_std::checkpoint::Checkpoint;
use waveft_std::merge::Merge;
use waveft_std::rewrite;

fn data(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    folder.join(path)
}

fn base(name: &str) -> Checkpoint {
    Checkpoint::open(data("bases").join(name)).unwrap()
}

fn adapter(name: &str) -> Adapter {
    Adapter::read(data("adapters").join(name)).unwrap()
}

/// Every tensor of the set is, byte for byte, that of a checkpoint with the adapter merged by itself; the base's names may have got a
/// prefix there.
fn assert_merged(set: &AdapterSet, base_name: &str, adapter_name: Option<&str>) {
    let base = base(base_name);
    let adapters: Vec<Adapter> = adapter_name.map(adapter).into_iter().collect();
    let folder = tempfile::tempdir().unwrap();
    let merge = Merge::new(&base, &adapters, false).unwrap();
    let output = folder.path().join("merged");
    rewrite::write_to(&base, &merge.edits(), &output, &()).unwrap();
    let merged = Checkpoint::open(&output).unwrap();
    let mut checked = 0;
    for tensor in merged.tensors() {
        let renamed = merge.renamed().iter().find(|(_, new)| new == tensor.name);
        let name = renamed.map_or(tensor.name, |(old, _)| old);
        let live = set.tensor(name).unwrap();
        assert_eq!(
            (live.dtype, live.shape),
            (tensor.dtype, tensor.shape),
            "{name}"
        );
        assert!(live.bytes == tensor.bytes, "{adapter_name:?}: {name}");
        checked += 1;
    }
    assert!(checked >= base.len() && checked > 0);
}

const ON_ONE_BASE: [(&str, &[&str]); 4] = [
    ("llama", &["plain", "direct", "coif4", "two/0", "two/1"]),
    ("llama-bf16", &["bf16", "two-bf16/0", "two-bf16/1"]),
    (
        "classifier",
        &["bias-all", "modules-to-save", "bias-waveft-only"],
    ),
    ("gpt2", &["conv1d"]),
];

#[test]
fn every_adapter_gives_what_merging_it_alone_gives() {
    for (base_name, names) in ON_ONE_BASE {
        let mut set = AdapterSet::new(base(base_name));
        for name in names {
            set.load(name, &adapter(name)).unwrap();
        }
        assert_eq!(set.adapters().count(), names.len());
        for name in names.iter().chain(names.iter().rev()) {
            set.switch_to(Some(name)).unwrap();
            assert_eq!(set.active(), Some(*name));
            assert_merged(&set, base_name, Some(name));
        }
        set.switch_to(None).unwrap();
        assert_merged(&set, base_name, None);
    }
}

#[test]
fn a_head_that_the_base_lacks_comes_and_goes_with_its_adapter() {
    let mut set = AdapterSet::new(base("bert"));
    let prefixed = adapter("prefixed");
    let merged = base("bert");
    let adapters = [adapter("prefixed")];
    let merge = Merge::new(&merged, &adapters, false).unwrap();
    let head = merge.added().next().unwrap();
    set.load("prefixed", &prefixed).unwrap();
    assert!(set.tensor(head).is_none());
    set.switch_to(Some("prefixed")).unwrap();
    assert!(set.tensor(head).is_some());
    assert_merged(&set, "bert", Some("prefixed"));
    set.switch_to(None).unwrap();
    assert!(set.tensor(head).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_sequence_of_switches_leaves_the_base_as_it_was(
        sequence in prop::collection::vec(prop::option::of(0usize..3), 1..30),
        threads in 1usize..4,
    ) {
        let (base_name, names) = ON_ONE_BASE[1];
        let mut set = AdapterSet::new(base(base_name));
        // Some are loaded while others are active.
        for adapter_index in sequence {
            if let Some(index) = adapter_index
                && !set.adapters().any(|name| name == names[index])
            {
                set.load(names[index], &adapter(names[index])).unwrap();
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| set.switch_to(adapter_index.map(|index| names[index]))).unwrap();
        }
        let active = set.active().map(str::to_owned);
        assert_merged(&set, base_name, active.as_deref());
        set.switch_to(None).unwrap();
        assert_merged(&set, base_name, None);
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_changes() {
    let mut set = AdapterSet::new(base("llama"));
    set.load("plain", &adapter("plain")).unwrap();
    set.switch_to(Some("plain")).unwrap();

    let again = set.load("plain", &adapter("direct")).unwrap_err();
    assert!(again.to_string().contains("\"plain\" again"), "{again}");
    let other_base = set.load("conv1d", &adapter("conv1d")).unwrap_err();
    assert!(other_base.to_string().contains("expected"), "{other_base}");
    let unknown = set.switch_to(Some("nobody")).unwrap_err();
    let text = unknown.to_string();
    assert!(
        text.contains("nobody") && text.contains("[\"plain\"]"),
        "{text}"
    );

    assert_eq!(set.active(), Some("plain"));
    assert_eq!(set.adapters().collect::<Vec<_>>(), ["plain"]);
    assert_merged(&set, "llama", Some("plain"));
}
