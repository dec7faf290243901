//! `waveft man`: the manual, a page a subcommand.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use waveft_std::Error;
use waveft_std::checkpoint::write_whole;

use crate::progress::{Bar, count};
use crate::{EXAMPLES, EXIT_STATUS, Failure};

/// Write the man pages: waveft.1 and one for each subcommand
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder to write them to, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let folder = &arguments.output;
    if folder.is_file() {
        return Err(Error::file(folder, "a folder", "a file").into());
    }
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    // What follows the options would be filled to paragraphs.
    let command = crate::Arguments::command().after_help(None::<&str>);
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let subcommands = command.get_subcommands().cloned();
    let commands: Vec<Command> = subcommands.chain([command.clone()]).collect();
    for command in &commands {
        let page = Man::new(command.clone());
        let mut text = page_text(command, &page)?;
        if page.get_filename() == "waveft.1" {
            text += &examples_and_exit_status();
        }
        write_whole(&folder.join(page.get_filename()), |file| {
            file.write_all(text.as_bytes())
        })?;
    }
    let pages = count(commands.len(), "page");
    bar.done(&format!("wrote {pages} to {}", folder.display()));
    Ok(())
}

/// A page in roff, its synopsis the usage that the help has: the generator's lacks the names of values.
fn page_text(command: &Command, page: &Man) -> Result<String, Failure> {
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text)?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let synopsis = Roff::new().text([roman(usage)]).to_roff();
    let begins = ".SH SYNOPSIS\n";
    let parts = text.split_once(begins).and_then(|(before, rest)| {
        let end = rest.find(".SH ")?;
        Some((before, &rest[end..]))
    });
    let (before, after) = parts.ok_or("expected a synopsis before other sections, found none")?;
    Ok(format!("{before}{begins}{synopsis}{after}"))
}

/// The last sections of the main page, in roff.
fn examples_and_exit_status() -> String {
    let examples = EXAMPLES.join("\n").replace('-', "\\-");
    format!(".SH EXAMPLES\n.nf\n{examples}\n.fi\n.SH \"EXIT STATUS\"\n{EXIT_STATUS}\n")
}
