//! The pages that a document tells a responder to read, on the examples of every rule that is worth a look.

use std::collections::BTreeMap;

use sagetrail::config::{RulesConfig, Scope};
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::{Enriched, Enricher, Severity};
use serde_json::Value;

use crate::support::examples::{self, Example};

/// How pages end that say how to stop, remove or take back something.
const TAKES_BACK: [&str; 12] = [
    "API_Delete",
    "API_Stop",
    "API_Detach",
    "API_Revoke",
    "API_Remove",
    "API_Cancel",
    "API_Disable",
    "API_Disassociate",
    "API_Terminate",
    "API_Untag",
    "-delete",
    "delete-",
];
/// How calls begin that leave nothing behind.
const READS: [&str; 9] =
    ["Get", "List", "Describe", "Search", "Select", "BatchGet", "BatchDescribe", "Query", "Invoke"];
/// The page on what else the caller did, which each has.
const LAST: &str = "logging-using-cloudtrail.html";

#[test]
fn what_is_worth_a_look_has_steps_and_none_takes_back_what_was_only_read_or_failed() {
    let mut problems = Vec::new();
    let mut documents = 0;
    each_document(|path, document| {
        documents += 1;
        let links = runbook(document);
        // What only memory finds is no finding here.
        let is_worth_a_look = ["medium", "high", "critical"].contains(&text(document, "/sagemaker/severity"));
        if is_worth_a_look && links.is_empty() && references(document).is_empty() {
            problems.push(format!("{path}: no step"));
        }
        let call = text(document, "/event/action");
        let is_read = READS.iter().any(|verb| call.starts_with(verb));
        let failed = document["event"]["outcome"] == "failure";
        let unfit = links.iter().filter(|_| is_read || failed).filter(|link| {
            let page = link.rsplit('/').next().unwrap_or_default();
            TAKES_BACK.iter().any(|mark| page.contains(mark))
        });
        problems.extend(unfit.map(|link| format!("{path}: {call}, failed: {failed}, has {link}")));
    });
    assert!(documents > 400, "{documents}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn each_change_of_a_bucket_leads_to_the_page_that_sets_it_back() {
    let mut seen = BTreeMap::new();
    each_document(|_, document| {
        let call = text(document, "/event/action").to_owned();
        if call.starts_with("PutBucket") || call.starts_with("DeleteBucket") {
            let links: &mut Vec<String> = seen.entry(call).or_default();
            links.extend(runbook(document).into_iter().chain(references(document)));
        }
    });
    for (call, page) in [
        ("DeleteBucket", "restoring-s3.html"),
        ("DeleteBucketPublicAccessBlock", "access-control-block-public-access.html"),
        ("PutBucketAcl", "about-object-ownership.html"),
        ("PutBucketInventory", "API_DeleteBucketInventoryConfiguration.html"),
        ("PutBucketLifecycle", "how-to-set-lifecycle-configuration-intro.html"),
        ("PutBucketPolicy", "add-bucket-policy.html"),
        ("PutBucketReplication", "API_DeleteBucketReplication.html"),
        ("PutBucketVersioning", "manage-versioning-examples.html"),
    ] {
        let links = seen.get(call).unwrap_or_else(|| panic!("no example is {call}"));
        assert!(links.iter().any(|link| link.ends_with(page)), "{call}: {links:?}");
    }
}

/// What a change left behind is set back by a page on the call, unless the rule itself names it.
#[test]
fn most_changes_have_a_step_of_their_own() {
    let (mut changes, mut without) = (0, BTreeMap::new());
    each_document(|_, document| {
        let call = text(document, "/event/action");
        let is_change = !READS.iter().any(|verb| call.starts_with(verb));
        if !is_change || document["event"]["outcome"] == "failure" {
            return;
        }
        changes += 1;
        let own = runbook(document).into_iter().filter(|link| !link.ends_with(LAST)).count();
        if own == 0 {
            *without.entry(format!("{} {call}", text(document, "/event/provider"))).or_insert(0) += 1;
        }
    });
    let missing: usize = without.values().sum();
    assert!(missing * 10 <= changes, "{missing} of {changes}: {without:#?}");
}

/// Calls the function for each example at medium or above, with the document that it becomes.
fn each_document(mut look: impl FnMut(&str, &Value)) {
    let config = RulesConfig { placeholders: examples::all_values(), ..RulesConfig::default() };
    let enricher =
        Enricher { rules: RuleSet::load(&config).unwrap().into(), ..Enricher::built_in(Scope::All) };
    for rule in enricher.rules.rules().iter().filter(|rule| rule.level >= Severity::Medium) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(&rule.id);
        for example in examples::records(&folder, "match-") {
            let Example { path, .. } = &example;
            let Enriched::Selected { document, .. } = example.enrich(&enricher) else { continue };
            let document: Value = serde_json::from_slice(&document.source).unwrap();
            look(&path.display().to_string(), &document);
        }
    }
}

fn runbook(document: &Value) -> Vec<String> {
    let links = &document["sagemaker"]["runbook"];
    let one = links.as_str().into_iter();
    let all = links.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(all).map(str::to_owned).collect()
}

/// The pages that findings name themselves, which the runbook does not say once more.
fn references(document: &Value) -> Vec<String> {
    let of = |member: &str| document["sagemaker"][member].as_array().cloned().unwrap_or_default();
    let named = |finding: &Value| finding["reference"].as_str().map(str::to_owned);
    of("findings").iter().chain(&of("attempts")).filter_map(named).collect()
}

fn text<'d>(document: &'d Value, pointer: &str) -> &'d str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
