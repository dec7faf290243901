//! The `waveft` command: merge, unmerge, inspect and create WaveFT adapters.
//!
//! One file a subcommand; this one holds the arguments they share, and the exit status: 0, 1 for a failed job, 2 for wrong
//! usage (which `clap` says).

#![forbid(unsafe_code)]

mod completions;
mod delta;
mod init;
mod inspect;
mod locations;
mod man;
mod merge;
mod output;
mod plot;
mod progress;
mod table;
mod unmerge;
mod whole;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::progress::Bar;
use crate::whole::whole;

/// What there is to try first.
const EXAMPLES: [&str; 5] = [
    "waveft inspect my-adapter",
    "waveft inspect my-adapter --base model.safetensors --plot my-adapter.png",
    "waveft merge --base model.safetensors --adapter my-adapter --output merged.safetensors",
    "waveft merge --base model.safetensors --adapter my-adapter --in-place",
    "waveft unmerge --base model.safetensors",
];

/// What a script asks.
const EXIT_STATUS: &str = "0, 1 for a failed job, 2 for wrong usage";

/// What follows the options in the help.
fn after_help() -> String {
    let examples = EXAMPLES.map(|example| format!("\n  {example}")).concat();
    format!("Examples:{examples}\n\nExit status: {EXIT_STATUS}")
}

/// Merge, unmerge, inspect and create WaveFT adapters, as PEFT has them, on a CPU.
#[derive(Parser)]
#[command(name = "waveft", version, arg_required_else_help = true, after_help = after_help())]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Print nothing but errors, and what was asked for
    #[arg(long, short, global = true)]
    quiet: bool,

    /// Threads to work with; the default is one for each core
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u16>(1..=u16::MAX.into()))]
    threads: Option<u16>,
}

#[derive(Subcommand)]
enum Command {
    Merge(merge::Arguments),
    Unmerge(unmerge::Arguments),
    Delta(delta::Arguments),
    Locations(locations::Arguments),
    Inspect(inspect::Arguments),
    Init(init::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// What a failed job ends in; a `clap::Error` is wrong usage.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => match failure.downcast::<clap::Error>() {
            Ok(usage) => usage.exit(),
            Err(failure) => {
                output::complain(&failure);
                ExitCode::FAILURE
            }
        },
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global()?;
    }
    let bar = Bar::new(arguments.quiet);
    match &arguments.command {
        Command::Merge(arguments) => merge::run(arguments, &bar),
        Command::Unmerge(arguments) => unmerge::run(arguments, &bar),
        Command::Delta(arguments) => delta::run(arguments, &bar),
        Command::Locations(arguments) => locations::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments, &bar),
        Command::Init(arguments) => init::run(arguments, &bar),
        Command::Completions(arguments) => completions::run(arguments),
        Command::Man(arguments) => man::run(arguments, &bar),
    }
}
