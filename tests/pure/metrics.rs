//! The exposition, pinned: alert rules and dashboards are written against these names, types and labels.

use sagetrail::config::RulesConfig;
use sagetrail::enrich::rules::RuleSet;
use sagetrail::labels::{Label as _, QueueKind};
use sagetrail::metrics::Metrics;

/// `UPDATE_GOLDEN=1` writes the file anew. A name that disappears from it is a breaking change for the changelog.
#[test]
fn the_exposition_at_start_up_is_as_it_was_pinned() {
    let metrics = Metrics::new();
    let rules = RuleSet::load(&RulesConfig::default()).unwrap();
    metrics.know_categories(rules.categories());
    for queue in QueueKind::ALL {
        metrics.queue_holds(*queue, Some(0));
    }
    for gauge in [&metrics.alertmanager_waiting, &metrics.alertmanager_failing_since] {
        gauge.with_label_values(&["soc"]).set(0);
    }
    let exposition: String = metrics
        .expose()
        .lines()
        // The library's figures about the process differ with the process.
        .filter(|line| !line.contains("process_"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, exposition).unwrap();
        return;
    }
    let pinned = std::fs::read_to_string(golden).unwrap();
    assert!(exposition == pinned, "the exposition changed:\n{exposition}");
}
