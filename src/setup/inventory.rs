//! Remembers in an index of its own what was installed, so that setup can tell a person's edit from older content of
//! ours, and remove exactly what it installed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::answer::{SetupError, exists_already, refused};
use super::object::{Kind, Object};
use super::plan::Entry;
use crate::opensearch::bulk::{self, Action};
use crate::opensearch::{Answer, Found, Method, OpenSearch};

/// More than all content has.
const MOST_ENTRIES: usize = 5_000;

/// Every entry, as it was when the inventory was read.
pub(super) struct Inventory {
    opensearch: OpenSearch,
    index: String,
    entries: BTreeMap<(Kind, String), Entry>,
}

impl Inventory {
    /// Reads the inventory, which is empty before the first installation.
    pub(super) async fn read(opensearch: &OpenSearch) -> Result<Self, SetupError> {
        let index = opensearch.names().setup();
        let path = format!("{index}/_search?size={MOST_ENTRIES}");
        let answer = opensearch.request(Method::GET, &path, None).await?;
        let entries: Vec<Entry> = match answer.status {
            404 => Vec::new(),
            200 => serde_json::from_slice::<Found<Entry>>(&answer.body)
                .map_err(|_| refused_inventory(&index, &answer))?
                .sources()
                .collect(),
            _ => return Err(refused_inventory(&index, &answer)),
        };
        let entries = entries.into_iter().map(|entry| ((entry.kind, entry.id.clone()), entry)).collect();
        Ok(Self { opensearch: opensearch.clone(), index, entries })
    }

    /// Makes the index, whose documents are kept and not searched by their members.
    pub(super) async fn prepare(&self) -> Result<(), SetupError> {
        let body = json!({
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": true},
            "mappings": {"enabled": false, "_meta": {"managed_by": "sagetrail"}}
        });
        let answer =
            self.opensearch.request(Method::PUT, &self.index, Some(Bytes::from(body.to_string()))).await?;
        if answer.status == 200 || exists_already(&answer) {
            Ok(())
        } else {
            Err(refused_inventory(&self.index, &answer))
        }
    }

    pub(super) fn entry(&self, object: &Object) -> Option<&Entry> {
        self.entries.get(&(object.kind, object.id.clone()))
    }

    /// Every entry, each before those that it depends on.
    pub(super) fn backwards(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().rev()
    }

    /// What was installed and is not among these objects, in the order in which it can be removed.
    pub(super) fn leftovers(&self, objects: &[Object]) -> Vec<&Entry> {
        let is_wanted =
            |entry: &Entry| objects.iter().any(|object| object.kind == entry.kind && object.id == entry.id);
        self.backwards().filter(|entry| !is_wanted(entry)).collect()
    }

    /// Writes new entries and deletes old ones with one request. A run that is interrupted before this does no harm:
    /// the next one finds each object as it should be, and remembers it.
    pub(super) async fn write(&self, remembered: &[Entry], forgotten: &[Entry]) -> Result<(), SetupError> {
        let mut body = Vec::new();
        for entry in remembered {
            let line = serde_json::to_vec(entry).expect("an entry is plain data");
            bulk::push(&mut body, Action::Index, &self.index, &id(entry), &line);
        }
        for entry in forgotten {
            bulk::push(&mut body, Action::Delete, &self.index, &id(entry), b"");
        }
        if body.is_empty() {
            return Ok(());
        }
        let written = self.opensearch.bulk_whole(Bytes::from(body)).await?;
        written.map_err(|answer| refused_inventory(&self.index, &answer))
    }

    /// Removes the index itself, when nothing is left to remember.
    pub(super) async fn remove(self) -> Result<(), SetupError> {
        let answer = self.opensearch.request(Method::DELETE, &self.index, None).await?;
        if matches!(answer.status, 200 | 404) { Ok(()) } else { Err(refused_inventory(&self.index, &answer)) }
    }
}

fn id(entry: &Entry) -> String {
    format!("{}:{}", entry.kind.name(), entry.id)
}

fn refused_inventory(index: &str, answer: &Answer) -> SetupError {
    refused(format!("the index {index}"), answer)
}
