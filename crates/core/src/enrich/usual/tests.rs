use time::macros::datetime;

use super::*;
use crate::memory::OLDEST;

const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

fn pair<'m>(set: &'static str, member: &'m str) -> Usual<'m> {
    Usual { set, name: "pair", member: member.into() }
}

fn novelty(
    pair: &Usual<'_>,
    identity: Option<&State>,
    account: Option<&State>,
    now: OffsetDateTime,
) -> Novelty {
    Experience::of(identity, account, now).novelty(pair)
}

/// An identity that is known since a day of November.
fn since(day: u8) -> State {
    let mut state = State::default();
    let at = datetime!(2026-11-01 09:00 UTC).replace_day(day).unwrap();
    state.say_first(FIRST_SEEN, &Stamp::at(at), timestamp::format(at));
    state
}

fn with(mut state: State, set: &str, member: &str, day: u8) -> State {
    let at = datetime!(2026-11-01 10:00 UTC).replace_day(day).unwrap();
    state.add_oldest(set, &Stamp::at(at), member);
    state
}

#[test]
fn something_is_new_or_usual_only_for_whom_is_known_for_long_enough() {
    let cases = [
        (Some(since(18)), None, Novelty::TooEarly),
        (Some(since(2)), None, Novelty::First),
        (Some(with(since(2), "networks", "n", 3)), None, Novelty::Usual),
        (Some(with(since(2), "networks", "another", 3)), None, Novelty::First),
        (None, None, Novelty::TooEarly),
        // A new identity is measured by its account, and one that is known by itself.
        (None, Some(with(since(2), "networks", "n", 3)), Novelty::Usual),
        (Some(since(2)), Some(with(since(2), "networks", "n", 3)), Novelty::First),
    ];
    for (number, (identity, account, expected)) in cases.into_iter().enumerate() {
        let found = novelty(&pair("networks", "n"), identity.as_ref(), account.as_ref(), NOW);
        assert_eq!(found, expected, "case {number}");
    }
}

#[test]
fn what_colleagues_share_is_new_only_when_the_account_never_had_it() {
    let (identity, account) = (since(2), with(since(2), "buckets", "b", 3));
    assert_eq!(novelty(&pair("buckets", "b"), Some(&identity), Some(&account), NOW), Novelty::Usual);
    assert_eq!(novelty(&pair("buckets", "c"), Some(&identity), Some(&account), NOW), Novelty::First);
}

#[test]
fn what_a_colleague_does_with_a_thing_is_not_usual_for_a_stranger() {
    let account = with(since(2), "passed_roles", "r", 3);
    for (identity, expected) in [
        (None, Novelty::TooEarly),
        (Some(with(since(18), "passed_roles", "r", 18)), Novelty::TooEarly),
        (Some(with(since(2), "passed_roles", "r", 3)), Novelty::Usual),
    ] {
        assert_eq!(novelty(&pair("passed_roles", "r"), identity.as_ref(), Some(&account), NOW), expected);
    }
    assert_eq!(novelty(&pair("passed_roles", "other"), None, Some(&account), NOW), Novelty::First);
}

#[test]
fn what_came_with_a_finding_is_not_usual_before_it_was_there_for_long_enough() {
    let flagged = |day: u8| {
        let mut state = with(since(2), "networks", "n", 17);
        let at = datetime!(2026-11-01 00:00 UTC).replace_day(day).unwrap();
        state.add_newest(FLAGGED, &Stamp::of_day(at), crate::memory::day(at));
        state
    };
    for (state, now, expected) in [
        (flagged(17), NOW, Novelty::First),
        (flagged(16), NOW, Novelty::First),
        (flagged(17), datetime!(2026-11-22 10:00 UTC), Novelty::Usual),
        (flagged(12), NOW, Novelty::Recent),
        // A finding of later says nothing of what was there before.
        (flagged(18), NOW, Novelty::Recent),
    ] {
        assert_eq!(novelty(&pair("networks", "n"), Some(&state), None, now), expected, "{now}");
    }
}

#[test]
fn what_was_begun_is_neither_new_nor_usual_until_it_has_been_there_for_as_long_as_a_caller_has_to_be_known() {
    let (identity, account) = (with(since(2), "networks", "n", 15), with(since(2), "buckets", "b", 15));
    for (now, expected) in [
        (datetime!(2026-11-15 10:00 UTC), Novelty::First),
        (datetime!(2026-11-15 10:01 UTC), Novelty::Recent),
        (datetime!(2026-11-20 9:59 UTC), Novelty::Recent),
        (datetime!(2026-11-20 10:00 UTC), Novelty::Usual),
    ] {
        assert_eq!(novelty(&pair("networks", "n"), Some(&identity), None, now), expected, "{now}");
        assert_eq!(novelty(&pair("buckets", "b"), Some(&since(2)), Some(&account), now), expected, "{now}");
    }
}

#[test]
fn of_a_full_set_it_is_said_that_nothing_can_be_said() {
    let full = (0..OLDEST).fold(since(2), |state, number| with(state, "networks", &number.to_string(), 3));
    assert_eq!(novelty(&pair("networks", "n"), Some(&full), None, NOW), Novelty::Forgotten);
    assert_eq!(novelty(&pair("networks", "7"), Some(&full), None, NOW), Novelty::Usual);
}

#[test]
fn a_record_does_not_make_itself_usual() {
    let mut state = since(2);
    state.add_oldest("networks", &Stamp::at(NOW), "n");
    assert_eq!(novelty(&pair("networks", "n"), Some(&state), None, NOW), Novelty::First);
}
