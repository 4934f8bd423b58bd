//! Creates and registers a metric of each type.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::labels::{FreshnessStage, Label};

/// Seconds; from a quick bulk to a backlog of days.
const FRESHNESS_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 14_400.0,
    86_400.0,
];
pub fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("sagetrail")
}

/// Registers a collector. Names are literals of this file, so a failure is a mistake that any test run shows.
pub fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> C {
    let collector = collector.expect("the name and labels are valid");
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}

pub fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::with_opts(options(name, help)))
}

pub fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, IntGauge::with_opts(options(name, help)))
}

pub fn open_gauges(registry: &Registry, name: &str, help: &str, label: &str) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(options(name, help), &[label]))
}

/// Which program this is; the value is always 1.
pub fn build_info(registry: &Registry) {
    let options = options("build_info", "The version of the running program.")
        .const_label("version", env!("CARGO_PKG_VERSION"));
    registered(registry, IntGauge::with_opts(options)).set(1);
}

pub fn gauges<L: Label>(registry: &Registry, name: &str, help: &str, label: &str, all: &[L]) -> IntGaugeVec {
    let gauges = registered(registry, IntGaugeVec::new(options(name, help), &[label]));
    for value in all {
        gauges.with_label_values(&[value.label()]).set(0);
    }
    gauges
}

pub fn open_counters(registry: &Registry, name: &str, help: &str, label: &str) -> IntCounterVec {
    registered(registry, IntCounterVec::new(options(name, help), &[label]))
}

pub fn counters<L: Label>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    all: &[L],
) -> IntCounterVec {
    let counters = open_counters(registry, name, help, label);
    for value in all {
        counters.with_label_values(&[value.label()]).inc_by(0);
    }
    counters
}

pub fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::from(options(name, help)).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(options))
}

pub fn freshness_histograms(registry: &Registry) -> HistogramVec {
    let options = HistogramOpts::from(options(
        "freshness_seconds",
        "Time that a record spent on each leg from the API call to the index.",
    ))
    .buckets(FRESHNESS_BUCKETS.to_vec());
    let freshness = registered(registry, HistogramVec::new(options, &["stage"]));
    for stage in FreshnessStage::ALL {
        freshness.with_label_values(&[stage.label()]);
    }
    freshness
}
