//! Writes what commands print on standard output.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;

/// Prints a text as it is.
pub(crate) fn print(text: &str) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader of a pipe has seen enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints a line on standard output. The work goes on when the reader has closed it.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
