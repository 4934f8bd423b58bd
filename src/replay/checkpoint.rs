//! Keeps a small file with the key up to which a job is done, and the objects before it that failed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::job::{Job, JobError, Place};
use super::window::Position;
use crate::config::Scope;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// The job, as `Job::describe` says it.
    job: String,
    /// Everything up to this key is done.
    pub done: Option<Position>,
    /// Objects up to there that failed, and are tried first the next time.
    pub failed: Vec<String>,
}

/// Of the file's form.
const VERSION: u32 = 1;
/// Bytes; a replay gives up long before so many objects have failed that their names take more.
const MOST_BYTES: u64 = 16 << 20;

/// The state of a job and the file that it is saved in, if any.
#[derive(Debug)]
pub struct Checkpoint {
    file: Option<PathBuf>,
    pub state: State,
    saved: Option<State>,
    was_found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Yes,
    No,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot read the checkpoint {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the checkpoint {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{} is larger than {MOST_BYTES} bytes and so not a checkpoint; give another file, or remove it to start again",
        path.display()
    )]
    TooLarge { path: PathBuf },
    #[error("{} is not a checkpoint of this version ({problem}); give another file", path.display())]
    NotOne { path: PathBuf, problem: String },
    #[error(
        "{} is the checkpoint of another job; give another file, or remove it to start again\n  it is for:  {theirs}\n  this is:    {ours}",
        path.display()
    )]
    OtherJob { path: PathBuf, theirs: String, ours: String },
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Checkpoint {
    /// Reads the file, where there is one, and sees that it can be written.
    pub fn open(file: Option<&Path>, job: &Job, scope: Scope) -> Result<Self, CheckpointError> {
        let ours = job.describe(scope);
        let new = State { version: VERSION, job: ours.clone(), done: None, failed: Vec::new() };
        let Some(path) = file else {
            return Ok(Self { file: None, state: new, saved: None, was_found: Found::No });
        };
        if job.places.contains(&Place::StandardInput) {
            return Err(JobError::InputWithCheckpoint.into());
        }
        let (state, was_found) = match read(path) {
            Ok(bytes) => {
                if bytes.len() as u64 > MOST_BYTES {
                    return Err(CheckpointError::TooLarge { path: path.to_owned() });
                }
                let state: State = serde_json::from_slice(&bytes).map_err(|error| {
                    CheckpointError::NotOne { path: path.to_owned(), problem: error.to_string() }
                })?;
                if state.version != VERSION {
                    let problem = format!("it has version {}", state.version);
                    return Err(CheckpointError::NotOne { path: path.to_owned(), problem });
                }
                if state.job != ours {
                    return Err(CheckpointError::OtherJob { path: path.to_owned(), theirs: state.job, ours });
                }
                (state, Found::Yes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (new, Found::No),
            Err(source) => return Err(CheckpointError::Read { path: path.to_owned(), source }),
        };
        let mut checkpoint = Self { file: Some(path.to_owned()), state, saved: None, was_found };
        checkpoint.save()?;
        Ok(checkpoint)
    }

    /// Whether the file was there when it was opened, so that this run goes on with an earlier one.
    pub fn was_found(&self) -> bool {
        self.was_found == Found::Yes
    }

    /// Remembers an object that failed.
    pub fn note_failure(&mut self, object: &str) {
        if !self.state.failed.iter().any(|failed| failed == object) {
            self.state.failed.push(object.to_owned());
        }
    }

    /// Forgets an object that failed before and is now shipped.
    pub fn note_success(&mut self, object: &str) {
        self.state.failed.retain(|failed| failed != object);
    }

    /// Writes the state if it has changed. A reader finds the old state or the new one, also after a power failure.
    pub fn save(&mut self) -> Result<(), CheckpointError> {
        let Some(path) = &self.file else { return Ok(()) };
        if self.saved.as_ref() == Some(&self.state) {
            return Ok(());
        }
        replace(path, &self.state).map_err(|source| CheckpointError::Write { path: path.clone(), source })?;
        self.saved = Some(self.state.clone());
        Ok(())
    }

    /// Removes the file of a finished job.
    pub fn remove(self) -> Result<(), CheckpointError> {
        match self.file {
            Some(path) => fs::remove_file(&path).map_err(|source| CheckpointError::Write { path, source }),
            None => Ok(()),
        }
    }
}

/// Reads one byte more than is allowed, which shows that there is more.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn replace(path: &Path, state: &State) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec_pretty(state)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // The rename is durable only after a sync of the folder.
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::folder::TrailFilter;

    fn job(place: &str) -> Job {
        Job::new(vec![place.parse().unwrap()], TrailFilter::default()).unwrap()
    }

    #[test]
    fn a_second_run_goes_on_where_the_first_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.json");
        let job = job("s3://trail/x");
        let mut first = Checkpoint::open(Some(&path), &job, Scope::Related).unwrap();
        assert!(!first.was_found());
        first.state.done = Some(Position { place: 0, key: "a".to_owned() });
        first.note_failure("s3://trail/a");
        first.note_failure("s3://trail/a");
        first.save().unwrap();
        let mut second = Checkpoint::open(Some(&path), &job, Scope::Related).unwrap();
        assert!(second.was_found());
        assert_eq!(second.state, first.state);
        assert_eq!(second.state.failed, ["s3://trail/a"]);
        second.note_success("s3://trail/a");
        second.save().unwrap();
        let third = Checkpoint::open(Some(&path), &job, Scope::Related).unwrap();
        assert_eq!(third.state.failed, [""; 0]);
        second.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn another_job_another_file_and_standard_input_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.json");
        Checkpoint::open(Some(&path), &job("s3://trail/x"), Scope::Related).unwrap();
        let error = |job: &Job, scope| Checkpoint::open(Some(&path), job, scope).unwrap_err().to_string();
        assert!(error(&job("s3://trail/y"), Scope::Related).contains("another job"));
        assert!(error(&job("s3://trail/x"), Scope::All).contains("another job"));
        assert!(error(&job("-"), Scope::All).contains("standard input"));
        fs::write(&path, "{}").unwrap();
        assert!(error(&job("s3://trail/x"), Scope::Related).contains("is not a checkpoint"));
        fs::write(&path, vec![b'['; 17 << 20]).unwrap();
        assert!(error(&job("s3://trail/x"), Scope::Related).contains("is larger than 16777216 bytes"));
        let endless = Checkpoint::open(Some(Path::new("/dev/zero")), &job("s3://trail/x"), Scope::Related);
        assert!(endless.unwrap_err().to_string().contains("is larger than"));
        let nowhere = folder.path().join("no/such/folder/file");
        assert!(Checkpoint::open(Some(&nowhere), &job("s3://trail/x"), Scope::Related).is_err());
    }
}
