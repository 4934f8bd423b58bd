//! Lists the objects of a job in order, a little ahead of the work on them.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_config::SdkConfig;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use walkdir::{DirEntry, WalkDir};

use super::error::ReplayError;
use super::job::{Job, Place};
use super::progress::PARTS;
use super::window::Position;
use crate::config::SourceConfig;
use crate::labels::ObjectSkip;
use crate::source::bucket::{Bucket, ListError, Listed, Page};
use crate::source::folder::{self, TrailFilter};
use crate::source::key::{self, Readable};
use crate::source::notification::ObjectRef;

/// Days whose first pages are asked for before their turn, so that small days do not wait for each other.
const DAYS_AHEAD: usize = 8;

/// One thing to ship.
pub struct Item {
    pub what: What,
    /// None for an object that is tried again; the checkpoint lists it among the failed ones.
    pub position: Option<Position>,
    /// Bytes as stored, where they are known.
    pub size: Option<u64>,
    /// How many parts of the job are behind this item.
    pub part: Option<u64>,
}

/// Where the bytes of an item come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Object(ObjectRef),
    File(PathBuf),
    StandardInput,
}

impl Item {
    /// An item that failed before, by its name.
    pub fn again(name: &str) -> Self {
        let what = match name.parse() {
            Ok(Place::Bucket { bucket, prefix }) => What::Object(object(&bucket, &prefix, None)),
            _ => What::File(PathBuf::from(name)),
        };
        Self { what, position: None, size: None, part: None }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(ObjectRef { bucket, key, .. }) => write!(formatter, "s3://{bucket}/{key}"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::StandardInput => formatter.write_str(super::job::STANDARD_INPUT),
        }
    }
}

fn object(bucket: &str, key: &str, size: Option<u64>) -> ObjectRef {
    ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), size, ..ObjectRef::default() }
}

/// A walk over all places of a job.
pub struct Walk {
    pub job: Job,
    pub source: SourceConfig,
    pub aws: SdkConfig,
    /// Everything up to this was done before.
    pub after: Option<Position>,
}

/// The receiver of the items is gone, so listing stops.
struct Gone;

impl Walk {
    /// Sends every item, and returns how many files were left out by their names.
    pub async fn run(self, items: mpsc::Sender<Item>) -> Result<u64, ReplayError> {
        let mut skipped = 0;
        let places = self.job.places.len() as u64;
        for (number, place) in self.job.places.iter().enumerate() {
            let after = match &self.after {
                Some(after) if number < after.place => continue,
                Some(after) if number == after.place => Some(after.key.as_str()),
                _ => None,
            };
            let mut sender = Sender {
                items: &items,
                place: number,
                first_part: PARTS * number as u64 / places,
                parts: PARTS / places,
            };
            let sent = match place {
                Place::Bucket { bucket, prefix } => {
                    let bucket = Bucket::new(&self.aws, &self.source, bucket.clone()).await;
                    self.walk_bucket(&bucket, prefix, after, &mut sender, &mut skipped).await?
                }
                Place::Path(path) => self.walk_path(path, after, &mut sender, &mut skipped).await?,
                Place::StandardInput => sender.send(What::StandardInput, String::new(), None, 1.0).await,
            };
            if sent.is_err() {
                break;
            }
        }
        Ok(skipped)
    }

    async fn walk_bucket(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&str>,
        sender: &mut Sender<'_>,
        skipped: &mut u64,
    ) -> Result<Result<(), Gone>, ListError> {
        let readable = Readable::new(&self.source.also_read).expect("the configuration was checked");
        if key::classify(prefix).is_ok() {
            let what = What::Object(object(&bucket.name, prefix, None));
            return Ok(sender.send(what, prefix.to_owned(), None, 1.0).await);
        }
        let days = match bucket.days(prefix, &self.job.filter).await {
            Ok(days) => days,
            Err(ListError::NoTrail { .. }) if readable.has_patterns() && !self.job.filter.is_narrow() => {
                return walk_folder(bucket, prefix, after, &readable, sender, skipped).await;
            }
            Err(error) => return Err(error),
        };
        let left = days.iter().enumerate().filter(|(_, day)| {
            after.is_none_or(|after| after < day.as_str() || after.starts_with(day.as_str()))
        });
        let mut left = left.map(|(number, day)| (number, day.clone()));
        let mut ahead = VecDeque::new();
        loop {
            while ahead.len() < DAYS_AHEAD
                && let Some((number, day)) = left.next()
            {
                let after = after.filter(|after| after.starts_with(&day)).map(str::to_owned);
                let (bucket, prefix) = (bucket.clone(), day.clone());
                let listing = tokio::spawn(async move { bucket.page(&prefix, after.as_deref()).await });
                ahead.push_back((number, day, AbortOnDropHandle::new(listing)));
            }
            let Some((number, day, listing)) = ahead.pop_front() else { return Ok(Ok(())) };
            let panicked = |_| ListError::Panicked { place: bucket.name.clone() };
            let mut page: Page = listing.await.map_err(panicked)??;
            loop {
                let last = page.objects.last().map(|object| object.key.clone());
                for Listed { key, size, .. } in page.objects {
                    // The part of the day that has passed when the object was delivered.
                    let Ok(trail_key) = key::classify(&key) else {
                        *skipped += 1;
                        continue;
                    };
                    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 days")]
                    let share = (number as f64 + day_share(&trail_key)) / days.len() as f64;
                    let what = What::Object(object(&bucket.name, &key, Some(size)));
                    if sender.send(what, key, Some(size), share).await.is_err() {
                        return Ok(Err(Gone));
                    }
                }
                match last {
                    Some(last) if !page.is_last => page = bucket.page(&day, Some(&last)).await?,
                    _ => break,
                }
            }
        }
    }

    async fn walk_path(
        &self,
        path: &Path,
        after: Option<&str>,
        sender: &mut Sender<'_>,
        skipped: &mut u64,
    ) -> Result<Result<(), Gone>, ReplayError> {
        let total: u64 = {
            let mut sum = 0;
            for file in files_below(path) {
                sum += file?.1;
            }
            sum
        };
        let mut behind = 0;
        for file in files_below(path) {
            let (file, size) = file?;
            behind += size;
            if after.is_some_and(|after| file.as_path() <= Path::new(after)) {
                continue;
            }
            if file != path && !is_wanted(&file, &self.job.filter) {
                *skipped += 1;
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
            let share = behind as f64 / total.max(1) as f64;
            let key = file.display().to_string();
            if sender.send(What::File(file), key, Some(size), share).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }
}

/// Sends the objects of a folder outside of a trail that the configuration allows.
async fn walk_folder(
    bucket: &Bucket,
    prefix: &str,
    after: Option<&str>,
    readable: &Readable,
    sender: &mut Sender<'_>,
    skipped: &mut u64,
) -> Result<Result<(), Gone>, ListError> {
    let mut after = after.map(str::to_owned);
    loop {
        let page = bucket.page(prefix, after.as_deref()).await?;
        for Listed { key, size, .. } in page.objects {
            after = Some(key.clone());
            if readable.classify(&key).is_err() {
                *skipped += 1;
                continue;
            }
            let what = What::Object(object(&bucket.name, &key, Some(size)));
            // How many more there are is unknown.
            if sender.send(what, key, Some(size), 0.0).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        if page.is_last {
            return Ok(Ok(()));
        }
    }
}

/// How much of its day had passed when a file was delivered, from 0 to 1.
fn day_share(key: &key::TrailKey) -> f64 {
    let (hour, minute, _) = key.delivered_at.time().as_hms();
    (f64::from(hour) * 60.0 + f64::from(minute)) / (24.0 * 60.0)
}

/// Whether a file in a folder holds records that are wanted, by its name. Names that CloudTrail did not give are taken
/// for files of records as long as everything is wanted.
fn is_wanted(path: &Path, filter: &TrailFilter) -> bool {
    let name = path.to_string_lossy();
    match key::classify(&name) {
        Ok(key) => filter.has(&key),
        Err(ObjectSkip::Foreign | ObjectSkip::OtherKind) => {
            !filter.is_narrow()
                && (name.ends_with(".json") || name.ends_with(".json.gz"))
                && !folder_is_foreign(&name)
        }
        Err(_) => false,
    }
}

/// Whether CloudTrail's own tree says that the file is of another kind.
fn folder_is_foreign(name: &str) -> bool {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    folder::is_rooted(folder) && TrailFilter::default().visit(&format!("{folder}/")) == folder::Visit::Leave
}

struct Sender<'s> {
    items: &'s mpsc::Sender<Item>,
    place: usize,
    first_part: u64,
    parts: u64,
}

impl Sender<'_> {
    async fn send(&mut self, what: What, key: String, size: Option<u64>, share: f64) -> Result<(), Gone> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share from 0 to 1 of at most a million parts"
        )]
        let part = self.first_part + (self.parts as f64 * share) as u64;
        let position = Some(Position { place: self.place, key });
        self.items.send(Item { what, position, size, part: Some(part) }).await.map_err(|_| Gone)
    }
}

/// The files of a folder and of all folders below it, in the order of their paths, with their sizes.
fn files_below(path: &Path) -> impl Iterator<Item = Result<(PathBuf, u64), ReplayError>> {
    let entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    let read = |entry: walkdir::Result<DirEntry>| {
        let entry = entry?;
        let size = entry.metadata()?.len();
        Ok((!entry.file_type().is_dir()).then(|| (entry.into_path(), size)))
    };
    entries.filter_map(move |entry| {
        read(entry)
            .map_err(|error: walkdir::Error| {
                let path = error.path().unwrap_or(Path::new("")).to_owned();
                ReplayError::Read { path, source: error.into() }
            })
            .transpose()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_the_order_of_their_paths_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/x.json", "a/2/y.json", "a/1.json", "c.json", "a.json"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "12").unwrap();
        }
        let found: Vec<PathBuf> = files_below(folder.path()).map(|file| file.unwrap().0).collect();
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(found, sorted);
        assert_eq!(found.len(), 5);
        assert!(files_below(&folder.path().join("none")).next().unwrap().is_err());
    }

    #[test]
    fn a_file_in_a_folder_is_wanted_by_its_name() {
        const FILE: &str = "111122223333_CloudTrail_eu-central-1_20260301T0210Z_Mu0KsOhtH1ar15ZZ.json.gz";
        let everything = TrailFilter::default();
        let one_region = TrailFilter { regions: vec!["us-east-1".to_owned()], ..TrailFilter::default() };
        let digest = "AWSLogs/111122223333/CloudTrail-Digest/x/2026/03/01/a.json.gz";
        for (name, filter, expected) in [
            (FILE, &everything, true),
            (FILE, &one_region, false),
            ("export.json", &everything, true),
            ("export.json", &one_region, false),
            ("notes.txt", &everything, false),
            (digest, &everything, false),
            ("AWSLogs/111122223333/Config/x/2026/03/01/a.json", &everything, false),
        ] {
            assert_eq!(is_wanted(Path::new(name), filter), expected, "{name}");
        }
    }

    #[test]
    fn what_failed_is_found_again_by_its_name() {
        let key = "AWSLogs/a b/ü.json.gz";
        let named = What::Object(object("trail", key, None)).to_string();
        assert_eq!(Item::again(&named).what, What::Object(object("trail", key, None)));
        let named = What::File("/a/b.json".into()).to_string();
        assert_eq!(Item::again(&named).what, What::File("/a/b.json".into()));
    }
}
