//! What torch and PEFT make of the same task, and the settings that all runs share.

use std::fs;

use serde::Deserialize;
use waveft_std::{Error, Result};

use super::digits;

/// What is used of `baselines.json`, which tools/README.md describes.
#[derive(Deserialize)]
pub(crate) struct Baselines {
    /// Parameters of the network.
    pub(crate) base_parameters: usize,
    pub(crate) training: Settings,
    /// Of the runs whose mean and deviation are told.
    pub(crate) seeds: Vec<u64>,
    pub(crate) methods: Vec<Method>,
}

/// How every method trains.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Settings {
    pub(crate) epochs: usize,
    /// Images a step.
    pub(crate) batch: usize,
    /// Steps before the learning rate is whole.
    pub(crate) warmup: u64,
    /// What the learning rate does then.
    pub(crate) schedule: Decay,
    pub(crate) betas: [f64; 2],
    pub(crate) eps: f64,
    pub(crate) weight_decay: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decay {
    Cosine,
}

/// One way to adapt the network: `waveft`, `lora` of rank 1, or `full`, every weight trained.
#[derive(Deserialize)]
pub(crate) struct Method {
    pub(crate) method: String,
    /// How many parameters are trained.
    pub(crate) trained: usize,
    pub(crate) lr: f64,
    /// On the held-out images.
    pub(crate) accuracy: Spread,
    /// The first seed's run.
    pub(crate) curve: Vec<Epoch>,
}

/// Over the seeds.
#[derive(Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) standard_deviation: f64,
}

/// How things stand after an epoch.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(crate) struct Epoch {
    /// From 1.
    pub(crate) epoch: usize,
    /// The mean over the epoch's images, each before its step.
    pub(crate) train_loss: f64,
    /// On the held-out images.
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
}

impl Baselines {
    pub(crate) fn read() -> Result<Self> {
        let path = digits::file("baselines.json");
        let json = fs::read(&path).map_err(Error::io(&path))?;
        let parsed = serde_json::from_slice(&json);
        parsed.map_err(|error| Error::file(path, "what tools/digits.py writes", error.to_string()))
    }

    pub(crate) fn method(&self, name: &str) -> Result<&Method> {
        let method = self.methods.iter().find(|method| method.method == name);
        let path = || digits::file("baselines.json");
        method.ok_or_else(|| Error::file(path(), format!("the method {name:?}"), "none"))
    }
}
