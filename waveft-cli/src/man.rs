//! `waveft man`: the manual, a page a subcommand.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_mangen::Man;
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
    let pages: Vec<Man> = subcommands.chain([command.clone()]).map(Man::new).collect();
    for page in &pages {
        let mut text = Vec::new();
        page.render(&mut text)?;
        if page.get_filename() == "waveft.1" {
            text.extend(examples_and_exit_status().bytes());
        }
        write_whole(&folder.join(page.get_filename()), |file| {
            file.write_all(&text)
        })?;
    }
    let pages = count(pages.len(), "page");
    bar.done(&format!("wrote {pages} to {}", folder.display()));
    Ok(())
}

/// The last sections of the main page, in roff.
fn examples_and_exit_status() -> String {
    let examples = EXAMPLES.join("\n").replace('-', "\\-");
    format!(".SH EXAMPLES\n.nf\n{examples}\n.fi\n.SH \"EXIT STATUS\"\n{EXIT_STATUS}\n")
}
