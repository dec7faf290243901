//! Optimisers on slices: SGD with momentum and AdamW, and the clipping of gradients before them.
//!
//! An optimiser here is its hyperparameters and nothing else. What it remembers of a parameter (momentum, moments) is in
//! slices of the caller's, zero before the first step, and the number of the step is an argument: so the whole state can be
//! saved, and a run that goes on from it does not differ from one that was never stopped.
//!
//! A step is taken in two parts. [`AdamW::update`] checks the numbers and works out the factors of one step, once for all
//! parameters; [`AdamWUpdate::apply`] applies it to one parameter or a part of one. Every entry is updated on its own, with
//! the same operations wherever it stands, so any division of a parameter gives the same bits.
//!
//! The operations are those of torch 2.11's own optimisers on a CPU, in their order (`torch/optim/adam.py` and `sgd.py`, the
//! functions for single tensors, amsgrad off, dampening 0, no Nesterov momentum). With AVX2 or AVX-512, where torch fuses
//! the same multiplications with additions, moments and momentum are torch's bits; so are SGD's parameters. AdamW's differ
//! in last bits, for MKL, from which torch has its square roots, does not round all of them correctly, and ours are. The
//! portable instance, without fused operations, differs in last bits of all.

mod adam_w;
mod clipping;
mod sgd;

pub use self::adam_w::{AdamW, AdamWUpdate};
pub use self::clipping::{clip_factor, first_non_finite, scale, sum_of_squares};
pub use self::sgd::{Sgd, SgdUpdate};

use crate::element::Real;
use crate::error::Error;
use crate::lanes::{Lanes, MOST_LANES};

/// What parameters of one group share: the learning rate and the weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    learning_rate: f64,
    weight_decay: f64,
}

impl Rates {
    /// Rates of a group.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `0 ≤ learning_rate < ∞` and `0 ≤ weight_decay < ∞`.
    ///
    /// ```
    /// use waveft_core::optimiser::Rates;
    /// assert_eq!(Rates::new(0.02, 0.0)?.scaled(0.5)?.learning_rate(), 0.01);
    /// assert!(Rates::new(f64::NAN, 0.0).is_err());
    /// # Ok::<(), waveft_core::Error>(())
    /// ```
    pub fn new(learning_rate: f64, weight_decay: f64) -> Result<Self, Error> {
        in_range("learning rate", learning_rate, 0.0, f64::INFINITY)?;
        in_range("weight decay", weight_decay, 0.0, f64::INFINITY)?;
        Ok(Self {
            learning_rate,
            weight_decay,
        })
    }

    /// The step's length.
    #[must_use]
    pub const fn learning_rate(self) -> f64 {
        self.learning_rate
    }

    /// The factor on the parameter that pulls it towards zero.
    #[must_use]
    pub const fn weight_decay(self) -> f64 {
        self.weight_decay
    }

    /// The same with the learning rate times `factor`, as a [`Schedule`](crate::schedule::Schedule) gives it.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `0 ≤ learning_rate · factor < ∞`.
    pub fn scaled(self, factor: f64) -> Result<Self, Error> {
        Self::new(self.learning_rate * factor, self.weight_decay)
    }
}

/// What an optimiser makes of `N` numbers and a gradient, for all lanes of a vector. A trait and no closure, for `vector` must
/// be `#[inline(always)]`.
trait VectorUpdate<F, const N: usize>: Copy {
    fn vector<L: Lanes<F>>(self, state: [L; N], gradient: L) -> [L; N];
}

/// Updates the slices of `state`, all as long as the gradient, vector by vector. What is left at the end has a vector of its
/// own, for the same operations.
#[inline(always)]
fn update_vectors<F: Real, L: Lanes<F>, const N: usize>(
    mut state: [&mut [F]; N],
    gradient: &[F],
    update: impl VectorUpdate<F, N>,
) {
    let whole = gradient.len() - gradient.len() % L::WIDTH;
    for start in (0..whole).step_by(L::WIDTH) {
        let mut vectors = [L::splat(F::ZERO); N];
        for (vector, slice) in vectors.iter_mut().zip(&state) {
            *vector = L::load(slice.get(start..).unwrap_or_default());
        }
        let gradient = gradient.get(start..).unwrap_or_default();
        vectors = update.vector(vectors, L::load(gradient));
        for (vector, slice) in vectors.into_iter().zip(&mut state) {
            vector.store(slice.get_mut(start..).unwrap_or_default());
        }
    }
    let mut vectors = [L::splat(F::ZERO); N];
    for (vector, slice) in vectors.iter_mut().zip(&state) {
        *vector = L::load(&padded(slice.get(whole..)));
    }
    vectors = update.vector(vectors, L::load(&padded(gradient.get(whole..))));
    for (vector, slice) in vectors.into_iter().zip(&mut state) {
        let mut numbers = [F::ZERO; MOST_LANES];
        vector.store(&mut numbers);
        let rest = slice.get_mut(whole..).unwrap_or_default();
        for (to, number) in rest.iter_mut().zip(numbers) {
            *to = number;
        }
    }
}

/// Fewer numbers than a vector has, and zeros.
#[inline(always)]
fn padded<F: Real>(rest: Option<&[F]>) -> [F; MOST_LANES] {
    let mut numbers = [F::ZERO; MOST_LANES];
    for (number, &from) in numbers.iter_mut().zip(rest.unwrap_or_default()) {
        *number = from;
    }
    numbers
}

/// Refuses a value unless `least ≤ found < bound`; NaN is never in range.
fn in_range(what: &'static str, found: f64, least: f64, bound: f64) -> Result<(), Error> {
    if least <= found && found < bound {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what,
        least,
        bound,
        found,
    })
}
