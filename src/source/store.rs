//! Reads whole S3 objects within a memory budget.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::RequestPayer;
use bytes::{Bytes, BytesMut};
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;

use super::buckets::S3Clients;
use super::budget::Budget;
use super::notification::ObjectRef;
pub use super::refusal::StoreError;
use super::refusal::{GetObjectFailure, passed_over, refusal};
use crate::aws;
use crate::backoff::full_jitter;
use crate::causes::chain;
use crate::config::SourceConfig;
use crate::labels::{Retry, VersionPassedOver};
use crate::metrics::Metrics;

/// How often an object is asked for, because its body broke off or turned out to need more memory than was reserved.
/// The SDK repeats requests that fail before their body begins, and only those.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Reads objects whole. All objects in memory share one budget of bytes.
pub struct Store {
    buckets: S3Clients,
    budget: Budget,
    max_object_bytes: u64,
    request_payer: Option<RequestPayer>,
    /// Whether a denied version was logged.
    told_of_versions: AtomicBool,
    metrics: Arc<Metrics>,
}

/// One object's bytes as they are stored. They count against the budget until this is dropped.
#[derive(Debug)]
pub struct Object {
    pub bytes: Bytes,
    pub stored_bytes: u64,
    pub last_modified: Option<OffsetDateTime>,
    pub etag: Option<String>,
    /// The version that was read, where the bucket keeps versions.
    pub version: Option<String>,
    /// The object's user metadata.
    pub metadata: HashMap<String, String>,
    _permit: OwnedSemaphorePermit,
}

impl Store {
    /// Makes the clients and the budget of `source.in_flight_bytes`, and asks S3 nothing yet.
    pub async fn new(aws: &SdkConfig, config: &SourceConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            buckets: S3Clients::new(aws, config).await,
            budget: Budget::new(config.in_flight_bytes.get() as u64),
            max_object_bytes: config.max_object_bytes,
            request_payer: config.requester_pays.then_some(RequestPayer::Requester),
            told_of_versions: AtomicBool::new(false),
            metrics,
        }
    }

    /// Reads an object whole, once the budget allows.
    ///
    /// It never waits for budget while a response is open: S3 would close it, and the wait has no limit. A caller must
    /// not hold an object while it waits for the next one, because it could wait for itself.
    pub async fn get(&self, object: &ObjectRef) -> Result<Object, StoreError> {
        let mut room = match object.size {
            Some(size) if size <= self.max_object_bytes => Some(self.budget.room(size).await),
            // The size is unknown, or the announced one exceeds the limit, so S3's answer decides.
            _ => None,
        };
        let mut retries = 0;
        loop {
            match self.attempt(object, room.take()).await? {
                Attempt::Read(object) => return Ok(object),
                Attempt::NeedsRoom { bytes } if retries + 1 < ATTEMPTS => {
                    room = Some(self.budget.room(bytes).await);
                }
                Attempt::NeedsRoom { .. } => {
                    let cause = "its size changed with each request".to_owned();
                    return Err(StoreError::Unavailable { object: object.to_string(), cause, source: None });
                }
                Attempt::BrokeOff { cause, room: reserved } if retries + 1 < ATTEMPTS => {
                    tracing::debug!(%object, cause, "the body of an object broke off; reading it again");
                    self.metrics.retries.count(Retry::Object);
                    room = Some(reserved);
                    tokio::time::sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, retries)).await;
                }
                Attempt::BrokeOff { cause, .. } => {
                    let cause = format!("its body broke off {ATTEMPTS} times, last with: {cause}");
                    return Err(StoreError::Unavailable { object: object.to_string(), cause, source: None });
                }
            }
            retries += 1;
        }
    }

    /// Holds bytes that were not read from S3 within the same budget. `read` gets them once there is room for so many.
    pub async fn reserve<E>(
        &self,
        size: u64,
        read: impl Future<Output = Result<(Bytes, Option<OffsetDateTime>), E>>,
    ) -> Result<Object, E> {
        let room = self.budget.room(size).await;
        let (bytes, last_modified) = read.await?;
        let stored_bytes = bytes.len() as u64;
        Ok(Object {
            bytes,
            stored_bytes,
            last_modified,
            etag: None,
            version: None,
            metadata: HashMap::new(),
            _permit: room,
        })
    }

    async fn attempt(
        &self,
        object: &ObjectRef,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Attempt, StoreError> {
        let response = self.open(object).await?;
        let length = response.content_length.and_then(|length| u64::try_from(length).ok());
        // S3 always tells the length; a store that does not gets room for the largest object.
        let bytes = length.unwrap_or(self.max_object_bytes);
        if bytes > self.max_object_bytes {
            return Err(self.too_large(object, bytes));
        }
        let Some(room) = self.budget.fit(room, bytes) else {
            return Ok(Attempt::NeedsRoom { bytes });
        };
        let last_modified = response.last_modified.and_then(|at| {
            OffsetDateTime::from_unix_timestamp(at.secs())
                .ok()
                .map(|whole| whole + Duration::from_nanos(u64::from(at.subsec_nanos())))
        });
        let etag = response.e_tag;
        let version = response.version_id.filter(|version| version != "null");
        let metadata = response.metadata.unwrap_or_default();
        match read(response.body, length, self.max_object_bytes).await {
            Ok(bytes) => {
                let stored_bytes = bytes.len() as u64;
                Ok(Attempt::Read(Object {
                    bytes,
                    stored_bytes,
                    last_modified,
                    etag,
                    version,
                    metadata,
                    _permit: room,
                }))
            }
            Err(BodyError::TooLarge { bytes }) => Err(self.too_large(object, bytes)),
            Err(BodyError::BrokeOff { cause }) => Ok(Attempt::BrokeOff { cause, room }),
        }
    }

    /// Opens the announced version, which a later delete or overwrite cannot hide, or else the current one.
    async fn open(&self, object: &ObjectRef) -> Result<GetObjectOutput, StoreError> {
        let Some(version) = object.version.as_deref() else {
            return self.open_version(object, None).await.map_err(|error| refusal(object, error));
        };
        let error = match self.open_version(object, Some(version)).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let Some(reason) = passed_over(&error) else { return Err(refusal(object, error)) };
        self.metrics.versions_passed_over.count(reason);
        let cause = aws::cause(&error);
        match self.open_version(object, None).await.map_err(|error| refusal(object, error)) {
            Err(StoreError::Missing { object, .. }) if reason == VersionPassedOver::Denied => {
                Err(StoreError::VersionForbidden { object, cause, source: error })
            }
            current => {
                if current.is_ok() {
                    self.tell_of_version(object, reason, &cause);
                }
                current
            }
        }
    }

    /// Logs that the current version was read in place of the announced one. A missing permission is logged only once.
    fn tell_of_version(&self, object: &ObjectRef, reason: VersionPassedOver, cause: &str) {
        match reason {
            VersionPassedOver::Gone => {
                tracing::warn!(%object, cause, "the announced version of an object is gone; reading the current one");
            }
            VersionPassedOver::Denied if !self.told_of_versions.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    %object,
                    cause,
                    "S3 denies the announced versions of objects, so their current versions are read, which somebody may \
                     have overwritten; grant s3:GetObjectVersion"
                );
            }
            VersionPassedOver::Denied => {
                tracing::debug!(%object, cause, "S3 denies the announced version of an object");
            }
        }
    }

    async fn open_version(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
    ) -> Result<GetObjectOutput, Box<GetObjectFailure>> {
        let request = |client| self.request(client, object, version);
        self.buckets.ask(&object.bucket, object.region.as_deref(), request).await
    }

    async fn request(
        &self,
        client: Client,
        object: &ObjectRef,
        version: Option<&str>,
    ) -> Result<GetObjectOutput, GetObjectFailure> {
        let attempts = Attempts::default();
        let outcome = client
            .get_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .set_version_id(version.map(str::to_owned))
            .set_request_payer(self.request_payer.clone())
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await;
        self.metrics.retries.of(Retry::Object).inc_by(attempts.0.load(Ordering::Relaxed).saturating_sub(1));
        outcome
    }

    fn too_large(&self, object: &ObjectRef, bytes: u64) -> StoreError {
        StoreError::TooLarge { object: object.to_string(), bytes, limit: self.max_object_bytes }
    }
}

/// The outcome of one attempt to read an object, other than a refusal.
enum Attempt {
    Read(Object),
    /// It is larger than what was reserved, and the budget has no more at once.
    NeedsRoom {
        bytes: u64,
    },
    BrokeOff {
        cause: String,
        room: OwnedSemaphorePermit,
    },
}

enum BodyError {
    TooLarge { bytes: u64 },
    BrokeOff { cause: String },
}

/// Reads a body to its end, and to its announced length.
async fn read(mut body: ByteStream, length: Option<u64>, limit: u64) -> Result<Bytes, BodyError> {
    let announced = length.and_then(|length| usize::try_from(length).ok());
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default());
    loop {
        match body.try_next().await {
            Ok(Some(chunk)) => {
                let total = bytes.len() as u64 + chunk.len() as u64;
                if total > limit {
                    return Err(BodyError::TooLarge { bytes: total });
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(None) => break,
            Err(error) => return Err(BodyError::BrokeOff { cause: chain(&error) }),
        }
    }
    if announced.is_some_and(|announced| announced != bytes.len()) {
        let cause = format!("only {} of {} bytes arrived", bytes.len(), length.unwrap_or_default());
        return Err(BodyError::BrokeOff { cause });
    }
    Ok(bytes.freeze())
}

/// Counts the requests that the SDK sends for one call.
#[derive(Debug, Clone, Default)]
struct Attempts(Arc<AtomicU64>);

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
