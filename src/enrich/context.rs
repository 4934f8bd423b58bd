//! The context: which resource a SageMaker call was about, and the settings of it that matter to a defender.
//!
//! It is found by convention. SageMaker's API names its members alike everywhere (`roleArn`, `instanceType`,
//! `kmsKeyId`, …), so one walk over the parameters finds them at any depth, also for operations that AWS adds later.

use serde::Serialize;
use serde_json_borrow::Value;

use super::script;
use crate::record::{Record, is_sagemaker_family, member};

/// What `sagemaker.*` says beside the verdict of the rules. Absent values are left out of the document.
#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Context<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource<'r>>,
    #[serde(skip_serializing_if = "is_default")]
    pub execution_role: ExecutionRole<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub domain: Domain<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_profile: Option<&'r str>,
    #[serde(skip_serializing_if = "is_default")]
    pub instance: Instance<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub image: Image<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub s3: S3<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kms_key: Vec<&'r str>,
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_access: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub lifecycle: Lifecycle<'r>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Resource<'r> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<&'r str>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct ExecutionRole<'r> {
    pub arn: Vec<&'r str>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Domain<'r> {
    pub id: Option<&'r str>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Instance<'r> {
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<&'r str>,
    /// Summed over everything that the call starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerated: Option<bool>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Image<'r> {
    pub uri: Vec<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub account_id: Vec<&'r str>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct S3<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<&'r str>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Network<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_internet: Option<bool>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Lifecycle<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'r str>,
    /// What runs, decoded; secrets in it are replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads the context off a record; one of another service has none of SageMaker's resources.
pub fn context<'r>(record: &'r Record<'_>, scripts: &[String]) -> Context<'r> {
    let mut context = Context::default();
    if is_sagemaker_family(record.event_source()) {
        context.take(record.at(&["requestParameters"]), Direction::Input);
        context.resource = resource(record);
        context.lifecycle.script = scripts.iter().map(|script| script::shown(script)).collect();
        context.instance.accelerated = (!context.instance.kinds.is_empty())
            .then(|| context.instance.kinds.iter().any(|kind| is_accelerated(kind)));
    }
    context
}

/// Whether an S3 location lies where a job reads or where it writes.
#[derive(Clone, Copy)]
enum Direction {
    Input,
    Output,
}

impl<'r> Context<'r> {
    /// Takes what is known by its member's name, at any depth.
    fn take(&mut self, value: &'r Value<'_>, direction: Direction) {
        match value {
            Value::Object(object) => {
                for (name, value) in object.iter() {
                    let name = name.to_ascii_lowercase();
                    let writes =
                        ["output", "destination", "datacapture"].iter().any(|word| name.contains(word));
                    let direction = if writes { Direction::Output } else { direction };
                    self.take_member(&name, value, direction);
                    self.take(value, direction);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.take(element, direction);
                }
            }
            _ => {}
        }
    }

    fn take_member(&mut self, name: &str, value: &'r Value<'_>, direction: Direction) {
        match name {
            "subnets" | "subnetids" => return take_texts(&mut self.network.subnets, value),
            "securitygroups" | "securitygroupids" => {
                return take_texts(&mut self.network.security_groups, value);
            }
            "enablenetworkisolation" => {
                self.network.isolated = value.as_bool();
                return;
            }
            "instancecount" | "initialinstancecount" => {
                if let Some(count) = value.as_u64() {
                    self.instance.count = Some(self.instance.count.unwrap_or(0).saturating_add(count));
                }
                return;
            }
            _ => {}
        }
        for text in texts(value) {
            match name {
                "vpcid" => self.network.vpc = Some(text),
                "directinternetaccess" => {
                    self.network.direct_internet = Some(text.eq_ignore_ascii_case("Enabled"));
                }
                "rootaccess" => self.root_access = Some(text.eq_ignore_ascii_case("Enabled")),
                "domainid" => self.domain.id = Some(text),
                "userprofilename" => self.user_profile = Some(text),
                "lifecycleconfigname"
                | "notebookinstancelifecycleconfigname"
                | "studiolifecycleconfigname"
                | "lifecycleconfigarn" => self.lifecycle.name = Some(text),
                _ if name.ends_with("kmskeyid") => take_text(&mut self.kms_key, text),
                _ if name.ends_with("instancetype") => take_text(&mut self.instance.kinds, text),
                _ if name.contains("role") && text.contains(":role/") => {
                    take_text(&mut self.execution_role.arn, text);
                }
                _ => self.take_location(text, direction),
            }
        }
    }

    /// Takes an S3 URI or an ECR image, which are known by what they look like.
    fn take_location(&mut self, text: &'r str, direction: Direction) {
        if let Some(path) = text.strip_prefix("s3://") {
            take_text(&mut self.s3.buckets, path.split('/').next().unwrap_or(path));
            match direction {
                Direction::Input => take_text(&mut self.s3.inputs, text),
                Direction::Output => take_text(&mut self.s3.outputs, text),
            }
        } else if let Some((account, rest)) = text.split_once(".dkr.ecr.")
            && is_account_id(account)
            && rest.contains(".amazonaws.com")
        {
            take_text(&mut self.image.uri, text);
            take_text(&mut self.image.account_id, account);
        }
    }
}

/// Texts of a value that a document keeps per field: more say nothing, and a record could hold any number.
const MAX_TEXTS: usize = 64;

fn take_text<'r>(taken: &mut Vec<&'r str>, text: &'r str) {
    if taken.len() < MAX_TEXTS && !taken.contains(&text) {
        taken.push(text);
    }
}

fn take_texts<'r>(taken: &mut Vec<&'r str>, value: &'r Value<'_>) {
    for text in texts(value) {
        take_text(taken, text);
    }
}

/// The text of a value, or those of its elements.
fn texts<'r>(value: &'r Value<'_>) -> impl Iterator<Item = &'r str> {
    let elements = value.as_array().unwrap_or_default();
    value
        .as_str()
        .into_iter()
        .chain(elements.iter().filter_map(Value::as_str))
        .filter(|text| !text.is_empty())
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Instance families with GPUs, Trainium or Inferentia: the ones worth hijacking.
fn is_accelerated(instance_type: &str) -> bool {
    let family = instance_type.strip_prefix("ml.").unwrap_or(instance_type);
    let family = family.split('.').next().unwrap_or(family);
    let letters = family.trim_end_matches(|character: char| !character.is_ascii_digit());
    let class = letters.trim_end_matches(|character: char| character.is_ascii_digit());
    matches!(class, "p" | "g" | "gr" | "trn" | "inf" | "dl")
}

/// The resource that the call acted on: from `resources[]`, the response or the parameters, whichever names it first.
fn resource<'r>(record: &'r Record<'_>) -> Option<Resource<'r>> {
    let noun = noun(record.event_name());
    let listed = record.at(&["resources"]).as_array().unwrap_or_default();
    let arn = listed
        .iter()
        .filter_map(|resource| member(resource, "ARN").as_str())
        .find(|arn| service_of(arn) == Some("sagemaker"))
        .or_else(|| own_arn(record.at(&["responseElements"]), noun))
        .or_else(|| own_arn(record.at(&["requestParameters"]), noun));
    if let Some(arn) = arn {
        let (kind, name) = kind_and_name(arn);
        return Some(Resource { kind: kind.map(str::to_owned), name, arn: Some(arn) });
    }
    let name = noun_member(record.at(&["requestParameters"]), noun, &["Name", "Id"])?;
    Some(Resource { kind: Some(kebab_case(noun)), name: Some(name), arn: None })
}

/// `CreateNotebookInstance` is about a `NotebookInstance`.
fn noun(event_name: &str) -> &str {
    let verb = event_name.char_indices().skip(1).find(|(_, character)| character.is_ascii_uppercase());
    verb.map_or("", |(at, _)| &event_name[at..])
}

fn own_arn<'r>(value: &'r Value<'_>, noun: &str) -> Option<&'r str> {
    noun_member(value, noun, &["Arn"])
        .or_else(|| {
            let object = value.as_object()?;
            object.iter().filter(|(name, _)| name.ends_with("Arn")).find_map(|(_, value)| value.as_str())
        })
        .filter(|arn| service_of(arn) == Some("sagemaker"))
}

/// The text of the member that is called like the noun, first letter lowered, with one of the endings.
fn noun_member<'r>(value: &'r Value<'_>, noun: &str, endings: &[&str]) -> Option<&'r str> {
    let object = value.as_object()?;
    endings
        .iter()
        .flat_map(|ending| object.iter().map(move |(name, value)| (ending, name, value)))
        .find(|(ending, name, _)| {
            name.strip_suffix(**ending)
                .is_some_and(|stem| !stem.is_empty() && stem.eq_ignore_ascii_case(noun))
        })
        .and_then(|(_, _, value)| value.as_str())
        .filter(|text| !text.is_empty())
}

fn service_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(1)
}

/// The type and name at the end of `arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/name`.
fn kind_and_name(arn: &str) -> (Option<&str>, Option<&str>) {
    match arn.splitn(6, ':').nth(5).and_then(|resource| resource.split_once('/')) {
        Some((kind, name)) => (Some(kind), Some(name)),
        None => (None, None),
    }
}

fn kebab_case(noun: &str) -> String {
    let mut kebab = String::with_capacity(noun.len() + 4);
    for character in noun.chars() {
        if character.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn context_of(record: &Json) -> Json {
        let raw = record.to_string();
        let record = Record::parse(raw.as_bytes()).unwrap();
        serde_json::to_value(context(&record, &[])).unwrap()
    }

    #[test]
    fn a_training_job_shows_role_compute_images_data_and_network() {
        let record = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob",
            "requestParameters": {
                "trainingJobName": "t1", "roleArn": "arn:aws:iam::111122223333:role/Exec",
                "algorithmSpecification": {"trainingImage": "444455556666.dkr.ecr.eu-west-1.amazonaws.com/miner:1"},
                "inputDataConfig": [{"dataSource": {"s3DataSource": {"s3Uri": "s3://training/in"}}}],
                "outputDataConfig": {"s3OutputPath": "s3://elsewhere/out", "kmsKeyId": "alias/k"},
                "resourceConfig": {"instanceType": "ml.p4d.24xlarge", "instanceCount": 4},
                "vpcConfig": {"subnets": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]},
                "enableNetworkIsolation": false
            },
            "responseElements": {"trainingJobArn": "arn:aws:sagemaker:eu-west-1:111122223333:training-job/t1"}
        });
        assert_eq!(
            context_of(&record),
            json!({
                "resource": {"type": "training-job", "name": "t1",
                    "arn": "arn:aws:sagemaker:eu-west-1:111122223333:training-job/t1"},
                "execution_role": {"arn": ["arn:aws:iam::111122223333:role/Exec"]},
                "instance": {"type": ["ml.p4d.24xlarge"], "count": 4, "accelerated": true},
                "image": {"uri": ["444455556666.dkr.ecr.eu-west-1.amazonaws.com/miner:1"], "account_id": ["444455556666"]},
                "s3": {"inputs": ["s3://training/in"], "outputs": ["s3://elsewhere/out"], "buckets": ["training", "elsewhere"]},
                "kms_key": ["alias/k"],
                "network": {"subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1"], "isolated": false}
            })
        );
    }

    #[test]
    fn the_resource_is_named_by_what_the_record_has() {
        let sagemaker = "sagemaker.amazonaws.com";
        let cases = [
            (
                json!({"eventSource": sagemaker, "eventName": "InvokeEndpoint", "resources": [
                    {"ARN": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn", "type": "AWS::SageMaker::Endpoint"}]}),
                json!({"type": "endpoint", "name": "churn", "arn": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"}),
            ),
            (
                json!({"eventSource": sagemaker, "eventName": "StopNotebookInstance",
                    "requestParameters": {"notebookInstanceName": "nb"}}),
                json!({"type": "notebook-instance", "name": "nb"}),
            ),
            (
                json!({"eventSource": sagemaker, "eventName": "DescribeDomain", "requestParameters": {"domainId": "d-1"}}),
                json!({"type": "domain", "name": "d-1"}),
            ),
            (
                json!({"eventSource": sagemaker, "eventName": "ListModels", "requestParameters": null}),
                Json::Null,
            ),
            (json!({"eventSource": sagemaker, "eventName": "x", "requestParameters": "text"}), Json::Null),
            (
                json!({"eventSource": "iam.amazonaws.com", "eventName": "CreateRole", "requestParameters": {"roleName": "r"}}),
                Json::Null,
            ),
        ];
        for (record, expected) in cases {
            assert_eq!(context_of(&record)["resource"], expected, "{record}");
        }
    }

    #[test]
    fn accelerated_instances_are_told_by_their_family() {
        for accelerated in
            ["ml.p3.2xlarge", "ml.p4de.24xlarge", "ml.g5.xlarge", "ml.trn1n.32xlarge", "ml.inf2.xlarge"]
        {
            assert!(is_accelerated(accelerated), "{accelerated}");
        }
        for plain in ["ml.t3.medium", "ml.c5.xlarge", "ml.m6gd.large", "ml.r5.large", "system", ""] {
            assert!(!is_accelerated(plain), "{plain}");
        }
    }
}
