//! What a stored record says that matters to containment.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::policies::PolicyName;
use crate::posture::is_sign;
use crate::timestamp;

/// Records of one incident, principal or resource that are read at most, the earliest first.
pub const MOST_DEEDS: usize = 20_000;

/// One record, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub time: OffsetDateTime,
    pub call: String,
    pub succeeded: bool,
    pub reads: bool,
    pub account: Option<String>,
    pub region: Option<String>,
    pub actor: Actor,
    /// What it is about: of SageMaker, or else of another service.
    pub resource: Option<Resource>,
    /// What memory knew of the resource's configuration before.
    pub before: BTreeMap<String, String>,
    /// What the call says of it.
    pub after: BTreeMap<String, String>,
    /// What the call asked for, by the members in [`REQUEST`].
    pub request: BTreeMap<String, String>,
    /// The policy that the call set or removed.
    pub policy: Option<PolicyName>,
    /// The access key that the call made.
    pub made_key: Option<String>,
    /// Whether a rule found a sign of an attack in it.
    pub is_sign: bool,
}

/// Who acted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    pub kind: Option<String>,
    pub arn: Option<String>,
    pub name: Option<String>,
    pub account: Option<String>,
    pub access_key: Option<String>,
    /// The role of a session.
    pub issuer: Option<String>,
    /// The keys of monitors that name it: principal, identity and origin.
    pub keys: BTreeSet<String>,
}

/// What was acted on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    pub kind: String,
    pub name: String,
    pub arn: Option<String>,
    pub id: Option<String>,
}

/// Members of requests that steps need.
pub const REQUEST: [&str; 7] =
    ["policyArn", "policyName", "imageTag", "userName", "roleName", "roleArn", "modelApprovalStatus"];
/// The rules of a security group that a call made.
const GROUP_RULES: &str = "/aws/cloudtrail/response_elements/securityGroupRuleSet/items";
/// Rules of one call that a step names; more are a script's work.
const MOST_RULES: usize = 20;

/// Parts of a configuration that a record tells, by the name that memory has for each.
const TOLD: [(&str, &str); 11] = [
    ("endpoint_config", "/sagemaker/endpoint_config/name"),
    ("lifecycle", "/sagemaker/lifecycle/name"),
    ("root_access", "/sagemaker/root_access"),
    ("direct_internet_access", "/sagemaker/network/direct_internet"),
    ("app_access", "/sagemaker/network/app_access"),
    ("metadata_service_version", "/sagemaker/metadata_service_version"),
    ("model_data", "/sagemaker/s3/models"),
    ("domain", "/sagemaker/domain/id"),
    ("user_profile", "/sagemaker/user_profile"),
    ("space", "/sagemaker/space"),
    ("app_type", "/sagemaker/app_type"),
];

impl Deed {
    /// The fields of a document that are read.
    pub const FIELDS: [&str; 38] = [
        "@timestamp",
        "event.action",
        "event.outcome",
        "cloud.account.id",
        "cloud.region",
        "user.name",
        "sagemaker.access_level",
        "sagemaker.alert",
        "sagemaker.resource",
        "sagemaker.related_resource",
        "sagemaker.endpoint_config.name",
        "sagemaker.lifecycle.name",
        "sagemaker.root_access",
        "sagemaker.network",
        "sagemaker.metadata_service_version",
        "sagemaker.s3.models",
        "sagemaker.domain.id",
        "sagemaker.user_profile",
        "sagemaker.space",
        "sagemaker.app_type",
        "aws.cloudtrail.read_only",
        "aws.cloudtrail.user_identity",
        "aws.cloudtrail.session.issuer",
        "aws.cloudtrail.request_parameters.policyArn",
        "aws.cloudtrail.request_parameters.policyName",
        "aws.cloudtrail.request_parameters.imageTag",
        "aws.cloudtrail.request_parameters.userName",
        "aws.cloudtrail.request_parameters.roleName",
        "aws.cloudtrail.request_parameters.roleArn",
        "aws.cloudtrail.request_parameters.modelApprovalStatus",
        "aws.cloudtrail.request_parameters.groupName",
        "aws.cloudtrail.request_parameters.bucketName",
        "aws.cloudtrail.request_parameters.repositoryName",
        "aws.cloudtrail.request_parameters.modelPackageGroupName",
        "aws.cloudtrail.response_elements.accessKey",
        "aws.cloudtrail.response_elements.securityGroupRuleSet",
        "sagemaker.findings",
        "sagemaker.attempts",
    ];

    /// Reads the source of a document. None for one without a time or a call.
    pub fn read(source: &Value) -> Option<Self> {
        let text = |pointer: &str| source.pointer(pointer).and_then(first_text);
        let resource = Resource::read(source.pointer("/sagemaker/resource")).or_else(|| other(source));
        let told = TOLD.iter().filter_map(|(field, pointer)| Some(((*field).to_owned(), text(pointer)?)));
        let before = source.pointer("/sagemaker/resource/configuration").and_then(Value::as_object);
        let before = before
            .into_iter()
            .flatten()
            .filter_map(|(field, value)| Some((field.clone(), first_text(value)?)));
        let request = REQUEST.iter().filter_map(|member| {
            Some(((*member).to_owned(), text(&format!("/aws/cloudtrail/request_parameters/{member}"))?))
        });
        let mut request: BTreeMap<String, String> = request.collect();
        let rules = source.pointer(GROUP_RULES).and_then(Value::as_array).into_iter().flatten();
        let rules: Vec<&str> =
            rules.filter_map(|it| it["securityGroupRuleId"].as_str()).take(MOST_RULES).collect();
        if !rules.is_empty() {
            request.insert("rules".to_owned(), rules.join(" "));
        }
        let access = text("/sagemaker/access_level");
        let read_only =
            source.pointer("/aws/cloudtrail/read_only").and_then(Value::as_bool).unwrap_or_default();
        Some(Self {
            time: timestamp::parse(&text("/@timestamp")?)?,
            call: text("/event/action")?,
            succeeded: text("/event/outcome").as_deref() != Some("failure"),
            reads: access.map_or(read_only, |access| matches!(access.as_str(), "read" | "list")),
            account: text("/cloud/account/id"),
            region: text("/cloud/region"),
            actor: Actor::read(source),
            resource,
            before: before.collect(),
            after: told.collect(),
            request,
            policy: PolicyName::read(source),
            made_key: text("/aws/cloudtrail/response_elements/accessKey/accessKeyId"),
            is_sign: ["findings", "attempts"].iter().any(|member| has_sign(&source["sagemaker"][*member])),
        })
    }
}

impl Actor {
    fn read(source: &Value) -> Self {
        let text = |pointer: &str| source.pointer(pointer).and_then(first_text);
        let identity = |member: &str| text(&format!("/aws/cloudtrail/user_identity/{member}"));
        let keys = ["principal", "identity", "origin"];
        Self {
            kind: identity("type"),
            arn: identity("arn"),
            name: identity("user_name").or_else(|| text("/user/name")),
            account: identity("account_id"),
            access_key: identity("access_key_id"),
            issuer: text("/aws/cloudtrail/session/issuer/arn"),
            keys: keys.iter().filter_map(|key| text(&format!("/sagemaker/alert/{key}"))).collect(),
        }
    }

    /// Whether somebody means this actor.
    pub fn is(&self, asked: &str) -> bool {
        let named = [&self.arn, &self.access_key, &self.issuer];
        self.keys.contains(asked) || named.into_iter().any(|name| name.as_deref() == Some(asked))
    }
}

impl Resource {
    fn read(value: Option<&Value>) -> Option<Self> {
        let value = value?;
        let text = |member: &str| value.get(member).and_then(first_text);
        let (arn, id) = (text("arn"), text("id"));
        let name = text("name").or_else(|| id.clone()).or_else(|| {
            let arn = arn.as_deref()?;
            arn.rsplit(['/', ':']).next().map(str::to_owned)
        })?;
        Some(Self { kind: text("type")?, name, arn, id })
    }

    /// Whether somebody means this resource. Names of resources compare without regard to case.
    pub fn is(&self, asked: &str) -> bool {
        let names = [Some(&self.name), self.arn.as_ref(), self.id.as_ref()];
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(asked))
    }
}

/// What a record of another service is about: what a policy was put on, or else the policy.
fn other(source: &Value) -> Option<Resource> {
    let related = source.pointer("/sagemaker/related_resource")?;
    let related: Vec<Resource> = match related {
        Value::Array(list) => list.iter().filter_map(|one| Resource::read(Some(one))).collect(),
        one => Resource::read(Some(one)).into_iter().collect(),
    };
    related.iter().find(|one| one.kind != "policy").or(related.first()).cloned()
}

fn has_sign(findings: &Value) -> bool {
    let is_sign = |finding: &Value| match (finding["id"].as_str(), finding["level"].as_str()) {
        (Some(id), Some(level)) => is_sign(id, level),
        _ => false,
    };
    findings.as_array().is_some_and(|findings| findings.iter().any(is_sign))
}

/// A value, or the first of a list.
fn first_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => list.first().and_then(first_text),
        Value::Null | Value::Object(_) => None,
    }
}
