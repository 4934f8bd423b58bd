//! Validates a site's values for the placeholders of the built-in rules.

use std::collections::BTreeMap;

use ipnet::IpNet;
use regex::Regex;
use serde::Deserialize;

const FORMS: &str = include_str!("../../config/placeholders.toml");

/// The form of one placeholder's values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    is: String,
    example: String,
    /// Without one, values are networks.
    pattern: Option<String>,
    /// Which values count when there are none is the rules' to know.
    #[serde(rename = "falls_back_on")]
    _falls_back_on: Option<String>,
    #[serde(rename = "default")]
    _default: Option<Vec<String>>,
}

/// The first placeholder with a value of another form, and what is right. Placeholders of a site's own rules may have
/// any.
pub(super) fn problem(placeholders: &BTreeMap<String, Vec<String>>) -> Option<(String, String)> {
    if placeholders.is_empty() {
        return None;
    }
    let forms = forms();
    placeholders.iter().find_map(|(name, values)| {
        let form = forms.get(name)?;
        let wrong = values.iter().find(|value| !form.fits(value))?;
        Some((name.clone(), format!("\"{wrong}\" is not {}, such as \"{}\"", form.is, form.example)))
    })
}

fn forms() -> BTreeMap<String, Form> {
    toml::from_str(FORMS).expect("a test reads the file")
}

impl Form {
    fn fits(&self, value: &str) -> bool {
        match &self.pattern {
            Some(pattern) => {
                Regex::new(&format!("^(?:{pattern})$")).expect("a test reads the file").is_match(value)
            }
            None => value.parse::<IpNet>().is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_take_their_own_examples_and_refuse_what_is_often_written_instead() {
        for (name, form) in forms() {
            assert!(form.fits(&form.example), "{name}");
            for wrong in ["", " ", "s3://bucket/path", "https://pypi.example.com", "a b", "\n"] {
                assert!(!form.fits(wrong), "{name}: {wrong:?}");
            }
        }
        let cases = [
            ("allowed_networks", "203.0.113.7", false),
            ("allowed_networks", "203.0.113.0/33", false),
            ("allowed_networks", "2001:db8::/48", true),
            ("people_networks", "198.51.100.1", false),
            ("compute_networks", "198.51.100.0/24", true),
            ("trusted_image_owners", "763104351884", false),
            ("approved_roles", "MyRole", false),
            ("approved_roles", "arn:aws:iam::111122223333:user/alice", false),
            ("approved_roles", "arn:aws-cn:iam::111122223333:role/a", true),
            ("approved_roles", "arn:aws:iam::*:role/Deploy*", true),
            ("trusted_accounts", "1111-2222-3333", false),
            ("trusted_accounts", "11112222333", false),
            ("trusted_ecr_accounts", "763104351884.dkr.ecr.eu-central-1.amazonaws.com", false),
            ("trusted_buckets", "models/", false),
            ("trusted_buckets", "arn:aws:s3:::models", false),
            ("trusted_buckets", "fraud-data-*", true),
            ("notebook_instance_types", "t3.medium", false),
            ("studio_instance_types", "system", true),
            ("package_mirrors", "pypi.example.com:8443/simple", true),
        ];
        for (name, value, fits) in cases {
            let problem = problem(&BTreeMap::from([(name.to_owned(), vec![value.to_owned()])]));
            assert_eq!(problem.is_none(), fits, "{name}: {value}: {problem:?}");
        }
        let own = BTreeMap::from([("of_our_own".to_owned(), vec!["s3://anything".to_owned()])]);
        assert_eq!(problem(&own), None);
    }
}
