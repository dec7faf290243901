//! `waveft completions`: what a shell completes words with.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::Failure;
use crate::output::print;

/// Print a script by which a shell completes the command's words
#[derive(Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = crate::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "waveft", &mut script);
    print(&script)
}
