//! Finds the regions that must have digests, from everything but digests, so that a region without any is missed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{Date, Duration};

use super::context::Plan;
use super::shipped::search;
use crate::opensearch::{OpenSearch, QueryError};

/// The folders of regions' digests, which end before the year, with what is known of each.
pub type Expected = BTreeMap<String, Vec<&'static str>>;

/// Days before the period within which a region that had digests is expected to have some.
pub const KNOWN_DAYS: i64 = 30;

/// Says why a region is expected to have digests: its files of records are in the bucket.
pub const BY_RECORDS: &str = "its folder has files of this period";
/// Says why a region is expected to have digests: the ledger has files of it.
pub const BY_LEDGER: &str = "files of it were shipped in this period or within 30 days before";
/// Says why a region is expected to have digests: an earlier verification found some or files of it.
pub const BY_STANDING: &str = "an earlier verification found digests of it within 30 days";
/// Says why a region is expected to have digests: there are some of the days before the period.
pub const BY_BUCKET: &str = "there are digests of it within 30 days before";

/// Regions that answer one request.
const PAGE: usize = 1_000;

/// Regions of which the ledger has files in the period, or not long before.
pub async fn by_ledger(client: &OpenSearch, plan: &Plan, root: &str) -> Result<Expected, QueryError> {
    let mut filter = vec![
        json!({"term": {"object.bucket": plan.bucket}}),
        json!({"prefix": {"object.key": root}}),
        json!({"range": {"@timestamp": {"gte": since(plan).to_string(), "lt": next(plan.to).to_string()}}}),
    ];
    filter.extend(chosen(plan));
    let one = json!({"one": {"top_hits": {"size": 1, "_source": ["object.key"]}}});
    let path = format!("{}*/_search?ignore_unavailable=true", client.names().objects());
    let found = regions(client, &path, filter, &["cloud.account.id", "cloud.region"], one).await?;
    let mut expected = Expected::new();
    for bucket in &found {
        let key = bucket.pointer("/one/hits/hits/0/_source/object/key").and_then(Value::as_str);
        if let Some(base) = key.and_then(base_of) {
            expected.insert(base, vec![BY_LEDGER]);
        }
    }
    Ok(expected)
}

/// Regions of which earlier verifications found digests, not long before the period.
pub async fn by_standing(client: &OpenSearch, plan: &Plan, root: &str) -> Result<Expected, QueryError> {
    let place = format!("s3://{}/", plan.bucket);
    let mut filter = vec![
        json!({"prefix": {"verification.place": format!("{place}{root}")}}),
        json!({"range": {"verification.day": {"gte": since(plan).to_string(), "lt": plan.from.to_string()}}}),
        json!({"bool": {"should": [
            {"range": {"verification.delivered": {"gt": 0}}}, {"range": {"verification.digests": {"gt": 0}}}
        ]}}),
    ];
    filter.extend(chosen(plan));
    let path = format!("{}/_search?ignore_unavailable=true&allow_no_indices=true", client.names().verified());
    let names = ["verification.place", "cloud.account.id", "cloud.region"];
    let found = regions(client, &path, filter, &names, json!({})).await?;
    let mut expected = Expected::new();
    for bucket in &found {
        let name = |name: &str| bucket["key"][name].as_str();
        if let (Some(trail), Some(account), Some(region)) = (name(names[0]), name(names[1]), name(names[2]))
            && let Some(trail) = trail.strip_prefix(&place)
        {
            let base = format!("{trail}{account}/CloudTrail-Digest/{region}/");
            expected.insert(base, vec![BY_STANDING]);
        }
    }
    Ok(expected)
}

/// The folder of a region's digests, from the key of a file or the folder of a day of it.
pub fn base_of(key: &str) -> Option<String> {
    let mut segments: Vec<&str> = key.rsplit_once('/')?.0.split('/').collect();
    let kind = segments.iter().rposition(|it| it.starts_with("CloudTrail"))?;
    segments.truncate(kind + 2);
    segments[kind] = "CloudTrail-Digest";
    (segments.len() == kind + 2).then(|| format!("{}/", segments.join("/")))
}

/// The folder of the digests that the same account has in another region.
pub fn home_of(base: &str, region: &str) -> String {
    let account = base.trim_end_matches('/').rsplit_once('/').map_or("", |(account, _)| account);
    base_of(&format!("{account}/{region}/")).unwrap_or_default()
}

fn since(plan: &Plan) -> Date {
    plan.from.checked_sub(Duration::days(KNOWN_DAYS)).unwrap_or(Date::MIN)
}

fn next(day: Date) -> Date {
    day.next_day().unwrap_or(day)
}

fn chosen(plan: &Plan) -> Vec<Value> {
    [("cloud.account.id", &plan.accounts), ("cloud.region", &plan.regions)]
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(field, values)| json!({"terms": {field: values}}))
        .collect()
}

/// The values of these fields that documents have together, each with what is asked of it.
async fn regions(
    client: &OpenSearch,
    path: &str,
    filter: Vec<Value>,
    fields: &[&str],
    of_each: Value,
) -> Result<Vec<Value>, QueryError> {
    let sources: Vec<Value> =
        fields.iter().map(|field| json!({*field: {"terms": {"field": field}}})).collect();
    let mut found: Vec<Value> = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut composite = json!({"size": PAGE, "sources": sources});
        if !after.is_null() {
            composite["after"] = after;
        }
        let mut regions = json!({ "composite": composite });
        if of_each.as_object().is_some_and(|it| !it.is_empty()) {
            regions["aggs"] = of_each.clone();
        }
        let body = json!({"size": 0, "query": {"bool": {"filter": filter}}, "aggs": {"regions": regions}});
        let mut answer = search(client, path, &body).await?;
        // Without any index the answer has no aggregations.
        let page = answer["aggregations"]["regions"].take();
        let Some(buckets) = page["buckets"].as_array().filter(|buckets| !buckets.is_empty()) else {
            return Ok(found);
        };
        found.extend(buckets.iter().cloned());
        after = page["after_key"].clone();
        if after.is_null() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_regions_digests_is_beside_its_files() {
        let expected = "p/AWSLogs/o-1a/111122223333/CloudTrail-Digest/eu-west-1/";
        for kind in ["CloudTrail", "CloudTrail-Digest", "CloudTrail-NetworkActivity"] {
            for rest in ["", "2026/03/01/", "2026/03/01/x.json.gz"] {
                let key = format!("p/AWSLogs/o-1a/111122223333/{kind}/eu-west-1/{rest}");
                assert_eq!(base_of(&key).as_deref(), Some(expected), "{key}");
            }
        }
        for other in ["", "x.json.gz", "AWSLogs/111122223333/Config/x", "AWSLogs/111122223333/CloudTrail/x"] {
            assert_eq!(base_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_home_of_a_trail_is_beside_its_other_regions() {
        let base = "p/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/";
        assert_eq!(home_of(base, "us-east-1"), "p/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/");
    }
}
