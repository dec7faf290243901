//! Each of PEFT's settings and calls, and what it is here.
//!
//! Compared with PEFT 0.21.2. Files go both ways: PEFT loads what [`Adapter::save`] writes, and [`Adapter::read`] what PEFT saved.
//! The values are PEFT's too; [the differences](#what-differs) are few.
//!
//! [`Adapter`]: crate::adapter::Adapter
//! [`Adapter::read`]: crate::adapter::Adapter::read
//! [`Adapter::save`]: crate::adapter::Adapter::save
//! [`AdapterConfig`]: crate::config::AdapterConfig
//! [`AdapterConfig::parse`]: crate::config::AdapterConfig::parse
//! [`AdapterSet`]: crate::adapter_set::AdapterSet
//! [`WaveFtLinear`]: crate::linear::WaveFtLinear
//!
//! # Settings
//! A configuration is PEFT's `adapter_config.json` itself, read by [`AdapterConfig::parse`]; what is left out has PEFT's default.
//!
//! | `WaveFTConfig` | default | here |
//! |---|---|---|
//! | `n_frequency` | 2592 | [`n_frequency`](crate::config::AdapterConfig::n_frequency); of a saved adapter the spectrum's own length counts |
//! | `scaling` | 25.0 | [`scaling`](crate::config::AdapterConfig::scaling), any finite number |
//! | `wavelet_family` | `"db1"` | [`wavelet`](crate::config::AdapterConfig::wavelet): any of PyWavelets' 106, where PEFT runs 23; `"coif4"` is PEFT's table |
//! | `use_idwt` | true | [`use_idwt`](crate::config::AdapterConfig::use_idwt) |
//! | `random_loc_seed` | 777 | [`random_loc_seed`](crate::config::AdapterConfig::random_loc_seed), the same places bit for bit |
//! | `fan_in_fan_out` | false | [`fan_in_fan_out`](crate::config::AdapterConfig::fan_in_fan_out) |
//! | `target_modules` | null | [`target_modules`](crate::config::AdapterConfig::target_modules): a list or a regular expression. To create an adapter it must be given, and not as `"all-linear"` |
//! | `exclude_modules` | null | [`exclude_modules`](crate::config::AdapterConfig::exclude_modules) |
//! | `bias` | `"none"` | [`bias`](crate::config::AdapterConfig::bias): saved biases replace the base's; [`with_trained_bias`](crate::linear::WaveFtLinear::with_trained_bias) trains one |
//! | `modules_to_save` | null | [`modules_to_save`](crate::config::AdapterConfig::modules_to_save): saved tensors replace the base's, or are added; training them is the caller's |
//! | `layers_to_transform`, `layers_pattern` | null | the same, in [`select_modules`](crate::target_modules::select_modules) |
//! | `n_frequency_pattern` | `{}` | the same |
//! | `proportional_parameters` | false | the same, rounded as Python rounds |
//! | `init_weights` | true | zeros; for false torch's normal numbers · 0.01, from a generator seeded with `random_loc_seed`, where PEFT's comes from torch's global one. Places come from the same seed, so the numbers are correlated with their rows, as PEFT's are after `torch.manual_seed(random_loc_seed)` |
//! | `task_type` | null | decides which heads count as `modules_to_save` |
//! | `base_model_name_or_path`, `peft_version`, `revision`, `inference_mode`, `auto_mapping`, any other key | | kept as they are, to the byte |
//!
//! # Calls
//! | PEFT | here |
//! |---|---|
//! | `get_peft_model(model, config)` | [`Adapter::create`](crate::adapter::Adapter::create), then [`prepare`](crate::layer::prepare) and a [`WaveFtLinear`] a layer; `waveft init` |
//! | `PeftModel.from_pretrained(model, folder)` | [`Adapter::read`] |
//! | `model.save_pretrained(folder)` | [`WaveFtLinear::store`](crate::linear::WaveFtLinear::store), [`Adapter::save`] |
//! | `model.add_adapter(name, config)`, `load_adapter` | [`add_adapter`](crate::linear::WaveFtLinear::add_adapter); [`AdapterSet::load`](crate::adapter_set::AdapterSet::load) for a whole model |
//! | `model.set_adapter(names)` | [`activate`](crate::linear::WaveFtLinear::activate) |
//! | `with model.disable_adapter():` | [`enable(false)`](crate::linear::WaveFtLinear::enable) |
//! | `layer.get_delta_weight(name)` | [`LayerUpdate::write`](crate::layer::LayerUpdate::write), [`reconstruct`](crate::layer::reconstruct); `waveft delta` |
//! | `model.merge_adapter(names)` | [`merge`](crate::linear::WaveFtLinear::merge), [`AdapterSet::switch_to`](crate::adapter_set::AdapterSet::switch_to) |
//! | `model.unmerge_adapter()` | [`unmerge`](crate::linear::WaveFtLinear::unmerge), to the bit |
//! | `model.merge_and_unload()`, then `save_pretrained` | [`Merge`](crate::merge::Merge) and [`rewrite::write_to`](crate::rewrite::write_to); `waveft merge` |
//! | `merge_and_unload(safe_merge=True)` | the last argument of [`Merge::new`](crate::merge::Merge::new); `--safe` |
//! | `model(x)`, `loss.backward()` | [`forward`](crate::linear::WaveFtLinear::forward), [`backward`](crate::linear::WaveFtLinear::backward) of each layer |
//! | `torch.optim.AdamW`, `SGD`, `clip_grad_norm_` | [`AdamW`](waveft_core::optimiser::AdamW), [`Sgd`](waveft_core::optimiser::Sgd), [`with_max_norm`](crate::training::Trainer::with_max_norm) |
//! | transformers' `get_cosine_schedule_with_warmup` and its like | [`Schedule`](waveft_core::schedule::Schedule) |
//! | no counterpart | an adapter for each row of a batch, [`forward_rows`](crate::linear::WaveFtLinear::forward_rows) |
//! | `pickle` files, `adapter_model.bin` | refused: a pickle can run code |
//!
//! # What differs
//! - **Memory and time.** `ΔW` and `dL/dW` are never formed, so an adapter costs what it covers and not what the layer has.
//! - **Unmerging is exact.** PEFT subtracts, and bf16 weights drift.
//! - **Overlapping atoms.** Where one coefficient covers an entry, the merged weight has PEFT's bits. Where several do, PEFT's
//!   convolution and we may sum in another order: the last bit of `ΔW` may differ, in bf16 and f16 hardly ever that of the weight.
//! - **Filters.** PEFT has PyWavelets' digits, up to 2 · 10⁻¹¹ off the exact ones (sym), and 3.6 · 10⁻¹² off PyWavelets' in db3; ours
//!   are exact to the last bit. f32 does not see the difference. PEFT's coif4 is up to 0.0122 off: `"coif4"` in a configuration is that
//!   table, [`PEFT_COIF4`](waveft_core::filter_bank::wavelets::PEFT_COIF4), for adapters depend on it.
//! - **Only what is in the files.** A checkpoint tells names and shapes, not classes: an embedding and a linear layer look alike.
//!   So `target_modules` has to name the modules, as it does in every adapter that PEFT saved.
//! - **Names with a prefix.** An adapter trained under a task's head has names (`bert.…`) that the bare base lacks;
//!   [`name_map`](crate::name_map) finds the prefix.
//!
//! # An example
//! ```python
//! config = WaveFTConfig(n_frequency=6, target_modules=["q_proj", "v_proj"], scaling=25.0)
//! model = get_peft_model(base, config)
//! …
//! model.save_pretrained("adapter")
//! merged = model.merge_and_unload()
//! merged.save_pretrained("merged")
//! ```
//!
//! ```
//! use waveft_std::{adapter::Adapter, checkpoint::Checkpoint, config::AdapterConfig, merge::Merge, rewrite};
//! use waveft_std::target_modules::linear_modules;
//!
//! # let data = |path: &str| format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
//! # let base = data("bases/llama");
//! # let folder = tempfile::tempdir()?;
//! # let (trained, output) = (folder.path().join("adapter"), folder.path().join("merged"));
//! let base = Checkpoint::open(base)?;
//! let config = AdapterConfig::parse(
//!     r#"{"peft_type": "WAVEFT", "n_frequency": 6, "target_modules": ["q_proj", "v_proj"], "scaling": 25.0}"#,
//! )?;
//! let mut adapter = Adapter::create(config, &linear_modules(&base, false))?;
//! assert_eq!(adapter.spectra().len(), 2 * 3); // q and v of three layers
//! // Training, or as here coefficients that come from elsewhere.
//! adapter.set_spectrum("model.layers.0.self_attn.q_proj", &[0.5, 0.0, 0.0, -1.0, 0.0, 2.0])?;
//! adapter.save(&trained)?;
//!
//! let adapters = [Adapter::read(&trained)?];
//! let merge = Merge::new(&base, &adapters, false)?;
//! rewrite::write_to(&base, &merge.edits(), &output, &())?;
//!
//! let merged = Checkpoint::open(&output)?;
//! let changed = base.tensors().filter(|tensor| merged.tensor(tensor.name).unwrap().bytes != tensor.bytes);
//! assert_eq!(changed.map(|tensor| tensor.name).collect::<Vec<_>>(), ["model.layers.0.self_attn.q_proj.weight"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
