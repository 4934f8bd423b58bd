//! Takes what runs on the instances besides containers, by start-up script or from a repository.

use serde::Serialize;
use serde_json_borrow::Value;

use super::texts::{self, Texts};
use super::values::is_default;
use crate::enrich::arn::Arn;
use crate::enrich::indicators::Indicators;
use crate::enrich::script::Script;
use crate::enrich::shell::Shell;

/// The start-up scripts that a call makes or attaches.
#[derive(Debug, Default, Serialize, PartialEq)]
pub struct Lifecycle<'r> {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub name: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub arn: Texts<'r>,
    /// The members of the API under which the scripts stand, such as `onStart`.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub hook: Texts<'r>,
    /// What runs, decoded; secrets in it are replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<&'r str>,
    /// Whether there is more of the scripts than is shown.
    #[serde(skip_serializing_if = "is_default")]
    pub truncated: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub indicators: Indicators,
    /// What the scripts do.
    #[serde(flatten)]
    pub shell: Option<&'r Shell>,
}

impl<'r> Lifecycle<'r> {
    /// Takes names and ARNs; the end of an ARN is a name too, so that either finds the other.
    pub fn take(&mut self, name: &str, value: &'r Value<'_>) {
        let is_lifecycle = matches!(
            name,
            "lifecycleconfigname" | "notebookinstancelifecycleconfigname" | "studiolifecycleconfigname"
        ) || name.ends_with("lifecycleconfigarn")
            || name == "lifecycleconfigarns";
        if !is_lifecycle {
            return;
        }
        for text in texts::of(value) {
            match Arn::parse(text) {
                Some(arn) => {
                    self.arn.take(text);
                    self.name.take(arn.type_and_name().1);
                }
                None => self.name.take(text),
            }
        }
    }

    /// Shows a redacted script, and the member that it stands under.
    pub fn show(&mut self, script: &'r Script) {
        self.hook.take(&script.hook);
        self.script.push(&script.text);
        self.truncated |= script.cut;
    }
}

/// The Git repositories that a call puts on an instance.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct CodeRepository<'r> {
    pub url: Texts<'r>,
}

impl<'r> CodeRepository<'r> {
    /// Takes URLs of Git repositories. A notebook instance names either a URL or a repository that SageMaker knows.
    pub fn take(&mut self, name: &str, value: &'r Value<'_>) {
        if matches!(name, "repositoryurl" | "defaultcoderepository" | "additionalcoderepositories") {
            texts::of(value).filter(|text| text.contains("://")).for_each(|url| self.url.take(url));
        }
    }
}
