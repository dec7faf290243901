//! A linear layer with adapters: `y = x Wᵀ + b + Σ x ΔWᵀ`, trained or used without ever forming ΔW.
//!
//! [`WaveFtLinear`] multiplies with its [`Base`], a frozen [`Weight`] or whatever else is one, and adds what its adapters
//! contribute in `O((M + N) · L + n)` operations a token. Gradients go to [`Parameter`]s, on which a
//! [`Trainer`](crate::training::Trainer) takes its steps. Adapters come from [`prepare`](crate::layer::prepare), for all layers at once,
//! and go back into an [`Adapter`], which PEFT loads, by [`WaveFtLinear::store`].
//!
//! ```
//! use waveft_core::{optimiser::{AdamW, Rates}, schedule::Schedule};
//! use waveft_std::adapter::Adapter;
//! use waveft_std::checkpoint::Dtype;
//! use waveft_std::config::AdapterConfig;
//! use waveft_std::layer::{LayerSpec, prepare};
//! use waveft_std::linear::{WaveFtLinear, Weight, parameter_groups};
//! use waveft_std::target_modules::ModuleShape;
//! use waveft_std::training::{Optimiser, Trainer};
//!
//! let json = r#"{"peft_type": "WAVEFT", "n_frequency": 12, "target_modules": ["proj"], "scaling": 5.0}"#;
//! let module = ModuleShape { path: "proj".to_owned(), out_features: 4, in_features: 6 };
//! let mut adapter = Adapter::create(AdapterConfig::parse(json)?, &[module])?;
//! let specs = [LayerSpec {
//!     config: adapter.config(),
//!     spectrum: &adapter.spectra()[0],
//!     stored: (4, 6),
//!     dtype: Dtype::F32,
//! }];
//! let updates = prepare(&specs).map_err(|(_, error)| error)?;
//!
//! let weight = vec![0.25f32; 4 * 6];
//! let mut layer = WaveFtLinear::new("proj", Weight::new(&weight[..], 4, 6)?)?;
//! for update in updates {
//!     layer.add_adapter("default", update)?;
//! }
//! let rates = vec![Rates::new(0.01, 0.0)?, Rates::new(0.01, 0.0)?];
//! let schedule = Schedule::Constant { warmup_steps: 0 };
//! let mut trainer = Trainer::new(Optimiser::AdamW(AdamW::default()), schedule, rates);
//! let x = [0.5f32, -1.0, 0.25, 1.0, 0.0, 2.0];
//! let mut losses = Vec::new();
//! for _ in 0..50 {
//!     let mut y = [0.0; 4];
//!     layer.forward(&x, &mut y)?;
//!     // Of the loss ½ |y|², whose gradient is y.
//!     layer.backward(&x, &y, None)?;
//!     trainer.finish_micro_batch(y.iter().map(|y| f64::from(y * y) / 2.0).sum());
//!     let [mut spectra, mut biases] = parameter_groups([&mut layer])?;
//!     trainer.step(&mut [&mut spectra, &mut biases], |progress| losses.push(progress.loss))?;
//! }
//! assert!(losses[49] < 0.01 * losses[0]);
//! layer.store("default", &mut adapter)?; // and adapter.save(…)
//!
//! layer.switch_to(Some("default"))?; // merged, for a forward at the base's cost
//! layer.switch_to(None)?; // and the base's own bits again
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adapter;
mod base;
mod merging;
mod product;
mod scratch;
mod tokens;
mod weight;

pub use self::adapter::LayerAdapter;
pub use self::base::{Base, Features, SingleElement};
pub use self::weight::{Elements, Weight};

use self::tokens::{Backward, Forward, Run};
use crate::adapter::Adapter;
use crate::error::{Error, Result};
use crate::layer::LayerUpdate;
use crate::training::Parameter;

/// A frozen layer with `M` outputs and `N` inputs, a bias if it has one, and any number of adapters.
///
/// Activations are `f32`, `bf16` or `f16`; sums of narrow ones are in f32, rounded once for the base with its bias and once for each
/// adapter. Spectra, biases and gradients are f32. All results are the same bits for any number of rayon's threads.
///
/// A forward or backward allocates a list of its chunks of 128 tokens; all other memory is the threads' own and stays for the
/// next call: with `t` threads, the [scratch of a backward](waveft_core::operator::backward_scratch_len) each and `2 t n` elements for
/// the gradients of chunks under way, and for a [`Weight`]'s product that of 1024 tokens.
#[derive(Clone, Debug)]
pub struct WaveFtLinear<B> {
    module: String,
    base: B,
    features: (usize, usize),
    bias: Option<Bias>,
    adapters: Vec<LayerAdapter>,
    active: Vec<usize>,
    is_enabled: bool,
    /// The adapters in the weight, in the order in which they were added; none if the base is no [`Weight`].
    merged: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Bias {
    Frozen(Vec<f32>),
    Trained(Parameter),
}

/// The parameters that are trained of some layers: the spectra of active adapters, and the trained biases. Two groups for a
/// [`Trainer`](crate::training::Trainer) to step, save and restore, in the order of the layers.
///
/// # Errors
/// If a layer has merged adapters.
pub fn parameter_groups<'a, B: 'a>(
    layers: impl IntoIterator<Item = &'a mut WaveFtLinear<B>>,
) -> Result<[Vec<&'a mut Parameter>; 2]> {
    let [mut spectra, mut biases] = [Vec::new(), Vec::new()];
    for layer in layers {
        layer.check_unmerged()?;
        let adapters = layer.adapters.iter_mut().enumerate();
        let active = adapters.filter(|(index, _)| layer.active.contains(index));
        spectra.extend(active.map(|(_, adapter)| &mut adapter.spectrum));
        if let Some(Bias::Trained(bias)) = &mut layer.bias {
            biases.push(bias);
        }
    }
    Ok([spectra, biases])
}

impl<B: Features> WaveFtLinear<B> {
    /// The layer of a module, such as `model.layers.0.self_attn.q_proj`, without a bias and without adapters.
    ///
    /// # Errors
    /// If the base has no outputs or no inputs.
    pub fn new(module: impl Into<String>, base: B) -> Result<Self> {
        let features = base.features();
        let layer = Self {
            module: module.into(),
            base,
            features,
            bias: None,
            adapters: Vec::new(),
            active: Vec::new(),
            is_enabled: true,
            merged: Vec::new(),
        };
        if features.0 == 0 || features.1 == 0 {
            return Err(layer.unfit("outputs and inputs", format!("{features:?}")));
        }
        Ok(layer)
    }
}

impl<B> WaveFtLinear<B> {
    /// The same with a bias of `M` elements that stays as it is.
    ///
    /// # Errors
    /// If it has another length.
    pub fn with_frozen_bias(mut self, bias: Vec<f32>) -> Result<Self> {
        self.check_bias(&bias)?;
        self.bias = Some(Bias::Frozen(bias));
        Ok(self)
    }

    /// The same with a bias of `M` elements that is trained, as the parameter `<module>.bias`.
    ///
    /// # Errors
    /// If it has another length.
    pub fn with_trained_bias(mut self, bias: Vec<f32>) -> Result<Self> {
        self.check_bias(&bias)?;
        let parameter = Parameter::new(format!("{}.bias", self.module), bias);
        self.bias = Some(Bias::Trained(parameter));
        Ok(self)
    }

    /// Adds an adapter. The first one is active at once, the others when they are [chosen](Self::activate).
    ///
    /// # Errors
    /// With nothing changed: if there is an adapter of this name, the update is for a layer of other features, or adapters are
    /// merged.
    pub fn add_adapter(&mut self, name: &str, update: LayerUpdate) -> Result<()> {
        self.check_unmerged()?;
        let adapter = LayerAdapter::new(&self.module, name, update);
        if self.adapters.iter().any(|other| other.name() == name) {
            return Err(self.unfit("one adapter of a name", format!("{name:?} twice")));
        }
        if adapter.features() != self.features {
            let [expected, found] = [self.features, adapter.features()]
                .map(|(outputs, inputs)| format!("{outputs} x {inputs}"));
            let found = format!("{name:?} for {found}");
            return Err(self.unfit(format!("an adapter for {expected}"), found));
        }
        if self.adapters.is_empty() {
            self.active.push(0);
        }
        self.adapters.push(adapter);
        Ok(())
    }

    /// Chooses the adapters that are active, any number of them; their updates are added in this order.
    ///
    /// # Errors
    /// With nothing changed: if there is no adapter of a name, one comes twice, or adapters are merged.
    pub fn activate(&mut self, names: &[&str]) -> Result<()> {
        self.check_unmerged()?;
        let mut active = Vec::with_capacity(names.len());
        for name in names {
            let index = self.index(name)?;
            if active.contains(&index) {
                return Err(self.unfit("adapters to activate once", format!("{name:?} twice")));
            }
            active.push(index);
        }
        self.active = active;
        Ok(())
    }

    /// Has the active adapters take part, which they do from the start, or leaves all of them out.
    ///
    /// # Errors
    /// If adapters are merged.
    pub fn enable(&mut self, is_enabled: bool) -> Result<()> {
        self.check_unmerged()?;
        self.is_enabled = is_enabled;
        Ok(())
    }

    /// The module's path.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// What it multiplies with, with what is merged.
    pub fn base(&self) -> &B {
        &self.base
    }

    /// The bias, if there is one.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_ref().map(|bias| match bias {
            Bias::Frozen(values) => values,
            Bias::Trained(parameter) => parameter.values(),
        })
    }

    /// The bias's gradient, if it is trained.
    pub fn bias_gradient(&self) -> Option<&[f32]> {
        match &self.bias {
            Some(Bias::Trained(parameter)) => Some(parameter.gradient()),
            _ => None,
        }
    }

    /// All adapters, in the order in which they were added.
    pub fn adapters(&self) -> &[LayerAdapter] {
        &self.adapters
    }

    /// The names of the active adapters.
    pub fn active(&self) -> impl ExactSizeIterator<Item = &str> {
        self.active.iter().map(|&index| self.adapters[index].name())
    }

    /// Puts an adapter's coefficients, and the bias if it is trained, into the file's adapter, in F32. Everything else in it stays.
    ///
    /// # Errors
    /// If there is no adapter of this name, or the file's has no such module, a spectrum of another length, or a configuration by
    /// which no bias is trained though one is; it then may hold one of the two.
    pub fn store(&self, name: &str, into: &mut Adapter) -> Result<()> {
        let adapter = &self.adapters[self.index(name)?];
        into.set_spectrum(&self.module, &adapter.coefficients()?)?;
        match &self.bias {
            Some(Bias::Trained(bias)) => into.set_bias(&self.module, bias.values()),
            _ => Ok(()),
        }
    }

    /// `y += Σ x ΔWᵀ` of the active adapters alone, for a base that is computed elsewhere. `x` is tokens × N and `y`
    /// tokens × M.
    ///
    /// # Errors
    /// With nothing changed: if the lengths are not those of one number of tokens, or adapters are merged.
    pub fn add_adapters<T: SingleElement>(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.check_unmerged()?;
        let tokens = self.check_tokens(x.len(), ("y", y.len()), None)?;
        self.forward_part().add(&[self.active_run(tokens)], x, y)
    }

    /// `dx += Σ dy ΔW`, if it is wanted, and the gradients of the active adapters' spectra and of a trained bias: everything but the
    /// base's part of [`backward`](Self::backward).
    ///
    /// # Errors
    /// With nothing changed: if the lengths are not those of one number of tokens, or adapters are merged.
    pub fn add_adapters_backward<T: SingleElement>(
        &mut self,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
    ) -> Result<()> {
        self.check_unmerged()?;
        let found = dx.as_ref().map(|dx| dx.len());
        let tokens = self.check_tokens(x.len(), ("dy", dy.len()), found)?;
        let (adapters, mut part) = self.backward_part();
        part.add(&[Run { tokens, adapters }], x, dy, dx)
    }

    /// `y = x Wᵀ + b + Σ x ΔWᵀ` with the active adapters, or with those that are merged. `x` is tokens × N and `y` tokens × M.
    ///
    /// # Errors
    /// With nothing changed: if the lengths are not those of one number of tokens. What the base refuses.
    pub fn forward<T: SingleElement>(&self, x: &[T], y: &mut [T]) -> Result<()>
    where
        B: Base<T>,
    {
        let tokens = self.check_tokens(x.len(), ("y", y.len()), None)?;
        self.base.forward(x, self.bias(), y)?;
        self.forward_part().add(&[self.active_run(tokens)], x, y)
    }

    /// [`forward`](Self::forward) of a batch whose rows have an adapter each, or for `None` the bare base. `x` is rows × tokens
    /// of a row × N, and neighbouring rows with one adapter are computed as one.
    ///
    /// What the adapters add is, bit for bit, what they add in a forward of their neighbouring rows alone.
    ///
    /// # Errors
    /// With nothing changed: as [`forward`](Self::forward), and if the rows do not divide the tokens, there is no adapter of
    /// a name, adapters are merged, or they are [disabled](Self::enable).
    pub fn forward_rows<T: SingleElement>(
        &self,
        rows: &[Option<&str>],
        x: &[T],
        y: &mut [T],
    ) -> Result<()>
    where
        B: Base<T>,
    {
        let tokens = self.check_tokens(x.len(), ("y", y.len()), None)?;
        let indices: Vec<usize> = (0..self.adapters.len()).collect();
        let runs = self.runs(rows, tokens, &indices)?;
        self.base.forward(x, self.bias(), y)?;
        self.forward_part().add(&runs, x, y)
    }

    /// The gradients of what [`forward`](Self::forward) gave for `x`: `dx = dy (W + Σ ΔW)`, if it is wanted, and those of the active
    /// adapters' spectra and of a trained bias, which are added to what the parameters have. `x` and `dx` are tokens × N and
    /// `dy` tokens × M.
    ///
    /// # Errors
    /// With nothing changed: if the lengths are not those of one number of tokens, or adapters are merged. What the base refuses.
    pub fn backward<T: SingleElement>(
        &mut self,
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
    ) -> Result<()>
    where
        B: Base<T>,
    {
        self.check_unmerged()?;
        let found = dx.as_ref().map(|dx| dx.len());
        let tokens = self.check_tokens(x.len(), ("dy", dy.len()), found)?;
        if let Some(dx) = &mut dx {
            self.base.backward(dy, dx)?;
        }
        let (adapters, mut part) = self.backward_part();
        part.add(&[Run { tokens, adapters }], x, dy, dx)
    }

    /// The gradients of what [`forward_rows`](Self::forward_rows) gave for `x`; only adapters that some row has get one.
    ///
    /// # Errors
    /// With nothing changed: as [`backward`](Self::backward) and [`forward_rows`](Self::forward_rows).
    pub fn backward_rows<T: SingleElement>(
        &mut self,
        rows: &[Option<&str>],
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
    ) -> Result<()>
    where
        B: Base<T>,
    {
        let found = dx.as_ref().map(|dx| dx.len());
        let tokens = self.check_tokens(x.len(), ("dy", dy.len()), found)?;
        let indices: Vec<usize> = (0..self.adapters.len()).collect();
        let runs = self.runs(rows, tokens, &indices)?;
        if let Some(dx) = &mut dx {
            self.base.backward(dy, dx)?;
        }
        self.backward_part().1.add(&runs, x, dy, dx)
    }

    fn forward_part(&self) -> Forward<'_> {
        Forward {
            adapters: &self.adapters,
            features: self.features,
        }
    }

    /// The adapters that take part, and what a backward works on.
    fn backward_part(&mut self) -> (&[usize], Backward<'_>) {
        let part = Backward {
            adapters: &mut self.adapters,
            bias: match &mut self.bias {
                Some(Bias::Trained(bias)) => Some(bias),
                _ => None,
            },
            features: self.features,
        };
        let active = if self.is_enabled {
            &self.active[..]
        } else {
            &[]
        };
        (active, part)
    }

    /// All tokens with the adapters that take part: none beside those that are merged.
    fn active_run(&self, tokens: usize) -> Run<'_> {
        let adapters = match self.is_enabled && self.merged.is_empty() {
            true => &self.active[..],
            false => &[],
        };
        Run { tokens, adapters }
    }

    /// The rows as runs; `indices` are those of all adapters.
    fn runs<'a>(
        &self,
        rows: &[Option<&str>],
        tokens: usize,
        indices: &'a [usize],
    ) -> Result<Vec<Run<'a>>> {
        self.check_unmerged()?;
        if !self.is_enabled {
            return Err(self.unfit("enabled adapters for rows of their own", "disabled ones"));
        }
        if rows.is_empty() || !tokens.is_multiple_of(rows.len()) {
            let expected = format!("tokens of {} rows of one length", rows.len());
            return Err(self.unfit(expected, tokens.to_string()));
        }
        let of_row = tokens / rows.len();
        let mut runs: Vec<Run<'a>> = Vec::new();
        for name in rows {
            let index = name.map(|name| self.index(name)).transpose()?;
            let adapters = index.map_or(&[][..], |index| &indices[index..=index]);
            match runs.last_mut() {
                Some(run) if run.adapters == adapters => run.tokens += of_row,
                _ => runs.push(Run {
                    tokens: of_row,
                    adapters,
                }),
            }
        }
        Ok(runs)
    }

    /// The number of tokens, which the lengths of `x`, of `y` or `dy`, and of `dx` have to agree about.
    fn check_tokens(
        &self,
        x: usize,
        (what, outputs): (&str, usize),
        dx: Option<usize>,
    ) -> Result<usize> {
        let (of_output, of_input) = self.features;
        let tokens = x / of_input;
        for (what, features, found) in [
            ("x", of_input, x),
            (what, of_output, outputs),
            ("dx", of_input, dx.unwrap_or(x)),
        ] {
            if found != tokens * features {
                let expected = format!("{what} of {tokens} tokens x {features}");
                return Err(self.unfit(expected, format!("{found} elements")));
            }
        }
        Ok(tokens)
    }

    fn index(&self, name: &str) -> Result<usize> {
        let index = self
            .adapters
            .iter()
            .position(|adapter| adapter.name() == name);
        index.ok_or_else(|| {
            let names: Vec<&str> = self.adapters.iter().map(LayerAdapter::name).collect();
            self.unfit(
                format!("one of the adapters {names:?}"),
                format!("{name:?}"),
            )
        })
    }

    fn check_bias(&self, bias: &[f32]) -> Result<()> {
        if bias.len() == self.features.0 {
            return Ok(());
        }
        let expected = format!("a bias of {} elements", self.features.0);
        Err(self.unfit(expected, bias.len().to_string()))
    }

    fn check_unmerged(&self) -> Result<()> {
        if self.merged.is_empty() {
            return Ok(());
        }
        Err(self.unfit("no merged adapters", self.merged.len().to_string()))
    }

    fn unfit(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let layer = format!("layer {:?}", self.module);
        Error::layer(&layer, expected, found)
    }
}
