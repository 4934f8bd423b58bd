//! What takes back a finding must be more than what its caller calls itself: a user agent and the name of a session are
//! any caller's to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rsigma_parser::{ConditionExpr, Detection, DetectionItem, SigmaRule};

/// Fields that say what the caller likes.
const CHOSEN: [&str; 7] = [
    "userAgent",
    "userIdentity.arn",
    "userIdentity.principalId",
    "sagemaker.actor.agent",
    "sagemaker.actor.name",
    "sagemaker.actor.session_name",
    "sagemaker.actor.via",
];

/// Rules that a name alone takes back, and why nothing else can.
fn exceptions() -> BTreeMap<&'static str, &'static str> {
    let by_person =
        "the pages of Studio call with the session of its role from wherever its user's browser is";
    let desktop =
        "what it looks for is in the user agent as well, so that another name evades it in any case";
    BTreeMap::from([
        ("execution_role_data_unknown_network", by_person),
        ("execution_role_first_network", by_person),
        ("execution_role_outside_aws", by_person),
        ("execution_role_unknown_network", by_person),
        ("execution_role_unknown_network_elsewhere", by_person),
        ("model_approved_by_execution_role", by_person),
        ("execution_role_desktop", desktop),
        ("execution_role_desktop_elsewhere", desktop),
    ])
}

#[test]
fn no_rule_is_silenced_by_what_its_caller_calls_itself_alone() {
    let mut silenced = BTreeSet::new();
    for path in rule_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for rule in &rsigma_parser::parse_sigma_yaml(&text).unwrap().rules {
            let mut taken_back = Vec::new();
            rule.detection.conditions.iter().for_each(|condition| negated(condition, &mut taken_back));
            if taken_back.iter().any(|condition| is_chosen(rule, condition)) {
                silenced.insert(name.clone());
            }
        }
    }
    let known: BTreeSet<String> = exceptions().into_keys().map(str::to_owned).collect();
    assert_eq!(silenced, known, "rules that a name alone takes back, and those with a reason for it");
}

/// What stands behind each `not`.
fn negated<'r>(condition: &'r ConditionExpr, found: &mut Vec<&'r ConditionExpr>) {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            for part in parts {
                negated(part, found);
            }
        }
        ConditionExpr::Not(inner) => {
            found.push(inner);
            negated(inner, found);
        }
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => {}
    }
}

/// Whether names alone can make the condition true.
fn is_chosen(rule: &SigmaRule, condition: &ConditionExpr) -> bool {
    match condition {
        ConditionExpr::And(parts) => parts.iter().all(|part| is_chosen(rule, part)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| is_chosen(rule, part)),
        ConditionExpr::Not(_) => false,
        ConditionExpr::Identifier(name) => is_of_names(&rule.detection.named[name]),
        ConditionExpr::Selector { .. } => rule.detection.named.values().any(is_of_names),
    }
}

fn is_of_names(detection: &Detection) -> bool {
    match detection {
        Detection::AllOf(items) => items.iter().all(is_name),
        Detection::AnyOf(parts) => parts.iter().any(is_of_names),
        _ => false,
    }
}

fn is_name(item: &DetectionItem) -> bool {
    item.field.name.as_deref().is_some_and(|name| CHOSEN.contains(&name))
}

fn rule_files() -> Vec<std::path::PathBuf> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let entries = |folder: &Path| {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let folders = entries(&rules).into_iter().filter(|path| path.is_dir());
    folders
        .flat_map(|folder| entries(&folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect()
}
