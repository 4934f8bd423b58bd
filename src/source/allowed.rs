//! Decides from which buckets and accounts files are read, whatever a message asks for.
//!
//! The bucket's name comes from a message. Whoever may send to the queue could otherwise make the daemon read any
//! object that its role can read, or ship forged records.

use crate::config::SourceConfig;

use super::key::TrailKey;
use super::notification::ObjectRef;

/// What the configuration allows; an empty list allows everything.
#[derive(Debug)]
pub struct Allowed {
    buckets: Vec<String>,
    accounts: Vec<String>,
}

/// Why an object is not asked for. Its message stays in the queue, because the list may be what is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("{object} is not read: its bucket is not in source.allowed_buckets; add it there if it is yours")]
    Bucket { object: String },
    #[error(
        "{object} is not read: its account {account} is not in source.allowed_accounts; add it there if it is yours"
    )]
    Account { object: String, account: String },
}

impl Allowed {
    /// Takes over `source.allowed_buckets` and `source.allowed_accounts`.
    pub fn new(config: &SourceConfig) -> Self {
        Self { buckets: config.allowed_buckets.clone(), accounts: config.allowed_accounts.clone() }
    }

    /// Says no before anything is asked of S3.
    pub fn check(&self, object: &ObjectRef, key: Option<&TrailKey>) -> Result<(), NotAllowed> {
        if !allows(&self.buckets, &object.bucket) {
            return Err(NotAllowed::Bucket { object: object.to_string() });
        }
        // The name of an object that source.also_read allows names no account.
        if let Some(key) = key
            && !allows(&self.accounts, &key.account)
        {
            return Err(NotAllowed::Account { object: object.to_string(), account: key.account.clone() });
        }
        Ok(())
    }
}

fn allows(list: &[String], value: &str) -> bool {
    list.is_empty() || list.iter().any(|allowed| allowed == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::key::classify;

    #[test]
    fn only_listed_buckets_and_accounts_are_read_and_an_empty_list_allows_every_one() {
        const KEY: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/03/111122223333_CloudTrail_eu-west-1_20261103T0105Z_abc.json.gz";
        let object = ObjectRef {
            bucket: "trail".to_owned(),
            key: KEY.to_owned(),
            region: None,
            size: None,
            put_at: None,
            version: None,
        };
        let cases: [(&[&str], &[&str], Option<&str>); 6] = [
            (&[], &[], None),
            (&["other", "trail"], &["111122223333"], None),
            (&["other"], &[], Some("allowed_buckets")),
            // A part of a name is not the name.
            (&["trail-2", "rail"], &[], Some("allowed_buckets")),
            (&["trail"], &["444455556666"], Some("111122223333 is not in")),
            (&["other"], &["444455556666"], Some("allowed_buckets")),
        ];
        for (buckets, accounts, refused) in cases {
            let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
            let allowed = Allowed { buckets: owned(buckets), accounts: owned(accounts) };
            let answer =
                allowed.check(&object, Some(&classify(KEY).unwrap())).map_err(|error| error.to_string());
            match refused {
                None => assert_eq!(answer, Ok(())),
                Some(part) => assert!(answer.unwrap_err().contains(part), "{buckets:?} {accounts:?}"),
            }
        }
    }
}
