//! Follows the digests and files of one account in one region, in the order of time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use time::{Date, Duration, OffsetDateTime, Time};

use super::chain::{self, Before, Joint, Link};
use super::context::VerifyContext;
use super::digest::{DigestKey, LogFile, ReadDigest};
use super::due::{delivered_on, files_of, is_due};
use super::error::VerifyError;
use super::expected::{self, BY_STANDING};
use super::fetched::Unfetched;
use super::finding::Finding;
use super::judge::{Content, Evidence};
use super::report::Report;
use super::shipped;
use crate::labels::FindingKind;
use crate::source::bucket::Listed;
use crate::source::folder::day_of;

/// One region of one account while it is verified, day by day.
pub struct Region {
    context: Arc<VerifyContext>,
    /// The folder of its digests, which ends before the year.
    base: String,
    /// What is known of it besides its digests.
    known: Vec<&'static str>,
    report: Report,
    /// The last valid digest of each chain.
    chains: BTreeMap<String, Option<Link>>,
    /// Digests that are told by themselves, so that the next one says nothing about them.
    told: HashSet<String>,
    /// The home regions of the trails whose valid digests are here.
    homes: BTreeSet<String>,
    /// Files that no digest names.
    unproven: Vec<Finding>,
    /// The folders of files that digests still name, by their prefixes.
    folders: BTreeMap<String, Folder>,
}

/// The result of one region.
pub struct Verified {
    pub report: Report,
    /// The folders of digests that each trail must have in its home region.
    pub homes: BTreeSet<String>,
}

/// The files of one day.
#[derive(Default)]
struct Folder {
    /// What is in the bucket, and whether a digest has named it. None when it could not be listed.
    listed: Option<HashMap<String, (Listed, Named)>>,
    /// What digests have named that is not there.
    absent: HashSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

impl Region {
    /// Begins with no digest. `base` is the folder of its digests, `known` why it is expected to have some.
    pub fn new(context: Arc<VerifyContext>, base: String, known: Vec<&'static str>) -> Self {
        let plan = &context.plan;
        let report = Report::new(String::new(), plan.from, plan.to);
        Self {
            report,
            base,
            known,
            chains: BTreeMap::new(),
            told: HashSet::new(),
            homes: BTreeSet::new(),
            unproven: Vec::new(),
            folders: BTreeMap::new(),
            context,
        }
    }

    /// Verifies the period. `days` are the folders of its digests that are there, also of days before and after.
    pub async fn verify(mut self, days: &BTreeSet<String>) -> Result<Verified, VerifyError> {
        let (from, to) = (self.context.plan.from, self.context.plan.to);
        if let Some(before) = from.previous_day() {
            self.begin_with(&self.folder(before), days).await;
        }
        let mut day = Some(from);
        while let Some(today) = day.filter(|day| Some(*day) <= to.next_day()) {
            let folder = self.folder(today);
            if days.contains(&folder) {
                for key in self.digests(&folder).await {
                    self.follow(&key).await?;
                }
            }
            if today <= to {
                self.open(&files_of(&folder)).await;
            }
            // The digests of a day name files of that day and the one before.
            self.close_before(today.previous_day()).await?;
            day = today.next_day();
        }
        self.close_before(None).await?;
        // Without any digest there is one finding, and not one for each file.
        if self.report.digests > 0 {
            for finding in std::mem::take(&mut self.unproven) {
                self.report.find(finding);
            }
        }
        let is_absent = self.homes.is_empty();
        if is_absent {
            self.miss();
        }
        let until = to.with_time(Time::MIDNIGHT).assume_utc() + Duration::days(1);
        for (name, link) in std::mem::take(&mut self.chains) {
            self.report.chains += 1;
            let ended = link.filter(|_| !is_absent && !name.ends_with("_backfill")).and_then(|link| {
                chain::end(&link, &self.context.plan.bucket, until, OffsetDateTime::now_utc())
            });
            if let Some(finding) = ended {
                self.report.find(finding);
            }
        }
        Ok(Verified { report: self.report, homes: self.homes })
    }

    /// Tells that there is no digest, or none that is valid.
    fn miss(&mut self) {
        let mut detail = "there is no valid digest of it in this period, so nothing is proven".to_owned();
        if !self.known.is_empty() {
            let reasons = self.known.join(", and ");
            detail = format!("{detail}, although {reasons}");
        }
        let finding = Finding::new(FindingKind::MissingDigest, &self.context.plan.bucket, &self.base, detail);
        self.report.day_status.cover_days(&finding.object, self.context.plan.from, self.context.plan.to);
        self.report.find(finding);
    }

    /// Takes the last digests of the day before the period as those that the first ones have to name.
    async fn begin_with(&mut self, folder: &str, days: &BTreeSet<String>) {
        if days.contains(folder) {
            for key in self.digests(folder).await {
                self.chains.insert(key.chain.clone(), Some(Link::named(&key)));
            }
        }
    }

    fn folder(&self, day: Date) -> String {
        format!("{}{:04}/{:02}/{:02}/", self.base, day.year(), u8::from(day.month()), day.day())
    }

    /// The keys of one day's digests, in the order of their ends.
    async fn digests(&mut self, folder: &str) -> Vec<DigestKey> {
        let listed = self.list(folder).await.unwrap_or_default();
        let mut keys: Vec<DigestKey> =
            listed.iter().filter_map(|listed| DigestKey::read(&listed.key)).collect();
        keys.sort_by_key(|key| key.ended_at);
        keys
    }

    /// None, and a finding, when it cannot be listed.
    async fn list(&mut self, prefix: &str) -> Option<Vec<Listed>> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let last = all.last().map(|listed| listed.key.clone());
            match self.context.bucket.page(prefix, last.as_deref()).await {
                Ok(page) => {
                    all.extend(page.objects);
                    if page.is_last {
                        return Some(all);
                    }
                }
                Err(error) => {
                    let bucket = &self.context.plan.bucket;
                    self.report.find(Finding::new(
                        FindingKind::UnreadObject,
                        bucket,
                        prefix,
                        error.to_string(),
                    ));
                    return None;
                }
            }
        }
    }

    /// Checks one digest, its place in the chain and the files that it names.
    async fn follow(&mut self, key: &DigestKey) -> Result<(), VerifyError> {
        let bucket = self.context.plan.bucket.clone();
        self.report.digests += 1;
        let before = self.chains.entry(key.chain.clone()).or_default().clone();
        let (kind, problem) = match self.context.read(key).await? {
            Ok(read) => {
                self.join(before.as_ref(), key, &read).await;
                self.chains.insert(key.chain.clone(), Some(Link::new(key, &read)));
                self.report.prove(&format!("s3://{bucket}/{}", key.key));
                if !key.is_backfill {
                    self.homes.insert(expected::home_of(&self.base, &key.home_region));
                }
                let files: Vec<&LogFile> = read
                    .digest
                    .log_files
                    .iter()
                    .filter(|file| self.is_in_period(delivered_on(file)))
                    .collect();
                for batch in files.chunks(shipped::BATCH) {
                    self.compare(batch).await?;
                }
                return Ok(());
            }
            Err(Unfetched::Broken(problem)) => (FindingKind::InvalidDigest, problem),
            Err(Unfetched::Unread(problem)) => (FindingKind::UnreadObject, problem),
            Err(Unfetched::Gone) => {
                (FindingKind::MissingDigest, "it was removed while it was to be read".to_owned())
            }
        };
        self.report.find(Finding::new(kind, &bucket, &key.key, problem));
        self.told.insert(key.key.clone());
        Ok(())
    }

    /// Reports what is wrong between a valid digest and the one before it.
    async fn join(&mut self, last: Option<&Link>, key: &DigestKey, read: &ReadDigest) {
        let VerifyContext { plan, .. } = &*self.context;
        let finding = match chain::join(last, &plan.bucket, key, read) {
            Joint::Whole => None,
            Joint::Begins if key.is_backfill => None,
            Joint::Begins => {
                let known = self.known.iter().find(|reason| **reason == BY_STANDING).copied();
                chain::begin(&plan.bucket, key, read, plan.from, known)
            }
            Joint::Wrong(finding) => Some(finding),
            Joint::Names { bucket, key: named } if bucket == plan.bucket && self.told.contains(&named) => {
                None
            }
            Joint::Names { bucket, key: named } => {
                let before = match self.context.fetch_digest(&bucket, &named).await {
                    Ok(before) => Before::Read(Box::new(before)),
                    Err(Unfetched::Broken(_)) => Before::Broken,
                    Err(Unfetched::Unread(problem)) => Before::Unread(problem),
                    Err(Unfetched::Gone) => Before::Gone,
                };
                chain::judge(&before, (&bucket, &named), last, (key, read))
            }
        };
        if let Some(finding) = finding {
            self.report.find(finding);
        }
    }

    /// Compares files that a digest names with the ledger and the bucket.
    async fn compare(&mut self, files: &[&LogFile]) -> Result<(), VerifyError> {
        let entries = shipped::entries(&self.context.opensearch, files).await?;
        for file in files {
            let listed = self.look_up(file).await;
            let evidence = Evidence {
                file,
                entry: entries.get(&file.s3_object),
                listed: listed.as_ref(),
                content: Content::NotRead,
            };
            let read = if evidence.needs_content(self.context.plan.reread) {
                Some(self.context.hash(file).await?)
            } else {
                None
            };
            let is_gone = matches!(read, Some(Err(Unfetched::Gone)));
            let content = match &read {
                None | Some(Err(Unfetched::Gone)) => Content::NotRead,
                Some(Ok(hash)) => Content::Hash(hash),
                Some(Err(Unfetched::Broken(problem))) => Content::Broken(problem),
                Some(Err(Unfetched::Unread(problem))) => Content::Unread(problem),
            };
            let evidence = Evidence { listed: evidence.listed.filter(|_| !is_gone), content, ..evidence };
            let uri = format!("s3://{}/{}", file.s3_bucket, file.s3_object);
            self.report.deliver(&uri);
            if evidence.is_shipped() {
                self.report.ship(&uri);
            }
            for finding in evidence.findings(self.context.plan.late) {
                self.report.find(finding);
            }
        }
        Ok(())
    }

    /// The file as it is listed. What is in another bucket or cannot be listed may be there, and is read to find out.
    async fn look_up(&mut self, file: &LogFile) -> Option<Listed> {
        let perhaps = || Some(Listed { key: file.s3_object.clone(), size: 0, etag: None });
        if file.s3_bucket != self.context.plan.bucket {
            return perhaps();
        }
        let prefix = file.s3_object.rsplit_once('/').map_or("", |(folder, _)| folder);
        let prefix = format!("{prefix}/");
        self.open(&prefix).await;
        let folder = self.folders.get_mut(&prefix)?;
        let Some(there) = &mut folder.listed else { return perhaps() };
        match there.get_mut(&file.s3_object) {
            Some((listed, named)) => {
                *named = Named::Yes;
                Some(listed.clone())
            }
            None => {
                folder.absent.insert(file.s3_object.clone());
                None
            }
        }
    }

    /// Lists a folder of files, unless that was done.
    async fn open(&mut self, prefix: &str) {
        if self.folders.contains_key(prefix) {
            return;
        }
        let listed = self
            .list(prefix)
            .await
            .map(|files| files.into_iter().map(|listed| (listed.key.clone(), (listed, Named::No))).collect());
        self.folders.insert(prefix.to_owned(), Folder { listed, absent: HashSet::new() });
    }

    /// Finds the files of folders that no digest will name any more, and that none has named; of all, without a day.
    async fn close_before(&mut self, day: Option<Date>) -> Result<(), VerifyError> {
        let (passed, recent) = std::mem::take(&mut self.folders)
            .into_iter()
            .partition(|(prefix, _)| day.is_none() || day_of(prefix) < day);
        self.folders = recent;
        for (prefix, folder) in passed {
            self.close(&prefix, &folder).await?;
        }
        Ok(())
    }

    async fn close(&mut self, prefix: &str, folder: &Folder) -> Result<(), VerifyError> {
        let VerifyContext { plan, opensearch, .. } = &*self.context;
        let Some(listed) = &folder.listed else { return Ok(()) };
        let Some(day) = day_of(prefix).filter(|day| self.is_in_period(Some(*day))) else { return Ok(()) };
        let now = OffsetDateTime::now_utc();
        let mut unproven: Vec<&String> = listed
            .iter()
            .filter(|(key, (_, named))| *named == Named::No && is_due(key, now))
            .map(|(key, _)| key)
            .collect();
        let drills = self.context.drills(unproven.iter().map(|key| &listed[*key].0)).await?;
        self.report.drills += drills.len() as u64;
        unproven.retain(|key| !drills.contains(*key));
        unproven.sort_unstable();
        let unproven = unproven.into_iter().map(|key| {
            let detail = "it is in the bucket, and no valid digest names it".to_owned();
            Finding::new(FindingKind::UnprovenFile, &plan.bucket, key, detail)
        });
        self.unproven.extend(unproven);
        let mut findings = Vec::new();
        for key in shipped::keys(opensearch, &plan.bucket, prefix, day).await? {
            let is_known = listed.contains_key(&key) || folder.absent.contains(&key);
            if !is_known && is_due(&key, now) {
                let detail =
                    "it was shipped and is no longer in the bucket, and no valid digest names it".to_owned();
                findings.push(Finding::new(FindingKind::DeletedFile, &plan.bucket, &key, detail));
            }
        }
        for finding in findings {
            self.report.find(finding);
        }
        Ok(())
    }

    fn is_in_period(&self, day: Option<Date>) -> bool {
        day.is_some_and(|day| (self.context.plan.from..=self.context.plan.to).contains(&day))
    }
}
