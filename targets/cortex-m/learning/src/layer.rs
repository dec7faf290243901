//! A linear layer with a frozen weight and an adapter on it.

use crate::digits::{HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT, PIXELS};
use crate::{HIDDEN, SCALING, SEED};
use waveft_core::Error;
use waveft_core::array::{Array, ArrayMut};
use waveft_core::filter_bank::FilterBank;
use waveft_core::geometry::{Atom, Geometry};
use waveft_core::operator::DeltaWeight;
use waveft_core::optimiser::AdamWUpdate;
use waveft_core::sampling::{Location, locations};
use waveft_core::spectrum::{SortedAtoms, SparseSpectrum};

/// A frozen layer, `weight` being `outputs × inputs`.
#[derive(Clone, Copy)]
pub(crate) struct Base {
    weight: &'static [f32],
    bias: &'static [f32],
    inputs: usize,
}

impl Base {
    pub(crate) const fn hidden() -> Self {
        Self {
            weight: &HIDDEN_WEIGHT,
            bias: &HIDDEN_BIAS,
            inputs: PIXELS,
        }
    }

    pub(crate) const fn output() -> Self {
        Self {
            weight: &OUTPUT_WEIGHT,
            bias: &OUTPUT_BIAS,
            inputs: HIDDEN,
        }
    }

    /// `y = x Wᵀ + b`.
    fn forward(&self, x: &[f32], y: &mut [f32]) {
        for (x, y) in x
            .chunks_exact(self.inputs)
            .zip(y.chunks_exact_mut(self.bias.len()))
        {
            let rows = self.weight.chunks_exact(self.inputs).zip(self.bias);
            for (y, (weights, &bias)) in y.iter_mut().zip(rows) {
                *y = weights
                    .iter()
                    .zip(x)
                    .fold(bias, |sum, (weight, x)| sum + weight * x);
            }
        }
    }

    /// `dx += dy W`.
    fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        for (dy, dx) in dy
            .chunks_exact(self.bias.len())
            .zip(dx.chunks_exact_mut(self.inputs))
        {
            for (weights, &dy) in self.weight.chunks_exact(self.inputs).zip(dy) {
                for (dx, weight) in dx.iter_mut().zip(weights) {
                    *dx += dy * weight;
                }
            }
        }
    }
}

/// What an adapter of `N` coefficients keeps: 24 bytes for each.
pub(crate) struct LayerMemory<const N: usize> {
    atoms: [Atom; N],
    coefficients: [f32; N],
    gradient: [f32; N],
    moments: [[f32; N]; 2],
}

/// A [`LayerMemory`] of any length.
pub(crate) struct LayerSlices<'m> {
    atoms: &'m mut [Atom],
    coefficients: &'m mut [f32],
    gradient: &'m mut [f32],
    moments: [&'m mut [f32]; 2],
}

impl<const N: usize> LayerMemory<N> {
    pub(crate) const fn new() -> Self {
        Self {
            atoms: [Atom::ZERO; N],
            coefficients: [0.0; N],
            gradient: [0.0; N],
            moments: [[0.0; N]; 2],
        }
    }

    /// The memory of a fresh adapter.
    pub(crate) fn slices(&mut self) -> LayerSlices<'_> {
        self.coefficients.fill(0.0);
        for moment in &mut self.moments {
            moment.fill(0.0);
        }
        let [first, second] = &mut self.moments;
        LayerSlices {
            atoms: &mut self.atoms,
            coefficients: &mut self.coefficients,
            gradient: &mut self.gradient,
            moments: [first, second],
        }
    }
}

/// A layer and its adapter.
pub(crate) struct Adapted<'m> {
    base: Base,
    bank: Option<FilterBank<'static, f32>>,
    atoms: SortedAtoms<&'m mut [Atom]>,
    coefficients: &'m mut [f32],
    gradient: &'m mut [f32],
    moments: [&'m mut [f32]; 2],
}

impl<'m> Adapted<'m> {
    /// Draws as many places as the memory has room for.
    pub(crate) fn new(
        base: Base,
        bank: Option<FilterBank<'static, f32>>,
        geometry: Geometry,
        memory: LayerSlices<'m>,
        (places, order, scratch): (&mut [Location], &mut [u32], &mut [u32]),
    ) -> Result<Self, Error> {
        let LayerSlices {
            atoms,
            coefficients,
            gradient,
            moments,
        } = memory;
        let count = atoms.len();
        let (places, order) = (&mut places[..count], &mut order[..count]);
        locations(base.bias.len(), base.inputs, SEED, places, scratch)?;
        let atoms = SortedAtoms::new(geometry, places, atoms, order)?;
        Ok(Self {
            base,
            bank,
            atoms,
            coefficients,
            gradient,
            moments,
        })
    }

    pub(crate) fn delta(&self) -> Result<DeltaWeight<'_, f32>, Error> {
        let spectrum = SparseSpectrum::new(&self.atoms, self.coefficients)?;
        DeltaWeight::new(spectrum, self.bank, SCALING)
    }

    pub(crate) fn coefficients(&self) -> &[f32] {
        self.coefficients
    }

    /// `y = x (W + ΔW)ᵀ + b`.
    pub(crate) fn forward(
        &self,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        self.base.forward(x, y);
        let tokens = x.len() / self.base.inputs;
        let x = Array::new(x, [tokens, self.base.inputs])?;
        let mut y = ArrayMut::new(y, [tokens, self.base.bias.len()])?;
        self.delta()?.apply(&x, &mut y, scratch)
    }

    /// The coefficients' gradient, and `dx += dy (W + ΔW)` if that is asked for.
    pub(crate) fn backward(
        &mut self,
        x: &[f32],
        dy: &[f32],
        dx: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let inputs = self.base.inputs;
        let tokens = x.len() / inputs;
        self.gradient.fill(0.0);
        let spectrum = SparseSpectrum::new(&self.atoms, self.coefficients)?;
        let delta = DeltaWeight::new(spectrum, self.bank, SCALING)?;
        let x = Array::new(x, [tokens, inputs])?;
        let gradient = Array::new(dy, [tokens, self.base.bias.len()])?;
        let Some(dx) = dx else {
            return delta.grad_spectrum(&x, &gradient, self.gradient, scratch);
        };
        self.base.backward(dy, dx);
        let mut dx = ArrayMut::new(dx, [tokens, inputs])?;
        delta.backward(&x, &gradient, &mut dx, self.gradient, scratch)
    }

    pub(crate) fn update(&mut self, update: &AdamWUpdate<f32>) -> Result<(), Error> {
        let [first, second] = &mut self.moments;
        update.apply(self.coefficients, self.gradient, first, second)
    }
}
