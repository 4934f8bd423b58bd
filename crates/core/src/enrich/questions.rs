//! Tells which of the fifteen questions of an incident's analysis a record helps to answer.

use std::sync::LazyLock;

use serde::Deserialize;

use super::analysis::Analysis;
use super::choices::Choices;
use super::selector::Selector;

/// The numbers of the questions that the record helps to answer, in their order.
pub fn answered(analysis: &Analysis<'_, '_>) -> Vec<u8> {
    QUESTIONS.choices.chosen(analysis).into_iter().map(|question| QUESTIONS.numbers[question]).collect()
}

/// The questions and what helps to answer each.
struct Questions {
    numbers: Vec<u8>,
    choices: Choices,
}

static QUESTIONS: LazyLock<Questions> = LazyLock::new(|| {
    let (numbers, selectors): (Vec<_>, Vec<_>) =
        questions().into_iter().map(|question| (question.number, question.any)).unzip();
    Questions { numbers, choices: Choices::of(selectors) }
});

/// From `config/questions.toml`.
fn questions() -> Vec<Question> {
    let file: File = toml::from_str(include_str!("../../../../config/questions.toml"))
        .expect("the questions are checked in as valid TOML");
    file.question
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    question: Vec<Question>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    number: u8,
    /// The question as dashboards show it; here it only stands beside what selects for it.
    #[cfg_attr(not(test), expect(dead_code, reason = "only dashboards show it"))]
    text: String,
    /// The record helps when one of them holds.
    any: Vec<Selector>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::enrich::analysis::tests::{read, rule};
    use crate::enrich::rule::Rule;

    const FAMILY: &str = "sagemaker.amazonaws.com";

    /// A record with the rules that matched it.
    type Matched = (Json, Vec<Rule>);

    fn record(service: &str, call: &str, more: &Json) -> Json {
        let mut record = json!({"eventSource": service, "eventName": call, "readOnly": false});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    }

    fn plain(service: &str, call: &str) -> Matched {
        (record(service, call, &json!({})), vec![])
    }

    fn analysis(service: &str, call: &str) -> Matched {
        (record(service, call, &json!({"readOnly": true})), vec![])
    }

    fn matched(service: &str, call: &str, level: &str, tags: &[&str]) -> Matched {
        (record(service, call, &json!({})), vec![rule("A title", level, tags)])
    }

    #[test]
    fn each_question_has_a_record_that_helps_and_one_that_does_not() {
        let denied = json!({"errorCode": "AccessDeniedException"});
        let foreign = json!({"readOnly": true, "userAgent": "aws-cli/2 os/linux#6.12+kali-amd64"});
        let networked = json!({"requestParameters": {"vpcConfig": {"subnets": ["subnet-1"]}}});
        let cases: Vec<(u8, Matched, Matched)> = vec![
            (1, (record(FAMILY, "ListModels", &denied), vec![]), analysis(FAMILY, "ListModels")),
            (2, (record(FAMILY, "ListModels", &foreign), vec![]), analysis(FAMILY, "ListModels")),
            (2, plain("sts.amazonaws.com", "AssumeRole"), plain("logs.amazonaws.com", "DeleteLogGroup")),
            (3, plain(FAMILY, "StopTrainingJob"), analysis(FAMILY, "DescribeTrainingJob")),
            (
                4,
                matched(
                    FAMILY,
                    "CreateTransformJob",
                    "informational",
                    &["sagetrail.data-model-exfiltration"],
                ),
                matched(FAMILY, "CreateTransformJob", "informational", &["sagetrail.resource-abuse"]),
            ),
            (5, analysis(FAMILY, "InvokeEndpoint"), analysis(FAMILY, "ListEndpoints")),
            (6, plain(FAMILY, "CreateNotebookInstance"), analysis(FAMILY, "DescribeNotebookInstance")),
            (7, analysis(FAMILY, "ListModels"), plain("iam.amazonaws.com", "CreateRole")),
            (
                8,
                plain("cloudtrail.amazonaws.com", "StopLogging"),
                analysis("cloudtrail.amazonaws.com", "DescribeTrails"),
            ),
            (9, plain("iam.amazonaws.com", "AttachRolePolicy"), analysis("iam.amazonaws.com", "GetRole")),
            (
                10,
                (record(FAMILY, "CreateTrainingJob", &networked), vec![]),
                plain(FAMILY, "CreateTrainingJob"),
            ),
            (11, plain(FAMILY, "CreatePresignedNotebookInstanceUrl"), plain(FAMILY, "CreateEndpoint")),
            (
                12,
                matched("iam.amazonaws.com", "CreateUser", "high", &["attack.lateral-movement"]),
                matched("iam.amazonaws.com", "CreateUser", "informational", &["attack.lateral-movement"]),
            ),
            (13, plain(FAMILY, "DeleteEndpoint"), plain(FAMILY, "CreateEndpoint")),
            (14, plain(FAMILY, "CreateEndpointConfig"), analysis(FAMILY, "ListEndpointConfigs")),
            (
                15,
                matched(FAMILY, "CreateNotebookInstance", "low", &["attack.t1548"]),
                matched(FAMILY, "CreateNotebookInstance", "informational", &["attack.t1548"]),
            ),
        ];
        for (number, yes, no) in &cases {
            let answered = |(record, rules): &Matched| read(record, rules, answered);
            assert!(answered(yes).contains(number), "{number}: {}", yes.0);
            assert!(!answered(no).contains(number), "{number}: {}", no.0);
        }
        let tested: std::collections::BTreeSet<u8> = cases.iter().map(|(number, ..)| *number).collect();
        assert_eq!(tested.into_iter().collect::<Vec<_>>(), (1..=15).collect::<Vec<_>>());
    }

    #[test]
    fn the_questions_are_numbered_from_one_to_fifteen_and_each_has_its_text() {
        let questions = questions();
        let numbers: Vec<u8> = questions.iter().map(|question| question.number).collect();
        assert_eq!(numbers, (1..=15).collect::<Vec<_>>());
        assert!(questions.iter().all(|question| question.text.ends_with('?')));
    }
}
