//! Stochastic gradient descent with momentum: the operations of `torch.optim.SGD`.

use super::{Rates, VectorUpdate, in_range, update_vectors};
use crate::element::Real;
use crate::error::{Error, check_length};
use crate::isa::Isa;
use crate::lanes::{LaneKernel, Lanes};

/// SGD's hyperparameter.
///
/// With the gradient `g`, learning rate `η`, weight decay `λ` and momentum `μ`,
///
/// ```text
/// b ← μ b + (g + λ p)
/// p ← p − η b
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    momentum: f64,
}

impl Sgd {
    /// SGD with this momentum `μ`; 0 is plain gradient descent, and the default.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `0 ≤ momentum < 1`.
    pub fn new(momentum: f64) -> Result<Self, Error> {
        in_range("momentum", momentum, 0.0, 1.0)?;
        Ok(Self { momentum })
    }

    /// `μ`: what the velocity keeps of itself from step to step.
    #[must_use]
    pub const fn momentum(&self) -> f64 {
        self.momentum
    }

    /// Entries of velocity that a parameter of `length` entries needs: none without momentum.
    #[must_use]
    pub fn velocity_len(&self, length: usize) -> usize {
        if self.momentum == 0.0 { 0 } else { length }
    }

    /// The update of a step, with each factor rounded once.
    ///
    /// ```
    /// use waveft_core::optimiser::{Rates, Sgd};
    /// let sgd = Sgd::new(0.5)?;
    /// let update = sgd.update(Rates::new(0.25, 0.0)?);
    /// let (mut values, mut velocity) = ([1.0, 2.0], [0.0; 2]);
    /// update.apply(&mut values, &[4.0, 0.0], &mut velocity)?;
    /// update.apply(&mut values, &[0.0, 0.0], &mut velocity)?;
    /// assert_eq!((values, velocity), ([-0.5, 2.0], [2.0, 0.0]));
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    #[must_use]
    pub fn update<F: Real>(&self, rates: Rates) -> SgdUpdate<F> {
        SgdUpdate {
            sgd: *self,
            decay: F::from_f64(rates.weight_decay()),
            momentum: F::from_f64(self.momentum),
            negative_step: F::from_f64(-rates.learning_rate()),
        }
    }
}

/// SGD's update of a step: its factors, as [`Sgd::update`] makes them.
#[derive(Clone, Copy, Debug)]
pub struct SgdUpdate<F> {
    sgd: Sgd,
    decay: F,
    momentum: F,
    negative_step: F,
}

impl<F: Real> SgdUpdate<F> {
    /// Updates the `values` of a parameter and its velocity `b`, which is zero before the first step.
    ///
    /// Cost: a read of all slices and a write of two.
    ///
    /// # Errors
    /// [`Error::Length`] unless `gradient` is as long as `values` and `velocity` has [`Sgd::velocity_len`] entries; nothing
    /// was changed then.
    pub fn apply(&self, values: &mut [F], gradient: &[F], velocity: &mut [F]) -> Result<(), Error> {
        check_length("gradient", values.len(), gradient.len())?;
        let expected = self.sgd.velocity_len(values.len());
        check_length("velocity", expected, velocity.len())?;
        Isa::detect().run_lanes(Apply {
            update: *self,
            values,
            gradient,
            velocity,
        });
        Ok(())
    }
}

/// [`SgdUpdate::apply`]; the slices are of the lengths that it asks for.
struct Apply<'a, F> {
    update: SgdUpdate<F>,
    values: &'a mut [F],
    gradient: &'a [F],
    velocity: &'a mut [F],
}

impl<F: Real> LaneKernel<F> for Apply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<F>>(self) {
        if self.velocity.is_empty() {
            update_vectors::<F, L, 1>([self.values], self.gradient, self.update);
        } else {
            let state = [self.values, self.velocity];
            update_vectors::<F, L, 2>(state, self.gradient, self.update);
        }
    }
}

impl<F: Real> VectorUpdate<F, 1> for SgdUpdate<F> {
    #[inline(always)]
    fn vector<L: Lanes<F>>(self, [value]: [L; 1], gradient: L) -> [L; 1] {
        let gradient = value.multiply_add(L::splat(self.decay), gradient);
        [gradient.multiply_add(L::splat(self.negative_step), value)]
    }
}

impl<F: Real> VectorUpdate<F, 2> for SgdUpdate<F> {
    #[inline(always)]
    fn vector<L: Lanes<F>>(self, [value, velocity]: [L; 2], gradient: L) -> [L; 2] {
        let gradient = value.multiply_add(L::splat(self.decay), gradient);
        let velocity = velocity * L::splat(self.momentum) + gradient;
        let value = velocity.multiply_add(L::splat(self.negative_step), value);
        [value, velocity]
    }
}
