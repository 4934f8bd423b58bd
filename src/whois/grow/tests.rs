use std::collections::BTreeMap;

use sagetrail_core::memory::Stamp;

use super::*;
use crate::whois::tree::Report;

/// What memory holds, which answers as the searches do.
#[derive(Default)]
struct Held(BTreeMap<Key, State>);

fn resource(kind: &str, name: &str) -> String {
    format!("arn:aws:sagemaker:eu-west-1:111122223333:{kind}/{name}")
}

impl Held {
    fn with(mut self, key: Key, fields: &[(&str, &[&str])]) -> Self {
        let state = self.0.entry(key).or_default();
        for (field, values) in fields {
            state.say(field, &Stamp::ALWAYS, values.iter().copied());
        }
        self
    }

    /// Resources with what they are made of.
    fn made_of(self, resources: &[(&str, &[&str])]) -> Self {
        resources.iter().fold(self, |held, (arn, uses)| held.with(Key::resource(arn), &[("uses", uses)]))
    }

    fn has(&self, field: &str, value: &str) -> Vec<(Key, State)> {
        let has =
            |state: &State| state.values(field).is_some_and(|values| values.iter().any(|it| it == value));
        self.0
            .iter()
            .filter(|(_, state)| has(state))
            .map(|(key, state)| (key.clone(), state.clone()))
            .collect()
    }

    fn answer(&self, question: &Question) -> Vec<(Key, State)> {
        match question {
            Question::Of(key) => {
                self.0.get(key).map(|state| (key.clone(), state.clone())).into_iter().collect()
            }
            Question::StandingOn(key) => {
                [self.has("uses", &key.id), self.has("configuration.role", &key.id)].concat()
            }
            Question::IssuedWith(access_key) => self.has("issued.key", access_key),
            Question::MadeWith(access_key) => self.has("created.key", access_key),
            Question::IssuedFor(person) => self.has("issued.person", person),
            Question::MadeFor(person) => self.has("created.person", person),
            _ => Vec::new(),
        }
    }

    fn grow(&self, root: &Thing, bounds: Bounds) -> Report {
        let mut store = Store::default();
        for _ in 0..100 {
            let Grown { root, wanted, cut } = grow(root, &store, bounds);
            if wanted.is_empty() {
                return Report { asked: String::new(), root, cut, read: Vec::new() };
            }
            for question in wanted {
                let found = self.answer(&question);
                let total = found.len() as u64;
                store.take(question, found, total);
            }
        }
        panic!("it is never whole")
    }
}

fn lines(report: &Report) -> Vec<String> {
    report.to_string().lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_resource_has_what_it_stands_on_below_and_what_it_carries_and_each_thing_once() {
    let (model, config) = (resource("model", "m"), resource("endpoint-config", "c"));
    let (first, second) = (resource("endpoint", "one"), resource("endpoint", "two"));
    let role = "arn:aws:iam::111122223333:role/exec";
    let held = Held::default()
        .with(Key::resource(role), &[("resource.type", &["role"]), ("execution_role", &["true"])])
        .with(Key::resource(&model), &[("configuration.role", &[role])])
        .made_of(&[(&config, &[&model]), (&first, &[&config]), (&second, &[&config])]);
    let of_config = held.grow(&Thing::Kept(Key::resource(&config)), Bounds::default());
    assert_eq!(
        lines(&of_config),
        [
            format!("resource {config}"),
            "stands on:".to_owned(),
            format!("resource {model}"),
            "stands on:".to_owned(),
            format!("role {role}"),
            "carries:".to_owned(),
            format!("resource {first}"),
            format!("resource {second}"),
        ]
    );
    let of_role = held.grow(&Thing::Kept(Key::resource(role)), Bounds::default());
    let text = of_role.to_string();
    for (name, indent) in [(&model, 4), (&config, 8), (&first, 12), (&second, 12)] {
        assert!(text.contains(&format!("\n{:indent$}resource {name}\n", "")), "{name} in {text}");
    }
    assert_eq!(of_role.cut, None);
}

#[test]
fn a_circle_ends_and_says_where_the_thing_stands() {
    let [a, b, c] = ["a", "b", "c"].map(|name| resource("model", name));
    let held = Held::default().made_of(&[(&a, &[&b]), (&b, &[&c]), (&c, &[&a])]);
    let report = held.grow(&Thing::Kept(Key::resource(&a)), Bounds::default());
    let text = report.to_string();
    // It is reached from both sides.
    assert_eq!(text.matches(" (see elsewhere in this tree)").count(), 2, "{text}");
    for name in [&a, &b, &c] {
        assert_eq!(text.matches(&format!("resource {name}")).count(), 1, "{name} in {text}");
    }
    assert_eq!(report.cut, None);
}

#[test]
fn a_session_is_followed_to_the_person_or_to_the_link_that_is_missing() {
    let issued = |held: Held, key: &str, by: &str, with: &str, person: &[&str]| {
        held.with(
            Key::session(key),
            &[
                ("issued.by", &[by]),
                ("issued.key", &[with]),
                ("issued.person", person),
                ("issued.from", &["203.0.113.5"]),
            ],
        )
    };
    let held = issued(Held::default(), "ASIA1", "arn:aws:sts::1:assumed-role/ops/x", "ASIA2", &[]);
    let root = Thing::Kept(Key::session("ASIA1"));
    let text = held.grow(&root, Bounds::default()).to_string();
    assert!(text.contains("not known: the call that issued ASIA2"), "{text}");
    assert!(text.contains("origin is missing  the call that issued ASIA2"), "{text}");

    let held = issued(held, "ASIA2", "arn:aws:sts::1:assumed-role/sso/carol", "ASIA3", &["carol"]);
    let report = held.grow(&root, Bounds::default());
    let text = report.to_string();
    assert!(text.contains("origin       carol"), "{text}");
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(place("temporary key ASIA1") < place("temporary key ASIA2"));
    assert!(place("temporary key ASIA2") < place("person or workload carol"));
    // From the other end.
    let text = held.grow(&Thing::Person("carol".to_owned()), Bounds::default()).to_string();
    assert!(text.contains("      issued the temporary keys:\n        temporary key ASIA1"), "{text}");
}

#[test]
fn a_bound_cuts_off_what_is_farthest_and_is_named() {
    let names: Vec<String> = (0..9).map(|number| resource("model", &format!("m{number}"))).collect();
    let held = names.windows(2).fold(Held::default(), |held, pair| held.made_of(&[(&pair[0], &[&pair[1]])]));
    let root = Thing::Kept(Key::resource(&names[0]));
    let deep = held.grow(&root, Bounds { levels: 3, ..Bounds::default() });
    let text = deep.to_string();
    assert!(text.contains(&format!("resource {}", names[3])), "{text}");
    assert!(
        text.contains(&format!("{} (and what is beyond)", names[4])) && !text.contains(&names[5]),
        "{text}"
    );
    assert_eq!(deep.cut.as_deref(), Some("it is followed for 3 levels"));
    assert!(text.ends_with("\nThis is not all: it is followed for 3 levels.\n"), "{text}");

    let wide = held
        .made_of(&[(&resource("endpoint", "e"), &[&names[0]])])
        .grow(&root, Bounds { things: 3, ..Bounds::default() });
    assert_eq!(wide.cut.as_deref(), Some("it has 3 things at most"));
    assert!(wide.to_string().contains("endpoint/e"), "what is near comes first");
}

#[test]
fn a_hostile_name_stays_on_its_line_and_cannot_move_the_cursor_or_pass_for_another() {
    let hostile = "x\n\u{1b}[2Jnot known: nobody\r\u{202e}nimda\u{200b}";
    let held = Held::default()
        .with(Key::session("ASIA1"), &[("issued.by", &[hostile]), ("issued.person", &[hostile])])
        .with(
            Key::resource(&resource("model", hostile)),
            &[("created.key", &["ASIA1"]), ("resource.type", &[hostile])],
        );
    let text = held.grow(&Thing::Kept(Key::session("ASIA1")), Bounds::default()).to_string();
    assert!(!text.replace('\n', "").contains(is_hidden), "{text:?}");
    assert!(text.lines().all(|line| !line.trim_start().starts_with("not known: nobody")), "{text}");
    assert!(text.contains("\\u{202e}nimda\\u{200b}"), "{text}");
}

fn is_hidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202e}' | '\u{200b}')
}

#[test]
fn what_nothing_is_known_of_is_bare_whatever_its_name_tells() {
    let held = Held::default();
    for root in [
        Thing::Kept(Key::session("ASIA1")),
        Thing::Kept(Key::resource(&resource("model", "m"))),
        Thing::Session("arn:aws:sts::111122223333:assumed-role/exec/s".to_owned()),
        Thing::Person("nobody".to_owned()),
    ] {
        assert!(held.grow(&root, Bounds::default()).root.is_bare(), "{root:?}");
    }
    // A key is known by what was made with it, though not who asked for it.
    let held = held.with(Key::resource(&resource("model", "m")), &[("created.key", &["ASIA1"])]);
    let report = held.grow(&Thing::Kept(Key::session("ASIA1")), Bounds::default());
    assert!(!report.root.is_bare());
    assert!(report.to_string().contains("not known: the call that issued ASIA1"));
}
