use time::Duration;
use time::macros::datetime;

use super::*;
use crate::incident::Weights;

const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

fn trouble(subject: &str) -> Trouble {
    Trouble {
        subject: subject.to_owned(),
        account: Some("111122223333".to_owned()),
        region: None,
        since: NOW - Duration::hours(2),
        last: NOW - Duration::hours(1),
        records: 4,
        said: format!("{subject} is silent"),
    }
}

fn told(
    rule: HealthRule,
    trouble: &Trouble,
    last: Option<&Incident>,
    now: OffsetDateTime,
) -> Option<Incident> {
    tell(rule, trouble, last, Weights::built_in().health(rule), now)
}

#[test]
fn a_trouble_is_one_incident_until_it_is_over_and_comes_again_as_one_that_names_the_old() {
    let rule = HealthRule::Silence;
    let opened = told(rule, &trouble("a"), None, NOW).unwrap();
    assert_eq!(opened.message, "High: a is silent.");
    assert_eq!((opened.incident.kind, opened.incident.state), (Topic::Health, State::Open));
    assert!(opened.incident.next.last().unwrap().starts_with("Runbook: https://"));
    assert_eq!(opened.incident.origins, Vec::<String>::new(), "nobody is tied to it");
    assert_eq!(told(rule, &trouble("a"), Some(&opened), NOW + Duration::minutes(1)), None, "nothing is new");

    let more = Trouble { records: 5, last: NOW, ..trouble("a") };
    let grown = told(rule, &more, Some(&opened), NOW + Duration::minutes(1)).unwrap();
    assert_eq!(
        (&grown.incident.id, &grown.incident.page, grown.incident.opened, grown.event.start),
        (&opened.incident.id, &opened.incident.page, opened.incident.opened, opened.event.start),
        "it pages once"
    );
    let closed = close(&grown, Weights::built_in().health(rule), NOW + Duration::minutes(2)).unwrap();
    assert!(!closed.is_standing());
    let again = told(rule, &trouble("a"), Some(&closed), NOW + Duration::hours(3)).unwrap();
    assert_eq!(again.incident.follows.as_ref(), Some(&opened.incident.id));
    assert_ne!(again.incident.page, opened.incident.page);
    // Whoever decides comes to the same ids.
    assert_eq!(told(rule, &trouble("a"), None, NOW).unwrap().incident.id, opened.incident.id);
    assert_ne!(told(HealthRule::Lag, &trouble("a"), None, NOW).unwrap().incident.id, opened.incident.id);
    assert_ne!(told(rule, &trouble("b"), None, NOW).unwrap().incident.id, opened.incident.id);
}

#[test]
fn what_has_to_be_well_for_a_while_closes_after_it() {
    let weights = Weights::built_in();
    let lag = told(HealthRule::Lag, &Trouble { last: NOW, ..trouble("a") }, None, NOW).unwrap();
    let weight = weights.health(HealthRule::Lag);
    assert_eq!(close(&lag, weight, NOW + Duration::minutes(14)), None);
    assert!(close(&lag, weight, NOW + Duration::minutes(15)).is_some());
}

#[test]
fn what_goes_wrong_at_many_places_at_once_is_one_trouble_and_what_stood_before_stays_apart() {
    let named =
        |count: usize| (0..count).map(|number| trouble(&format!("place-{number:02}"))).collect::<Vec<_>>();
    assert_eq!(put_apart(named(MOST_APART), &[]).len(), MOST_APART);

    let many = put_apart(named(MOST_APART + 1), &[]);
    assert_eq!((many.len(), many[0].subject.as_str(), many[0].records), (1, SEVERAL, 44));
    let expected = "place-00 is silent; the same at 11 places: place-00, place-01, place-02 and 8 more";
    assert_eq!(many[0].said, expected);

    let first = told(HealthRule::Silence, &trouble("place-03"), None, NOW).unwrap();
    let several = told(HealthRule::Silence, &many[0], None, NOW).unwrap();
    let subjects = |troubles: Vec<Trouble>| troubles.into_iter().map(|it| it.subject).collect::<Vec<_>>();
    assert_eq!(subjects(put_apart(named(20), &[&first])), ["place-03", SEVERAL]);
    // As it gets better nobody is paged for each that is left.
    assert_eq!(subjects(put_apart(named(5), &[&first, &several])), ["place-03", SEVERAL]);
    assert_eq!(subjects(put_apart(Vec::new(), &[&several])), Vec::<String>::new());
}

#[test]
fn each_rule_has_a_severity_with_a_reason_steps_and_a_runbook() {
    use strum::VariantArray;
    for rule in HealthRule::VARIANTS {
        let weight = Weights::built_in().health(*rule).clone();
        assert!(!weight.reason.is_empty() && !weight.next.is_empty(), "{rule:?}");
        let anchor = format!("/docs/operations.md#{}", <&str>::from(rule));
        assert!(weight.runbook.ends_with(&anchor), "{rule:?}");
        // The plugin's monitors page for these two.
        assert!(weight.severity >= crate::enrich::Severity::High, "{rule:?} would page nobody");
    }
}
