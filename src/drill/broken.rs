//! What a look at a step shows to be broken, and what to do about it (pure).

use serde_json::Value;

use super::plan::Plan;

pub(super) fn of_upload(problem: &str, plan: &Plan) -> String {
    format!(
        "s3://{} takes no file: {problem}. Grant s3:PutObject below {}AWSLogs/{}/, which `check --permissions` prints, and look at drill.trail",
        plan.bucket, plan.prefix, plan.account
    )
}

/// The daemon did not take the mark for one of ours.
pub(super) fn of_mark(origin: Option<&str>) -> String {
    format!(
        "the records are stored and judged as those of an attack by {}: redaction.key_file here is not that of the daemons. Give both the same key, and close the incident that this opens",
        origin.unwrap_or("somebody unknown")
    )
}

/// The rule of the story found nothing that pages.
pub(super) fn of_rules(worst: Option<&Value>) -> String {
    let source = worst.map(|hit| &hit["_source"]["sagemaker"]);
    let has = |member: &str| {
        source.is_some_and(|source| source[member].as_array().is_some_and(|it| !it.is_empty()))
    };
    let why = if has("muted") {
        "a filter or an override of this site mutes it"
    } else if has("releveled") {
        "an override of this site has lowered its level"
    } else {
        "the daemons do not have it, or have it from a folder of their own"
    };
    format!(
        "the rule \"Model Or Endpoint Opened To Everyone\" found nothing critical: {why}. `sagetrail rules` says how rules are tuned"
    )
}

/// A question that a plugin did not answer, and the right that it wants.
pub(super) fn of_plugin(status: u16, right: &str) -> String {
    match status {
        403 => format!("the alerting plugin may not be asked: grant {right}"),
        400 | 404 | 405 => {
            "there is no alerting plugin, or no monitor of critical incidents: run `sagetrail setup`"
                .to_owned()
        }
        status => format!("the alerting plugin answered {status}"),
    }
}

/// A channel that a monitor pages and that takes nothing. None where it takes pages.
pub(super) fn of_channel(channel: &str, answer: &Result<Value, u16>, right: &str) -> Option<String> {
    match answer {
        Ok(answer) => (answer["config_list"][0]["config"]["is_enabled"] == false).then(|| {
            format!("channels.{channel} is switched off in OpenSearch: switch it on, or run `sagetrail setup --force`")
        }),
        Err(403) => Some(format!("channels.{channel} may not be read in OpenSearch: grant {right}")),
        Err(404) => Some(format!("channels.{channel} is not in OpenSearch: run `sagetrail setup`")),
        Err(status) => Some(format!("channels.{channel} cannot be read in OpenSearch (status {status})")),
    }
}
