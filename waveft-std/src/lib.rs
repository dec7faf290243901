//! WaveFT on a whole machine.

pub mod config;
pub mod error;
pub mod name_map;
pub mod normal;
pub mod target_modules;

pub use error::{Error, Result};
