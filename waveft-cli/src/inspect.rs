//! `waveft inspect`: what an adapter or a checkpoint holds.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use waveft_std::Error;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Checkpoint;
use waveft_std::config::CONFIG_FILE;
use waveft_std::in_place::{self, JournalState};
use waveft_std::name_map::NameMap;

use crate::Failure;
use crate::merge::merged_adapters;
use crate::output::{HEADING, print, printable};
use crate::plot;
use crate::progress::Bar;
use crate::table::table;

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

    /// Print it as JSON
    #[arg(long)]
    json: bool,

    /// Draw the adapter too: the energy of every module, the sub-bands and ΔW of one
    #[arg(long, value_name = "FILE.svg|FILE.png", value_parser = plot::Target::parse)]
    plot: Option<plot::Target>,

    /// The module whose sub-bands and ΔW are drawn; the default is the one with the most energy
    #[arg(long, value_name = "NAME", requires = "plot")]
    module: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let is_adapter = arguments.path.join(CONFIG_FILE).exists();
    let facts = if is_adapter {
        let adapter = Adapter::read(&arguments.path)?;
        let base = match base_of(arguments, &adapter)? {
            Some(base) => Some((map_of(&adapter, &base)?, base)),
            None => None,
        };
        let base = base.as_ref().map(|(map, base)| (base, map));
        if let Some(target) = &arguments.plot {
            plot::draw(&adapter, base, arguments.module.as_deref(), target)?;
        }
        adapter_facts(&adapter, base)
    } else {
        let checkpoint = open_checkpoint(&arguments.path)?;
        let expected = match (&arguments.plot, &arguments.base) {
            (Some(_), _) => "an adapter's folder, which can be drawn",
            (None, Some(_)) => "an adapter's folder, which has a base",
            (None, None) => "",
        };
        if !expected.is_empty() {
            return Err(Error::file(&arguments.path, expected, "a checkpoint").into());
        }
        checkpoint_facts(&checkpoint)?
    };
    let text = match (arguments.json, is_adapter) {
        (true, _) => format!("{facts:#}\n"),
        (false, true) => adapter_text(&facts),
        (false, false) => checkpoint_text(&facts),
    };
    print(text.as_bytes())?;
    if let (Some(target), false) = (&arguments.plot, arguments.json) {
        bar.done(&format!("\ndrew {}", target.path.display()));
    }
    Ok(())
}

/// Opens what is no adapter's folder. Of a folder that is no checkpoint either, the message names what adapters have, too.
fn open_checkpoint(path: &Path) -> Result<Checkpoint, Failure> {
    let neither = |expected| format!("{CONFIG_FILE}, {expected}");
    match Checkpoint::open(path) {
        Err(Error::File {
            path: at,
            expected,
            found,
        }) if at == path && path.is_dir() => Err(Error::file(at, neither(expected), found).into()),
        opened => Ok(opened?),
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

fn adapter_facts(adapter: &Adapter, base: Option<(&Checkpoint, &NameMap)>) -> Value {
    let config = adapter.config();
    let shape = |module: &str| {
        let (base, map) = base?;
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
    let base_parameters: Option<usize> = base.map(|(base, _)| parameters(base));
    json!({
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
    })
}

fn parameters(checkpoint: &Checkpoint) -> usize {
    let tensors = checkpoint.tensors();
    tensors
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum()
}

fn checkpoint_facts(checkpoint: &Checkpoint) -> Result<Value, Failure> {
    let path = checkpoint.path();
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
        "parameters": parameters(checkpoint),
        "merged_in_place": merged,
    }))
}

fn adapter_text(facts: &Value) -> String {
    let wavelet = if facts["use_idwt"] == json!(true) {
        format!("{} ({} taps)", plain(&facts["wavelet"]), facts["taps"])
    } else {
        "none (use_idwt is false)".to_owned()
    };
    let base = match facts["base"].as_str() {
        Some(base) => format!("base {}\n", printable(base)),
        None => String::new(),
    };
    let mut text = format!(
        "{HEADING}adapter {}{HEADING:#}: {} parameters{}\n{base}wavelet {wavelet}, scaling {}, seed {}{}\n\n",
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
    let mut rows = Vec::new();
    for module in list(&facts["modules"]) {
        let share = module["share"].as_f64().map_or("?".to_owned(), percent);
        let cells = ["n_frequency", "dtype"].map(|key| plain(&module[key]));
        let [n, dtype] = cells;
        rows.push([
            plain(&module["module"]),
            n,
            dtype,
            shape(&module["shape"]),
            share,
        ]);
    }
    text += &table(["module", "n", "dtype", "out × in", "share"], &rows);
    if facts["base_parameters"].is_null() {
        text += "?: known from the base, by --base FILE|DIR\n";
    }
    let tensors = list(&facts["tensors"]);
    if !tensors.is_empty() {
        text.push('\n');
        text += &tensor_table("replaces or adds", tensors);
    }
    text
}

fn checkpoint_text(facts: &Value) -> String {
    let mut text = format!(
        "{HEADING}checkpoint {}{HEADING:#}: {} parameters in {} tensors, {} bytes in {}\n",
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
            merged_adapters(&merged["merged"])
        );
    }
    text += "\n";
    text + &tensor_table("tensor", list(&facts["tensors"]))
}

fn tensor_table(name: &str, tensors: &[Value]) -> String {
    let row = |tensor: &Value| {
        [
            plain(&tensor["name"]),
            plain(&tensor["dtype"]),
            shape(&tensor["shape"]),
            plain(&tensor["parameters"]),
        ]
    };
    let rows: Vec<_> = tensors.iter().map(row).collect();
    table([name, "dtype", "shape", "parameters"], &rows)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as a person would write it, without what would command the terminal.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), printable)
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
