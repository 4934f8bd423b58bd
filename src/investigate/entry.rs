//! One stored record, as far as a report tells of it (pure).

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::left_out::LeftOut;
use crate::contain::{PolicyName, REQUEST};
use crate::enrich::NO_KEY;
use crate::guard::Judged;
use crate::posture::is_sign;
use crate::timestamp;

/// What is kept of a record. Its text is not, so that ten thousand of them are small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub index: String,
    /// The file that it came in.
    pub file: Option<String>,
    pub time: OffsetDateTime,
    /// What happened, without the rules that matched.
    pub sentence: String,
    pub action: String,
    /// The first part of the service's host name.
    pub service: String,
    pub succeeded: bool,
    pub error: Option<String>,
    pub access: Option<String>,
    /// Whether CloudTrail says that the call only reads.
    pub read_only: Option<bool>,
    pub account: Option<String>,
    /// What the call asked for, as far as steps of containment need it.
    pub request: BTreeMap<String, String>,
    /// The policy that the call set or removed.
    pub policy: Option<PolicyName>,
    pub is_data_event: bool,
    pub questions: Vec<u64>,
    /// Of the worst rule that matched.
    pub level: Option<String>,
    /// The ids of all rules that matched, with what they say of the record.
    pub rules: Vec<String>,
    pub findings: Vec<Found>,
    pub categories: Vec<String>,
    pub tactics: Vec<String>,
    pub principal: String,
    pub origin: String,
    pub actor: String,
    pub is_workload: bool,
    pub agent: Option<String>,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub network: Option<String>,
    pub key: Option<String>,
    pub issued_key: Option<String>,
    pub chain: Vec<String>,
    pub resource: Option<Named>,
    pub related: Vec<Named>,
    /// What memory held of the resource's configuration when the record came.
    pub configuration: BTreeMap<String, Vec<String>>,
    pub buckets: Vec<String>,
    pub images: Vec<String>,
    pub image_owners: Vec<String>,
    /// URLs, addresses and hosts that scripts name.
    pub named: Vec<String>,
    /// The SHA-256 of each script, and whether its text is as it was: no secret redacted, nothing cut.
    pub scripts: Vec<(String, bool)>,
    pub foreign_accounts: Vec<String>,
    /// Things of other accounts that the call names.
    pub given: Vec<String>,
    pub omitted: Vec<String>,
    pub missing: Vec<String>,
    pub muted: usize,
    /// What each policy of `deploy/guardrails` that is about the call would have done with it.
    pub guarded: Vec<Judged>,
    /// Why parts of it are missing.
    pub left_out: Vec<LeftOut>,
}

/// A rule that found something in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: String,
    pub title: String,
    pub level: String,
    pub reference: Option<String>,
}

/// A thing that a record names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub kind: String,
    pub name: String,
    pub arn: Option<String>,
}

impl Named {
    /// What tells it from others: the ARN in small letters, or else what it is called.
    pub fn key(&self) -> String {
        // Records name a bucket by its name, by its ARN, or by both; each name is there once.
        let named = self.arn.as_ref().filter(|_| self.kind != "bucket");
        named.map_or_else(|| format!("{} {}", self.kind, self.name), |arn| arn.to_lowercase())
    }

    /// What it is called in a sentence, such as `training job night-run`.
    pub fn words(&self) -> String {
        format!("{} {}", self.kind.replace('-', " "), self.name)
    }
}

/// The fields of a document that are read.
pub const FIELDS: [&str; 31] = [
    "@timestamp",
    "message",
    "event.action",
    "event.provider",
    "event.outcome",
    "error.code",
    "log.file.path",
    "rule.id",
    "threat.tactic.id",
    "user.name",
    "user_agent.original",
    "source.address",
    "aws.cloudtrail.event_category",
    "aws.cloudtrail.user_identity",
    "aws.cloudtrail.response_elements.credentials.accessKeyId",
    "aws.cloudtrail.response_elements.accessKey.accessKeyId",
    "aws.cloudtrail.read_only",
    "aws.cloudtrail.request_parameters.policyArn",
    "aws.cloudtrail.request_parameters.policyName",
    "aws.cloudtrail.request_parameters.imageTag",
    "aws.cloudtrail.request_parameters.userName",
    "aws.cloudtrail.request_parameters.roleName",
    "aws.cloudtrail.request_parameters.roleArn",
    "aws.cloudtrail.request_parameters.modelApprovalStatus",
    "aws.cloudtrail.request_parameters.groupName",
    "aws.cloudtrail.request_parameters.bucketName",
    "aws.cloudtrail.request_parameters.repositoryName",
    "aws.cloudtrail.request_parameters.modelPackageGroupName",
    "cloud.account.id",
    "sagemaker",
    "tags",
];

/// Who called, where the record does not say it.
const NOBODY: &str = "somebody whom the record does not name";
/// The word before what a sentence says of rules.
const TAILS: [&str; 4] =
    ["; matches ", "; as an attempt matches ", "; may be part of ", "; as an attempt may be part of "];

impl Entry {
    /// Reads the source of a document; None for one without a time.
    pub fn read(index: &str, id: &str, source: &Value) -> Option<Self> {
        let text = |pointer: &str| source.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let list = |pointer: &str| texts(source.pointer(pointer));
        let error = text("/error/code");
        let provider = text("/event/provider").unwrap_or_default();
        let principal = text("/sagemaker/alert/principal")
            .filter(|principal| principal != NO_KEY)
            .or_else(|| text("/aws/cloudtrail/user_identity/arn"))
            .or_else(|| text("/user/name"))
            .unwrap_or_else(|| NOBODY.to_owned());
        let mut findings = found(source.pointer("/sagemaker/findings"));
        findings.extend(found(source.pointer("/sagemaker/attempts")));
        let mut named = list("/sagemaker/lifecycle/indicators");
        named.extend(list("/sagemaker/lifecycle/run_source"));
        named.sort();
        named.dedup();
        Some(Self {
            time: text("/@timestamp").as_deref().and_then(timestamp::parse)?,
            id: id.to_owned(),
            index: index.to_owned(),
            file: text("/log/file/path"),
            sentence: without_tail(&text("/message").unwrap_or_default()),
            action: text("/event/action").unwrap_or_default(),
            service: provider.split('.').next().unwrap_or_default().to_owned(),
            succeeded: text("/event/outcome").as_deref() == Some("success"),
            error,
            access: text("/sagemaker/access_level"),
            read_only: source.pointer("/aws/cloudtrail/read_only").and_then(Value::as_bool),
            account: text("/cloud/account/id"),
            policy: PolicyName::read(source),
            request: REQUEST
                .iter()
                .filter_map(|member| {
                    Some((
                        (*member).to_owned(),
                        text(&format!("/aws/cloudtrail/request_parameters/{member}"))?,
                    ))
                })
                .collect(),
            is_data_event: text("/aws/cloudtrail/event_category").as_deref() == Some("Data"),
            questions: source
                .pointer("/sagemaker/questions")
                .and_then(Value::as_array)
                .map(|numbers| numbers.iter().filter_map(Value::as_u64).collect())
                .unwrap_or_default(),
            level: text("/sagemaker/severity"),
            rules: list("/rule/id"),
            findings,
            categories: list("/sagemaker/categories"),
            tactics: list("/threat/tactic/id"),
            origin: text("/sagemaker/alert/origin")
                .filter(|origin| origin != NO_KEY)
                .unwrap_or_else(|| principal.clone()),
            actor: text("/sagemaker/actor/name")
                .or_else(|| text("/user/name"))
                .unwrap_or_else(|| principal.clone()),
            principal,
            is_workload: text("/sagemaker/actor/mfa_not_applicable").as_deref() == Some("compute_role"),
            agent: text("/sagemaker/actor/agent"),
            user_agent: text("/user_agent/original"),
            address: text("/source/address"),
            network: text("/sagemaker/actor/network"),
            key: text("/aws/cloudtrail/user_identity/access_key_id"),
            issued_key: text("/aws/cloudtrail/response_elements/credentials/accessKeyId")
                .or_else(|| text("/aws/cloudtrail/response_elements/accessKey/accessKeyId")),
            chain: list("/sagemaker/actor/chain"),
            resource: source.pointer("/sagemaker/resource").and_then(named_thing),
            related: things(source.pointer("/sagemaker/related_resource")),
            configuration: source
                .pointer("/sagemaker/resource/configuration")
                .and_then(Value::as_object)
                .map(|fields| fields.iter().map(|(name, is)| (name.clone(), texts(Some(is)))).collect())
                .unwrap_or_default(),
            buckets: list("/sagemaker/s3/buckets"),
            images: list("/sagemaker/image/uri"),
            image_owners: list("/sagemaker/image/owner"),
            named,
            scripts: scripts(source),
            foreign_accounts: list("/sagemaker/policy/foreign_accounts"),
            given: list("/sagemaker/foreign/arn"),
            omitted: list("/sagemaker/omitted"),
            missing: list("/sagemaker/context").into_iter().filter(|it| it != "complete").collect(),
            muted: source.pointer("/sagemaker/muted").and_then(Value::as_array).map_or(0, Vec::len),
            guarded: Vec::new(),
            left_out: Vec::new(),
        })
    }

    /// Whether AWS refused the call for want of rights.
    pub fn is_denied(&self) -> bool {
        let words = ["AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized"];
        self.error.as_deref().is_some_and(|code| words.iter().any(|word| code.contains(word)))
    }

    /// Whether the call changes something, or opens a way in. Of other services CloudTrail says it; taking a role and
    /// signing in change nothing, whatever it says.
    pub fn changes(&self) -> bool {
        match self.access.as_deref() {
            Some(access) => !matches!(access, "read" | "list"),
            None => self.read_only == Some(false) && !matches!(self.service.as_str(), "sts" | "signin"),
        }
    }

    /// Whether a rule found a sign of an attack in it, and not only a habit.
    pub fn is_sign(&self) -> bool {
        self.findings.iter().any(|found| is_sign(&found.id, &found.level))
    }

    /// What it is about: of other services what a policy was put on, or else the first that it names.
    pub fn about(&self) -> Option<&Named> {
        let is_vague = |thing: &&Named| matches!(thing.kind.as_str(), "policy" | "object" | "resource");
        let related = || self.related.iter().find(|thing| !is_vague(thing)).or(self.related.first());
        self.resource.as_ref().or_else(related)
    }

    /// Everything that the record is about.
    pub fn things(&self) -> impl Iterator<Item = &Named> {
        self.resource.iter().chain(&self.related)
    }

    /// When it was, as records write it.
    pub fn at(&self) -> String {
        timestamp::format(self.time)
    }
}

/// The sentence before what it says of rules. The last such word counts, for the names before it are a caller's.
fn without_tail(message: &str) -> String {
    let end = TAILS.iter().filter_map(|tail| message.rfind(tail)).max().unwrap_or(message.len());
    message[..end].trim_end_matches('.').to_owned()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        other => Some(other.to_string()),
    };
    match value {
        Some(Value::Array(values)) => values.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn found(value: Option<&Value>) -> Vec<Found> {
    let text = |finding: &Value, name: &str| finding.get(name).and_then(Value::as_str).map(str::to_owned);
    let read = |finding: &Value| {
        Some(Found {
            id: text(finding, "id")?,
            title: text(finding, "title")?,
            level: text(finding, "level").unwrap_or_default(),
            reference: text(finding, "reference"),
        })
    };
    value.and_then(Value::as_array).into_iter().flatten().filter_map(read).collect()
}

/// Each thing once, by the fullest of its names.
fn things(value: Option<&Value>) -> Vec<Named> {
    let all: Vec<Named> = match value {
        Some(Value::Array(values)) => values.iter().filter_map(named_thing).collect(),
        Some(value) => named_thing(value).into_iter().collect(),
        None => Vec::new(),
    };
    let mut things: Vec<Named> = Vec::new();
    for thing in all {
        match things.iter_mut().find(|known| known.key() == thing.key()) {
            Some(known) if known.arn.is_none() => *known = thing,
            Some(_) => {}
            None => things.push(thing),
        }
    }
    things
}

fn named_thing(value: &Value) -> Option<Named> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let arn = text("arn");
    let name = text("name")
        .or_else(|| text("id"))
        .or_else(|| arn.as_ref().map(|arn| arn.rsplit(['/', ':']).next().unwrap_or(arn).to_owned()))?;
    let in_s3 = arn.as_deref().and_then(|arn| arn.strip_prefix("arn:")?.split_once(":s3:::"));
    let kind = text("type").unwrap_or_else(|| {
        let kind = match in_s3 {
            Some((_, path)) if path.contains('/') => "object",
            Some(_) => "bucket",
            None => "resource",
        };
        kind.to_owned()
    });
    Some(Named { kind, name, arn })
}

fn scripts(source: &Value) -> Vec<(String, bool)> {
    let is_cut = texts(source.pointer("/sagemaker/cut")).iter().any(|field| field.contains("lifecycle"));
    let hash = |script: &String| {
        let is_whole = !is_cut && !script.contains("[redacted:");
        (hex::encode(Sha256::digest(script.as_bytes())), is_whole)
    };
    texts(source.pointer("/sagemaker/lifecycle/script")).iter().map(hash).collect()
}
