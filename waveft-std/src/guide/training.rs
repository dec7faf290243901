//! A layer, its gradients, an optimiser, a saved adapter.
//!
//! There is no automatic differentiation here. A layer has a [`forward`](crate::linear::WaveFtLinear::forward) and a
//! [`backward`](crate::linear::WaveFtLinear::backward); what is between layers (activations, normalisation, the loss) is the
//! caller's, or another framework's. The repository's example `finetune` does it for a network of three layers.
//!
//! The steps are always these:
//!
//! 1. an [`Adapter`](crate::adapter::Adapter), read or [created](crate::adapter::Adapter::create) from a configuration of PEFT's;
//! 2. [`prepare`](crate::layer::prepare): the places of all layers at once;
//! 3. a [`WaveFtLinear`](crate::linear::WaveFtLinear) for each layer, on its frozen weight;
//! 4. for each batch `forward`, the loss, `backward`, and a [`Trainer`](crate::training::Trainer)'s step;
//! 5. [`store`](crate::linear::WaveFtLinear::store) and [`save`](crate::adapter::Adapter::save): an adapter that PEFT loads.
//!
//! Here two layers, `y = fc2(max(0, fc1(x)))`, learn to give what the same layers with another adapter give:
//!
//! ```
//! use waveft_core::optimiser::{AdamW, Rates};
//! use waveft_core::schedule::Schedule;
//! use waveft_std::adapter::Adapter;
//! use waveft_std::checkpoint::Dtype;
//! use waveft_std::config::AdapterConfig;
//! use waveft_std::layer::{LayerSpec, prepare};
//! use waveft_std::linear::{WaveFtLinear, Weight, parameter_groups};
//! use waveft_std::target_modules::ModuleShape;
//! use waveft_std::training::{Optimiser, Trainer};
//!
//! // Numbers from -1 to 1 that need no generator.
//! let noise = |seed: usize, count: usize| -> Vec<f32> {
//!     let value = |i: usize| ((i + 1000 * seed) as f32 * 12.9898).sin();
//!     (0..count).map(value).collect()
//! };
//! let modules = [("fc1", 16, 8), ("fc2", 4, 16)].map(|(path, out_features, in_features)| ModuleShape {
//!     path: path.to_owned(),
//!     out_features,
//!     in_features,
//! });
//! let weights = [noise(1, 16 * 8), noise(2, 4 * 16)];
//!
//! // 1. A fresh adapter: all coefficients are zero.
//! let json = r#"{"peft_type": "WAVEFT", "n_frequency": 24, "scaling": 2.0, "target_modules": ["fc1", "fc2"]}"#;
//! let mut adapter = Adapter::create(AdapterConfig::parse(json)?, &modules)?;
//! let mut other = adapter.clone(); // what shall be learnt
//! for (module, seed) in [("fc1", 3), ("fc2", 4)] {
//!     other.set_spectrum(module, &noise(seed, 24).iter().map(|x| 0.1 * x).collect::<Vec<_>>())?;
//! }
//!
//! // 2. and 3. The layers, with both adapters.
//! let mut layers = Vec::new();
//! for (module, weight) in modules.iter().zip(&weights) {
//!     let stored = (module.out_features, module.in_features);
//!     layers.push(WaveFtLinear::new(&module.path, Weight::new(&weight[..], stored.0, stored.1)?)?);
//! }
//! for (name, adapter) in [("other", &other), ("default", &adapter)] {
//!     let spec = |(spectrum, module): (_, &ModuleShape)| LayerSpec {
//!         config: adapter.config(),
//!         spectrum,
//!         stored: (module.out_features, module.in_features),
//!         dtype: Dtype::F32,
//!     };
//!     let specs: Vec<_> = adapter.spectra().iter().zip(&modules).map(spec).collect();
//!     for (layer, update) in layers.iter_mut().zip(prepare(&specs).map_err(|(_, error)| error)?) {
//!         layer.add_adapter(name, update)?;
//!     }
//! }
//!
//! // The network, and what is between its layers. 32 tokens a batch.
//! const TOKENS: usize = 32;
//! let network = |layers: &[WaveFtLinear<Weight<'_>>], x: &[f32]| -> waveft_std::Result<(Vec<f32>, Vec<f32>)> {
//!     let (mut hidden, mut y) = (vec![0.0; TOKENS * 16], vec![0.0; TOKENS * 4]);
//!     layers[0].forward(x, &mut hidden)?;
//!     hidden.iter_mut().for_each(|value| *value = value.max(0.0));
//!     layers[1].forward(&hidden, &mut y)?;
//!     Ok((hidden, y))
//! };
//! let x = noise(5, TOKENS * 8);
//! layers.iter_mut().try_for_each(|layer| layer.activate(&["other"]))?;
//! let (_, target) = network(&layers, &x)?;
//! layers.iter_mut().try_for_each(|layer| layer.activate(&["default"]))?;
//!
//! // 4. Steps. Spectra are the first group of parameters, trained biases the second; there are none here.
//! let schedule = Schedule::Cosine { warmup_steps: 10, total_steps: 200 };
//! let rates = vec![Rates::new(0.01, 0.0)?; 2];
//! let mut trainer = Trainer::new(Optimiser::AdamW(AdamW::default()), schedule, rates);
//! let mut losses = Vec::new();
//! for _ in 0..200 {
//!     let (hidden, y) = network(&layers, &x)?;
//!     // ½ |y − target|² a token, and its gradient.
//!     let dy: Vec<f32> = y.iter().zip(&target).map(|(y, t)| (y - t) / TOKENS as f32).collect();
//!     let loss = dy.iter().map(|d| 0.5 * f64::from(d * d) * TOKENS as f64).sum();
//!
//!     let mut dhidden = vec![0.0; TOKENS * 16];
//!     layers[1].backward(&hidden, &dy, Some(&mut dhidden))?;
//!     for (gradient, &value) in dhidden.iter_mut().zip(&hidden) {
//!         *gradient = if value > 0.0 { *gradient } else { 0.0 };
//!     }
//!     layers[0].backward(&x, &dhidden, None)?; // nobody asks for the gradient of x
//!
//!     trainer.finish_micro_batch(loss);
//!     let [mut spectra, mut biases] = parameter_groups(&mut layers)?;
//!     trainer.step(&mut [&mut spectra, &mut biases], |progress| losses.push(progress.loss))?;
//! }
//! assert!(losses[199] < 0.01 * losses[0], "{} {}", losses[0], losses[199]);
//!
//! // 5. The adapter, for PEFT, for `waveft merge`, or to go on from.
//! for layer in &layers {
//!     layer.store("default", &mut adapter)?;
//! }
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! adapter.save(folder)?;
//! assert_eq!(Adapter::read(folder)?.spectra()[0].to_f32(), layers[0].adapters()[1].coefficients()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What else there is
//! - **Half precision**: activations and weights may be `bf16` or `f16`; spectra, gradients and moments are `f32`.
//! - **A base of another kind**, quantised or elsewhere: implement [`Base`](crate::linear::Base), or add the adapters' part alone to what
//!   another program computed ([`add_adapters`](crate::linear::WaveFtLinear::add_adapters)).
//! - **An adapter for each row of a batch**: [`forward_rows`](crate::linear::WaveFtLinear::forward_rows).
//! - **Clipping, accumulation, a run that goes on where it stopped**: [`training`](crate::training).
//! - **Without an allocator or threads**: [`waveft_core::operator`] and [`waveft_core::optimiser`], on slices.
