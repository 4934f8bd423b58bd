//! Finds what a policy was before somebody set or removed it (pure).

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use crate::timestamp;

const REQUEST: &str = "/aws/cloudtrail/request_parameters/";
/// What stands in place of a secret, so that the text is not what somebody set.
const REDACTED: &str = "[redacted:";

/// One sort of policy that a call puts on something.
struct Sort {
    /// What it is called, and what it is on.
    words: [&'static str; 2],
    set: &'static [&'static str],
    taken: &'static str,
    /// The member of a request that names what it is on.
    on: &'static str,
    /// The member that names the policy, where there can be several.
    name: Option<&'static str>,
    /// Members that have its text.
    texts: &'static [&'static str],
}

static SORTS: [Sort; 7] = [
    Sort {
        words: ["inline policy", "role"],
        set: &["PutRolePolicy"],
        taken: "DeleteRolePolicy",
        on: "roleName",
        name: Some("policyName"),
        texts: &["policyDocument"],
    },
    Sort {
        words: ["inline policy", "user"],
        set: &["PutUserPolicy"],
        taken: "DeleteUserPolicy",
        on: "userName",
        name: Some("policyName"),
        texts: &["policyDocument"],
    },
    Sort {
        words: ["inline policy", "group"],
        set: &["PutGroupPolicy"],
        taken: "DeleteGroupPolicy",
        on: "groupName",
        name: Some("policyName"),
        texts: &["policyDocument"],
    },
    Sort {
        words: ["trust policy", "role"],
        set: &["CreateRole", "UpdateAssumeRolePolicy"],
        taken: "DeleteRole",
        on: "roleName",
        name: None,
        texts: &["policyDocument", "assumeRolePolicyDocument"],
    },
    Sort {
        words: ["policy", "bucket"],
        set: &["PutBucketPolicy"],
        taken: "DeleteBucketPolicy",
        on: "bucketName",
        name: None,
        texts: &["bucketPolicy"],
    },
    Sort {
        words: ["policy", "repository"],
        set: &["SetRepositoryPolicy"],
        taken: "DeleteRepositoryPolicy",
        on: "repositoryName",
        name: None,
        texts: &["policyText"],
    },
    Sort {
        words: ["policy", "model package group"],
        set: &["PutModelPackageGroupPolicy"],
        taken: "DeleteModelPackageGroupPolicy",
        on: "modelPackageGroupName",
        name: None,
        texts: &["resourcePolicy"],
    },
];

/// Which policy: its account, what it is on, and its name where it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyName {
    account: String,
    sort: usize,
    on: String,
    name: Option<String>,
}

impl PolicyName {
    /// The policy that the call of a document set or removed.
    pub fn read(source: &Value) -> Option<Self> {
        let call = source["event"]["action"].as_str()?;
        let sort = SORTS.iter().position(|sort| sort.set.contains(&call) || sort.taken == call)?;
        let request =
            |member: &str| Some(source.pointer(&format!("{REQUEST}{member}"))?.as_str()?.to_owned());
        let Sort { on, name, .. } = &SORTS[sort];
        Some(Self {
            account: source["cloud"]["account"]["id"].as_str()?.to_owned(),
            sort,
            on: request(on)?,
            name: match name {
                Some(name) => Some(request(name)?),
                None => None,
            },
        })
    }

    /// What people call it.
    pub fn words(&self) -> String {
        let [what, on] = SORTS[self.sort].words;
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        format!("{what}{name} of {on} {}", self.on)
    }

    /// The account in whose trail the policy is.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The calls that set or remove it.
    pub fn calls(&self) -> Vec<&'static str> {
        let Sort { set, taken, .. } = &SORTS[self.sort];
        set.iter().chain([taken]).copied().collect()
    }

    /// The members of a request that name it, with their values.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Sort { on, name, .. } = &SORTS[self.sort];
        [(*on, self.on.as_str())].into_iter().chain(name.zip(self.name.as_deref()))
    }

    /// The members of a request that have its text.
    pub fn texts(&self) -> &'static [&'static str] {
        SORTS[self.sort].texts
    }
}

/// What a policy was, by the last call before a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    pub time: OffsetDateTime,
    /// Who called, and the record of that.
    pub by: Option<String>,
    pub record: String,
    /// None where the call removed the policy, or where its record does not have the whole text.
    pub text: Option<String>,
    /// Whether the call removed it.
    pub is_removed: bool,
}

impl Earlier {
    /// What steps name of it, where its text is known.
    pub fn request(&self) -> Vec<(String, String)> {
        let Some(text) = &self.text else { return Vec::new() };
        let by = self.by.as_deref().unwrap_or("somebody whom the record does not name");
        let all = [
            ("policyBefore", text.clone()),
            ("policyBeforeAt", timestamp::format(self.time)),
            ("policyBeforeBy", by.to_owned()),
        ];
        all.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// What policies were, each before a time of its own.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    wanted: BTreeMap<PolicyName, OffsetDateTime>,
    found: BTreeMap<PolicyName, Earlier>,
}

impl Policies {
    /// Of a policy that is named with several times, the earliest counts.
    pub fn wanted(policies: impl IntoIterator<Item = (PolicyName, OffsetDateTime)>) -> Self {
        let mut wanted = BTreeMap::new();
        for (policy, before) in policies {
            wanted
                .entry(policy)
                .and_modify(|it: &mut OffsetDateTime| *it = before.min(*it))
                .or_insert(before);
        }
        Self { wanted, found: BTreeMap::new() }
    }

    /// Whether no earlier policy is looked for.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The policies that are looked for, each with the time before which it is.
    pub fn missing(&self) -> impl Iterator<Item = (&PolicyName, OffsetDateTime)> {
        self.wanted.iter().map(|(policy, before)| (policy, *before))
    }

    /// Takes a document, in any order.
    pub fn take(&mut self, id: &str, source: &Value) {
        if source["event"]["outcome"] == "failure" {
            return;
        }
        let Some(policy) = PolicyName::read(source) else { return };
        let Some(before) = self.wanted.get(&policy) else { return };
        let Some(time) = source["@timestamp"].as_str().and_then(timestamp::parse) else { return };
        let is_newer = self.found.get(&policy).is_none_or(|known| known.time <= time);
        if time >= *before || !is_newer {
            return;
        }
        let is_removed = source["event"]["action"] == SORTS[policy.sort].taken;
        let text =
            policy.texts().iter().find_map(|member| match source.pointer(&format!("{REQUEST}{member}")) {
                Some(Value::String(text)) => Some(text.clone()),
                // S3 has a policy that is no text.
                Some(policy @ Value::Object(_)) => Some(policy.to_string()),
                _ => None,
            });
        let text = text.filter(|text| !is_removed && !text.contains(REDACTED));
        let by = source.pointer("/aws/cloudtrail/user_identity/arn").and_then(Value::as_str);
        let earlier = Earlier { time, by: by.map(str::to_owned), record: id.to_owned(), text, is_removed };
        self.found.insert(policy, earlier);
    }

    /// What a policy was before its time, where a record tells.
    pub fn before(&self, policy: &PolicyName) -> Option<&Earlier> {
        self.found.get(policy)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(at: &str, call: &str, request: &Value) -> Value {
        json!({"@timestamp": format!("2026-11-{at}T12:00:00.000Z"), "event": {"action": call, "outcome": "success"},
            "cloud": {"account": {"id": "111122223333"}}, "aws": {"cloudtrail": {"request_parameters": request}}})
    }

    #[test]
    fn the_last_call_before_the_time_tells_what_a_policy_was_however_often_it_was_set_after() {
        let put = |text: &str| json!({"roleName": "r", "policyName": "p", "policyDocument": text});
        let attack = document("05", "PutRolePolicy", &put("attack"));
        let policy = PolicyName::read(&attack).unwrap();
        let time = timestamp::parse("2026-11-05T12:00:00Z").unwrap();
        let cases = [
            (vec![], None),
            (
                vec![
                    document("01", "PutRolePolicy", &put("old")),
                    document("02", "PutRolePolicy", &put("new")),
                ],
                Some((Some("new"), false)),
            ),
            (
                vec![
                    document("02", "PutRolePolicy", &put("new")),
                    document("01", "PutRolePolicy", &put("old")),
                ],
                Some((Some("new"), false)),
            ),
            (
                vec![
                    document("01", "PutRolePolicy", &put("old")),
                    document("02", "DeleteRolePolicy", &put("")),
                ],
                Some((None, true)),
            ),
            (vec![document("01", "PutRolePolicy", &put("key [redacted:1]"))], Some((None, false))),
            (
                vec![document(
                    "01",
                    "PutRolePolicy",
                    &json!({"roleName": "r", "policyName": "other", "policyDocument": "x"}),
                )],
                None,
            ),
        ];
        for (earlier, expected) in cases {
            let mut policies = Policies::wanted([(policy.clone(), time)]);
            for record in earlier.iter().chain(std::iter::repeat_n(&attack, 100)) {
                policies.take("id", record);
            }
            let told = policies.before(&policy).map(|it| (it.text.as_deref(), it.is_removed));
            assert_eq!(told, expected, "{earlier:?}");
        }
    }

    #[test]
    fn each_sort_of_policy_is_told_by_its_own_members() {
        let cases = [
            (
                "PutRolePolicy",
                json!({"roleName": "r", "policyName": "p", "policyDocument": "t"}),
                "inline policy p of role r",
                "t",
            ),
            (
                "PutUserPolicy",
                json!({"userName": "u", "policyName": "p", "policyDocument": "t"}),
                "inline policy p of user u",
                "t",
            ),
            (
                "PutGroupPolicy",
                json!({"groupName": "g", "policyName": "p", "policyDocument": "t"}),
                "inline policy p of group g",
                "t",
            ),
            (
                "CreateRole",
                json!({"roleName": "r", "assumeRolePolicyDocument": "t"}),
                "trust policy of role r",
                "t",
            ),
            (
                "UpdateAssumeRolePolicy",
                json!({"roleName": "r", "policyDocument": "t"}),
                "trust policy of role r",
                "t",
            ),
            (
                "PutBucketPolicy",
                json!({"bucketName": "b", "bucketPolicy": {"Statement": []}}),
                "policy of bucket b",
                r#"{"Statement":[]}"#,
            ),
            (
                "SetRepositoryPolicy",
                json!({"repositoryName": "i", "policyText": "t"}),
                "policy of repository i",
                "t",
            ),
            (
                "PutModelPackageGroupPolicy",
                json!({"modelPackageGroupName": "m", "resourcePolicy": "t"}),
                "policy of model package group m",
                "t",
            ),
        ];
        for (call, request, words, text) in cases {
            let document = document("01", call, &request);
            let policy = PolicyName::read(&document).unwrap();
            assert_eq!(policy.words(), words);
            let mut policies =
                Policies::wanted([(policy.clone(), timestamp::parse("2026-11-02T00:00:00Z").unwrap())]);
            policies.take("id", &document);
            assert_eq!(policies.before(&policy).and_then(|it| it.text.as_deref()), Some(text), "{call}");
        }
    }
}
