//! `waveft merge`: adapters into a base, in a new place or in its own.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use waveft_std::adapter::{Adapter, Spectrum};
use waveft_std::checkpoint::Checkpoint;
use waveft_std::in_place::{self, JournalInfo, JournalState};
use waveft_std::merge::Merge;
use waveft_std::rewrite;

use crate::Failure;
use crate::output::printable;
use crate::progress::{Bar, count};
use crate::table::first_rows;

/// Add adapters to a base checkpoint
///
/// Several adapters are added one after the other, each rounded to the weights' type, as PEFT does it. The output appears
/// complete or not at all. In place, a journal beside the base keeps every byte that changes: an interrupted merge is
/// finished by the same command, which finds a complete one done, and rolled back by `waveft unmerge`, which undoes either.
#[derive(Args)]
#[command(group(ArgGroup::new("target").required(true).args(["output", "in_place"])))]
pub(crate) struct Arguments {
    /// The base: a .safetensors file, or a folder with one or with shards and their index
    #[arg(long, value_name = "FILE|DIR")]
    base: PathBuf,

    /// An adapter's folder, as PEFT saves it; several are added in this order
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    adapter: Vec<PathBuf>,

    /// Where the merged checkpoint goes: a file for a file, a folder for a folder. A file that is there is replaced, and so
    /// is a symbolic link to one: the link, not what it leads to. A folder that is there must be an empty one and no link
    #[arg(long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,

    /// Change the base itself, keeping a journal for `waveft unmerge`
    #[arg(long)]
    in_place: bool,

    /// Refuse values that are NaN or infinite; without this, a spectrum that has one is merged with a warning
    #[arg(long)]
    safe: bool,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let Some(output) = &arguments.output else {
        return merge_in_place(arguments, bar);
    };
    let base = Checkpoint::open(&arguments.base)?;
    let adapters = read_adapters(arguments)?;
    let merge = Merge::new(&base, &adapters, arguments.safe)?;
    warn_of_not_finite(&adapters, bar);
    let found = in_place::status(&arguments.base)?;
    rewrite::write_to(&base, &merge.edits(), output, bar)?;
    let mut report = report(&merge, arguments, output);
    if let Some(found) = found {
        let before = merged_adapters(&found.description);
        report += &format!("; beside {before}, which the base had merged in place already");
    }
    bar.done(&report);
    Ok(())
}

fn merge_in_place(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let adapters = read_adapters(arguments)?;
    let description = describe(&adapters)?;
    if let Some(found) = in_place::status(&arguments.base)? {
        return finish(arguments, &found, &description, bar);
    }
    let base = Checkpoint::open(&arguments.base)?;
    let merge = Merge::new(&base, &adapters, arguments.safe)?;
    warn_of_not_finite(&adapters, bar);
    if merge.added().len() > 0 {
        let added: Vec<&str> = merge.added().collect();
        return Err(format!(
            "{}: expected adapters whose tensors the base all has, for nothing can be added in place, found {}; use \
             --output",
            arguments.base.display(),
            added.join(", ")
        )
        .into());
    }
    in_place::apply(base, &merge.edits(), &description, bar)?;
    let report = report(&merge, arguments, &arguments.base);
    bar.done(&format!(
        "{report}; `waveft unmerge --base {}` restores it",
        arguments.base.display()
    ));
    Ok(())
}

/// What to do about a journal that is there already: only the very merge that it is of is finished, or found complete.
fn finish(
    arguments: &Arguments,
    found: &JournalInfo,
    description: &Value,
    bar: &Bar,
) -> Result<(), Failure> {
    let (journal, base) = (found.path.display(), arguments.base.display());
    let merged = merged_adapters(&found.description);
    let is_same = found.description == *description;
    let done = match found.state {
        JournalState::Applied if is_same => {
            format!("{merged} had been merged into {base} already: nothing to do")
        }
        JournalState::Pending if is_same => {
            format!("finished the interrupted merge of {merged} into {base}")
        }
        JournalState::Applied => {
            return Err(format!(
                "{journal}: expected no merge of other adapters in place, or of these as they were before, found one of \
                 {merged}; `waveft unmerge --base {base}` undoes it"
            )
            .into());
        }
        JournalState::Pending => {
            return Err(format!(
                "{journal}: expected no interrupted merge of other adapters, or of these as they were before, found one of \
                 {merged}; finish it by the command that began it, or undo it by `waveft unmerge --base {base}`"
            )
            .into());
        }
    };
    in_place::finish(&arguments.base, bar)?;
    bar.done(&done);
    Ok(())
}

fn read_adapters(arguments: &Arguments) -> Result<Vec<Adapter>, Failure> {
    let adapters = arguments.adapter.iter().map(Adapter::read);
    Ok(adapters.collect::<Result<_, _>>()?)
}

/// Warns of the first coefficient that is NaN or infinite: every entry under its atom becomes so.
fn warn_of_not_finite(adapters: &[Adapter], bar: &Bar) {
    let spectra = adapters
        .iter()
        .flat_map(|adapter| adapter.spectra().iter().map(move |s| (adapter, s)));
    let found = |(adapter, spectrum): (&Adapter, &Spectrum)| {
        let values = spectrum.to_f64();
        let (at, value) = values.iter().enumerate().find(|(_, v)| !v.is_finite())?;
        let (path, key) = (adapter.path().display(), spectrum.key());
        Some(format!(
            "{path}: tensor {key:?}: expected finite numbers, found {value} at {at}; the weights that it is merged into \
             are no longer finite, which --safe refuses"
        ))
    };
    if let Some(message) = spectra.into_iter().find_map(found) {
        bar.warn(&message);
    }
}

/// What the journal says of a merge: the adapters, by their whole paths, and what they hold, which may change there.
fn describe(adapters: &[Adapter]) -> Result<Value, Failure> {
    let path = |adapter: &Adapter| match fs::canonicalize(adapter.path()) {
        Ok(path) => Ok(path.display().to_string()),
        Err(error) => Err(format!("{}: {error}", adapter.path().display())),
    };
    let paths: Vec<String> = adapters.iter().map(path).collect::<Result<_, _>>()?;
    let checksums: Vec<u64> = adapters.iter().map(Adapter::checksum).collect();
    Ok(json!({ "adapters": paths, "checksums": checksums }))
}

/// The adapters that a journal's description names, as a person would list them.
pub(crate) fn merged_adapters(description: &Value) -> String {
    let adapters = description["adapters"].as_array().into_iter().flatten();
    let names: Vec<&str> = adapters.filter_map(Value::as_str).collect();
    match names.is_empty() {
        true => "unnamed adapters".to_owned(),
        false => printable(&names.join(", ")),
    }
}

/// The adapted weights as a table, the first of them if there are many.
fn adapted(merge: &Merge<'_>) -> String {
    let rows = merge.adapted().map(|(name, weight)| {
        let (height, width) = weight.shape();
        [
            name.to_owned(),
            format!("{height} × {width}"),
            weight.dtype().to_string(),
            weight.coefficients().to_string(),
        ]
    });
    first_rows(["weight", "stored as", "dtype", "coefficients"], rows)
}

fn report(merge: &Merge<'_>, arguments: &Arguments, output: &Path) -> String {
    let mut report = adapted(merge);
    report += &format!(
        "merged {} into {}: {} adapted",
        count(arguments.adapter.len(), "adapter"),
        output.display(),
        count(merge.adapted().len(), "weight"),
    );
    for (number, done) in [
        (merge.replaced().len(), "replaced"),
        (merge.added().len(), "added"),
        (merge.renamed().len(), "renamed to the adapter's names"),
    ] {
        if number > 0 {
            report += &format!(", {} {done}", count(number, "tensor"));
        }
    }
    report
}
