//! The document that a match of a correlation is stored as.
//!
//! The document has the shape of an event's, so that it is a signal like any other. Its fields, besides those that only
//! a muted or re-levelled match has (`sagemaker.muted.*`, `sagemaker.releveled.*`, as in events):
//!
//! | field | type | what it has |
//! |---|---|---|
//! | `@timestamp` | date | the time of the last point |
//! | `message` | text | what happened, as one sentence |
//! | `tags` | keyword | `cut` where more points were there than are looked at |
//! | `ecs.version` | keyword | as in events |
//! | `event.kind`, `event.outcome` | keyword | `signal`; `success` where a point succeeded |
//! | `event.start`, `event.end`, `event.ingested` | date | the first and the last point, and when it was written |
//! | `event.severity` | long | as in events |
//! | `event.action`, `event.provider` | keyword | what was called, up to ten |
//! | `cloud.account.id`, `cloud.region`, `user.name` | keyword | of the points, up to ten, the most frequent first |
//! | `source.ip`, `related.ip` | ip | as many |
//! | `related.user` | keyword | as `user.name` |
//! | `rule.id`, `rule.name`, `rule.level` | keyword | the correlation |
//! | `threat.framework`, `threat.tactic.*`, `threat.technique.*` | keyword | as in events |
//! | `sagemaker.categories`, `sagemaker.severity` | keyword | as in events |
//! | `sagemaker.findings.*` | keyword | the correlation, where it asks for a look |
//! | `sagemaker.alert.origin`, `.principal`, `.identity`, `.resource` | keyword | the most frequent of the points |
//! | `sagemaker.alert.selves` | keyword | the origin and the principal as keys of ties |
//! | `sagemaker.alert.ties` | keyword | of all points, up to fifty |
//! | `sagemaker.alert.finding` | keyword | the title, where it asks for a look |
//! | `sagemaker.correlation.rule`, `.type` | keyword | the id and the type of the correlation |
//! | `sagemaker.correlation.key` | keyword | what its group has in common, as `field=value` |
//! | `sagemaker.correlation.value` | double | the largest count in a window |
//! | `sagemaker.correlation.events` | long | how many points it consists of |
//! | `sagemaker.correlation.first_id`, `.points` | keyword | ids of the documents: the first, and up to ten |
//! | `sagemaker.correlation.cut` | boolean | whether points were left out |

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Correlation;
use super::group::GroupKey;
use super::matched::Match;
use super::point::Point;
use super::said::Said;
use super::sentence::sentence;
use crate::document::DocumentId;
use crate::enrich::{Named, Severity, selves};
use crate::timestamp;

/// Values that a field of the document has at most.
const VALUES: usize = 10;
/// Ties that the document has at most.
const TIES: usize = 50;

impl Match {
    /// The id and the source of its document. The id follows from the correlation, the key and the first point's time
    /// alone. The points are those of the group; others than its own are passed over.
    pub fn document(
        &self,
        correlation: &Correlation,
        key: &GroupKey,
        points: &[&Point],
        ingested: OffsetDateTime,
    ) -> (DocumentId, Value) {
        let hits = correlation.hits(key, points);
        let points: Vec<&Point> = hits.iter().map(|hit| hit.point).filter(|point| self.has(point)).collect();
        let said = Said { correlation, key, matched: self, points: &points };
        (self.document_id(correlation, key), said.document(ingested))
    }

    fn document_id(&self, correlation: &Correlation, key: &GroupKey) -> DocumentId {
        // Two episodes can begin with the same point, when the day ends between them.
        let times = [self.first, self.fired].map(timestamp::format);
        let content = json!([correlation.id, key, times]).to_string();
        DocumentId::of(None, content.as_bytes())
    }
}

impl Said<'_> {
    fn document(&self, ingested: OffsetDateTime) -> Value {
        let Self { correlation, matched, .. } = self;
        let [origin, principal] =
            ["origin", "principal"].map(|name| self.most(&format!("sagemaker.alert.{name}")));
        let level = correlation.level_at(matched.last);
        let mut document = json!({
            "@timestamp": timestamp::format(matched.last),
            "message": sentence(self),
            "ecs": {"version": crate::enrich::ECS_VERSION},
            "event": {
                "kind": "signal",
                "outcome": self.outcome(),
                "start": timestamp::format(matched.first),
                "end": timestamp::format(matched.last),
                "ingested": timestamp::format(ingested),
                "action": self.values("event.action", VALUES),
                "provider": self.values("event.provider", VALUES),
            },
            "cloud": {
                "account": {"id": self.values("cloud.account.id", VALUES)},
                "region": self.values("cloud.region", VALUES),
            },
            "source": {"ip": self.values("source.ip", VALUES)},
            "user": {"name": self.values("user.name", VALUES)},
            "related": {"ip": self.values("source.ip", VALUES), "user": self.values("user.name", VALUES)},
            "sagemaker": {
                "alert": {
                    "origin": origin,
                    "principal": principal,
                    "identity": self.most("sagemaker.alert.identity"),
                    "resource": self.most("sagemaker.alert.resource"),
                    "selves": selves([&origin, &principal].into_iter().filter_map(Option::as_deref)),
                    "ties": self.values("sagemaker.alert.ties", TIES),
                },
                "correlation": {
                    "rule": correlation.id,
                    "type": correlation.kind(),
                    "key": self.key_texts(),
                    "value": matched.value,
                    "events": matched.events,
                    "first_id": matched.first_id,
                    "points": matched.points,
                    "cut": matched.cut,
                },
            },
        });
        if matched.cut {
            document["tags"] = json!(["cut"]);
        }
        match level {
            Some(level) => self.judge(&mut document, level),
            None => self.mute(&mut document),
        }
        remove_empty(&mut document);
        document
    }

    /// What a match says that counts.
    fn judge(&self, document: &mut Value, level: Severity) {
        let Self { correlation, matched, .. } = self;
        let Correlation { id, title, .. } = correlation;
        document["rule"] = json!({"id": [id], "name": [title], "level": [level]});
        document["event"]["severity"] = json!(level as u8);
        document["sagemaker"]["categories"] = json!(correlation.categories);
        document["sagemaker"]["severity"] = json!(level);
        if level > Severity::Informational {
            let mut finding = json!({"id": id, "title": title, "level": level});
            if let Some(reference) = correlation.references.first() {
                finding["reference"] = json!(reference);
            }
            document["sagemaker"]["findings"] = json!([finding]);
            document["sagemaker"]["alert"]["finding"] = json!([title]);
            let named = |list: &[Named]| {
                let id: Vec<&str> = list.iter().map(|named| named.id.as_str()).collect();
                let name: Vec<&str> = list.iter().map(|named| named.name.as_str()).collect();
                json!({"id": id, "name": name})
            };
            document["threat"] = json!({
                "framework": "MITRE ATT&CK",
                "tactic": named(&correlation.tactics),
                "technique": named(&correlation.techniques),
            });
        }
        let change = correlation.change.as_ref().filter(|change| change.applies_at(matched.last));
        if let Some(change) = change {
            document["sagemaker"]["releveled"] = json!([{
                "id": id, "title": title, "level": level, "original_level": correlation.level, "reason": change.reason,
            }]);
        }
    }

    /// What a match says that the site does not want to see.
    fn mute(&self, document: &mut Value) {
        let Correlation { id, title, level, change, .. } = self.correlation;
        let reason = change.as_ref().map(|change| change.reason.as_str());
        document["sagemaker"]["muted"] =
            json!([{"id": id, "title": title, "level": level, "by": "override", "reason": reason}]);
    }
}

/// Takes away what says nothing: as in events, what is absent is not written.
fn remove_empty(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(remove_empty);
        members.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(values) => !values.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        });
    }
}
