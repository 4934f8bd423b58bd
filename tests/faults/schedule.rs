//! The schedule: everything that a seed decides before its world begins.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use fastrand::Rng;
use sagetrail::config::{Config, Scope, SelectConfig, SourceConfig};
use serde_json::{Value, json};
use url::Url;

use crate::run::gzip;

pub const BUCKET: &str = "trail";
pub const QUEUE_URL: &str = "http://sqs.test/111122223333/trail";
/// What a document that OpenSearch refuses for good holds.
pub const POISON: &str = "poisoned";
/// No fault begins later than this, so that what comes after shows whether the daemons recover.
pub const STORM: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub struct Schedule {
    pub records: Vec<Record>,
    pub objects: Vec<Object>,
    pub messages: Vec<Message>,
    pub events: Vec<(Duration, Event)>,
    /// How likely each request meets a fault while the storm lasts.
    pub likelihood: f64,
    /// The world ends here, whatever is under way; without it, when the queue is empty.
    pub cut: Option<Duration>,
    pub daemons: usize,
    pub visibility_timeout: Duration,
    pub max_receive_count: u32,
    pub memory: Memory,
    pub config: Config,
    /// For what is decided while the world runs.
    pub random: Rng,
}

/// How recalls are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Prompt,
    /// Each after this.
    Slow(Duration),
    /// Never.
    Silent,
}

/// One record, its text and where it has to end.
#[derive(Debug)]
pub struct Record {
    /// Different in every record, also where eventIDs are the same.
    pub request_id: String,
    pub text: String,
    pub fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Stored,
    /// OpenSearch will not have it, so it is rejected.
    Refused,
    /// It is no JSON, so it is rejected.
    Malformed,
    /// It concerns another service.
    NotSelected,
}

#[derive(Debug)]
pub struct Object {
    pub key: String,
    pub records: Vec<usize>,
    pub bytes: Vec<u8>,
    /// It is damaged or not there: its message can never be deleted.
    pub hopeless: bool,
    pub missing: bool,
}

#[derive(Debug)]
pub struct Message {
    pub at: Duration,
    pub objects: Vec<usize>,
}

/// What happens to the world as a whole.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    Kill(usize),
    Stop(usize),
    ClusterDown(Duration),
    /// The disk is too full: each document gets this status.
    WritesBlocked(Duration, u16),
    VisibilityExpires,
    ClockMoves {
        seconds: i64,
        back_after: Duration,
    },
    /// New credentials; the old ones hold a little longer or, when somebody revoked them, do not.
    CredentialsRotate {
        overlap: Duration,
    },
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let likelihood = [0.0, 0.05, 0.15, 0.3, 0.5][random.usize(..5)];
        let daemons = random.usize(1..=2);
        let records: Vec<Record> =
            (0..random.usize(4..40)).map(|number| record(&mut random, number)).collect();
        let objects = objects(&mut random, &records);
        let messages = messages(&mut random, objects.len());
        let events = if random.f64() < 0.1 { Vec::new() } else { events(&mut random, daemons) };
        let cut = (random.f64() < 0.3).then(|| random_time(&mut random, STORM * 2));
        Self {
            likelihood,
            cut,
            daemons,
            visibility_timeout: Duration::from_secs([10, 30, 60, 120][random.usize(..4)]),
            max_receive_count: [2, 5, 20, 1_000][random.usize(..4)],
            config: config(&mut random),
            memory: Memory::Prompt,
            records,
            objects,
            messages,
            events,
            random,
        }
    }

    /// Nothing goes wrong, and at each of these times an object with one record is notified. The settings are the
    /// default ones, but that no bulk would set out because of its age within an hour.
    pub fn of_lone_records(times: &[Duration]) -> Self {
        let mut random = Rng::with_seed(0);
        let records: Vec<Record> =
            (0..times.len()).map(|number| record_of(&mut random, number, Fate::Stored)).collect();
        let objects = (0..times.len()).map(|number| Object {
            key: key(number),
            records: vec![number],
            bytes: file(&records, &[number]),
            hopeless: false,
            missing: false,
        });
        let mut config = plain_config();
        config.sink.bulk_max_age = Duration::from_hours(1);
        Self {
            objects: objects.collect(),
            records,
            messages: times
                .iter()
                .enumerate()
                .map(|(object, &at)| Message { at, objects: vec![object] })
                .collect(),
            events: Vec::new(),
            likelihood: 0.0,
            cut: None,
            daemons: 1,
            visibility_timeout: Duration::from_mins(1),
            max_receive_count: 5,
            memory: Memory::Prompt,
            config,
            random,
        }
    }

    /// Nothing at all goes wrong.
    pub fn is_calm(&self) -> bool {
        self.likelihood == 0.0 && self.events.is_empty()
    }
}

fn random_time(random: &mut Rng, before: Duration) -> Duration {
    Duration::from_millis(random.u64(..u64::try_from(before.as_millis()).expect("minutes")))
}

fn record(random: &mut Rng, number: usize) -> Record {
    let fate = match random.u8(..20) {
        0..=12 => Fate::Stored,
        13..=14 => Fate::Refused,
        15 => Fate::Malformed,
        _ => Fate::NotSelected,
    };
    record_of(random, number, fate)
}

fn record_of(random: &mut Rng, number: usize, fate: Fate) -> Record {
    let request_id = format!("00000000-0000-4000-8000-{number:012}");
    // Now and then a second record has the eventID of the one before: a sign of forged logs, and both are kept.
    let event = if number > 0 && random.u8(..8) == 0 { number - 1 } else { number };
    let service = if fate == Fate::NotSelected { "ec2" } else { "sagemaker" };
    let name = if fate == Fate::Refused { POISON } else { "fine" };
    // Few things, so that records tell of the same ones.
    let (name, operation, caller) = match fate {
        Fate::Refused => (name.to_owned(), "DescribeEndpoint", random.usize(..3)),
        _ => {
            let operation = [
                "DescribeEndpoint",
                "DescribeEndpoint",
                "CreateEndpoint",
                "UpdateEndpoint",
                "DeleteEndpoint",
            ];
            (format!("{name}-{}", random.usize(..3)), operation[random.usize(..5)], random.usize(..3))
        }
    };
    let answer = match random.u8(..6) {
        0 => json!({"credentials": {"accessKeyId": format!("ASIAEXAMPLE{}", random.usize(..4))}}),
        _ => Value::Null,
    };
    let filler = "x".repeat(if random.u8(..10) == 0 { 3_000 } else { 20 });
    let caller = json!({
        "type": "AssumedRole", "principalId": format!("AROAEXAMPLE{caller}:session"), "accountId": "111122223333",
        "arn": format!("arn:aws:sts::111122223333:assumed-role/role-{caller}/session"),
        "accessKeyId": format!("ASIAEXAMPLE{}", random.usize(..4)),
        "sessionContext": {"sessionIssuer": {
            "type": "Role", "principalId": format!("AROAEXAMPLE{caller}"), "accountId": "111122223333",
            "arn": format!("arn:aws:iam::111122223333:role/role-{caller}"), "userName": format!("role-{caller}")
        }}
    });
    // What is no JSON is redacted the more, the more it has.
    let (caller, answer) = match fate {
        Fate::Malformed => {
            (json!({"type": "AWSService", "invokedBy": "sagemaker.amazonaws.com"}), Value::Null)
        }
        _ => (caller, answer),
    };
    let mut text = json!({
        "eventVersion": "1.11", "userIdentity": caller,
        "eventTime": format!("2026-{:02}-01T12:00:{:02}Z", random.u8(9..12), number % 60),
        "eventSource": format!("{service}.amazonaws.com"), "eventName": operation,
        "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.5", "userAgent": "Boto3/1.40.0",
        "requestParameters": {"endpointName": name, "filler": filler}, "responseElements": answer,
        "requestID": request_id, "eventID": format!("10000000-0000-4000-8000-{event:012}"),
        "readOnly": operation == "DescribeEndpoint", "eventType": "AwsApiCall", "recipientAccountId": "111122223333"
    })
    .to_string();
    if fate == Fate::Malformed {
        text.insert_str(text.len() - 1, ",nonsense");
    }
    Record { request_id, text, fate }
}

/// Every record is in some object; some are in two, as a trail of several regions writes them.
fn objects(random: &mut Rng, records: &[Record]) -> Vec<Object> {
    let mut shares: Vec<Vec<usize>> = vec![Vec::new(); random.usize(1..=6)];
    for number in 0..records.len() {
        let share = random.usize(..shares.len());
        shares[share].push(number);
        let second = random.usize(..shares.len());
        if second != share && random.u8(..6) == 0 {
            shares[second].push(number);
        }
    }
    let build = |(number, records_of): (usize, Vec<usize>)| {
        let mut bytes = file(records, &records_of);
        let (damaged, missing) = (random.u8(..12) == 0, random.u8(..24) == 0);
        if damaged {
            // The checksum is wrong: every record is readable, and the object is not to be trusted as a whole.
            let checksum = bytes.len() - 6;
            bytes[checksum] ^= 0xff;
        }
        Object { key: key(number), records: records_of, bytes, hopeless: damaged || missing, missing }
    };
    shares.into_iter().enumerate().map(build).collect()
}

fn key(number: usize) -> String {
    format!(
        "AWSLogs/111122223333/CloudTrail/eu-central-1/2026/11/01/111122223333_CloudTrail_eu-central-1_20261101T1200Z_{number:016}.json.gz"
    )
}

fn file(records: &[Record], of: &[usize]) -> Vec<u8> {
    let texts: Vec<&str> = of.iter().map(|&record| records[record].text.as_str()).collect();
    gzip(format!(r#"{{"Records":[{}]}}"#, texts.join(",")).as_bytes())
}

/// Each object is notified at least once, some twice, and some together.
fn messages(random: &mut Rng, objects: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for object in 0..objects {
        for _ in 0..random.usize(1..=2) {
            let mut named = vec![object];
            if random.u8(..4) == 0 {
                named.push(random.usize(..objects));
            }
            let early = random.bool();
            let at = if early { Duration::ZERO } else { random_time(random, STORM) };
            messages.push(Message { at, objects: named });
        }
    }
    messages
}

fn events(random: &mut Rng, daemons: usize) -> Vec<(Duration, Event)> {
    let mut events: Vec<(Duration, Event)> = (0..random.usize(..8))
        .map(|_| {
            let at = random_time(random, STORM);
            let left = STORM.saturating_sub(at).min(Duration::from_secs(90));
            let lasts = random_time(random, left + Duration::from_millis(1));
            let event = match random.u8(..9) {
                0 | 1 => Event::Kill(random.usize(..daemons)),
                2 => Event::Stop(random.usize(..daemons)),
                3 => Event::ClusterDown(lasts),
                4 => Event::WritesBlocked(lasts, if random.bool() { 403 } else { 429 }),
                5 | 6 => Event::VisibilityExpires,
                7 => Event::ClockMoves { seconds: random.i64(-4_000..4_000), back_after: lasts },
                _ => Event::CredentialsRotate { overlap: lasts / 4 * u32::from(random.bool()) },
            };
            (at, event)
        })
        .collect();
    events.sort_by_key(|(at, _)| *at);
    events
}

fn config(random: &mut Rng) -> Config {
    let some = |number: usize| NonZeroUsize::new(number).expect("it is not zero");
    let mut config = plain_config();
    config.source.receivers = some(random.usize(1..=2));
    config.source.wait = Duration::from_secs([5, 20, 20][random.usize(..3)]);
    config.source.in_flight_messages = some(random.usize(1..=12));
    config.shutdown.grace = Duration::from_secs(random.u64(..=25));
    config.sink.gzip = random.u8(..4) == 0;
    config.sink.request_timeout = Duration::from_secs([5, 15, 60][random.usize(..3)]);
    config.sink.bulk_max_age = Duration::from_millis([10, 1_000, 5_000][random.usize(..3)]);
    config.sink.bulk_max_documents = some([1, 3, 2_000][random.usize(..3)]);
    config.sink.bulk_max_bytes = some([6_000, 4 << 20][random.usize(..2)]);
    config.sink.queue_bytes =
        some([12_000, 16 << 20][random.usize(..2)].max(config.sink.bulk_max_bytes.get()));
    config.sink.in_flight_bulks = some(random.usize(1..=4));
    config.sink.item_attempts = NonZeroU32::new([1, 3, 8][random.usize(..3)]).expect("it is not zero");
    config
}

/// The default settings, for the fakes.
fn plain_config() -> Config {
    let mut config = Config {
        source: SourceConfig {
            queue_url: Some(Url::parse(QUEUE_URL).expect("a URL")),
            force_path_style: true,
            ..SourceConfig::default()
        },
        select: SelectConfig { scope: Scope::Sagemaker },
        ..Config::default()
    };
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    // Correlating has no part in shipping, and is tried on a real OpenSearch.
    config.correlate.enabled = false;
    // The cluster speaks plain HTTP; reading the system's certificates at each start would be most of the work.
    config.sink.danger_accept_invalid_certificates = true;
    config
}
