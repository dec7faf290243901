//! WaveFT on a whole machine.

pub mod adapter;
pub mod checkpoint;
pub mod config;
mod convert;
pub mod delta;
pub mod error;
pub mod in_place;
mod journal;
pub mod layer;
pub mod merge;
pub mod name_map;
pub mod normal;
pub mod rewrite;
pub mod target_modules;

pub use error::{Error, Result};
