//! The region: one account's digests and files in one region, followed in the order of time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use time::{Date, Duration, OffsetDateTime, Time};

use super::chain::{self, Link};
use super::digest::{DigestKey, LogFile, ReadDigest};
use super::judge::Evidence;
use super::report::{Finding, Kind, Report};
use super::shipped;
use super::{Scene, VerifyError};
use crate::decode;
use crate::ledger::hex;
use crate::source::bucket::Listed;
use crate::source::folder::day_of;
use crate::source::key;
use crate::source::notification::ObjectRef;
use crate::source::store::StoreError;

/// Files at the edge of what digests cover may be named by one that is not looked at.
const EDGE: Duration = Duration::minutes(15);

pub struct Region {
    scene: Arc<Scene>,
    report: Report,
    chains: BTreeMap<String, Link>,
    /// The folders of files that digests still name, by their prefixes.
    folders: BTreeMap<String, Folder>,
    /// The time that valid digests cover.
    covered: Option<(OffsetDateTime, OffsetDateTime)>,
}

/// The files of one day, and whether a digest has named each.
type Folder = HashMap<String, (Listed, Named)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

impl Region {
    pub fn new(scene: Arc<Scene>) -> Self {
        let plan = &scene.plan;
        let report = Report::new(String::new(), plan.from, plan.to);
        Self { scene, report, chains: BTreeMap::new(), folders: BTreeMap::new(), covered: None }
    }

    /// Verifies the digests of these days, whose prefixes are in order.
    pub async fn verify(mut self, days: Vec<String>) -> Result<Report, VerifyError> {
        for day in &days {
            for key in self.digests(day).await? {
                self.follow(&key).await?;
            }
            if self.is_in_period(day_of(day)) {
                self.open(&day.replacen("/CloudTrail-Digest/", "/CloudTrail/", 1)).await?;
            }
            // The digests of a day name files of that day and the one before.
            let passed = day_of(day).and_then(Date::previous_day);
            let (old, recent) = std::mem::take(&mut self.folders)
                .into_iter()
                .partition(|(prefix, _)| day_of(prefix) < passed);
            self.folders = recent;
            self.close(old);
        }
        let rest = std::mem::take(&mut self.folders);
        self.close(rest);
        let until = self.scene.plan.to.with_time(Time::MIDNIGHT).assume_utc() + Duration::days(1);
        for link in std::mem::take(&mut self.chains).into_values() {
            self.report.chains += 1;
            if let Some(finding) =
                chain::end(&link, &self.scene.plan.bucket, until, OffsetDateTime::now_utc())
            {
                self.report.find(finding);
            }
        }
        Ok(self.report)
    }

    /// The keys of one day's digests, in the order of their ends.
    async fn digests(&self, day: &str) -> Result<Vec<DigestKey>, VerifyError> {
        let mut keys: Vec<DigestKey> =
            self.list(day).await?.iter().filter_map(|listed| DigestKey::read(&listed.key)).collect();
        keys.sort_by_key(|key| key.ended_at);
        Ok(keys)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, VerifyError> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let last = all.last().map(|listed| listed.key.clone());
            let page = self.scene.bucket.page(prefix, last.as_deref()).await?;
            all.extend(page.objects);
            if page.is_last {
                return Ok(all);
            }
        }
    }

    /// Checks one digest, its place in the chain and the files that it names.
    async fn follow(&mut self, key: &DigestKey) -> Result<(), VerifyError> {
        let bucket = self.scene.plan.bucket.clone();
        self.report.digests += 1;
        let read = match self.read(key).await? {
            Ok(read) => read,
            Err(problem) => {
                self.report.find(Finding::new(Kind::InvalidDigest, &bucket, &key.key, problem));
                self.chains.insert(key.chain.clone(), Link::new(key, None));
                return Ok(());
            }
        };
        if !key.is_backfill {
            let finding =
                self.chains.get(&key.chain).and_then(|before| chain::join(before, &bucket, key, &read));
            if let Some(finding) = finding {
                self.report.find(finding);
            }
            self.chains.insert(key.chain.clone(), Link::new(key, Some(&read)));
        }
        if let (Some(started), Some(ended)) = (read.started_at(), read.ended_at()) {
            self.covered = Some(match self.covered {
                Some((first, last)) => (first.min(started), last.max(ended)),
                None => (started, ended),
            });
        }
        let files: Vec<&LogFile> =
            read.digest.log_files.iter().filter(|file| self.is_in_period(delivered_on(file))).collect();
        for batch in files.chunks(shipped::BATCH) {
            self.compare(batch).await?;
        }
        Ok(())
    }

    /// Reads a digest and checks that it lies where it says and is signed. A problem is one of the digest's.
    async fn read(&self, key: &DigestKey) -> Result<Result<ReadDigest, String>, VerifyError> {
        let Scene { plan, store, keys, limits, .. } = &*self.scene;
        let object = match store.get(&object(&plan.bucket, &key.key)).await {
            Ok(object) => object,
            Err(StoreError::Missing { .. }) => return Ok(Err("it was removed meanwhile".to_owned())),
            Err(error) => return Err(error.into()),
        };
        let content = match decode::content(&object.bytes, limits) {
            Ok(content) => content,
            Err(damage) => return Ok(Err(damage.to_string())),
        };
        let signature = object.metadata.get("signature").cloned();
        let Ok(read) = ReadDigest::parse(&content, signature) else {
            return Ok(Err("it is not what a digest is".to_owned()));
        };
        if read.digest.digest_s3_bucket != plan.bucket || read.digest.digest_s3_object != key.key {
            let problem = format!(
                "it was made for s3://{}/{}",
                read.digest.digest_s3_bucket, read.digest.digest_s3_object
            );
            return Ok(Err(problem));
        }
        let region = key.chain.split('_').nth(2).unwrap_or_default();
        let checked = keys.check(&read, [region, &key.home_region]).await?;
        Ok(checked.map(|()| read).map_err(|problem| problem.to_string()))
    }

    /// Compares files that a digest names with the ledger and the bucket.
    async fn compare(&mut self, files: &[&LogFile]) -> Result<(), VerifyError> {
        let entries = shipped::entries(&self.scene.opensearch, files).await?;
        for file in files {
            let prefix = file.s3_object.rsplit_once('/').map_or("", |(folder, _)| folder);
            let prefix = format!("{prefix}/");
            self.open(&prefix).await?;
            let listed = self.folders.get_mut(&prefix).and_then(|folder| folder.get_mut(&file.s3_object));
            let listed = listed.map(|(listed, named)| {
                *named = Named::Yes;
                listed.clone()
            });
            let mut evidence = Evidence {
                file,
                entry: entries.get(&file.s3_object),
                listed: listed.as_ref(),
                content: None,
            };
            let content = if evidence.needs_content() { Some(self.hash(file).await?) } else { None };
            evidence.content = content.as_deref();
            let uri = format!("s3://{}/{}", file.s3_bucket, file.s3_object);
            self.report.deliver(&uri);
            if evidence.is_shipped() {
                self.report.ship(&uri);
            }
            for finding in evidence.findings(self.scene.plan.late) {
                self.report.find(finding);
            }
        }
        Ok(())
    }

    /// The hash of what is in the bucket; that of something else, where it cannot be unfolded.
    async fn hash(&self, file: &LogFile) -> Result<String, VerifyError> {
        let stored = match self.scene.store.get(&object(&file.s3_bucket, &file.s3_object)).await {
            Ok(stored) => stored,
            Err(StoreError::Missing { .. }) => return Ok(String::new()),
            Err(error) => return Err(error.into()),
        };
        let limits = self.scene.limits;
        let hashing = tokio::task::spawn_blocking(move || decode::content_sha256(&stored.bytes, &limits));
        let hash = hashing.await.map_err(|_| VerifyError::Panicked)?;
        Ok(hash.map_or_else(|damage| damage.to_string(), |hash| hex(&hash)))
    }

    /// Lists a folder of files, unless that was done.
    async fn open(&mut self, prefix: &str) -> Result<(), VerifyError> {
        if self.folders.contains_key(prefix) {
            return Ok(());
        }
        let files = self.list(prefix).await?;
        let folder = files.into_iter().map(|listed| (listed.key.clone(), (listed, Named::No))).collect();
        self.folders.insert(prefix.to_owned(), folder);
        Ok(())
    }

    /// Finds the files of folders that no digest will name any more, and that none has named.
    fn close(&mut self, folders: BTreeMap<String, Folder>) {
        let Some((first, last)) = self.covered else { return };
        let mut unproven: Vec<String> = folders
            .into_values()
            .flatten()
            .filter(|(key, (_, named))| {
                *named == Named::No
                    && key::classify(key).is_ok_and(|key| {
                        self.is_in_period(Some(key.delivered_at.date()))
                            && first + EDGE < key.delivered_at
                            && key.delivered_at + EDGE < last
                    })
            })
            .map(|(key, _)| key)
            .collect();
        unproven.sort_unstable();
        for key in unproven {
            let detail = "it is in the bucket, and no valid digest names it".to_owned();
            self.report.find(Finding::new(Kind::UnprovenFile, &self.scene.plan.bucket, &key, detail));
        }
    }

    fn is_in_period(&self, day: Option<Date>) -> bool {
        day.is_some_and(|day| (self.scene.plan.from..=self.scene.plan.to).contains(&day))
    }
}

fn delivered_on(file: &LogFile) -> Option<Date> {
    key::classify(&file.s3_object).ok().map(|key| key.delivered_at.date())
}

fn object(bucket: &str, key: &str) -> ObjectRef {
    ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), ..ObjectRef::default() }
}
