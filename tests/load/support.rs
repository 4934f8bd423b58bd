//! What the load needs of the servers and the daemon.

#[path = "../support/cloud.rs"]
pub mod cloud;
#[path = "../support/daemon.rs"]
pub mod daemon;
#[allow(dead_code, reason = "other tests ask more of the examples")]
#[path = "../support/examples.rs"]
pub mod examples;
#[allow(dead_code, reason = "other tests ask more of saved objects")]
#[path = "../support/saved.rs"]
pub mod saved;
#[path = "../support/search.rs"]
pub mod search;
#[path = "../support/server.rs"]
pub mod server;
#[path = "../support/stack.rs"]
mod stack;
#[path = "../support/trail.rs"]
pub mod trail;

use sagetrail::config::{Config, SinkConfig};
use sagetrail::opensearch::OpenSearch;
use sagetrail::setup::content;
use sagetrail::setup::object::Kind;
use sagetrail::setup::remote::Remote;

pub use stack::{Stack, eventually};

/// Installs what there is of some kinds, in their order.
pub async fn install(stack: &Stack, prefix: &str, kinds: &[Kind]) {
    let sink = SinkConfig {
        url: stack.opensearch.parse().expect("an address"),
        index_prefix: prefix.to_owned(),
        ..SinkConfig::default()
    };
    let client = OpenSearch::new(&sink, None).expect("nothing is read");
    let config = Config { sink, ..Config::default() };
    let remote = Remote::connect(client, None).await.expect("OpenSearch answers");
    let objects = content::objects(&config).expect("the content is whole");
    for kind in kinds {
        for object in objects.iter().filter(|it| it.kind == *kind) {
            remote.write(object, None).await.expect("it is stored");
        }
    }
}

/// Sends the lines of one bulk, of which each document has to be stored.
pub async fn send_bulk(stack: &Stack, http: &reqwest::Client, lines: String) {
    let url = format!("{}/_bulk?filter_path=errors", stack.opensearch.trim_end_matches('/'));
    let request = http.post(url).header("content-type", "application/x-ndjson").body(lines);
    let answer = request.send().await.expect("OpenSearch answers").text().await.expect("whole");
    assert_eq!(answer, "{\"errors\":false}");
}

/// What the environment says of how many there shall be of something, if it says anything.
pub fn asked_for(variable: &str) -> Option<u64> {
    let asked = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(asked.parse().unwrap_or_else(|error| panic!("{variable}={asked}: {error}")))
}

/// A number without any visible order.
pub fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A place in a list.
pub fn place(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}
