//! Finds which resource a SageMaker call was about, and the settings of it that matter to a defender.
//!
//! The settings are found by convention. SageMaker's API names its members alike everywhere (`roleArn`, `instanceType`,
//! `kmsKeyId`, …), so one walk over the parameters finds them at any depth, also for operations that AWS adds later.
//! Only the request is read: what SageMaker answers is not what the caller asked for. What a request leaves out and the
//! API has a telling default for counts as asked for.

mod code;
mod compute;
mod values;
mod foreign;
mod image;
pub mod location;
mod network;
pub mod parameters;
mod studio;
mod texts;
mod timeouts;
mod defaults;

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::arn::Arn;
use super::catalogue::{Access, Catalogue};
use super::cut;
use super::denied::Denied;
use super::indicators::Indicators;
use super::lower::with_lower;
use super::policy::Policy;
use super::related::{RelatedResource, related_resources};
use super::resource::{Resource, resource};
use super::unpacked::Unpacked;
use crate::record::{Record, member, omissions};
pub use code::{CodeRepository, Lifecycle};
use compute::Fleet;
pub use compute::Instance;
pub use foreign::Foreign;
pub use image::Image;
pub use location::{Direction, S3};
pub use network::Network;
pub use studio::Studio;
pub use texts::Texts;
pub use timeouts::Timeouts;
use values::{add, is_default, is_enabled};

/// What `sagemaker.*` says beside the verdict of the rules. Absent values are left out of the document.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Context<'r> {
    /// How far the call reaches, as the catalogue knows the operation.
    pub access_level: Option<Access>,
    pub resource: Option<Resource<'r>>,
    #[serde(rename = "related_resource", skip_serializing_if = "Vec::is_empty")]
    pub related_resources: Vec<RelatedResource<'r>>,
    #[serde(skip_serializing_if = "is_default")]
    pub execution_role: ExecutionRole<'r>,
    #[serde(flatten)]
    pub studio: Studio<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub instance: Instance<'r>,
    /// Gigabytes of storage, summed over everything that the call asks for.
    pub volume_gb: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub image: Image<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub s3: S3<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub kms_key: Texts<'r>,
    /// The functions of Lambda that a pipeline or a labelling job calls, for memory alone.
    #[serde(skip)]
    pub functions: Texts<'r>,
    /// The pools of Cognito that a workforce signs in at, for memory alone.
    #[serde(skip)]
    pub user_pools: Texts<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network<'r>,
    #[serde(skip_serializing_if = "Policy::says_nothing")]
    pub policy: Policy,
    #[serde(skip_serializing_if = "Foreign::is_empty")]
    pub foreign: Foreign<'r>,
    pub root_access: Option<bool>,
    /// Whether people may open a shell or an editor on what runs: in a job, behind an endpoint, in a space.
    pub remote_access: Option<bool>,
    /// Whether people of a domain may run containers of their own.
    pub docker_access: Option<bool>,
    /// The least version of the instance metadata service that a notebook instance allows.
    pub metadata_service_version: Option<&'r str>,
    #[serde(skip_serializing_if = "is_default")]
    pub lifecycle: Lifecycle<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub code_repository: CodeRepository<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    #[serde(skip_serializing_if = "is_default")]
    pub model: Model<'r>,
    #[serde(skip_serializing_if = "is_default")]
    pub endpoint_config: Named<'r>,
    /// Whether a model package may be deployed: `Approved`, `Rejected` or `PendingManualApproval`.
    pub approval_status: Option<&'r str>,
    /// The tags that the call sets, as `key=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The paths of what CloudTrail left out of the record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<String>,
    /// The fields of the document that have less than there is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<&'static str>,
}

/// The roles that the call hands to SageMaker, by which its jobs and notebooks act.
#[derive(Debug, Default, Serialize, PartialEq)]
pub struct ExecutionRole<'r> {
    pub arn: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub account_id: Texts<'r>,
}

/// The models that the call makes, runs or refers to.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Model<'r> {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub name: Texts<'r>,
    /// Its names on a public hub, which containers load it from.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub hub_id: Texts<'r>,
    /// Whether code that lies beside it on the hub is run.
    pub remote_code: Option<bool>,
}

/// Resources of one kind that the call refers to.
#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Named<'r> {
    pub name: Texts<'r>,
}

impl<'r> ExecutionRole<'r> {
    fn take(&mut self, text: &'r str) {
        self.arn.take(text);
        if let Some(arn) = Arn::parse(text) {
            self.account_id.take(arn.account);
        }
    }
}

/// Reads the context off a record and what its texts hold; for a document of OpenSearch both are redacted. A record of
/// another service has no settings of SageMaker's; whose the things are that it names is told of it too.
pub fn context<'r>(record: &'r Record<'_>, unpacked: &'r Unpacked, catalogue: &'r Catalogue) -> Context<'r> {
    let Unpacked { scripts, shell, documents } = unpacked;
    let mut context = Context {
        access_level: catalogue.operation(record).map(|operation| operation.access),
        resource: resource(record, catalogue),
        related_resources: related_resources(record),
        policy: Policy::of(record),
        omitted: omissions(record),
        ..Context::default()
    };
    context.cut = cut::fields(unpacked, &context.policy);
    context.cut.extend(cut::flat_fields(record));
    let request = record.at(&["requestParameters"]);
    context.foreign = Foreign::to(record.text(&["recipientAccountId"]));
    if record.is_sagemaker() {
        let mut fleet = context.take("", request, Direction::Read);
        for (document, direction) in documents.iter() {
            context.take_member("", document, direction);
            fleet = fleet.and(context.take("", document, direction));
        }
        for (name, value) in
            defaults::of(record.event_name()).iter().flat_map(|default| default.left_out(request))
        {
            context.take_member(&name, value, Direction::Read);
        }
        context.tags = tags(member(request, "tags"));
        context.studio.complete(request, context.resource.as_ref(), &catalogue.kinds);
        for script in scripts {
            context.lifecycle.show(script);
        }
        context.lifecycle.indicators = Indicators::of(scripts);
        context.lifecycle.shell = (!scripts.is_empty()).then_some(shell);
        context.instance.judge(fleet);
        context.image.know_owners(record);
        if let Some(role) = Denied::of(record).and_then(|denied| denied.passed_role()) {
            context.execution_role.arn.take(role);
        }
        context.foreign.judge_buckets(&context.s3);
    } else {
        context.foreign.take_all("", request);
    }
    context
}

impl<'r> Context<'r> {
    /// Takes what is known by its member's name, at any depth, and returns the instances that it makes up. The name of
    /// a list is that of its elements.
    fn take(&mut self, name: &str, value: &'r Value<'_>, direction: Direction) -> Fleet {
        match value {
            Value::Object(object) => {
                let mut inner = Fleet::default();
                for (name, value) in object.iter() {
                    self.studio.take_app_settings(name, value);
                    with_lower(name, |lower| {
                        if lower == "pipelineparameters" {
                            parameters::each(value, |name, value| {
                                let direction = with_lower(name, Direction::of).unwrap_or(direction);
                                let by_look = parameters::member_by_look(value).unwrap_or_default();
                                self.take_member(by_look, value, direction);
                            });
                            return;
                        }
                        let direction = Direction::of(lower).unwrap_or(direction);
                        self.take_member(lower, value, direction);
                        if value.is_object() || value.is_array() {
                            let within = self.take(lower, value, direction);
                            inner = if Fleet::is_of_group(lower) { inner } else { inner.and(within) };
                        }
                    });
                }
                Fleet::of(object, inner)
            }
            Value::Array(elements) => {
                let join = if Fleet::are_alternatives(name) { Fleet::or } else { Fleet::and };
                elements
                    .iter()
                    .fold(Fleet::default(), |fleet, element| join(fleet, self.take(name, element, direction)))
            }
            _ => Fleet::default(),
        }
    }

    fn take_member(&mut self, name: &str, value: &'r Value<'_>, direction: Direction) {
        self.instance.take(name, value);
        self.network.take(name, value);
        self.lifecycle.take(name, value);
        self.code_repository.take(name, value);
        self.timeouts.take(name, value);
        match name {
            "volumesizeingb" | "ebsvolumesizeingb" => add(&mut self.volume_gb, value),
            "enableremotedebug" | "enablessmaccess" => {
                self.remote_access = self.remote_access.max(value.as_bool());
            }
            "pipelinedefinitions3location" => self.s3.take_parts(value),
            _ => {}
        }
        for text in texts::of(value).map(unquoted) {
            self.foreign.take(name, text);
            match name {
                "rootaccess" => self.root_access = Some(self.root_access == Some(true) || is_enabled(text)),
                "remoteaccess" => self.remote_access = self.remote_access.max(Some(is_enabled(text))),
                "enabledockeraccess" => self.docker_access = self.docker_access.max(Some(is_enabled(text))),
                "minimuminstancemetadataserviceversion" => self.metadata_service_version = Some(text),
                "modelapprovalstatus" => self.approval_status = Some(text),
                "hf_model_id" | "option_model_id" => {
                    self.model.hub_id.take(text);
                    // Containers load a model from a bucket by the same name.
                    self.s3.take(text, Direction::Model);
                }
                _ if name.ends_with("trust_remote_code") => {
                    let is_trusted = text == "1" || text.eq_ignore_ascii_case("true");
                    self.model.remote_code = self.model.remote_code.max(Some(is_trusted));
                }
                "functionarn" | "prehumantasklambdaarn" | "annotationconsolidationlambdaarn" => {
                    self.functions.take(text);
                }
                "userpool" => self.user_pools.take(text),
                "modelname" => self.model.name.take(text),
                "endpointconfigname" => self.endpoint_config.name.take(text),
                _ if name.contains("kmskey") => self.kms_key.take(text),
                _ if name.contains("role") && text.contains(":role/") => self.execution_role.take(text),
                _ => {
                    self.image.take(name, text);
                    self.s3.take(text, direction);
                }
            }
        }
    }
}

/// The tags of a request: a list of keys and values, or an object of them.
fn tags(value: &Value<'_>) -> Vec<String> {
    let pair = |key: &str, value: &str| format!("{key}={value}");
    match value {
        Value::Array(elements) => elements
            .iter()
            .filter_map(|tag| {
                let value = member(tag, "value").as_str().unwrap_or_default();
                Some(pair(member(tag, "key").as_str()?, value))
            })
            .collect(),
        Value::Object(object) => {
            object.iter().map(|(key, value)| pair(key, value.as_str().unwrap_or_default())).collect()
        }
        _ => Vec::new(),
    }
}

/// Hyperparameters of the SDK are JSON, so that texts among them stand in quotes of their own.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.filter(|inner| !inner.is_empty()).map_or(text, str::trim)
}

#[cfg(test)]
mod tests;
