//! WaveFT on a whole machine: PEFT's files, checkpoints, and merging them in parallel.
//!
//! [`guide`] has chapters on merging, on training, and for those who know PEFT. The modules follow the data's way:
//!
//! 1. [`config`] and [`adapter`]: an adapter as PEFT saves it. [`target_modules`]: which modules a configuration adapts, so
//!    that one can also be created; its random start is torch's ([`normal`]).
//! 2. [`checkpoint`]: a base, one file or shards, mapped. [`name_map`]: from an adapter's names to a base's.
//! 3. [`layer`]: all layers' updates at once, places drawn once for each shape and seed.
//! 4. [`merge`]: what adapters change in a base; [`delta`]: their updates on their own.
//! 5. [`rewrite`]: the changed checkpoint in a new place; [`in_place`]: in its own, with a journal from which every byte
//!    comes back.
//! 6. [`training`]: parameters, the steps of an optimiser on all of them, and their state in a file. [`linear`]: a layer to be
//!    trained, or used, with any number of adapters, and ΔW never formed. [`adapter_set`]: a whole base in memory, switched from one
//!    adapter to another.
//!
//! ```no_run
//! use waveft_std::{adapter::Adapter, checkpoint::Checkpoint, merge::Merge, rewrite};
//!
//! let base = Checkpoint::open("model.safetensors")?;
//! let adapters = [Adapter::read("my-adapter")?];
//! let merge = Merge::new(&base, &adapters, false)?;
//! rewrite::write_to(&base, &merge.edits(), "merged.safetensors", &())?;
//! # Ok::<(), waveft_std::Error>(())
//! ```
//!
//! Results are the same bits for any number of threads, which are rayon's. Errors name the file and the tensor, what was
//! expected and what was found.
#![deny(unsafe_code)]

pub mod adapter;
pub mod adapter_set;
pub mod checkpoint;
pub mod config;
mod convert;
pub mod delta;
pub mod error;
pub mod guide;
pub mod in_place;
mod journal;
pub mod layer;
pub mod linear;
pub mod merge;
pub mod name_map;
pub mod normal;
pub mod rewrite;
mod room;
pub mod target_modules;
pub mod training;
pub mod transform;

pub use error::{Error, Result};
