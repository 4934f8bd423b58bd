//! Refuses what Sigma's library would pass over in silence in the document of a correlation, and what is not evaluated
//! here.

use yaml_serde::{Mapping, Value};

use super::problem::Problem;

/// The member of a document that makes it a correlation.
pub const MEMBER: &str = "correlation";

/// Members of the document that the Sigma specification has, and that mean here what they mean there.
const DOCUMENT: &[&str] = &[
    "author",
    "correlation",
    "date",
    "description",
    "falsepositives",
    "fields",
    "generate",
    "id",
    "level",
    "license",
    "modified",
    "name",
    "references",
    "related",
    // What is usual for a group, which Sigma has no word for.
    super::rhythm::MEMBER,
    "scope",
    "sigma-version",
    "status",
    "tags",
    "taxonomy",
    "title",
];
const CORRELATION: &[&str] =
    &["type", "rules", "group-by", "timespan", "timeframe", "aliases", "condition", "generate"];
const OPERATORS: &[&str] = &["lt", "lte", "gt", "gte", "eq", "neq"];

/// What the document has that is not evaluated, by the member at fault.
pub fn check(document: &Mapping) -> Result<(), Problem> {
    for name in names(document) {
        let why = match name {
            "detection" => "a document is a rule or a correlation; put the detection into a rule of its own",
            "logsource" => "a correlation has no logsource; its base rules have",
            _ if name.starts_with("rsigma.") => "attributes of rsigma are not evaluated",
            _ if DOCUMENT.contains(&name) => continue,
            _ => "a correlation has no such member",
        };
        return Err(Problem::new(name, format!("`{name}`: {why}")));
    }
    let Some(correlation) = member(document, MEMBER).and_then(Value::as_mapping) else {
        return Err(Problem::new(
            MEMBER,
            "`correlation` is a mapping of `type`, `rules`, `timespan` and more",
        ));
    };
    for name in names(correlation) {
        let why = match name {
            "window" if member(correlation, name).and_then(Value::as_str) == Some("sliding") => continue,
            "window" | "gap" => "windows slide here; there are no others",
            _ if CORRELATION.contains(&name) => continue,
            _ => "`correlation` has no such member",
        };
        return Err(Problem::new(name, format!("`{name}`: {why}")));
    }
    if member(correlation, "timespan").is_some() && member(correlation, "timeframe").is_some() {
        return Err(Problem::new("timeframe", "`timeframe` is an old name of `timespan`; keep one of them"));
    }
    for mapping in [document, correlation] {
        match member(mapping, "generate") {
            None | Some(Value::Bool(true)) => {}
            Some(_) => {
                let text = "`generate`: base rules keep their own matches here; to silence them, make them informational";
                return Err(Problem::new("generate", text));
            }
        }
    }
    for (name, value) in correlation {
        if let (Some(name), Some(placeholder)) = (name.as_str(), placeholder(value)) {
            let text =
                format!("{placeholder}: a correlation takes no placeholder; ask for it in a base rule");
            return Err(Problem::new(name, text));
        }
    }
    check_rules(correlation)?;
    check_texts(correlation, "group-by")?;
    check_aliases(correlation)?;
    match member(correlation, "condition") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Mapping(condition)) => check_condition(condition),
        Some(_) => Err(Problem::new(
            "condition",
            "`condition` is a mapping of operators, or an expression over rules",
        )),
    }
}

fn check_rules(correlation: &Mapping) -> Result<(), Problem> {
    check_texts(correlation, "rules")?;
    match member(correlation, "rules") {
        Some(Value::String(_)) => Ok(()),
        Some(Value::Sequence(rules)) if !rules.is_empty() => Ok(()),
        _ => {
            Err(Problem::new(MEMBER, "it has no `rules`: give the ids or names of its base rules as a list"))
        }
    }
}

/// A text, or a list of texts, where there is anything.
fn check_texts(correlation: &Mapping, name: &str) -> Result<(), Problem> {
    match member(correlation, name) {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Sequence(values)) if values.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(Problem::new(name, format!("`{name}` is a list of names"))),
    }
}

fn check_aliases(correlation: &Mapping) -> Result<(), Problem> {
    let aliases = match member(correlation, "aliases") {
        None => return Ok(()),
        Some(Value::Mapping(aliases)) => aliases,
        Some(_) => return Err(Problem::new("aliases", "`aliases` is a mapping of names to fields by rule")),
    };
    for (alias, fields) in aliases {
        let is_text = |value: &Value| value.is_string();
        let by_rule = fields
            .as_mapping()
            .filter(|fields| fields.iter().all(|(rule, field)| is_text(rule) && is_text(field)));
        if !is_text(alias) || by_rule.is_none() {
            return Err(Problem::new("aliases", "an alias is a mapping of base rules to fields"));
        }
    }
    Ok(())
}

fn check_condition(condition: &Mapping) -> Result<(), Problem> {
    for (name, value) in condition {
        let Some(name) = name.as_str() else { continue };
        match name {
            "field" => check_texts(condition, name)?,
            "percentile" => {
                return Err(Problem::new(
                    "condition",
                    "`percentile`: values are counted here, and not calculated with",
                ));
            }
            _ if OPERATORS.contains(&name) => {
                if value.as_u64().is_none() {
                    return Err(Problem::new(
                        "condition",
                        format!("`{name}` is a whole number, and not negative"),
                    ));
                }
            }
            _ => {
                let text = format!("`{name}`: a condition has {} and `field`", OPERATORS.join(", "));
                return Err(Problem::new("condition", text));
            }
        }
    }
    Ok(())
}

fn member<'v>(mapping: &'v Mapping, name: &str) -> Option<&'v Value> {
    mapping.get(Value::String(name.to_owned()))
}

fn names(mapping: &Mapping) -> impl Iterator<Item = &str> {
    mapping.keys().map(|name| name.as_str().unwrap_or_default())
}

/// A text in the value that stands for others, such as `%trusted_buckets%` or `field|expand`.
fn placeholder(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => {
            let is_placeholder = text.len() > 2 && text.starts_with('%') && text.ends_with('%');
            (is_placeholder || text.ends_with("|expand")).then_some(text.as_str())
        }
        Value::Sequence(values) => values.iter().find_map(placeholder),
        Value::Mapping(members) => {
            members.iter().find_map(|(name, value)| placeholder(name).or_else(|| placeholder(value)))
        }
        _ => None,
    }
}
