//! Works out which records the event selectors of trails let CloudTrail write (pure).

use std::collections::BTreeSet;

use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, AdvancedFieldSelector, EventSelector, ReadWriteType};

use super::finding::Finding;

/// The data events that rules look at, and what is not seen without them.
const DATA: &[(&str, &str)] = &[
    ("AWS::SageMaker::Endpoint", "model extraction and floods of InvokeEndpoint"),
    ("AWS::SageMaker::FeatureGroup", "features that are written, read or deleted"),
    ("AWS::SageMaker::ExperimentTrialComponent", "metrics of experiments that are forged"),
];

/// What a trail logs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    reads: bool,
    writes: bool,
    /// Types of resources whose data events are logged.
    data: BTreeSet<String>,
}

impl Coverage {
    /// A trail has selectors of one of two kinds.
    pub(super) fn of(answer: &GetEventSelectorsOutput) -> Self {
        let mut coverage = Self::default();
        for selector in answer.event_selectors() {
            coverage.add_basic(selector);
        }
        for selector in answer.advanced_event_selectors() {
            coverage.add_advanced(selector);
        }
        coverage
    }

    #[cfg(test)]
    pub(super) fn everything() -> Self {
        Self { reads: true, writes: true, data: DATA.iter().map(|(kind, _)| (*kind).to_owned()).collect() }
    }

    fn add_basic(&mut self, selector: &EventSelector) {
        if selector.include_management_events == Some(false) {
            return;
        }
        // Without a value the API logs both.
        self.reads |= selector.read_write_type != Some(ReadWriteType::WriteOnly);
        self.writes |= selector.read_write_type != Some(ReadWriteType::ReadOnly);
    }

    fn add_advanced(&mut self, selector: &AdvancedEventSelector) {
        let field = |name: &str| selector.field_selectors().iter().find(|field| field.field == name);
        let equals = |name: &str| field(name).map(AdvancedFieldSelector::equals).unwrap_or_default();
        if equals("eventCategory").iter().any(|category| category == "Management") {
            let read_only = field("readOnly").map(|_| equals("readOnly").iter().any(|value| value == "true"));
            self.reads |= read_only != Some(false);
            self.writes |= read_only != Some(true);
        } else {
            self.data.extend(equals("resources.type").iter().cloned());
        }
    }
}

/// Judges what all trails log together.
pub(super) fn judge(trails: &[&Coverage]) -> Vec<Finding> {
    if trails.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    findings.push(if trails.iter().any(|trail| trail.writes) {
        Finding::fine("write events", "the trails log them")
    } else {
        Finding::broken(
            "write events",
            "no trail logs management events that change something",
            "let a selector include management events, with ReadWriteType All",
        )
    });
    findings.push(if trails.iter().any(|trail| trail.reads) {
        Finding::fine("read events", "the trails log them")
    } else {
        Finding::warning(
            "read events",
            "no trail logs management events that only read: discovery and probing are not seen",
            "set ReadWriteType to All",
        )
    });
    for (kind, unseen) in DATA {
        findings.push(if trails.iter().any(|trail| trail.data.contains(*kind)) {
            Finding::fine("data events", format!("the trails log those of {kind}"))
        } else {
            Finding::warning(
                "data events",
                format!("no trail logs those of {kind}: not seen are {unseen}"),
                format!(
                    "aws cloudtrail put-event-selectors with an advanced selector: eventCategory equals Data, resources.type equals {kind}; data events cost extra"
                ),
            )
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn advanced(fields: &[(&str, &str)]) -> AdvancedEventSelector {
        let fields = fields.iter().map(|(field, value)| {
            AdvancedFieldSelector::builder().field(*field).equals(*value).build().unwrap()
        });
        AdvancedEventSelector::builder().set_field_selectors(Some(fields.collect())).build().unwrap()
    }

    #[test]
    fn both_kinds_of_selectors_say_what_is_logged() {
        let basic = |kind| EventSelector::builder().set_read_write_type(kind).build();
        let answer = || GetEventSelectorsOutput::builder();
        let endpoint = DATA[0].0;
        let cases = [
            (answer().event_selectors(basic(None)), (true, true, 0)),
            (answer().event_selectors(basic(Some(ReadWriteType::WriteOnly))), (false, true, 0)),
            (answer().event_selectors(basic(Some(ReadWriteType::ReadOnly))), (true, false, 0)),
            (
                answer().event_selectors(EventSelector::builder().include_management_events(false).build()),
                (false, false, 0),
            ),
            (
                answer().advanced_event_selectors(advanced(&[("eventCategory", "Management")])),
                (true, true, 0),
            ),
            (
                answer().advanced_event_selectors(advanced(&[
                    ("eventCategory", "Management"),
                    ("readOnly", "false"),
                ])),
                (false, true, 0),
            ),
            (
                answer().advanced_event_selectors(advanced(&[
                    ("eventCategory", "Data"),
                    ("resources.type", endpoint),
                ])),
                (false, false, 1),
            ),
            (answer(), (false, false, 0)),
        ];
        for (answer, expected) in cases {
            let Coverage { reads, writes, data } = Coverage::of(&answer.build());
            assert_eq!((reads, writes, data.len()), expected);
        }
    }

    #[test]
    fn what_no_trail_logs_is_named_with_what_it_hides() {
        let whole = Coverage::everything();
        assert!(judge(&[&whole]).iter().all(|finding| finding.state == State::Fine));
        let blind = Coverage { writes: true, ..Coverage::default() };
        let findings = judge(&[&blind]);
        let hidden: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.state == State::Warning)
            .map(|finding| finding.text.as_str())
            .collect();
        assert_eq!(hidden.len(), 1 + DATA.len(), "{hidden:?}");
        assert!(hidden[1].contains("model extraction"), "{hidden:?}");
        // What one trail lacks another may have.
        assert!(judge(&[&blind, &whole]).iter().all(|finding| finding.state == State::Fine));
        assert_eq!(judge(&[&Coverage::default()])[0].state, State::Broken);
    }
}
