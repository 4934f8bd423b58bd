//! Runs `enrich`, `rules`, `manual` and `completions`, which need no server.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use sagetrail::enrich::Enricher;
use sagetrail::listing;
use sagetrail::offline::{self, OfflineError};
use sagetrail::telemetry::complain;
use time::OffsetDateTime;

use super::{load, load_for_files};
use crate::arguments::{Cli, Format, RuleArgs};
use crate::exit;
use crate::output::print;

pub(crate) fn enrich(rules: &RuleArgs, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let config = load(&rules.config)?;
    let enricher = load_for_files(rules, &config)?;
    let mut code = 0;
    let mut output = BufWriter::new(io::stdout().lock());
    let result = offline::enrich_files(files, &config.source.limits(), &enricher, &mut output, |error| {
        code = complain_of(error);
    });
    let written = result.and_then(|summary| output.flush().map_err(OfflineError::Write).map(|()| summary));
    match written {
        Ok(summary) => {
            complain(&format!(
                "sagetrail: {} file(s), {} record(s): {} selected, {} malformed",
                summary.files, summary.records, summary.selected, summary.malformed
            ));
            Ok(ExitCode::from(code))
        }
        // The reader of a pipe has seen enough, as `head` does.
        Err(OfflineError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::from(code))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn complain_of(error: &OfflineError) -> u8 {
    complain(&format!("sagetrail: {error}"));
    match error {
        OfflineError::Read { .. } => exit::NO_INPUT,
        OfflineError::Damaged { .. } | OfflineError::Sort(_) | OfflineError::Write(_) => exit::DATA,
    }
}

pub(crate) fn list(rules: &RuleArgs, format: Format) -> anyhow::Result<ExitCode> {
    let Enricher { rules, .. } = load_for_files(rules, &load(&rules.config)?)?;
    let at = OffsetDateTime::now_utc();
    let text = match format {
        Format::Table => {
            let width = terminal_size::terminal_size().map(|(width, _)| width.0);
            listing::table::table(&rules, at, width.unwrap_or(listing::table::DEFAULT_WIDTH))
        }
        Format::Json => listing::json(&rules, at),
        Format::Markdown => listing::markdown::markdown(&rules, at),
        Format::Placeholders => listing::placeholders::text(&rules),
        Format::Navigator => listing::navigator::navigator(&rules, at),
    };
    print(&text)
}

pub(crate) fn write_manual(folder: &Path) -> anyhow::Result<ExitCode> {
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write the manual pages into {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn write_completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sagetrail", &mut text);
    print(&String::from_utf8_lossy(&text))
}
