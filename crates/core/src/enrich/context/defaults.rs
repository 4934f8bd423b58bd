//! Knows what SageMaker takes where a request leaves a member out; `config/defaults.toml` lists it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json_borrow::Value;

use crate::enrich::lower::with_lower;
use crate::record::{is_omission, member};

/// One member with its default.
pub struct MemberDefault {
    /// The names on the way to the member, its own last.
    path: Vec<String>,
    value: Value<'static>,
}

/// The defaults of an operation.
pub fn of(event_name: &str) -> &'static [MemberDefault] {
    with_lower(event_name, |name| DEFAULTS.get(name)).map_or(&[], Vec::as_slice)
}

impl MemberDefault {
    /// The name of the member in lower case and its default, once for each place of the request that leaves it out.
    pub fn left_out(&self, request: &Value<'_>) -> impl Iterator<Item = (String, &Value<'static>)> {
        let times = left_out(request, &self.path);
        let name = self.path.last().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        std::iter::repeat_n((name, &self.value), times)
    }
}

fn left_out(value: &Value<'_>, path: &[String]) -> usize {
    match (value, path) {
        // What CloudTrail left out may have been there.
        _ if is_omission(value) => 0,
        (Value::Array(elements), _) => elements.iter().map(|element| left_out(element, path)).sum(),
        (Value::Object(members), [name]) => usize::from(!members.is_empty() && member(value, name).is_null()),
        (Value::Object(_), [name, rest @ ..]) => left_out(member(value, name), rest),
        _ => 0,
    }
}

/// By the operation's name in lower case.
static DEFAULTS: LazyLock<HashMap<String, Vec<MemberDefault>>> = LazyLock::new(|| {
    let file: HashMap<String, HashMap<String, toml::Value>> =
        toml::from_str(include_str!("../../../../../config/defaults.toml"))
            .expect("the defaults are checked in as valid TOML");
    let default = |(path, value): (&String, &toml::Value)| MemberDefault {
        path: path.split('.').map(str::to_owned).collect(),
        value: as_record_writes(value),
    };
    file.iter()
        .map(|(name, members)| (name.to_ascii_lowercase(), members.iter().map(default).collect()))
        .collect()
});

fn as_record_writes(value: &toml::Value) -> Value<'static> {
    match value {
        toml::Value::Boolean(value) => Value::Bool(*value),
        toml::Value::String(text) => Value::Str(Cow::Owned(text.clone())),
        other => panic!("a test reads the defaults, of which {other:?} is none"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Shape {
        input: BTreeSet<String>,
    }

    #[test]
    fn a_default_counts_where_a_member_is_absent_and_not_where_it_was_left_out_of_the_record() {
        for (request, expected) in [
            (r#"{"trainingJobDefinition":{"x":1}}"#, 1),
            (r#"{"trainingJobDefinition":{"x":1,"enableNetworkIsolation":true}}"#, 0),
            (
                r#"{"trainingJobDefinition":{"x":1,"enableNetworkIsolation":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#,
                0,
            ),
            (r#"{"trainingJobDefinition":{"omitted":true,"originalSize":131072}}"#, 0),
            (r#"{"omitted":true,"reason":"requestParameters too large"}"#, 0),
            (r#"{"trainingJobDefinition":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#, 0),
            ("null", 0),
        ] {
            let request: Value<'_> = serde_json::from_str(request).unwrap();
            let defaults = of("CreateHyperParameterTuningJob").iter();
            let isolation = defaults
                .filter(|default| default.path == ["trainingJobDefinition", "enableNetworkIsolation"]);
            assert_eq!(
                isolation.flat_map(|default| default.left_out(&request)).count(),
                expected,
                "{request:?}"
            );
        }
    }

    #[test]
    fn each_default_is_that_of_a_member_of_the_api() {
        let shapes: BTreeMap<String, Shape> =
            serde_json::from_str(include_str!("../../../../../tests/api/sagemaker-shapes.json")).unwrap();
        let mut known = 0;
        for (name, shape) in shapes {
            for default in of(&name) {
                known += 1;
                assert!(shape.input.contains(&default.path.join(".")), "{name}: {:?}", default.path);
            }
        }
        assert_eq!(known, DEFAULTS.values().map(Vec::len).sum::<usize>(), "each operation is one of the API");
    }
}
