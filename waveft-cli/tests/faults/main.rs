//! Runs that are killed, stopped or failed by the system: whatever moment that hits, the base can be had as it was and as it
//! becomes, no output has its name before it is whole, and the next run succeeds.
//!
//! An ordinary test run tries a few moments of each kind. `WAVEFT_FAULTS=N` tries N of each, or all that there are:
//!
//! ```sh
//! WAVEFT_FAULTS=300 cargo test -p waveft-cli --test faults -- --nocapture
//! ```

#![cfg(target_os = "linux")]

#[path = "../generated/mod.rs"]
mod generated;

mod journals;
mod kills;
mod scene;
mod shim;
mod system;

/// How many moments of each kind are tried, `few` unless the environment says otherwise.
fn moments(few: u32) -> u32 {
    let asked = std::env::var("WAVEFT_FAULTS").ok();
    asked.map_or(few, |number| {
        number.parse().expect("WAVEFT_FAULTS: expected a number")
    })
}

/// Numbers that look random, the same in every run: SplitMix64.
struct Numbers(u64);

impl Numbers {
    /// The next one below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)] {
            mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
        }
        (mixed ^ (mixed >> 31)) % end
    }
}
