//! Shows how far a backtest is: a bar, where standard error is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::replay::PARTS;
use crate::telemetry::complain;

/// How many records are judged from one change of the bar to the next.
const STEP: u64 = 256;

/// The bar on standard error; nothing is shown where that is no terminal.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Makes the bar, which shows with the first step.
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{prefix:8} {bar:30} {percent:>3}%  {msg}")
            .expect("the template is a constant that is well-formed");
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(PARTS).with_style(style));
        Self(bar)
    }

    /// Records are read. `part` is the share of what there is, of [`PARTS`].
    pub fn reading(&self, part: u64, files: u64, records: u64) {
        if let Some(bar) = &self.0 {
            bar.set_prefix("reading");
            bar.set_position(part.max(bar.position()));
            bar.set_message(format!("{files} files, {records} records"));
        }
    }

    /// Records are judged.
    pub fn judging(&self, done: u64, of: u64) {
        if let Some(bar) = self.0.as_ref().filter(|_| done.is_multiple_of(STEP)) {
            bar.set_prefix("judging");
            bar.set_position(PARTS * done / of.max(1));
            bar.set_message(format!("{done} of {of} records"));
        }
    }

    /// Prints an error without disturbing the bar.
    pub fn complain(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.println(text),
            None => complain(text),
        }
    }

    /// Removes the bar, so that what is printed next begins on a clean line.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
