//! On a microcontroller.
//!
//! This crate needs no operating system, no allocator and no vector instructions. [`embedded`](crate::embedded) is the chapter:
//! how many bytes a layer takes and for how long, what to build with, what to look after. `targets/cortex-m` of the repository
//! is a firmware that trains there, and `waveft-capi` is the same for C.
//!
//! What a program for a microcontroller does differently from one on a host is to have lengths as constants and memory in
//! arrays of its own. Here is an update of four coefficients on a layer of 8 × 8 whose weight stays in flash; what is added to
//! the output of each token is computed when the token is there:
//!
//! ```
//! use waveft_core::filter_bank::wavelets::DB1;
//! use waveft_core::geometry::{Atom, Geometry};
//! use waveft_core::operator::DeltaWeight;
//! use waveft_core::sampling::{Location, locations, scratch_len};
//! use waveft_core::spectrum::{SortedAtoms, SparseSpectrum, gather};
//!
//! const OUTPUTS: usize = 8;
//! const INPUTS: usize = 8;
//! const COUNT: usize = 4;
//! static WEIGHT: [f32; OUTPUTS * INPUTS] = [0.25; OUTPUTS * INPUTS];
//! static SPECTRUM: [f32; COUNT] = [0.5, -0.25, 1.0, 0.125]; // an adapter's file, in its order
//!
//! // Once, at the start.
//! let (mut places, mut order) = ([Location { row: 0, column: 0 }; COUNT], [0; COUNT]);
//! locations(OUTPUTS, INPUTS, 777, &mut places, &mut [0; scratch_len(64, COUNT)])?;
//! let layer = Geometry::new(OUTPUTS, INPUTS, DB1.taps())?;
//! let atoms = SortedAtoms::new(layer, &places, [Atom::ZERO; COUNT], &mut order)?;
//! let mut coefficients = [0.0; COUNT];
//! gather(&order, &SPECTRUM, &mut coefficients)?;
//! let delta = DeltaWeight::new(SparseSpectrum::new(&atoms, &coefficients)?, Some(DB1.single()), 25.0)?;
//!
//! // For each token: the frozen layer, then the adapter's part, which takes no scratch.
//! let x = [1.0, 0.0, 0.5, -1.0, 0.0, 2.0, 0.0, 1.0];
//! let mut y = [0.0; OUTPUTS];
//! for (y, row) in y.iter_mut().zip(WEIGHT.as_chunks::<INPUTS>().0) {
//!     *y = row.iter().zip(&x).map(|(weight, x)| weight * x).sum();
//! }
//! let frozen = y;
//! delta.apply_token(&x, &mut y)?;
//! assert_ne!(y, frozen);
//! # Ok::<(), waveft_core::Error>(())
//! ```
