//! Finds what a record of another service is about, such as the role that IAM changed.
//!
//! The parameters that name them are in `config/related.toml`.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde::Serialize;
use serde_with::skip_serializing_none;

use super::arn::Arn;
use super::denied::Denied;
use super::path::listed_arns;
use crate::record::Record;

/// One resource outside SageMaker.
#[skip_serializing_none]
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct RelatedResource<'r> {
    #[serde(rename = "type")]
    pub kind: Option<&'r str>,
    pub name: &'r str,
    pub arn: Option<&'r str>,
}

/// By service, the parameters with the type of what they name.
static PARAMETERS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../config/related.toml"))
        .expect("the file is part of the binary, and a test reads it")
});

/// What a record of another service is about, SageMaker's own resources left out; a record of SageMaker has none.
pub fn related_resources<'r>(record: &'r Record<'_>) -> Vec<RelatedResource<'r>> {
    if record.is_sagemaker() {
        return Vec::new();
    }
    let source = record.event_source();
    let listed = listed_arns(record).filter(|arn| !arn.is_sagemaker()).map(|arn| of_arn(&arn, None));
    let service = source.split('.').next().unwrap_or(source);
    let parameters = PARAMETERS.get(service).into_iter().flatten();
    let named = parameters.filter_map(|(parameter, kind)| {
        let text = record.text(&["requestParameters", parameter])?;
        Some(match Arn::parse(text) {
            Some(arn) => of_arn(&arn, Some(kind)),
            None => RelatedResource { kind: Some(kind), name: text, arn: None },
        })
    });
    let mut known = HashSet::new();
    listed
        .chain(named)
        .chain(denied(record))
        .filter(|resource| known.insert((resource.kind, resource.name)))
        .collect()
}

/// What the message of a denied call names: an ARN, or `role NAME`.
fn denied<'r>(record: &'r Record<'_>) -> Option<RelatedResource<'r>> {
    let resource = Denied::of(record)?.resource?;
    match Arn::parse(resource) {
        Some(arn) => (!arn.is_sagemaker()).then(|| of_arn(&arn, None)),
        None => {
            let (kind, name) = resource.split_once(' ')?;
            Some(RelatedResource { kind: Some(kind), name, arn: None })
        }
    }
}

/// The ARN says the type where it has one.
fn of_arn<'r>(arn: &Arn<'r>, kind: Option<&'r str>) -> RelatedResource<'r> {
    let (type_in_arn, name) = arn.type_and_name();
    RelatedResource { kind: type_in_arn.or(kind), name, arn: Some(arn.text) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn related(source: &str, record: &Json) -> Json {
        let mut record = record.clone();
        record["eventSource"] = json!(source);
        let raw = record.to_string();
        serde_json::to_value(related_resources(&Record::parse(raw.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn a_record_of_another_service_shows_what_it_is_about() {
        let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
        let trail = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main";
        let role = "arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-ExecutionRole";
        for (source, record, expected) in [
            (
                "iam.amazonaws.com",
                json!({"requestParameters": {"roleName": "exec", "policyArn": policy}}),
                json!([{"type": "policy", "name": "AdministratorAccess", "arn": policy}, {"type": "role", "name": "exec"}]),
            ),
            (
                "cloudtrail.amazonaws.com",
                json!({"requestParameters": {"name": trail}}),
                json!([{"type": "trail", "name": "main", "arn": trail}]),
            ),
            (
                "logs.amazonaws.com",
                json!({"requestParameters": {"logGroupName": "/aws/sagemaker/Endpoints/churn"}}),
                json!([{"type": "log-group", "name": "/aws/sagemaker/Endpoints/churn"}]),
            ),
            (
                "sts.amazonaws.com",
                json!({"requestParameters": {"roleArn": role}, "resources": [{"ARN": role, "type": "AWS::IAM::Role"}]}),
                json!([{"type": "role", "name": "service-role/AmazonSageMaker-ExecutionRole", "arn": role}]),
            ),
            ("ecr.amazonaws.com", json!({"requestParameters": {"repositoryName": null}}), json!([])),
            ("iam.amazonaws.com", json!({"requestParameters": "text"}), json!([])),
            ("sagemaker.amazonaws.com", json!({"resources": [{"ARN": role}]}), json!([])),
        ] {
            assert_eq!(related(source, &record), expected, "{source} {record}");
        }
    }

    #[test]
    fn no_number_of_listed_resources_hides_the_one_that_the_call_names() {
        let listed: Vec<Json> =
            (0..1000).map(|number| json!({"ARN": format!("arn:aws:s3:::bucket/{}", number % 500)})).collect();
        let found = related(
            "iam.amazonaws.com",
            &json!({"resources": listed, "requestParameters": {"roleName": "exec"}}),
        );
        assert_eq!(found.as_array().unwrap().len(), 501);
        assert_eq!(found[500], json!({"type": "role", "name": "exec"}));
    }
}
