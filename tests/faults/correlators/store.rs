//! The documents, with the rules by which OpenSearch writes them, and what holds of incidents at each write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::Instant;

/// When each world begins.
const EPOCH: OffsetDateTime = datetime!(2026-11-15 12:00 UTC);
const INCIDENTS: &str = "sagetrail-incidents";
const LEASES: &str = "sagetrail-correlator";

pub struct World {
    pub began: Instant,
    inner: Mutex<Inner>,
    /// Counts what happens on sockets, which the paused clock knows nothing of.
    pub traffic: AtomicU64,
}

pub struct Inner {
    pub documents: BTreeMap<(String, String), Stored>,
    pub random: Rng,
    pub likelihood: f64,
    pub slowness: u64,
    pub writes_are_blocked: bool,
    /// Each page that a monitor would have seen, by its key, with the incident.
    pub pages: BTreeMap<String, String>,
    /// Incidents by their ids, with who was ever in them.
    pub origins: BTreeMap<String, BTreeSet<String>>,
    pub versions: u64,
    pub met: BTreeMap<&'static str, u64>,
    pub story: Vec<String>,
    pub broken: Vec<String>,
    began: Instant,
    seq_no: u64,
}

#[derive(Debug, Clone)]
pub struct Stored {
    pub source: Value,
    pub seq_no: u64,
}

impl World {
    pub fn new(random: Rng) -> Self {
        let began = Instant::now();
        let inner = Inner {
            documents: BTreeMap::new(),
            random,
            likelihood: 0.0,
            slowness: 1,
            writes_are_blocked: false,
            pages: BTreeMap::new(),
            origins: BTreeMap::new(),
            versions: 0,
            met: BTreeMap::new(),
            story: Vec::new(),
            broken: Vec::new(),
            began,
            seq_no: 0,
        };
        Self { began, inner: Mutex::new(inner), traffic: AtomicU64::new(0) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right time.
    pub fn now(&self) -> OffsetDateTime {
        EPOCH + self.began.elapsed()
    }

    pub fn stirred(&self) {
        self.traffic.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Inner {
    pub fn draw(&mut self, faults: u8) -> Option<u8> {
        (self.random.f64() < self.likelihood).then(|| self.random.u8(..faults))
    }

    pub fn meet(&mut self, fault: &'static str) {
        *self.met.entry(fault).or_default() += 1;
        self.tell(fault);
    }

    pub fn tell(&mut self, what: impl AsRef<str>) {
        self.story.push(format!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what.as_ref()));
    }

    pub fn breach(&mut self, what: String) {
        self.tell(format!("BROKEN: {what}"));
        self.broken.push(what);
    }

    /// Carries out one action of a bulk or of a document's address: its status, and the version that it wrote.
    pub fn write(
        &mut self,
        how: &str,
        index: &str,
        id: &str,
        condition: Option<u64>,
        source: Value,
    ) -> (u16, Option<u64>) {
        let place = (index.to_owned(), id.to_owned());
        let before = self.documents.get(&place).map(|stored| stored.seq_no);
        match how {
            "delete" => return (if self.documents.remove(&place).is_some() { 200 } else { 404 }, None),
            "create" if before.is_some() => return (409, None),
            "index" if condition.is_some() && condition != before => return (409, None),
            _ => {}
        }
        self.seq_no += 1;
        let stored = Stored { source, seq_no: self.seq_no };
        if index == INCIDENTS {
            self.see(&place, &stored.source);
        }
        self.documents.insert(place, stored);
        (if before.is_some() { 200 } else { 201 }, Some(self.seq_no))
    }

    /// Whether an incident with this origin is critical.
    pub fn is_critical(&self, origin: &str) -> bool {
        let incidents = self.documents.iter().filter(|((index, _), _)| index == INCIDENTS);
        incidents.map(|(_, stored)| &stored.source["incident"]).any(|fields| {
            let origins = fields["origins"].as_array().into_iter().flatten();
            fields["severity"] == "critical" && origins.into_iter().any(|it| it == origin)
        })
    }

    /// Lets whoever looks next take the lease, as if its holder had given it back.
    pub fn give_lease_away(&mut self) {
        let lease = self.documents.iter().find(|((index, _), _)| index == LEASES);
        if let Some(((index, id), stored)) = lease {
            let (index, id, mut source) = (index.clone(), id.clone(), stored.source.clone());
            source["holder"] = json!("");
            self.write("index", &index, &id, None, source);
        }
    }

    /// Forgets who holds the lease, and what it says of the last round.
    pub fn delete_lease(&mut self) {
        self.documents.retain(|(index, _), _| index != LEASES);
    }

    /// Looks at a version of an incident as monitors do.
    fn see(&mut self, place: &(String, String), source: &Value) {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let number = |source: &Value, member: &str| source["incident"][member].as_u64().expect("a count");
        let fields = &source["incident"];
        let (id, page) = (text(&fields["id"]), text(&fields["page"]));
        let line =
            format!("{} {page}, {} signals, {}", fields["state"], fields["signals"], fields["origins"]);
        self.tell(line);
        self.versions += 1;
        let before = self.documents.get(place).map(|before| before.source.clone());
        if let Some(before) = before {
            for member in ["pages", "signals"] {
                if number(source, member) < number(&before, member) {
                    self.breach(format!("{id} went back: {member} of {} to {}", before["incident"], fields));
                }
            }
            if (before["incident"]["page"] != fields["page"])
                != (number(&before, "pages") != number(source, "pages"))
            {
                self.breach(format!("{id} has another page without paging"));
            }
        }
        let origins = fields["origins"].as_array().expect("a list").iter().map(text).collect::<Vec<_>>();
        self.origins.entry(id.clone()).or_default().extend(origins);
        self.pages.insert(page, id);
    }
}

/// The answer to a write.
pub fn written((status, seq_no): (u16, Option<u64>)) -> Value {
    let mut answer = json!({"status": status});
    if let Some(seq_no) = seq_no {
        answer["_seq_no"] = json!(seq_no);
        answer["_primary_term"] = json!(1);
    }
    answer
}

/// The time of the story's beginning and so much.
pub fn at(time: Duration, seconds: i64) -> String {
    sagetrail::timestamp::format(EPOCH + time + time::Duration::seconds(seconds))
}
