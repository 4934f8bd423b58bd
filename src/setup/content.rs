//! Builds every object that the configuration asks for, from the files that the binary carries (pure).

use include_dir::{Dir, include_dir};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::object::{Kind, Object};
use super::template::{TEMPLATES, Template};
use crate::config::{Channel, Config, Target};
use crate::memory::{NEWEST, OLDEST};
use crate::monitors::{self, MonitorsError};
use crate::names::Names;

const JOIN: &str = include_str!("../../mappings/script-join.painless");

static DASHBOARDS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/dashboards");

/// Everything to install, in an order that works on an empty cluster.
pub fn objects(config: &Config) -> Result<Vec<Object>, MonitorsError> {
    let names = Names::new(&config.sink.index_prefix);
    let mut objects = templates(&names);
    objects.push(join_script(&names));
    objects.extend(policies(config, &names));
    objects.extend(saved_objects(&names));
    objects.extend(config.channels.iter().filter_map(|(name, channel)| {
        let body = channel_body(&names.named(name), channel)?;
        Some(Object { kind: Kind::Channel, id: names.channel(name), body })
    }));
    let monitors =
        monitors::built_in(&names, &config.monitors, &config.channels, config.dashboards.link_url())?;
    objects.extend(monitors.into_iter().map(|monitor| Object {
        kind: Kind::Monitor,
        id: monitor.id,
        body: monitor.body,
    }));
    Ok(objects)
}

/// The templates, which the daemon installs as well.
pub(super) fn templates(names: &Names) -> Vec<Object> {
    let object = |template: &Template| {
        let path = names.in_text(template.path);
        let (kind, id) = match path.split_once('/').expect("a path has two parts") {
            ("_component_template", id) => (Kind::ComponentTemplate, id),
            (_, id) => (Kind::IndexTemplate, id),
        };
        let body = serde_json::from_str(&names.in_text(template.text))
            .expect("the templates are checked in as JSON");
        Object { kind, id: id.to_owned(), body }
    };
    TEMPLATES.iter().map(object).collect()
}

/// The script that joins facts into memory.
fn join_script(names: &Names) -> Object {
    let source = JOIN.replace("$NEWEST", &NEWEST.to_string()).replace("$OLDEST", &OLDEST.to_string());
    let script = json!({"script": {"lang": "painless", "source": source}});
    Object { kind: Kind::Script, id: names.join_script(), body: script }
}

/// The days after which an index of a month's sessions goes: no session is as long as the four after the month.
const SESSIONS_DAYS: u32 = 35;

/// The retention policies, which remove a month's index when it is older than the configuration says. The index of
/// rejected records has none: it is one for all times, and removing it would remove the latest records too.
fn policies(config: &Config, names: &Names) -> impl Iterator<Item = Object> {
    let retention = &config.retention;
    [
        (names.events(), retention.events_days),
        (names.objects(), retention.objects_days),
        (names.sessions(), SESSIONS_DAYS),
    ]
    .into_iter()
    .filter(|(_, days)| *days > 0)
    .map(move |(alias, days)| Object {
        kind: Kind::Policy,
        id: alias.clone(),
        body: json!({"policy": {
            "description": names.title(&format!("removes a month's index {days} days after it was made")),
            "default_state": "keep",
            "states": [
                {"name": "keep", "actions": [], "transitions": [
                    {"state_name": "remove", "conditions": {"min_index_age": format!("{days}d")}}]},
                {"name": "remove", "actions": [{"delete": {}}], "transitions": []}
            ],
            "ism_template": [{"index_patterns": [format!("{alias}-*")], "priority": 500}]
        }}),
    })
}

/// The saved objects of all dashboards. Files may repeat an object that they share.
fn saved_objects(names: &Names) -> Vec<Object> {
    let files: Vec<_> = DASHBOARDS
        .files()
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "ndjson"))
        .map(|file| names.in_text(file.contents_utf8().expect("the files are UTF-8")))
        .collect();
    let mut objects: Vec<Object> = Vec::new();
    for line in files.iter().flat_map(|file| file.lines()).filter(|line| !line.is_empty()) {
        let object: Value = serde_json::from_str(line).expect("a test reads every line");
        let Some(kind) = object["type"].as_str().and_then(Kind::of_saved_object) else { continue };
        let id = object["id"].as_str().expect("a saved object has an id").to_owned();
        if objects.iter().any(|known| known.kind == kind && known.id == id) {
            continue;
        }
        let body = json!({
            "attributes": object["attributes"],
            "references": object["references"],
            "migrationVersion": object["migrationVersion"],
        });
        objects.push(Object { kind, id, body });
    }
    objects.sort_by_key(|object| object.kind);
    objects
}

/// A channel of the notifications plugin; none for an Alertmanager, which it does not know.
fn channel_body(name: &str, channel: &Channel) -> Option<Value> {
    let (kind, settings) = match &channel.target {
        Target::Slack { url } => ("slack", json!({"url": url.expose_secret()})),
        Target::Pagerduty { url, .. } => ("webhook", webhook(url.as_str(), json!({}))),
        Target::Webhook { url, headers } => {
            let headers: serde_json::Map<_, _> =
                headers.iter().map(|(name, value)| (name.clone(), json!(value.expose_secret()))).collect();
            ("webhook", webhook(url.expose_secret(), Value::Object(headers)))
        }
        Target::Sns { topic_arn, role_arn } => {
            let mut settings = json!({"topic_arn": topic_arn});
            if let Some(role) = role_arn {
                settings["role_arn"] = json!(role);
            }
            ("sns", settings)
        }
        Target::Email { sender_id, recipients } => {
            let recipients: Vec<Value> =
                recipients.iter().map(|address| json!({"recipient": address})).collect();
            (
                "email",
                json!({"email_account_id": sender_id, "recipient_list": recipients, "email_group_id_list": []}),
            )
        }
        Target::Alertmanager(_) => return None,
    };
    let mut config = json!({
        "name": name,
        "description": "Pages of sagetrail's monitors",
        "config_type": kind,
        "is_enabled": true,
    });
    config[kind] = settings;
    Some(json!({ "config": config }))
}

fn webhook(url: &str, mut headers: Value) -> Value {
    headers["Content-Type"] = json!("application/json");
    json!({"url": url, "method": "POST", "header_params": headers})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(prefix: &str) -> Vec<Object> {
        let config: Config = toml::from_str(&format!(
            "[sink]\nindex_prefix = '{prefix}'\n[dashboards]\nurl = 'https://sagetrail-boards.example'\n\
             [channels]\nsoc = {{ kind = 'webhook', url = 'https://sagetrail-hooks.example/x' }}\n\
             night = {{ kind = 'pagerduty', routing_key = 'sagetrail-key' }}"
        ))
        .unwrap();
        objects(&config).unwrap()
    }

    #[test]
    fn a_tenants_content_has_no_name_of_the_default_and_keeps_addresses_and_keys_as_they_are() {
        let (ours, theirs) = (content("sagetrail"), content("acme"));
        let mut addresses = 0;
        for (our, their) in ours.iter().zip(&theirs) {
            assert_eq!((their.kind, &their.id), (our.kind, &our.id.replacen("sagetrail", "acme", 1)));
            let mut text = their.body.to_string();
            assert!(
                !text.contains("s3cret") && !text.contains("channel-am"),
                "no plugin knows an Alertmanager"
            );
            for kept in ["sagetrail-boards.example", "sagetrail-hooks.example", "sagetrail-key"] {
                addresses += text.matches(kept).count();
                text = text.replace(kept, "");
            }
            assert!(!text.contains("sagetrail-") && !text.contains("sagetrail: "), "{text}");
        }
        assert_eq!(ours.len(), theirs.len());
        assert!(addresses > 10, "{addresses}");
    }
}
