//! Takes the network that a call puts things into, and what they may reach.

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::texts::{self, Texts};
use super::values::is_enabled;

/// The network that a call puts something into, and how far it is cut off from others.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Network<'r> {
    pub vpc: Option<&'r str>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub subnets: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub security_groups: Texts<'r>,
    /// Whether the containers are cut off from the network: all of them, where a call starts several.
    pub isolated: Option<bool>,
    /// Whether the traffic between containers is encrypted: of all jobs, where a call starts several.
    pub encrypted: Option<bool>,
    pub direct_internet: Option<bool>,
    /// `PublicInternetOnly` or `VpcOnly`, of a domain.
    pub app_access: Option<&'r str>,
}

impl<'r> Network<'r> {
    /// Takes a member of a request, whose name is in lower case.
    pub fn take(&mut self, name: &str, value: &'r Value<'_>) {
        let first = || texts::of(value).next();
        match name {
            "subnets" | "subnetids" | "subnetid" => {
                texts::of(value).for_each(|subnet| self.subnets.take(subnet));
            }
            "securitygroups" | "securitygroupids" => {
                texts::of(value).for_each(|group| self.security_groups.take(group));
            }
            "enablenetworkisolation" => self.isolated = all(self.isolated, value.as_bool()),
            "enableintercontainertrafficencryption" => self.encrypted = all(self.encrypted, value.as_bool()),
            "vpcid" => self.vpc = first().or(self.vpc),
            "directinternetaccess" => {
                self.direct_internet = first().map(is_enabled).or(self.direct_internet);
            }
            "appnetworkaccesstype" => self.app_access = first().or(self.app_access),
            _ => {}
        }
    }
}

/// Whether both hold; null says nothing.
fn all(so_far: Option<bool>, next: Option<bool>) -> Option<bool> {
    match (so_far, next) {
        (Some(so_far), Some(next)) => Some(so_far && next),
        (known, None) | (None, known) => known,
    }
}
