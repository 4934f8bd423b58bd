//! Lists the folders and keys of a bucket, page by page with a delimiter, never as a whole.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::types::RequestPayer;
use tokio::task::JoinSet;

use super::buckets::S3Clients;
use super::folder::{self, TrailFilter, Visit};
use crate::aws;
use crate::config::SourceConfig;
use crate::denial::Denial;

/// Listings that run at once: S3 answers thousands a second for a prefix, and a dozen hide the way there and back.
const LISTINGS: usize = 12;

/// Folders that an error names: enough to see what was meant.
const SHOWN: usize = 10;

/// One bucket. Clones share its clients.
#[derive(Clone)]
pub struct Bucket {
    pub name: String,
    buckets: Arc<S3Clients>,
    request_payer: Option<RequestPayer>,
}

/// An object as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub size: u64,
    pub etag: Option<String>,
}

/// Up to a thousand objects, in the order of their keys.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<Listed>,
    pub is_last: bool,
}

/// Why a bucket could not be listed. Where the operator must act, the text says how.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("ListObjectsV2 s3://{place}: there is no such bucket; check its name")]
    NoSuchBucket { place: String },
    #[error("ListObjectsV2 s3://{place} was denied ({cause}); grant s3:ListBucket on the bucket")]
    Forbidden { place: String, cause: String },
    #[error("ListObjectsV2 s3://{place} was denied ({cause}): {}", denial.advice())]
    Denied { place: String, denial: Denial, cause: String },
    #[error("ListObjectsV2 s3://{place} failed: {cause}")]
    Failed { place: String, cause: String },
    #[error(
        "s3://{place} has no folder AWSLogs/, where a trail begins; it has {found}; give the prefix that stands before AWSLogs/"
    )]
    NoTrail { place: String, found: String },
    #[error("listing s3://{place} panicked; this is a bug, please report it")]
    Panicked { place: String },
}

impl Bucket {
    /// Makes the clients for one bucket, and asks S3 nothing yet.
    pub async fn new(aws: &SdkConfig, config: &SourceConfig, name: String) -> Self {
        let buckets = Arc::new(S3Clients::new(aws, config).await);
        Self { name, buckets, request_payer: config.requester_pays.then_some(RequestPayer::Requester) }
    }

    /// The prefixes of the days below `prefix` that are wanted, in the order of their keys. Each level of the tree is
    /// listed with a delimiter, and what is not wanted is not entered.
    pub async fn days(&self, prefix: &str, filter: &TrailFilter) -> Result<Vec<String>, ListError> {
        let mut level = vec![self.root(prefix).await?];
        let mut days = Vec::new();
        while !level.is_empty() {
            let (taken, open): (Vec<_>, Vec<_>) =
                level.into_iter().partition(|folder| filter.visit(folder) == Visit::Take);
            days.extend(taken);
            level = self.all_below(open).await?;
            level.retain(|folder| filter.visit(folder) != Visit::Leave);
        }
        days.sort_unstable();
        Ok(days)
    }

    /// The objects of one folder after a key.
    pub async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        let answer = self.list(prefix, None, after.map(|after| Start::After(after.to_owned()))).await?;
        let objects = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                Some(Listed { key: object.key?, size, etag: object.e_tag })
            })
            .collect();
        Ok(Page { objects, is_last: answer.is_truncated != Some(true) })
    }

    /// The folder itself where it is in a trail's tree, or the root of the tree that it holds.
    async fn root(&self, prefix: &str) -> Result<String, ListError> {
        let folder = match prefix {
            "" => String::new(),
            _ => format!("{}/", prefix.trim_end_matches('/')),
        };
        if folder::is_rooted(&folder) {
            return Ok(folder);
        }
        let root = format!("{folder}{}/", folder::ROOT);
        let found = self.below(&folder).await?;
        if found.contains(&root) {
            return Ok(root);
        }
        let found = match found.len() {
            0 => "no folder at all".to_owned(),
            _ => found.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        Err(ListError::NoTrail { place: format!("{}/{folder}", self.name), found })
    }

    async fn all_below(&self, folders: Vec<String>) -> Result<Vec<String>, ListError> {
        let mut found = Vec::new();
        let mut listings = JoinSet::new();
        for folder in folders {
            while listings.len() >= LISTINGS {
                found.extend(joined(&self.name, listings.join_next().await)?);
            }
            let bucket = self.clone();
            listings.spawn(async move { bucket.below(&folder).await });
        }
        while !listings.is_empty() {
            found.extend(joined(&self.name, listings.join_next().await)?);
        }
        Ok(found)
    }

    /// The folders right below one.
    async fn below(&self, folder: &str) -> Result<Vec<String>, ListError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let answer = self.list(folder, Some("/"), start).await?;
            found.extend(answer.common_prefixes.unwrap_or_default().into_iter().filter_map(|it| it.prefix));
            match answer.next_continuation_token {
                Some(token) => start = Some(Start::Token(token)),
                None => return Ok(found),
            }
        }
    }

    async fn list(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        start: Option<Start>,
    ) -> Result<ListObjectsV2Output, ListError> {
        let request = |client| self.request(client, prefix, delimiter, start.as_ref());
        let answer = self.buckets.ask(&self.name, None, request).await;
        answer.map_err(|error| refusal(format!("{}/{prefix}", self.name), &error))
    }

    async fn request(
        &self,
        client: Client,
        prefix: &str,
        delimiter: Option<&str>,
        start: Option<&Start>,
    ) -> Result<ListObjectsV2Output, SdkError<ListObjectsV2Error>> {
        let request = client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .set_request_payer(self.request_payer.clone());
        let request = match start {
            Some(Start::After(key)) => request.start_after(key),
            Some(Start::Token(token)) => request.continuation_token(token),
            None => request,
        };
        request.send().await
    }
}

/// Where a listing goes on.
enum Start {
    After(String),
    Token(String),
}

fn joined<T>(
    bucket: &str,
    ended: Option<Result<Result<T, ListError>, tokio::task::JoinError>>,
) -> Result<T, ListError> {
    match ended {
        Some(Ok(result)) => result,
        Some(Err(_)) | None => Err(ListError::Panicked { place: bucket.to_owned() }),
    }
}

fn refusal(place: String, error: &SdkError<ListObjectsV2Error>) -> ListError {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let cause = aws::cause(error);
    match error.code() {
        Some("NoSuchBucket") => ListError::NoSuchBucket { place },
        _ if matches!(status, Some(401 | 403)) => match Denial::read(403, &aws::said(error)) {
            Denial::Permission => ListError::Forbidden { place, cause },
            Denial::Throttled => ListError::Failed { place, cause },
            denial => ListError::Denied { place, denial, cause },
        },
        _ => ListError::Failed { place, cause },
    }
}
