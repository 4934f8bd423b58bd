//! Runs `contain`, which prints the script that contains an incident, a principal or a resource.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use sagetrail::contain::{self, Direction, Plan};
use sagetrail::incident::Weights;
use time::OffsetDateTime;

use super::{ask, load, load_for_files};
use crate::arguments::{ContainArgs, ScriptFormat};
use crate::commands::offline::complain_of;
use crate::output::print;

pub(crate) fn contain(args: &ContainArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    let asked = args.asked.trim();
    let mut code = 0;
    let plan: Plan = if args.files.is_empty() {
        let now = OffsetDateTime::now_utc();
        ask(&config, async |client| contain::from_index(&client, asked, args.since, now).await)?
    } else {
        let enricher = load_for_files(&args.rules, &config)?;
        let weights = Weights::with_assets(&config.incidents.assets);
        contain::from_files(&args.files, &config.source, &enricher, weights, asked, args.since, |error| {
            code = complain_of(error);
        })?
    };
    let direction = if args.undo { Direction::Undo } else { Direction::Contain };
    let text = match (args.format, args.at) {
        (ScriptFormat::Json, Some(at)) => {
            format!("{}\n", serde_json::to_string_pretty(&contain::document(&plan, at))?)
        }
        (ScriptFormat::Shell | ScriptFormat::Json, at) => contain::script(&plan, direction, at),
    };
    match &args.output {
        Some(file) => write(file, &text)?,
        None => drop(print(&text)?),
    }
    Ok(ExitCode::from(code))
}

/// Writes a file that others cannot read: it names who is contained.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    const OWNER_ONLY: u32 = 0o600;
    let opened =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(file);
    opened
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}
