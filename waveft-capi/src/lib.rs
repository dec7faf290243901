//! A C interface to `waveft-core`, in single precision. The header `include/waveft.h` is its documentation; `README.md` says
//! how to link it.
//!
//! Every function but two takes pointers, returns a [`Status`](status::Status) and writes its results through pointers. The
//! module `memory` makes slices of them, checked, and is the one place that reads through a pointer. Beside it `unsafe` is at
//! the head of each function, where the caller's promise is taken, and where atoms stay in the caller's memory from call to
//! call ([`atoms`]).
//!
//! Without the feature `std` the crate needs no operating system, and a panic, of which none is known, stops the machine in
//! an endless loop.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
// What is asked of C's pointers is the same for all functions and stands at the head of the header.
#![allow(clippy::missing_safety_doc)]

pub mod atoms;
pub mod delta_weight;
pub mod filter_bank;
pub mod locations;
pub mod matrix;
mod memory;
pub mod optimiser;
pub mod status;
pub mod transform;
pub mod wavedec2;
pub mod wavelets;

use core::ffi::c_char;

/// The library's version, "major.minor.patch". It is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn waveft_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(not(any(feature = "std", test)))]
#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
