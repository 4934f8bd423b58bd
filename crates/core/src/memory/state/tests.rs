use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::*;
use crate::memory::{Key, NEWEST, OLDEST, Told};

const TEXTS: [&str; 6] = ["", "a", "b", "\u{1F980}", "\u{FF00}", "\u{10FFFF}"];
const STAMPS: [&str; 4] = ["", "2026-11-03", "2026-11-03T01:12:03.000Z a", "2026-11-03T01:12:03.000Z b"];

fn stamp(text: &str) -> Stamp {
    serde_json::from_value(json!(text)).unwrap()
}

fn stamps() -> impl Strategy<Value = Stamp> {
    select(&STAMPS[..]).prop_map(stamp)
}

fn said(values: std::ops::Range<usize>) -> impl Strategy<Value = Sorted<Said>> {
    let said = (stamps(), vec(select(&TEXTS[..]), values));
    let said = said.prop_map(|(at, is): (Stamp, Vec<&str>)| Said {
        at,
        is: is.into_iter().map(str::to_owned).collect(),
    });
    btree_map("[xyz]", said, 0..3).prop_map(sorted)
}

fn sorted<T>(entries: BTreeMap<String, T>) -> Sorted<T> {
    entries.into_iter().map(|(name, value)| (name.into(), value)).collect::<BTreeMap<_, _>>().into()
}

fn members_of(stamps: &BTreeMap<String, Stamp>) -> Members {
    let mut members = Members::default();
    for (member, at) in stamps {
        members.insert(member, at.clone());
    }
    members
}

/// Sets of which some have more members than are kept once they are joined.
fn sets(most: usize) -> impl Strategy<Value = Sorted<Arc<Members>>> {
    let member = (select(&TEXTS[..]), 0..most).prop_map(|(text, number)| format!("{text}{number}"));
    let members = btree_map(member, stamps(), 1..most).prop_map(|members| Arc::new(members_of(&members)));
    btree_map("[st]", members, 0..2).prop_map(sorted)
}

/// A state as joins leave it: no set is over its cap.
fn states() -> impl Strategy<Value = State> {
    (said(0..3), said(1..2), sets(2 * NEWEST), sets(2 * OLDEST)).prop_map(
        |(latest, earliest, newest, oldest)| {
            joined(&State::default(), &State { latest, earliest, newest, oldest })
        },
    )
}

fn joined(a: &State, b: &State) -> State {
    let mut joined = a.clone();
    joined.join(b);
    joined
}

/// All that a state knows, as if one record told it.
fn told(state: &State) -> Told<'_> {
    let mut told = Told::about(Key::resource("arn"));
    for (field, Said { at, is }) in state.latest.iter() {
        told.say_all(field, at, is.iter().map(Cow::from).collect());
    }
    for (field, Said { at, is }) in state.earliest.iter() {
        told.say_first(field, at, is[0].as_str());
    }
    for (set, members) in state.newest.iter() {
        for (member, at) in members.by_name().iter() {
            told.add_newest(set, at, member);
        }
    }
    for (set, members) in state.oldest.iter() {
        for (member, at) in members.by_name().iter() {
            told.add_oldest(set, at, member);
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_grouping_nor_repetition_decides_what_is_known(a in states(), b in states(), c in states()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a.clone());
        prop_assert_eq!(joined(&joined(&a, &b), &a), joined(&a, &b));
    }

    #[test]
    fn a_join_says_that_something_is_new_exactly_when_it_is(a in states(), b in states()) {
        let mut both = a.clone();
        let is_new = both.join(&b);
        prop_assert_eq!(is_new, both != a);
        prop_assert_eq!(is_new, !a.knows(&b), "it can be told beforehand");
        prop_assert!(!both.join(&b), "it is known now");
        prop_assert!(!both.join(&a), "so is what was there before");
    }

    #[test]
    fn what_is_told_in_the_texts_of_a_record_is_known_exactly_when_the_fact_of_it_is(a in states(), b in states()) {
        let told = told(&b);
        let without = |state: &State| {
            let mut told = told.clone();
            told.leave_out(state);
            told
        };
        prop_assert_eq!(without(&a).is_empty(), a.knows(&b));
        prop_assert!(without(&joined(&a, &b)).is_empty());
        prop_assert_eq!(&*without(&State::default()).into_fact().state, &b);
    }

    #[test]
    fn what_is_left_out_because_others_told_it_is_not_missed(a in states(), b in states(), c in states()) {
        let mut told = told(&c);
        told.leave_out(&a);
        told.leave_out(&b);
        let others = joined(&a, &b);
        prop_assert_eq!(joined(&others, &told.into_fact().state), joined(&others, &c));
    }

    #[test]
    fn a_shuffled_and_doubled_history_ends_in_the_same_document(
        facts in vec(states(), 1..6),
        order in vec(any::<Index>(), 0..12),
    ) {
        let in_order = facts.iter().fold(State::default(), |known, fact| joined(&known, fact));
        let extra: Vec<&State> = order.iter().map(|index| index.get(&facts)).collect();
        let history = extra.into_iter().chain(facts.iter().rev());
        let shuffled = history.fold(State::default(), |known, fact| joined(&known, fact));
        prop_assert_eq!(in_order.document().to_string(), shuffled.document().to_string());
    }

    #[test]
    fn a_state_is_read_back_from_its_document(state in states()) {
        let document = state.document();
        prop_assert_eq!(serde_json::from_value::<State>(document[FIELD].clone()).unwrap(), state);
    }
}

fn numbered(number: usize) -> Stamp {
    stamp(&format!("{number:05}"))
}

#[test]
fn a_set_keeps_the_members_at_its_end_and_of_one_stamp_the_lesser_names() {
    let mut known = State::default();
    for number in 0..10 * OLDEST {
        let mut told = State::default();
        told.add_newest("late", &numbered(number), format!("{number:05}"));
        told.add_oldest("early", &numbered(number), format!("{number:05}"));
        told.add_newest("same", &numbered(0), format!("{:05}", 10 * OLDEST - number));
        known.join(&told);
    }
    let names =
        |set: &str| known.members(set).map(|(name, _)| name.parse::<usize>().unwrap()).collect::<Vec<_>>();
    assert_eq!(names("late"), (10 * OLDEST - NEWEST..10 * OLDEST).collect::<Vec<_>>());
    assert_eq!(names("early"), (0..OLDEST).collect::<Vec<_>>());
    assert_eq!(names("same"), (1..=NEWEST).collect::<Vec<_>>());
    assert_eq!(known.seen("early", "00000"), Seen::At(&numbered(0)));
    assert_eq!(known.seen("early", "00999"), Seen::Unknown);
    assert_eq!(known.seen("none", "00999"), Seen::Never);
}

#[test]
fn the_later_word_counts_or_the_earlier_and_an_empty_one_says_that_there_is_nothing() {
    let mut known = State::default();
    for (at, value) in [("2", vec!["b"]), ("1", vec!["a"]), ("2", vec!["c", "d"])] {
        let mut told = State::default();
        told.say("last", &stamp(at), value.clone());
        told.say_first("first", &stamp(at), value[0]);
        known.join(&told);
    }
    assert_eq!(known.values("last").unwrap(), ["c", "d"]);
    assert_eq!(known.value("first"), Some("a"));
    let mut gone = State::default();
    gone.say("last", &stamp("3"), Vec::<String>::new());
    known.join(&gone);
    assert_eq!(known.values("last"), Some(&[][..]));
    assert_eq!(known.document()["last"], Value::Null);
    assert_eq!(known.document()["first"], "a");
}

#[test]
fn a_list_of_members_is_in_the_order_of_units_of_utf_16_as_javas_is() {
    let mut state = State::default();
    for member in ["\u{FF00}", "\u{1F980}", "z"] {
        state.add_newest("set", &Stamp::ALWAYS, member);
    }
    assert_eq!(state.document()["set"], json!(["z", "\u{1F980}", "\u{FF00}"]));
}
