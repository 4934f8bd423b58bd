//! What memory is asked, each as one search (pure).

use sagetrail_core::memory::{Key, Kind};
use serde_json::{Value, json};

use crate::names::Names;

/// Things that one answer has at most; it says how many there are beyond.
pub const MOST_ANSWERS: usize = 25;

/// A question about what memory holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// What is known of one thing.
    Of(Key),
    /// Resources that are made of a thing, or run with it.
    StandingOn(Key),
    /// Roles, buckets, repositories, keys and subnets that a resource was given.
    GivenTo(Key),
    /// Identities that call with a role or as a user.
    CallingAs(String),
    /// Temporary keys that were issued with an access key.
    IssuedWith(String),
    /// Temporary keys that were issued to one session, or to all of a role.
    IssuedTo(String),
    /// Temporary keys behind which a person or workload is.
    IssuedFor(String),
    /// Resources that were made or changed with an access key.
    MadeWith(String),
    /// Resources that were made or changed by an identity, by its key.
    MadeBy(String),
    /// Resources that were made or changed by a session.
    MadeAs(String),
    /// Resources behind which a person or workload is.
    MadeFor(String),
    /// Whatever has a name or an id.
    Named(String),
}

impl Question {
    /// The path of the search and its body.
    pub fn search(&self, names: &Names) -> (String, Value) {
        let indices = match self {
            Self::Of(key) => index(names, key.kind),
            Self::CallingAs(_) => names.identities(),
            Self::IssuedWith(_) | Self::IssuedTo(_) | Self::IssuedFor(_) => names.sessions(),
            Self::Named(_) => {
                [Kind::Resources, Kind::Identities, Kind::Sessions].map(|kind| index(names, kind)).join(",")
            }
            _ => names.resources(),
        };
        let by_time = match self {
            Self::IssuedWith(_) | Self::IssuedTo(_) | Self::IssuedFor(_) => "issued.at",
            _ => "created.at",
        };
        let body = json!({
            "size": MOST_ANSWERS,
            "track_total_hits": true,
            "_source": ["key", "memory"],
            "query": {"bool": {"should": self.ways(), "minimum_should_match": 1}},
            "sort": [{by_time: {"order": "desc", "missing": "_last", "unmapped_type": "date"}}, "key"],
        });
        (format!("{indices}/_search?ignore_unavailable=true&allow_no_indices=true"), body)
    }

    /// The clauses of which one has to fit.
    fn ways(&self) -> Vec<Value> {
        match self {
            Self::Of(key) => vec![is("key", &key.id)],
            Self::StandingOn(key) => standing_on(&key.id),
            Self::GivenTo(key) => vec![is_in_any_case("used_for", &key.id)],
            Self::CallingAs(arn) => of_any_path(arn),
            Self::IssuedWith(access_key) => vec![is("issued.key", access_key)],
            Self::IssuedTo(arn) => match arn.strip_suffix('*') {
                Some(beginning) => vec![like("issued.to", &format!("{}*", in_any_partition(beginning)))],
                None => vec![is("issued.to", arn)],
            },
            Self::IssuedFor(person) => vec![is_in_any_case("issued.person", person)],
            Self::MadeWith(access_key) => {
                vec![is("created.key", access_key), is("changed.key", access_key)]
            }
            Self::MadeBy(identity) => made_by(identity),
            Self::MadeAs(arn) => vec![is("created.by", arn), is("changed.by", arn)],
            Self::MadeFor(person) => {
                ["created.person", "changed.person"].map(|field| is_in_any_case(field, person)).into()
            }
            Self::Named(text) => named(text),
        }
    }
}

fn index(names: &Names, kind: Kind) -> String {
    match kind {
        Kind::Resources => names.resources(),
        Kind::Identities => names.identities(),
        Kind::Sessions => names.sessions(),
    }
}

/// The fields of a configuration that name what a resource stands on are as the call wrote them.
fn standing_on(id: &str) -> Vec<Value> {
    let mut ways = vec![is("uses", id)];
    ways.extend(
        ["configuration.role", "configuration.kms_key", "configuration.subnet"]
            .map(|field| is_in_any_case(field, id)),
    );
    let begins =
        |field: &str, with: String| json!({"prefix": {field: {"value": with, "case_insensitive": true}}});
    if let Some(bucket) = id.strip_prefix("arn:aws:s3:::") {
        ways.extend(
            ["configuration.model_data", "configuration.output"]
                .map(|field| begins(field, format!("s3://{bucket}/"))),
        );
    }
    if let Some((registry, name)) = id.split_once(":repository/")
        && let [_, _, "ecr", region, account] = registry.split(':').collect::<Vec<_>>()[..]
    {
        ways.extend([":", "@"].map(|end| {
            let image = format!("{account}.dkr.ecr.{region}.amazonaws.com/{name}{end}");
            begins("configuration.image", image)
        }));
    }
    ways
}

/// Ids of roles and users are unique; behind that of a role stands the name of its session.
fn made_by(identity: &str) -> Vec<Value> {
    let (_, id) = identity.split_once('/').unwrap_or(("", identity));
    ["created.principal", "changed.principal"]
        .into_iter()
        .flat_map(|field| [is(field, id), json!({"prefix": {field: {"value": format!("{id}:")}}})])
        .collect()
}

/// Identities are kept with the ARN of their role or user, which has a path that others leave out.
fn of_any_path(arn: &str) -> Vec<Value> {
    let Some((account, name)) = arn.split_once(":role/") else { return vec![is("arn", arn)] };
    let (account, name) = (in_any_partition(account), escaped(name.rsplit('/').next().unwrap_or(name)));
    [format!("{account}:role/{name}"), format!("{account}:role/*/{name}")]
        .map(|pattern| json!({"wildcard": {"arn": {"value": pattern, "case_insensitive": true}}}))
        .into()
}

fn named(text: &str) -> Vec<Value> {
    let mut ways = vec![is("key", text), is("arn", text)];
    if text.starts_with("arn:") {
        ways.push(is("key", &Key::resource(text).id));
        ways.extend(of_any_path(text));
        return ways;
    }
    let (id, _) = text.split_once(':').unwrap_or((text, ""));
    ways.extend([is("key", &format!("{text}/*")), is("resource.name", &text.to_lowercase())]);
    ways.push(like("key", &format!("*/{}", escaped(id))));
    for beginning in ["*/", "*:"] {
        ways.push(like("key", &format!("{beginning}{}", escaped(&text.to_lowercase()))));
    }
    ways.push(like("arn", &format!("*/{}", escaped(text))));
    ways
}

fn is(field: &str, value: &str) -> Value {
    json!({"term": {field: {"value": value}}})
}

fn is_in_any_case(field: &str, value: &str) -> Value {
    json!({"term": {field: {"value": value, "case_insensitive": true}}})
}

fn like(field: &str, pattern: &str) -> Value {
    json!({"wildcard": {field: {"value": pattern}}})
}

/// A text as part of a pattern: its own stars mean themselves.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The ARN as a pattern that any partition fits.
fn in_any_partition(arn: &str) -> String {
    match arn.splitn(3, ':').collect::<Vec<_>>()[..] {
        ["arn", _, rest] => format!("arn:*:{}", escaped(rest)),
        _ => escaped(arn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_types_is_a_value_and_never_a_pattern_or_another_index() {
        for text in ["*", "a*b?", "\\", "x/../_all", "\"}]}", "name,other"] {
            let (path, body) = Question::Named(text.to_owned()).search(&Names::default());
            assert!(
                path.starts_with("sagetrail-resources,sagetrail-identities,sagetrail-sessions/_search?"),
                "{path}"
            );
            for way in body["query"]["bool"]["should"].as_array().unwrap() {
                let Some(pattern) = way["wildcard"].as_object().and_then(|field| field.values().next())
                else {
                    continue;
                };
                let pattern = pattern["value"].as_str().unwrap();
                let free = pattern.replace("\\*", "").replace("\\?", "").matches(['*', '?']).count();
                assert_eq!(free, 1, "{pattern}");
            }
        }
    }

    #[test]
    fn a_role_is_found_with_and_without_its_path_and_in_each_partition() {
        let asked = Question::CallingAs("arn:aws-cn:iam::111122223333:role/team/ml*".to_owned());
        let (path, body) = asked.search(&Names::new("acme"));
        assert!(path.starts_with("acme-identities/"), "{path}");
        let pattern = |place: usize| &body["query"]["bool"]["should"][place]["wildcard"]["arn"]["value"];
        assert_eq!(pattern(0), "arn:*:iam::111122223333:role/ml\\*");
        assert_eq!(pattern(1), "arn:*:iam::111122223333:role/*/ml\\*");
    }
}
