//! WaveFT on a whole machine.

pub mod error;

pub use error::{Error, Result};
