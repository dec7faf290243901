//! A guide to what takes files, threads or an allocator. There is nothing here but text.
//!
//! | chapter | what it is about |
//! |---|---|
//! | [`waveft_core::guide::idea`] | from a spectrum to an update of a weight, in pictures |
//! | [`merging`] | into a checkpoint, into a live weight, and out again |
//! | [`training`] | a layer, its gradients, an optimiser, a saved adapter |
//! | [`waveft_core::guide::embedding`] | on a microcontroller |
//! | [`from_peft`] | each of PEFT's settings and calls, and what it is here |
//! | [`waveft_core::guide::from_pywavelets`] | the transforms on their own, side by side with PyWavelets |

pub mod from_peft;
pub mod merging;
pub mod training;
