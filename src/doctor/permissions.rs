//! Lists the least permissions that a configuration needs in AWS and OpenSearch (pure).
//!
//! `config/permissions.json` has them by command, with groups of statements by their names and `${…}` for what the
//! configuration tells.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::config::{AuthKind, Config, Sigv4Service};
use crate::drill;
use crate::names::Names;
use crate::record::is_region;

const GRANTS: &str = include_str!("../../config/permissions.json");

/// Stands for what the configuration does not tell.
const UNKNOWN: &str = "*";

#[derive(Deserialize)]
struct Grants {
    commands: Map<String, Value>,
    #[serde(rename = "the role that reads objects")]
    reader: Value,
    groups: BTreeMap<String, Vec<Value>>,
}

/// The policies and roles, by the command that needs them. `buckets` are those of the trail; where none is known, all.
///
/// `enrich`, `rules` and the other commands need no permissions.
pub fn permissions(config: &Config, buckets: &[String]) -> Value {
    let Grants { mut commands, mut reader, groups } =
        serde_json::from_str(GRANTS).expect("the file is checked in as JSON");
    let told = told(config, buckets);
    let role = config.source.assume_role_arn.as_deref();
    for granted in commands.values_mut() {
        granted["iam"] = policy(&granted["iam"], &groups, |name| chosen(name, config));
        fill(granted, &told);
    }
    if role.is_some() {
        reader["iam"] = policy(&reader["iam"], &groups, Some);
        fill(&mut reader, &told);
        commands.insert("the role in source.assume_role_arn".to_owned(), reader);
    }
    Value::Object(commands)
}

/// A policy of these statements, some of which are groups by name.
fn policy<'g>(
    statements: &'g Value,
    groups: &BTreeMap<String, Vec<Value>>,
    chosen: impl Fn(&'g str) -> Option<&'g str>,
) -> Value {
    let mut all = Vec::new();
    for statement in statements.as_array().into_iter().flatten() {
        match statement.as_str() {
            Some(name) => all.extend(chosen(name).iter().flat_map(|name| &groups[*name]).cloned()),
            None => all.push(statement.clone()),
        }
    }
    json!({"Version": "2012-10-17", "Statement": all})
}

/// The group that takes the place of this one: a role may read objects in place of the command, and AWS only grants
/// what is signed.
fn chosen<'g>(group: &'g str, config: &Config) -> Option<&'g str> {
    let has_role = config.source.assume_role_arn.is_some();
    match (group, config.sink.auth, config.sink.sigv4_service) {
        ("read notification", ..) if has_role => None,
        ("read current" | "read announced", ..) if has_role => Some("assume role"),
        (signed, auth, service) if signed.starts_with("signed") => match (auth, service) {
            (AuthKind::Sigv4, Sigv4Service::Es) => Some(signed),
            (AuthKind::Sigv4, Sigv4Service::Aoss) => Some("signed for Serverless"),
            (AuthKind::None | AuthKind::Basic | AuthKind::Certificate, _) => None,
        },
        (other, ..) => Some(other),
    }
}

/// What stands for each `${…}`.
fn told(config: &Config, buckets: &[String]) -> BTreeMap<&'static str, Vec<String>> {
    let queue = Queue::of(config.source.queue_url.as_ref());
    let names = Names::new(&config.sink.index_prefix);
    let of_buckets = |suffix: &str| {
        let arn = |bucket: &str| format!("arn:{}:s3:::{bucket}", queue.partition);
        if buckets.is_empty() {
            return vec![arn(UNKNOWN)];
        }
        buckets.iter().map(|bucket| format!("{}{suffix}", arn(bucket))).collect()
    };
    BTreeMap::from([
        ("queue", vec![queue.arn()]),
        ("queues", vec![queue.neighbours()]),
        ("region", vec![queue.region.clone()]),
        ("buckets", of_buckets("")),
        ("objects", of_buckets("/*")),
        ("drilled", drilled(config).map_or_else(|| of_buckets("/*"), |files| vec![files])),
        ("role", config.source.assume_role_arn.iter().cloned().collect()),
        ("domain", vec![domain_arn(config)]),
        ("events", vec![names.events()]),
        ("objects_index", vec![names.objects()]),
        ("rejected", vec![names.rejected()]),
        ("resources", vec![names.resources()]),
        ("identities", vec![names.identities()]),
        ("sessions", vec![names.sessions()]),
        ("verification", vec![names.verification()]),
        ("verified", vec![names.verified()]),
        ("incidents", vec![names.incidents()]),
        ("correlated", vec![names.correlated()]),
        ("correlator", vec![names.correlator()]),
        ("patterns", names.patterns().into_iter().collect()),
    ])
}

/// The files that drills may write, where their trail is known: below the folder of their account.
fn drilled(config: &Config) -> Option<String> {
    let (bucket, prefix) = drill::place(config.drill.trail.as_deref()?);
    let account = config.drill.account.as_deref().unwrap_or(UNKNOWN);
    let partition = partition_of(config.drill.region.as_deref().unwrap_or_default());
    Some(format!("arn:{partition}:s3:::{bucket}/{prefix}AWSLogs/{account}/CloudTrail/*"))
}

/// Fills in what is told. In a list, a text becomes as many as there are.
fn fill(value: &mut Value, told: &BTreeMap<&'static str, Vec<String>>) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| fill(member, told)),
        Value::Array(items) => {
            *items = std::mem::take(items)
                .into_iter()
                .flat_map(|mut item| match item.as_str() {
                    Some(text) => filled(text, told).into_iter().map(Value::String).collect(),
                    None => {
                        fill(&mut item, told);
                        vec![item]
                    }
                })
                .collect();
        }
        Value::String(text) => *text = filled(text, told).concat(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn filled(text: &str, told: &BTreeMap<&'static str, Vec<String>>) -> Vec<String> {
    let found = text.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (name, after))) = found else { return vec![text.to_owned()] };
    told[name].iter().map(|one| format!("{before}{one}{after}")).collect()
}

/// The parts of a queue's URL.
struct Queue {
    partition: &'static str,
    region: String,
    account: String,
    name: String,
}

impl Queue {
    fn of(url: Option<&Url>) -> Self {
        let host = url.and_then(Url::host_str).unwrap_or_default();
        let region = host.split('.').find(|label| is_region(label)).unwrap_or(UNKNOWN);
        let mut segments = url.and_then(Url::path_segments).into_iter().flatten();
        let account = segments.next().filter(|account| !account.is_empty()).unwrap_or(UNKNOWN);
        let name = segments.next().unwrap_or(UNKNOWN);
        let partition = partition_of(region);
        Self { partition, region: region.to_owned(), account: account.to_owned(), name: name.to_owned() }
    }

    fn arn(&self) -> String {
        let Self { partition, region, account, name } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }

    /// The queues of its account and region, its dead-letter queue among them.
    fn neighbours(&self) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:sqs:{region}:{account}:*")
    }
}

fn partition_of(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The domain, as far as its own address tells it: `search-NAME-ID.REGION.es.amazonaws.com`, or `vpc-` before the name.
fn domain_arn(config: &Config) -> String {
    let host = config.sink.url.host_str().unwrap_or_default();
    let mut labels = host.split('.');
    let (first, region, service) = (labels.next(), labels.next(), labels.next());
    let name = first
        .and_then(|first| first.strip_prefix("search-").or_else(|| first.strip_prefix("vpc-")))
        .and_then(|first| first.rsplit_once('-'));
    match (name, region, service) {
        (Some((name, _)), Some(region), Some("es")) if is_region(region) => {
            format!("arn:{}:es:{region}:{UNKNOWN}:domain/{name}/*", partition_of(region))
        }
        _ => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    /// The actions and the resources that a command is granted.
    fn granted(text: &str, command: &str) -> (Vec<String>, Vec<String>) {
        let config = config(text);
        let granted = permissions(&config, &config.source.allowed_buckets);
        let statements = granted[command]["iam"]["Statement"].as_array().unwrap();
        let all = |key: &str| {
            let several = statements.iter().flat_map(|statement| statement[key].as_array().unwrap());
            several.map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        (all("Action"), all("Resource"))
    }

    #[test]
    fn the_policy_names_the_queue_and_the_buckets_of_the_configuration() {
        let (actions, resources) = granted(
            "[source]\nqueue_url = 'https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail'\nallowed_buckets = ['logs']",
            "run",
        );
        for named in
            ["arn:aws-cn:sqs:cn-north-1:111122223333:trail", "arn:aws-cn:s3:::logs/*", "arn:aws-cn:s3:::logs"]
        {
            assert!(resources.iter().any(|resource| resource == named), "{named} is none of {resources:?}");
        }
        assert!(!resources.iter().any(|resource| resource.ends_with(":::*")), "{resources:?}");
        assert!(!actions.iter().any(|action| action.starts_with("cloudtrail:") || action.starts_with("es:")));
    }

    #[test]
    fn evidence_is_collected_with_the_rights_of_an_investigation_and_those_to_read_a_signed_trail() {
        let printed = permissions(&config(""), &[]);
        assert_eq!(printed["investigate --evidence"]["opensearch"], printed["investigate"]["opensearch"]);
        let (actions, _) = granted("", "investigate --evidence");
        for needed in ["s3:GetObject", "s3:ListBucket", "kms:Decrypt", "cloudtrail:ListPublicKeys"] {
            assert!(actions.iter().any(|action| action == needed), "{needed} is none of {actions:?}");
        }
    }

    #[test]
    fn a_drill_may_write_its_files_and_no_others() {
        let settings = "[source]\nallowed_buckets = ['logs']\n[drill]\ntrail = 's3://logs/org'\naccount = '111122223333'";
        let own = "arn:aws:s3:::logs/org/AWSLogs/111122223333/CloudTrail/*";
        let files = |settings| {
            let (actions, resources) = granted(settings, "drill");
            assert_eq!(actions[0], "s3:PutObject");
            resources.into_iter().filter(|it| it.contains(":s3:::")).collect::<Vec<_>>()
        };
        assert_eq!(files(settings), [own]);
        assert_eq!(files("[source]\nallowed_buckets = ['logs']"), ["arn:aws:s3:::logs/*"]);
    }

    #[test]
    fn a_signed_command_may_send_what_it_sends_and_to_its_domain_alone() {
        let signed = |url: &str| format!("[sink]\nauth = 'sigv4'\nurl = '{url}'");
        let domain = signed("https://vpc-my-logs-abc123.us-gov-west-1.es.amazonaws.com");
        let of = |command| {
            let (actions, resources) = granted(&domain, command);
            let named = "arn:aws-us-gov:es:us-gov-west-1:*:domain/my-logs/*";
            assert!(resources.iter().any(|resource| resource == named), "{resources:?}");
            actions.into_iter().filter(|action| action.starts_with("es:")).collect::<Vec<_>>()
        };
        for command in ["run", "replay", "verify"] {
            assert_eq!(of(command), ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"], "{command}");
        }
        for command in ["backtest", "learn", "doctor"] {
            assert_eq!(of(command), ["es:ESHttpGet", "es:ESHttpPost"], "{command}");
        }
        for command in ["setup", "replay --retag"] {
            assert_eq!(
                of(command),
                ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete"],
                "{command}"
            );
        }
        // An address of one's own tells no domain.
        for url in [
            "https://search.example.com",
            "https://search-logs.example.com",
            "https://vpc-a.b.es.example.com",
        ] {
            assert!(granted(&signed(url), "setup").1.contains(&UNKNOWN.to_owned()), "{url}");
        }
    }

    #[test]
    fn with_a_role_to_assume_the_daemon_may_assume_it_and_only_the_role_reads_objects() {
        let config = config(
            "[source]\nassume_role_arn = 'arn:aws:iam::444455556666:role/reader'\n[sink]\nauth = 'sigv4'",
        );
        let granted = permissions(&config, &["logs".to_owned()]);
        for command in ["run", "replay", "verify", "backtest", "doctor"] {
            let text = granted[command].to_string();
            assert!(text.contains("sts:AssumeRole") && text.contains("es:ESHttpPost"), "{text}");
            assert!(!text.contains("s3:"), "{text}");
        }
        let reader = granted["the role in source.assume_role_arn"].to_string();
        assert!(reader.contains("s3:GetObject") && reader.contains("arn:aws:s3:::logs/*"), "{reader}");
    }
}
