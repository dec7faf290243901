//! Layers as an adapter's file would make them.

use std::error::Error;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Dtype;
use waveft_std::config::AdapterConfig;
use waveft_std::layer::{LayerSpec, LayerUpdate, prepare};
use waveft_std::target_modules::ModuleShape;

/// A layer of `rows × columns` with `count` coefficients.
pub(crate) struct Shape {
    pub wavelet: String,
    pub rows: usize,
    pub columns: usize,
    pub count: usize,
}

/// The updates of so many layers of one shape, with some coefficients that are not zero.
pub(crate) fn adapters(
    shape: &Shape,
    layers: usize,
) -> Result<Vec<LayerUpdate>, Box<dyn Error + Send + Sync>> {
    let Shape {
        wavelet,
        rows,
        columns,
        count,
    } = shape;
    let json = format!(
        r#"{{"peft_type": "WAVEFT", "target_modules": ["proj"], "n_frequency": {count}, "wavelet_family": "{wavelet}",
            "scaling": 25.0, "random_loc_seed": 777, "init_weights": false}}"#
    );
    let modules: Vec<ModuleShape> = (0..layers)
        .map(|layer| ModuleShape {
            path: format!("layers.{layer}.proj"),
            out_features: *rows,
            in_features: *columns,
        })
        .collect();
    let adapter = Adapter::create(AdapterConfig::parse(&json)?, &modules)?;
    let specs: Vec<LayerSpec<'_>> = adapter
        .spectra()
        .iter()
        .map(|spectrum| LayerSpec {
            config: adapter.config(),
            spectrum,
            stored: (*rows, *columns),
            dtype: Dtype::F32,
        })
        .collect();
    Ok(prepare(&specs).map_err(|(_, error)| error)?)
}
