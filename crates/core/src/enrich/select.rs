//! Selects the records that are shipped.
//!
//! It is asked twice: on the raw bytes, where a no is final and costs no parse, and on the parsed record with its
//! matching rules. A record of another service is shipped when a rule names its call and matches: the rule's own
//! condition says why the record concerns SageMaker, the mere word somewhere in it does not.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::dispatch::{EVENT_SOURCE, any_text_member};
use super::rule::Rule;
use super::rules::RuleSet;
use crate::memory::KnownNames;
use crate::record::Record;
use crate::settings::Scope;

/// Whether a record with these bytes could be selected. It may say yes too early, and never no to one that is selected.
pub fn could_be_selected(raw: &[u8], scope: Scope, rules: &RuleSet, known: &KnownNames) -> bool {
    match scope {
        Scope::All => true,
        Scope::Sagemaker => any_text_member(raw, &EVENT_SOURCE, is_sagemaker),
        Scope::Related => rules.may_match_raw(raw, known, is_sagemaker),
    }
}

/// Whether the record is selected, given the rules that match it.
pub fn is_selected(record: &Record<'_>, scope: Scope, matches: &[&Rule]) -> bool {
    scope == Scope::All
        || record.is_sagemaker()
        || scope == Scope::Related && matches.iter().any(|rule| rule.asks_for(record))
}

fn is_sagemaker(event_source: &[u8]) -> bool {
    SAGEMAKER.find(event_source).is_some()
}

static SAGEMAKER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"sagemaker"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::catalogue::Catalogue;
    use crate::enrich::networks::Networks;
    use crate::enrich::sigma_event::SigmaEvent;
    use crate::enrich::unpacked::Unpacked;
    use crate::settings::RulesConfig;

    /// Each record with what the scopes `sagemaker`, `related` and `all` decide.
    const CASES: &[(&str, [bool; 3])] = &[
        (r#"{"eventSource":"sagemaker.amazonaws.com","eventName":"ListModels"}"#, [true, true, true]),
        (
            r#"{"eventSource":"metrics-sagemaker.amazonaws.com","eventName":"BatchPutMetrics"}"#,
            [true, true, true],
        ),
        (r#"{"eventSource":"sagemaker.example.com","eventName":"ListModels"}"#, [false, false, true]),
        (
            r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","requestParameters":{"bucketName":"sagemaker-eu"}}"#,
            [false, false, true],
        ),
        (r#"{"eventSource":"amplify.amazonaws.com","eventName":"CreateApp"}"#, [false, false, true]),
        (r#"{"eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging"}"#, [false, true, true]),
        (
            r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateRole","requestParameters":{"roleName":"AmazonSageMaker-ExecutionRole"}}"#,
            [false, true, true],
        ),
        (
            r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateRole","requestParameters":{"roleName":"lambda-basic"}}"#,
            [false, false, true],
        ),
        (r#"{"eventName":"CreateApp"}"#, [false, false, true]),
    ];

    #[test]
    fn each_scope_ships_what_it_says_and_the_bytes_never_hide_a_selected_record() {
        let rules = RuleSet::load(&RulesConfig::default()).unwrap();
        let (unpacked, catalogue) = (Unpacked::default(), Catalogue::built_in());
        let networks = Networks::built_in();
        for (raw, expected) in CASES {
            let record = Record::parse(raw.as_bytes()).unwrap();
            let matches = rules.matches(&SigmaEvent::new(&record, &unpacked, &catalogue, &networks));
            for (scope, expected) in [Scope::Sagemaker, Scope::Related, Scope::All].into_iter().zip(expected)
            {
                let selected = is_selected(&record, scope, &matches);
                assert_eq!(selected, *expected, "{scope:?} {raw}");
                if selected {
                    assert!(
                        could_be_selected(raw.as_bytes(), scope, &rules, &KnownNames::None),
                        "{scope:?} {raw}"
                    );
                }
            }
        }
    }

    /// Calls that a trail has in masses, and of which rules want a few.
    const MASSES: [(&str, &str); 16] = [
        ("s3", "GetObject"),
        ("s3", "PutObject"),
        ("s3", "DeleteObject"),
        ("s3", "ListBuckets"),
        ("kms", "Decrypt"),
        ("kms", "GenerateDataKey"),
        ("sts", "AssumeRole"),
        ("sts", "AssumeRoleWithWebIdentity"),
        ("sts", "GetCallerIdentity"),
        ("secretsmanager", "GetSecretValue"),
        ("ssm", "GetParameter"),
        ("ssm", "GetParametersByPath"),
        ("bedrock", "InvokeModel"),
        ("ec2", "DescribeInstances"),
        ("ecr", "GetAuthorizationToken"),
        ("logs", "CreateLogStream"),
    ];

    #[test]
    fn masses_of_other_services_are_rejected_by_their_bytes_unless_these_have_a_word_of_a_rule() {
        let rules = RuleSet::load(&RulesConfig::default()).unwrap();
        for (service, name) in MASSES {
            // The buckets that SageMaker makes have its name.
            let parameters = if name.ends_with("Object") {
                r#"{"bucketName":"sagemaker-eu","key":"a/b.csv"}"#
            } else {
                "null"
            };
            let raw = format!(
                r#"{{"eventSource":"{service}.amazonaws.com","eventName":"{name}","userIdentity":{{"arn":"arn:aws:sts::111122223333:assumed-role/web/i-0a1b2c3d"}},"requestParameters":{parameters}}}"#
            );
            assert!(!could_be_selected(raw.as_bytes(), Scope::Related, &rules, &KnownNames::None), "{raw}");
        }
    }

    #[test]
    fn the_bytes_alone_reject_the_bulk_of_a_trail_without_an_allocation() {
        let rules = RuleSet::load(&RulesConfig::default()).unwrap();
        for raw in [
            r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","requestParameters":{"bucketName":"sagemaker-eu"}}"#,
            r#"{"eventSource":"lambda.amazonaws.com","eventName":"Invoke","userAgent":"sagemaker"}"#,
            r#"{"eventSource":"IAM.amazonaws.com","eventName":"GetRole","requestParameters":{"roleName":"sagemaker"}}"#,
            r#"{"eventName":"GetRole"}"#,
        ] {
            // What the first record makes is there for all.
            assert!(!could_be_selected(raw.as_bytes(), Scope::Related, &rules, &KnownNames::None), "{raw}");
            let spent = allocation_counter::measure(|| {
                std::hint::black_box(could_be_selected(
                    raw.as_bytes(),
                    Scope::Related,
                    &rules,
                    &KnownNames::None,
                ));
            });
            assert_eq!(spent.count_total, 0, "{raw}");
        }
    }
}
