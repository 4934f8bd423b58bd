//! Compute: the instances that a call asks for.

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::add;
use super::texts::{self, Texts};

#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Instance<'r> {
    #[serde(rename = "type", skip_serializing_if = "Texts::is_empty")]
    pub kinds: Texts<'r>,
    /// Summed over everything that the call starts.
    pub count: Option<u64>,
    pub accelerated: Option<bool>,
}

impl<'r> Instance<'r> {
    /// Takes types and counts. What a model would also run on, or a portal hides, is not asked for.
    pub fn take(&mut self, name: &str, value: &'r Value<'_>) {
        match name {
            "instancecount" | "initialinstancecount" | "desiredinstancecount" | "incrementtargetcountby" => {
                add(&mut self.count, value);
            }
            _ if name.ends_with("instancetype") || name == "instancetypes" => {
                texts::of(value).for_each(|kind| self.kinds.take(kind));
            }
            _ => {}
        }
    }

    /// Decides whether any of the types taken is accelerated.
    pub fn judge(&mut self) {
        self.accelerated =
            (!self.kinds.is_empty()).then(|| self.kinds.iter().any(|kind| is_accelerated(kind)));
    }
}

/// Instance families with GPUs, Trainium or Inferentia: the ones worth hijacking.
fn is_accelerated(instance_type: &str) -> bool {
    let family = instance_type.strip_prefix("ml.").unwrap_or(instance_type);
    let family = family.split('.').next().unwrap_or(family);
    // The class is what stands before the first digit: `p4de` and `p6-b200` are both of class `p`.
    let class = family.split(|character: char| character.is_ascii_digit()).next().unwrap_or(family);
    matches!(class, "p" | "g" | "gr" | "trn" | "inf" | "dl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accelerated_instances_are_told_by_their_family() {
        for accelerated in [
            "ml.p3.2xlarge",
            "ml.p4de.24xlarge",
            "ml.p6-b200.48xlarge",
            "ml.g5.xlarge",
            "ml.trn1n.32xlarge",
            "ml.inf2.xlarge",
        ] {
            assert!(is_accelerated(accelerated), "{accelerated}");
        }
        for plain in ["ml.t3.medium", "ml.c5.xlarge", "ml.m6gd.large", "ml.r5.large", "system", ""] {
            assert!(!is_accelerated(plain), "{plain}");
        }
    }
}
