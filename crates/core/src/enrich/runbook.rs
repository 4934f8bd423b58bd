//! Chooses the pages that tell a responder how to contain what a record shows.

use std::sync::LazyLock;

use serde::Deserialize;

use super::analysis::Analysis;
use super::choices::Choices;
use super::selector::Selector;

/// Links of one document: a responder reads the first few.
const MAX_LINKS: usize = 6;

/// The links that fit the record, the most urgent first. A record that no rule matched needs none, and neither does one
/// whose rules lead to other pages already.
pub fn links(analysis: &Analysis<'_, '_>) -> Vec<&'static str> {
    if analysis.matches.is_empty() {
        return Vec::new();
    }
    let is_in_finding = |url: &str| {
        let verdict = analysis.verdict;
        verdict.findings.iter().chain(&verdict.attempts).any(|finding| finding.reference == Some(url))
    };
    let urls = RUNBOOK.choices.chosen(analysis).into_iter().map(|step| RUNBOOK.urls[step].as_str());
    urls.filter(|url| !is_in_finding(url)).take(MAX_LINKS).collect()
}

/// The pages and what each is for.
struct Runbook {
    urls: Vec<String>,
    choices: Choices,
}

static RUNBOOK: LazyLock<Runbook> = LazyLock::new(|| {
    let (urls, selectors): (Vec<_>, Vec<_>) = steps().into_iter().map(|step| (step.url, step.any)).unzip();
    Runbook { urls, choices: Choices::of(selectors) }
});

/// From `config/runbook.toml`.
fn steps() -> Vec<Step> {
    let file: File = toml::from_str(include_str!("../../../../config/runbook.toml"))
        .expect("the runbook is checked in as valid TOML");
    file.step
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    url: String,
    /// The link fits when one of them holds.
    any: Vec<Selector>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::enrich::analysis::tests::{read, rule};

    const DOCUMENTATION: &str = "https://docs.aws.amazon.com/";
    const LAST: &str = "logging-using-cloudtrail.html";

    fn sagemaker(call: &str, more: &Json) -> Json {
        let mut record = json!({"eventSource": "sagemaker.amazonaws.com", "eventName": call});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    }

    fn ends(record: &Json, level: &str, tags: &[&str]) -> Vec<&'static str> {
        let links = read(record, &[rule("A title", level, tags)], links);
        links.iter().map(|link| link.rsplit('/').next().unwrap()).collect()
    }

    #[test]
    fn containment_fits_the_resource_and_the_caller() {
        let by_role = json!({"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/Exec/SageMaker"}});
        let by_person = json!({"userIdentity": {"type": "AssumedRole",
            "arn": "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0a1b/alice"}});
        let by_user = json!({"userIdentity": {"type": "IAMUser", "userName": "alice"}});
        let named = |member: &str| json!({"requestParameters": {member: "x"}});
        let threat = ["sagetrail.resource-abuse"];
        let endpoint = "realtime-endpoints-delete-resources.html#realtime-endpoints-delete-endpoint";
        let failed = json!({"requestParameters": {"endpointName": "x"}, "errorCode": "ValidationException"});
        let cases = [
            (sagemaker("CreateEndpoint", &named("endpointName")), "informational", vec![endpoint]),
            // There is nothing to delete.
            (sagemaker("CreateEndpoint", &failed), "informational", vec![]),
            (sagemaker("CreateEndpoint", &failed), "medium", vec![LAST]),
            (
                sagemaker("CreateTrainingJob", &named("trainingJobName")),
                "informational",
                vec!["API_StopTrainingJob.html"],
            ),
            (sagemaker("ListModels", &by_role), "informational", vec![]),
            (sagemaker("ListModels", &by_role), "high", vec!["id_roles_use_revoke-sessions.html", LAST]),
            (
                sagemaker("ListModels", &by_person),
                "high",
                vec!["useraccess.html#revoke-user-permissions", LAST],
            ),
            (sagemaker("ListModels", &by_user), "critical", vec!["access-keys-admin-managed.html", LAST]),
        ];
        for (record, level, expected) in cases {
            assert_eq!(ends(&record, level, &threat), expected, "{level} {record}");
        }
    }

    #[test]
    fn a_record_that_no_rule_matched_has_no_runbook() {
        let record = sagemaker("CreateEndpoint", &json!({"requestParameters": {"endpointName": "x"}}));
        assert_eq!(read(&record, &[], links), Vec::<&str>::new());
    }

    #[test]
    fn every_link_is_documentation_named_once_and_the_operations_that_links_name_exist() {
        let catalogue = include_str!("../../../../config/catalogue.toml");
        let mut seen = BTreeSet::new();
        for Step { url, any } in steps() {
            assert!(url.starts_with(DOCUMENTATION) && !any.is_empty(), "{url}");
            assert!(seen.insert(url.clone()), "{url} is there twice");
            if let Some((_, operation)) = url.split_once("sagemaker/latest/APIReference/API_") {
                let operation = operation.strip_suffix(".html").unwrap();
                assert!(catalogue.contains(&format!("\n{operation} = ")), "{url}");
            }
        }
    }
}
