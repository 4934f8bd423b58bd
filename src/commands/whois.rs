//! Runs `whois`, which reads what memory holds of one thing.

use std::process::ExitCode;

use sagetrail::{opensearch, whois as tree};

use super::{load, runtime, start_quiet_telemetry};
use crate::arguments::{ReportFormat, WhoisArgs};

pub(crate) fn whois(args: &WhoisArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    start_quiet_telemetry(&config)?;
    let report = runtime()?.block_on(async {
        let client = opensearch::connect(&config, None).await?;
        anyhow::Ok(Box::pin(tree::run(&client, args.asked.trim())).await?)
    })?;
    let format = if args.json { ReportFormat::Json } else { ReportFormat::Table };
    format.print(&report)
}
