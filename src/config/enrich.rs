//! Holds the settings of enrichment, such as the files that say whose an address is.

use std::path::PathBuf;

use sagetrail_core::settings::RulesConfig;
use serde::Deserialize;

/// Where the files are; each is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// AWS's published `ip-ranges.json`, in place of the ranges that the binary carries.
    pub aws_ranges_file: Option<PathBuf>,
    /// A `MaxMind` database of cities or countries.
    pub geoip_city_file: Option<PathBuf>,
    /// A `MaxMind` database of autonomous systems.
    pub geoip_asn_file: Option<PathBuf>,
}

/// Networks that are not routed on the internet, in which calls through endpoints of a VPC begin.
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
/// The placeholder of the networks of compute, and its older name.
const COMPUTE: [&str; 2] = ["compute_networks", "allowed_networks"];

impl EnrichConfig {
    /// The rules with what the files are worth to them: whoever keeps AWS's ranges up to date need not list the
    /// networks of compute, which has addresses of AWS or private ones.
    pub fn rules(&self, mut rules: RulesConfig) -> RulesConfig {
        let is_listed = COMPUTE.iter().any(|name| rules.placeholders.contains_key(*name));
        if self.aws_ranges_file.is_some() && !is_listed {
            rules.placeholders.insert(COMPUTE[0].to_owned(), PRIVATE.map(str::to_owned).to_vec());
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_of_compute_are_private_ones_with_the_ranges_of_aws_and_without_a_list() {
        let with = EnrichConfig { aws_ranges_file: Some("ip-ranges.json".into()), ..EnrichConfig::default() };
        let listed = |name: &str| {
            let mut rules = RulesConfig::default();
            rules.placeholders.insert(name.to_owned(), vec!["203.0.113.0/24".to_owned()]);
            rules
        };
        let networks =
            |config: &EnrichConfig, rules| config.rules(rules).placeholders.remove("compute_networks");
        assert_eq!(networks(&with, RulesConfig::default()), Some(PRIVATE.map(str::to_owned).to_vec()));
        assert_eq!(networks(&with, listed("allowed_networks")), None);
        assert_eq!(networks(&with, listed("compute_networks")), Some(vec!["203.0.113.0/24".to_owned()]));
        assert_eq!(networks(&EnrichConfig::default(), RulesConfig::default()), None);
    }
}
