//! Writes one line that tells a person who did what, to what, from where, how it ended and why it matters.
//!
//! It is made of redacted text only. What comes from the record is cut, and quoted unless it is plain.

mod phrase;

use std::fmt::Write;
use std::net::IpAddr;

use super::actor::{Actor, Naming, SecondFactor, Via};
use super::analysis::Analysis;
use super::arn::name_in_arn;
use super::catalogue::Access;
use super::context::Context;
use super::networks::{NetworkKind, SourceNetwork};
use super::quoted::{cut, quoted, visible};
use super::rule::Severity;
use super::user_agent;
use super::verdict::{CallOutcome, Finding};
use phrase::{Phrase, category_in_words};

/// Characters of a sentence: what fits into an alert and a row of a table.
const MAX_CHARACTERS: usize = 500;
/// Rules of the highest level that are named by their titles.
const MAX_TITLES: usize = 2;
/// Instance types and buckets that are named.
const MAX_NAMES: usize = 2;

/// Puts a record into one sentence.
pub fn sentence(analysis: &Analysis<'_, '_>) -> String {
    let mut sentence = subject(analysis.actor);
    let phrase = Phrase::of(analysis.record, analysis.context.resource.as_ref());
    match analysis.outcome {
        CallOutcome::Succeeded => {
            let _ = write!(sentence, " {} {}", phrase.past, phrase.object);
        }
        CallOutcome::Failed => {
            let _ = write!(sentence, " tried to {} {}", phrase.base, phrase.object);
        }
    }
    sentence.truncate(sentence.trim_end().len());
    let details = details(analysis, &phrase.object);
    sentence.push_str(&details);
    if let Some(failure) = failure(analysis) {
        sentence.push_str(if details.contains(',') { ", and " } else { " and " });
        sentence.push_str(&failure);
    }
    sentence.push_str(&origin(analysis));
    sentence.push_str(&why(analysis));
    sentence.push('.');
    // Titles come from rules, and those of a site may hold anything.
    let is_harmless = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>');
    if sentence.len() <= MAX_CHARACTERS && sentence.bytes().all(is_harmless) {
        return sentence;
    }
    let sentence: String = visible(&sentence).map(without_markup).collect();
    cut(&sentence, MAX_CHARACTERS)
}

fn subject(actor: &Actor<'_>) -> String {
    // No session tells the role's users apart.
    let is_role_alone = actor.session_name != actor.name() && actor.role == actor.name();
    let subject = match actor.naming {
        Naming::Unnamed(_) => "Someone whom the record does not name".to_owned(),
        Naming::Name(_) if actor.root => "The root user".to_owned(),
        Naming::Name(name)
            if actor.invoked_by == Some(name) || actor.kind.is_none() && actor.via == Via::Service =>
        {
            format!("The service {}", quoted(name))
        }
        Naming::Name(name) if is_role_alone => format!("Role {}", quoted(name)),
        Naming::Name(name) => quoted(name),
    };
    let notes = notes(actor);
    if notes.is_empty() { subject } else { format!("{subject} ({})", notes.join(", ")) }
}

/// What to know about the actor beside the name.
fn notes(actor: &Actor<'_>) -> Vec<String> {
    let other_than_name = |text: Option<&'_ str>| text.filter(|text| Some(*text) != actor.name()).map(quoted);
    let role = match actor.permission_set() {
        Some(permission_set) => Some(format!("permission set {}", quoted(permission_set))),
        None => other_than_name(actor.role).map(|role| format!("role {role}")),
    };
    let lender = actor.issuer.as_ref().filter(|_| actor.role.is_none()).and_then(|issuer| issuer.name);
    let account = actor.account_id.filter(|_| actor.cross_account == Some(true));
    let service = actor.invoked_by.filter(|_| actor.via == Via::Service);
    let second_factor = match actor.second_factor {
        Some(SecondFactor::Mfa(shown)) => Some(if shown { "MFA on" } else { "MFA off" }.to_owned()),
        Some(SecondFactor::MfaNotApplicable(_)) | None => None,
    };
    let notes = [
        role,
        other_than_name(lender).map(|user| format!("federated by {user}")),
        other_than_name(actor.source_identity).map(|person| format!("source identity {person}")),
        other_than_name(actor.on_behalf_of).map(|person| format!("for Identity Center user {person}")),
        other_than_name(actor.identity_provider).map(|provider| format!("known to {provider}")),
        second_factor,
        account.map(|account| format!("of account {}", quoted(account))),
        other_than_name(service).map(|service| format!("through {service}")),
    ];
    notes.into_iter().flatten().collect()
}

/// What a defender wants to know of the request beside what the object says: compute, open doors, the role, the image,
/// where data goes.
fn details(analysis: &Analysis<'_, '_>, object: &str) -> String {
    let context = analysis.context;
    let mut details = String::new();
    if let Some(instances) = first_few(&context.instance.kinds) {
        let _ = match context.instance.total.or(context.instance.count) {
            Some(count) if count > 1 => write!(details, " on {count} × {instances}"),
            _ => write!(details, " on {instances}"),
        };
    }
    let mut doors: Vec<String> = [
        (context.root_access, "root access"),
        (context.network.direct_internet, "direct internet access"),
        (context.remote_access, "remote access"),
        (context.docker_access, "Docker access"),
    ]
    .into_iter()
    .filter(|(is_open, _)| *is_open == Some(true))
    .map(|(_, door)| door.to_owned())
    .collect();
    let about = context.resource.as_ref().and_then(|resource| resource.name.as_deref());
    if let Some(name) = context.lifecycle.name.first().filter(|name| about != Some(**name)) {
        doors.push(format!("lifecycle configuration {}", quoted(name_in_arn(name))));
    }
    if let Some(doors) = enumerated(&doors, "and") {
        let _ = write!(details, " with {doors}");
    }
    // One of another account is what must not be missed among several.
    if let Some(role) = context.foreign.role.first() {
        let account = role.split(':').nth(4).unwrap_or_default();
        let _ =
            write!(details, ", passing role {} of account {}", quoted(name_in_arn(role)), quoted(account));
    } else if let Some(role) = context.execution_role.arn.first() {
        let _ = write!(details, ", passing role {}", quoted(name_in_arn(role)));
    }
    if let Some(image) = context.image.uri.first().map(|image| quoted(image))
        && !object.contains(&image)
    {
        let _ = write!(details, ", with image {image}");
    }
    let set_tags: Vec<&str> = context.tags.iter().map(String::as_str).collect();
    if let Some(tags) = first_few(&set_tags).filter(|_| context.access_level == Some(Access::Tagging)) {
        let _ = write!(details, ", setting {tags}");
    }
    if let Some(principals) = let_in(&context.policy.principals) {
        let _ = write!(details, ", letting in {principals}");
    }
    let mut buckets = context.s3.output_buckets.to_vec();
    // Those of other accounts first.
    buckets.sort_unstable_by_key(|bucket| (!context.foreign.output_bucket.contains(bucket), *bucket));
    if let Some(names) = first_few(&buckets) {
        let noun = if buckets.len() == 1 { "bucket" } else { "buckets" };
        let _ = write!(details, ", writing to {noun} {names}");
    }
    if is_worth_a_look(analysis) {
        details.push_str(&sources(context));
    }
    if context.omitted.iter().any(|path| path.starts_with("requestParameters")) {
        details.push_str(", with parameters that CloudTrail left out");
    }
    details
}

/// Whether a rule found something that a person should look at.
fn is_worth_a_look(analysis: &Analysis<'_, '_>) -> bool {
    let verdict = analysis.verdict;
    verdict.findings.iter().chain(&verdict.attempts).any(|finding| finding.level >= Severity::Medium)
}

/// Where code, models and data come from, and what a script runs and where it sends files.
fn sources(context: &Context<'_>) -> String {
    let mut told = String::new();
    let mut tell = |words: &str, names: &[&str], is_bucket: bool| {
        if let Some(named) = first_few(names) {
            let noun = match names.len() {
                _ if !is_bucket => "",
                1 => "bucket ",
                _ => "buckets ",
            };
            let _ = write!(told, ", {words} {noun}{named}");
        }
    };
    let s3 = &context.s3;
    tell("with code of", &s3.code_buckets, true);
    tell("with models of", &s3.model_buckets, true);
    // Where a job writes as well is told already.
    let is_told = |bucket: &&&str| s3.output_buckets.contains(*bucket);
    let read: Vec<&str> = s3.input_buckets.iter().filter(|bucket| !is_told(bucket)).copied().collect();
    tell("reading from", &read, true);
    if let Some(shell) = context.lifecycle.shell {
        tell("running what is fetched from", &texts(&shell.run_buckets), true);
        tell("running what is fetched from", &texts(&shell.run_sources), false);
        tell("sending files to", &texts(&shell.upload_buckets), true);
        tell("sending files to", &texts(&shell.upload_targets), false);
    }
    told
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Angle brackets become look-alikes, which no chat or page takes for a mention, a link or a tag.
fn without_markup(character: char) -> char {
    match character {
        '<' => '‹',
        '>' => '›',
        other => other,
    }
}

/// Whom a policy lets in: everyone, whole accounts and single identities.
fn let_in(principals: &[String]) -> Option<String> {
    let in_words = |principal: &String| {
        // A whole account is written as its number or as the ARN of its root.
        let of_root = principal.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next());
        let account = of_root.unwrap_or(principal);
        let is_account = account.bytes().all(|byte| byte.is_ascii_digit());
        if is_account { format!("account {}", quoted(account)) } else { quoted(principal) }
    };
    let mut shown: Vec<String> = principals.iter().take(MAX_NAMES).map(in_words).collect();
    if principals.len() > MAX_NAMES {
        shown.push(format!("{} more", principals.len() - MAX_NAMES));
    }
    enumerated(&shown, "and")
}

/// The first few names, and how many more there are.
fn first_few(names: &[&str]) -> Option<String> {
    let mut shown: Vec<String> = names.iter().take(MAX_NAMES).map(|name| quoted(name)).collect();
    if names.len() > MAX_NAMES {
        shown.push(format!("{} more", names.len() - MAX_NAMES));
    }
    enumerated(&shown, "and")
}

fn enumerated(words: &[String], conjunction: &str) -> Option<String> {
    let (last, others) = words.split_last()?;
    Some(match others {
        [] => last.clone(),
        others => format!("{} {conjunction} {last}", others.join(", ")),
    })
}

fn failure(analysis: &Analysis<'_, '_>) -> Option<String> {
    let code = analysis.record.text(&["errorCode"]).map(quoted);
    match (analysis.outcome, code) {
        (CallOutcome::Succeeded, _) => None,
        (CallOutcome::Failed, Some(code)) if analysis.was_denied() => Some(format!("was denied ({code})")),
        (CallOutcome::Failed, Some(code)) => Some(format!("failed ({code})")),
        (CallOutcome::Failed, None) => Some("failed".to_owned()),
    }
}

fn origin(analysis: &Analysis<'_, '_>) -> String {
    let address = analysis.record.text(&["sourceIPAddress"]);
    let mut origin = match address {
        None => String::new(),
        Some("AWS Internal") => ", from inside AWS".to_owned(),
        Some(address) if address.parse::<IpAddr>().is_ok() => {
            format!(", from {address}{}", place(analysis.network))
        }
        // A service that is named as the caller already is not named again.
        Some(address) if [analysis.actor.name(), analysis.actor.invoked_by].contains(&Some(address)) => {
            String::new()
        }
        Some(address) => format!(", from {}", quoted(address)),
    };
    if analysis.actor.agent == user_agent::ATTACK_TOOL {
        origin.push_str(if origin.is_empty() { ", with an attack tool" } else { " with an attack tool" });
    }
    origin
}

/// Where an address is, as far as it is known.
fn place(network: &SourceNetwork<'_>) -> String {
    let geo = network.geo.as_ref();
    let place = match (network.kind, network.aws) {
        (Some(NetworkKind::Aws), Some(range)) => Some(format!("AWS {}", range.region)),
        (Some(NetworkKind::Internet), _) => geo.and_then(|geo| {
            let country = geo.country_name.or(geo.country_iso_code)?;
            Some(
                geo.city_name
                    .map_or_else(|| quoted(country), |city| format!("{}, {}", quoted(city), quoted(country))),
            )
        }),
        _ => None,
    };
    place.map(|place| format!(" ({place})")).unwrap_or_default()
}

/// Why it matters: the most worrying rules that matched, or the threats that the call can belong to.
fn why(analysis: &Analysis<'_, '_>) -> String {
    let verdict = analysis.verdict;
    if !verdict.findings.is_empty() {
        format!("; matches {}", worst(&verdict.findings))
    } else if !verdict.attempts.is_empty() {
        format!("; as an attempt matches {}", worst(&verdict.attempts))
    } else {
        let words: Vec<String> =
            verdict.categories.iter().map(|category| category_in_words(category).to_owned()).collect();
        enumerated(&words, "or").map_or_else(String::new, |words| format!("; may be part of {words}"))
    }
}

fn worst(findings: &[Finding<'_>]) -> String {
    let level = findings.iter().map(|finding| finding.level).max();
    let worst: Vec<&Finding<'_>> = findings.iter().filter(|finding| Some(finding.level) == level).collect();
    let titles: Vec<String> = worst.iter().take(MAX_TITLES).map(|finding| cut(finding.title, 100)).collect();
    let more = match findings.len().saturating_sub(titles.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}: {}{more}", level.map(level_in_words).unwrap_or_default(), titles.join(", "))
}

fn level_in_words(level: Severity) -> String {
    let mut word = level.name().to_owned();
    word[..1].make_ascii_uppercase();
    word
}

#[cfg(test)]
mod tests;
