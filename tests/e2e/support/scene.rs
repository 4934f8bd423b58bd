//! The scene: indices of a test's own, mapped as the real ones, with the documents of a story.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Stack;
use super::search::Search;
use super::story::Told;

/// The indices `NAME-events`, `-rejected`, `-verification`, `-verified`, `-incidents` and `-correlator`.
pub struct Scene {
    pub name: &'static str,
    pub search: Search,
}

impl Scene {
    pub async fn set(name: &'static str, documents: &[Told]) -> Option<Self> {
        let stack = Stack::running()?;
        let scene = Self { name, search: Search::new(&stack.opensearch) };
        let events: Value =
            serde_json::from_str(include_str!("../../../mappings/component-events-mappings.json")).unwrap();
        let rejected: Value =
            serde_json::from_str(include_str!("../../../mappings/template-rejected.json")).unwrap();
        let verification: Value =
            serde_json::from_str(include_str!("../../../mappings/template-verification.json")).unwrap();
        let verified: Value =
            serde_json::from_str(include_str!("../../../mappings/template-verified.json")).unwrap();
        let incidents: Value =
            serde_json::from_str(include_str!("../../../mappings/template-incidents.json")).unwrap();
        let correlator: Value =
            serde_json::from_str(include_str!("../../../mappings/template-correlator.json")).unwrap();
        for (index, template) in [
            ("events", events),
            ("rejected", rejected),
            ("verification", verification),
            ("verified", verified),
            ("incidents", incidents),
            ("correlator", correlator),
        ] {
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
        for index in ["events", "rejected", "verification", "verified", "incidents", "correlator"] {
            self.search.request("DELETE", &format!("{}-{index}", self.name), None).await;
        }
    }
}
