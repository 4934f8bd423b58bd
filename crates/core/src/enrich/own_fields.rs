//! The fields of an event's document that no standard has, under `sagemaker`.

use std::borrow::Cow;

use serde::Serialize;
use serde_with::skip_serializing_none;

use super::actor::Actor;
use super::alert::AlertKey;
use super::context::Context;
use super::networks::NetworkKind;
use super::remembered::RememberedActor;
use super::rules::{Muted, Releveled};
use super::verdict::{Possible, Verdict};
use crate::timestamp::Timestamp;

/// Everything that a document says under `sagemaker`.
#[derive(Serialize)]
pub struct SageMaker<'e> {
    pub actor: ActorAndMemory<'e>,
    #[serde(flatten)]
    pub verdict: &'e Verdict<'e>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub muted: &'e [Muted<'e>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub releveled: &'e [Releveled<'e>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possible: Option<Possible<'e>>,
    #[serde(flatten)]
    pub context: &'e Context<'e>,
    /// What the caller was never seen with.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub first: &'e [Cow<'static, str>],
    /// What the caller was seen with for long enough.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub usual: &'e [Cow<'static, str>],
    /// The kinds of what SageMaker works with that the record names.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub touches: &'e [String],
    /// What of memory was missing.
    #[serde(rename = "context", skip_serializing_if = "<[_]>::is_empty")]
    pub memory: &'e [String],
    pub alert: AlertKey<'e>,
    /// The id of the drill that the record belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<&'e str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runbook: Vec<&'static str>,
    pub rules: Rules<'e>,
}

/// What a document says under `sagemaker.actor`: from the record, from its address, and from memory.
#[skip_serializing_none]
#[derive(Serialize)]
pub struct ActorAndMemory<'e> {
    #[serde(flatten)]
    pub actor: &'e Actor<'e>,
    pub network: Option<NetworkKind>,
    #[serde(flatten)]
    pub remembered: &'e RememberedActor,
}

/// The rules that the document was tagged by.
#[derive(Serialize)]
pub struct Rules<'e> {
    pub version: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retagged: Option<Timestamp>,
}
