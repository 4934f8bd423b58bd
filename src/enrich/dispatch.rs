//! The dispatch: which calls a Sigma rule can match at all, read off its condition.
//!
//! A record only meets the rules that name its eventName, or name none. And the bytes of a record show whether any
//! rule could ask for it, so that the rest is rejected before it is parsed.

use std::collections::{BTreeSet, HashMap};

use memchr::memmem;
use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Detections, Quantifier, SigmaValue};

/// The calls that a rule can match, as far as its condition says so without wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The values of eventSource, in lower case; none when the rule could match any.
    pub sources: Option<BTreeSet<String>>,
    /// The values of eventName, in lower case; none when the rule could match any.
    pub names: Option<BTreeSet<String>>,
}

impl Calls {
    /// Reads the calls off a rule's detection section. Every condition of a rule may match, so their calls add up.
    pub fn of(detections: &Detections) -> Self {
        let required = |field| {
            union(detections.conditions.iter().map(|condition| by_condition(condition, detections, field)))
        };
        Self { sources: required("eventSource"), names: required("eventName") }
    }

    /// Whether the rule names the service and the call, so that it may ask for records of another service.
    pub fn names_call(&self, source: &str, name: &str) -> bool {
        let holds = |set: &Option<BTreeSet<String>>, value: &str| {
            set.as_ref().is_some_and(|set| set.iter().any(|known| known.eq_ignore_ascii_case(value)))
        };
        holds(&self.sources, source) && holds(&self.names, name)
    }
}

/// Values that a field must have for the condition to hold; none when it may have any.
fn by_condition(condition: &ConditionExpr, detections: &Detections, field: &str) -> Option<BTreeSet<String>> {
    match condition {
        ConditionExpr::And(parts) => parts.iter().find_map(|part| by_condition(part, detections, field)),
        ConditionExpr::Or(parts) => union(parts.iter().map(|part| by_condition(part, detections, field))),
        ConditionExpr::Not(_) => None,
        ConditionExpr::Identifier(name) => {
            detections.named.get(name).and_then(|detection| by_detection(detection, field))
        }
        ConditionExpr::Selector { quantifier, pattern } => {
            let mut selected = detections
                .named
                .iter()
                .filter(|(name, _)| pattern.matches_detection_name(name))
                .map(|(_, detection)| by_detection(detection, field));
            match quantifier {
                Quantifier::All => selected.find_map(|values| values),
                Quantifier::Any | Quantifier::Count(1..) => union(selected),
                Quantifier::Count(0) => None,
            }
        }
    }
}

fn by_detection(detection: &Detection, field: &str) -> Option<BTreeSet<String>> {
    match detection {
        Detection::AllOf(items) => items.iter().find_map(|item| by_item(item, field)),
        Detection::AnyOf(parts) => union(parts.iter().map(|part| by_detection(part, field))),
        Detection::And(parts) => parts.iter().find_map(|part| by_detection(part, field)),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => None,
    }
}

fn by_item(item: &DetectionItem, field: &str) -> Option<BTreeSet<String>> {
    if item.field.name.as_deref() != Some(field) || !item.field.modifiers.is_empty() {
        return None;
    }
    item.values
        .iter()
        .map(|value| match value {
            SigmaValue::String(text) => text.as_plain().map(|plain| plain.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// The union of what each alternative requires: none as soon as one of them requires nothing.
fn union(alternatives: impl Iterator<Item = Option<BTreeSet<String>>>) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    let mut any = false;
    for values in alternatives {
        all.extend(values?);
        any = true;
    }
    any.then_some(all)
}

/// The index from a record's call to the rules that could match it, by their position in the rule set.
#[derive(Debug, Default)]
pub struct Dispatch {
    by_name: HashMap<String, Vec<usize>>,
    any_name: Vec<usize>,
    /// Services outside the SageMaker family of which a rule names calls, each with the names.
    others: Vec<(String, Vec<String>)>,
}

impl Dispatch {
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a Calls>) -> Self {
        let mut dispatch = Self::default();
        let mut others: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (position, calls) in rules.into_iter().enumerate() {
            let Some(names) = &calls.names else {
                dispatch.any_name.push(position);
                continue;
            };
            for name in names {
                dispatch.by_name.entry(name.clone()).or_default().push(position);
            }
            for source in calls.sources.iter().flatten() {
                others.entry(source.clone()).or_default().extend(names.iter().cloned());
            }
        }
        dispatch.others =
            others.into_iter().map(|(source, names)| (source, names.into_iter().collect())).collect();
        dispatch
    }

    /// The positions of the rules that a record with this eventName could match.
    pub fn candidates(&self, event_name: &str) -> impl Iterator<Item = usize> {
        let named = self.by_name.get(&event_name.to_ascii_lowercase()).map_or(&[][..], Vec::as_slice);
        named.iter().chain(&self.any_name).copied()
    }

    /// Whether the raw bytes could be a record of another service that some rule asks for.
    ///
    /// A member of that name inside the parameters may say yes too early, which costs a parse; it never says no to a
    /// record that a rule asks for.
    pub fn could_ask_for(&self, raw: &[u8]) -> bool {
        self.others.iter().any(|(source, names)| {
            any_text_member(raw, b"\"eventSource\"", |value| value.eq_ignore_ascii_case(source.as_bytes()))
                && any_text_member(raw, b"\"eventName\"", |value| {
                    names.iter().any(|name| value.eq_ignore_ascii_case(name.as_bytes()))
                })
        })
    }
}

/// Whether any member of that (quoted) name, at any depth, has a text that fits. A text with escapes always fits.
pub fn any_text_member(raw: &[u8], quoted_name: &[u8], fits: impl Fn(&[u8]) -> bool) -> bool {
    memmem::find_iter(raw, quoted_name).any(|at| {
        let rest = raw[at + quoted_name.len()..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":") else { return false };
        let Some(text) = rest.trim_ascii_start().strip_prefix(b"\"") else { return false };
        match memchr::memchr2(b'"', b'\\', text) {
            Some(end) if text[end] == b'"' => fits(&text[..end]),
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(detection: &str) -> Calls {
        let yaml = format!("title: t\nlogsource:\n  product: aws\ndetection:\n{detection}");
        let collection = rsigma_parser::parse_sigma_yaml(&yaml).unwrap();
        assert!(collection.errors.is_empty(), "{:?}", collection.errors);
        Calls::of(&collection.rules[0].detection)
    }

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn the_calls_of_a_rule_are_read_off_its_condition_and_never_too_narrow() {
        let cases = [
            (
                "  s:\n    eventSource: IAM.amazonaws.com\n    eventName: [CreateRole, 'UpdateRole']\n  condition: s",
                Some(set(&["iam.amazonaws.com"])),
                Some(set(&["createrole", "updaterole"])),
            ),
            (
                "  a:\n    eventName: A\n  b:\n    eventName: B\n  n:\n    x: 1\n  condition: (a or b) and not n",
                None,
                Some(set(&["a", "b"])),
            ),
            ("  a:\n    eventName: A\n  b:\n    x: B\n  condition: a or b", None, None),
            ("  a:\n    eventName: A\n  b:\n    x: B\n  condition: a and b", None, Some(set(&["a"]))),
            ("  a:\n    eventName: A\n  condition: not a", None, None),
            ("  a:\n    eventName|startswith: Create\n  condition: a", None, None),
            ("  a:\n    eventName: Create*\n  condition: a", None, None),
            ("  a:\n    - eventName: A\n    - eventName: B\n  condition: a", None, Some(set(&["a", "b"]))),
            (
                "  s_a:\n    eventName: A\n  s_b:\n    eventName: B\n  condition: 1 of s_*",
                None,
                Some(set(&["a", "b"])),
            ),
            ("  s_a:\n    eventName: A\n  s_b:\n    x: B\n  condition: all of them", None, Some(set(&["a"]))),
            ("  k:\n    - 'sagemaker'\n  condition: k", None, None),
            ("  a:\n    eventName: A\n  condition:\n    - a\n    - not a", None, None),
        ];
        for (detection, sources, names) in cases {
            assert_eq!(calls(detection), Calls { sources, names }, "{detection}");
        }
    }

    #[test]
    fn a_record_meets_only_rules_that_name_its_call_or_none() {
        let rules = [
            calls("  s:\n    eventName: [A, B]\n  condition: s"),
            calls("  s:\n    x: 1\n  condition: s"),
            calls("  s:\n    eventName: b\n  condition: s"),
        ];
        let dispatch = Dispatch::new(&rules);
        let candidates = |name: &str| {
            let mut found: Vec<usize> = dispatch.candidates(name).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(candidates("a"), [0, 1]);
        assert_eq!(candidates("B"), [0, 1, 2]);
        assert_eq!(candidates("c"), [1]);
    }

    #[test]
    fn the_bytes_of_a_record_show_whether_a_rule_could_ask_for_it() {
        let rules = [
            calls("  s:\n    eventSource: iam.amazonaws.com\n    eventName: CreateRole\n  condition: s"),
            calls("  s:\n    eventSource: logs.amazonaws.com\n    eventName: DeleteLogGroup\n  condition: s"),
            calls("  s:\n    eventSource: sts.amazonaws.com\n  condition: s"),
        ];
        let dispatch = Dispatch::new(&rules);
        let cases = [
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateRole"}"#, true),
            ("{\"eventName\" :\n \"createrole\", \"eventSource\": \"IAM.amazonaws.com\"}", true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"DeleteLogGroup"}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateRoles"}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","eventName":"CreateRole"}"#, false),
            (r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole"}"#, false),
            (r#"{"eventSource":"\u0069am.amazonaws.com","eventName":"CreateRole"}"#, true),
            (r#"{"eventName":"CreateRole"}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","x":{"eventName":"CreateRole"},"eventName":"Get"}"#, true),
        ];
        for (raw, expected) in cases {
            assert_eq!(dispatch.could_ask_for(raw.as_bytes()), expected, "{raw}");
        }
    }
}
