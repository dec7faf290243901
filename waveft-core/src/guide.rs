//! A guide: the idea, and what to do with it. There is nothing here but text and pictures.
//!
//! | chapter | what it is about |
//! |---|---|
//! | [`idea`] | from a spectrum to an update of a weight, in pictures |
//! | `waveft_std::guide::merging` | into a checkpoint, into a live weight, and out again |
//! | `waveft_std::guide::training` | a layer, its gradients, an optimiser, a saved adapter |
//! | [`embedding`] | on a microcontroller |
//! | `waveft_std::guide::from_peft` | each of PEFT's settings and calls, and what it is here |
//! | [`from_pywavelets`] | the transforms on their own, side by side with PyWavelets |
//!
//! What needs files, threads or an allocator is in the crate `waveft-std`, and so are its chapters.

pub mod embedding;
pub mod from_pywavelets;
pub mod idea;
