//! Tells what memory knows of one thing, as a tree: where it comes from, what it stands on, and what stands on it.
//!
//! What to ask and what the answers amount to is pure. Here is the asking, which goes on until the tree is whole or has
//! reached its bounds.

mod question;
mod store;
mod tree;
mod summary;
mod grow;
mod meant;

use sagetrail_core::memory::Key;

use crate::memory::Remembered;
use crate::opensearch::{Found, Hit, OpenSearch, OpenSearchError, Query, QueryError};
use grow::{Bounds, Grown, Thing, grow};
use meant::{Meant, candidates, meant};
use question::Question;
use store::{Store, kind_of};
pub use tree::Report;
use tree::shown;

const QUERY: Query = Query {
    operation: "reading memory",
    grant: "indices:data/read/search on the indices of resources, identities and sessions",
};

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum WhoisError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(
        "memory knows nothing of {asked}; it was looked for in {read}. Memory knows what records told since it is there: \
         `sagetrail replay` teaches it history"
    )]
    Unknown { asked: String, read: String },
    #[error("{asked} is the name of several things; ask for one of them:{candidates}")]
    Several { asked: String, candidates: String },
}

/// What memory knows of what somebody names.
pub async fn run(client: &OpenSearch, asked: &str) -> Result<Report, WhoisError> {
    let mut store = Store::default();
    let root = match meant(asked) {
        Meant::One(thing) => thing,
        Meant::Named(questions) => {
            for question in &questions {
                answer(client, question, &mut store).await?;
            }
            let (mut things, more) = candidates(asked, &store);
            if things.len() > 1 || more > 0 {
                return Err(several(asked, &things, more));
            }
            match things.pop() {
                Some(thing) => thing,
                None => return Err(unknown(client, asked)),
            }
        }
    };
    loop {
        let Grown { root, wanted, cut } = grow(&root, &store, Bounds::default());
        if wanted.is_empty() {
            if root.is_bare() {
                return Err(unknown(client, asked));
            }
            return Ok(Report { asked: asked.to_owned(), root, cut, read: read(client) });
        }
        for question in &wanted {
            answer(client, question, &mut store).await?;
        }
    }
}

async fn answer(client: &OpenSearch, question: &Question, store: &mut Store) -> Result<(), QueryError> {
    let (path, body) = question.search(client.names());
    let Found::<Remembered> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
    let total = hits.total.map_or(0, |total| total.value);
    let found = hits.hits.into_iter().filter_map(|Hit { index, source, .. }| {
        let kind = kind_of(&index, client.names())?;
        Some((Key::new(kind, source.key), source.memory))
    });
    store.take(question.clone(), found.collect(), total);
    Ok(())
}

fn read(client: &OpenSearch) -> Vec<String> {
    let names = client.names();
    vec![names.resources(), names.identities(), names.sessions()]
}

fn unknown(client: &OpenSearch, asked: &str) -> WhoisError {
    WhoisError::Unknown { asked: shown(asked).into_owned(), read: read(client).join(", ") }
}

fn several(asked: &str, things: &[Thing], more: u64) -> WhoisError {
    let more = (more > 0).then(|| format!("and {more} more"));
    let lines: Vec<String> =
        things.iter().map(|thing| shown(thing.name()).into_owned()).chain(more).collect();
    let candidates = format!("\n  {}", lines.join("\n  "));
    WhoisError::Several { asked: shown(asked).into_owned(), candidates }
}
