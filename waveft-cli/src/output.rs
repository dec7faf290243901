//! What the command says. Colours appear on a terminal only, and not if `NO_COLOR` is set; `CLICOLOR_FORCE` has them anyway.

use std::io::{self, ErrorKind, Write as _};

use anstyle::{AnsiColor, Style};

use crate::Failure;

/// Of what stands over columns.
pub(crate) const HEADING: Style = Style::new().bold();

/// Of the word before what went wrong, as clap has it.
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Prints what was asked for, on standard output.
pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    finish(out.write_all(text).and_then(|()| out.flush()))
}

/// What has become of printing.
pub(crate) fn finish(printed: io::Result<()>) -> Result<(), Failure> {
    match printed {
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// Says on standard error why a job failed.
pub(crate) fn complain(failure: &Failure) {
    // The exit status tells it too.
    let _ = writeln!(anstream::stderr(), "{ERROR}error:{ERROR:#} {failure}");
}
