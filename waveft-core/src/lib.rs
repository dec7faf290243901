//! WaveFT without an operating system.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod error;

pub use error::Error;
