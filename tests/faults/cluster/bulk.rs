//! Bulks: what is stored of them, and what is answered.

use std::time::Duration;

use sagetrail::memory::State;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{After, drawn_status};
use crate::schedule::POISON;
use crate::world::{Inner, REJECTED, World};

pub async fn bulk(world: &World, body: &str, too_late: Duration) -> After {
    let fault = world.lock().draw(15);
    let before = {
        let mut inner = world.lock();
        inner.tell(format!("bulk of {} documents", body.lines().count() / 2));
        match fault {
            Some(5) => {
                inner.meet("opensearch: delayed");
                inner.pause(10)
            }
            _ => Duration::from_millis(inner.random.u64(1..30)),
        }
    };
    sleep(before).await;
    let after = answer(&mut world.lock(), fault, body);
    if fault == Some(4) {
        world.lock().meet("opensearch: stored and answered too late");
        sleep(too_late).await;
    }
    after
}

fn answer(inner: &mut Inner, fault: Option<u8>, body: &str) -> After {
    match fault {
        Some(0) => {
            inner.meet("opensearch: request status");
            return After::Answer(drawn_status(inner), "{}".to_owned());
        }
        Some(1) => {
            inner.meet("opensearch: too large");
            return After::Answer(413, "{}".to_owned());
        }
        Some(2) => {
            inner.meet("opensearch: reset before");
            return After::Reset;
        }
        _ => {}
    }
    let lines: Vec<&str> = body.lines().collect();
    let mut items: Vec<Value> = lines.chunks(2).map(|pair| item(inner, fault, pair)).collect();
    match fault {
        Some(3) => {
            inner.meet("opensearch: reset after storing");
            return After::Reset;
        }
        Some(8) => inner.meet("opensearch: items not taken"),
        Some(9) => inner.meet("opensearch: items stored and denied"),
        Some(10) => {
            inner.meet("opensearch: items swapped");
            let last = items.len() - 1;
            if last == 0 {
                if let Some(item) = items[0].as_object_mut().and_then(|item| item.values_mut().next()) {
                    item["_id"] = json!("another");
                }
            } else {
                items.swap(0, last);
            }
        }
        Some(11) => {
            inner.meet("opensearch: item missing");
            let missing = inner.random.usize(..items.len());
            items.remove(missing);
        }
        Some(12) => {
            inner.meet("opensearch: item without meaning");
            let odd = inner.random.usize(..items.len());
            let status = json!([0, 100, 302, 600][inner.random.usize(..4)]);
            if let Some(item) = items[odd].as_object_mut().and_then(|item| item.values_mut().next()) {
                item["status"] = status;
            }
        }
        Some(13) => {
            inner.meet("opensearch: part stored, then an error");
            return if inner.random.bool() { After::Reset } else { After::Answer(500, "{}".to_owned()) };
        }
        Some(14) => {
            inner.meet("opensearch: a proxy's page");
            return After::Answer(200, "<html>Welcome</html>".to_owned());
        }
        _ => {}
    }
    let text = json!({"items": items}).to_string();
    match fault {
        Some(6) => {
            inner.meet("opensearch: answer cut on the wire");
            After::Cut(text)
        }
        Some(7) => {
            inner.meet("opensearch: half an answer");
            After::Answer(200, text[..text.len() / 2].to_owned())
        }
        _ => After::Answer(200, text),
    }
}

/// Stores one document, or does not, and says what became of it, or does not.
fn item(inner: &mut Inner, fault: Option<u8>, pair: &[&str]) -> Value {
    let [action, source] = pair else { panic!("an action without its document") };
    let action: Value = serde_json::from_str(action).expect("an action is JSON");
    let [(operation, place)] = &action.as_object().expect("an object").iter().collect::<Vec<_>>()[..] else {
        panic!("one action")
    };
    if *operation == "index" {
        // A write on a condition that no document meets, which stores nothing.
        assert!(place["if_seq_no"].is_u64(), "a write without `create`: {action}");
        let error = json!({"type": "version_conflict_engine_exception", "reason": "no document was found"});
        return json!({"index": {"_id": place["_id"], "status": 409, "error": error}});
    }
    let operation = operation.as_str();
    let name = |key: &str| place[key].as_str().expect("a name").to_owned();
    let (index, id) = (name("_index"), name("_id"));
    let not_now = |inner: &mut Inner| {
        let (status, kind) = [
            (429, "rejected_execution_exception"),
            (500, "exception"),
            (503, "unavailable_shards_exception"),
            (403, "cluster_block_exception"),
        ][inner.random.usize(..4)];
        json!({operation: {"_id": id, "status": status, "error": {"type": kind, "reason": "drawn"}}})
    };
    if let Some(status) = inner.blocked {
        inner.tell("  blocked");
        return json!({operation: {"_id": id, "status": status, "error": {"type": "cluster_block_exception"}}});
    }
    if operation == "update" {
        return join(inner, fault, (&index, &id), source).unwrap_or_else(|| not_now(inner));
    }
    assert_eq!(operation, "create");
    match fault {
        // Nothing of it is stored.
        Some(8 | 13) if inner.random.bool() => return not_now(inner),
        Some(9) if inner.random.bool() && index != REJECTED && !source.contains(POISON) => {
            inner.create(&index, &id, source);
            return not_now(inner);
        }
        _ => {}
    }
    if index != REJECTED && source.contains(POISON) {
        let error = json!({"type": "mapper_parsing_exception", "reason": "it is poisoned"});
        return json!({"create": {"_id": id, "status": 400, "error": error}});
    }
    match inner.create(&index, &id, source) {
        status @ 409 => {
            let error = json!({"type": "version_conflict_engine_exception", "reason": "it exists"});
            json!({"create": {"_id": id, "status": status, "error": error}})
        }
        status => json!({"create": {"_id": id, "status": status, "result": "created"}}),
    }
}

/// Joins a fact as the stored script does; None where it is not taken now.
fn join(inner: &mut Inner, fault: Option<u8>, (index, id): (&str, &str), body: &str) -> Option<Value> {
    let body: Value = serde_json::from_str(body).expect("an update is JSON");
    assert_eq!((&body["scripted_upsert"], &body["upsert"]), (&json!(true), &json!({})), "{body}");
    let told: State = serde_json::from_value(body["script"]["params"]["state"].clone()).expect("a state");
    let is_hit = matches!(fault, Some(8 | 9 | 13)) && inner.random.bool();
    if is_hit && inner.random.bool() {
        inner.meet("opensearch: conflict of updates");
        let error = json!({"type": "version_conflict_engine_exception", "reason": "another was faster"});
        return Some(json!({"update": {"_id": id, "status": 409, "error": error}}));
    }
    if is_hit && fault != Some(9) {
        return None;
    }
    let (status, result) = inner.join(index, id, &told);
    if is_hit {
        return None;
    }
    let mut item = json!({"_id": id, "status": status, "result": result});
    if inner.memory.contains_key(&(index.to_owned(), id.to_owned())) {
        item["_seq_no"] = json!(3);
    }
    Some(json!({ "update": item }))
}
