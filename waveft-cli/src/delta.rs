//! `waveft delta`: ΔW on its own.

use std::path::PathBuf;

use clap::Args;
use waveft_std::adapter::Adapter;
use waveft_std::checkpoint::Checkpoint;
use waveft_std::delta::write_delta;

use crate::Failure;
use crate::progress::{Bar, count};

/// Write the update of every adapted module, f32 and out × in, to a safetensors file
#[derive(Args)]
pub(crate) struct Arguments {
    /// The base, which says how large the weights are and what they are called
    #[arg(long, value_name = "FILE|DIR")]
    base: PathBuf,

    /// The adapter's folder
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,

    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let base = Checkpoint::open(&arguments.base)?;
    let adapter = Adapter::read(&arguments.adapter)?;
    write_delta(&base, &adapter, &arguments.output, bar)?;
    let updates = count(adapter.spectra().len(), "update");
    bar.done(&format!(
        "wrote {updates} to {}",
        arguments.output.display()
    ));
    Ok(())
}
