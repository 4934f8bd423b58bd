//! Takes whose domain, user profile, space and apps a call concerns.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use crate::enrich::arn::Arn;
use crate::enrich::kind::Kinds;
use crate::enrich::resource::Resource;
use crate::record::member;

/// What of SageMaker Studio a call concerns.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Studio<'r> {
    pub domain: Option<Domain<'r>>,
    pub user_profile: Option<&'r str>,
    pub space: Option<&'r str>,
    /// The types of the apps that the call is about or has settings for, such as `JupyterLab`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub app_type: BTreeSet<String>,
}

/// A domain of Studio, as documents name it.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Domain<'r> {
    pub id: &'r str,
}

impl<'r> Studio<'r> {
    /// Takes the type of an app, or that of the apps that settings are for: `jupyterLabAppSettings`.
    pub fn take_app_settings(&mut self, name: &str, value: &Value<'_>) {
        let of_settings =
            name.strip_suffix("AppSettings").filter(|kind| !kind.is_empty() && value.is_object());
        let kind = match name {
            "appType" | "studioLifecycleConfigAppType" => value.as_str(),
            _ => of_settings,
        };
        self.app_type.extend(kind.and_then(first_letter_raised));
    }

    /// Takes what the request or the ARN of the resource names. A domain of Unified Studio, deeper in a request, is
    /// none of SageMaker's.
    pub fn complete(&mut self, request: &'r Value<'_>, resource: Option<&Resource<'r>>, kinds: &'r Kinds) {
        let text = |name| member(request, name).as_str().filter(|text| !text.is_empty());
        // An ARN that is not borrowed was built from this very request.
        let arn = resource.and_then(|resource| match resource.arn {
            Some(Cow::Borrowed(arn)) => Arn::parse(arn),
            Some(Cow::Owned(_)) | None => None,
        });
        let parsed = arn.and_then(|arn| kinds.read(&arn));
        let in_arn = |parameter| parsed.as_ref().and_then(|parsed| parsed.part(parameter));
        let owner = member(member(request, "ownershipSettings"), "ownerUserProfileName").as_str();
        self.domain = text("domainId").or_else(|| in_arn("domainId")).map(|id| Domain { id });
        self.user_profile = text("userProfileName").or_else(|| in_arn("userProfileName")).or(owner);
        self.space = text("spaceName").or_else(|| in_arn("spaceName"));
    }
}

fn first_letter_raised(text: &str) -> Option<String> {
    let first = text.chars().next()?;
    Some(first.to_ascii_uppercase().to_string() + &text[first.len_utf8()..])
}
