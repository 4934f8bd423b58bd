//! Tells which fields of a document have less than the record had, because there is an end to what is unfolded, read or
//! stored.

use super::embedded;
use super::flat::Flat;
use super::policy::{self, Policy};
use super::script;
use super::shell;
use super::unpacked::Unpacked;
use crate::record::Record;

/// The name under which rules find what was cut, which is also its field in a document.
pub const FIELD: &str = "sagemaker.cut";

/// What rules must know of: scripts that unfold or run to more than is searched, documents in texts that are read in
/// part, and policies that cannot be read.
pub fn fields(unpacked: &Unpacked, policy: &Policy) -> Vec<&'static str> {
    let Unpacked { scripts, shell, documents } = unpacked;
    let cuts = [
        (scripts.iter().any(|script| script.cut), script::FIELD),
        (shell.cut, shell::COMMANDS),
        (documents.is_cut, embedded::FIELD),
        (policy.is_unreadable, policy::FIELD),
    ];
    cuts.into_iter().filter(|(is_cut, _)| *is_cut).map(|(_, field)| field).collect()
}

/// What only searches miss: values that are too long or too deep for a field. Rules see them in the record.
pub fn flat_fields(record: &Record<'_>) -> impl Iterator<Item = &'static str> {
    let members = [
        ("requestParameters", "aws.cloudtrail.request_parameters"),
        ("responseElements", "aws.cloudtrail.response_elements"),
        ("additionalEventData", "aws.cloudtrail.additional_event_data"),
        ("serviceEventDetails", "aws.cloudtrail.service_event_details"),
    ];
    members.into_iter().filter(|(member, _)| Flat(record.at(&[member])).is_cut()).map(|(_, field)| field)
}
