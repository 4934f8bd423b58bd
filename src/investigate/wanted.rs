//! Decides what somebody asks for, and which records belong to it (pure).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sagetrail_core::incident::Incident;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::report::{IncidentFacts, Subject};
use crate::incidents::id_in;
use crate::opensearch::events::no_drills;
use crate::timestamp;

/// How much of the time before and after an incident belongs to it: how somebody came in, and what was done without a
/// finding.
const AROUND: Duration = Duration::hours(1);

/// The fields by which a record names who called.
const PRINCIPAL: [&str; 12] = [
    "sagemaker.alert.principal",
    "sagemaker.alert.identity",
    "sagemaker.alert.origin",
    "sagemaker.actor.chain",
    "sagemaker.actor.origin",
    "sagemaker.actor.name",
    "aws.cloudtrail.user_identity.arn",
    "aws.cloudtrail.user_identity.access_key_id",
    "aws.cloudtrail.session.issuer.arn",
    "user.id",
    "user.name",
    "related.user",
];
/// The fields by which a record names what the call was about.
const RESOURCE: [&str; 8] = [
    "sagemaker.resource.arn",
    "sagemaker.resource.name",
    "sagemaker.resource.parent.arn",
    "sagemaker.related_resource.arn",
    "sagemaker.related_resource.name",
    "sagemaker.alert.ties",
    "sagemaker.execution_role.arn",
    "sagemaker.s3.buckets",
];

/// What somebody names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The beginning of an incident's id.
    Incident(String),
    Principal(String),
    Resource(String),
    /// A name alone, which may be that of either.
    Name(String),
}

/// Which records belong to what was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Fields and values, of which one has to be there.
    ways: Vec<(&'static str, String)>,
    pub since: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
    pub subject: Subject,
    pub incident: Option<IncidentFacts>,
}

/// The times that somebody gives; what is not given follows from the incident.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    pub since: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
}

impl Asked {
    /// Tells by its form what a text names: the id of an incident or of a page, an ARN, an access key, or any name.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let begins = |beginnings: &[&str]| beginnings.iter().any(|it| text.starts_with(it));
        let service = text.split(':').nth(2).filter(|_| text.starts_with("arn:"));
        if let Some(id) = id_in(text) {
            return Self::Incident(id.to_owned());
        }
        match service {
            Some("sts") => Self::Principal(text.to_owned()),
            // A role is somebody who calls as well as a thing that is handed on.
            Some("iam") => Self::Name(text.to_owned()),
            Some(_) => Self::Resource(text.to_owned()),
            None if begins(&["AKIA", "ASIA", "AROA", "AIDA"]) => Self::Principal(text.to_owned()),
            None => Self::Name(text.to_owned()),
        }
    }
}

/// The time whose records belong to an incident.
pub fn around(incident: &Incident) -> RangeInclusive<OffsetDateTime> {
    incident.event.start.0.saturating_sub(AROUND)..=incident.event.end.0.saturating_add(AROUND)
}

impl Wanted {
    /// None for an incident, which has to be found first.
    pub fn of(asked: &Asked, range: Range) -> Option<Self> {
        let (fields, value, subject) = match asked {
            Asked::Incident(_) => return None,
            Asked::Principal(value) => (PRINCIPAL.to_vec(), value, Subject::Principal),
            Asked::Resource(value) => (RESOURCE.to_vec(), value, Subject::Resource),
            Asked::Name(value) => ([&PRINCIPAL[..], &RESOURCE[..]].concat(), value, Subject::Principal),
        };
        let ways = fields.into_iter().map(|field| (field, value.clone())).collect();
        Some(Self { ways, since: range.since, until: range.until, subject, incident: None })
    }

    /// The records of an incident's origins and principals, around its time unless the range says otherwise.
    pub fn of_incident(incident: &Incident, range: Range) -> Self {
        let fields = &incident.incident;
        let origins = fields.origins.iter().map(|origin| ("sagemaker.alert.origin", origin.clone()));
        let principals = fields.principals.iter().map(|it| ("sagemaker.alert.principal", it.clone()));
        Self {
            ways: origins.chain(principals).collect(),
            since: Some(range.since.unwrap_or(*around(incident).start())),
            until: Some(range.until.unwrap_or(*around(incident).end())),
            subject: Subject::Incident,
            incident: Some(facts(incident)),
        }
    }

    /// Whether a document belongs to it.
    pub fn holds(&self, time: OffsetDateTime, source: &Value) -> bool {
        self.since.is_none_or(|since| since <= time)
            && self.until.is_none_or(|until| time <= until)
            && self.ways.iter().any(|(field, value)| has(source, field, value))
            // The names of a drill are nobody's; its own incident is found by its origin.
            && (self.incident.is_some() || source["sagemaker"]["drill"].is_null())
    }

    /// The same as a query.
    pub fn query(&self) -> Value {
        let mut ways = Vec::new();
        // An incident has the very names that records have, and so many of them that each cannot be a clause.
        let is_exact = self.incident.is_some();
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (field, value) in self.ways.iter().filter(|_| is_exact) {
            names.entry(field).or_default().push(value);
        }
        ways.extend(names.into_iter().map(|(field, names)| json!({"terms": {(field): names}})));
        for (field, value) in self.ways.iter().filter(|_| !is_exact) {
            ways.push(json!({"term": {*field: {"value": value, "case_insensitive": true}}}));
            if *field == "user.id" {
                ways.push(
                    json!({"prefix": {*field: {"value": format!("{value}:"), "case_insensitive": true}}}),
                );
            }
        }
        let mut filter = vec![json!({"bool": {"should": ways, "minimum_should_match": 1}})];
        let mut range = json!({});
        for (word, time) in [("gte", self.since), ("lte", self.until)] {
            if let Some(time) = time {
                range[word] = timestamp::format(time).into();
            }
        }
        filter.push(json!({"range": {"@timestamp": range}}));
        if self.incident.is_none() {
            filter.push(no_drills());
        }
        json!({"bool": {"filter": filter}})
    }
}

/// Whether a dotted field has the value, in any case of letters, with lists of objects on the way.
fn has(source: &Value, field: &str, value: &str) -> bool {
    match source {
        Value::Array(items) => items.iter().any(|item| has(item, field, value)),
        Value::Object(members) => {
            let (first, rest) = field.split_once('.').unwrap_or((field, ""));
            members.get(first).is_some_and(|member| has(member, rest, value))
        }
        Value::String(text) if field.is_empty() => {
            // The id of a role stands before the name of its session.
            let is_session = || {
                let (id, _) = text.split_once(':').unwrap_or((text, ""));
                text.starts_with("AROA") && id.eq_ignore_ascii_case(value)
            };
            text.eq_ignore_ascii_case(value) || is_session()
        }
        _ => false,
    }
}

fn facts(incident: &Incident) -> IncidentFacts {
    let fields = &incident.incident;
    let mut records: Vec<String> = Vec::new();
    for finding in &fields.findings {
        // A match of several records is in an index of its own.
        if finding.first_index.contains("-events-") && !records.contains(&finding.first_id) {
            records.push(finding.first_id.clone());
        }
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    IncidentFacts {
        id: fields.id.clone(),
        state: word(&json!(fields.state)),
        severity: word(&json!(fields.severity)),
        reason: fields.reason.clone(),
        opened: timestamp::format(fields.opened.0),
        sentence: incident.message.clone(),
        origins: fields.origins.clone(),
        cut: fields.cut.clone(),
        records,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_told_by_its_form() {
        let cases = [
            ("ef59c50419a67acb64ab3f936e02b75d", Asked::Incident as fn(String) -> Asked),
            ("ef59c504", Asked::Incident),
            ("deadbee", Asked::Name),
            ("ASIA9400000000000001", Asked::Principal),
            ("arn:aws:sts::111122223333:assumed-role/dev/carol", Asked::Principal),
            ("arn:aws:iam::111122223333:role/dev", Asked::Name),
            ("arn:aws:sagemaker:eu-central-1:111122223333:model/fraud", Asked::Resource),
            ("fraud-research", Asked::Name),
        ];
        for (text, kind) in cases {
            assert_eq!(Asked::read(&format!(" {text} ")), kind(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_record_belongs_to_whom_it_names_in_any_case_and_within_the_range() {
        let at = |text: &str| timestamp::parse(text).unwrap();
        let document = json!({
            "user": {"id": "AROAEXAMPLE:carol"},
            "sagemaker": {"related_resource": [{"arn": "arn:aws:iam::1:role/A"}, {"arn": "arn:aws:iam::1:role/B"}]},
        });
        let noon = at("2026-11-03T12:00:00Z");
        for (asked, expected) in [
            ("AROAEXAMPLE", true),
            ("aroaexample", true),
            ("arn:aws:iam::1:role/b", true),
            ("AROA", false),
            ("carol", false),
        ] {
            let range = Range { since: Some(noon), until: Some(noon) };
            let wanted = Wanted::of(&Asked::Name(asked.to_owned()), range).unwrap();
            assert_eq!(wanted.holds(noon, &document), expected, "{asked}");
            assert!(!wanted.holds(at("2026-11-03T12:00:01Z"), &document));
            assert!(!wanted.holds(at("2026-11-03T11:59:59Z"), &document));
        }
    }
}
