//! The sorts of series, and how a table of them is registered.

use std::marker::PhantomData;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Counter, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::labels::Label;

/// Makes a struct with a field for each series: its type, its name without the prefix, its label and buckets where it
/// has some, and what it tells.
macro_rules! series {
    ($(#[$meta:meta])* pub struct $group:ident { $(
        $field:ident: $sort:ty = $name:literal $(, by $label:literal)? $(, in $buckets:ident)?, $help:literal;
    )* }) => {
        $(#[$meta])*
        #[expect(clippy::doc_markdown, reason = "the help of a series is plain text")]
        pub struct $group {
            registry: prometheus::Registry,
            $(#[doc = $help] pub $field: $sort,)*
        }

        impl $group {
            fn register(registry: prometheus::Registry) -> Self {
                Self {
                    $($field: <$sort as $crate::metrics::series::Series>::register(
                        &registry,
                        prometheus::Opts::new($name, $help).namespace("sagetrail"),
                        &[$($label)?],
                        <[&[f64]]>::concat(&[$($buckets)?]),
                    ),)*
                    registry,
                }
            }
        }
    };
}
pub(super) use series;

/// One sort of series.
pub trait Series {
    fn register(registry: &Registry, options: Opts, labels: &[&str], buckets: Vec<f64>) -> Self;
}

macro_rules! sorts {
    ($($sort:ty: |$options:ident, $labels:ident, $buckets:ident| $new:expr;)*) => { $(
        impl Series for $sort {
            fn register(registry: &Registry, $options: Opts, $labels: &[&str], $buckets: Vec<f64>) -> Self {
                registered(registry, $new)
            }
        }
    )* };
}
sorts! {
    IntCounter: |options, _labels, _buckets| Self::with_opts(options);
    IntGauge: |options, _labels, _buckets| Self::with_opts(options);
    Counter: |options, _labels, _buckets| Self::with_opts(options);
    Histogram: |options, _labels, buckets| Self::with_opts(HistogramOpts::from(options).buckets(buckets));
    // The values of these labels are not known beforehand.
    IntCounterVec: |options, labels, _buckets| Self::new(options, labels);
    IntGaugeVec: |options, labels, _buckets| Self::new(options, labels);
    HistogramVec: |options, labels, buckets| Self::new(HistogramOpts::from(options).buckets(buckets), labels);
}

/// Series of one name, one for each value of a label. Each exists from the start.
pub struct By<L, All> {
    all: All,
    label: PhantomData<fn(L)>,
}

/// Numbers that only grow, one for each value of a label.
pub type Counters<L> = By<L, IntCounterVec>;
/// Numbers that rise and fall, one for each value of a label.
pub type Gauges<L> = By<L, IntGaugeVec>;
/// Distributions over buckets, one for each value of a label.
pub type Histograms<L> = By<L, HistogramVec>;

impl<L: Label, B: MetricVecBuilder> By<L, MetricVec<B>> {
    /// The series of one value of the label.
    pub fn of(&self, value: L) -> B::M {
        self.all.with_label_values(&[value.label()])
    }
}

impl<L: Label> Counters<L> {
    /// Adds one to the series of this value.
    pub fn count(&self, value: L) {
        self.of(value).inc();
    }
}

impl<L: Label, B: MetricVecBuilder> Series for By<L, MetricVec<B>>
where
    MetricVec<B>: Series,
{
    fn register(registry: &Registry, options: Opts, labels: &[&str], buckets: Vec<f64>) -> Self {
        let by = Self { all: MetricVec::register(registry, options, labels, buckets), label: PhantomData };
        for value in L::ALL {
            by.of(*value);
        }
        by
    }
}

/// Registers a collector. Names are literals, so a failure is a mistake that any test run shows.
pub fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> C {
    let collector = collector.expect("the name and labels are valid");
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}

/// A number for a gauge.
pub fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
