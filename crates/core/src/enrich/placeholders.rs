//! Fills what differs from site to site in a rule, such as `%trusted_buckets%`, from the configuration.
//!
//! They are Sigma's own (`|expand`). A value takes the place of the placeholder in the text around it, once for each
//! configured value, and may hold Sigma's wildcards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use ipnet::IpNet;
use rsigma_parser::{Detection, DetectionItem, Detections, Modifier, SigmaString, SigmaValue};
use serde::Deserialize;

use super::aws_own;

/// Values by the placeholder's name.
pub type Values = BTreeMap<String, Vec<String>>;

/// The placeholders of the built-in rules.
static KNOWN: LazyLock<BTreeMap<String, Known>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../config/placeholders.toml")).expect("a test reads the file")
});

#[derive(Deserialize)]
struct Known {
    falls_back_on: Option<String>,
    default: Option<Vec<String>>,
    /// The placeholder whose ARNs have these names at their ends.
    names_of: Option<String>,
}

/// The placeholder of AWS's own buckets.
const AWS_BUCKETS: &str = "aws_buckets";

/// The values that count: the configured ones, and others where there are none. A placeholder that is not among them
/// has to be configured before a rule that has it can speak.
pub fn with_defaults(configured: &Values) -> Values {
    let mut values = configured.clone();
    values
        .retain(|name, values| !values.is_empty() || KNOWN.get(name).is_some_and(|it| it.default.is_some()));
    for (name, known) in KNOWN.iter().filter(|(name, _)| !configured.contains_key(*name)) {
        let of_aws = || (name == AWS_BUCKETS).then(|| aws_own::buckets().map(str::to_owned).collect());
        let of_arns = || known.names_of.as_ref().map(|arns| names(&of(arns, configured)));
        let found =
            fallback(known, configured).or_else(of_aws).or_else(of_arns).or_else(|| known.default.clone());
        if let Some(found) = found {
            values.insert(name.clone(), found);
        }
    }
    values
}

/// The values of one placeholder: its own, or those that it falls back on.
fn of(name: &str, configured: &Values) -> Vec<String> {
    let found = configured.get(name).cloned().or_else(|| fallback(KNOWN.get(name)?, configured));
    found.unwrap_or_default()
}

/// What stands behind the paths of ARNs. A name that is nothing but a wildcard would say that each is meant.
fn names(arns: &[String]) -> Vec<String> {
    let names = arns.iter().filter_map(|arn| arn.rsplit('/').next());
    names.filter(|name| name.bytes().any(|byte| byte.is_ascii_alphanumeric())).map(str::to_owned).collect()
}

/// The values of the first that is configured among those that a placeholder falls back on.
fn fallback(known: &Known, configured: &Values) -> Option<Vec<String>> {
    let other = known.falls_back_on.as_ref()?;
    configured.get(other).cloned().or_else(|| fallback(KNOWN.get(other)?, configured))
}

/// Whether others fall back on it, so that it may be configured although no rule has it.
pub fn is_fallback(name: &str) -> bool {
    KNOWN
        .values()
        .any(|known| [&known.falls_back_on, &known.names_of].into_iter().flatten().any(|other| other == name))
}

/// Fills every placeholder of a rule and returns the names of all that it has, filled or not.
pub fn expand(detections: &mut Detections, values: &Values) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for detection in detections.named.values_mut() {
        expand_detection(detection, values, &mut used);
    }
    used
}

fn expand_detection(detection: &mut Detection, values: &Values, used: &mut BTreeSet<String>) {
    match detection {
        Detection::AllOf(items) => {
            for item in items {
                expand_item(item, values, used);
            }
        }
        Detection::AnyOf(parts) | Detection::And(parts) => {
            for part in parts {
                expand_detection(part, values, used);
            }
        }
        Detection::ArrayMatch { body, .. } => expand_detection(body, values, used),
        Detection::Conditional { named, .. } => {
            for part in named.values_mut() {
                expand_detection(part, values, used);
            }
        }
        Detection::Keywords(_) => {}
    }
}

fn expand_item(item: &mut DetectionItem, values: &Values, used: &mut BTreeSet<String>) {
    if !item.field.has_modifier(Modifier::Expand) {
        return;
    }
    item.field.modifiers.retain(|modifier| *modifier != Modifier::Expand);
    item.values = std::mem::take(&mut item.values)
        .into_iter()
        .flat_map(|value| match value {
            SigmaValue::String(text) => expand_text(&text.original, values, used),
            other => vec![other],
        })
        .collect();
    // Sigma's own tools refuse `|cidr` beside `|expand`, so networks are known by what they look like.
    if item.field.modifiers.is_empty() && item.values.iter().all(is_network) {
        item.field.modifiers.push(Modifier::Cidr);
    }
}

fn is_network(value: &SigmaValue) -> bool {
    matches!(value, SigmaValue::String(text) if text.original.parse::<IpNet>().is_ok())
}

/// The text with every combination of values in its placeholders' places. Values are taken as they are.
fn expand_text(text: &str, values: &Values, used: &mut BTreeSet<String>) -> Vec<SigmaValue> {
    let mut expanded = vec![String::new()];
    let mut rest = text;
    while let Some((before, name, after)) = first_placeholder(rest) {
        used.insert(name.to_owned());
        let configured = values.get(name).map_or(&[][..], Vec::as_slice);
        expanded = expanded
            .iter()
            .flat_map(|start| configured.iter().map(move |value| format!("{start}{before}{value}")))
            .collect();
        rest = after;
    }
    if expanded.is_empty() {
        // Values are missing and the rule is silent; it still has to compile, so that its other mistakes are found.
        return vec![SigmaValue::String(SigmaString::new(text))];
    }
    expanded.iter().map(|start| SigmaValue::String(SigmaString::new(&format!("{start}{rest}")))).collect()
}

/// What stands before the first `%name%`, the name, and what stands behind it. A percent sign alone is only itself.
fn first_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('%').find_map(|(start, _)| {
        let (name, after) = text[start + 1..].split_once('%')?;
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then_some((&text[..start], name, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_configured_falls_back_on_the_older_name_and_then_on_its_default() {
        let values = |configured: &[(&str, &[&str])]| -> Values {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            with_defaults(
                &configured.iter().map(|(name, texts)| ((*name).to_owned(), owned(texts))).collect(),
            )
        };
        let networks = |values: &Values| {
            ["people_networks", "compute_networks"].map(|name| values.get(name).map(|texts| texts.join(" ")))
        };
        let text = |text: &str| Some(text.to_owned());
        for (configured, expected) in [
            (&[][..], [None, None]),
            (&[("allowed_networks", &["192.0.2.0/24"][..])], [text("192.0.2.0/24"), text("192.0.2.0/24")]),
            (&[("people_networks", &["192.0.2.0/24"][..])], [text("192.0.2.0/24"), None]),
            (
                &[("allowed_networks", &["192.0.2.0/24"][..]), ("compute_networks", &["198.51.100.0/24"])],
                [text("192.0.2.0/24"), text("198.51.100.0/24")],
            ),
            (&[("people_networks", &[][..]), ("compute_networks", &[])], [None, None]),
        ] {
            assert_eq!(networks(&values(configured)), expected, "{configured:?}");
        }
        let desktop = |configured| values(configured)["desktop_networks"].clone();
        assert!(desktop(&[]).is_empty());
        assert_eq!(desktop(&[("allowed_networks", &["192.0.2.0/24"][..])]), ["192.0.2.0/24"]);
        let none = values(&[]);
        assert_eq!(none["trusted_image_owners"], ["aws", "own"]);
        assert!(none["trusted_ecr_accounts"].is_empty() && !none.contains_key("trusted_buckets"));
        assert!(none["aws_buckets"].iter().any(|bucket| bucket == "sagemaker-sample-files"));
    }

    #[test]
    fn what_is_not_configured_falls_back_on_another_and_then_on_its_default() {
        let values = |configured: &[(&str, &[&str])]| -> Values {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            with_defaults(
                &configured.iter().map(|(name, texts)| ((*name).to_owned(), owned(texts))).collect(),
            )
        };
        let approved = [
            "arn:aws:iam::111122223333:role/ml-*",
            "arn:aws:iam::111122223333:role/team/lab",
            "arn:aws:iam::1:role/*",
        ];
        for (configured, roles, names) in [
            (&[][..], &[][..], &[][..]),
            (&[("approved_roles", &approved[..])], &approved[..], &["ml-*", "lab"]),
            (
                &[("approved_roles", &approved[..]), ("sagemaker_roles", &approved[1..2])],
                &approved[1..2],
                &["lab"],
            ),
            (&[("approved_roles", &[][..])], &[], &[]),
        ] {
            let values = values(configured);
            assert_eq!(values["sagemaker_roles"], roles, "{configured:?}");
            assert_eq!(values["sagemaker_role_names"], names, "{configured:?}");
            assert!(!values.contains_key("trusted_buckets"));
        }
    }

    fn expanded(item: &str, values: &Values) -> (Vec<String>, Vec<String>) {
        let yaml =
            format!("title: t\nlogsource:\n  product: aws\ndetection:\n  s:\n    {item}\n  condition: s");
        let mut collection = rsigma_parser::parse_sigma_yaml(&yaml).unwrap();
        let used = expand(&mut collection.rules[0].detection, values);
        let Detection::AllOf(items) = &collection.rules[0].detection.named["s"] else { panic!("one item") };
        assert!(!items[0].field.has_modifier(Modifier::Expand));
        let texts = items[0].values.iter().map(|value| match value {
            SigmaValue::String(text) => text.original.clone(),
            other => panic!("{other:?}"),
        });
        (texts.collect(), used.into_iter().collect())
    }

    #[test]
    fn networks_are_compared_as_networks() {
        let yaml = "title: t\nlogsource:\n  product: aws\ndetection:\n  s:\n    a|expand: '%networks%'\n  condition: s";
        let values = |networks: &[&str]| {
            BTreeMap::from([(
                "networks".to_owned(),
                networks.iter().map(|text| (*text).to_owned()).collect(),
            )])
        };
        for (networks, modifiers) in [
            (vec!["203.0.113.0/24", "2001:db8::/32"], vec![Modifier::Cidr]),
            (vec!["203.0.113.0/24", "office"], vec![]),
        ] {
            let mut collection = rsigma_parser::parse_sigma_yaml(yaml).unwrap();
            expand(&mut collection.rules[0].detection, &values(&networks));
            let Detection::AllOf(items) = &collection.rules[0].detection.named["s"] else {
                panic!("one item")
            };
            assert_eq!(items[0].field.modifiers, modifiers);
        }
    }

    #[test]
    fn each_value_takes_the_placeholders_place_in_the_text_around_it() {
        let values = BTreeMap::from([
            ("buckets".to_owned(), vec!["a".to_owned(), "b-*".to_owned()]),
            ("none".to_owned(), Vec::new()),
            ("itself".to_owned(), vec!["%itself%".to_owned()]),
        ]);
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("f|expand: '%buckets%'", &["a", "b-*"], &["buckets"]),
            ("f|startswith|expand: 's3://%buckets%/'", &["s3://a/", "s3://b-*/"], &["buckets"]),
            ("f|expand: ['x', '%buckets%']", &["x", "a", "b-*"], &["buckets"]),
            ("f|expand: '%none%'", &["%none%"], &["none"]),
            ("f|expand: '%absent%'", &["%absent%"], &["absent"]),
            ("f|expand: '100%'", &["100%"], &[]),
            ("f|expand: '50% of %buckets%'", &["50% of a", "50% of b-*"], &["buckets"]),
            ("f|expand: '%none%/%absent%'", &["%none%/%absent%"], &["absent", "none"]),
            ("f|expand: '%buckets%/%none%'", &["%buckets%/%none%"], &["buckets", "none"]),
            ("f|expand: '%itself%'", &["%itself%"], &["itself"]),
        ];
        for (item, texts, names) in cases {
            let (found, used) = expanded(item, &values);
            assert_eq!(found, *texts, "{item}");
            assert_eq!(used, *names, "{item}");
        }
    }
}
