//! `waveft init`: a fresh adapter.

use std::path::PathBuf;

use clap::Args;
use waveft_std::Error;
use waveft_std::adapter::{Adapter, MODEL_FILE};
use waveft_std::checkpoint::Checkpoint;
use waveft_std::config::{AdapterConfig, CONFIG_FILE};
use waveft_std::target_modules::linear_modules;

use crate::Failure;
use crate::progress::{Bar, count};

/// Create an untrained adapter for a base, as a configuration has it
///
/// Its spectra are zero, or small random numbers if `init_weights` is false: torch's, from `random_loc_seed`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The base, which says what modules there are and how large
    #[arg(long, value_name = "FILE|DIR")]
    base: PathBuf,

    /// The configuration, as PEFT's adapter_config.json
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The folder to write
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let config = AdapterConfig::read(&arguments.config)?;
    let base = Checkpoint::open(&arguments.base)?;
    let modules = linear_modules(&base, config.fan_in_fan_out());
    let adapter = Adapter::create(config, &modules)?;
    for file in [CONFIG_FILE, MODEL_FILE] {
        let path = arguments.output.join(file);
        if path.exists() {
            return Err(Error::OutputExists { path }.into());
        }
    }
    adapter.save(&arguments.output)?;
    let coefficients: usize = adapter
        .spectra()
        .iter()
        .map(|spectrum| spectrum.len())
        .sum();
    bar.done(&format!(
        "created {} with {} in {}",
        count(adapter.spectra().len(), "module"),
        count(coefficients, "coefficient"),
        arguments.output.display()
    ));
    Ok(())
}
