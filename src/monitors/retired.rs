//! Says of monitors and thresholds that are gone where what they did went to, so that a configuration that names one is
//! refused with what to write instead.

/// Where what the monitor of this id told has gone to; none for one that never was.
pub(super) fn monitor(id: &str) -> Option<&'static str> {
    let (_, name) = id.rsplit_once("-monitor-")?;
    match name {
        "two-contents" | "silence" | "lag" | "rejected" | "verification-gap" | "verification-silence" => {
            Some(
                "what is wrong with the pipeline itself is an incident of `kind: health`, which the correlator opens and closes; name its rule in health.disabled",
            )
        }
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
        "silence"
        | "silence_history"
        | "silence_records"
        | "lag_window"
        | "lag_records"
        | "event_age"
        | "rejected_records"
        | "verification_history"
        | "verification_silence"
        | "verification_runs" => {
            Some("the correlator watches the pipeline; write the value under [health], by the same name")
        }
        "lag_minutes" => Some("the correlator watches the pipeline; write health.lag, such as \"30m\""),
        "paging_window" => Some(
            "the correlator pages for what it has not paged for yet, however long ago; for rejected records write health.rejected_window",
        ),
        "history" => Some("memory knows what an identity did before, without a number of days"),
        "inventory_roles" => Some(
            "write a Sigma filter for the roles that read everything, in rules.folder: docs/tuning.md has an example",
        ),
        _ => None,
    }
}
