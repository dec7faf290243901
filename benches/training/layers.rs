//! Layers with adapters as files would make them.

use std::error::Error;
use waveft_core::optimiser::{AdamW, Rates};
use waveft_core::schedule::Schedule;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Dtype;
use waveft_std::config::AdapterConfig;
use waveft_std::layer::{LayerSpec, prepare};
use waveft_std::linear::{Features, WaveFtLinear};
use waveft_std::target_modules::ModuleShape;
use waveft_std::training::{Optimiser, Trainer};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A layer of `rows × columns` with `count` coefficients.
pub(crate) struct Shape {
    pub(crate) wavelet: String,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) count: usize,
}

/// No base at all, so that what is timed are the adapters.
pub(crate) struct Idle((usize, usize));

impl Idle {
    pub(crate) fn of(shape: &Shape) -> Self {
        Self((shape.rows, shape.columns))
    }
}

impl Features for Idle {
    fn features(&self) -> (usize, usize) {
        self.0
    }
}

/// A layer with these adapters, of coefficients that are not zero.
pub(crate) fn layer<B: Features>(
    base: B,
    shape: &Shape,
    names: &[&str],
) -> Outcome<WaveFtLinear<B>> {
    let mut layer = WaveFtLinear::new("proj", base)?;
    for (index, name) in names.iter().enumerate() {
        let seed = 777 + index;
        let json = format!(
            r#"{{"peft_type": "WAVEFT", "target_modules": ["proj"], "n_frequency": {}, "wavelet_family": "{}",
                "scaling": 25.0, "random_loc_seed": {seed}, "init_weights": false}}"#,
            shape.count, shape.wavelet
        );
        let module = ModuleShape {
            path: "proj".to_owned(),
            out_features: shape.rows,
            in_features: shape.columns,
        };
        let adapter = Adapter::create(AdapterConfig::parse(&json)?, &[module])?;
        let specs = [LayerSpec {
            config: adapter.config(),
            spectrum: &adapter.spectra()[0],
            stored: (shape.rows, shape.columns),
            dtype: Dtype::F32,
        }];
        for update in prepare(&specs).map_err(|(_, error)| error)? {
            layer.add_adapter(name, update)?;
        }
    }
    Ok(layer)
}

/// AdamW at a constant rate on both groups.
pub(crate) fn trainer() -> Outcome<Trainer> {
    let rates = vec![Rates::new(1e-4, 0.0)?; 2];
    let schedule = Schedule::Constant { warmup_steps: 0 };
    let optimiser = Optimiser::AdamW(AdamW::default());
    Ok(Trainer::new(optimiser, schedule, rates))
}
