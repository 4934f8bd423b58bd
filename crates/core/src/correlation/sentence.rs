//! Writes the sentence of a match: what happened, how often and within which time, by whom, and what it is called.

use rsigma_parser::CorrelationType;

use super::rhythm::Usual;
use super::said::Said;
use crate::enrich::plain;

/// Names of operations that a sentence has.
const OPERATIONS: usize = 3;
/// Titles of base rules that a sentence has.
const TITLES: usize = 6;

/// Such as "alice made 26 calls within 1 hour (CreateTrainingJob): Compute is started in bursts".
pub fn sentence(said: &Said<'_>) -> String {
    let Said { correlation, matched, .. } = said;
    let count = number(matched.value);
    let did = match correlation.compiled.correlation_type {
        CorrelationType::EventCount => format!("made {count} {}", calls(matched.value)),
        CorrelationType::ValueCount => counted(said, &count),
        CorrelationType::ValueSum => summed(said, &count),
        _ => return temporal(said),
    };
    let (who, within) = (who(said), correlation.timespan_text());
    let (operations, compared) = (operations(said), compared(said));
    format!("{who} {did} within {within}{operations}{compared}: {}{}", correlation.title, cut(said))
}

fn counted(said: &Said<'_>, count: &str) -> String {
    let fields = said.correlation.compiled.condition.field.as_deref().unwrap_or_default();
    match fields {
        [field] => match field.as_str() {
            "event.action" => format!("called {count} different operations"),
            "sagemaker.alert.resource" | "sagemaker.resource.name" | "sagemaker.resource.arn" => {
                match said.most("sagemaker.resource.type") {
                    Some(kind) if said.count("sagemaker.resource.type") == 1 => {
                        format!("touched {count} different resources of type {kind}")
                    }
                    _ => format!("touched {count} different resources"),
                }
            }
            "source.ip" | "source.address" => format!("called from {count} different addresses"),
            "cloud.region" => format!("called in {count} different regions"),
            "cloud.account.id" => format!("called in {count} different accounts"),
            field => format!("showed {count} different values of {field}"),
        },
        fields => format!("showed {count} different combinations of {}", fields.join(" and ")),
    }
}

fn summed(said: &Said<'_>, sum: &str) -> String {
    let field = said.correlation.compiled.condition.field.iter().flatten().next();
    let calls = match said.matched.events {
        1 => "1 call".to_owned(),
        events => format!("{events} calls"),
    };
    match field.map(String::as_str) {
        Some("sagemaker.instance.total" | "sagemaker.instance.count") => {
            format!("asked for {sum} machines in {calls}")
        }
        field => format!("came to {sum} of {} in {calls}", field.unwrap_or_default()),
    }
}

/// What the base rules are called that matched, in their order.
fn temporal(said: &Said<'_>) -> String {
    let Said { correlation, points, .. } = said;
    let matched = |id: &str| points.iter().any(|point| point.rules.iter().any(|rule| rule == id));
    let titles: Vec<&str> = correlation
        .base()
        .iter()
        .filter(|base| matched(&base.id))
        .map(|base| base.title.as_str())
        .take(TITLES)
        .collect();
    let joined = match correlation.compiled.correlation_type {
        CorrelationType::TemporalOrdered => titles.join(", then "),
        _ => titles.join("; "),
    };
    let resource = said.most("sagemaker.alert.resource").filter(|resource| resource != "none");
    let at = resource
        .filter(|_| said.count("sagemaker.alert.resource") == 1)
        .map(|resource| format!(" at {}", tail(&resource)));
    let (who, within) = (who(said), correlation.timespan_text());
    format!(
        "{}{}, by {who} within {within}: {joined}{}",
        correlation.title,
        at.unwrap_or_default(),
        cut(said)
    )
}

/// The name of who is seen most often; with others, how many there are.
fn who(said: &Said<'_>) -> String {
    let name = said.most("user.name").map(|name| plain(&name).into_owned());
    let name = name.or_else(|| said.most("sagemaker.alert.identity").map(|arn| tail(&arn)));
    let name = name.unwrap_or_else(|| "somebody".to_owned());
    match said.count("sagemaker.alert.principal") {
        0 | 1 => name,
        2 => format!("{name} and another session"),
        count => format!("{name} and {} other sessions", count - 1),
    }
}

fn operations(said: &Said<'_>) -> String {
    let names = said.values("event.action", OPERATIONS);
    if names.is_empty() {
        return String::new();
    }
    let more = said.count("event.action") - names.len();
    let names: Vec<String> = names.iter().map(|name| plain(name).into_owned()).collect();
    let names = names.join(", ");
    if more == 0 { format!(" ({names})") } else { format!(" ({names} and {more} more)") }
}

/// What was usual before.
fn compared(said: &Said<'_>) -> String {
    match said.matched.usual {
        None => String::new(),
        Some(Usual::Known { count }) => format!(", where {count} are the most on a usual day"),
        Some(Usual::Unknown { days: 0 }) => ", and nothing is known of earlier days".to_owned(),
        Some(Usual::Unknown { days }) => {
            format!(", and was seen on {days} day(s) before, too few to compare with")
        }
    }
}

fn cut(said: &Said<'_>) -> &'static str {
    if said.matched.cut { " (more than was looked at)" } else { "" }
}

fn calls(value: f64) -> &'static str {
    if value > 1.0 { "calls" } else { "call" }
}

/// The name at the end of an ARN.
fn tail(arn: &str) -> String {
    plain(arn.rsplit(['/', ':']).next().unwrap_or(arn)).into_owned()
}

fn number(value: f64) -> String {
    format!("{value:.0}")
}
