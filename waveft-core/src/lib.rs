//! WaveFT without an operating system.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod element;
pub mod error;
pub mod filter_bank;
pub mod geometry;
pub mod isa;
pub mod matrix;
pub mod operator;
pub mod sampling;
pub mod spectrum;
mod sweep;

pub use error::Error;
