//! WaveFT without an operating system: `no_std`, no allocation, nothing that panics on checked input.
//!
//! WaveFT adapts a frozen `M × N` layer by training `n` wavelet coefficients at places drawn from a seed. The update of
//! its weight is
//!
//! ```text
//! ΔW = scaling · R · S · Cᵀ
//! ```
//!
//! where `S` is a sparse spectrum and `R` and `C` are one-dimensional synthesis (inverse DWT) operators. Every trained
//! coefficient is one *atom*, the outer product of two short filters, so ΔW is never transformed as a whole.
//!
//! [`guide`] explains this in pictures, and has chapters for those who know PEFT or PyWavelets. The modules follow the data's way:
//!
//! 1. [`filter_bank`]: the wavelets, as constants or by name.
//! 2. [`sampling`]: which places are trained, as PEFT and torch draw them.
//! 3. [`geometry`]: from a place to an atom.
//! 4. [`spectrum`]: atoms in the operator's order, and their coefficients.
//! 5. [`operator`]: ΔW written, added, subtracted and undone, on a weight seen through [`matrix`].
//!
//! [`transform`] has `R` and `C` on their own: the one-dimensional transform, its inverse and the adjoint of each, with the
//! boundaries of [`extension_mode`]. [`lifting`] has the filter banks in factors, for half the multiplications.
//!
//! A layer that is trained or decoded needs no ΔW: [`apply`](operator::DeltaWeight::apply) adds its product with tokens and
//! [`backward`](operator::DeltaWeight::backward) takes the gradients, of the layer's input and of the coefficients.
//! [`optimiser`] and [`schedule`] train these: SGD and AdamW on slices, and how fast they go.
//!
//! # A wavelet library alone
//! For those who know PyWavelets: a transform is a plan, made and checked once for a wavelet, a mode and a length, and used any
//! number of times. This is `pywt.dwt(signal, "db4")`:
//!
//! ```
//! use waveft_core::extension_mode::ExtensionMode::Symmetric;
//! use waveft_core::filter_bank::wavelets::DB4;
//! use waveft_core::transform::Dwt;
//!
//! let signal = [1.0, 2.0, 4.0, 3.0, 2.0, 0.0, 1.0, 5.0];
//! let dwt = Dwt::new(DB4.double(), Symmetric, signal.len())?;
//! let (mut approximation, mut detail) = (vec![0.0; dwt.band_length()], vec![0.0; dwt.band_length()]);
//! let mut scratch = vec![0.0; dwt.scratch_len()];
//! dwt.forward(&signal, &mut approximation, &mut detail, &mut scratch)?;
//! assert!((approximation[0] - 2.878860_f64).abs() < 1e-6);
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! With feature `alloc` it is `let (approximation, detail) = dwt.forward_vec(&signal)?`. [`guide::from_pywavelets`] goes on from
//! here: several levels, images, and where each call of PyWavelets is.
//!
//! # What else there is
//! Beside these modules are [`element`], the number types, [`isa`], the instruction sets, and [`error`]. [`DeltaWeight`] has an
//! example that goes the whole way.
//!
//! [`DeltaWeight`]: operator::DeltaWeight
//!
//! All memory is the caller's; how much is told by functions: [`sampling::scratch_len`] for drawing,
//! [`undo_len`](operator::DeltaWeight::undo_len) for undoing,
//! [`backward_scratch_len`](operator::DeltaWeight::backward_scratch_len) for gradients. A layer keeps 8 bytes of atom and one coefficient for each of
//! its `n`, and nothing that grows with `M · N`. [`embedded`] has the formulas, and what to look after on a microcontroller.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[forbid(unsafe_code)]
pub mod array;
#[forbid(unsafe_code)]
pub mod element;
#[forbid(unsafe_code)]
pub mod embedded;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod extension_mode;
#[forbid(unsafe_code)]
pub mod filter_bank;
#[forbid(unsafe_code)]
pub mod geometry;
#[forbid(unsafe_code)]
pub mod guide;
pub mod isa;
#[forbid(unsafe_code)]
mod kernel;
#[macro_use]
mod lanes;
#[forbid(unsafe_code)]
pub mod lifting;
#[forbid(unsafe_code)]
pub mod matrix;
#[forbid(unsafe_code)]
pub mod operator;
#[forbid(unsafe_code)]
pub mod optimiser;
#[forbid(unsafe_code)]
mod polyphase;
#[forbid(unsafe_code)]
pub mod sampling;
#[forbid(unsafe_code)]
pub mod schedule;
#[forbid(unsafe_code)]
mod slices;
#[forbid(unsafe_code)]
pub mod spectrum;
#[forbid(unsafe_code)]
mod sweep;
#[forbid(unsafe_code)]
pub mod transform;

pub use error::Error;
