//! Without an operating system: what it takes, and what to look after. There is nothing here but this text.
//!
//! `targets/cortex-m` of the repository is a firmware that trains a small network on a Cortex-M4F; its `RESULTS.md` has flash, RAM,
//! stack and instructions for several wavelets.
//!
//! # Memory
//! Of a layer of `M` outputs and `N` inputs, with `n` coefficients in `f32` under filters of `L` taps. An axis of `T` has
//! `P(T) = T + L − 2` slots, one more if that is odd, or `T` without a wavelet (then put 2 for `L`). `S` is the larger one of `P(M)` and
//! `P(N)`. There are no vector instructions.
//!
//! | what | bytes | for how long | told by |
//! |---|---|---|---|
//! | atoms | `8 n` | always | `size_of::<Atom>()` |
//! | coefficients | `4 n` | always | |
//! | gradient | `4 n` | training | |
//! | AdamW's moments | `8 n` | training | |
//! | SGD's velocity | `4 n`, none without momentum | training | [`velocity_len`](crate::optimiser::Sgd::velocity_len) |
//! | places | `8 n` | set-up | `size_of::<Location>()` |
//! | order | `4 n` | set-up, and to save coefficients | |
//! | drawing | `4 M N`, or `8 · 2^⌈log₂ 2n⌉ ≤ 32 n` if that is less | set-up | [`scratch_len`](crate::sampling::scratch_len) |
//! | [`apply`](crate::operator::DeltaWeight::apply) | `4 · (S + ⌊S / 32⌋ + 2 L + 4 n + 145)` | a call | [`apply_scratch_len`](crate::operator::apply_scratch_len) |
//! | [`backward`](crate::operator::DeltaWeight::backward) | `4 n` more | a call | [`backward_scratch_len`](crate::operator::backward_scratch_len) |
//! | [`apply_token`](crate::operator::DeltaWeight::apply_token) | none | | |
//! | a line's transform | `4 · (4 c + 3 L)`, `c` about `N / 2` and at most 1024 | a call | [`Dwt::scratch_len`](crate::transform::Dwt::scratch_len) |
//!
//! Nothing grows with `M · N`, unless `n` does. Scratch may be shared by all layers, and with the batch's own buffers. Drawing takes
//! 2.5 KB of stack for the generator.
//!
//! ```
//! use waveft_core::filter_bank::wavelets::DB4;
//! use waveft_core::geometry::{Atom, Geometry};
//! use waveft_core::operator::{apply_scratch_len, backward_scratch_len};
//! use waveft_core::sampling::{Location, locations, scratch_len};
//! use waveft_core::spectrum::SortedAtoms;
//!
//! const OUTPUTS: usize = 32;
//! const INPUTS: usize = 64;
//! const COUNT: usize = 256;
//! const DRAWING: usize = scratch_len((OUTPUTS * INPUTS) as u64, COUNT);
//!
//! // As a firmware has them: statics, zero before it starts.
//! let (mut places, mut order) = ([Location { row: 0, column: 0 }; COUNT], [0u32; COUNT]);
//! let (mut drawing, mut atoms) = ([0; DRAWING], [Atom::ZERO; COUNT]);
//!
//! let layer = Geometry::new(OUTPUTS, INPUTS, DB4.taps())?;
//! locations(OUTPUTS, INPUTS, 777, &mut places, &mut drawing)?;
//! let atoms = SortedAtoms::new(layer, &places, &mut atoms[..], &mut order)?;
//!
//! // The formulas above; there are 8 lanes where there are vectors, and larger groups of features.
//! let (rows, columns) = (layer.rows().padded_length(), layer.columns().padded_length());
//! let (slots, order) = (rows.max(columns), 4 * COUNT + 17);
//! let without = slots + slots / 32 + 2 * DB4.taps() + 128 + order;
//! let with_vectors = 8 * (slots + 2 * DB4.taps() + 524) + slots / 128 + order;
//! assert!([without, with_vectors].contains(&apply_scratch_len::<f32>(layer, COUNT)));
//! assert_eq!(backward_scratch_len::<f32>(layer, COUNT), apply_scratch_len::<f32>(layer, COUNT) + COUNT);
//! assert_eq!((size_of::<Atom>(), size_of::<Location>()), (8, 8));
//! assert!(DRAWING <= 8 * COUNT);
//!
//! // What this layer takes for training on a machine without vector instructions.
//! let kept = COUNT * (size_of::<Atom>() + 4 + 4 + 8);
//! let scratch = 4 * (without + COUNT);
//! let setting_up = 4 * DRAWING + COUNT * (size_of::<Location>() + 4);
//! assert_eq!((kept, scratch, setting_up), (6144, 6052, 7168));
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! # What to look after
//! - **Depend on it with `default-features = false`.** There are no default features today; there is no allocation without `alloc`.
//! - **Name the wavelet**, as in `wavelets::DB4.single()`: its filters alone are linked.
//!   [`Wavelet::from_name`](crate::filter_bank::Wavelet::from_name) links all of them, 240 KB.
//! - **Stay with `f32`** where the machine has no `f64`. The loops over coefficients, tokens and samples are then free of `f64`. The factors of a
//!   step ([`AdamW::update`](crate::optimiser::AdamW::update), [`Rates`](crate::optimiser::Rates),
//!   [`Schedule`](crate::schedule::Schedule)) are torch's only if they are computed in `f64`: once a step, some thousand instructions in
//!   software.
//! - **Batches through `apply`, single tokens through `apply_token`**, which takes no scratch.
//! - **Statics:** [`Atom::ZERO`](crate::geometry::Atom::ZERO), `Location { row: 0, column: 0 }`,
//!   [`Geometry::new`](crate::geometry::Geometry::new) and what tells the length of scratch are constant.
//! - **Build** with `lto = "fat"`, `codegen-units = 1` and `panic = "abort"`; `opt-level = "s"` is half the size of 3.
//! - **Errors** are plain values of a few words. Their text is linked where it is formatted and nowhere else.
//! - **No atomics** are needed: `thumbv6m-none-eabi` builds. Nothing reads a clock, and the same input gives the same bits.
//! - Layers from [`INSIDE_OUT_FROM`](crate::sampling::INSIDE_OUT_FROM) elements on take two draws an element, minutes on a
//!   microcontroller: keep their places in flash.
//!
//! # Features
//! | feature | what it adds | needs |
//! |---|---|---|
//! | none | everything but the next | `core` |
//! | `alloc` | transforms that return a `Vec` | an allocator |
