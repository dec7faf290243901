//! `waveft unmerge`: a merge in place undone.

use std::path::PathBuf;

use clap::Args;
use waveft_std::in_place;

use crate::Failure;
use crate::progress::Bar;

/// Undo a merge done in place, complete or interrupted: every byte of the base is as before
///
/// It needs the journal that the merge left: FILE.waveft-journal beside a file, model.waveft-journal in a folder.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The base that was merged into
    #[arg(long, value_name = "FILE|DIR")]
    base: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, bar: &Bar) -> Result<(), Failure> {
    let base = arguments.base.display();
    if in_place::status(&arguments.base)?.is_none() {
        return Err(format!(
            "{base}: expected the journal of a merge in place (FILE.waveft-journal beside a file, model.waveft-journal in a \
             folder), found none: there is nothing to undo"
        )
        .into());
    }
    in_place::roll_back(&arguments.base, bar)?;
    bar.done(&format!("restored {base}"));
    Ok(())
}
