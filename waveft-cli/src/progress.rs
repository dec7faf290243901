//! A progress bar where a terminal is attached, and what is said when the work is done.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use waveft_std::checkpoint::Progress;

use crate::output;

/// A bar on standard error, hidden unless that is a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    quiet: bool,
}

impl Bar {
    pub(crate) fn new(quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { bar, quiet }
    }

    /// Says what is likely a mistake, before the bar is there.
    pub(crate) fn warn(&self, message: &str) {
        if !self.quiet {
            output::warn(message);
        }
    }

    /// Ends the bar and says what was done.
    pub(crate) fn done(&self, what: &str) {
        self.bar.finish_and_clear();
        if !self.quiet {
            // The work is done whether or not it can be told.
            let _ = writeln!(anstream::stdout(), "{what}");
        }
    }
}

impl Progress for Bar {
    fn start(&self, total_bytes: u64) {
        self.bar.set_length(total_bytes);
        self.bar.set_position(0);
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

/// `1 module`, `12 modules`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
