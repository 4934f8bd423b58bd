//! Finds what an inline policy was before somebody set it (pure).

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use super::deed::Deed;

/// Policies that are held, and texts of each, the newest.
const MOST: usize = 1_000;
const MOST_TEXTS: usize = 8;

/// The texts that calls gave inline policies, in the order of their times.
#[derive(Debug, Default)]
pub struct Policies(BTreeMap<Named, Vec<(OffsetDateTime, String)>>);

/// An inline policy: its account, whose it is, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub account: String,
    /// The member of the request that names the role or user, and the name.
    pub of: (&'static str, String),
    pub policy: String,
}

impl Named {
    /// The policy that a call set.
    pub fn of(deed: &Deed) -> Option<Self> {
        let member = match deed.call.as_str() {
            "PutRolePolicy" => "roleName",
            "PutUserPolicy" => "userName",
            _ => return None,
        };
        let request = |member: &str| deed.request.get(member).cloned();
        Some(Self {
            account: deed.account.clone()?,
            of: (member, request(member)?),
            policy: request("policyName")?,
        })
    }
}

impl Policies {
    /// Takes the document of a call; the earlier ones come first.
    pub fn take(&mut self, source: &Value) {
        let call = source["event"]["action"].as_str();
        if !matches!(call, Some("PutRolePolicy" | "PutUserPolicy")) {
            return;
        }
        let Some(deed) = Deed::read(source).filter(|deed| deed.succeeded) else { return };
        if let (Some(named), Some(text)) = (Named::of(&deed), deed.request.get("policyDocument")) {
            if self.0.len() >= MOST && !self.0.contains_key(&named) {
                return;
            }
            let texts = self.0.entry(named).or_default();
            texts.push((deed.time, text.clone()));
            if texts.len() > MOST_TEXTS {
                texts.remove(0);
            }
        }
    }

    /// What the policy that a call set was before a time.
    pub fn before(&self, deed: &Deed, time: OffsetDateTime) -> Option<&str> {
        let texts = self.0.get(&Named::of(deed)?)?;
        texts.iter().rev().find(|(at, _)| *at < time).map(|(_, text)| text.as_str())
    }
}
