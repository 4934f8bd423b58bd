//! Writes the source of an event's document: ECS names for what every SIEM has, `aws.cloudtrail.*` for the envelope,
//! `sagemaker.*` for our own.
//!
//! It serialises straight from the borrowed record; nothing absent is written.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_with::skip_serializing_none;
use time::OffsetDateTime;

use super::actor::Actor;
use super::alert::{self, AlertKey};
use super::analysis::Analysis;
use super::catalogue::Access;
use super::context::Context;
use super::drill;
use super::enricher::Arrival;
use super::envelope::CloudTrail;
use super::networks::{AsNumber, Geo, SourceNetwork};
use super::own_fields::{ActorAndMemory, Rules, SageMaker};
use super::questions;
use super::remembered::Remembered;
use super::rules::Judged;
use super::runbook;
use super::sentence;
use super::verdict::{CallOutcome, MatchedRules, Possible, Threat, Verdict, outcome, severity};
use crate::record::Record;
use crate::timestamp::Timestamp;

/// The version of the Elastic Common Schema whose field names are used.
pub const ECS_VERSION: &str = "8.11.0";

/// The tag of a record whose operation nobody has described yet.
pub const UNKNOWN_OPERATION: &str = "unknown_operation";

/// Everything that the document of one event is written from.
pub struct Event<'e, 'a> {
    /// The record with its secrets replaced.
    pub record: &'e Record<'a>,
    /// The text that the record was parsed from.
    pub original: &'e str,
    pub judged: &'e Judged<'e>,
    pub actor: Actor<'e>,
    pub network: SourceNetwork<'e>,
    pub remembered: Remembered,
    /// The id of the drill that the record belongs to.
    pub drill: Option<&'e str>,
    pub context: Context<'e>,
    /// Whether the record names an operation of SageMaker that the catalogue lacks.
    pub unknown_operation: bool,
    /// When the event happened, or the best that is known where the record does not say.
    pub timestamp: OffsetDateTime,
    /// When the object that holds the record was written.
    pub created: Option<OffsetDateTime>,
    pub ingested: OffsetDateTime,
    /// When it was enriched anew, if ever.
    pub retagged: Option<OffsetDateTime>,
    pub arrival: Arrival,
    /// Which rules and content have decided.
    pub rules_version: &'e str,
    /// Where the record was read, such as `s3://bucket/key`.
    pub path: &'e str,
}

impl Serialize for Event<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(None)?;
        let verdict = Verdict::of(&self.judged.matches, outcome(self.record));
        let analysis = self.analysis(&verdict);
        document.serialize_entry("@timestamp", &Timestamp(self.timestamp))?;
        let tags = self.tags();
        if !tags.is_empty() {
            document.serialize_entry("tags", &tags)?;
        }
        document.serialize_entry("message", &self.message(&analysis))?;
        document.serialize_entry("ecs", &Ecs { version: ECS_VERSION })?;
        document.serialize_entry("event", &self.event())?;
        document.serialize_entry("cloud", &self.cloud())?;
        document.serialize_entry("source", &self.source())?;
        document.serialize_entry("user", &self.user())?;
        if let Some(original) = self.record.text(&["userAgent"]) {
            document.serialize_entry("user_agent", &UserAgent { original })?;
        }
        if let Some(error) = self.error() {
            document.serialize_entry("error", &error)?;
        }
        document.serialize_entry("related", &self.related())?;
        document.serialize_entry("log", &Log::of(self.path))?;
        if !self.judged.matches.is_empty() {
            document.serialize_entry("rule", &MatchedRules::of(&self.judged.matches))?;
        }
        if let Some(threat) = Threat::of(&self.judged.matches) {
            document.serialize_entry("threat", &threat)?;
        }
        document.serialize_entry("aws", &Aws { cloudtrail: CloudTrail::of(self.record) })?;
        document.serialize_entry(
            "sagemaker",
            &SageMaker {
                actor: ActorAndMemory {
                    actor: &self.actor,
                    network: self.network.kind,
                    remembered: &self.remembered.actor,
                },
                verdict: &verdict,
                muted: &self.judged.muted,
                releveled: &self.judged.releveled,
                possible: Possible::of(&self.judged.matches),
                context: &self.context,
                first: &self.remembered.first,
                usual: &self.remembered.usual,
                touches: &self.remembered.touches,
                memory: &self.remembered.context,
                alert: AlertKey::of(
                    self.record,
                    &self.actor,
                    &self.remembered.actor,
                    &self.context,
                    &verdict,
                    self.drill,
                ),
                drill: self.drill,
                questions: questions::answered(&analysis),
                runbook: runbook::links(&analysis),
                rules: Rules { version: self.rules_version, retagged: self.retagged.map(Timestamp) },
            },
        )?;
        document.end()
    }
}

impl<'e, 'a> Event<'e, 'a> {
    fn tags(&self) -> Vec<&'static str> {
        let unknown = self.unknown_operation.then_some(UNKNOWN_OPERATION);
        let replayed = (self.arrival == Arrival::Replayed).then_some(Arrival::REPLAYED);
        unknown.into_iter().chain(self.drill.map(|_| drill::TAG)).chain(replayed).collect()
    }

    /// The sentence; that of a drill says so first.
    fn message(&self, analysis: &Analysis<'_, 'a>) -> String {
        let sentence = sentence::sentence(analysis);
        if self.drill.is_some() { format!("{}{sentence}", drill::SAID_FIRST) } else { sentence }
    }

    fn analysis<'v>(&'v self, verdict: &'v Verdict<'e>) -> Analysis<'v, 'a> {
        Analysis {
            record: self.record,
            matches: &self.judged.matches,
            actor: &self.actor,
            network: &self.network,
            context: &self.context,
            verdict,
            outcome: outcome(self.record),
        }
    }

    fn event(&self) -> EventFields<'e> {
        let record = self.record;
        EventFields {
            // Monitors group by it, by the account and the region, and show them.
            id: record.text(&["eventID"]).map(alert::plain),
            action: record.text(&["eventName"]),
            provider: record.text(&["eventSource"]),
            outcome: match outcome(record) {
                CallOutcome::Succeeded => "success",
                CallOutcome::Failed => "failure",
            },
            kind: "event",
            category: category(self),
            kinds: kinds(self),
            severity: severity(&self.judged.matches, outcome(self.record)).map(|severity| severity as u8),
            created: self.created.map(Timestamp),
            ingested: Timestamp(self.ingested),
            original: self.original,
        }
    }

    /// Whether the call only looked: by its access level, or else by what CloudTrail says.
    fn reads(&self) -> bool {
        let read_only = self.record.at(&["readOnly"]).as_bool() == Some(true);
        self.context.access_level.map_or(read_only, Access::reads)
    }

    fn cloud(&self) -> Cloud<'e> {
        let account = self
            .record
            .text(&["recipientAccountId"])
            .or_else(|| self.record.text(&["userIdentity", "accountId"]));
        Cloud {
            provider: "aws",
            region: self.record.text(&["awsRegion"]).map(alert::plain),
            account: account.map(|id| Account { id: alert::plain(id) }),
            origin: self.network.aws.map(|range| CloudOrigin {
                provider: "aws",
                region: range.region,
                service: Service { name: range.service },
            }),
        }
    }

    fn source(&self) -> Source<'_> {
        let SourceNetwork { geo, asn, .. } = &self.network;
        Source {
            address: self.record.text(&["sourceIPAddress"]),
            ip: self.address(),
            geo: geo.as_ref(),
            asn: asn.as_ref(),
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.record.text(&["sourceIPAddress"])?.parse().ok()
    }

    fn user(&self) -> User<'e> {
        User {
            id: self.record.text(&["userIdentity", "principalId"]),
            name: self.actor.name(),
            roles: self.actor.role.into_iter().collect(),
        }
    }

    fn error(&self) -> Option<CallError<'e>> {
        let (code, message) = (self.record.text(&["errorCode"]), self.record.text(&["errorMessage"]));
        (code.is_some() || message.is_some()).then_some(CallError { code, message })
    }

    fn related(&self) -> Related<'_> {
        let Actor { arn, issuer, session_name, source_identity, .. } = &self.actor;
        let user = [
            self.actor.name(),
            self.record.text(&["userIdentity", "userName"]),
            *arn,
            issuer.as_ref().and_then(|issuer| issuer.name),
            *session_name,
            *source_identity,
        ];
        let indicators = &self.context.lifecycle.indicators;
        Related {
            ip: self.address().into_iter().chain(indicators.public_addresses()).collect(),
            hosts: indicators.hosts().collect(),
            user: user.into_iter().flatten().collect(),
        }
    }
}

#[skip_serializing_none]
#[derive(Serialize)]
struct EventFields<'e> {
    id: Option<Cow<'e, str>>,
    action: Option<&'e str>,
    provider: Option<&'e str>,
    outcome: &'static str,
    kind: &'static str,
    category: &'static [&'static str],
    #[serde(rename = "type")]
    kinds: Vec<&'static str>,
    severity: Option<u8>,
    created: Option<Timestamp>,
    ingested: Timestamp,
    original: &'e str,
}

fn category(event: &Event<'_, '_>) -> &'static [&'static str] {
    match event.record.event_source() {
        "iam.amazonaws.com" => &["iam"],
        "sts.amazonaws.com" | "signin.amazonaws.com" => &["authentication"],
        _ if event.reads() => &["api"],
        _ => &["api", "configuration"],
    }
}

fn kinds(event: &Event<'_, '_>) -> Vec<&'static str> {
    let record = event.record;
    let name = record.event_name();
    let starts = |verbs: &[&str]| verbs.iter().any(|verb| name.starts_with(verb));
    let kind = if starts(&["Create", "Register", "Import"]) {
        "creation"
    } else if starts(&["Delete", "Deregister"]) {
        "deletion"
    } else if starts(&["Start", "Run"]) {
        "start"
    } else if starts(&["Stop"]) {
        "end"
    } else if event.reads() || starts(&["Get", "List", "Describe", "Search"]) {
        "access"
    } else {
        "change"
    };
    let denied = record.text(&["errorCode"]).is_some_and(|code| code.contains("AccessDenied"));
    if denied { vec![kind, "denied"] } else { vec![kind] }
}

#[skip_serializing_none]
#[derive(Serialize)]
struct Cloud<'e> {
    provider: &'static str,
    region: Option<Cow<'e, str>>,
    account: Option<Account<'e>>,
    origin: Option<CloudOrigin<'e>>,
}

/// The part of AWS that the caller's address belongs to.
#[derive(Serialize)]
struct CloudOrigin<'e> {
    provider: &'static str,
    region: &'e str,
    service: Service<'e>,
}

#[derive(Serialize)]
struct Service<'e> {
    name: &'e str,
}

#[derive(Serialize)]
struct Account<'e> {
    id: Cow<'e, str>,
}

/// `ip` only when the address is one: CloudTrail also writes names of services and broken addresses.
#[skip_serializing_none]
#[derive(Serialize)]
struct Source<'e> {
    address: Option<&'e str>,
    ip: Option<IpAddr>,
    geo: Option<&'e Geo<'e>>,
    #[serde(rename = "as")]
    asn: Option<&'e AsNumber<'e>>,
}

#[skip_serializing_none]
#[derive(Serialize)]
struct User<'e> {
    id: Option<&'e str>,
    name: Option<&'e str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<&'e str>,
}

#[derive(Serialize)]
struct Related<'e> {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    ip: BTreeSet<IpAddr>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    hosts: BTreeSet<&'e str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    user: BTreeSet<&'e str>,
}

/// The file that the record was read from.
#[derive(Serialize)]
pub struct Log<'e> {
    file: LogFile<'e>,
}

impl<'e> Log<'e> {
    /// Takes the path that the record was read from, such as the S3 URI of its object.
    pub fn of(path: &'e str) -> Self {
        Self { file: LogFile { path } }
    }
}

#[derive(Serialize)]
struct LogFile<'e> {
    path: &'e str,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

#[derive(Serialize)]
struct UserAgent<'e> {
    original: &'e str,
}

#[skip_serializing_none]
#[derive(Serialize)]
struct CallError<'e> {
    code: Option<&'e str>,
    message: Option<&'e str>,
}

#[derive(Serialize)]
struct Aws<'e, 'a> {
    cloudtrail: CloudTrail<'e, 'a>,
}
