//! What needs no server: values, files, the documentation, and the command line where it does not ask anybody.

mod actors;
mod backtest;
mod command_line;
mod correlations;
mod dashboards;
mod deploy;
mod detection;
mod docs;
mod documents;
mod examples;
mod generated_docs;
mod guardrails;
mod hostile;
mod listing;
mod mapping;
mod metrics;
mod monitors;
mod organisation;
mod proportion;
mod redaction;
mod remembered;
mod resources;
mod rules;
mod sigmahq;
mod support;
mod tuning;
