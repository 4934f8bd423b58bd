//! Searches in the real OpenSearch, and writes.

#[path = "../../support/search.rs"]
mod base;

use serde_json::{Value, json};

pub use base::Search;

impl Search {
    /// Sends lines of JSON, and returns the answer.
    pub async fn send(&self, path: &str, lines: String) -> Value {
        let request = self.http.post(format!("{}/{path}", self.url));
        let answer = request.header("content-type", "application/x-ndjson").body(lines).send().await;
        let text = answer.expect("OpenSearch answers").text().await.expect("OpenSearch answers whole");
        serde_json::from_str(&text).expect("the answer is JSON")
    }

    /// How many documents of one account can be found now.
    pub async fn count(&self, account: &str) -> u64 {
        self.request("POST", "sagetrail-events*/_refresh?ignore_unavailable=true", None).await;
        let query = json!({"query": {"term": {"cloud.account.id": account}}});
        let path = "sagetrail-events*/_count?ignore_unavailable=true";
        let (status, answer) = self.request("POST", path, Some(query)).await;
        assert_eq!(status, 200, "{answer}");
        answer["count"].as_u64().expect("a count")
    }
}
