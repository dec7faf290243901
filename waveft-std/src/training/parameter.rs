//! One trained tensor, with its gradient and what an optimiser remembers of it.

use rayon::prelude::*;
use waveft_core::optimiser::{Rates, scale, sum_of_squares};

use super::Optimiser;
use crate::error::{Error, Result};

/// Entries that a thread takes at once. The sum of squares is made of sums of so many.
const PART: usize = 1 << 16;

/// A trained tensor: its values in f32 (masters, if the layer computes in a narrower type), their gradient, and the
/// optimiser's state.
///
/// With AdamW that is 16 bytes an entry, and nothing else that grows with their number; with SGD it is 12, or 8 without
/// momentum. What the optimiser remembers is allocated at the first step.
#[derive(Clone, Debug)]
pub struct Parameter {
    name: String,
    pub(super) values: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) has_gradient: bool,
    /// AdamW's first and second moment, or SGD's velocity; empty before the first step, and where there is none.
    pub(super) moments: [Vec<f32>; 2],
    /// The number of steps that have changed it.
    pub(super) steps: u64,
}

impl Parameter {
    /// A parameter of these values, without a gradient. Its name is what a saved state knows it by.
    pub fn new(name: impl Into<String>, values: Vec<f32>) -> Self {
        let gradient = vec![0.0; values.len()];
        Self {
            name: name.into(),
            values,
            gradient,
            has_gradient: false,
            moments: [Vec::new(), Vec::new()],
            steps: 0,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The sum of the gradients since the last step or [`zero_grad`](Self::zero_grad).
    pub fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// Whether a backward has contributed to the gradient since the last step or [`zero_grad`](Self::zero_grad).
    pub fn has_gradient(&self) -> bool {
        self.has_gradient
    }

    /// Adds a backward's gradient.
    ///
    /// # Errors
    /// Unless it is as long as the values.
    pub fn accumulate(&mut self, gradient: &[f32]) -> Result<()> {
        if gradient.len() != self.values.len() {
            return Err(Error::parameter(
                &self.name,
                format!("a gradient of {} elements", self.values.len()),
                gradient.len().to_string(),
            ));
        }
        for (sum, entry) in self.gradient_mut().iter_mut().zip(gradient) {
            *sum += entry;
        }
        Ok(())
    }

    /// The gradient, for a backward that adds to it in place. Counts as its contribution, so it is to be called when nothing
    /// can be refused any more.
    pub fn gradient_mut(&mut self) -> &mut [f32] {
        self.has_gradient = true;
        &mut self.gradient
    }

    /// Forgets the gradient.
    pub fn zero_grad(&mut self) {
        self.gradient.par_chunks_mut(PART).for_each(|g| g.fill(0.0));
        self.has_gradient = false;
    }

    /// The sum of the gradient's squares, the same bits for any number of threads; finite if and only if the gradient is.
    pub(super) fn sum_of_squares(&self) -> f64 {
        let parts = self.gradient.par_chunks(PART).map(sum_of_squares);
        parts.collect::<Vec<f64>>().into_iter().sum()
    }

    /// How many entries of each moment the optimiser has now.
    pub(super) fn moment_lengths(&self, optimiser: &Optimiser) -> [usize; 2] {
        match optimiser {
            _ if self.steps == 0 => [0, 0],
            Optimiser::AdamW(_) => [self.values.len(); 2],
            Optimiser::Sgd(sgd) => [sgd.velocity_len(self.values.len()), 0],
        }
    }

    /// Takes a step with the gradient times `factor`, and forgets the gradient.
    ///
    /// # Errors
    /// If the moments are not the optimiser's, which the caller has checked.
    pub(super) fn step(
        &mut self,
        optimiser: &Optimiser,
        rates: Rates,
        factor: f64,
    ) -> Result<(), waveft_core::Error> {
        let (length, steps) = (self.values.len(), self.steps + 1);
        let values = self.values.par_chunks_mut(PART);
        let parts = values.zip(self.gradient.par_chunks_mut(PART));
        let [first, second] = &mut self.moments;
        match optimiser {
            Optimiser::AdamW(adam_w) => {
                let update = adam_w.update(steps, rates)?;
                first.resize(length, 0.0);
                second.resize(length, 0.0);
                let moments = first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART));
                parts
                    .zip(moments)
                    .try_for_each(|((values, gradient), (first, second))| {
                        scale(gradient, factor);
                        update.apply(values, gradient, first, second)?;
                        gradient.fill(0.0);
                        Ok(())
                    })?;
            }
            Optimiser::Sgd(sgd) => {
                let update = sgd.update(rates);
                first.resize(sgd.velocity_len(length), 0.0);
                let step = |values: &mut [f32], gradient: &mut [f32], velocity: &mut [f32]| {
                    scale(gradient, factor);
                    update.apply(values, gradient, velocity)?;
                    gradient.fill(0.0);
                    Ok(())
                };
                if first.is_empty() {
                    parts.try_for_each(|(values, gradient)| step(values, gradient, &mut []))?;
                } else {
                    parts.zip(first.par_chunks_mut(PART)).try_for_each(
                        |((values, gradient), velocity)| step(values, gradient, velocity),
                    )?;
                }
            }
        }
        self.has_gradient = false;
        self.steps = steps;
        Ok(())
    }
}
