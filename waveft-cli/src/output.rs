//! What the command says. Colours appear on a terminal only, and not if `NO_COLOR` is set; `CLICOLOR_FORCE` has them anyway.

use std::io::{self, ErrorKind, Write as _};

use anstyle::{AnsiColor, Style};

use crate::Failure;

/// Of what stands over columns.
pub(crate) const HEADING: Style = Style::new().bold();

/// Of the word before what went wrong, as clap has it.
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Of the word before what is likely a mistake.
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

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
    let _ = writeln!(
        anstream::stderr(),
        "{ERROR}error:{ERROR:#} {}",
        printable(&failure.to_string())
    );
}

/// Says on standard error what is likely a mistake, though the job goes on.
pub(crate) fn warn(message: &str) {
    // The job is done whether or not it can be told.
    let _ = writeln!(
        anstream::stderr(),
        "{WARNING}warning:{WARNING:#} {}",
        printable(message)
    );
}

/// A message as one line, its middle left out when it is long: names, paths and shapes in it may come from files, and be
/// anything.
pub(crate) fn printable(message: &str) -> String {
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
