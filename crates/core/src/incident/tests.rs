use proptest::prelude::*;
use serde_json::json;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::correlation::Correlations;

mod matches;
mod pages;

const NOW: OffsetDateTime = datetime!(2026-11-03 12:00 UTC);
const NOTEBOOK: &str = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n";
const ROLE: &str = "arn:aws:iam::111122223333:role/exec";

/// A document as it is stored.
fn document(minute: i64, origin: &str, findings: &[(&str, &str)], ties: &[&str]) -> serde_json::Value {
    let time = crate::timestamp::format(NOW - Duration::hours(1) + Duration::minutes(minute));
    let findings: Vec<_> = findings
        .iter()
        .map(|(id, level)| json!({"id": id, "title": format!("Rule {id}"), "level": level}))
        .collect();
    json!({
        "@timestamp": time, "message": format!("{origin} did it; matches more."), "event": {"outcome": "success"},
        "cloud": {"account": {"id": "111122223333"}, "region": "eu-west-1"}, "source": {"address": "192.0.2.7"},
        "sagemaker": {"findings": findings, "categories": ["malware-deployment"],
            "alert": {"origin": origin, "principal": origin, "resource": NOTEBOOK, "ties": ties}},
    })
}

fn signal(minute: i64, origin: &str, findings: &[(&str, &str)], ties: &[&str]) -> Signal {
    let id = format!("{origin}-{minute}");
    Signal::read("events", &id, &document(minute, origin, findings, ties)).unwrap()
}

struct Site {
    usual: BTreeSet<String>,
    weights: Weights,
}

impl Site {
    fn knowing(usual: &[&str]) -> Self {
        Self { usual: usual.iter().map(|rule| (*rule).to_owned()).collect(), weights: Weights::built_in() }
    }

    fn judge(&self, signals: &[Signal], last: Option<&Incident>, now: OffsetDateTime) -> Option<Incident> {
        judge(&Tally::of(signals), last, Surroundings { usual: &self.usual, weights: &self.weights, now })
    }
}

#[test]
fn one_critical_finding_opens_an_incident_and_weaker_ones_open_one_together() {
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c [&'c str], Option<Severity>);
    let cases: [Case<'_>; 7] = [
        (&[("a", "critical")], &["a"], Some(Severity::Critical)),
        (&[("a", "high")], &["a"], None),
        (&[("a", "high")], &[], Some(Severity::High)),
        (&[("a", "high"), ("b", "high")], &["a", "b"], Some(Severity::High)),
        (&[("a", "medium"), ("b", "medium")], &["a", "b"], None),
        (&[("a", "low")], &[], None),
        (&[("a", "high"), ("b", "high"), ("c", "high")], &[], Some(Severity::Critical)),
    ];
    for (findings, usual, expected) in cases {
        let opened = Site::knowing(usual).judge(&[signal(0, "alice", findings, &[])], None, NOW);
        assert_eq!(opened.map(|it| it.incident.severity), expected, "{findings:?} where {usual:?} are usual");
    }
}

#[test]
fn a_failed_call_counts_one_step_less() {
    let mut tried = signal(0, "alice", &[("a", "critical")], &[]);
    tried.findings[0].is_attempt = true;
    assert_eq!(Site::knowing(&["a"]).judge(&[tried.clone()], None, NOW), None);
    assert_eq!(Site::knowing(&[]).judge(&[tried], None, NOW).unwrap().incident.severity, Severity::High);
}

#[test]
fn an_incident_that_is_stored_and_decided_again_does_not_change() {
    let site = Site::knowing(&[]);
    let signals = [signal(0, "alice", &[("a", "critical"), ("b", "low")], &[NOTEBOOK])];
    let opened = site.judge(&signals, None, NOW).unwrap();
    let stored: Incident = serde_json::from_str(&serde_json::to_string(&opened).unwrap()).unwrap();
    assert_eq!(stored, opened);
    assert_eq!(site.judge(&signals, Some(&stored), NOW + Duration::minutes(5)), None);

    // Also where other rules are usual meanwhile, such as when what its own origin did counts no more.
    let before = Site::knowing(&["a", "b"]).judge(&signals, None, NOW).unwrap();
    assert!(before.incident.score < opened.incident.score);
    assert_eq!(site.judge(&signals, Some(&before), NOW + Duration::minutes(5)), None);
}

#[test]
fn a_page_comes_when_it_opens_and_when_it_grows_worse_and_no_more_within_an_hour() {
    let site = Site::knowing(&["a", "b", "d"]);
    let mut signals = vec![signal(0, "alice", &[("a", "high"), ("b", "high")], &[])];
    let mut incident = site.judge(&signals, None, NOW).unwrap();
    let steps = [
        ("c", "critical", 1, 2, State::Escalated),
        ("d", "critical", 10, 2, State::Escalated),
        ("e", "critical", 70, 3, State::Escalated),
        ("f", "medium", 200, 3, State::Escalated),
    ];
    assert_eq!((incident.incident.pages, incident.incident.state), (1, State::Open));
    for (rule, level, minute, pages, state) in steps {
        // It comes as soon as it happens.
        signals.push(signal(minute + 60, "alice", &[(rule, level)], &[]));
        let before = incident.incident.page.clone();
        incident = site.judge(&signals, Some(&incident), NOW + Duration::minutes(minute)).unwrap();
        let fields = &incident.incident;
        assert_eq!((fields.pages, fields.state), (pages, state), "{rule}");
        assert_eq!(fields.page == before, fields.paged.0 != NOW + Duration::minutes(minute), "{rule}");
    }
}

#[test]
fn an_incident_falls_quiet_closes_and_is_followed_by_another_that_names_it() {
    let site = Site::knowing(&[]);
    let first = [signal(0, "alice", &[("a", "critical")], &[])];
    let opened = site.judge(&first, None, NOW).unwrap();
    let later = |hours| NOW + Duration::hours(hours);
    assert_eq!(rest(&opened, &site.weights, later(4)), None);
    let quiet = rest(&opened, &site.weights, later(6)).unwrap();
    assert_eq!((quiet.incident.state, rest(&quiet, &site.weights, later(7))), (State::Quiet, None));
    assert_eq!(site.judge(&first, Some(&quiet), later(8)), None, "nothing came");
    // Something new wakes it without a page.
    let woken = [&first[..], &[signal(400, "alice", &[("b", "low")], &[])]].concat();
    let awake = site.judge(&woken, Some(&quiet), later(7)).unwrap();
    assert_eq!((awake.incident.state, awake.incident.pages), (State::Open, 1));
    let closed = rest(&quiet, &site.weights, later(24)).unwrap();
    assert_eq!((closed.incident.state, rest(&closed, &site.weights, later(99))), (State::Closed, None));
    let next = [signal(24 * 60, "alice", &[("a", "critical")], &[])];
    let followed = site.judge(&next, Some(&closed), later(24)).unwrap();
    assert_eq!(followed.incident.follows.as_ref(), Some(&closed.incident.id));
    assert_ne!(followed.incident.id, closed.incident.id);
    assert!(counts_from(Some(&closed), &site.weights, later(12)) > first[0].time);
    assert_eq!(counts_from(Some(&opened), &site.weights, later(99)), first[0].time);
    let mut soon = followed.clone();
    soon.incident.opened = Timestamp(later(12));
    // What came late counts, and what is asked for once more does not.
    let late = |hours: i64| NOW - Duration::hours(hours);
    let alone = |last| counts_from(last, &site.weights, later(12));
    let cases = [
        (None, late(50), late(49), alone(None)),
        (None, late(50), later(12), late(50)),
        (Some(&opened), late(2), later(12), late(2)),
        (Some(&opened), late(50), late(49), late(24)),
        (Some(&opened), late(50), later(12), late(50)),
        (Some(&closed), late(2), later(12), alone(Some(&closed))),
        (Some(&closed), late(50), later(12), late(50)),
        // What the one before it counted is asked for once more as well.
        (Some(&soon), first[0].time, later(11), first[0].time + Duration::MILLISECOND),
        (Some(&soon), later(3), later(11), later(3)),
        // Late by hours, and of before the end of that one, which did not see it.
        (Some(&soon), first[0].time, later(13), first[0].time),
    ];
    for (last, first, stored, expected) in cases {
        let found = counts_with(last, Came { first, stored }, &site.weights, later(12));
        assert_eq!(found, expected, "{first} {stored} {:?}", last.map(|last| last.incident.state));
    }
    let mut of_the_future = closed;
    of_the_future.event.end = Timestamp(datetime!(9999-12-31 23:59:59.999 UTC));
    assert!(counts_from(Some(&of_the_future), &site.weights, later(99)) <= later(99) + Duration::MILLISECOND);
}

#[test]
fn whoever_acts_as_what_an_incident_changed_or_changes_the_same_is_tied_to_it() {
    let site = Site::knowing(&[]);
    let mallory = [signal(0, "mallory", &[("a", "critical")], &[NOTEBOOK, ROLE])];
    let incident = site.judge(&mallory, None, NOW).unwrap();
    let cases = [
        (signal(1, NOTEBOOK, &[("b", "low")], &[]), true),
        (signal(1, "arn:aws:iam::111122223333:role/service-role/Exec", &[("b", "low")], &[]), true),
        (signal(1, "bob", &[("b", "low")], &[NOTEBOOK]), true),
        (signal(1, "bob", &[("b", "low")], &["mallory"]), true),
        // Everybody hands on this role.
        (signal(1, "bob", &[("b", "low")], &[ROLE]), false),
        (signal(1, "bob", &[("b", "low")], &[]), false),
    ];
    for (signal, expected) in cases {
        let tally = Tally::of([&signal]);
        assert_eq!(is_tied(&tally, &incident), expected, "{} with {:?}", signal.origin, signal.ties);
    }
}

#[test]
fn what_is_too_much_to_keep_is_said_and_the_findings_stay() {
    let mut signals: Vec<Signal> = (0..=i64::try_from(MOST).unwrap())
        .map(|minute| {
            let mut decoy = signal(minute % 50, "alice", &[("low", "low")], &[]);
            decoy.resource = Some(format!("decoy-{minute}"));
            decoy
        })
        .collect();
    signals.push(signal(59, "alice", &[("a", "critical")], &[]));
    let incident = Site::knowing(&[]).judge(&signals, None, NOW).unwrap().incident;
    assert_eq!((incident.cut, incident.resources.len()), (vec!["resources".to_owned()], MOST));
    assert_eq!(incident.worst[0], "Critical: Rule a");
    assert_eq!(incident.findings.iter().map(|it| it.count).collect::<Vec<_>>(), [1, MOST as u64 + 1]);
}

#[test]
fn the_sentence_says_who_is_behind_what_and_the_steps_name_them() {
    let mut signal = signal(0, "alice", &[("a", "critical"), ("b", "high")], &[]);
    signal.principal = "arn:aws:iam::111122223333:user/ci".to_owned();
    signal.message = "User ci opened it; matches Critical: Rule a.".to_owned();
    // What was done elsewhere is no step for this resource.
    let mut elsewhere = self::signal(1, "alice", &[("c", "high")], &[]);
    elsewhere.categories = vec!["log-tampering".to_owned()];
    elsewhere.resource = None;
    let incident = Site::knowing(&[]).judge(&[signal, elsewhere], None, NOW).unwrap();
    assert_eq!(
        incident.message,
        "Critical: User ci opened it; behind it is alice; 3 findings on 1 resource."
    );
    let steps = incident.incident.next;
    assert!(steps[0].contains("user ci"), "{steps:?}");
    assert!(steps[1].contains("script or image of notebook-instance/n as evidence"), "{steps:?}");
}

#[test]
fn the_step_about_a_session_names_its_role() {
    let mut signal = signal(0, "alice", &[("a", "critical")], &[]);
    signal.principal = "arn:aws:sts::111122223333:assumed-role/Deploy/botocore-session-1".to_owned();
    let steps = Site::knowing(&[]).judge(&[signal], None, NOW).unwrap().incident.next;
    assert!(steps[0].starts_with("Revoke the sessions of the role Deploy: "), "{steps:?}");
}

fn decide(documents: impl IntoIterator<Item = serde_json::Value>) -> Decided {
    let correlations = Correlations::default();
    let mut rounds = Rounds::new(Weights::built_in(), &correlations);
    for (number, document) in documents.into_iter().enumerate() {
        rounds.take("events", &number.to_string(), &document);
    }
    rounds.finish()
}

#[test]
fn rounds_page_once_for_a_story_and_join_who_is_tied_to_it() {
    let decided = decide([
        document(-9, "carol", &[("low", "low")], &[NOTEBOOK]),
        document(0, "mallory", &[("a", "high")], &[NOTEBOOK]),
        document(2, NOTEBOOK, &[("b", "critical")], &[]),
        document(3, "bob", &[("c", "low")], &[]),
        document(4, NOTEBOOK, &[("d", "critical")], &[]),
    ]);
    let severities: Vec<Severity> = decided.pages.iter().map(|page| page.severity).collect();
    assert_eq!((decided.incidents.len(), severities), (1, vec![Severity::High, Severity::Critical]));
    let incident = &decided.incidents[0].incident;
    assert_eq!(
        (&incident.origins[..], incident.signals),
        (&["carol", "mallory", NOTEBOOK].map(str::to_owned)[..], 4)
    );
}

#[test]
fn what_comes_in_one_round_is_put_together_and_named_after_whoever_acted_first() {
    const OTHER: &str = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/other";
    let at = |second: i64, origin, level, ties: &[&str]| {
        let mut document = document(0, origin, &[(origin, level)], ties);
        document["@timestamp"] = json!(crate::timestamp::format(NOW + Duration::seconds(second)));
        document
    };
    let alone = |origin, minute, ties: &[&str]| document(minute, origin, &[(origin, "critical")], ties);
    let cases = [
        // Neither the order of names nor what opens nothing by itself decides.
        (
            vec![at(0, "zoe", "low", &[NOTEBOOK]), at(1, "ann", "high", &[NOTEBOOK])],
            vec![("zoe", vec!["zoe", "ann"])],
        ),
        // What is critical comes first, and pages before all else is judged.
        (
            vec![at(0, "zoe", "low", &[NOTEBOOK]), at(1, "ann", "critical", &[NOTEBOOK])],
            vec![("ann", vec!["zoe", "ann"])],
        ),
        // Through somebody whom both are tied to.
        (
            vec![
                at(0, "zoe", "high", &[NOTEBOOK]),
                at(1, "bob", "low", &[NOTEBOOK, OTHER]),
                at(2, "ann", "high", &[OTHER]),
            ],
            vec![("zoe", vec!["zoe", "bob", "ann"])],
        ),
        (
            vec![at(0, "zoe", "critical", &[NOTEBOOK]), at(1, "ann", "critical", &[OTHER])],
            vec![("zoe", vec!["zoe"]), ("ann", vec!["ann"])],
        ),
        // Through somebody who came before, too little for an incident until then.
        (
            vec![
                alone("late", 0, &[]),
                document(1, "ann", &[("x", "low")], &[OTHER]),
                document(2, "bob", &[("y", "low")], &[OTHER, NOTEBOOK]),
                alone("zoe", 3, &[NOTEBOOK]),
            ],
            vec![("late", vec!["late"]), ("zoe", vec!["ann", "bob", "zoe"])],
        ),
        // Whoever is tied to two joins the one that was opened last.
        (
            vec![
                alone("zoe", 0, &[NOTEBOOK]),
                alone("ann", 1, &[OTHER]),
                alone("bob", 2, &[NOTEBOOK, OTHER]),
            ],
            vec![("zoe", vec!["zoe"]), ("ann", vec!["ann", "bob"])],
        ),
    ];
    for (documents, expected) in cases {
        let incidents = decide(documents).incidents;
        let named = |it: &Incident| (it.incident.origin.clone(), it.incident.origins.clone());
        let told: Vec<_> = incidents.iter().map(named).collect();
        let expected = expected.into_iter().map(|(name, origins)| {
            (name.to_owned(), origins.into_iter().map(str::to_owned).collect::<Vec<_>>())
        });
        assert_eq!(told, expected.collect::<Vec<_>>());
    }
}

#[test]
fn what_happens_each_week_is_usual_and_pages_once() {
    let decided = decide((0..3).map(|week| document(week * 7 * 24 * 60, "alice", &[("a", "high")], &[])));
    assert_eq!(decided.pages.len(), 1);
}

proptest! {
    #[test]
    fn neither_the_order_of_signals_nor_what_is_read_twice_decides_an_incident(order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let signals: Vec<Signal> = (0..60)
            .map(|minute| {
                let rule = format!("rule-{}", minute % 7);
                let level = ["low", "medium", "high", "critical"][usize::try_from(minute % 4).unwrap()];
                let mut signal = signal(minute, "alice", &[(&rule, level)], &[]);
                signal.resource = Some(format!("resource-{minute}"));
                signal
            })
            .collect();
        let shuffled: Vec<Signal> = order.iter().map(|place| signals[*place].clone()).collect();
        let site = Site::knowing(&[]);
        prop_assert_eq!(site.judge(&shuffled, None, NOW), site.judge(&signals, None, NOW));
    }
}

#[test]
fn a_drill_is_an_incident_of_its_own_that_says_so_and_comes_once() {
    let site = Site::knowing(&[]);
    let origin = "drill:20261103-120000-0a1b2c3d";
    let mut drill = signal(0, origin, &[("a", "critical")], &[]);
    drill.message = "Drill: role/fire-drill opened a group; matches more.".to_owned();
    let opened = site.judge(std::slice::from_ref(&drill), None, NOW).unwrap();
    assert_eq!(opened.message, "Drill: Critical: role/fire-drill opened a group.");
    assert_eq!(opened.incident.drill.as_ref().unwrap().id, "20261103-120000-0a1b2c3d");
    assert!(opened.incident.next[0].starts_with("Nothing: this is a drill"), "{:?}", opened.incident.next);

    // Somebody who changed the same resource stays somebody else.
    let others = [signal(0, "alice", &[("a", "critical")], &[NOTEBOOK])];
    let ordinary = site.judge(&others, None, NOW).unwrap();
    assert!(ordinary.incident.drill.is_none() && !is_tied(&Tally::of([&drill]), &ordinary));

    // Nothing that is found late opens another, and nobody has to close it.
    let closed = opened.closed(NOW);
    assert_eq!(closed.incident.state, State::Closed);
    let late = signal(90, origin, &[("b", "critical")], &[]);
    assert_eq!(site.judge(&[drill, late], Some(&closed), NOW + Duration::hours(1)), None);
    let minutes = |minutes| rest(&opened, &site.weights, NOW + Duration::minutes(minutes));
    assert_eq!((minutes(59), minutes(60).map(|it| it.incident.state)), (None, Some(State::Closed)));
}
