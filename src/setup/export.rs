//! The export: the content as files, for those who import it by hand or with another tool.

use std::io;
use std::path::Path;

use super::dashboards::export_line;
use super::install::hide_secrets;
use super::object::{Object, Server};

/// Writes saved objects into one NDJSON file, and each other object into a file of its own, without secrets.
pub fn export(objects: &[Object], folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut saved_objects = String::new();
    for object in objects {
        if object.kind.server() == Server::Dashboards {
            saved_objects += &export_line(object);
            continue;
        }
        let text = format!("{:#}\n", object.body);
        let name = format!("{}.{}.json", object.kind.name(), object.id);
        std::fs::write(folder.join(name), hide_secrets(object.kind, &text))?;
    }
    if saved_objects.is_empty() {
        Ok(())
    } else {
        std::fs::write(folder.join("saved-objects.ndjson"), saved_objects)
    }
}
