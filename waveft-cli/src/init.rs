//! `waveft init`: a fresh adapter.

use std::path::{Path, PathBuf};

use clap::Args;
use waveft_std::Error;
use waveft_std::adapter::{Adapter, MODEL_FILE};
use waveft_std::checkpoint::Checkpoint;
use waveft_std::config::{AdapterConfig, CONFIG_FILE};
use waveft_std::target_modules::{ModuleShape, linear_modules, unmatched_names};

use crate::Failure;
use crate::progress::{Bar, count};
use crate::table::first_rows;

/// The keys of a configuration, as PEFT 0.21.2 saves them.
const KEYS: [&str; 22] = [
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_weights",
    "layers_pattern",
    "layers_to_transform",
    "modules_to_save",
    "n_frequency",
    "n_frequency_pattern",
    "peft_type",
    "peft_version",
    "proportional_parameters",
    "random_loc_seed",
    "revision",
    "scaling",
    "target_modules",
    "task_type",
    "use_idwt",
    "wavelet_family",
];

/// Create an untrained adapter for a base, as a configuration has it
///
/// Its spectra are zero, or small random numbers if `init_weights` is false: torch's, from `random_loc_seed`. The places come from
/// the same seed, so the numbers are correlated with the rows that they are in, as PEFT's are after
/// `torch.manual_seed(random_loc_seed)`.
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
    let unmatched = unmatched_names(adapter.config(), &modules);
    if !unmatched.is_empty() {
        let (config, base) = (arguments.config.display(), arguments.base.display());
        bar.warn(&format!(
            "{config}: key \"target_modules\": expected names of modules of {base}, found {unmatched:?}, which no linear module \
             there has"
        ));
    }
    for file in [CONFIG_FILE, MODEL_FILE] {
        let path = arguments.output.join(file);
        if path.exists() {
            return Err(Error::OutputExists { path }.into());
        }
    }
    adapter.save(&arguments.output)?;
    bar.done(&report(&adapter, &modules, &arguments.output));
    Ok(())
}

/// The adapted modules as a table, the first of them if there are many, and how much there is of it all.
fn report(adapter: &Adapter, modules: &[ModuleShape], output: &Path) -> String {
    let shape = |path: &str| {
        let module = modules.iter().find(|module| module.path == path);
        module.map(|module| format!("{} × {}", module.out_features, module.in_features))
    };
    let spectra = adapter.spectra();
    let rows = spectra.iter().map(|spectrum| {
        let module = spectrum.module();
        let shape = shape(module).unwrap_or_default();
        [module.to_owned(), shape, spectrum.len().to_string()]
    });
    let mut report = first_rows(["module", "out × in", "coefficients"], rows);
    let coefficients = spectra.iter().map(|spectrum| spectrum.len()).sum();
    report += &format!(
        "created {} with {} in {}",
        count(spectra.len(), "module"),
        count(coefficients, "coefficient"),
        output.display()
    );
    // A misspelt key is kept as any other that is not known, and its setting has the default.
    let mut unknown = adapter.config().keys().keys();
    if let Some(key) = unknown.find(|key| !KEYS.contains(&key.as_str())) {
        report +=
            &format!("; {key:?} in the configuration is no setting of WaveFT, and changes nothing");
    }
    report
}
