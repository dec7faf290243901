//! Steps of an optimiser on all parameters together.

use rayon::prelude::*;
use waveft_core::optimiser::{AdamW, Rates, Sgd, clip_factor, first_non_finite};
use waveft_core::schedule::Schedule;

use super::Parameter;
use crate::error::{Error, Result};

/// Which optimiser takes the steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// SGD with momentum.
    Sgd(Sgd),
    /// AdamW.
    AdamW(AdamW),
}

/// What to do about a gradient that is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// An error, with everything left as it was.
    #[default]
    Error,
    /// Leave out the step, forget the gradients and count it as skipped.
    Skip,
}

/// What a step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps taken so far, with this one.
    pub step: u64,
    /// The mean of the micro-batches' losses.
    pub loss: f64,
    /// The first group's learning rate, with the schedule's factor.
    pub learning_rate: f64,
    /// The norm of all gradients together, divided by the number of micro-batches, before clipping.
    pub gradient_norm: f64,
    /// Whether this step was left out, for a gradient that is not finite.
    pub is_skipped: bool,
    /// Steps left out so far, with this one.
    pub skipped: u64,
}

/// The optimiser, the schedule and the counters of a training run.
///
/// The parameters stay in their layers. They are handed over in groups, each with its own rates, and always in the same order.
/// A parameter that takes part in some steps only is left out of its group in the others: how many steps it has had is its
/// own. Results are the same bits for any number of threads.
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(super) optimiser: Optimiser,
    pub(super) schedule: Schedule,
    /// Each group's.
    pub(super) rates: Vec<Rates>,
    pub(super) max_norm: Option<f64>,
    pub(super) non_finite: NonFinite,
    pub(super) counters: Counters,
}

/// What changes in a trainer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) steps: u64,
    pub(super) skipped: u64,
    pub(super) micro_batches: u64,
    /// Of the micro-batches since the last step.
    pub(super) loss_sum: f64,
}

impl Trainer {
    /// A trainer of as many groups as there are `rates`, without clipping, that refuses gradients that are not finite.
    pub fn new(optimiser: Optimiser, schedule: Schedule, rates: Vec<Rates>) -> Self {
        Self {
            optimiser,
            schedule,
            rates,
            max_norm: None,
            non_finite: NonFinite::default(),
            counters: Counters::default(),
        }
    }

    /// The same with gradients clipped: those of all groups together have a norm of at most `max_norm`.
    ///
    /// # Errors
    /// Unless `0 ≤ max_norm < ∞`.
    pub fn with_max_norm(mut self, max_norm: f64) -> Result<Self> {
        clip_factor(max_norm, 0.0).map_err(of_trainer)?;
        self.max_norm = Some(max_norm);
        Ok(self)
    }

    /// The same with this done about gradients that are not finite.
    pub fn with_non_finite(mut self, non_finite: NonFinite) -> Self {
        self.non_finite = non_finite;
        self
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.counters.steps
    }

    /// Steps left out for a gradient that was not finite. The schedule does not go on with them.
    pub fn skipped(&self) -> u64 {
        self.counters.skipped
    }

    /// Micro-batches since the last step.
    pub fn micro_batches(&self) -> u64 {
        self.counters.micro_batches
    }

    /// Counts a micro-batch, after its backward has added to the gradients. Its loss is only reported.
    pub fn finish_micro_batch(&mut self, loss: f64) {
        self.counters.micro_batches += 1;
        self.counters.loss_sum += loss;
    }

    /// Forgets all gradients and the micro-batches counted; after a step there are none to forget.
    ///
    /// # Errors
    /// If there are not as many groups as the trainer has.
    pub fn zero_grad(&mut self, groups: &mut [&mut [&mut Parameter]]) -> Result<()> {
        self.check_groups(groups)?;
        let parameters = groups.iter_mut().flat_map(|group| group.iter_mut());
        parameters.for_each(|parameter| parameter.zero_grad());
        self.forget_micro_batches();
        Ok(())
    }

    /// Takes a step with the gradients divided by the number of micro-batches, then forgets them.
    ///
    /// `report` is called once, after everything is done. Cost: one read of all gradients, then one pass over all parameters.
    ///
    /// # Errors
    /// With nothing changed: if there are not as many groups as the trainer has; if no micro-batch was finished, or no
    /// backward has contributed to a parameter, since the last step or [`zero_grad`](Self::zero_grad); if a parameter was
    /// trained with an optimiser of another kind; if a gradient is not finite, unless such steps are skipped.
    pub fn step(
        &mut self,
        groups: &mut [&mut [&mut Parameter]],
        report: impl FnOnce(&Progress),
    ) -> Result<()> {
        self.check_ready(groups)?;
        let factor = self.schedule.factor(self.counters.steps);
        let scaled = self.rates.iter().map(|rates| rates.scaled(factor));
        let rates: Vec<Rates> = scaled.collect::<Result<_, _>>().map_err(of_trainer)?;
        let mut work = Vec::new();
        for (group, &rates) in groups.iter_mut().zip(&rates) {
            work.extend(group.iter_mut().map(|parameter| (&mut **parameter, rates)));
        }
        let squares = work.par_iter().map(|(p, _)| p.sum_of_squares());
        let squares: f64 = squares.collect::<Vec<_>>().into_iter().sum();
        let micro_batches = self.counters.micro_batches as f64;
        let norm = squares.sqrt() / micro_batches;
        let is_skipped = !norm.is_finite();
        if is_skipped {
            if self.non_finite == NonFinite::Error {
                return Err(non_finite_gradient(work.iter().map(|(p, _)| &**p)));
            }
            work.iter_mut().for_each(|(p, _)| p.zero_grad());
            self.counters.skipped += 1;
        } else {
            let clip = self.max_norm.map(|most| clip_factor(most, norm));
            let factor = clip.transpose().map_err(of_trainer)?.unwrap_or(1.0) / micro_batches;
            work.par_iter_mut().try_for_each(|(parameter, rates)| {
                let stepped = parameter.step(&self.optimiser, *rates, factor);
                stepped.map_err(|source| Error::Core {
                    context: format!("parameter {:?}", parameter.name()),
                    source,
                })
            })?;
            self.counters.steps += 1;
        }
        let progress = Progress {
            step: self.counters.steps,
            loss: self.counters.loss_sum / micro_batches,
            learning_rate: rates.first().map_or(0.0, |rates| rates.learning_rate()),
            gradient_norm: norm,
            is_skipped,
            skipped: self.counters.skipped,
        };
        self.forget_micro_batches();
        report(&progress);
        Ok(())
    }

    pub(super) fn check_groups(&self, groups: &[&mut [&mut Parameter]]) -> Result<()> {
        if groups.len() == self.rates.len() {
            return Ok(());
        }
        let expected = format!("parameters in {} groups", self.rates.len());
        Err(Error::trainer(expected, groups.len().to_string()))
    }

    /// Refuses what a step cannot be taken with, gradients that are not finite apart.
    fn check_ready(&self, groups: &[&mut [&mut Parameter]]) -> Result<()> {
        const EXPECTED: &str = "a backward since the last step or zero_grad";
        self.check_groups(groups)?;
        if self.counters.micro_batches == 0 {
            return Err(Error::trainer(EXPECTED, "no finished micro-batch"));
        }
        for parameter in groups.iter().flat_map(|group| group.iter()) {
            if !parameter.has_gradient {
                return Err(Error::parameter(parameter.name(), EXPECTED, "none"));
            }
            self.check_moments(parameter)?;
        }
        Ok(())
    }

    /// Refuses a parameter that another kind of optimiser has trained.
    pub(super) fn check_moments(&self, parameter: &Parameter) -> Result<()> {
        let found = parameter.moments.each_ref().map(Vec::len);
        let expected = parameter.moment_lengths(&self.optimiser);
        if found == expected {
            return Ok(());
        }
        Err(Error::parameter(
            parameter.name(),
            format!("an optimiser's state of {expected:?} elements"),
            format!("{found:?}, of another optimiser"),
        ))
    }

    fn forget_micro_batches(&mut self) {
        self.counters.micro_batches = 0;
        self.counters.loss_sum = 0.0;
    }
}

fn non_finite_gradient<'p>(mut parameters: impl Iterator<Item = &'p Parameter>) -> Error {
    let first = parameters.find_map(|parameter| {
        let at = first_non_finite(&parameter.gradient)?;
        let found = format!("{} at {at}", parameter.gradient.get(at)?);
        Some(Error::parameter(
            parameter.name(),
            "a finite gradient",
            found,
        ))
    });
    first.unwrap_or_else(|| Error::trainer("finite gradients", "a norm that is not"))
}

/// For `map_err` of what the core refuses of a trainer's numbers.
fn of_trainer(source: waveft_core::Error) -> Error {
    Error::Core {
        context: "trainer".to_owned(),
        source,
    }
}
