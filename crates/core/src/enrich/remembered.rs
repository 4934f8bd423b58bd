//! What memory adds to a record: who is behind it, what the resource is, and what was never seen before.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use rsigma_eval::EventValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

/// What `sagemaker.context` says when nothing was missing.
pub const COMPLETE: &str = "complete";
/// How it names what could not be recalled, which is something else than a link that nobody told of.
pub const MEMORY_OF: &str = "memory of ";

/// What is remembered for one record, as its document and rules have it.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    pub actor: RememberedActor,
    pub resource: RememberedResource,
    /// What the caller was never seen with, such as `network` or `role`.
    pub first: Names,
    /// What the caller was seen with for long enough.
    pub usual: Names,
    /// The kinds of what SageMaker works with that a record of another service names, such as `role`.
    pub touches: Vec<String>,
    /// `complete`, or what was missing.
    pub context: Vec<String>,
    /// Whether it reads an artefact of a model where the caller has read before. A document does not say so.
    pub repeats_read: bool,
}

/// Names of pairs, such as `network`.
pub type Names = Vec<Cow<'static, str>>;

/// What memory says of the caller, under `sagemaker.actor`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RememberedActor {
    /// From the first that is known to the caller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// The person or workload at the root; absent where a link is missing.
    pub origin: Option<String>,
    /// The notebook, job or function whose credentials are used.
    pub works_for: Option<String>,
    /// Whether the caller's role is one that SageMaker was given.
    pub execution_role: Option<bool>,
}

/// What memory says of the resource, under `sagemaker.resource`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RememberedResource {
    pub created_by: Option<String>,
    pub created_at: Option<String>,
    /// Who is behind its creation, as far as that is known.
    pub owner: Option<String>,
    /// Whether the caller is the owner; absent where either is not known well enough.
    pub is_owner: Option<bool>,
    /// Seconds since it was made.
    pub age: Option<i64>,
    /// As it was told before this call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, Arc<[String]>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The worst level of what the rules find in the script that it starts with.
    pub script_verdict: Option<String>,
    /// The hardening that was there and that the call takes away, by the names of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weakened: Names,
    /// What of the models behind an endpoint is from elsewhere than before: `image`, `model_bucket`, `model_creator`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_origin: Names,
}

/// The fields of a document that memory decides.
pub fn is_field(name: &str) -> bool {
    let Some(name) = name.strip_prefix("sagemaker.") else { return false };
    if let Some(name) = name.strip_prefix("actor.") {
        return matches!(name, "chain" | "origin" | "works_for" | "execution_role");
    }
    if let Some(name) = name.strip_prefix("resource.") {
        return matches!(
            name,
            "created_by"
                | "created_at"
                | "owner"
                | "is_owner"
                | "age"
                | "tags"
                | "script_verdict"
                | "weakened"
                | "other_origin"
        ) || name.starts_with("configuration.");
    }
    matches!(name, "first" | "usual" | "touches" | "context")
}

/// The fields that are only there when a record names something that memory knows.
pub fn names_what_is_known(field: &str) -> bool {
    matches!(field, "sagemaker.touches" | "sagemaker.actor.execution_role")
}

impl Remembered {
    /// What is remembered without memory.
    pub fn nothing() -> &'static Self {
        static NOTHING: LazyLock<Remembered> = LazyLock::new(Remembered::default);
        &NOTHING
    }

    /// What a stored document says that was remembered when it was written.
    pub fn of_document(document: &Value) -> Self {
        let ours = &document["sagemaker"];
        Self {
            actor: Deserialize::deserialize(&ours["actor"]).unwrap_or_default(),
            resource: Deserialize::deserialize(&ours["resource"]).unwrap_or_default(),
            first: Deserialize::deserialize(&ours["first"]).unwrap_or_default(),
            usual: Deserialize::deserialize(&ours["usual"]).unwrap_or_default(),
            touches: Deserialize::deserialize(&ours["touches"]).unwrap_or_default(),
            context: Deserialize::deserialize(&ours["context"]).unwrap_or_default(),
            repeats_read: false,
        }
    }

    /// Whether something could not be recalled.
    pub fn lacks_memory(&self) -> bool {
        self.context.iter().any(|missing| missing.starts_with(MEMORY_OF))
    }

    /// With what memory says now of what it could not be asked for then. What was known stays: memory keeps what came
    /// last, and may have forgotten what the record found.
    #[must_use]
    pub fn completed(self, now: Self) -> Self {
        if now.lacks_memory() {
            return self;
        }
        let lacked = |what: &[&str]| {
            let mut missing = self.context.iter().filter_map(|it| it.strip_prefix(MEMORY_OF));
            missing.any(|it| what.contains(&it))
        };
        let lacked_pairs = lacked(&["the identity", "the account", "the resource"]);
        let (first, usual) =
            if lacked_pairs { (now.first, now.usual) } else { (self.first.clone(), self.usual.clone()) };
        let mut touches = [self.touches.clone(), now.touches].concat();
        touches.sort_unstable();
        touches.dedup();
        Self {
            actor: if self.actor.origin.is_some() {
                let execution_role = self.actor.execution_role.or(now.actor.execution_role);
                RememberedActor { execution_role, ..self.actor }
            } else {
                now.actor
            },
            resource: self.resource.completed(now.resource),
            first,
            usual,
            touches,
            context: now.context,
            repeats_read: false,
        }
    }

    /// The value of a field that rules ask for.
    pub fn fact(&self, name: &str) -> Option<EventValue<'_>> {
        let Self { actor, resource, first, usual, touches, context, repeats_read: _ } = self;
        let name = name.strip_prefix("sagemaker.")?;
        match name {
            "first" => return list(first.iter().map(Cow::as_ref)),
            "usual" => return list(usual.iter().map(Cow::as_ref)),
            "touches" => return list(touches.iter().map(String::as_str)),
            "context" => return list(context.iter().map(String::as_str)),
            "actor.chain" => return list(actor.chain.iter().map(String::as_str)),
            "actor.execution_role" => return actor.execution_role.map(EventValue::Bool),
            "resource.is_owner" => return resource.is_owner.map(EventValue::Bool),
            "resource.age" => return resource.age.map(EventValue::Int),
            "resource.weakened" => return list(resource.weakened.iter().map(Cow::as_ref)),
            "resource.other_origin" => return list(resource.other_origin.iter().map(Cow::as_ref)),
            "resource.tags" => return list(resource.tags.iter().map(String::as_str)),
            _ => {}
        }
        if let Some(field) = name.strip_prefix("resource.configuration.") {
            return list(resource.configuration.get(field)?.iter().map(String::as_str));
        }
        let text = match name {
            "actor.origin" => &actor.origin,
            "actor.works_for" => &actor.works_for,
            "resource.created_by" => &resource.created_by,
            "resource.created_at" => &resource.created_at,
            "resource.owner" => &resource.owner,
            "resource.script_verdict" => &resource.script_verdict,
            _ => return None,
        };
        text.as_deref().map(|text| EventValue::Str(text.into()))
    }
}

impl RememberedResource {
    /// With what is known now in the place of what was not.
    fn completed(self, now: Self) -> Self {
        fn told<T>(known: Vec<T>, now: Vec<T>) -> Vec<T> {
            if known.is_empty() { now } else { known }
        }
        Self {
            created_by: self.created_by.or(now.created_by),
            created_at: self.created_at.or(now.created_at),
            owner: self.owner.or(now.owner),
            is_owner: self.is_owner.or(now.is_owner),
            age: self.age.or(now.age),
            configuration: if self.configuration.is_empty() { now.configuration } else { self.configuration },
            tags: told(self.tags, now.tags),
            script_verdict: self.script_verdict.or(now.script_verdict),
            weakened: told(self.weakened, now.weakened),
            other_origin: told(self.other_origin, now.other_origin),
        }
    }
}

fn list<'v>(texts: impl Iterator<Item = &'v str>) -> Option<EventValue<'v>> {
    let texts: Vec<_> = texts.map(|text| EventValue::Str(text.into())).collect();
    (!texts.is_empty()).then_some(EventValue::Array(texts))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(ours: &Value) -> Remembered {
        Remembered::of_document(&json!({ "sagemaker": ours }))
    }

    #[test]
    fn what_memory_could_not_say_is_filled_in_and_what_it_said_stays() {
        let before = json!({
            "context": ["memory of the resource", "memory of the identity"], "touches": ["bucket"],
            "actor": {"chain": ["alice", "arn:session"], "origin": "alice"},
            "resource": {"script_verdict": "high", "tags": ["a=1"]},
        });
        let now = json!({
            "context": ["complete"], "first": ["network"], "usual": ["region"], "touches": ["role"],
            "actor": {"chain": ["eve"], "origin": "eve", "execution_role": true},
            "resource": {"created_by": "bob", "is_owner": false, "tags": ["a=2"], "script_verdict": "none", "weakened": ["kms_key"]},
        });
        let done = of(&before).completed(of(&now));
        assert!(!done.lacks_memory());
        assert_eq!((done.actor.origin.as_deref(), done.actor.execution_role), (Some("alice"), Some(true)));
        assert_eq!(
            (done.first, done.usual, done.touches),
            (vec!["network".into()], vec!["region".into()], vec!["bucket".to_owned(), "role".to_owned()])
        );
        let resource = done.resource;
        assert_eq!((resource.created_by.as_deref(), resource.is_owner), (Some("bob"), Some(false)));
        assert_eq!(
            (resource.script_verdict.as_deref(), &resource.tags[..]),
            (Some("high"), &["a=1".to_owned()][..])
        );
        assert_eq!(resource.weakened, ["kms_key"]);
    }

    #[test]
    fn what_memory_cannot_say_now_either_changes_nothing() {
        let before = json!({"context": ["memory of the role"], "first": ["network"]});
        let now =
            json!({"context": ["memory of ASIA1"], "usual": ["network"], "resource": {"created_by": "bob"}});
        let done = of(&before).completed(of(&now));
        assert_eq!(
            (done.context, done.first),
            (vec!["memory of the role".to_owned()], vec!["network".into()])
        );
        assert_eq!(done.resource, RememberedResource::default());
        // The pairs were known in full, and only something else was missing.
        let done = of(&before).completed(of(&json!({"context": ["complete"], "usual": ["network"]})));
        assert_eq!((done.first, done.usual.len()), (vec!["network".into()], 0));
    }
}
