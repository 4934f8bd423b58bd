//! The policy: a document of permissions that a call puts on a resource or a role, and whom it lets in.
//!
//! CloudTrail writes the document as one text, and a rule cannot look at a text element by element.

use serde::Serialize;
use serde_json::Value;

use crate::record::Record;

/// The name under which rules find the principals of a record, which is also their field in a document.
pub const FIELD: &str = "sagemaker.policy.principals";

#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Policy {
    /// Accounts and identities that are allowed something, each once, and [`EVERYONE`]. Services of AWS and identity
    /// providers are left out: they are no accounts.
    pub principals: Vec<String>,
}

/// Stands for `*`, which searches and rules take for anything.
const EVERYONE: &str = "everyone";

/// Members of a request that hold a policy as a text.
const MEMBERS: [&str; 5] =
    ["resourcePolicy", "assumeRolePolicyDocument", "policyDocument", "policyText", "policy"];
/// Principals that are kept: more say nothing, and a record could hold any number.
const MAX_PRINCIPALS: usize = 64;

impl Policy {
    /// What the policies of a request allow together. One that only denies lets nobody in, and of one that CloudTrail
    /// cut off nothing is known.
    pub fn of(record: &Record<'_>) -> Self {
        let mut policy = Self::default();
        for member in MEMBERS {
            let text = record.text(&["requestParameters", member]);
            let document = text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
            for statement in each(&document["Statement"]).filter(|statement| statement["Effect"] == "Allow") {
                policy.take_statement(statement);
            }
        }
        policy
    }

    fn take_statement(&mut self, statement: &Value) {
        if !statement["NotPrincipal"].is_null() {
            self.take(EVERYONE);
        }
        let principal = &statement["Principal"];
        let of_aws = principal.get("AWS").unwrap_or(principal);
        for text in each(of_aws).filter_map(Value::as_str).filter(|text| !text.is_empty()) {
            self.take(if text == "*" { EVERYONE } else { text });
        }
    }

    fn take(&mut self, principal: &str) {
        if self.principals.len() < MAX_PRINCIPALS && !self.principals.iter().any(|known| known == principal) {
            self.principals.push(principal.to_owned());
        }
    }
}

/// The elements of a list, or what stands in place of a list of one.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn principals(member: &str, text: &str) -> Vec<String> {
        let raw = json!({"requestParameters": {member: text}}).to_string();
        Policy::of(&Record::parse(raw.as_bytes()).unwrap()).principals
    }

    #[test]
    fn everyone_whom_a_policy_allows_something_is_a_principal_of_it() {
        let allow = |principal: Value| json!({"Effect": "Allow", "Action": "*", "Principal": principal});
        let root = "arn:aws:iam::444455556666:root";
        let cases = [
            (json!({"Statement": [allow(json!({"AWS": root}))]}), vec![root]),
            (json!({"Statement": allow(json!({"AWS": ["111122223333", root]}))}), vec!["111122223333", root]),
            (json!({"Statement": [allow(json!("*")), allow(json!({"AWS": "*"}))]}), vec![EVERYONE]),
            (json!({"Statement": [allow(json!({"Service": "sagemaker.amazonaws.com"}))]}), vec![]),
            (
                json!({"Statement": [allow(json!({"Federated": "arn:aws:iam::444455556666:saml-provider/x"}))]}),
                vec![],
            ),
            (json!({"Statement": [{"Effect": "Deny", "Principal": "*"}]}), vec![]),
            (json!({"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": root}}]}), vec![EVERYONE]),
            (json!({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}), vec![]),
            (json!([]), vec![]),
        ];
        for (document, expected) in cases {
            for member in MEMBERS {
                assert_eq!(principals(member, &document.to_string()), expected, "{member} {document}");
            }
        }
    }

    #[test]
    fn a_policy_that_is_cut_off_or_huge_does_no_harm() {
        assert_eq!(
            principals("policy", r#"{"Statement":[{"Effect":"Allow","Principal":"#),
            Vec::<String>::new()
        );
        let many: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let document = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": many}}}).to_string();
        assert_eq!(principals("policyText", &document).len(), MAX_PRINCIPALS);
    }
}
