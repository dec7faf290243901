//! Criterion benchmarks of waveft live beside this file; it holds nothing itself.

/// The README's examples. They are tested from here, because a package of the library cannot hold a file above its folder.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
