//! Asks whether facts can be joined into memory. The daemon does at each start, because it may not install the script.

use bytes::Bytes;

use super::answer::SetupError;
use crate::opensearch::bulk::{self, Action, SCRIPT_FAILED};
use crate::opensearch::{Answer, OpenSearch};
use crate::sink::bulk::join;

/// Whether the cluster has the script that joins facts; `sagetrail setup` installs it. It is tried with a join of
/// nothing, which stores nothing, so that a denial of such writes shows as well, as an error.
pub async fn has_join_script(client: &OpenSearch) -> Result<bool, SetupError> {
    let names = client.names();
    let mut body = Vec::new();
    let nothing = join(&names.join_script(), b"{}");
    bulk::push(&mut body, Action::Update, &names.resources(), "sagetrail-probe", &nothing);
    judge(&client.bulk(Bytes::from(body)).await?)
}

fn judge(answer: &Answer) -> Result<bool, SetupError> {
    let refused = |status, body| Err(SetupError::Refused { path: "_bulk".to_owned(), status, body });
    let items = bulk::read(&answer.body).unwrap_or_default();
    let [done] = &items[..] else { return refused(answer.status, String::new()) };
    let item = done.item();
    let reason = item.error.as_ref().and_then(|error| error.reason.as_deref());
    match item.status {
        200..=299 => Ok(true),
        400 if reason == Some(SCRIPT_FAILED) => Ok(false),
        status => refused(status, item.kind().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(status: u16, body: &Value) -> Result<bool, u16> {
        judge(&Answer { status, body: Bytes::from(body.to_string()) }).map_err(|error| match error {
            SetupError::Refused { status, .. } => status,
            error => panic!("{error}"),
        })
    }

    /// Each as a real OpenSearch 2.19 answered it.
    #[test]
    fn a_script_that_is_missing_or_does_not_compile_is_told_from_a_denial() {
        let update = |status: u16, update: &Value| {
            let mut item = json!({"_id": "sagetrail-probe", "status": status});
            item.as_object_mut().unwrap().extend(update.as_object().unwrap().clone());
            json!({"items": [{ "update": item }]})
        };
        let failed = |kind: &str, reason: &str| json!({"error": {"type": kind, "reason": reason}});
        let script = update(400, &failed("illegal_argument_exception", SCRIPT_FAILED));
        let denied = update(403, &failed("security_exception", "no permissions"));
        for (status, body, expected) in [
            (200, update(200, &json!({"result": "noop"})), Ok(true)),
            (200, script, Ok(false)),
            (200, denied, Err(403)),
            (200, update(429, &failed("cluster_block_exception", "")), Err(429)),
            (403, json!({"error": {"type": "security_exception"}}), Err(403)),
            (503, Value::Null, Err(503)),
        ] {
            assert_eq!(judged(status, &body), expected, "{body}");
        }
    }
}
