//! AdamW: steps of a length that hardly depends on the gradient's, and weight decay apart from it.
//!
//! Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, with the operations of `torch.optim.AdamW`.

use super::{Rates, VectorUpdate, in_range, update_vectors};
use crate::element::Real;
use crate::error::{Error, check_length};
use crate::isa::Isa;
use crate::lanes::{LaneKernel, Lanes};

/// AdamW's hyperparameters.
///
/// At step `t`, with the gradient `g`, learning rate `η` and weight decay `λ`,
///
/// ```text
/// p ← p · (1 − η λ)
/// m ← m + (1 − β₁) (g − m)
/// v ← β₂ v + (1 − β₂) g²
/// p ← p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    betas: [f64; 2],
    epsilon: f64,
}

impl Default for AdamW {
    /// torch's: `β₁ = 0.9`, `β₂ = 0.999`, `ε = 1e-8`.
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
        }
    }
}

impl AdamW {
    /// AdamW with these `β₁`, `β₂` and `ε`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `0 ≤ β < 1` for both and `0 ≤ ε < ∞`.
    pub fn new(betas: [f64; 2], epsilon: f64) -> Result<Self, Error> {
        in_range("first beta", betas[0], 0.0, 1.0)?;
        in_range("second beta", betas[1], 0.0, 1.0)?;
        in_range("epsilon", epsilon, 0.0, f64::INFINITY)?;
        Ok(Self { betas, epsilon })
    }

    /// `β₁` and `β₂`: what the moments keep of themselves from step to step.
    #[must_use]
    pub const fn betas(&self) -> [f64; 2] {
        self.betas
    }

    /// `ε`: what keeps the denominator from zero.
    #[must_use]
    pub const fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The update of step number `step`, counted from 1. Factors are computed in f64 and rounded once.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if `step` is 0.
    ///
    /// ```
    /// use waveft_core::optimiser::{AdamW, Rates};
    /// let update = AdamW::default().update(1, Rates::new(0.1, 0.0)?)?;
    /// let (mut values, mut first, mut second) = ([1.0, 1.0], [0.0; 2], [0.0; 2]);
    /// update.apply(&mut values, &[3.0, -0.01], &mut first, &mut second)?;
    /// // The first step is as long as the learning rate, whatever the gradient.
    /// assert!((values[0] - 0.9_f64).abs() < 1e-6 && (values[1] - 1.1).abs() < 1e-6);
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn update<F: Real>(&self, step: u64, rates: Rates) -> Result<AdamWUpdate<F>, Error> {
        in_range("step number", step as f64, 1.0, f64::INFINITY)?;
        let [beta1, beta2] = self.betas;
        let correction = |beta: f64| 1.0 - libm::pow(beta, step as f64);
        let learning_rate = rates.learning_rate();
        Ok(AdamWUpdate {
            decay: F::from_f64(1.0 - learning_rate * rates.weight_decay()),
            first_weight: F::from_f64(1.0 - beta1),
            second_decay: F::from_f64(beta2),
            second_weight: F::from_f64(1.0 - beta2),
            root_correction: F::from_f64(libm::sqrt(correction(beta2))),
            epsilon: F::from_f64(self.epsilon),
            negative_step: F::from_f64(-(learning_rate / correction(beta1))),
        })
    }
}

/// AdamW's update of one step: its factors, as [`AdamW::update`] makes them.
#[derive(Clone, Copy, Debug)]
pub struct AdamWUpdate<F> {
    decay: F,
    first_weight: F,
    second_decay: F,
    second_weight: F,
    root_correction: F,
    epsilon: F,
    negative_step: F,
}

impl<F: Real> AdamWUpdate<F> {
    /// Updates the `values` of a parameter and its moments; these are zero before the first step.
    ///
    /// Cost: a read of all four slices and a write of three.
    ///
    /// # Errors
    /// [`Error::Length`] unless all are as long as `values`; nothing was changed then.
    pub fn apply(
        &self,
        values: &mut [F],
        gradient: &[F],
        first_moment: &mut [F],
        second_moment: &mut [F],
    ) -> Result<(), Error> {
        check_length("gradient", values.len(), gradient.len())?;
        check_length("first moment", values.len(), first_moment.len())?;
        check_length("second moment", values.len(), second_moment.len())?;
        let update = *self;
        Isa::detect().run_lanes(Apply {
            update,
            values,
            gradient,
            first_moment,
            second_moment,
        });
        Ok(())
    }
}

impl<F: Real> VectorUpdate<F, 3> for AdamWUpdate<F> {
    /// The parameter and its moments after the step. The order of operations is torch's.
    #[inline(always)]
    fn vector<L: Lanes<F>>(self, [value, first, second]: [L; 3], gradient: L) -> [L; 3] {
        let difference = gradient - first;
        // As torch's `lerp`: from the nearer end.
        let first = if self.first_weight < F::from_f64(0.5) {
            L::splat(self.first_weight).multiply_add(difference, first)
        } else {
            L::splat(self.first_weight - F::one()).multiply_add(difference, gradient)
        };
        let weighted = L::splat(self.second_weight) * gradient;
        let second = weighted.multiply_add(gradient, second * L::splat(self.second_decay));
        let root = second.square_root() / L::splat(self.root_correction);
        let step = L::splat(self.negative_step) * first / (root + L::splat(self.epsilon));
        [value * L::splat(self.decay) + step, first, second]
    }
}

/// [`AdamWUpdate::apply`]; all slices are of one length.
struct Apply<'a, F> {
    update: AdamWUpdate<F>,
    values: &'a mut [F],
    gradient: &'a [F],
    first_moment: &'a mut [F],
    second_moment: &'a mut [F],
}

impl<F: Real> LaneKernel<F> for Apply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        let state = [self.values, self.first_moment, self.second_moment];
        update_vectors::<F, L, 3>(state, self.gradient, self.update);
    }
}
