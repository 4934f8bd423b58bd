//! Knows the form of the values of each placeholder, and validates those of a site.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ipnet::IpNet;
use regex::Regex;
use serde::{Deserialize, Serialize};

/// The kinds and the placeholders, each by its name.
static KINDS: LazyLock<BTreeMap<String, Kind>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../config/placeholder-kinds.toml")).expect("a test reads the file")
});
static DECLARED: LazyLock<BTreeMap<String, Declared>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../config/placeholders.toml")).expect("a test reads the file")
});

/// What values are made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    is: String,
    example: String,
    /// Without one, values are networks.
    pattern: Option<String>,
}

/// A placeholder of the built-in rules. What it says itself counts before what its kind says. Other members are for
/// those who fill it.
#[derive(Deserialize)]
struct Declared {
    kind: Option<String>,
    is: Option<String>,
    example: Option<String>,
    pattern: Option<String>,
    about: Option<String>,
}

/// The form of one placeholder's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Form {
    /// Its name in `config/placeholder-kinds.toml`, where it has one.
    pub kind: Option<&'static str>,
    pub is: String,
    pub example: String,
    /// What the placeholder is for; empty for one of a site's own rules.
    pub about: String,
    #[serde(skip)]
    pattern: Option<String>,
}

/// The kind of placeholders that only a site's own rules have.
const FREE: &str = "text";

/// The form of a placeholder, by its name.
pub fn form(name: &str) -> Form {
    let of_kind = |kind: &str| KINDS.get_key_value(kind).expect("a test looks each kind up");
    let Some(declared) = DECLARED.get(name) else {
        let (kind, Kind { is, example, pattern }) = of_kind(FREE);
        let (is, example, pattern) = (is.clone(), example.clone(), pattern.clone());
        return Form { kind: Some(kind), is, example, about: String::new(), pattern };
    };
    let kind = declared.kind.as_deref().map(of_kind);
    let said = |own: &Option<String>, of_kind: Option<&String>| own.as_ref().or(of_kind).cloned();
    Form {
        kind: kind.map(|(name, _)| name.as_str()),
        is: said(&declared.is, kind.map(|(_, kind)| &kind.is)).unwrap_or_default(),
        example: said(&declared.example, kind.map(|(_, kind)| &kind.example)).unwrap_or_default(),
        about: declared.about.clone().unwrap_or_default(),
        pattern: said(&declared.pattern, kind.and_then(|(_, kind)| kind.pattern.as_ref())),
    }
}

/// The first placeholder with a value of another form, and what is right.
pub(super) fn problem(placeholders: &BTreeMap<String, Vec<String>>) -> Option<(String, String)> {
    placeholders.iter().find_map(|(name, values)| {
        let form = form(name);
        let wrong = values.iter().find(|value| !form.fits(value))?;
        Some((name.clone(), format!("\"{wrong}\" is not {}, such as \"{}\"", form.is, form.example)))
    })
}

impl Form {
    /// Whether a value has this form as a whole; without a pattern it has to be a network, such as `10.0.0.0/8`.
    pub fn fits(&self, value: &str) -> bool {
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
        for name in DECLARED.keys() {
            let form = form(name);
            assert!(form.fits(&form.example) && !form.is.is_empty(), "{name}");
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
            ("sagemaker_roles", "MyRole", false),
            ("sagemaker_role_names", "MyRole*", true),
            ("trail_buckets", "s3://trail", false),
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
        let own = |value: &str| BTreeMap::from([("of_our_own".to_owned(), vec![value.to_owned()])]);
        assert_eq!(problem(&own("s3://anything")), None);
        for empty in ["", " \n"] {
            let (_, problem) = problem(&own(empty)).expect("an empty text would match everything or nothing");
            assert!(problem.contains("is not a text that is not empty"), "{problem}");
        }
    }
}
