//! Into a checkpoint, into a live weight, and out again.
//!
//! Merging adds `ΔW` to the weight: what comes out is an ordinary checkpoint that runs at the base's cost. Which way to take
//! depends on where the weights are and whether they shall come back:
//!
//! | the weights are | the result goes | and back | by |
//! |---|---|---|---|
//! | in files | to a new checkpoint | the base is still there | [`rewrite::write_to`](crate::rewrite::write_to), `waveft merge --output` |
//! | in files | into the same files | to the byte, from a journal | [`in_place`](crate::in_place), `waveft merge --in-place`, `waveft unmerge` |
//! | in files | into memory, any of several adapters | to the bit | [`AdapterSet`](crate::adapter_set::AdapterSet) |
//! | in memory, a layer | into the same memory | to the bit | [`WaveFtLinear::switch_to`](crate::linear::WaveFtLinear::switch_to) |
//! | in memory, without an allocator | into the same memory | to the bit | [`DeltaWeight::add_recording`](waveft_core::operator::DeltaWeight::add_recording) |
//! | not needed | ΔW in a file of its own | | [`delta::write_delta`](crate::delta::write_delta), `waveft delta` |
//!
//! All of them round as PEFT does: each entry becomes `round(f32(W) + ΔW)`, once for each adapter. Subtracting `ΔW` again does
//! not give `W`, for what rounding lost is lost; so every way back here keeps what was overwritten.
//!
//! # To a new checkpoint
//! ```
//! use waveft_std::adapter::Adapter;
//! use waveft_std::checkpoint::Checkpoint;
//! use waveft_std::merge::Merge;
//! use waveft_std::rewrite;
//!
//! # let data = |path: &str| format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
//! # let (base, adapter) = (data("bases/llama"), data("adapters/plain"));
//! # let folder = tempfile::tempdir().unwrap();
//! # let output = folder.path().join("merged");
//! let base = Checkpoint::open(base)?; // a file, or a folder with shards
//! let adapters = [Adapter::read(adapter)?]; // several are added one after the other
//! let merge = Merge::new(&base, &adapters, false)?; // everything is checked here, before a byte is written
//! for (name, weight) in merge.adapted() {
//!     println!("{name}: {} coefficients", weight.coefficients());
//! }
//! rewrite::write_to(&base, &merge.edits(), &output, &())?;
//!
//! let merged = Checkpoint::open(&output)?;
//! let name = "model.layers.0.self_attn.q_proj.weight";
//! assert_ne!(merged.tensor(name).unwrap().bytes, base.tensor(name).unwrap().bytes);
//! # Ok::<(), waveft_std::Error>(())
//! ```
//!
//! The `false` is PEFT's `safe_merge`: with `true` a result that is not finite is an error.
//!
//! # In place, and back
//! The journal with all old and new bytes is on disk before the first byte changes. So an interrupted merge can be
//! [finished](crate::in_place::finish) or [rolled back](crate::in_place::roll_back), whenever it was interrupted.
//!
//! ```
//! use waveft_std::{adapter::Adapter, checkpoint::Checkpoint, in_place, merge::Merge};
//!
//! # let data = |path: &str| format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
//! # let adapter = data("adapters/plain");
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("base.safetensors");
//! # std::fs::copy(data("bases/llama/model.safetensors"), &path).unwrap();
//! let before = std::fs::read(&path)?;
//!
//! let base = Checkpoint::open(&path)?;
//! let adapters = [Adapter::read(adapter)?];
//! let merge = Merge::new(&base, &adapters, false)?;
//! in_place::apply(base, &merge.edits(), &"plain".into(), &())?;
//! assert_ne!(std::fs::read(&path)?, before);
//!
//! in_place::roll_back(&path, &())?;
//! assert_eq!(std::fs::read(&path)?, before);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several adapters on one base in memory
//! [`adapter_set`](crate::adapter_set) has an example. A switch touches what the two adapters cover and nothing else: for
//! 2592 coefficients of db1 at most 10,368 entries of a layer for each of the two, however large the layer is.
