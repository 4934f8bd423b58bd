//! The scene: indices of a test's own, mapped as the real ones, with the documents of a story.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Stack;
use super::search::Search;
use super::story::Told;

/// The indices `NAME-events`, `NAME-resources` and so on.
pub struct Scene {
    pub name: &'static str,
    pub search: Search,
}

const TEMPLATES: [(&str, &str); 7] = [
    ("events", include_str!("../../../mappings/component-events-mappings.json")),
    // What several records show has the fields of an event.
    ("correlated", include_str!("../../../mappings/component-events-mappings.json")),
    ("incidents", include_str!("../../../mappings/template-incidents.json")),
    ("resources", include_str!("../../../mappings/template-resources.json")),
    ("rejected", include_str!("../../../mappings/template-rejected.json")),
    ("verification", include_str!("../../../mappings/template-verification.json")),
    ("verified", include_str!("../../../mappings/template-verified.json")),
];

impl Scene {
    pub async fn set(name: &'static str, documents: &[Told]) -> Option<Self> {
        let stack = Stack::running()?;
        let scene = Self { name, search: Search::new(&stack.opensearch) };
        for (index, template) in TEMPLATES {
            let template: Value = serde_json::from_str(template).unwrap();
            let body = json!({"mappings": template["template"]["mappings"]});
            let (status, answer) = scene.search.request("PUT", &format!("{name}-{index}"), Some(body)).await;
            assert_eq!(status, 200, "{answer}");
        }
        // OpenSearch refuses a bulk of nothing.
        if !documents.is_empty() {
            let events = format!("{name}-events");
            scene.add(&events, documents.iter().map(|told| (told.id.clone(), &told.source))).await;
        }
        Some(scene)
    }

    pub async fn add(&self, index: &str, documents: impl Iterator<Item = (String, &Value)>) {
        let mut lines = String::new();
        for (id, source) in documents {
            writeln!(lines, "{}\n{source}", json!({"create": {"_index": index, "_id": id}})).unwrap();
        }
        let answer = self.search.send("_bulk?refresh=true", lines).await;
        assert_eq!(answer["errors"], false, "{answer}");
    }

    pub async fn remove(self) {
        for (index, _) in TEMPLATES {
            self.search.request("DELETE", &format!("{}-{index}", self.name), None).await;
        }
    }
}
