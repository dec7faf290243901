//! Training: parameters, the steps of an optimiser on all of them, and their state in a file.
//!
//! A [`Parameter`] is in the layer that it belongs to, with its gradient and what an optimiser remembers of it. A [`Trainer`]
//! has everything else: the optimiser, the schedule, the counters. It is handed the parameters, group by group, whenever it is
//! to do something with them. In an accumulation of several micro-batches each of them adds to the gradients:
//!
//! ```
//! use waveft_core::optimiser::{AdamW, Rates};
//! use waveft_core::schedule::Schedule;
//! use waveft_std::training::{Optimiser, Parameter, Trainer};
//!
//! let mut spectra = [Parameter::new("layers.0", vec![1.0, -1.0]), Parameter::new("layers.1", vec![2.0])];
//! let mut bias = Parameter::new("head.bias", vec![0.5; 3]);
//! let (fast, slow) = (Rates::new(0.1, 0.0)?, Rates::new(0.01, 0.01)?);
//! let schedule = Schedule::Cosine { warmup_steps: 0, total_steps: 20 };
//! let mut trainer = Trainer::new(Optimiser::AdamW(AdamW::default()), schedule, vec![fast, slow]);
//! let mut losses = Vec::new();
//! for _ in 0..20 {
//!     for _micro_batch in 0..2 {
//!         // A backward: here of the loss ½ |p|², whose gradient is p.
//!         let mut loss = 0.0;
//!         for parameter in spectra.iter_mut().chain([&mut bias]) {
//!             let values = parameter.values().to_vec();
//!             loss += values.iter().map(|p| f64::from(p * p) / 2.0).sum::<f64>();
//!             parameter.accumulate(&values)?;
//!         }
//!         trainer.finish_micro_batch(loss);
//!     }
//!     let mut spectra: Vec<&mut Parameter> = spectra.iter_mut().collect();
//!     let groups = &mut [&mut spectra[..], &mut [&mut bias][..]];
//!     trainer.step(groups, |progress| losses.push(progress.loss))?;
//! }
//! assert!(losses[19] < 0.4 * losses[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The whole state is saved by [`Trainer::save`] and comes back by [`Trainer::restore`]: a run stopped anywhere, also between two
//! micro-batches, goes on as if it had not been.

mod parameter;
mod state;
mod trainer;

pub use self::parameter::Parameter;
pub use self::trainer::{NonFinite, Optimiser, Progress, Trainer};
