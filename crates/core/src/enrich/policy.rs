//! Reads whom a policy lets in that a call puts on a resource or a role.
//!
//! CloudTrail writes the document as one text, and a rule cannot look at a text element by element.

mod list;
mod rights;

use list::each;

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use serde_json::Value;

use crate::record::{HIDDEN, Record, is_account, repaired};

/// The name under which rules find the principals of a record, which is also their field in a document.
pub const FIELD: &str = "sagemaker.policy.principals";

/// Whom and what the policies in one request allow.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Policy {
    /// Accounts and identities that are allowed something, each once: [`EVERYONE`] first, then those of other accounts
    /// than the record's, then its own. Where a condition keeps everyone to an organisation, an account or an identity,
    /// it is that. Services of AWS and identity providers are left out: they are no accounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// The accounts among them that are another than the record's, also those of identity providers.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign_accounts: BTreeSet<String>,
    /// Identity providers that let in whomever they know, for no condition says whom.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub open_providers: BTreeSet<String>,
    /// What an identity is allowed that leads to everything else: `all`, `iam`, `pass-any-role`, `take-any-role`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub rights: BTreeSet<&'static str>,
    /// Whether there is a policy that cannot be read, so that it may let in others as well.
    #[serde(skip)]
    pub is_unreadable: bool,
}

/// Stands for `*`, which searches and rules take for anything.
const EVERYONE: &str = "everyone";

/// Members of a request that hold a policy as a text.
const MEMBERS: [&str; 6] =
    ["resourcePolicy", "assumeRolePolicyDocument", "policyDocument", "policyText", "policyInJson", "policy"];
/// The member in which S3 has a policy that is no text.
const OBJECT: &str = "bucketPolicy";

/// Whether a member of that name holds a policy.
pub fn holds_policy(member: &str) -> bool {
    MEMBERS.contains(&member)
}

/// Keys of conditions that say who the principal is.
const KEYS: [&str; 4] =
    ["aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalAccount", "aws:PrincipalArn"];
/// Operators that hold only for a principal that has the key. `…IfExists` and `ForAllValues:…` also let in whoever has
/// none, and the negative ones all others.
const OPERATORS: [&str; 5] = ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"];

impl Policy {
    /// Whether nothing of it is written into a document. A policy that cannot be read may still let in somebody.
    pub fn says_nothing(&self) -> bool {
        self.principals.is_empty() && self.open_providers.is_empty() && self.rights.is_empty()
    }

    /// What the policies of a request allow together. One that only denies lets nobody in, and of one that CloudTrail
    /// cut off nothing is known.
    pub fn of(record: &Record<'_>) -> Self {
        let mut let_in = LetIn::default();
        let mut is_unreadable = false;
        for member in MEMBERS {
            let Some(text) = record.text(&["requestParameters", member]) else { continue };
            let Some(document) = read(text) else {
                // The member of that name may be an ARN, a name or an identifier.
                is_unreadable |= text.trim_start().starts_with('{') || text == HIDDEN;
                continue;
            };
            let_in.take_document(&document);
        }
        let object = record.at(&["requestParameters", OBJECT]);
        if object.is_object() {
            let_in.take_document(&Value::from(object.clone()));
        }
        // A share of Resource Access Manager lists them without a document.
        if record.event_source() == "ram.amazonaws.com" {
            let listed = record.at(&["requestParameters", "principals"]).as_array().unwrap_or_default();
            listed.iter().filter_map(|principal| principal.as_str()).for_each(|text| let_in.take(text));
        }
        let_in.finish(record.text(&["recipientAccountId"]), is_unreadable)
    }
}

/// Whom the statements let in, so far.
#[derive(Debug, Default)]
struct LetIn {
    principals: Vec<String>,
    known: HashSet<String>,
    providers: BTreeSet<String>,
    open_providers: BTreeSet<String>,
    rights: BTreeSet<&'static str>,
}

impl LetIn {
    /// With those first whom a reader must not miss.
    fn finish(mut self, own_account: Option<&str>, is_unreadable: bool) -> Policy {
        let is_own = |principal: &str| own_account.is_some_and(|own| account_of(principal) == Some(own));
        self.principals.sort_by_key(|principal| (principal != EVERYONE, is_own(principal)));
        let named = self.principals.iter().chain(&self.providers).filter_map(|text| account_of(text));
        let is_another =
            |account: &&str| is_account(account) && own_account.is_some_and(|own| own != *account);
        let foreign_accounts = named.filter(is_another).map(str::to_owned).collect();
        let Self { principals, open_providers, rights, .. } = self;
        Policy { principals, foreign_accounts, open_providers, rights, is_unreadable }
    }

    fn take_document(&mut self, document: &Value) {
        for statement in each(&document["Statement"]).filter(|statement| statement["Effect"] == "Allow") {
            self.take_statement(statement);
        }
    }

    fn take_statement(&mut self, statement: &Value) {
        if !statement["NotPrincipal"].is_null() {
            self.take_everyone(statement);
        }
        let principal = &statement["Principal"];
        if principal.is_null() && statement["NotPrincipal"].is_null() {
            rights::take(statement, &mut self.rights);
        }
        for provider in each(&principal["Federated"]).filter_map(Value::as_str) {
            self.providers.insert(provider.to_owned());
            if !says_whom(&statement["Condition"]) {
                self.open_providers.insert(provider.to_owned());
            }
        }
        let of_aws = principal.get("AWS").unwrap_or(principal);
        for text in each(of_aws).filter_map(Value::as_str).filter(|text| !text.is_empty()) {
            if text == "*" {
                self.take_everyone(statement);
            } else {
                self.take(text);
            }
        }
    }

    /// Each statement is judged by its own condition: one that is narrow does not close what another opens.
    fn take_everyone(&mut self, statement: &Value) {
        match kept_to(&statement["Condition"]) {
            Some(principals) => principals.into_iter().for_each(|principal| self.take(principal)),
            None => self.take(EVERYONE),
        }
    }

    fn take(&mut self, principal: &str) {
        if self.known.insert(principal.to_owned()) {
            self.principals.push(principal.to_owned());
        }
    }
}

/// The account of an ARN or of an account's own number.
fn account_of(principal: &str) -> Option<&str> {
    if principal.starts_with("arn:") { principal.split(':').nth(4) } else { Some(principal) }
}

/// Whether a condition keeps an identity provider to some of those whom it knows: by the subject, or a claim of that
/// kind. For whom a token was made says nothing about whose it is.
fn says_whom(condition: &Value) -> bool {
    let keys = condition.as_object().into_iter().flat_map(|operators| operators.values());
    keys.filter_map(Value::as_object).flatten().any(|(key, values)| {
        let claim = key.rsplit(':').next().unwrap_or_default();
        let is_of_audience = ["aud", "oaud", "iss"].iter().any(|of| claim.eq_ignore_ascii_case(of));
        let names_some = |value: &Value| value.as_str().is_some_and(|text| !text.starts_with(['*', '?']));
        let names_some = |value: &Value| names_some(value) && value != "repo:*";
        !is_of_audience && each(values).all(names_some)
    })
}

/// The document of a policy, also where single characters make it no JSON.
fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&repaired(text.as_bytes()))).ok()
}

/// Whom a condition keeps everyone to; none when it keeps them to nobody. All parts of a condition must hold, so one
/// part that does is enough.
fn kept_to(condition: &Value) -> Option<Vec<&str>> {
    condition.as_object()?.iter().filter(|(operator, _)| requires_key(operator)).find_map(|(_, keys)| {
        keys.as_object()?.iter().filter(|(key, _)| is_one_of(key, &KEYS)).find_map(|(_, values)| {
            let values: Option<Vec<&str>> =
                each(values).map(|value| value.as_str().filter(|value| names_somebody(value))).collect();
            values.filter(|values| !values.is_empty())
        })
    })
}

fn requires_key(operator: &str) -> bool {
    let of_any_value = operator.split_once(':').filter(|(set, _)| set.eq_ignore_ascii_case("ForAnyValue"));
    is_one_of(of_any_value.map_or(operator, |(_, operator)| operator), &OPERATORS)
}

/// IAM does not regard the case of keys and operators.
fn is_one_of(text: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(text))
}

/// Whether the value names an organisation or an account. A wildcard in place of either stands for anybody.
fn names_somebody(value: &str) -> bool {
    let whose = if value.starts_with("arn:") { value.split(':').nth(4) } else { value.split('/').next() };
    whose.is_some_and(|whose| !whose.is_empty() && !whose.contains(['*', '?']))
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
    fn other_accounts_and_providers_without_a_condition_are_told() {
        let github = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
        let saml = "arn:aws:iam::444455556666:saml-provider/x";
        let trust = |principal: Value, condition: Value| json!({"Effect": "Allow", "Action": "sts:*", "Principal": principal, "Condition": condition});
        let subject = |value: &str| json!({"StringLike": {"token.actions.githubusercontent.com:sub": value}});
        let audience = json!({"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}});
        for (statement, accounts, providers) in [
            (
                trust(json!({"AWS": "arn:aws:iam::444455556666:root"}), json!(null)),
                vec!["444455556666"],
                vec![],
            ),
            (trust(json!({"AWS": "111122223333"}), json!(null)), vec![], vec![]),
            (trust(json!({"Federated": github}), json!(null)), vec![], vec![github]),
            (trust(json!({"Federated": github}), subject("*")), vec![], vec![github]),
            (trust(json!({"Federated": github}), subject("repo:*")), vec![], vec![github]),
            (trust(json!({"Federated": github}), subject("repo:acme/ml:*")), vec![], vec![]),
            (trust(json!({"Federated": saml}), audience), vec!["444455556666"], vec![saml]),
        ] {
            for (member, document) in [
                ("policyDocument", json!(json!({"Statement": [statement]}).to_string())),
                ("bucketPolicy", json!({"Statement": statement})),
            ] {
                let raw = json!({
                    "recipientAccountId": "111122223333", "requestParameters": {member: document}
                });
                let raw = raw.to_string();
                let policy = Policy::of(&Record::parse(raw.as_bytes()).unwrap());
                assert_eq!(policy.foreign_accounts.iter().collect::<Vec<_>>(), accounts, "{raw}");
                assert_eq!(policy.open_providers.iter().collect::<Vec<_>>(), providers, "{raw}");
            }
        }
    }

    #[test]
    fn a_share_lets_in_whom_it_lists() {
        let share = |source: &str| {
            let raw = json!({"eventSource": source, "requestParameters": {"principals": ["444455556666"]}});
            Policy::of(&Record::parse(raw.to_string().as_bytes()).unwrap()).principals
        };
        assert_eq!(share("ram.amazonaws.com"), ["444455556666"]);
        assert_eq!(share("sagemaker.amazonaws.com"), Vec::<String>::new());
    }

    #[test]
    fn everyone_is_whom_the_statements_own_condition_keeps_them_to() {
        let (organisation, account) = ("o-exampleorg1", "444455556666");
        let role = "arn:aws:iam::444455556666:role/SageMaker*";
        let cases = [
            (json!({"StringEquals": {"aws:PrincipalOrgID": organisation}}), vec![organisation]),
            (json!({"stringlike": {"AWS:principalorgid": [organisation]}}), vec![organisation]),
            (json!({"StringEquals": {"aws:PrincipalAccount": [account]}}), vec![account]),
            (json!({"ArnLike": {"aws:PrincipalArn": role}}), vec![role]),
            (
                json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-exampleorg1/r-ab12/*"}}),
                vec!["o-exampleorg1/r-ab12/*"],
            ),
            (
                json!({"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"aws:PrincipalAccount": account}}),
                vec![account],
            ),
            (json!({"StringNotEquals": {"aws:PrincipalOrgID": organisation}}), vec![EVERYONE]),
            (json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": organisation}}), vec![EVERYONE]),
            (
                json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-exampleorg1/*"}}),
                vec![EVERYONE],
            ),
            (json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}), vec![EVERYONE]),
            (json!({"StringLike": {"aws:PrincipalAccount": [account, "*"]}}), vec![EVERYONE]),
            (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/SageMaker*"}}), vec![EVERYONE]),
            (json!({"StringEquals": {"aws:PrincipalOrgID": []}}), vec![EVERYONE]),
            (json!({"StringEquals": {"sts:ExternalId": "aws:PrincipalOrgID"}}), vec![EVERYONE]),
            (json!("aws:PrincipalOrgID"), vec![EVERYONE]),
            (json!(null), vec![EVERYONE]),
        ];
        for (condition, expected) in cases {
            let narrow = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Condition": condition});
            let open = json!({"Effect": "Allow", "Principal": "*"});
            let document = json!({"Statement": [narrow]});
            assert_eq!(principals("policy", &document.to_string()), expected, "{condition}");
            let beside = json!({"Statement": [narrow, open]});
            assert!(principals("policy", &beside.to_string()).contains(&EVERYONE.to_owned()), "{condition}");
        }
    }

    #[test]
    fn a_policy_that_is_cut_off_or_huge_does_no_harm() {
        assert_eq!(
            principals("policy", r#"{"Statement":[{"Effect":"Allow","Principal":"#),
            Vec::<String>::new()
        );
        let unreadable = |text: &str| {
            let raw = json!({"requestParameters": {"policyDocument": text}}).to_string();
            Policy::of(&Record::parse(raw.as_bytes()).unwrap()).is_unreadable
        };
        let cases = [
            r#" {"Statement":[{"Effect":"Allow","Princi"#,
            HIDDEN,
            "{}",
            "arn:aws:iam::aws:policy/x",
            r#"{"Sid":"\ud83d"}"#,
        ];
        assert_eq!(cases.map(unreadable), [true, true, false, false, false]);
    }

    #[test]
    fn no_number_of_own_roles_hides_everyone_and_other_accounts_stand_before_own_ones() {
        let own: Vec<String> =
            (0..1_000).map(|number| format!("arn:aws:iam::111122223333:role/r{number}")).collect();
        let foreign = "arn:aws:iam::444455556666:root";
        let all: Vec<&str> =
            own.iter().map(String::as_str).chain(["111122223333", foreign, "*", foreign]).collect();
        let document = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": all}}}).to_string();
        let raw =
            json!({"recipientAccountId": "111122223333", "requestParameters": {"policyText": document}})
                .to_string();
        let principals = Policy::of(&Record::parse(raw.as_bytes()).unwrap()).principals;
        assert_eq!(principals[..3], [EVERYONE, foreign, &own[0]]);
        assert_eq!(principals.len(), 1_000 + 3);
    }
}
