//! One adapter of one layer.

use waveft_core::operator::DeltaWeight;

use crate::error::{Error, Result};
use crate::layer::{LayerAtoms, LayerUpdate};
use crate::training::Parameter;

/// An adapter of a layer: its atoms, which layers of one shape, seed and length share, and its spectrum, which is trained.
///
/// With AdamW that is at most 24 bytes a coefficient: an atom has 8 and a [`Parameter`] 16.
#[derive(Clone, Debug)]
pub struct LayerAdapter {
    name: String,
    atoms: LayerAtoms,
    pub(super) spectrum: Parameter,
}

impl LayerAdapter {
    /// The adapter `name` of the layer of a module; its spectrum is the parameter `<module>.waveft_spectrum.<name>`, as PEFT
    /// has it.
    pub(super) fn new(module: &str, name: &str, update: LayerUpdate) -> Self {
        let (atoms, coefficients) = update.into_parts();
        let parameter = format!("{module}.waveft_spectrum.{name}");
        Self {
            name: name.to_owned(),
            atoms,
            spectrum: Parameter::new(parameter, coefficients),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The spectrum, in the order of its atoms, which is not that of the file.
    pub fn spectrum(&self) -> &Parameter {
        &self.spectrum
    }

    /// The coefficients in sampling order, as a file has them. Draws and sorts the places again, in `O(n log n)`.
    ///
    /// # Errors
    /// None for what was made from a [`LayerUpdate`].
    pub fn coefficients(&self) -> Result<Vec<f32>> {
        self.in_sampling_order(self.spectrum.values())
    }

    /// The spectrum's gradient in sampling order, at the cost of [`coefficients`](Self::coefficients).
    ///
    /// # Errors
    /// None for what was made from a [`LayerUpdate`].
    pub fn gradient(&self) -> Result<Vec<f32>> {
        self.in_sampling_order(self.spectrum.gradient())
    }

    /// Outputs and inputs of the layer that it is for.
    pub(super) fn features(&self) -> (usize, usize) {
        self.atoms.geometry().features()
    }

    /// Whether it is for a weight that is stored inputs × outputs.
    pub(super) fn is_fan_in_fan_out(&self) -> bool {
        self.atoms.geometry().is_transposed()
    }

    pub(super) fn delta(&self) -> Result<DeltaWeight<'_, f32>> {
        let delta = self.atoms.delta(self.spectrum.values());
        delta.map_err(|source| self.refused(source))
    }

    /// What the core says of this adapter.
    pub(super) fn refused(&self, source: waveft_core::Error) -> Error {
        let context = format!("parameter {:?}", self.spectrum.name());
        Error::Core { context, source }
    }

    fn in_sampling_order(&self, sorted: &[f32]) -> Result<Vec<f32>> {
        let drawn = self.atoms.in_sampling_order(sorted);
        drawn.map_err(|source| self.refused(source))
    }
}
