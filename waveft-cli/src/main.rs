//! The `waveft` command: merge, unmerge, inspect and create WaveFT adapters.
//!
//! One file a subcommand; this one holds the arguments they share, and the exit status: 0, 1 for a failed job, 2 for wrong
//! usage (which `clap` gives).

mod delta;
mod init;
mod inspect;
mod locations;
mod merge;
mod progress;
mod table;
mod unmerge;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::progress::Bar;

/// Merge, unmerge, inspect and create WaveFT adapters, as PEFT has them, on a CPU.
#[derive(Parser)]
#[command(name = "waveft", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Print nothing but errors, and what was asked for
    #[arg(long, short, global = true)]
    quiet: bool,

    /// Threads to work with; the default is one for each core
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
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
}

/// What a failed job ends in.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The exit status tells it too.
            let _ = writeln!(io::stderr(), "error: {}", printable(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// A message as one line, its middle left out when it is long: names, paths and shapes in it may come from files, and be
/// anything.
fn printable(message: &str) -> String {
    const HALF: usize = 2000;
    let escaped = |text: &str| -> String {
        let escaped = text.chars().map(|c| match c.is_control() {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        });
        escaped.collect()
    };
    let start = message.char_indices().nth(HALF).map(|(at, _)| at);
    let end = message.char_indices().nth_back(HALF).map(|(at, _)| at);
    match (start, end) {
        (Some(start), Some(end)) if start < end => {
            let (before, after) = (escaped(&message[..start]), escaped(&message[end..]));
            format!("{before} … ({} bytes) … {after}", end - start)
        }
        _ => escaped(message),
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
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Init(arguments) => init::run(arguments, &bar),
    }
}
