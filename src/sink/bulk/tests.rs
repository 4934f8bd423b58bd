use serde_json::{Value, json};

use time::macros::datetime;

use super::*;
use crate::document::{DocumentId, IndexName, Write};
use crate::memory::{Fact, Key, Stamp, State};
use crate::names::Names;

/// What is answered to documents that were to be created.
fn of_created<const N: usize>(
    answer: &[u8],
    ids: [&'static str; N],
) -> Result<Vec<ItemOutcome>, AnswerError> {
    classify(answer, ids.map(|id| (id, Write::Create)).into_iter())
}

fn of_joined(answer: &Value) -> Result<Vec<ItemOutcome>, AnswerError> {
    classify(answer.to_string().as_bytes(), [("a", Write::Join)].into_iter())
}

fn document(source: &'static str) -> Document {
    Document {
        id: DocumentId::of(Some("e"), source.as_bytes()),
        index: IndexName::of_event(&Names::default(), None),
        source: Bytes::from_static(source.as_bytes()),
        write: Write::Create,
    }
}

#[test]
fn a_body_has_two_lines_for_each_document_and_the_length_that_was_foretold() {
    let documents = [document("{\"n\":1}"), document("{\"n\":\"é\"}")];
    let body = encode(documents.iter());
    let (first, second) = (documents[0].id.as_str(), documents[1].id.as_str());
    let expected = format!(
        "{{\"create\":{{\"_index\":\"sagetrail-events-undated\",\"_id\":\"{first}\"}}}}\n{{\"n\":1}}\n\
         {{\"create\":{{\"_index\":\"sagetrail-events-undated\",\"_id\":\"{second}\"}}}}\n{{\"n\":\"é\"}}\n"
    );
    assert_eq!(body, expected);
    assert_eq!(body.len(), documents.iter().map(encoded_len).sum::<usize>());
}

#[test]
fn a_fact_is_joined_by_the_script_of_its_prefix_with_the_length_that_was_foretold() {
    let mut state = State::default();
    state.say("tags", &Stamp::ALWAYS, ["é\n\"{}"]);
    let fact = Fact { key: Key::session("ASIA1"), state: state.into() };
    let document = Document::of_fact(&Names::new("acme"), &fact, datetime!(2026-11-03 01:12:03 UTC));
    let body = encode([document.clone()].iter());
    assert_eq!(body.len(), encoded_len(&document));
    let lines: Vec<&str> = std::str::from_utf8(&body).unwrap().lines().collect();
    let [action, join] = lines[..] else { panic!("{lines:?}") };
    let (action, join): (Value, Value) =
        (serde_json::from_str(action).unwrap(), serde_json::from_str(join).unwrap());
    let update =
        json!({"_index": "acme-sessions-2026.11", "_id": fact.key.document_id(), "retry_on_conflict": 5});
    assert_eq!(action, json!({ "update": update }));
    let script = json!({"id": "acme-join-1", "params": {"state": fact.state}});
    assert_eq!(join, json!({"scripted_upsert": true, "upsert": {}, "script": script}));
}

#[test]
fn a_newline_in_a_document_cannot_begin_another_action() {
    let source = "{\n\"n\":\n1}\n";
    let body = encode([document(source)].iter());
    let lines: Vec<&str> = std::str::from_utf8(&body).unwrap().lines().collect();
    assert_eq!(lines.len(), 2);
    let (kept, meant): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(lines[1]).unwrap(), serde_json::from_str(source).unwrap());
    assert_eq!(kept, meant);
}

fn refused(kind: &str, reason: &str) -> ItemOutcome {
    ItemOutcome::Refused(Refusal { status: 400, kind: kind.to_owned(), reason: reason.to_owned() })
}

fn doubtful(status: u16, kind: &str, reason: &str) -> ItemOutcome {
    ItemOutcome::Doubtful(Refusal { status, kind: kind.to_owned(), reason: reason.to_owned() })
}

fn retried(status: u16, kind: &str, block: Option<ClusterBlock>) -> ItemOutcome {
    ItemOutcome::Retry { status, kind: kind.to_owned(), block }
}

/// The types and reasons are those of a real OpenSearch 2.19.
#[test]
fn each_status_means_what_it_means_for_a_document() {
    const SHARDS: &str = "Validation Failed: 1: this action would add [2] total shards, but this cluster currently \
                          has [2]/[1] maximum shards open;";
    use ClusterBlock::{Absent, AliasTaken, Blocked, Closed, Denied, IndexRefused, TooManyShards};
    let table = [
        (201, "", "", ItemOutcome::Created),
        (200, "", "", ItemOutcome::Created),
        (409, CONFLICT, "exists", ItemOutcome::Duplicate),
        (409, "another", "", retried(409, "another", None)),
        (429, "rejected_execution_exception", "", retried(429, "rejected_execution_exception", None)),
        (429, "cluster_block_exception", "disk", retried(429, "cluster_block_exception", Some(Blocked))),
        (403, "cluster_block_exception", "r/o", retried(403, "cluster_block_exception", Some(Blocked))),
        (403, "security_exception", "no", retried(403, "security_exception", Some(Denied))),
        (401, "", "", retried(401, "status_401", Some(Denied))),
        (404, "index_not_found_exception", "", retried(404, "index_not_found_exception", Some(Absent))),
        (500, "", "", retried(500, "status_500", None)),
        (503, "unavailable_shards_exception", "", retried(503, "unavailable_shards_exception", None)),
        (400, "index_closed_exception", "closed", retried(400, "index_closed_exception", Some(Closed))),
        (400, "validation_exception", SHARDS, retried(400, "validation_exception", Some(TooManyShards))),
        (400, "validation_exception", "no", retried(400, "validation_exception", Some(IndexRefused))),
        (
            400,
            "invalid_alias_name_exception",
            "an index exists with the same name as the alias",
            retried(400, "invalid_alias_name_exception", Some(AliasTaken)),
        ),
        (400, "mapper_parsing_exception", "no", refused("mapper_parsing_exception", "no")),
        (400, "strict_dynamic_mapping_exception", "", refused("strict_dynamic_mapping_exception", "")),
        (400, "", "", doubtful(400, "status_400", "")),
        (400, "new_exception", "x", doubtful(400, "new_exception", "x")),
        (413, "", "", doubtful(413, "status_413", "")),
    ];
    for (status, kind, reason, expected) in table {
        let mut create = json!({"_id": "a", "status": status});
        if !kind.is_empty() {
            create["error"] = json!({"type": kind, "reason": reason});
        }
        if status < 300 {
            create["result"] = json!("created");
        }
        let answer = json!({"items": [{"create": create}]}).to_string();
        assert_eq!(of_created(answer.as_bytes(), ["a"]), Ok(vec![expected]), "{status} {kind}");
    }
}

/// Each as a real OpenSearch 2.19 answered it.
#[test]
fn a_fact_that_is_joined_or_known_is_stored_and_a_conflict_or_a_missing_script_is_waited_for() {
    const ILLEGAL: &str = "illegal_argument_exception";
    use ClusterBlock::{Absent, Blocked, Closed, NoSource, Script, TooManyShards};
    let succeeded = [
        (201, "created", json!(0), ItemOutcome::Created),
        (200, "updated", json!(7), ItemOutcome::Created),
        (200, "noop", json!(7), ItemOutcome::Duplicate),
    ];
    for (status, result, seq_no, expected) in succeeded {
        let update = json!({"_id": "a", "status": status, "result": result, "_seq_no": seq_no});
        assert_eq!(of_joined(&json!({"items": [{ "update": update }]})), Ok(vec![expected]), "{result}");
    }
    let failed = [
        (409, CONFLICT, "required seqNo [1]", None, retried(409, CONFLICT, None)),
        (
            400,
            ILLEGAL,
            SCRIPT_FAILED,
            Some(("resource_not_found_exception", "unable to find script [x-join-1] in cluster state")),
            retried(400, "resource_not_found_exception", Some(Script)),
        ),
        (
            400,
            ILLEGAL,
            SCRIPT_FAILED,
            Some(("script_exception", "compile error")),
            retried(400, "script_exception", Some(Script)),
        ),
        (
            400,
            ILLEGAL,
            SCRIPT_FAILED,
            Some(("script_exception", "runtime error")),
            refused("script_exception", "runtime error"),
        ),
        (
            400,
            "mapper_parsing_exception",
            "failed to parse field",
            Some((ILLEGAL, "failed to parse date field")),
            refused("mapper_parsing_exception", "failed to parse field"),
        ),
        (
            400,
            "document_source_missing_exception",
            "[a]: document source missing",
            None,
            retried(400, "document_source_missing_exception", Some(NoSource)),
        ),
        (400, "index_closed_exception", "closed", None, retried(400, "index_closed_exception", Some(Closed))),
        (403, "cluster_block_exception", "", None, retried(403, "cluster_block_exception", Some(Blocked))),
        (429, "cluster_block_exception", "", None, retried(429, "cluster_block_exception", Some(Blocked))),
        (404, "index_not_found_exception", "", None, retried(404, "index_not_found_exception", Some(Absent))),
        (
            400,
            "validation_exception",
            "this cluster currently has [42]/[1] maximum shards open;",
            None,
            retried(400, "validation_exception", Some(TooManyShards)),
        ),
    ];
    for (status, kind, reason, cause, expected) in failed {
        let mut error = json!({"type": kind, "reason": reason});
        if let Some((kind, reason)) = cause {
            error["caused_by"] = json!({"type": kind, "reason": reason});
        }
        let answer = json!({"items": [{"update": {"_id": "a", "status": status, "error": error}}]});
        assert_eq!(of_joined(&answer), Ok(vec![expected]), "{kind}");
    }
}

/// As a real OpenSearch 2.19 answers where the pipeline of the index ends the update.
#[test]
fn a_pipeline_that_drops_or_fails_a_fact_is_a_state_of_the_cluster_and_spoils_no_other_answer() {
    use ClusterBlock::{Dropped, Pipeline};
    let cases = [
        (
            json!({"_id": "auto-generated", "result": "noop", "status": 200}),
            retried(200, DROPPED, Some(Dropped)),
        ),
        (
            json!({"_id": null, "status": 500, "error": {"type": "fail_processor_exception", "reason": "no"}}),
            retried(500, "fail_processor_exception", Some(Pipeline)),
        ),
        (
            json!({"_id": null, "status": 400, "error": {"type": "script_exception", "reason": "runtime error"}}),
            retried(400, "script_exception", Some(Pipeline)),
        ),
    ];
    for (index, expected) in cases {
        let created = json!({"create": {"_id": "b", "status": 201, "result": "created"}});
        let answer = json!({"items": [{ "index": index }, created]}).to_string();
        let sent = [("a", Write::Join), ("b", Write::Create)].into_iter();
        assert_eq!(classify(answer.as_bytes(), sent), Ok(vec![expected, ItemOutcome::Created]));
    }
}

#[test]
fn an_answer_that_does_not_prove_that_a_fact_is_known_is_an_error() {
    let table = [
        (json!({"update": {"_id": "a", "status": 200, "result": "noop"}}), "of no document"),
        (json!({"update": {"_id": "a", "status": 200, "result": "deleted", "_seq_no": 3}}), "deleted"),
        (json!({"update": {"_id": "b", "status": 200, "result": "updated", "_seq_no": 3}}), "another's"),
        (json!({"update": {"_id": null, "status": 200, "result": "updated", "_seq_no": 3}}), "nobody's"),
        (json!({"create": {"_id": "a", "status": 201, "result": "created", "_seq_no": 3}}), "action"),
        (json!({"index": {"_id": "a", "status": 201, "result": "created", "_seq_no": 3}}), "overwritten"),
    ];
    for (item, what) in table {
        assert!(of_joined(&json!({"items": [item]})).is_err(), "{what}");
    }
}

#[test]
fn the_flag_over_all_items_is_not_believed() {
    let answer = br#"{"took":1,"errors":false,"items":[{"create":{"_id":"a","status":429}}]}"#;
    assert_eq!(of_created(answer, ["a"]), Ok(vec![retried(429, "status_429", None)]));
}

#[test]
fn outcomes_keep_the_order_in_which_documents_were_sent() {
    let answer =
        br#"{"items":[{"create":{"_id":"a","status":409,"error":{"type":"version_conflict_engine_exception"}}},{"create":{"_id":"b\u0021","status":201,"result":"created"}}]}"#;
    let outcomes = of_created(answer, ["a", "b!"]);
    assert_eq!(outcomes, Ok(vec![ItemOutcome::Duplicate, ItemOutcome::Created]));
}

/// As a real OpenSearch 2.19 answers for an index whose pipeline has a drop processor.
#[test]
fn a_document_that_a_pipeline_dropped_is_not_stored() {
    let answer = br#"{"items":[{"create":{"_id":"a","result":"noop","status":200}}]}"#;
    let dropped = retried(200, DROPPED, Some(ClusterBlock::Dropped));
    assert_eq!(of_created(answer, ["a"]), Ok(vec![dropped]));
}

#[test]
fn an_answer_that_is_cut_or_lies_is_an_error() {
    let table: [(&[u8], &str); 13] = [
        (b"", "empty"),
        (
            b"{\"x\":\"\xff\",\"items\":[{\"create\":{\"_id\":\"a\",\"status\":201,\"result\":\"created\"}},{\"create\":{\"_id\":\"b\",\"status\":201,\"result\":\"created\"}}]}",
            "damaged where nobody reads",
        ),
        (br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","sta"#, "cut"),
        (br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}}]}"#, "too few"),
        (br#"{"items":[]}"#, "none"),
        (br#"{"took":3,"errors":false}"#, "no items"),
        (
            br#"{"items":[{"create":{"_id":"b","status":201,"result":"created"}},{"create":{"_id":"a","status":201,"result":"created"}}]}"#,
            "order",
        ),
        (
            br#"{"items":[{"index":{"_id":"a","status":201,"result":"created"}},{"index":{"_id":"b","status":201,"result":"created"}}]}"#,
            "action",
        ),
        (br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b"}}]}"#, "no status"),
        (
            br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","status":302}}]}"#,
            "status",
        ),
        (
            br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","status":200}}]}"#,
            "no result",
        ),
        (
            br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","status":200,"result":"deleted"}}]}"#,
            "another result",
        ),
        (b"<html>ok</html>", "a proxy's page"),
    ];
    for (answer, what) in table {
        assert!(of_created(answer, ["a", "b"]).is_err(), "{what}");
    }
}

#[test]
fn a_reason_is_capped_between_characters() {
    let error = ItemError { reason: Some("é".repeat(5_000)), ..ItemError::default() };
    assert_eq!(refusal(400, error).reason.chars().count(), REASON_CHARACTERS);
}

#[test]
fn a_whole_refusal_is_read_from_any_body() {
    let whole =
        br#"{"error":{"type":"illegal_argument_exception","reason":"no","root_cause":[]},"status":400}"#;
    let table: [(&[u8], &str); 3] = [
        (whole, "illegal_argument_exception"),
        (b"Too big", "status_400"),
        (br#"{"error":"x"}"#, "status_400"),
    ];
    for (body, kind) in table {
        assert_eq!(whole_refusal(400, body).kind, kind);
    }
}
