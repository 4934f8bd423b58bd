//! The fields: how each is mapped, and which of them a saved object uses, and for what.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::support::saved::Saved;

/// What a field is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Buckets, or a count of different values.
    Group,
    /// The lowest or the highest value.
    Measure,
    /// A choice from a list that grows as somebody types, which Dashboards has for texts alone.
    Choice,
    /// A column, a format or a query.
    Name,
}

impl Use {
    pub fn allows(self, mapped: &str) -> bool {
        match self {
            Self::Group => ["keyword", "ip", "boolean", "long", "date"].contains(&mapped),
            Self::Measure => ["long", "date"].contains(&mapped),
            Self::Choice => mapped == "keyword",
            Self::Name => mapped != "flat_object",
        }
    }
}

/// Stands before the path of the field that another name means.
const ALIAS: &str = "alias of ";

/// The type of each mapped field of an index pattern, by its path.
pub fn mapped(index_pattern: &str) -> BTreeMap<String, String> {
    let template = match index_pattern {
        // What several records show has the fields of an event.
        "sagetrail-events" | "sagetrail-correlated" => {
            include_str!("../../../mappings/component-events-mappings.json")
        }
        "sagetrail-rejected" => include_str!("../../../mappings/template-rejected.json"),
        "sagetrail-resources" => include_str!("../../../mappings/template-resources.json"),
        "sagetrail-incidents" => include_str!("../../../mappings/template-incidents.json"),
        "sagetrail-verified" => include_str!("../../../mappings/template-verified.json"),
        other => panic!("no template is known for {other}"),
    };
    let template: Value = serde_json::from_str(template).unwrap();
    let mut fields = BTreeMap::new();
    collect(&template["template"]["mappings"]["properties"], "", &mut fields);
    let types = fields.clone();
    for kind in fields.values_mut() {
        if let Some(path) = kind.strip_prefix(ALIAS) {
            *kind = types[path].clone();
        }
    }
    fields
}

fn collect(properties: &Value, prefix: &str, fields: &mut BTreeMap<String, String>) {
    for (name, field) in properties.as_object().unwrap() {
        let path = format!("{prefix}{name}");
        if let Some(other) = field["path"].as_str() {
            fields.insert(path.clone(), format!("{ALIAS}{other}"));
        } else if let Some(kind) = field["type"].as_str() {
            fields.insert(path.clone(), kind.to_owned());
        }
        for inner in ["properties", "fields"] {
            if field[inner].is_object() {
                collect(&field[inner], &format!("{path}."), fields);
            }
        }
    }
}

/// Every field that the object names.
pub fn used(saved: &Saved) -> Vec<(String, Use)> {
    match saved.kind.as_str() {
        "index-pattern" => {
            let formats = saved.embedded("fieldFormatMap");
            let hidden = saved.embedded("sourceFilters");
            let names = formats.as_object().unwrap().keys().cloned();
            let hidden =
                hidden.as_array().unwrap().iter().map(|hidden| hidden["value"].as_str().unwrap().to_owned());
            names.chain(hidden).map(|name| (name, Use::Name)).collect()
        }
        "search" => {
            let columns = saved.attribute("columns").as_array().unwrap().iter();
            let columns = columns.map(|column| column.as_str().unwrap().to_owned());
            let query = saved.embedded("searchSourceJSON")["query"]["query"].as_str().unwrap().to_owned();
            columns.chain(queried(&query)).map(|name| (name, Use::Name)).collect()
        }
        "visualization" => used_by_state(&saved.embedded("visState")),
        _ => Vec::new(),
    }
}

fn used_by_state(state: &Value) -> Vec<(String, Use)> {
    let mut used = Vec::new();
    for aggregation in state["aggs"].as_array().unwrap() {
        let purpose = match aggregation["type"].as_str().unwrap() {
            "min" | "max" | "sum" => Use::Measure,
            _ => Use::Group,
        };
        let params = &aggregation["params"];
        used.extend(params["field"].as_str().map(|field| (field.to_owned(), purpose)));
        for filter in params["filters"].as_array().into_iter().flatten() {
            let query = filter["input"]["query"].as_str().unwrap();
            used.extend(queried(query).into_iter().map(|name| (name, Use::Name)));
        }
    }
    for control in state["params"]["controls"].as_array().into_iter().flatten() {
        used.push((control["fieldName"].as_str().unwrap().to_owned(), Use::Choice));
    }
    if let Some(spec) = state["params"]["spec"].as_str() {
        used_by_vega(&serde_json::from_str::<Value>(spec).unwrap()["data"]["url"]["body"], &mut used);
    }
    used
}

fn used_by_vega(node: &Value, used: &mut Vec<(String, Use)>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| used_by_vega(item, used)),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("field", Value::String(field)) => used.push((field.clone(), Use::Group)),
                    ("source", Value::String(script)) => {
                        used.extend(scripted(script).into_iter().map(|field| (field, Use::Measure)));
                    }
                    ("_source", Value::Array(fields)) => {
                        used.extend(
                            fields.iter().map(|field| (field.as_str().unwrap().to_owned(), Use::Name)),
                        );
                    }
                    ("range", Value::Object(ranges)) => {
                        used.extend(ranges.keys().map(|field| (field.clone(), Use::Measure)));
                    }
                    _ => used_by_vega(value, used),
                }
            }
        }
        _ => {}
    }
}

fn scripted(script: &str) -> Vec<String> {
    let field = Regex::new(r"doc\['([^']+)'\]").unwrap();
    field.captures_iter(script).map(|found| found[1].to_owned()).collect()
}

/// The fields of a query in Lucene's syntax.
fn queried(query: &str) -> Vec<String> {
    let without_texts = Regex::new(r#""[^"]*""#).unwrap().replace_all(query, "_");
    let exists = Regex::new(r"_exists_:([@\w.]+)").unwrap();
    let field = Regex::new(r"([@\w.]+):").unwrap();
    let named = exists.captures_iter(&without_texts).chain(field.captures_iter(&without_texts));
    named.map(|found| found[1].to_owned()).filter(|name| name != "_exists_").collect()
}
