//! Finds what the statements of a policy allow that leads to everything else.
//!
//! Actions are patterns, and `i?m:*` allows what `iam:*` does. So a pattern is asked whether it takes in single
//! actions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::list::each;
use crate::wildcard::is_like;

/// Every action.
const ALL: &str = "all";
/// To write policies, and with it all other rights.
const IAM: &str = "iam";
/// To give any role to a service.
const PASS_ANY_ROLE: &str = "pass-any-role";
/// To take any role.
const TAKE_ANY_ROLE: &str = "take-any-role";

/// Each of them leads to an administrator's rights where it is allowed on everything.
const IAM_ACTIONS: [&str; 6] = [
    "iam:putrolepolicy",
    "iam:attachrolepolicy",
    "iam:createpolicyversion",
    "iam:updateassumerolepolicy",
    "iam:createaccesskey",
    "iam:putuserpolicy",
];
/// Services that have nothing in common: who may act on all of them may act on any.
const UNRELATED_ACTIONS: [&str; 4] =
    ["iam:putrolepolicy", "s3:deletebucket", "ec2:runinstances", "kms:putkeypolicy"];

/// Takes the rights that an allowing statement of an identity's policy gives.
pub fn take(statement: &Value, rights: &mut BTreeSet<&'static str>) {
    if !is_on_anything(statement) {
        return;
    }
    let allows = |action: &str| match &statement["NotAction"] {
        Value::Null => takes_in(&statement["Action"], action),
        but => !takes_in(but, action),
    };
    if UNRELATED_ACTIONS.iter().filter(|action| allows(action)).count() > 2 {
        rights.insert(ALL);
    }
    if IAM_ACTIONS.iter().any(|action| allows(action)) {
        rights.insert(IAM);
    }
    // A condition says to which service, or which role.
    if statement["Condition"].is_null() {
        rights.extend(allows("iam:passrole").then_some(PASS_ANY_ROLE));
        rights.extend(allows("sts:assumerole").then_some(TAKE_ANY_ROLE));
    }
}

/// Whether it is about all resources, or all roles.
fn is_on_anything(statement: &Value) -> bool {
    if !statement["NotResource"].is_null() {
        return true;
    }
    each(&statement["Resource"]).filter_map(Value::as_str).any(|resource| {
        let is_any = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte == b'*');
        let name = resource.split_once(":role/").map(|(_, name)| name);
        is_any(resource) || name.is_some_and(is_any) || resource.split(':').skip(1).all(is_any)
    })
}

fn takes_in(patterns: &Value, action: &str) -> bool {
    each(patterns).filter_map(Value::as_str).any(|pattern| is_like(pattern, action))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rights(statement: &Value) -> Vec<&'static str> {
        let mut rights = BTreeSet::new();
        take(statement, &mut rights);
        rights.into_iter().collect()
    }

    #[test]
    fn rights_are_known_by_what_their_patterns_take_in() {
        let everything = vec![ALL, IAM, PASS_ANY_ROLE, TAKE_ANY_ROLE];
        let on = |action: Value, resource: Value| json!({"Effect": "Allow", "Action": action, "Resource": resource});
        for (statement, expected) in [
            (on(json!("*"), json!("*")), everything.clone()),
            (on(json!("*:*"), json!(["arn:aws:s3:::a", "*"])), everything.clone()),
            (on(json!("*"), json!("arn:aws:s3:::a/*")), vec![]),
            (on(json!("IAM:*"), json!("*")), vec![IAM, PASS_ANY_ROLE]),
            (on(json!(["i?m:*", "s*:*"]), json!("*")), vec![IAM, PASS_ANY_ROLE, TAKE_ANY_ROLE]),
            (on(json!("iam:P*"), json!("*")), vec![IAM, PASS_ANY_ROLE]),
            (on(json!("iam:PassRole"), json!("arn:aws:iam::111122223333:role/*")), vec![PASS_ANY_ROLE]),
            (on(json!("iam:PassRole"), json!("arn:aws:iam::111122223333:role/ml-*")), vec![]),
            (on(json!(["iam:GetRole", "iam:List*"]), json!("*")), vec![]),
            (on(json!("sts:AssumeRole"), json!("*")), vec![TAKE_ANY_ROLE]),
            (on(json!(["s3:*", "sagemaker:*"]), json!("*")), vec![]),
            (on(json!(["iam:*AccessKey*"]), json!("*")), vec![IAM]),
            (json!({"NotAction": "iam:*", "Resource": "*"}), vec![ALL, TAKE_ANY_ROLE]),
            (json!({"NotAction": ["organizations:*"], "NotResource": "x"}), everything),
            (
                json!({
                    "Action": "iam:PassRole", "Resource": "*",
                    "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
                }),
                vec![],
            ),
            (json!({"Action": 1, "Resource": {}}), vec![]),
        ] {
            assert_eq!(rights(&statement), expected, "{statement}");
        }
    }
}
