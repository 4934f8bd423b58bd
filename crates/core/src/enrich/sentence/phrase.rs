//! Puts what a call did into words, from its name and from `config/sentence.toml`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json_borrow::Value;

use crate::enrich::arn::name_in_arn;
use crate::enrich::kind::Kinds;
use crate::enrich::quoted::{cut, quoted};
use crate::enrich::resource::Resource;
use crate::record::{Record, member};

/// A verb in the two forms that sentences need, and what it was done to.
pub struct Phrase {
    pub past: String,
    pub base: String,
    pub object: String,
}

impl Phrase {
    /// Words a call: as the file has it for that call, or else from the verb and the noun in its name.
    pub fn of(record: &Record<'_>, resource: Option<&Resource<'_>>) -> Self {
        let (service, event_name) = (service(record), record.event_name());
        if let Some(call) = WORDING.calls.get(service).and_then(|calls| calls.get(event_name)) {
            return call.phrase(record.at(&["requestParameters"]));
        }
        let name = resource
            .and_then(|resource| resource.name.as_deref().or(resource.arn.as_deref()))
            .map(name_in_arn);
        let Some((verb, noun)) = verb_and_noun(event_name) else {
            return Self::unknown(event_name, name, service);
        };
        let object = match resource.and_then(|resource| resource.kind.as_deref()) {
            Some(kind) if squashed(kind).eq(squashed(noun)) => object(&in_words(kind), " ", name),
            _ if name.is_some() => object(&in_words(noun), " for ", name),
            _ => object(&in_words(noun), " ", convention(record, noun)),
        };
        let object =
            if service == SAGEMAKER { object } else { format!("{object} in {}", service_in_words(service)) };
        let [past, base] = verb;
        Self { past: past.clone(), base: base.clone(), object }
    }

    fn unknown(event_name: &str, name: Option<&str>, service: &str) -> Self {
        let call =
            if event_name.is_empty() { "an operation without a name".to_owned() } else { quoted(event_name) };
        let name = name.map(|name| format!(" for {}", quoted(name))).unwrap_or_default();
        let object = format!("{call} of {}{name}", service_in_words(service));
        Self { past: "called".to_owned(), base: "call".to_owned(), object }
    }
}

/// A threat category as a person says it.
pub fn category_in_words(category: &str) -> &str {
    WORDING.categories.get(category).map_or(category, String::as_str)
}

/// The family of SageMaker's services counts as one.
const SAGEMAKER: &str = "sagemaker";

static WORDING: LazyLock<Wording> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../../config/sentence.toml"))
        .expect("the wording is checked in as valid TOML")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wording {
    verbs: BTreeMap<String, [String; 2]>,
    nouns: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
    services: BTreeMap<String, String>,
    categories: BTreeMap<String, String>,
    calls: BTreeMap<String, BTreeMap<String, Call>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    past: String,
    base: String,
    object: String,
}

impl Call {
    fn phrase(&self, parameters: &Value<'_>) -> Phrase {
        Phrase { past: self.past.clone(), base: self.base.clone(), object: fill(&self.object, parameters) }
    }
}

/// The text with the members of the parameters put in. Of a part in brackets what stands before the bar is taken when
/// its member is there, and what stands after it when not.
fn fill(object: &str, parameters: &Value<'_>) -> String {
    let mut filled = String::new();
    let mut rest = object;
    while let Some((before, part, after)) = between(rest, '[', ']') {
        filled.push_str(before);
        let (named, unnamed) = part.split_once('|').unwrap_or((part, ""));
        match between(named, '{', '}')
            .map(|(before, path, after)| (before, first_text(parameters, path), after))
        {
            Some((before, Some(text), after)) => {
                filled.push_str(before);
                filled.push_str(&quoted(name_in_arn(&text)));
                filled.push_str(after);
            }
            _ => filled.push_str(unnamed),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn between(text: &str, opening: char, closing: char) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(opening)?;
    let (inner, after) = rest.split_once(closing)?;
    Some((before, inner, after))
}

/// The first text or number at a dotted path; of an array the first element counts.
fn first_text<'r>(parameters: &'r Value<'_>, path: &str) -> Option<Cow<'r, str>> {
    let first = |value: &'r Value<'_>| {
        value.as_array().map_or(value, |elements| elements.first().unwrap_or(&Value::Null))
    };
    let value = path.split('.').fold(parameters, |value, name| first(member(value, name)));
    match value {
        Value::Str(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The longest known verb that the name of the call begins with, and the rest of it.
fn verb_and_noun(event_name: &str) -> Option<(&'static [String; 2], &str)> {
    let capitals = event_name.char_indices().skip(1).filter(|(_, character)| character.is_ascii_uppercase());
    let ends = capitals.map(|(at, _)| at).take(MAX_VERB_WORDS).chain([event_name.len()]);
    ends.filter_map(|end| Some((WORDING.verbs.get(&event_name[..end])?, &event_name[end..]))).last()
}

/// Words of which a verb can be made, as in `BatchDescribe`.
const MAX_VERB_WORDS: usize = 2;

/// The noun with the name behind it, or with an article when there is no name and it is one thing.
fn object(noun: &str, joint: &str, name: Option<&str>) -> String {
    let with_article = |noun: &str| {
        let is_many = noun.ends_with('s') && !noun.ends_with("ss") && !noun.ends_with("us");
        let article = if noun.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) { "an" } else { "a" };
        if noun.is_empty() || is_many { noun.to_owned() } else { format!("{article} {noun}") }
    };
    match name {
        Some(name) if joint == " " || noun.is_empty() => format!("{noun} {}", quoted(name)),
        Some(name) => format!("{}{joint}{}", with_article(noun), quoted(name)),
        None => with_article(noun),
    }
}

/// The member that most services call a resource's name: `roleName` for `Role`, or just `name`.
fn convention<'r>(record: &'r Record<'_>, noun: &str) -> Option<&'r str> {
    let parameters = record.at(&["requestParameters"]).as_object()?;
    let is_name = |member: &str| {
        let stem = member.strip_suffix("Name").or_else(|| member.strip_suffix("Id")).unwrap_or(member);
        stem.eq_ignore_ascii_case(noun)
    };
    let named = parameters.iter().find(|(member, _)| is_name(member)).map(|(_, value)| value);
    let text = |value: &'r Value<'_>| value.as_str().filter(|text| !text.is_empty());
    named.and_then(text).or_else(|| parameters.get("name").and_then(text)).map(name_in_arn)
}

fn service<'r>(record: &'r Record<'_>) -> &'r str {
    let host = record.event_source();
    if record.is_sagemaker() { SAGEMAKER } else { host.split('.').next().unwrap_or(host) }
}

fn service_in_words(service: &str) -> String {
    match WORDING.services.get(service) {
        Some(words) => words.clone(),
        None if service.is_empty() => "an unnamed service".to_owned(),
        None => quoted(service),
    }
}

/// The letters and digits of a text, in lower case.
fn squashed(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase())
}

/// `notebook-instance` and `NotebookInstance` as words: in small letters, but for abbreviations.
fn in_words(name: &str) -> Cow<'static, str> {
    KINDS_IN_WORDS.get(name).map_or_else(|| Cow::Owned(split(name)), |words| Cow::Borrowed(words.as_str()))
}

/// The kinds of resources that are known, which are what nearly every sentence is about.
static KINDS_IN_WORDS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let kinds = Kinds::parse(include_str!("../../../../../config/resources.toml"));
    let kinds = kinds.expect("the file is part of the binary, and a test reads it");
    kinds.all().iter().map(|kind| (kind.name.clone(), split(&kind.name))).collect()
});

fn split(name: &str) -> String {
    if let Some(words) = WORDING.nouns.get(&squashed(name).collect::<String>()) {
        return words.clone();
    }
    let mut words: Vec<String> = Vec::new();
    let mut previous = '-';
    let mut characters =
        name.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').peekable();
    while let Some(character) = characters.next() {
        let before_small = characters.peek().is_some_and(char::is_ascii_lowercase);
        let starts = character.is_ascii_uppercase() && (!previous.is_ascii_uppercase() || before_small);
        if starts || previous == '-' {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && character != '-'
        {
            word.push(character);
        }
        previous = character;
    }
    let shown = words.iter().filter(|word| !word.is_empty()).map(|word| {
        let small = word.to_ascii_lowercase();
        let is_abbreviation = word.len() > 1 && word.chars().all(|character| character.is_ascii_uppercase());
        WORDING.words.get(&small).cloned().unwrap_or(if is_abbreviation { word.clone() } else { small })
    });
    cut(&shown.collect::<Vec<_>>().join(" "), MAX_NOUN_CHARACTERS)
}

/// Characters of a noun. The longest of SageMaker's has 45; what claims to be a call's name can have any number.
const MAX_NOUN_CHARACTERS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_resources_and_calls_become_words() {
        let cases = [
            ("notebook-instance", "notebook instance"),
            ("NotebookInstanceLifecycleConfig", "notebook instance lifecycle configuration"),
            ("AIBenchmarkJob", "AI benchmark job"),
            ("automl-job", "AutoML job"),
            ("PresignedNotebookInstanceUrl", "presigned notebook instance URL"),
            ("MlflowTrackingServer", "MLflow tracking server"),
            ("hyper-parameter-tuning-job", "hyperparameter tuning job"),
            ("", ""),
            ("日本", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(in_words(name), expected, "{name}");
        }
    }

    #[test]
    fn every_call_of_the_catalogue_has_a_verb() {
        let catalogue = include_str!("../../../../../config/catalogue.toml");
        let calls: Vec<&str> = catalogue
            .lines()
            .filter(|line| line.contains(" = { access"))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(calls.len() > 300);
        for call in calls {
            assert!(verb_and_noun(call).is_some(), "{call}");
        }
    }

    #[test]
    fn every_member_in_the_wording_stands_in_brackets() {
        for call in WORDING.calls.values().flat_map(BTreeMap::values) {
            let filled = fill(&call.object, &Value::Null);
            assert!(!filled.contains(['[', ']', '{', '}', '|']), "{}", call.object);
        }
    }
}
