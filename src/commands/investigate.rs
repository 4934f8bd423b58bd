//! Runs `investigate`, which reads records and writes their report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use sagetrail::config::Config;
use sagetrail::guard::Judge;
use sagetrail::incident::Weights;
use sagetrail::investigate::{
    self, Collected, Files, Material, Range, Report, Trail, html, markdown, tell, timesketch, timesketch_csv,
};
use sagetrail::telemetry::complain;
use sagetrail::timestamp;
use sagetrail::verify::keys::Keys;
use time::{Duration, OffsetDateTime};

use super::offline::complain_of;
use super::{ask, load, load_for_files, runtime};
use crate::arguments::{InvestigateArgs, InvestigationFormat};
use crate::output::print;

pub(crate) fn investigate(args: &InvestigateArgs) -> anyhow::Result<ExitCode> {
    let mut code = 0;
    let material = if args.from_files.is_empty() { read_stored(args)? } else { read_files(args, &mut code)? };
    if material.entries.is_empty() {
        if let Some(incident) = &material.incident {
            let at = |time: Option<OffsetDateTime>| time.map_or_else(|| "now".to_owned(), timestamp::format);
            bail!(
                "incident {} is known, and none of its records from {} to {} is there: they are not kept so long, or --since and \
                 --until leave them out. Give the CloudTrail files of those days with --from-files, those of the days before first",
                incident.id,
                at(material.since),
                at(material.until)
            );
        }
        bail!(
            "no record belongs to {}; give an incident's id, an ARN, an access key or a name as records have it, and look at \
             --since and --until",
            args.asked
        );
    }
    let report = tell(&material);
    let text = written(&report, args.format)?;
    match &args.output {
        Some(path) => write(path, &text)?,
        None => drop(print(&text)?),
    }
    if let Some(folder) = &args.evidence {
        let Collected { records, files, signed, unproven } = collect_evidence(args, &report, folder)?;
        complain(&format!(
            "sagetrail: {records} record(s) of {files} file(s) are in {}, {signed} of them in files that a signed digest names; \
             {unproven} are not proven, and index.json says why. Check them with python3 {}",
            folder.display(),
            folder.join("check.py").display()
        ));
    }
    Ok(ExitCode::from(code))
}

/// S3 and CloudTrail are asked only where a record came from S3.
fn collect_evidence(args: &InvestigateArgs, report: &Report, folder: &Path) -> anyhow::Result<Collected> {
    let config = load(&args.rules.config)?;
    let limits = config.source.limits();
    let is_in_s3 =
        report.records.iter().any(|it| it.file.as_deref().is_some_and(|file| file.starts_with("s3://")));
    runtime()?.block_on(async {
        let trail = if is_in_s3 { Some(trail(args, &config, report).await?) } else { None };
        anyhow::Ok(Box::pin(investigate::collect(report, folder, &limits, trail)).await?)
    })
}

async fn trail(args: &InvestigateArgs, config: &Config, report: &Report) -> anyhow::Result<Trail> {
    let aws = sagetrail::aws::load(config.source.queue_url.as_ref()).await;
    let keys = match &args.keys {
        Some(path) => Keys::of_file(path)?,
        None => {
            let times = || report.records.iter().filter_map(|it| timestamp::parse(it.at.as_deref()?));
            let now = OffsetDateTime::now_utc();
            let from = times().min().unwrap_or(now);
            let to = times().max().unwrap_or(now).saturating_add(Duration::days(2)).min(now);
            Keys::of_api(&aws, from, to.max(from))
        }
    };
    Ok(Trail::new(config, &aws, keys).await)
}

fn written(report: &Report, format: InvestigationFormat) -> anyhow::Result<String> {
    Ok(match format {
        InvestigationFormat::Html => html(report),
        InvestigationFormat::Markdown => markdown(report),
        InvestigationFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(report).context("cannot write the report")?)
        }
        InvestigationFormat::Timesketch => timesketch(report),
        InvestigationFormat::TimesketchCsv => timesketch_csv(report),
    })
}

fn write(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    complain(&format!("sagetrail: the report is in {}", path.display()));
    Ok(())
}

fn range(args: &InvestigateArgs) -> Range {
    Range { since: args.since, until: args.until }
}

fn read_stored(args: &InvestigateArgs) -> anyhow::Result<Material> {
    let config = load(&args.rules.config)?;
    let judge = Judge::new(&config.rules.placeholders)?;
    ask(&config, async |client| investigate::from_opensearch(&client, &judge, &args.asked, range(args)).await)
}

fn read_files(args: &InvestigateArgs, code: &mut u8) -> anyhow::Result<Material> {
    let config = load(&args.rules.config)?;
    let enricher = load_for_files(&args.rules, &config)?;
    let weights = Weights::with_assets(&config.incidents.assets);
    let limits = config.source.limits();
    let judge = Judge::new(&config.rules.placeholders)?;
    let files =
        Files { paths: &args.from_files, limits, enricher: &enricher, judge: &judge, weights: &weights };
    Ok(investigate::from_files(&files, &args.asked, range(args), |error| *code = complain_of(error))?)
}
