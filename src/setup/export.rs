//! Writes the content as files without secrets, for those who import it by hand or with another tool.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::difference::without_secrets;
use super::object::{Kind, Object, Server};

/// The saved objects of Dashboards, as the file that its import takes.
const SAVED_OBJECTS: &str = "dashboards.ndjson";

/// Writes saved objects into one NDJSON file, and each other object into a file of its own in the folder of its kind.
pub fn export(objects: &[Object], folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut saved_objects = String::new();
    for object in objects {
        if object.kind.server() == Server::Dashboards {
            saved_objects += &line(object);
            continue;
        }
        let folder = folder.join(match object.kind {
            Kind::Policy => "policies".to_owned(),
            kind => format!("{}s", kind.name()),
        });
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{}.json", object.id)), format!("{:#}\n", body(object)))?;
    }
    std::fs::write(folder.join(SAVED_OBJECTS), saved_objects)
}

/// The body as its API takes it.
fn body(object: &Object) -> Value {
    let mut body = without_secrets(object.kind, &object.body);
    if object.kind == Kind::Channel {
        body["config_id"] = json!(object.id);
    }
    body
}

/// One saved object as a line of the file that Dashboards imports.
fn line(object: &Object) -> String {
    let mut line = json!({"id": object.id, "type": object.kind.name()});
    for member in ["attributes", "references", "migrationVersion"] {
        line[member] = object.body[member].clone();
    }
    format!("{line}\n")
}
