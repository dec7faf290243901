//! `waveft man`: the manual, a page a subcommand.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_mangen::Man;
use waveft_std::Error;
use waveft_std::checkpoint::write_whole;

use crate::Failure;
use crate::progress::{Bar, count};

/// Write the man pages: waveft.1 and one for each subcommand
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder to write them to, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let folder = &arguments.output;
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut command = crate::Arguments::command().disable_help_subcommand(true);
    command.build();
    let subcommands = command.get_subcommands().cloned();
    let pages: Vec<Man> = subcommands.chain([command.clone()]).map(Man::new).collect();
    for page in &pages {
        let mut text = Vec::new();
        page.render(&mut text)?;
        write_whole(&folder.join(page.get_filename()), |file| {
            file.write_all(&text)
        })?;
    }
    let pages = count(pages.len(), "page");
    bar.done(&format!("wrote {pages} to {}", folder.display()));
    Ok(())
}
