//! Tells what rules and the correlator would have found and paged over records of the past.
//!
//! Records are read once, from wherever they are, and put into the order of time, as the daemon would have seen them.
//! Then they are judged for each set of rules, with memory and correlations, and nothing is written.

mod job;
mod judging;
pub mod progress;
mod reading;
mod report;
mod text;

pub use job::{BacktestError, Flaw, Job, LeftOut, Read, Records};
pub use judging::judge;
pub use reading::read;
pub use report::{Change, Changes, Report, RuleReport, compare};
