//! Keeps one S3 client for each region, and creates it when the first object there is asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;

use crate::config::SourceConfig;
use crate::record::is_region;

/// Clients, and buckets whose region was learned, that are kept; more than anyone has. What does not fit is made again.
const KEPT: usize = 256;

/// The clients by region, and what S3 said about where buckets are.
pub(crate) struct S3Clients {
    settings: aws_sdk_s3::Config,
    default_region: Option<String>,
    clients: Mutex<HashMap<String, Client>>,
    bucket_regions: Mutex<HashMap<String, String>>,
}

/// A client that signs for the region that it talks to.
struct RegionalClient {
    client: Client,
    region: Option<String>,
}

impl S3Clients {
    pub(crate) async fn new(aws: &SdkConfig, config: &SourceConfig) -> Self {
        let mut settings = aws_sdk_s3::config::Builder::from(aws).force_path_style(config.force_path_style);
        if let Some(role) = &config.assume_role_arn {
            let mut provider = AssumeRoleProvider::builder(role).session_name("sagetrail").configure(aws);
            if let Some(id) = &config.external_id {
                provider = provider.external_id(id);
            }
            settings = settings.credentials_provider(provider.build().await);
        }
        Self {
            settings: settings.build(),
            default_region: aws.region().map(ToString::to_string),
            clients: Mutex::default(),
            bucket_regions: Mutex::default(),
        }
    }

    /// Sends a request about a bucket, and sends it again to the bucket's own region when S3 says that this is another.
    /// `notified` is the region that its notification names.
    pub(crate) async fn ask<T, E, Answer>(
        &self,
        bucket: &str,
        notified: Option<&str>,
        request: impl Fn(Client) -> Answer,
    ) -> Result<T, Box<SdkError<E>>>
    where
        Answer: Future<Output = Result<T, SdkError<E>>>,
    {
        let RegionalClient { client, region } = self.client(bucket, notified);
        let error = match request(client).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match bucket_region(&error) {
            Some(home) if region.as_ref() != Some(&home) => {
                request(self.moved(bucket, home).client).await.map_err(Box::new)
            }
            _ => Err(Box::new(error)),
        }
    }

    /// The client for a bucket: where S3 said it is, else where its notification says so, else the default region.
    fn client(&self, bucket: &str, notified: Option<&str>) -> RegionalClient {
        let home = locked(&self.bucket_regions).get(bucket).cloned();
        // A region becomes a part of a host's name, and a notification's text may hold anything.
        let notified = notified.filter(|region| is_region(region)).map(str::to_owned);
        self.client_in(home.or(notified).or_else(|| self.default_region.clone()))
    }

    /// The client for a bucket that S3 says is in another region.
    fn moved(&self, bucket: &str, region: String) -> RegionalClient {
        let mut bucket_regions = locked(&self.bucket_regions);
        if bucket_regions.len() < KEPT || bucket_regions.contains_key(bucket) {
            bucket_regions.insert(bucket.to_owned(), region.clone());
        }
        drop(bucket_regions);
        self.client_in(Some(region))
    }

    fn client_in(&self, region: Option<String>) -> RegionalClient {
        let Some(name) = region else {
            return RegionalClient { client: Client::from_conf(self.settings.clone()), region: None };
        };
        let mut clients = locked(&self.clients);
        if let Some(client) = clients.get(&name) {
            return RegionalClient { client: client.clone(), region: Some(name) };
        }
        let settings = self.settings.to_builder().region(Region::new(name.clone())).build();
        let client = Client::from_conf(settings);
        if clients.len() < KEPT {
            clients.insert(name.clone(), client.clone());
        }
        RegionalClient { client, region: Some(name) }
    }
}

/// The region that S3 says a bucket is in, which it does when it was asked for in another one.
fn bucket_region<E>(error: &SdkError<E>) -> Option<String> {
    let region = error.raw_response()?.headers().get("x-amz-bucket-region")?;
    is_region(region).then(|| region.to_owned())
}

/// Each map is whole after every statement, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
