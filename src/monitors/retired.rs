//! Says of monitors and thresholds that are gone where what they did went to, so that a configuration that names one is
//! refused with what to write instead.

/// Where what the monitor of this id told has gone to; none for one that never was.
pub(super) fn monitor(id: &str) -> Option<&'static str> {
    let (_, name) = id.rsplit_once("-monitor-")?;
    match name {
        "two-contents" => Some(
            "two records with one eventID are two documents with one event.id: the dashboard Pipeline health lists them, docs/content.md has the search, and no monitor asks every document any more",
        ),
        "call-flood" | "compute-burst" | "denied-calls" | "destruction-burst" | "discovery-sweep"
        | "first-seen-role" | "lifecycle-hijack" | "log-tampering" | "presigned-urls" => Some(
            "what several records show together is found by a rule or a correlation of rules, which `sagetrail rules` lists; disable that under rules.override",
        ),
        _ => None,
    }
}

/// Where what this threshold decided has gone to; none for one that never was.
pub(super) fn threshold(name: &str) -> Option<&'static str> {
    match name {
        "burst_window"
        | "compute_calls"
        | "compute_machines"
        | "destruction_calls"
        | "destruction_resources"
        | "sweep_window"
        | "sweep_operations"
        | "denied_calls"
        | "denied_operations"
        | "presigned_calls"
        | "presigned_resources"
        | "sequence_window" => Some(
            "its number stands in a correlation rule, which `sagetrail rules` lists; disable that under rules.override, and put a copy with your number into rules.folder",
        ),
        "flood_window" | "flood_calls" | "flood_history" | "flood_share" => Some(
            "a flood of calls by somebody who does not usually call there is found by a fixed count; a correlation rule, which `sagetrail rules` lists, has the numbers",
        ),
        "history" => Some("memory knows what an identity did before, without a number of days"),
        "inventory_roles" => Some(
            "write a Sigma filter for the roles that read everything, in rules.folder: docs/tuning.md has an example",
        ),
        _ => None,
    }
}
