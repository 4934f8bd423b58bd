//! When an incident that has paged pages again.

use super::*;

const SHARED: &[&str] = &[NOTEBOOK];

type Deed<'d> = (i64, &'d str, &'d [(&'d str, &'d str)], &'d [&'d str]);

/// The minutes of all pages and their sentences.
fn pages(deeds: &[Deed<'_>]) -> Vec<(i64, String)> {
    let documents = deeds.iter().map(|(minute, who, findings, ties)| document(*minute, who, findings, ties));
    let decided = decide(documents);
    assert_eq!(decided.incidents.len(), 1, "{:#?}", decided.incidents);
    let minute = |page: &Page| (page.time.0 - (NOW - Duration::hours(1))).whole_minutes();
    decided.pages.iter().map(|page| (minute(page), page.sentence.clone())).collect()
}

const A: &[(&str, &str)] = &[("a", "critical")];
const B: &[(&str, &str)] = &[("b", "critical")];
const C: &[(&str, &str)] = &[("c", "critical")];

#[test]
fn somebody_who_joins_pages_where_what_they_did_would_open_an_incident_and_nobody_else_does() {
    const ALARM: Deed<'_> = (0, "alice", &[("a", "critical")], SHARED);
    const TOUCH: Deed<'_> = (300, "bob", &[("x", "low")], SHARED);
    let cases: [(&str, Vec<Deed<'_>>, Vec<i64>); 7] = [
        ("the same critical rule", vec![ALARM, TOUCH, (301, "bob", &[("a", "critical")], &[])], vec![0, 301]),
        (
            "each once",
            vec![ALARM, (300, "bob", &[("a", "critical")], SHARED), (400, "bob", &[("a", "critical")], &[])],
            vec![0, 300],
        ),
        (
            "high findings",
            vec![ALARM, TOUCH, (301, "bob", &[("b", "high"), ("c", "high")], &[])],
            vec![0, 301],
        ),
        (
            "several together",
            vec![ALARM, (300, "bob", &[("b", "medium")], SHARED), (301, "carol", &[("c", "medium")], SHARED)],
            vec![0, 301],
        ),
        ("within the first hour", vec![ALARM, (30, "bob", &[("a", "critical")], SHARED)], vec![0, 60]),
        ("too little", vec![ALARM, TOUCH, (301, "bob", &[("y", "low"), ("z", "low")], &[])], vec![0]),
        ("whoever was told", vec![ALARM, (300, "alice", &[("a", "critical")], SHARED)], vec![0]),
    ];
    for (what, deeds, expected) in cases {
        let pages = pages(&deeds);
        assert_eq!(
            pages.iter().map(|(minute, _)| *minute).collect::<Vec<_>>(),
            expected,
            "{what}: {pages:#?}"
        );
        if let (Some((_, sentence)), false) = (pages.get(1), what == "several together") {
            assert!(
                sentence.starts_with("Critical: bob did it; it joins the incident of alice"),
                "{sentence}"
            );
        }
    }
}

#[test]
fn a_critical_rule_that_comes_too_soon_pages_when_the_last_page_is_an_hour_old() {
    let critical = |minute, rule: &'static [(&'static str, &'static str)]| (minute, "alice", rule, SHARED);
    let cases = [
        ("and nothing after it", vec![critical(0, A), critical(30, B)], vec![0, 60]),
        ("and again", vec![critical(0, A), critical(30, B), critical(180, B), critical(480, B)], vec![0, 60]),
        ("several are one page", vec![critical(0, A), critical(30, B), critical(40, C)], vec![0, 60]),
        (
            "a third soon after the second page",
            vec![critical(0, A), critical(30, B), critical(70, C)],
            vec![0, 60],
        ),
        (
            "and once more",
            vec![critical(0, A), critical(30, B), critical(70, C), critical(130, C)],
            vec![0, 60, 130],
        ),
        ("the same rule is none", vec![critical(0, A), critical(30, A), critical(90, A)], vec![0]),
    ];
    for (what, deeds, expected) in cases {
        let pages = pages(&deeds);
        assert_eq!(
            pages.iter().map(|(minute, _)| *minute).collect::<Vec<_>>(),
            expected,
            "{what}: {pages:#?}"
        );
    }
}

#[test]
fn what_an_earlier_release_wrote_has_told_all_that_it_holds() {
    let site = Site::knowing(&[]);
    let mut signals = vec![
        signal(0, "alice", &[("a", "critical")], SHARED),
        signal(1, "bob", &[("b", "critical")], SHARED),
    ];
    let mut before = site.judge(&signals, None, NOW).unwrap();
    before.incident.told = None;
    let stored: Incident = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    assert_eq!(stored, before);
    let later = NOW + Duration::hours(2);
    let decide = |signals: &[Signal], last: &Incident| {
        let untold = untold(last, ["alice", "bob", "carol"].map(str::to_owned).iter());
        assert_eq!(untold, ["carol"]);
        site.judge(signals, Some(last), later).unwrap().incident
    };
    signals.push(signal(150, "bob", &[("b", "critical")], SHARED));
    assert_eq!(decide(&signals, &stored).pages, 1);
    signals.push(signal(151, "bob", &[("c", "critical")], SHARED));
    let paged = decide(&signals, &stored);
    assert_eq!((paged.pages, paged.reason.as_str()), (2, "A critical finding: Rule c"));
    assert_eq!(paged.told.unwrap().rules, ["a", "b", "c"]);
}

#[test]
fn a_page_that_comes_late_keeps_its_incident_open_until_somebody_could_see_it() {
    let site = Site::knowing(&[]);
    let signals = [signal(0, "alice", &[("a", "critical")], &[])];
    let opened = site.judge(&signals, None, NOW).unwrap();
    let more = [&signals[..], &[signal(70, "alice", &[("b", "critical")], &[])]].concat();
    let soon = site.judge(&more, Some(&opened), NOW + Duration::minutes(10)).unwrap();
    assert_eq!((soon.incident.pages, soon.due()), (1, Some(NOW + Duration::hours(1))));
    // Nobody looked for two days.
    let after = NOW + Duration::days(2);
    let paged = rest(&soon, &site.weights, after).unwrap();
    assert_eq!((paged.incident.state, paged.incident.pages, paged.due()), (State::Escalated, 2, None));
    assert_eq!(paged.incident.page, format!("{}/2", paged.incident.id));
    assert_eq!(rest(&paged, &site.weights, after + Duration::hours(1)), None);
    assert_eq!(site.judge(&more, Some(&paged), after + Duration::hours(1)), None);
}
