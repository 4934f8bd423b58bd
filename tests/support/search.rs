//! Searches in the real OpenSearch.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One OpenSearch node, asked without a security plugin.
pub struct Search {
    pub(super) url: String,
    pub(super) http: reqwest::Client,
}

impl Search {
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// Sends a request and returns the status and the answer.
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("an HTTP method");
        let mut request = self.http.request(method, format!("{}/{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("OpenSearch answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("OpenSearch answers whole");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Every document that the query finds in the indices, by `_id`, with its index and these fields of its source.
    /// Refreshes first.
    pub async fn find(&self, indices: &str, query: Value, fields: &[&str]) -> BTreeMap<String, Vec<Hit>> {
        const PAGE: usize = 2_000;
        self.request("POST", &format!("{indices}/_refresh?ignore_unavailable=true"), None).await;
        let mut found: BTreeMap<String, Vec<Hit>> = BTreeMap::new();
        let path = format!("{indices}/_search?scroll=1m&ignore_unavailable=true");
        let (mut status, mut page) = self
            .request(
                "POST",
                &path,
                Some(json!({"size": PAGE, "query": query, "_source": fields, "sort": ["_doc"]})),
            )
            .await;
        loop {
            assert_eq!((status, &page["_shards"]["failed"]), (200, &json!(0)), "{page}");
            let hits = page["hits"]["hits"].as_array().expect("a search has hits");
            if hits.is_empty() {
                // A node keeps only some hundred contexts, and this one is that of many tests.
                let scroll = json!({"scroll_id": page["_scroll_id"]});
                let (status, answer) = self.request("DELETE", "_search/scroll", Some(scroll)).await;
                assert_eq!(status, 200, "{answer}");
                return found;
            }
            for hit in hits {
                let id = hit["_id"].as_str().expect("a hit has an id").to_owned();
                let index = hit["_index"].as_str().expect("a hit has an index").to_owned();
                found.entry(id).or_default().push(Hit { index, source: hit["_source"].clone() });
            }
            let scroll = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
            (status, page) = self.request("POST", "_search/scroll", Some(scroll)).await;
        }
    }

    /// Documents of one account, by `_id`, with their event ids.
    pub async fn of_account(&self, account: &str) -> BTreeMap<String, Vec<Hit>> {
        self.find("sagetrail-events", json!({"term": {"cloud.account.id": account}}), &["event.id"]).await
    }
}

#[derive(Debug)]
pub struct Hit {
    pub index: String,
    pub source: Value,
}
