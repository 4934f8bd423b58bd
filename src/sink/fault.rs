//! Tells whether the error of an item is about the document or about the cluster (pure).
//!
//! The table is closed. A document with an unknown error is sent again, and only rejected after others were taken.

use super::cluster_block::ClusterBlock;

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// It is about this document, as long as its index takes others.
    Document,
    /// It is about every document of the index.
    Cluster(ClusterBlock),
    /// Unknown.
    Unknown,
}

/// An error's type, a part of its reason, and what it is about.
type Known = (&'static str, &'static str, About);

/// The errors of a 400, as OpenSearch 2.19 and 3 word them. The first line that fits decides.
const KNOWN: &[Known] = &[
    ("index_closed_exception", "", About::Cluster(ClusterBlock::Closed)),
    ("invalid_alias_name_exception", "", About::Cluster(ClusterBlock::AliasTaken)),
    ("invalid_index_name_exception", "", About::Cluster(ClusterBlock::IndexRefused)),
    ("index_creation_exception", "", About::Cluster(ClusterBlock::IndexRefused)),
    ("invalid_index_template_exception", "", About::Cluster(ClusterBlock::IndexRefused)),
    ("resource_already_exists_exception", "", About::Cluster(ClusterBlock::IndexRefused)),
    ("settings_exception", "", About::Cluster(ClusterBlock::IndexRefused)),
    ("validation_exception", "maximum shards open", About::Cluster(ClusterBlock::TooManyShards)),
    ("validation_exception", "", About::Cluster(ClusterBlock::IndexRefused)),
    ("routing_missing_exception", "", About::Cluster(ClusterBlock::RoutingRequired)),
    ("fail_processor_exception", "", About::Cluster(ClusterBlock::Pipeline)),
    ("ingest_processor_exception", "", About::Cluster(ClusterBlock::Pipeline)),
    ("script_exception", "", About::Cluster(ClusterBlock::Pipeline)),
    ("document_source_missing_exception", "", About::Cluster(ClusterBlock::NoSource)),
    ("illegal_argument_exception", "Limit of total fields", About::Cluster(ClusterBlock::TooManyFields)),
    ("illegal_argument_exception", "Limit of mapping", About::Cluster(ClusterBlock::TooManyFields)),
    ("illegal_argument_exception", "than the limit of", About::Cluster(ClusterBlock::TooManyFields)),
    ("illegal_argument_exception", "no write index is defined", About::Cluster(ClusterBlock::AliasTaken)),
    ("illegal_argument_exception", "Document ID is not supported", About::Cluster(ClusterBlock::IdsRefused)),
    ("illegal_argument_exception", "in data streams", About::Cluster(ClusterBlock::DataStream)),
    ("illegal_argument_exception", "data stream", About::Cluster(ClusterBlock::DataStream)),
    ("illegal_argument_exception", "pipeline with id", About::Cluster(ClusterBlock::Pipeline)),
    ("illegal_argument_exception", "Could not find pipeline", About::Cluster(ClusterBlock::Pipeline)),
    ("illegal_argument_exception", "template", About::Cluster(ClusterBlock::IndexRefused)),
    ("illegal_argument_exception", "immense term", About::Document),
    ("max_bytes_length_exceeded_exception", "", About::Document),
    ("mapper_parsing_exception", "", About::Document),
    ("document_parsing_exception", "", About::Document),
    ("strict_dynamic_mapping_exception", "", About::Document),
    ("json_parse_exception", "", About::Document),
];

/// What a 400 of this type and reason is about.
pub(super) fn about(kind: &str, reason: &str) -> About {
    let known = KNOWN.iter().find(|(known, piece, _)| *known == kind && reason.contains(piece));
    known.map_or(About::Unknown, |(_, _, about)| *about)
}

/// What is behind the failure of an update's script is about. A script that is ours fails on nothing but its fact.
pub(super) fn about_script(kind: &str, reason: &str) -> About {
    match (kind, reason) {
        ("script_exception", "runtime error") => About::Document,
        _ => About::Cluster(ClusterBlock::Script),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as a real OpenSearch 2.19 answered it, but for the last of each half.
    #[test]
    fn a_state_of_the_cluster_is_told_from_a_fault_of_the_document_and_both_from_what_nobody_knows() {
        const ILLEGAL: &str = "illegal_argument_exception";
        for (kind, reason, expected) in [
            (
                "invalid_alias_name_exception",
                "Invalid alias name [al], an index exists with the same name as the alias",
                About::Cluster(ClusterBlock::AliasTaken),
            ),
            (
                ILLEGAL,
                "no write index is defined for alias [two]. The write index may be explicitly disabled using is_write_index=false",
                About::Cluster(ClusterBlock::AliasTaken),
            ),
            (
                "invalid_index_name_exception",
                "Invalid index name [X]",
                About::Cluster(ClusterBlock::IndexRefused),
            ),
            ("index_closed_exception", "closed", About::Cluster(ClusterBlock::Closed)),
            (
                "validation_exception",
                "Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [2]/[1] maximum shards open;",
                About::Cluster(ClusterBlock::TooManyShards),
            ),
            ("validation_exception", "Validation Failed: 1: x;", About::Cluster(ClusterBlock::IndexRefused)),
            (
                ILLEGAL,
                "Limit of total fields [2] has been exceeded",
                About::Cluster(ClusterBlock::TooManyFields),
            ),
            (
                ILLEGAL,
                "Field name [_routing] is longer than the limit of [3] characters",
                About::Cluster(ClusterBlock::TooManyFields),
            ),
            (ILLEGAL, "pipeline with id [nope] does not exist", About::Cluster(ClusterBlock::Pipeline)),
            ("script_exception", "runtime error", About::Cluster(ClusterBlock::Pipeline)),
            (
                "routing_missing_exception",
                "routing is required for [i]/[x0]",
                About::Cluster(ClusterBlock::RoutingRequired),
            ),
            (
                ILLEGAL,
                "Document ID is not supported in create/index operation request",
                About::Cluster(ClusterBlock::IdsRefused),
            ),
            (ILLEGAL, "Document contains at least one immense term in field=\"n\"", About::Document),
            ("mapper_parsing_exception", "failed to parse", About::Document),
            ("strict_dynamic_mapping_exception", "mapping set to strict", About::Document),
            (ILLEGAL, "field [zzz] doesn't exist", About::Unknown),
            (ILLEGAL, "unable to parse date [1]", About::Unknown),
            ("some_new_exception", "pipeline with id [x]", About::Unknown),
            ("", "", About::Unknown),
        ] {
            assert_eq!(about(kind, reason), expected, "{kind}: {reason}");
        }
    }
}
