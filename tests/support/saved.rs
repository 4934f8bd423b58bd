//! The saved objects of `dashboards/*.ndjson`, as they are imported.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// One line of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    pub kind: String,
    pub id: String,
    pub line: Value,
}

/// The objects of each file, by its name.
pub fn files() -> BTreeMap<String, Vec<Saved>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            let text = std::fs::read_to_string(&path).unwrap();
            let objects = text.lines().map(|line| Saved::read(line, &path)).collect();
            files.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), objects);
        }
    }
    files
}

/// Every object once, by kind and id.
pub fn all() -> BTreeMap<(String, String), Saved> {
    let objects = files().into_values().flatten();
    objects.map(|saved| ((saved.kind.clone(), saved.id.clone()), saved)).collect()
}

impl Saved {
    fn read(line: &str, path: &Path) -> Self {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text =
            |name: &str| line[name].as_str().unwrap_or_else(|| panic!("{line} has no {name}")).to_owned();
        Self { kind: text("type"), id: text("id"), line }
    }

    pub fn attribute(&self, name: &str) -> &Value {
        &self.line["attributes"][name]
    }

    /// The JSON inside an attribute that is a text.
    pub fn embedded(&self, name: &str) -> Value {
        let attributes = &self.line["attributes"];
        let text = if name == "searchSourceJSON" {
            &attributes["kibanaSavedObjectMeta"][name]
        } else {
            &attributes[name]
        };
        let text = text.as_str().unwrap_or_else(|| panic!("{} has no {name}", self.id));
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {name}: {error}", self.id))
    }

    /// The kind and id behind the name of a reference.
    pub fn reference(&self, name: &str) -> Option<(String, String)> {
        let references = self.line["references"].as_array().unwrap();
        let found = references.iter().find(|reference| reference["name"] == name)?;
        Some((found["type"].as_str()?.to_owned(), found["id"].as_str()?.to_owned()))
    }
}
