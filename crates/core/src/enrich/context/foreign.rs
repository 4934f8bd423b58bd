//! Takes what a call names of other accounts than the one that it is made in.

use serde::Serialize;
use serde_json_borrow::Value;

use super::location::S3;
use super::texts::Texts;
use crate::enrich::arn::Arn;
use crate::enrich::lower::with_lower;
use crate::record::is_account;

/// What other accounts own, as the ARNs in a request say. AWS's own resources count as no other account's.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Foreign<'r> {
    #[serde(skip)]
    own_account: Option<&'r str>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub account_id: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub arn: Texts<'r>,
    /// Those of the ARNs that are roles which SageMaker is given.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub role: Texts<'r>,
    /// Those of the ARNs that are KMS keys.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub key: Texts<'r>,
    /// Buckets that have the id of another account in their names, as those that SageMaker makes.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub bucket: Texts<'r>,
    /// Those of the buckets that the call writes to.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub output_bucket: Texts<'r>,
}

/// Whether a member, in lower case, holds the id of an account alone: `awsAccountId`, `domainAccountId`, `accounts`, …;
/// the principal of a permission may be one as well.
fn holds_account(name: &str) -> bool {
    ["account", "accounts", "accountid", "accountids", "accountidentifier"]
        .iter()
        .any(|end| name.ends_with(end))
        || matches!(name, "registryid" | "principal")
}

impl<'r> Foreign<'r> {
    /// Without the own account nothing can be told to be another's.
    pub fn to(own_account: Option<&'r str>) -> Self {
        Self { own_account, ..Self::default() }
    }

    /// Whether nothing of another account was named; roles, keys and ARNs come with the id of their account.
    pub fn is_empty(&self) -> bool {
        self.account_id.is_empty() && self.bucket.is_empty()
    }

    /// Takes a text of a request, by the name of its member in lower case.
    pub fn take(&mut self, name: &str, text: &'r str) {
        let Some(own) = self.own_account else { return };
        if holds_account(name) && is_account(text) && text != own {
            self.account_id.take(text);
        }
        if !text.starts_with("arn:") {
            return;
        }
        let Some(arn) = Arn::parse(text) else { return };
        if !is_account(arn.account) || arn.account == own {
            return;
        }
        self.account_id.take(arn.account);
        self.arn.take(text);
        match arn.service {
            "kms" => self.key.take(text),
            "iam" if name.contains("role") => self.role.take(text),
            _ => {}
        }
    }

    /// Takes the texts at any depth.
    pub fn take_all(&mut self, name: &str, value: &'r Value<'_>) {
        match value {
            Value::Str(text) => self.take(name, text),
            Value::Array(elements) => elements.iter().for_each(|element| self.take_all(name, element)),
            Value::Object(members) => {
                for (name, value) in members.iter() {
                    with_lower(name, |name| self.take_all(name, value));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Sorts out the buckets of a call.
    pub fn judge_buckets(&mut self, s3: &S3<'r>) {
        let Some(own) = self.own_account else { return };
        let names_another = |bucket: &&&'r str| {
            let parts = || bucket.split(|character: char| !character.is_ascii_alphanumeric());
            parts().any(is_account) && !parts().any(|part| part == own)
        };
        s3.buckets.iter().filter(names_another).for_each(|bucket| self.bucket.take(bucket));
        s3.output_buckets.iter().filter(names_another).for_each(|bucket| self.output_bucket.take(bucket));
    }
}
