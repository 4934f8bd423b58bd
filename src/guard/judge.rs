//! Tries every policy on one recorded call (pure).

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::Call;
use super::library::{GuardError, Guardrail, guardrails};
use super::policy::{Policy, Verdict};

/// Every policy with a site's values.
#[derive(Debug)]
pub struct Judge {
    policies: Vec<Tried>,
}

/// One policy, ready to be tried.
#[derive(Debug)]
pub struct Tried {
    pub guardrail: &'static Guardrail,
    pub policy: Policy,
    /// Lists with the values of the example, because the site has none.
    pub examples: Vec<String>,
}

/// What a policy does with a call that it is about.
pub type Judged = (&'static str, Verdict);

impl Judge {
    /// Reads every policy with a site's values, and with those of the example where the site has none.
    pub fn new(placeholders: &BTreeMap<String, Vec<String>>) -> Result<Self, GuardError> {
        let tried = guardrails().iter().map(|guardrail| {
            let filled = guardrail.filled(placeholders);
            let policy = guardrail.read(&filled.document)?;
            Ok(Tried { guardrail, policy, examples: filled.examples })
        });
        Ok(Self { policies: tried.collect::<Result<_, _>>()? })
    }

    /// Every policy, those that are about no recorded call among them.
    pub fn policies(&self) -> &[Tried] {
        &self.policies
    }

    /// What each policy that is about a call does with it. `is_whole` says whether CloudTrail left nothing out of the
    /// record.
    pub fn judge(&self, record: &Value, is_whole: bool) -> Vec<Judged> {
        let call = Call::read(record, is_whole);
        // Roles of services are out of reach of these policies.
        let is_out_of_reach = is_service_linked(record);
        let about = self.policies.iter().filter(|tried| tried.policy.actions().any(|it| it == call.action));
        about
            .map(|tried| {
                let verdict = if is_out_of_reach { Verdict::Allowed } else { tried.policy.judge(&call) };
                (tried.guardrail.name.as_str(), verdict)
            })
            .collect()
    }
}

fn is_service_linked(record: &Value) -> bool {
    let issuer = &record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"];
    issuer.as_str().is_some_and(|arn| arn.contains(":role/aws-service-role/"))
}
