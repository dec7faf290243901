//! Criterion benchmarks of waveft live beside this file; it holds nothing itself.
