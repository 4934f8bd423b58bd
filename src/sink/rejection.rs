//! Writes the report that is stored in the rejected index in place of a document that OpenSearch refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::bulk::Refusal;
use super::verdict::REFUSED_ON_THE_WAY;
use crate::document::{Document, DocumentId, Write};
use crate::labels::{Label, RejectReason};

/// The report of `document`, under the same id, with the whole text as one string that no mapping can refuse.
pub(super) fn report(document: &Document, refusal: &Refusal, now: OffsetDateTime) -> Document {
    // A firewall that refused the text once would refuse it again.
    let is_encoded = refusal.kind == REFUSED_ON_THE_WAY;
    let text = if is_encoded {
        BASE64_STANDARD.encode(&document.source).into()
    } else {
        String::from_utf8_lossy(&document.source)
    };
    let report = Report {
        timestamp: now.format(&Rfc3339).expect("the present year has four digits"),
        reason: RejectReason::Refused.label(),
        error: ReportedError { kind: &refusal.kind, message: &refusal.reason },
        index: document.index.as_str(),
        text: &text,
        text_encoding: is_encoded.then_some("base64"),
    };
    let source = serde_json::to_vec(&report).expect("a struct of strings is always JSON");
    Document {
        id: match document.write {
            Write::Create => document.id.clone(),
            // Many facts are told of one thing, and each that is refused has a report of its own.
            Write::Join => DocumentId::of(Some(document.id.as_str()), &document.source),
        },
        index: document.index.rejected_beside(),
        source: Bytes::from(source),
        write: Write::Create,
    }
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    reason: &'static str,
    error: ReportedError<'a>,
    /// Where the document was meant to go.
    index: &'a str,
    text: &'a str,
    /// Absent where the text is the document as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_encoding: Option<&'static str>,
}

#[derive(Serialize)]
struct ReportedError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::IndexName;
    use crate::names::Names;

    #[test]
    fn a_report_keeps_the_id_the_reason_and_every_byte_of_the_text() {
        let source = "{\"n\":\"x\\n\\\"\u{1F980}\"}";
        let document = Document {
            id: DocumentId::of(Some("e1"), source.as_bytes()),
            index: IndexName::of_event(&Names::default(), None),
            source: Bytes::from_static(source.as_bytes()),
            write: Write::Create,
        };
        let refusal = Refusal {
            status: 400,
            kind: "mapper_parsing_exception".to_owned(),
            reason: "no number".to_owned(),
        };
        let report = report(&document, &refusal, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(report.id, document.id);
        assert_eq!(report.index, IndexName::rejected(&Names::default()));
        let value: serde_json::Value = serde_json::from_slice(&report.source).unwrap();
        let expected = serde_json::json!({
            "@timestamp": "1970-01-01T00:00:00Z",
            "reason": "refused_by_opensearch",
            "error": {"type": "mapper_parsing_exception", "message": "no number"},
            "index": "sagetrail-events-undated",
            "text": source,
        });
        assert_eq!(value, expected);
    }
}
