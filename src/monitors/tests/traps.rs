//! What the plugin takes in silence and then does not do, which no monitor may ask of it.

use super::*;

/// The type of each field by its path.
fn mapped() -> BTreeMap<String, String> {
    fn walk(properties: &Value, path: &str, mapped: &mut BTreeMap<String, String>) {
        for (name, field) in properties.as_object().unwrap() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match field["type"].as_str() {
                Some(kind) => drop(mapped.insert(path, kind.to_owned())),
                None => walk(&field["properties"], &path, mapped),
            }
        }
    }
    let mut mapped = BTreeMap::new();
    for text in [
        include_str!("../../../mappings/component-events-mappings.json"),
        include_str!("../../../mappings/template-rejected.json"),
        include_str!("../../../mappings/template-verification.json"),
        include_str!("../../../mappings/template-verified.json"),
        include_str!("../../../mappings/template-incidents.json"),
        include_str!("../../../mappings/template-correlator.json"),
    ] {
        let template: Value = serde_json::from_str(text).unwrap();
        walk(&template["template"]["mappings"]["properties"], "", &mut mapped);
    }
    mapped
}

/// Every member of that name, however deep.
fn every<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(name));
            members.values().for_each(|member| every(member, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| every(item, name, found)),
        _ => {}
    }
}

#[test]
fn every_monitor_keeps_clear_of_what_the_plugin_drops_in_silence() {
    let parameter = Regex::new(r"params\.(\w+)").unwrap();
    let (mapped, channels) =
        (mapped(), channels("soc = { kind = 'slack', url = 'https://hooks.example.com' }"));
    for monitor in built_in(&Names::default(), &MonitorsConfig::default(), &channels, None).unwrap() {
        let (id, body) = (&monitor.id, &monitor.body);
        assert_eq!(body["monitor_type"], "bucket_level_monitor", "{id}");
        assert_eq!(body["schedule"]["period"]["unit"], "MINUTES", "{id}");
        let query = &body["inputs"][0]["search"]["query"];
        let by_key = &query["aggregations"]["composite_agg"];
        let mut names = Vec::new();
        for source in by_key["composite"]["sources"].as_array().unwrap() {
            let (name, source) = source.as_object().unwrap().iter().next().unwrap();
            names.push(name.as_str());
            let terms = source["terms"].as_object().unwrap();
            assert_eq!(terms.len(), 1, "{id}: a bucket without a key is an error");
            match terms.get("field").and_then(Value::as_str) {
                Some(field) => assert_eq!(mapped[field], "keyword", "{id}: keys are strings"),
                None => {
                    let script = terms["script"]["source"].as_str().unwrap();
                    assert!(script.starts_with("String "), "{id}: {script}");
                }
            }
        }
        let order = ["principal", "resource", "finding"];
        assert!(order.iter().filter(|name| names.contains(name)).eq(names.iter()), "{id}: {names:?}");

        let mut fields = Vec::new();
        every(query, "field", &mut fields);
        let mut paths: Vec<String> = fields.iter().map(|field| field.as_str().unwrap().to_owned()).collect();
        for clause in ["term", "terms", "prefix", "wildcard", "range"] {
            let mut clauses = Vec::new();
            every(query, clause, &mut clauses);
            let asked = clauses.iter().filter_map(|clause| clause.as_object()?.keys().next());
            let of_sources = ["field", "script"];
            paths.extend(asked.filter(|name| !of_sources.contains(&name.as_str())).cloned());
        }
        for path in paths {
            let kind = mapped.get(&path).unwrap_or_else(|| panic!("{id}: {path} is not in the mapping"));
            assert!(["keyword", "date", "long"].contains(&kind.as_str()), "{id}: {path} is {kind}");
        }
        let mut ranges = Vec::new();
        every(query, "range", &mut ranges);
        for (field, range) in ranges.iter().flat_map(|range| range.as_object().unwrap()) {
            let text = range.to_string();
            assert!(
                range["format"] == "epoch_millis" && text.contains("{{period_end}}"),
                "{id}: {field} {text}"
            );
        }
        // An index of its own holds what is asked; only events lie in months.
        let index = body["inputs"][0]["search"]["indices"][0].as_str().unwrap();
        if index == "sagetrail-events" {
            // Among other clauses the plugin takes a range for a hint at the months to ask, and a late record is in
            // another.
            let filters = query["query"]["bool"]["filter"].as_array().unwrap();
            assert!(filters.iter().any(|clause| clause.get("range").is_some()), "{id}");
            let is_bounded = |field: &str| ranges.iter().any(|range| !range[field].is_null());
            assert!(is_bounded("event.ingested"), "{id}: a late record would be missed");
        }
        assert!(["must", "should"].iter().all(|clause| query["query"]["bool"][*clause].is_null()), "{id}");

        let condition = &body["triggers"][0]["bucket_level_trigger"]["condition"];
        let script = condition["script"]["source"].as_str().unwrap();
        let paths = condition["buckets_path"].as_object().unwrap();
        let used: BTreeSet<&str> =
            parameter.captures_iter(script).map(|found| found.get(1).unwrap().as_str()).collect();
        assert_eq!(used, paths.keys().map(String::as_str).collect(), "{id}");
        for path in paths.values().map(|path| path.as_str().unwrap()) {
            let aggregation = path.split(['.', '>']).next().unwrap().trim_end_matches("_count");
            assert!(aggregation.is_empty() || !by_key["aggregations"][aggregation].is_null(), "{id}: {path}");
        }
        for action in trigger_actions(&monitor) {
            only_known_variables(id, action["message_template"]["source"].as_str().unwrap(), body, &mapped);
        }
    }
}

/// The variables that are known to render in a bucket monitor's message, as a person reads them.
fn only_known_variables(id: &str, message: &str, body: &Value, mapped: &BTreeMap<String, String>) {
    let by_key = &body["inputs"][0]["search"]["query"]["aggregations"]["composite_agg"];
    let mut open = Vec::new();
    for tag in Regex::new(r"\{\{([#/^]?)([^}]*)\}\}").unwrap().captures_iter(message) {
        let (sign, name) = (&tag[1], tag[2].to_owned());
        match sign {
            "#" | "^" => open.push(name.clone()),
            "/" => assert_eq!(open.pop().as_ref(), Some(&name), "{id}: a section ends that did not begin"),
            _ => {}
        }
        let in_document = open.iter().any(|section| section == "sample_documents");
        let is_open = |section: &str| open.iter().any(|it| it == section);
        let is_known = match name.as_str() {
            // The list of results is empty when a search failed, and then its first element must not be asked for.
            "ctx.newAlerts" | "ctx.dedupedAlerts" | "ctx.monitor.name" | "url" | "ctx.results" => true,
            "ctx.completedAlerts" => !message.contains("ctx.newAlerts") && open.len() < 2,
            "hits.hits" => is_open("ctx.results") && body["inputs"][0]["search"]["query"]["size"] != 0,
            "ctx.results.0.hits.hits.0._source.message" => {
                is_open("ctx.dedupedAlerts") && body["inputs"][0]["search"]["query"]["size"] != 0
            }
            // Without aggregations of its own alone does a monitor get documents, and only new alerts do.
            "sample_documents" => by_key["aggregations"].is_null() && is_open("ctx.newAlerts"),
            "id" | "bucket_keys" => {
                ["ctx.newAlerts", "ctx.dedupedAlerts", "ctx.completedAlerts"].into_iter().any(is_open)
            }
            "_id" => in_document || is_open("hits.hits"),
            "_source.message" if is_open("hits.hits") => true,
            "." => in_document && open.last().is_some_and(|section| section.starts_with("_source.")),
            name => {
                // The end of a section of a list stands just outside of it.
                let field = name.strip_prefix("_source.").filter(|path| mapped.contains_key(*path));
                in_document && field.is_some_and(|path| HARMLESS.contains(&path) || is_key(path))
            }
        };
        assert!(is_known, "{id}: {{{{{sign}{name}}}}}");
    }
    assert_eq!(open, [""; 0], "{id}");
}

/// What the plugin brings of a sample document, as its source finds it: `\{\{([^{}]+)}}` between the tags of the block.
#[test]
fn every_field_that_a_message_shows_of_a_document_is_one_that_the_plugin_brings() {
    let channels = channels("soc = { kind = 'slack', url = 'https://hooks.example.com' }");
    let tag = Regex::new(r"\{\{[#/^]?(_source\.[^}]+)\}\}").unwrap();
    // What stands in the list of open incidents comes with the search itself.
    let listed = Regex::new(r"(?s)\{\{#ctx.results\}\}.*?\{\{/ctx.results\}\}").unwrap();
    let mut shown = 0;
    for monitor in built_in(&Names::default(), &MonitorsConfig::default(), &channels, None).unwrap() {
        for action in trigger_actions(&monitor) {
            let message = action["message_template"]["source"].as_str().unwrap();
            let brought = sampled_fields(message);
            let message = listed.replace_all(message, "");
            let message = message.as_ref();
            for found in tag.captures_iter(message) {
                let field = found[1].strip_prefix("_source.").unwrap();
                assert!(brought.contains(&field), "{}: {field} would be empty", monitor.id);
                shown += 1;
            }
        }
    }
    assert!(shown > 15, "{shown}");
    let section = "{{_source.a}}{{#sample_documents}}x {{#_source.b}}{{.}}{{/_source.b}} {{ _source.c }}{{/sample_documents}}";
    assert_eq!(sampled_fields(section), ["c"]);
    assert_eq!(sampled_fields("{{_source.a}}"), [""; 0]);
}

/// Each page of buckets is a script of its own for the plugin, and a node compiles seventy-five in five minutes.
#[test]
fn no_monitor_pages_through_buckets_that_grow_with_the_number_of_records() {
    for monitor in built_in(&Names::default(), &MonitorsConfig::default(), &BTreeMap::new(), None).unwrap() {
        let search = &monitor.body["inputs"][0]["search"]["query"];
        let composite = &search["aggregations"]["composite_agg"]["composite"];
        let mut fields = Vec::new();
        every(&composite["sources"], "field", &mut fields);
        assert!(!fields.contains(&&json!("event.id")), "{}", monitor.id);
        let size = composite["size"].as_u64().unwrap();
        assert!(size >= 10_000 || fields.is_empty() && size >= 257, "{}", monitor.id);
    }
}

/// The fields of a document that the plugin brings for this message: those that stand by their whole names in a tag of
/// their own between the tags of the sample documents. A section over a field is no such tag.
fn sampled_fields(message: &str) -> Vec<&str> {
    const BEGIN: &str = "{{#sample_documents}}";
    const END: &str = "{{/sample_documents}}";
    let blocks = message.split(BEGIN).skip(1).filter_map(|rest| Some(rest.split_once(END)?.0));
    let tags = blocks.flat_map(|block| block.split("{{").skip(1)).filter_map(|part| part.split_once("}}"));
    tags.filter_map(|(tag, _)| tag.trim().strip_prefix("_source.")).collect()
}
