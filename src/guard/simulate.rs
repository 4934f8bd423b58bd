//! Counts who would have been denied what (pure).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::judge::{Judge, Tried};
use super::library::GuardError;
use super::policy::Verdict;

/// Lines of one policy; nobody reads more.
const MOST_LINES: usize = 1_000;

/// What each policy would have done with the calls that were taken.
#[derive(Debug)]
pub struct Simulation {
    judge: Judge,
    /// By the names of policies.
    counted: BTreeMap<&'static str, Counted>,
    unreadable: u64,
    read: u64,
}

#[derive(Debug, Default)]
struct Counted {
    allowed: u64,
    hit: BTreeMap<Who, Hits>,
    /// Calls whose line was one too many.
    more: u64,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Who {
    is_denied: bool,
    identity: String,
    call: String,
    account: String,
    pipeline: Option<String>,
}

#[derive(Debug)]
struct Hits {
    count: u64,
    first: String,
    last: String,
    event: String,
}

/// What is printed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The time that was read.
    pub period: String,
    /// Records of calls that some policy is about.
    pub records: u64,
    /// Records whose text could not be read.
    pub unreadable: u64,
    pub policies: Vec<PolicyReport>,
}

/// What one policy would have done with the calls that it is about.
#[derive(Debug, Serialize)]
pub struct PolicyReport {
    pub policy: &'static str,
    pub title: &'static str,
    pub denied: u64,
    pub undecided: u64,
    pub allowed: u64,
    pub stops: &'static str,
    /// Lists with the values of the example, because the site has none.
    pub example_values: Vec<String>,
    pub lines: Vec<Line>,
    /// Calls that no line has.
    pub more: u64,
}

/// Calls of one identity that a policy denies, or cannot be decided, counted together.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Whether the policy would have denied it, or the record does not show what decides.
    pub verdict: &'static str,
    pub who: String,
    pub call: String,
    pub account: String,
    /// The pipeline, job or service that the caller worked for.
    pub works_for: Option<String>,
    pub count: u64,
    pub first: String,
    pub last: String,
    /// The event that was first.
    pub event: String,
}

impl Simulation {
    /// Of every policy with a site's values.
    pub fn new(placeholders: &BTreeMap<String, Vec<String>>) -> Result<Self, GuardError> {
        Ok(Self { judge: Judge::new(placeholders)?, counted: BTreeMap::new(), unreadable: 0, read: 0 })
    }

    /// The names of the calls that some policy is about, as records have them in small letters.
    pub fn calls(&self) -> Vec<String> {
        let actions = self.judge.policies().iter().flat_map(|tried| tried.policy.actions());
        let mut calls: Vec<String> =
            actions.filter_map(|action| Some(action.split_once(':')?.1.to_owned())).collect();
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// Takes a stored document. A call that failed would not be missed by anybody, and one of a drill was never made.
    pub fn take(&mut self, source: &Value) {
        let text = |pointer: &str| source.pointer(pointer).and_then(Value::as_str);
        if text("/event/outcome") == Some("failure") || text("/sagemaker/drill").is_some() {
            return;
        }
        let Some(record) = text("/event/original").and_then(|text| serde_json::from_str::<Value>(text).ok())
        else {
            self.unreadable += 1;
            return;
        };
        let is_whole = source.pointer("/sagemaker/omitted").is_none_or(Value::is_null);
        let judged = self.judge.judge(&record, is_whole);
        self.read += u64::from(!judged.is_empty());
        for (policy, verdict) in judged {
            let counted = self.counted.entry(policy).or_default();
            let is_denied = match verdict {
                Verdict::Allowed => {
                    counted.allowed += 1;
                    continue;
                }
                Verdict::Denied => true,
                Verdict::Undecided => false,
            };
            let worked_for =
                ["/sagemaker/actor/works_for", "/aws/cloudtrail/user_identity/in_scope_of/source_arn"];
            let who = Who {
                is_denied,
                identity: text("/sagemaker/alert/identity").unwrap_or("not known").to_owned(),
                call: text("/event/action").unwrap_or_default().to_owned(),
                account: text("/cloud/account/id").unwrap_or_default().to_owned(),
                pipeline: worked_for.into_iter().find_map(text).map(str::to_owned),
            };
            counted.count(
                who,
                text("/@timestamp").unwrap_or_default(),
                text("/event/id").unwrap_or_default(),
            );
        }
    }

    /// Sums up; the denied calls of a policy come first, then those that the records do not decide, the most frequent
    /// first.
    pub fn report(mut self, period: String) -> Report {
        let mut policies = Vec::new();
        for tried in self.judge.policies() {
            let counted = self.counted.remove(tried.guardrail.name.as_str()).unwrap_or_default();
            policies.push(counted.report(tried));
        }
        Report { period, records: self.read, unreadable: self.unreadable, policies }
    }
}

impl Counted {
    fn count(&mut self, who: Who, time: &str, event: &str) {
        if let Some(hits) = self.hit.get_mut(&who) {
            hits.count += 1;
            if time < hits.first.as_str() {
                (hits.first, hits.event) = (time.to_owned(), event.to_owned());
            }
            if time > hits.last.as_str() {
                time.clone_into(&mut hits.last);
            }
        } else {
            // So many lines are held that none of the denied is lost to the undecided.
            if self.hit.len() >= 2 * MOST_LINES {
                self.more += 1;
                return;
            }
            let time = time.to_owned();
            self.hit.insert(who, Hits { count: 1, first: time.clone(), last: time, event: event.to_owned() });
        }
    }

    fn report(self, tried: &Tried) -> PolicyReport {
        let of = |is_denied: bool| self.hit.iter().filter(move |(who, _)| who.is_denied == is_denied);
        let sum = |is_denied: bool| of(is_denied).map(|(_, hits)| hits.count).sum();
        let (denied, undecided) = (sum(true), sum(false));
        let mut lines: Vec<Line> = of(true).chain(of(false)).map(|(who, hits)| Line::of(who, hits)).collect();
        lines.sort_by(|a, b| {
            (a.verdict, b.count, &a.who, &a.call).cmp(&(b.verdict, a.count, &b.who, &b.call))
        });
        let cut: u64 = lines.iter().skip(MOST_LINES).map(|line| line.count).sum();
        lines.truncate(MOST_LINES);
        PolicyReport {
            policy: &tried.guardrail.name,
            title: &tried.guardrail.title,
            denied,
            undecided,
            allowed: self.allowed,
            stops: &tried.guardrail.stops,
            example_values: tried.examples.clone(),
            lines,
            more: self.more + cut,
        }
    }
}

impl Line {
    fn of(who: &Who, hits: &Hits) -> Self {
        Self {
            verdict: if who.is_denied { "denied" } else { "undecided" },
            who: who.identity.clone(),
            call: who.call.clone(),
            account: who.account.clone(),
            works_for: who.pipeline.clone(),
            count: hits.count,
            first: hits.first.clone(),
            last: hits.last.clone(),
            event: hits.event.clone(),
        }
    }
}

impl Report {
    /// Whether some policy would have denied somebody something.
    pub fn denies(&self) -> bool {
        self.policies.iter().any(|policy| policy.denied > 0)
    }
}
