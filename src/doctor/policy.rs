//! Reads from a queue's policy who may send to it (pure).

use std::collections::BTreeSet;

use serde_json::Value;

/// Who may send to a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
pub(super) enum Sender {
    /// A service or an identity, by its name.
    #[strum(to_string = "{0}")]
    Named(String),
    /// Anyone at all: the statement has no condition that narrows it.
    #[strum(to_string = "anyone")]
    Anyone,
}

/// Reads the senders off a policy. A queue without a policy (an empty text) has none.
pub(super) fn senders(policy: &str) -> Result<BTreeSet<Sender>, String> {
    if policy.is_empty() {
        return Ok(BTreeSet::new());
    }
    let policy: Value =
        serde_json::from_str(policy).map_err(|error| format!("the policy is no JSON: {error}"))?;
    Ok(allowing(&policy).flat_map(senders_of).collect())
}

/// The buckets for which S3 may send, as conditions name them. A topic or a rule between them hides the bucket.
pub(super) fn buckets(policy: &str) -> BTreeSet<String> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let conditions = allowing(&policy).filter_map(|statement| statement["Condition"].as_object());
    let sources = conditions
        .flat_map(serde_json::Map::values)
        .filter_map(Value::as_object)
        .flatten()
        .filter(|(key, _)| key.eq_ignore_ascii_case("aws:SourceArn"))
        .flat_map(|(_, arns)| each(arns));
    sources.filter_map(Value::as_str).filter_map(bucket).map(str::to_owned).collect()
}

/// The name in `arn:PARTITION:s3:::NAME`, unless it is a pattern.
fn bucket(arn: &str) -> Option<&str> {
    let (_, name) = arn.split_once(":s3:::")?;
    (!name.contains(['*', '?', '/', '$'])).then_some(name)
}

fn allowing(policy: &Value) -> impl Iterator<Item = &Value> {
    each(&policy["Statement"])
        .filter(|statement| statement["Effect"] == "Allow" && each(&statement["Action"]).any(sends))
}

/// Policies write one thing alone or several in a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(several) => several.iter(),
        Value::Null => [].iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

fn sends(action: &Value) -> bool {
    let action = action.as_str().unwrap_or_default().to_ascii_lowercase();
    matches!(action.as_str(), "*" | "sqs:*" | "sqs:send*" | "sqs:sendmessage" | "sqs:sendmessage*")
}

fn senders_of(statement: &Value) -> Vec<Sender> {
    let narrowed = statement["Condition"].as_object().is_some_and(|conditions| !conditions.is_empty());
    let principals: Vec<&Value> = match &statement["Principal"] {
        Value::Object(kinds) => kinds.values().flat_map(each).collect(),
        one => each(one).collect(),
    };
    principals
        .into_iter()
        .filter_map(Value::as_str)
        .map(|name| match name {
            "*" if narrowed => Sender::Named("whoever fulfils the policy's condition".to_owned()),
            "*" => Sender::Anyone,
            name => Sender::Named(name.to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_senders_are_read_off_every_way_to_write_a_policy() {
        let named = |name: &str| Sender::Named(name.to_owned());
        let statement = |principal: Value, action: Value, condition: Value| json!({"Statement": {"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition}});
        let source = json!({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::trail"}});
        let cases = [
            (
                statement(json!({"Service": "s3.amazonaws.com"}), json!("SQS:SendMessage"), json!({})),
                vec![named("s3.amazonaws.com")],
            ),
            (
                statement(
                    json!({"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}),
                    json!(["sqs:*"]),
                    source.clone(),
                ),
                vec![named("events.amazonaws.com"), named("sns.amazonaws.com")],
            ),
            (statement(json!("*"), json!("sqs:SendMessage"), Value::Null), vec![Sender::Anyone]),
            (statement(json!({"AWS": "*"}), json!("*"), Value::Null), vec![Sender::Anyone]),
            (
                statement(json!("*"), json!("*"), source),
                vec![named("whoever fulfils the policy's condition")],
            ),
            (statement(json!("*"), json!("sqs:ReceiveMessage"), Value::Null), vec![]),
            (json!({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*"}]}), vec![]),
            (json!({}), vec![]),
        ];
        for (policy, expected) in cases {
            let found: Vec<Sender> = senders(&policy.to_string()).unwrap().into_iter().collect();
            assert_eq!(found, expected, "{policy}");
        }
        assert!(senders("").unwrap().is_empty());
        assert!(senders("[").is_err());
    }
    #[test]
    fn the_buckets_are_those_that_the_conditions_name() {
        let policy = |condition: Value| {
            json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage", "Condition": condition}]})
            .to_string()
        };
        for (condition, named) in [
            (json!({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::trail"}}), vec!["trail"]),
            (json!({"ArnLike": {"AWS:sourcearn": ["arn:aws-cn:s3:::a", "arn:aws:s3:*:*:b*"]}}), vec!["a"]),
            (json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}), vec![]),
            (json!({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:eu-central-1:111122223333:trail"}}), vec![]),
            (json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}), vec![]),
        ] {
            assert_eq!(Vec::from_iter(buckets(&policy(condition.clone()))), named, "{condition}");
        }
        assert!(buckets("").is_empty() && buckets("no JSON").is_empty());
    }
}
