//! What came of a drill, for people and for machines.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

use time::OffsetDateTime;

use super::plan::Plan;
use super::story::Story;
use crate::templates::{PLAIN, fill};

/// The links from the file to the page and back, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Step {
    /// The file is in the bucket.
    Uploaded,
    /// It was announced, and a daemon has read it.
    Read,
    /// Its documents can be searched.
    Stored,
    /// The correlator has opened an incident.
    Opened,
    /// Every channel has it.
    Told,
    /// The incident is closed, and channels have ended it.
    Ended,
}

impl Step {
    /// How long it may take: what is usual, with as much again for a busy hour. S3 announces within seconds, mostly; a
    /// round of the correlator begins each 15 s, a monitor runs each minute.
    pub fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Uploaded => 30,
            Self::Read => 300,
            Self::Stored => 60,
            Self::Opened | Self::Ended => 90,
            Self::Told => 150,
        })
    }
}

/// How far one drill came, step by step, and what it left behind.
#[derive(Debug, Serialize)]
pub struct Report {
    pub drill: String,
    pub object: String,
    #[serde(skip)]
    pub began: OffsetDateTime,
    pub records: usize,
    pub incident: Option<String>,
    /// Whether every step was done in time.
    pub worked: bool,
    /// From the file to the page; none where nothing shows whether a page came.
    pub seconds_to_page: Option<f64>,
    pub steps: Vec<StepReport>,
    /// The links whose work nothing here shows, each with who can tell.
    pub not_checked: Vec<String>,
    pub notes: Vec<String>,
}

/// What became of one step.
#[derive(Debug, Serialize)]
pub struct StepReport {
    pub step: Step,
    pub outcome: Outcome,
    /// Since the drill began.
    pub seconds: Option<f64>,
    /// What was found, or what is broken and where to look.
    pub said: String,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// Not in time.
    Failed,
    /// There is nothing to wait for.
    Skipped,
    /// One before it was not done.
    NotReached,
}

impl Report {
    pub(super) fn new(story: &Story, plan: &Plan, began: OffsetDateTime) -> Self {
        let not_reached = |step: &Step| StepReport {
            step: *step,
            outcome: Outcome::NotReached,
            seconds: None,
            said: String::new(),
        };
        Self {
            drill: story.id.clone(),
            object: format!("s3://{}/{}", plan.bucket, story.key),
            began,
            records: story.documents.len(),
            incident: None,
            worked: false,
            seconds_to_page: None,
            steps: Step::VARIANTS.iter().map(not_reached).collect(),
            not_checked: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn done(&mut self, step: Step, after: Duration, said: String) {
        // Tenths are what is measured: each step is looked for twice a second.
        let seconds = (after.as_secs_f64() * 10.0).round() / 10.0;
        self.set(StepReport { step, outcome: Outcome::Done, seconds: Some(seconds), said });
    }

    pub(super) fn failed(&mut self, step: Step, within: Duration, problem: &str) {
        let said = format!("not within {} s: {problem}", within.as_secs_f64());
        self.set(StepReport { step, outcome: Outcome::Failed, seconds: None, said });
    }

    pub(super) fn skip(&mut self, step: Step, why: &str) {
        self.set(StepReport { step, outcome: Outcome::Skipped, seconds: None, said: why.to_owned() });
    }

    /// Whether a step was done in time; one that was skipped was not.
    pub fn is_done(&self, step: Step) -> bool {
        self.step(step).outcome == Outcome::Done
    }

    /// Sums up.
    pub(super) fn end(&mut self) {
        self.worked = self.steps.iter().all(|step| matches!(step.outcome, Outcome::Done | Outcome::Skipped));
        self.seconds_to_page = self.step(Step::Told).seconds.filter(|_| self.not_checked.is_empty());
    }

    fn step(&self, step: Step) -> &StepReport {
        &self.steps[step as usize]
    }

    fn set(&mut self, report: StepReport) {
        let place = report.step as usize;
        self.steps[place] = report;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&fill(include_str!("report.txt.j2"), PLAIN, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let story = Story {
            id: "1".to_owned(),
            key: "k".to_owned(),
            bytes: Vec::new(),
            documents: vec!["a".to_owned()],
            worst: "a".to_owned(),
        };
        let plan = Plan {
            bucket: "b".to_owned(),
            prefix: String::new(),
            account: String::new(),
            region: String::new(),
            names: String::new(),
            timeout: None,
        };
        Report::new(&story, &plan, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn steps_stand_in_their_order_and_it_works_only_when_none_is_missing() {
        let mut report = report();
        for (number, step) in Step::VARIANTS.iter().enumerate() {
            report.end();
            assert!(!report.worked, "before {step:?}");
            assert_eq!(report.step(*step).step, *step);
            report.done(*step, Duration::from_millis(1_040 * (number as u64 + 1)), "it came".to_owned());
        }
        report.end();
        assert_eq!((report.worked, report.seconds_to_page), (true, Some(5.2)));
        assert!(report.to_string().contains("opened       4.2 s  it came\n"), "{report}");
        assert!(report.to_string().ends_with("it works: 5.2 s from the file to the page\n"), "{report}");
        report.not_checked.push("m → channels.soc: ask them".to_owned());
        report.end();
        assert_eq!((report.worked, report.seconds_to_page), (true, None), "nobody knows whether a page came");
        let end = "not checked: m → channels.soc: ask them\nit works as far as it is checked: 5.2 s from the file to what is said at \"told\"\n";
        assert!(report.to_string().ends_with(end), "{report}");
        report.not_checked.clear();
        report.skip(Step::Told, "nobody");
        report.end();
        assert_eq!((report.worked, report.seconds_to_page), (true, None));
    }

    #[test]
    fn the_first_step_that_is_broken_is_named() {
        let mut report = report();
        report.done(Step::Uploaded, Duration::from_secs(1), "there".to_owned());
        report.failed(Step::Read, Duration::from_secs(2), "nobody reads");
        report.end();
        let text = report.to_string();
        assert!(text.contains("read        BROKEN  not within 2 s: nobody reads\n"), "{text}");
        assert!(text.contains("stored           -  not reached\n"), "{text}");
        assert!(text.ends_with("it does not work: the step \"read\" is broken\n"), "{text}");
    }
}
