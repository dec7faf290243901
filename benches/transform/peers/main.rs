//! The Rust crates' side of `benches/transform/run`.
//!
//! `HOW` is `wavelets`, `osclet`, `ndwt` or `ndwt-lifting`. Each is used as its documentation advises for speed: plan or
//! executor made once, outputs and, where it takes any, scratch from the caller, symmetric extension.

#[path = "../turns.rs"]
mod turns;

mod by_levels;
mod by_ndwt;
mod by_osclet;
mod by_wavelets;

use turns::{Outcome, Transform, Work, answer};

fn main() -> Outcome<()> {
    answer(plan)
}

fn plan(work: &Work<'_>) -> Outcome<Box<dyn Transform>> {
    match work.how {
        "wavelets" => by_wavelets::plan(work),
        "osclet" => by_osclet::plan(work),
        "ndwt" => by_ndwt::plan(work),
        "ndwt-lifting" => by_ndwt::plan_lifting(work),
        _ => Err("unknown library".into()),
    }
}
