//! The world: what S3, the queue and OpenSearch hold, who may ask, and whether the promise holds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use sagetrail::memory::State;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::queue::{Message, Queue};
use crate::schedule::{Fate, Memory, Object, Record};

/// 2026-11-01T12:00:00Z, where each world's clock begins.
const EPOCH: Duration = Duration::from_hours(498_204);

pub struct World {
    pub began: Instant,
    inner: Mutex<Inner>,
    /// Something changed on the queue.
    pub bell: Notify,
    /// Counts what happens on sockets, which the paused clock knows nothing of.
    pub traffic: AtomicU64,
}

pub struct Inner {
    pub records: Vec<Record>,
    pub objects: Vec<Object>,
    pub queue: Queue,
    pub documents: BTreeMap<(String, String), String>,
    /// What is remembered, by index and id.
    pub memory: BTreeMap<(String, String), State>,
    /// How likely a request meets a fault now.
    pub likelihood: f64,
    /// The status that every document gets now.
    pub blocked: Option<u16>,
    pub recalls: Memory,
    pub clock_offset: i64,
    pub credentials: u32,
    pub oldest_credentials: u32,
    pub random: Rng,
    pub met: BTreeMap<&'static str, u64>,
    pub story: Vec<String>,
    pub broken: Vec<String>,
    began: Instant,
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("World")
    }
}

impl World {
    pub fn new(records: Vec<Record>, objects: Vec<Object>, queue: Queue, random: Rng) -> Self {
        let began = Instant::now();
        let inner = Inner {
            records,
            objects,
            queue,
            documents: BTreeMap::new(),
            memory: BTreeMap::new(),
            likelihood: 0.0,
            blocked: None,
            recalls: Memory::Prompt,
            clock_offset: 0,
            credentials: 0,
            oldest_credentials: 0,
            random,
            met: BTreeMap::new(),
            story: Vec::new(),
            broken: Vec::new(),
            began,
        };
        Self { began, inner: Mutex::new(inner), bell: Notify::new(), traffic: AtomicU64::new(0) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        // A fake that panics fails the test by itself, and its world may as well go on.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that a daemon's clock shows.
    pub fn clock(&self) -> SystemTime {
        let offset = self.lock().clock_offset;
        let right = SystemTime::UNIX_EPOCH + EPOCH + self.began.elapsed();
        let moved = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 { right - moved } else { right + moved }
    }

    pub fn stirred(&self) {
        self.traffic.fetch_add(1, Ordering::Relaxed);
    }
}

impl Inner {
    /// Draws whether a request meets a fault, and which of so many.
    pub fn draw(&mut self, faults: u8) -> Option<u8> {
        (self.random.f64() < self.likelihood).then(|| self.random.u8(..faults))
    }

    pub fn meet(&mut self, fault: &'static str) {
        *self.met.entry(fault).or_default() += 1;
        self.tell(fault);
    }

    pub fn tell(&mut self, what: impl AsRef<str>) {
        let line = format!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what.as_ref());
        self.story.push(line);
    }

    pub fn breach(&mut self, what: String) {
        self.tell(format!("BROKEN: {what}"));
        self.broken.push(what);
    }

    /// A time of up to so many seconds.
    pub fn pause(&mut self, seconds: u64) -> Duration {
        Duration::from_millis(self.random.u64(..=seconds * 1_000))
    }

    /// Stores a document as OpenSearch would, and says with which status.
    pub fn create(&mut self, index: &str, id: &str, source: &str) -> u16 {
        let place = (index.to_owned(), id.to_owned());
        if self.documents.contains_key(&place) {
            return 409;
        }
        self.tell(format!("  stored {index} {id}"));
        self.documents.insert(place, source.to_owned());
        201
    }

    /// Joins a fact as OpenSearch's script does, and says with which status and result.
    pub fn join(&mut self, index: &str, id: &str, told: &State) -> (u16, &'static str) {
        let place = (index.to_owned(), id.to_owned());
        let before = self.memory.get(&place);
        let mut known = before.cloned().unwrap_or_default();
        let (status, result) = match (known.join(told), before) {
            (false, _) => return (200, "noop"),
            (_, Some(_)) => (200, "updated"),
            (_, None) => (201, "created"),
        };
        self.tell(format!("  joined {index} {id}"));
        self.memory.insert(place, known);
        (status, result)
    }

    /// The answer to the recall of one document.
    pub fn recalled(&self, asked: &Value) -> Value {
        let name = |key: &str| asked[key].as_str().expect("a name").to_owned();
        let (index, id) = (name("_index"), name("_id"));
        match self.memory.get(&(index.clone(), id.clone())) {
            Some(state) => {
                let source = json!({"memory": state.document()["memory"]});
                json!({"_index": index, "_id": id, "found": true, "_source": source})
            }
            None if self.memory.keys().any(|(known, _)| *known == index) => {
                json!({"_index": index, "_id": id, "found": false})
            }
            None => json!({"_index": index, "_id": id, "error": {"type": "index_not_found_exception"}}),
        }
    }

    /// Checks what may never happen while the daemons run: a message is deleted, and not all of it has ended.
    pub fn check_deletion(&mut self, message: usize) {
        let objects = self.queue.messages[message].objects.clone();
        for object in objects {
            let (key, hopeless) = (self.objects[object].key.clone(), self.objects[object].hopeless);
            if hopeless {
                let text = format!("message {message} was deleted although {key} cannot be read whole");
                self.breach(text);
            }
            if !hopeless && !self.is_entered(&key) {
                self.breach(format!(
                    "message {message} was deleted although the ledger has no entry for {key}"
                ));
            }
            for record in self.objects[object].records.clone() {
                if let Err(problem) = self.ended(record).and_then(|()| self.remembered(record)) {
                    self.breach(format!("message {message} was deleted although {problem}"));
                }
            }
        }
    }

    /// Checks the promise as a whole.
    pub fn check_everything(&mut self) {
        let objects = |messages: &mut dyn Iterator<Item = &Message>| -> Vec<usize> {
            messages.flat_map(|message| &message.objects).copied().collect()
        };
        let sent = objects(&mut self.queue.messages.iter());
        let queued = objects(&mut self.queue.undeleted());
        for number in 0..self.records.len() {
            let is_in =
                |list: &[usize]| list.iter().any(|&object| self.objects[object].records.contains(&number));
            let (is_sent, is_queued) = (is_in(&sent), is_in(&queued));
            match self.ended(number) {
                Err(problem) if is_sent && !is_queued => {
                    self.breach(format!("no message tells of it any more and {problem}"));
                }
                _ => {}
            }
            let copies = self.copies(number).count();
            if copies > 1 {
                self.breach(format!("record {number} is stored {copies} times"));
            }
        }
        self.check_documents();
        self.check_memory();
    }

    /// Whether a record is where it has to be.
    fn ended(&self, number: usize) -> Result<(), String> {
        let Record { fate, request_id, .. } = &self.records[number];
        let is_stored = self.copies(number).next().is_some();
        let reason = self.reason(request_id);
        let fine = match fate {
            // A fault may also have made OpenSearch refuse it for good.
            Fate::Stored => is_stored || reason == Some("refused_by_opensearch".to_owned()),
            Fate::Refused => !is_stored && reason == Some("refused_by_opensearch".to_owned()),
            Fate::Malformed => !is_stored && reason == Some("malformed".to_owned()),
            Fate::NotSelected => !is_stored && reason.is_none(),
        };
        let problem = || format!("record {number} ({fate:?}) is stored: {is_stored}, rejected: {reason:?}");
        if fine { Ok(()) } else { Err(problem()) }
    }

    fn copies(&self, number: usize) -> impl Iterator<Item = &str> {
        let request_id = &self.records[number].request_id;
        self.documents
            .iter()
            .filter(move |((index, _), source)| index != REJECTED && source.contains(request_id))
            .map(|(_, source)| source.as_str())
    }

    fn reason(&self, request_id: &str) -> Option<String> {
        let (_, report) = self
            .documents
            .iter()
            .find(|((index, _), source)| index == REJECTED && source.contains(request_id))?;
        let report: Value = serde_json::from_str(report).ok()?;
        Some(report["reason"].as_str()?.to_owned())
    }

    /// Whether the ledger has the object, or a fault made OpenSearch refuse its entry for good.
    fn is_entered(&self, key: &str) -> bool {
        self.documents.iter().any(|((index, _), source)| {
            source.contains(key) && (index.starts_with(LEDGER) || index == REJECTED && is_entry(source))
        })
    }

    /// What is stored is what was sent, to the byte, and nothing else.
    fn check_documents(&mut self) {
        let mut problems = Vec::new();
        for ((index, id), source) in &self.documents {
            let Ok(document) = serde_json::from_str::<Value>(source) else {
                problems.push(format!("{index}/{id} is no JSON"));
                continue;
            };
            if index.starts_with(LEDGER) || index == REJECTED && is_entry(source) {
                if !self.objects.iter().any(|object| source.contains(&object.key)) {
                    problems.push(format!("{index}/{id} is about no object that there is"));
                }
                continue;
            }
            if index == REJECTED && is_of_fact(&document) {
                continue;
            }
            let text = if index == REJECTED { &document["text"] } else { &document["event"]["original"] };
            let text = text.as_str().unwrap_or_default();
            let is_known = self
                .records
                .iter()
                .any(|record| record.text == text || index == REJECTED && text.contains(&record.request_id));
            if !is_known {
                problems.push(format!("{index}/{id} is about no record that there is"));
            }
        }
        for problem in problems {
            self.breach(problem);
        }
    }
}

/// Whether a report is that of a fact.
pub fn is_of_fact(report: &Value) -> bool {
    let index = report["index"].as_str().unwrap_or_default();
    ["sagetrail-resources", "sagetrail-identities", "sagetrail-sessions"]
        .iter()
        .any(|it| index.starts_with(it))
}

/// Whether a document is an entry of the ledger, or the report of one.
fn is_entry(source: &str) -> bool {
    source.contains("raw_size")
}

pub const REJECTED: &str = "sagetrail-rejected";
/// What the names of the ledger's indices begin with.
pub const LEDGER: &str = "sagetrail-objects";
