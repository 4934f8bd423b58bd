//! The service control policies and AWS Config rules of `deploy/guardrails`: each is tied to rules that exist, each
//! posture rule has a policy or a reason for none, and what is generated from them is not stale.

mod cloudformation;
mod files;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sagetrail::config::RulesConfig;
use sagetrail::enrich::rules::{Folder, RuleSet};
use sagetrail::listing::list;
use serde_json::Value;

use crate::support::examples;
use files::{CONFIG_PAGES, HUB_PAGE, Tied, config_rules, guardrails, policy};
use time::OffsetDateTime;

/// How many characters AWS Organizations takes in one policy.
const POLICY_LIMIT: usize = 5120;
/// Controls that Security Hub has for SageMaker.
const HUB_CONTROLS: usize = 25;

fn rules() -> RuleSet {
    RuleSet::load(&RulesConfig::default()).unwrap()
}

#[test]
fn each_policy_and_config_rule_is_tied_to_rules_that_exist_by_id_and_title() {
    let rules = rules();
    let titles: BTreeMap<&str, &str> =
        list(&rules, OffsetDateTime::UNIX_EPOCH).iter().map(|rule| (rule.id, rule.title)).collect();
    let (guardrails, config_rules) = (guardrails(), config_rules());
    let by_policies = guardrails.policies.iter().flat_map(|policy| &policy.rules);
    let by_reasons = guardrails.inexpressible.iter().map(|reason| &reason.rule);
    let by_config = config_rules.iter().flat_map(|rule| &rule.rules);
    let mut tied = 0;
    for Tied { id, title } in by_policies.chain(by_reasons).chain(by_config) {
        assert_eq!(titles.get(id.as_str()), Some(&title.as_str()), "{id}");
        tied += 1;
    }
    assert!(tied > 50, "{tied}");
}

#[test]
fn each_posture_rule_has_a_policy_or_a_reason_for_none() {
    let guardrails = guardrails();
    let tied: BTreeSet<&str> =
        guardrails.policies.iter().flat_map(|policy| &policy.rules).map(|rule| rule.id.as_str()).collect();
    let reasons: BTreeSet<&str> =
        guardrails.inexpressible.iter().map(|reason| reason.rule.id.as_str()).collect();
    assert_eq!(tied.intersection(&reasons).collect::<Vec<_>>(), [&""; 0]);
    let rules = rules();
    for rule in list(&rules, OffsetDateTime::UNIX_EPOCH).iter().filter(|rule| rule.folder == Folder::Posture)
    {
        assert!(tied.contains(rule.id) || reasons.contains(rule.id), "{} ({})", rule.title, rule.id);
    }
}

#[test]
fn each_file_is_a_policy_of_the_index_that_only_denies_and_exempts_the_break_glass_roles() {
    let guardrails = guardrails();
    let named: BTreeSet<String> =
        guardrails.policies.iter().map(|policy| format!("{}.json", policy.name)).collect();
    let there: BTreeSet<String> = std::fs::read_dir(files::folder().join("policies"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, there);
    let exempt =
        ["break_glass_principals", "organization_admins"].map(|name| &guardrails.parameters[name].default);
    for entry in &guardrails.policies {
        for statement in policy(&entry.name)["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Deny", "{}", entry.name);
            let spared = &statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"];
            assert!(exempt.contains(&spared), "{}: {}", entry.name, statement["Sid"]);
        }
    }
}

#[test]
fn the_policies_of_a_bundle_fit_into_one_and_their_statements_have_names_of_their_own() {
    let guardrails = guardrails();
    let mut sids = BTreeSet::new();
    for (bundle, document) in files::bundles(&guardrails) {
        let size = document.to_string().len();
        assert!(size <= POLICY_LIMIT, "{bundle}: {size}");
        for statement in document["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sid.chars().all(char::is_alphanumeric) && sids.insert(sid.to_owned()), "{sid}");
        }
    }
    // AWS Organizations attaches five policies to one target, and FullAWSAccess is one of them.
    assert!(files::bundles(&guardrails).len() <= 4);
}

#[test]
fn each_list_that_differs_by_site_stands_in_a_policy_as_its_default_says() {
    let guardrails = guardrails();
    let policies: Vec<String> =
        guardrails.policies.iter().map(|entry| policy(&entry.name).to_string()).collect();
    for (name, parameter) in &guardrails.parameters {
        let list = parameter.default.to_string();
        assert!(policies.iter().any(|text| text.contains(&list)), "{name}");
        let others = guardrails.parameters.iter().filter(|(other, _)| *other != name);
        for (other, parameter) in others {
            assert!(!parameter.default.to_string().contains(&list), "{name} is part of {other}");
        }
    }
}

#[test]
fn the_simulation_has_a_line_for_each_example_of_the_rules() {
    let written = std::fs::read_to_string(files::folder().join("simulation.md")).unwrap();
    let mut lines = 0;
    for entry in guardrails().policies {
        let (_, rest) = written.split_once(&format!("\n## {}\n", entry.name)).expect(&entry.name);
        let section = rest.split("\n## ").next().expect("there is a first part");
        for rule in &entry.rules {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(&rule.id);
            for prefix in ["match-", "miss-"] {
                for example in examples::records(&folder, prefix) {
                    let name = example.path.file_stem().unwrap().to_string_lossy().into_owned();
                    assert!(
                        section.contains(&format!("| {}: `{name}` |", rule.title)),
                        "{}: {name} of \"{}\" is missing; run `make guardrails UPDATE=1`",
                        entry.name,
                        rule.title
                    );
                    lines += 1;
                }
            }
        }
    }
    assert!(lines > 100, "{lines}");
}

#[test]
fn each_control_of_security_hub_and_each_config_rule_stands_in_the_references_of_its_rules() {
    let rules = rules();
    let listed = list(&rules, OffsetDateTime::UNIX_EPOCH);
    let references =
        |id: &str| listed.iter().find(|rule| rule.id == id).expect("another test holds").references;
    let config_rules = config_rules();
    let mut controls = BTreeSet::new();
    for config in &config_rules {
        assert!(!config.rules.is_empty() || config.not_in_a_call.is_some(), "{}", config.name);
        assert_eq!(config.identifier, config.name.to_uppercase().replace('-', "_"));
        let page = format!("{CONFIG_PAGES}{}.html", config.name);
        let named = |url: &String| config.rules.iter().any(|rule| references(&rule.id).contains(url));
        assert!(named(&page), "{} is in no rule's references", config.name);
        if let Some(control) = &config.security_hub {
            let anchor = format!("{HUB_PAGE}#{}", control.to_lowercase().replace('.', "-"));
            assert!(named(&anchor), "{control} is in no rule's references");
            assert!(controls.insert(control.clone()), "{control} stands twice");
        }
    }
    let all: BTreeSet<String> = (1..=HUB_CONTROLS).map(|number| format!("SageMaker.{number}")).collect();
    assert_eq!(controls, all);
    let known: BTreeSet<String> =
        config_rules.iter().map(|config| format!("{CONFIG_PAGES}{}.html", config.name)).collect();
    let pages = listed.iter().flat_map(|rule| rule.references).filter(|url| url.starts_with(CONFIG_PAGES));
    assert_eq!(pages.cloned().collect::<BTreeSet<_>>(), known);
}

#[test]
fn what_is_generated_is_as_its_sources_are() {
    let (guardrails, config_rules) = (guardrails(), config_rules());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pretty = |template: Value| format!("{template:#}\n");
    for (file, text) in [
        ("deploy/guardrails/cloudformation/policies.json", pretty(cloudformation::policies(&guardrails))),
        (
            "deploy/guardrails/cloudformation/config-rules.json",
            pretty(cloudformation::config_rules(&config_rules)),
        ),
        ("docs/posture.md", page::page(&rules(), &guardrails, &config_rules)),
    ] {
        let path = root.join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            continue;
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written == text, "{file} is stale; run `UPDATE_GOLDEN=1 cargo test --test pure guardrails`");
    }
}
