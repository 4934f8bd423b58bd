//! Checks that facts can be joined into memory, and that its indices hold them in the shape that rules and people ask
//! for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::finding::Finding;
use crate::config::Config;
use crate::opensearch::{Method, OpenSearch};
use crate::setup::content;
use crate::setup::object::{Kind, Object};

const SUBJECT: &str = "memory";
/// Fields that a finding names.
const NAMED: usize = 3;

/// The types of fields by their paths.
type Fields = BTreeMap<String, String>;

pub(super) async fn examine(config: &Config, opensearch: &OpenSearch) -> Vec<Finding> {
    let Ok(objects) = content::objects(config) else { return Vec::new() };
    let names = opensearch.names();
    let mut findings = Vec::new();
    if let Some(script) = objects.iter().find(|object| object.kind == Kind::Script) {
        findings.push(match ask(opensearch, &format!("_scripts/{}", script.id)).await {
            Ok(stored) => judge_script(stored.as_ref(), &script.body),
            Err(problem) => not_known("the script that joins facts", &problem),
        });
    }
    let sessions = format!("{}-*", names.sessions());
    for index in [names.resources(), names.identities(), sessions] {
        let Some(expected) = objects.iter().find_map(|object| fields_of_template(object, &index)) else {
            continue;
        };
        findings.push(match ask(opensearch, &format!("{index}/_mapping/field/*")).await {
            Ok(answer) => judge_index(&index, &expected, answer.as_ref()),
            Err(problem) => not_known(&index, &problem),
        });
    }
    findings
}

/// The answer, or none where there is no such thing.
async fn ask(opensearch: &OpenSearch, path: &str) -> Result<Option<Value>, String> {
    let answer = opensearch.request(Method::GET, path, None).await.map_err(|error| error.to_string())?;
    match answer.status {
        200..=299 => serde_json::from_slice(&answer.body).map(Some).map_err(|error| error.to_string()),
        404 => Ok(None),
        status => Err(format!("OpenSearch answered {status}")),
    }
}

fn not_known(what: &str, problem: &str) -> Finding {
    Finding::warning(
        SUBJECT,
        format!("{what} could not be looked at: {problem}"),
        "grant what `sagetrail check --permissions` prints for doctor",
    )
}

fn judge_script(stored: Option<&Value>, ours: &Value) -> Finding {
    match stored {
        None => Finding::broken(
            SUBJECT,
            "the script that joins facts is not installed: daemons go without memory",
            "run `sagetrail setup`, and restart the daemons",
        ),
        Some(stored) if stored["script"]["source"] != ours["script"]["source"] => Finding::broken(
            SUBJECT,
            "the script that joins facts is another than that of this release: what is known can be joined wrongly",
            "see who changed it, and run `sagetrail setup --force`",
        ),
        Some(_) => Finding::fine(SUBJECT, "the script that joins facts is installed"),
    }
}

/// What the template of an index makes of its fields. None for an object that is not this template.
fn fields_of_template(object: &Object, index: &str) -> Option<Fields> {
    let is_its = object.kind == Kind::IndexTemplate && object.body["index_patterns"][0] == *index;
    let mut fields = Fields::new();
    is_its.then(|| collect(&object.body["template"]["mappings"]["properties"], "", &mut fields))?;
    Some(fields)
}

fn collect(properties: &Value, path: &str, fields: &mut Fields) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match field["type"].as_str() {
            // An answer has no objects, and gives an alias the type of what it stands for.
            Some("object" | "alias") => {}
            Some(kind) => drop(fields.insert(path, kind.to_owned())),
            None => collect(&field["properties"], &path, fields),
        }
    }
}

fn judge_index(index: &str, expected: &Fields, answer: Option<&Value>) -> Finding {
    let indices = answer.and_then(Value::as_object).filter(|indices| !indices.is_empty());
    let Some(indices) = indices else {
        return Finding::warning(
            SUBJECT,
            format!("there is no {index}: nothing is known yet of what it would hold"),
            "run `sagetrail setup` and a daemon, and `sagetrail replay` for the history",
        );
    };
    let is_other = |(path, kind): &(&String, &String)| {
        let leaf = path.rsplit('.').next().unwrap_or(path);
        let kind_in = |index: &Value| index["mappings"][path.as_str()]["mapping"][leaf]["type"].clone();
        indices.values().any(|index| kind_in(index) != **kind)
    };
    let others: Vec<&str> = expected.iter().filter(is_other).map(|(path, _)| path.as_str()).collect();
    if others.is_empty() {
        return Finding::fine(SUBJECT, format!("{index} has the fields of this release"));
    }
    Finding::warning(
        SUBJECT,
        format!(
            "{index} was made without the template of this release: {} fields are absent or of another type, such as {}",
            others.len(),
            others.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ")
        ),
        "run `sagetrail setup`, remove the index, and fill it again with `sagetrail replay`",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_script_that_is_missing_or_another_is_told() {
        let script = |source: &str| json!({"script": {"lang": "painless", "source": source}});
        let cases = [
            (Some(script("ours")), State::Fine, "installed"),
            (Some(script("another")), State::Broken, "another"),
            (None, State::Broken, "not installed"),
        ];
        for (stored, state, part) in cases {
            let found = judge_script(stored.as_ref(), &script("ours"));
            assert_eq!((found.state, found.text.contains(part)), (state, true), "{found:?}");
        }
    }

    #[test]
    fn an_index_of_memory_that_lacks_or_has_another_shape_is_told() {
        let objects = content::objects(&Config::default()).unwrap();
        let resources = "sagetrail-resources";
        let expected = objects.iter().find_map(|object| fields_of_template(object, resources)).unwrap();
        assert_eq!(expected.get("created.at").map(String::as_str), Some("date"));
        let answer = |of: &Fields| {
            let field = |(path, kind): (&String, &String)| {
                let leaf = path.rsplit('.').next().unwrap();
                (path.clone(), json!({"full_name": path, "mapping": {leaf: {"type": kind}}}))
            };
            json!({resources: {"mappings": of.iter().map(field).collect::<BTreeMap<_, _>>()}})
        };
        let (mut lacking, mut another) = (expected.clone(), expected.clone());
        lacking.remove("key");
        another.insert("key".to_owned(), "text".to_owned());
        let cases = [
            (Some(answer(&expected)), State::Fine, "has the fields"),
            (Some(answer(&lacking)), State::Warning, "1 fields are absent or of another type, such as key"),
            (Some(answer(&another)), State::Warning, "1 fields are absent or of another type, such as key"),
            (Some(json!({})), State::Warning, "there is no sagetrail-resources"),
            (None, State::Warning, "there is no sagetrail-resources"),
        ];
        for (answer, state, part) in cases {
            let found = judge_index(resources, &expected, answer.as_ref());
            assert_eq!((found.state, found.text.contains(part)), (state, true), "{found:?}");
        }
    }
}
