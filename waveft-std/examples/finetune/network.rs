//! The frozen network, 64 → 512 → 512 → 10 with ReLU between, an adapter on each of its layers.

use std::path::Path;
use std::sync::Arc;

use half::bf16;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::{Checkpoint, Dtype};
use waveft_std::config::AdapterConfig;
use waveft_std::layer::{LayerSpec, prepare};
use waveft_std::linear::{Features, WaveFtLinear, Weight, parameter_groups};
use waveft_std::target_modules::ModuleShape;
use waveft_std::training::{Progress, Trainer};
use waveft_std::{Error, Result};

use super::cross_entropy::{Judgement, judge};
use super::digits::Images;

const MODULES: [&str; 3] = ["fc1", "fc2", "fc3"];

/// The only adapter that a layer has.
const ADAPTER: &str = "default";

type Layer = WaveFtLinear<Weight<'static>>;

pub(crate) struct Network {
    first: Layer,
    /// Those that read what another one gave.
    above: Vec<Layer>,
}

/// An adapter by this configuration for the network in `base`, its coefficients zero.
pub(crate) fn fresh_adapter(base: &Path, config: &Path) -> Result<Adapter> {
    let base = Arc::new(Checkpoint::open(base)?);
    let shape = |module: &str| {
        let (out_features, in_features) = weight(&base, module)?.features();
        Ok(ModuleShape {
            path: module.to_owned(),
            out_features,
            in_features,
        })
    };
    let shapes: Vec<ModuleShape> = MODULES.into_iter().map(shape).collect::<Result<_>>()?;
    Adapter::create(AdapterConfig::read(config)?, &shapes)
}

impl Network {
    /// The network in `base` with the adapter's coefficients, and its own in place of any bias.
    pub(crate) fn read(base: &Path, adapter: &Adapter) -> Result<Self> {
        let base = Arc::new(Checkpoint::open(base)?);
        let weights = MODULES.map(|module| weight(&base, module));
        let weights: Vec<Weight<'static>> = weights.into_iter().collect::<Result<_>>()?;
        let specs = MODULES.iter().zip(&weights).map(|(module, weight)| {
            let mut spectra = adapter.spectra().iter();
            let spectrum = spectra.find(|spectrum| spectrum.module() == *module);
            let missing = || Error::module(adapter.path(), *module, "a spectrum", "none");
            Ok(LayerSpec {
                config: adapter.config(),
                spectrum: spectrum.ok_or_else(missing)?,
                stored: weight.stored(),
                dtype: weight.dtype(),
            })
        });
        let updates = prepare(&specs.collect::<Result<Vec<_>>>()?).map_err(|(index, source)| {
            let context = format!("module {:?}", MODULES[index]);
            Error::Core { context, source }
        })?;
        let layer = |((module, weight), update): ((&str, _), _)| {
            let layer = WaveFtLinear::new(module, weight)?;
            let mut layer = layer.with_frozen_bias(bias(&base, module)?)?;
            layer.add_adapter(ADAPTER, update)?;
            Ok(layer)
        };
        let layers = MODULES.into_iter().zip(weights).zip(updates).map(layer);
        let mut above = layers.collect::<Result<Vec<Layer>>>()?;
        Ok(Self {
            first: above.remove(0),
            above,
        })
    }

    /// Images × 10.
    pub(crate) fn logits(&self, pixels: &[f32]) -> Result<Vec<f32>> {
        let mut values = forward(&self.first, pixels)?;
        for layer in &self.above {
            rectify(&mut values);
            values = forward(layer, &values)?;
        }
        Ok(values)
    }

    /// What the network makes of images, against what they show.
    pub(crate) fn judge(&self, images: &Images) -> Result<Judgement> {
        Ok(judge(&self.logits(&images.pixels)?, &images.labels))
    }

    /// One step against the mean cross-entropy of these images.
    pub(crate) fn train(
        &mut self,
        images: &Images,
        trainer: &mut Trainer,
        report: impl FnOnce(&Progress),
    ) -> Result<()> {
        let mut values = forward(&self.first, &images.pixels)?;
        let mut inputs = Vec::with_capacity(self.above.len());
        for layer in &self.above {
            rectify(&mut values);
            let output = forward(layer, &values)?;
            inputs.push(std::mem::replace(&mut values, output));
        }
        let Judgement {
            loss, mut gradient, ..
        } = judge(&values, &images.labels);
        for (layer, input) in self.above.iter_mut().zip(&inputs).rev() {
            let mut below = vec![0.0; input.len()];
            layer.backward(input, &gradient, Some(&mut below))?;
            let gates = below.iter_mut().zip(input);
            gates
                .filter(|(_, input)| **input == 0.0)
                .for_each(|(d, _)| *d = 0.0);
            gradient = below;
        }
        self.first.backward(&images.pixels, &gradient, None)?;
        trainer.finish_micro_batch(loss);
        let layers = std::iter::once(&mut self.first).chain(&mut self.above);
        let [mut spectra, mut biases] = parameter_groups(layers)?;
        trainer.step(&mut [&mut spectra, &mut biases], report)
    }

    /// Puts the coefficients into an adapter for this network.
    pub(crate) fn store(&self, adapter: &mut Adapter) -> Result<()> {
        let mut layers = std::iter::once(&self.first).chain(&self.above);
        layers.try_for_each(|layer| layer.store(ADAPTER, adapter))
    }
}

fn forward(layer: &Layer, x: &[f32]) -> Result<Vec<f32>> {
    let (outputs, inputs) = layer.base().features();
    let mut y = vec![0.0; x.len() / inputs * outputs];
    layer.forward(x, &mut y)?;
    Ok(y)
}

/// ReLU.
fn rectify(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
}

fn weight(base: &Arc<Checkpoint>, module: &str) -> Result<Weight<'static>> {
    Weight::mapped(Arc::clone(base), &format!("{module}.weight"))
}

fn bias(base: &Checkpoint, module: &str) -> Result<Vec<f32>> {
    let name = format!("{module}.bias");
    let unfit = |found: String| Error::tensor(base.path(), &name, "a bias in BF16", found);
    let bias = base.tensor(&name).ok_or_else(|| unfit("none".to_owned()))?;
    if bias.dtype != Dtype::BF16 {
        return Err(unfit(bias.dtype.to_string()));
    }
    let elements = bias.bytes.as_chunks().0.iter();
    Ok(elements
        .map(|&bytes| bf16::from_le_bytes(bytes).into())
        .collect())
}
