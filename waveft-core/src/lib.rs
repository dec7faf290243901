//! WaveFT without an operating system.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod error;
pub mod filter_bank;
pub mod isa;
pub mod sampling;

pub use error::Error;
