//! `waveft inspect`: what an adapter or a checkpoint holds.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Checkpoint;
use waveft_std::config::CONFIG_FILE;
use waveft_std::in_place::{self, JournalState};
use waveft_std::name_map::NameMap;

use crate::Failure;
use crate::table::align;

/// Show what an adapter or a checkpoint holds
#[derive(Args)]
pub(crate) struct Arguments {
    /// An adapter's folder, a .safetensors file, or a checkpoint's folder
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The adapter's base, for its modules' shapes and the share of its parameters; the default is the one that the
    /// adapter's configuration names, if that is on this machine and has its modules
    #[arg(long, value_name = "FILE|DIR")]
    base: Option<PathBuf>,

    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let is_adapter = arguments.path.join(CONFIG_FILE).exists();
    let facts = if is_adapter {
        let adapter = Adapter::read(&arguments.path)?;
        let base = base_of(arguments, &adapter)?;
        adapter_facts(&adapter, base.as_ref())?
    } else {
        checkpoint_facts(&arguments.path)?
    };
    let text = match (arguments.json, is_adapter) {
        (true, _) => format!("{facts:#}\n"),
        (false, true) => adapter_text(&facts),
        (false, false) => checkpoint_text(&facts),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// The base that is named, or that the configuration names and that is there.
fn base_of(arguments: &Arguments, adapter: &Adapter) -> Result<Option<Checkpoint>, Failure> {
    if let Some(base) = &arguments.base {
        return Ok(Some(Checkpoint::open(base)?));
    }
    // Another model may be there by now.
    let named = adapter.config().base_model_name_or_path();
    let base = named.and_then(|path| Checkpoint::open(path).ok());
    Ok(base.filter(|base| map_of(adapter, base).is_ok()))
}

/// Where the adapter's modules are in a base.
fn map_of(adapter: &Adapter, base: &Checkpoint) -> waveft_std::error::Result<NameMap> {
    let modules = adapter.spectra().iter().map(|spectrum| spectrum.module());
    let names = base.tensors().map(|tensor| tensor.name);
    NameMap::resolve(base.path(), modules, names)
}

fn adapter_facts(adapter: &Adapter, base: Option<&Checkpoint>) -> Result<Value, Failure> {
    let config = adapter.config();
    let map = match base {
        None => None,
        Some(base) => Some((base, map_of(adapter, base)?)),
    };
    let shape = |module: &str| {
        let (base, map) = map.as_ref()?;
        let shape = base.tensor(&map.weight_name(module))?.shape;
        let mut shape = shape.to_vec();
        if config.fan_in_fan_out() {
            shape.reverse();
        }
        Some(shape)
    };
    let modules: Vec<Value> = adapter
        .spectra()
        .iter()
        .map(|spectrum| {
            let shape = shape(spectrum.module());
            let share = shape.as_ref().map(|shape| {
                spectrum.len() as f64 / shape.iter().map(|&side| side as f64).product::<f64>()
            });
            json!({
                "module": spectrum.module(), "n_frequency": spectrum.len(), "dtype": spectrum.dtype().to_string(),
                "shape": shape, "share": share,
            })
        })
        .collect();
    let tensors: Vec<Value> = adapter
        .tensors()
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name(), "dtype": tensor.dtype().to_string(), "shape": tensor.shape(),
                "parameters": tensor.shape().iter().product::<usize>(),
            })
        })
        .collect();
    let coefficients: usize = adapter
        .spectra()
        .iter()
        .map(|spectrum| spectrum.len())
        .sum();
    let saved: usize = adapter
        .tensors()
        .iter()
        .map(|tensor| tensor.shape().iter().product::<usize>())
        .sum();
    let base_parameters: Option<usize> = base.map(parameters);
    Ok(json!({
        "kind": "adapter",
        "path": adapter.path().display().to_string(),
        "name": adapter.name(),
        "base": config.base_model_name_or_path(),
        "task_type": config.task_type(),
        "wavelet": config.wavelet().name(),
        "taps": config.wavelet().taps(),
        "use_idwt": config.use_idwt(),
        "scaling": config.scaling(),
        "seed": config.random_loc_seed().cast_signed(),
        "fan_in_fan_out": config.fan_in_fan_out(),
        "modules": modules,
        "tensors": tensors,
        "coefficients": coefficients,
        "parameters": coefficients + saved,
        "base_parameters": base_parameters,
        "share": base_parameters.map(|all| (coefficients + saved) as f64 / all as f64),
    }))
}

fn parameters(checkpoint: &Checkpoint) -> usize {
    let tensors = checkpoint.tensors();
    tensors
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum()
}

fn checkpoint_facts(path: &Path) -> Result<Value, Failure> {
    let checkpoint = Checkpoint::open(path)?;
    let merged = in_place::status(path)?.map(|journal| {
        let state = match journal.state {
            JournalState::Pending => "interrupted",
            JournalState::Applied => "complete",
        };
        json!({"state": state, "journal": journal.path.display().to_string(), "merged": journal.description})
    });
    let files = checkpoint.files();
    let tensors: Vec<Value> = checkpoint
        .tensors()
        .map(|tensor| {
            json!({
                "name": tensor.name, "dtype": tensor.dtype.to_string(), "shape": tensor.shape,
                "parameters": tensor.shape.iter().product::<usize>(), "file": files[tensor.file].name(),
            })
        })
        .collect();
    let bytes: u64 = files.iter().map(|file| file.length()).sum();
    let names: Vec<&str> = files.iter().map(|file| file.name()).collect();
    Ok(json!({
        "kind": "checkpoint",
        "path": path.display().to_string(),
        "files": names,
        "bytes": bytes,
        "tensors": tensors,
        "parameters": parameters(&checkpoint),
        "merged_in_place": merged,
    }))
}

fn adapter_text(facts: &Value) -> String {
    let wavelet = if facts["use_idwt"] == json!(true) {
        format!("{} ({} taps)", plain(&facts["wavelet"]), facts["taps"])
    } else {
        "none (use_idwt is false)".to_owned()
    };
    let mut text = format!(
        "adapter {}: {} parameters{}\nwavelet {wavelet}, scaling {}, seed {}{}\n\n",
        plain(&facts["path"]),
        facts["parameters"],
        match facts["share"].as_f64() {
            Some(share) => format!(
                ", {} of the base's {}",
                percent(share),
                facts["base_parameters"]
            ),
            None => String::new(),
        },
        facts["scaling"],
        facts["seed"],
        if facts["fan_in_fan_out"] == json!(true) {
            ", weights stored in × out"
        } else {
            ""
        },
    );
    let mut rows = vec![
        ["module", "n", "dtype", "out × in", "share"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for module in list(&facts["modules"]) {
        let share = module["share"].as_f64().map_or("?".to_owned(), percent);
        let cells = ["n_frequency", "dtype"].map(|key| plain(&module[key]));
        let [n, dtype] = cells;
        rows.push(vec![
            plain(&module["module"]),
            n,
            dtype,
            shape(&module["shape"]),
            share,
        ]);
    }
    text += &align(&rows);
    let tensors = list(&facts["tensors"]);
    if !tensors.is_empty() {
        text += "\nreplaces or adds\n";
        text += &align(&tensors.iter().map(tensor_row).collect::<Vec<_>>());
    }
    text
}

fn checkpoint_text(facts: &Value) -> String {
    let mut text = format!(
        "checkpoint {}: {} parameters in {} tensors, {} bytes in {}\n",
        plain(&facts["path"]),
        facts["parameters"],
        list(&facts["tensors"]).len(),
        facts["bytes"],
        crate::progress::count(list(&facts["files"]).len(), "file"),
    );
    let merged = &facts["merged_in_place"];
    if !merged.is_null() {
        text += &format!(
            "merged in place ({}): {}\n",
            plain(&merged["state"]),
            merged["merged"]["adapters"]
        );
    }
    text += "\n";
    let mut rows = vec![
        ["tensor", "dtype", "shape", "parameters"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(list(&facts["tensors"]).iter().map(tensor_row));
    text + &align(&rows)
}

fn tensor_row(tensor: &Value) -> Vec<String> {
    vec![
        plain(&tensor["name"]),
        plain(&tensor["dtype"]),
        shape(&tensor["shape"]),
        plain(&tensor["parameters"]),
    ]
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as a person would write it.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn shape(value: &Value) -> String {
    if value.is_null() {
        return "?".to_owned();
    }
    let sides: Vec<String> = list(value).iter().map(plain).collect();
    if sides.is_empty() {
        "scalar".to_owned()
    } else {
        sides.join(" × ")
    }
}

fn percent(share: f64) -> String {
    format!("{:.3} %", 100.0 * share)
}
