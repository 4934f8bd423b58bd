//! The run: one world from its first message to its end.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use sagetrail::config::{Config, EnrichConfig};
use sagetrail::daemon::{self, Control};
use sagetrail::enrich::rules::BrokenRules;
use sagetrail::reload::RuleSource;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::aws;
use crate::clock;
use crate::cluster::Cluster;
use crate::queue::{Message, Queue, State};
use crate::remembered::KNOWLEDGE;
use crate::schedule::{BUCKET, Event, STORM, Schedule};
use crate::world::{LEDGER, REJECTED, World};

/// Long after the last fault, by when everything that can end has ended.
const PATIENCE: Duration = Duration::from_hours(3);
/// A daemon that ended is started again after this, as systemd would.
const RESTART: Duration = Duration::from_secs(5);
/// What a stop may take after the grace time: four steps of five seconds, and a little.
const CLOSING: Duration = Duration::from_secs(25);

pub struct Outcome {
    pub seed: u64,
    pub broken: Vec<String>,
    pub met: BTreeMap<&'static str, u64>,
    pub story: Vec<String>,
    pub lasted: Duration,
    pub deleted: u64,
    pub left: u64,
    pub stored: u64,
    pub rejected: u64,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, broken, met, lasted, deleted, left, stored, rejected, story: _ } = self;
        write!(formatter, "seed {seed}: {lasted:?}, {deleted} messages deleted, {left} left, ")?;
        write!(formatter, "{stored} documents stored, {rejected} rejected\nmet {met:?}\nbroken {broken:#?}")
    }
}

/// Runs the schedule of a seed. Each worker has a loopback address of its own.
pub fn run(seed: u64, worker: usize) -> Outcome {
    run_schedule(Schedule::new(seed), seed, worker)
}

/// Runs a schedule, with a seed for what is drawn while it runs.
pub fn run_schedule(schedule: Schedule, seed: u64, worker: usize) -> Outcome {
    clock::live(seed, live(schedule, seed, worker))
}

async fn live(mut schedule: Schedule, seed: u64, worker: usize) -> Outcome {
    let queue = Queue {
        messages: Vec::new(),
        visibility_timeout: schedule.visibility_timeout,
        max_receive_count: schedule.max_receive_count,
    };
    let (records, objects) = (std::mem::take(&mut schedule.records), std::mem::take(&mut schedule.objects));
    let world = Arc::new(World::new(records, objects, queue, schedule.random.fork()));
    let too_late = schedule.config.sink.request_timeout + Duration::from_secs(1);
    let (cluster, serving) = Cluster::start(&world, host(worker), too_late).await;
    let _serving = AbortOnDropHandle::new(serving);
    let paced = Arc::clone(&world);
    let pacing = clock::pace(move || paced.traffic.load(Ordering::Relaxed));
    let _pacing = AbortOnDropHandle::new(tokio::spawn(pacing));
    let mut config = schedule.config.clone();
    config.sink.url = format!("http://{}", cluster.address).parse().expect("a URL");
    world.lock().likelihood = schedule.likelihood;
    world.lock().recalls = schedule.memory;

    let (mut daemons, mut control) = (Vec::new(), Vec::new());
    for number in 0..schedule.daemons {
        let (order, received) = mpsc::channel(8);
        let supervisor = supervise(number, Arc::clone(&world), config.clone(), seed, received);
        daemons.push(AbortOnDropHandle::new(tokio::spawn(supervisor)));
        control.push(order);
    }
    let mut changes = Changes::new(&schedule);
    let end = schedule.cut.unwrap_or(STORM + PATIENCE);
    loop {
        let now = world.began.elapsed();
        changes.bring(now, &world, &cluster, &control);
        let is_over = now >= end || schedule.cut.is_none() && changes.is_over() && is_drained(&world);
        if is_over {
            break;
        }
        let step = if changes.is_over() { Duration::from_secs(5) } else { Duration::from_millis(500) };
        sleep(step.min(end.saturating_sub(now))).await;
    }
    let lasted = world.began.elapsed();
    if schedule.cut.is_none() && !is_drained(&world) {
        world.lock().breach(format!("messages still wait {PATIENCE:?} after the last fault"));
    }
    finish(&world, &schedule, &control, daemons).await;
    outcome(seed, &world, lasted)
}

/// Ends the daemons, every second one as an operator does, and checks the promise.
async fn finish(
    world: &World,
    schedule: &Schedule,
    control: &[mpsc::Sender<Order>],
    daemons: Vec<AbortOnDropHandle<()>>,
) {
    let most = schedule.config.shutdown.grace + CLOSING;
    for (daemon, order) in daemons.into_iter().zip(control) {
        if order.send(Order::End).await.is_ok() && timeout(most, daemon).await.is_err() {
            world.lock().breach(format!("a stop took more than {most:?}"));
        }
    }
    let mut inner = world.lock();
    if schedule.is_calm() {
        let is_lost = |message: &Message| {
            message.state == State::Dead
                && !message.objects.iter().any(|&object| inner.objects[object].hopeless)
        };
        if inner.queue.messages.iter().any(is_lost) {
            inner.breach("a message went to the dead-letter queue although nothing went wrong".to_owned());
        }
    }
    inner.check_everything();
}

fn outcome(seed: u64, world: &World, lasted: Duration) -> Outcome {
    let mut inner = world.lock();
    let left = inner.queue.undeleted().count();
    let rejected = inner.documents.keys().filter(|(index, _)| index == REJECTED).count();
    let entries = inner.documents.keys().filter(|(index, _)| index.starts_with(LEDGER)).count();
    Outcome {
        seed,
        broken: std::mem::take(&mut inner.broken),
        met: std::mem::take(&mut inner.met),
        story: std::mem::take(&mut inner.story),
        lasted,
        deleted: (inner.queue.messages.len() - left) as u64,
        left: left as u64,
        stored: (inner.documents.len() - rejected - entries) as u64,
        rejected: rejected as u64,
    }
}

/// Nothing waits but what can never be deleted.
fn is_drained(world: &World) -> bool {
    let inner = world.lock();
    inner.queue.messages.iter().all(|message| {
        message.state != State::Queued || message.objects.iter().any(|&object| inner.objects[object].hopeless)
    })
}

/// 127.x.y.z for each process and worker.
pub fn host(worker: usize) -> [u8; 4] {
    let process = std::process::id();
    let part = |number: u32| u8::try_from(number % 250 + 1).expect("less than 256");
    [127, part(process), part(process / 250), u8::try_from(worker % 250 + 2).expect("less than 256")]
}

enum Order {
    Kill,
    Stop,
    /// Stops for good.
    End,
}

/// Keeps one daemon running, whatever becomes of it.
async fn supervise(
    number: usize,
    world: Arc<World>,
    config: Config,
    seed: u64,
    mut control: mpsc::Receiver<Order>,
) {
    loop {
        let stop = CancellationToken::new();
        let mut running = AbortOnDropHandle::new(tokio::spawn(daemon(
            Arc::clone(&world),
            config.clone(),
            seed,
            stop.clone(),
        )));
        world.lock().tell(format!("daemon {number} starts"));
        tokio::select! {
            ended = &mut running => {
                let text = format!("daemon {number} ended: {ended:?}");
                if ended.is_err() { world.lock().breach(text) } else { world.lock().tell(text) }
            }
            order = control.recv() => match order {
                Some(Order::Kill) => {
                    world.lock().meet("daemon killed");
                    running.abort();
                    let _ = running.await;
                }
                Some(Order::Stop) => {
                    world.lock().meet("daemon stopped");
                    stop.cancel();
                    let _ = running.await;
                }
                Some(Order::End) | None => {
                    stop.cancel();
                    let _ = running.await;
                    return;
                }
            }
        }
        tokio::select! {
            () = sleep(RESTART) => {}
            order = control.recv() => if matches!(order, Some(Order::End) | None) { return },
        }
    }
}

async fn daemon(world: Arc<World>, config: Config, seed: u64, stop: CancellationToken) -> Result<(), String> {
    let source =
        RuleSource { config_file: None, broken: BrokenRules::Refuse, enrich: EnrichConfig::default() };
    let hangups = signal(SignalKind::hangup()).expect("a signal can be listened for");
    let settings = aws::settings(&world, seed);
    let control = Control { hangups, stop };
    let ended = daemon::run_on(&settings, &config, Arc::clone(&KNOWLEDGE), source, control).await;
    ended.map_err(|error| error.to_string())
}

/// What the schedule still brings.
struct Changes {
    messages: Vec<(Duration, Vec<usize>)>,
    events: Vec<(Duration, Event)>,
    /// What ends an earlier event.
    ends: Vec<(Duration, End)>,
}

enum End {
    Storm,
    ClusterDown,
    WritesBlocked,
    ClockMoved,
    Credentials(u32),
}

impl Changes {
    fn new(schedule: &Schedule) -> Self {
        Self {
            messages: schedule.messages.iter().map(|message| (message.at, message.objects.clone())).collect(),
            events: schedule.events.clone(),
            ends: vec![(STORM, End::Storm)],
        }
    }

    fn is_over(&self) -> bool {
        self.messages.is_empty() && self.events.is_empty() && self.ends.is_empty()
    }

    fn bring(&mut self, now: Duration, world: &World, cluster: &Cluster, control: &[mpsc::Sender<Order>]) {
        for (_, objects) in self.messages.extract_if(.., |(at, _)| *at <= now) {
            send(world, objects);
        }
        for (_, end) in self.ends.extract_if(.., |(at, _)| *at <= now) {
            end.come(world, cluster);
        }
        let events: Vec<_> = self.events.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, event) in events {
            match event {
                // An order that finds no room comes while others are carried out.
                Event::Kill(daemon) => drop(control[daemon].try_send(Order::Kill)),
                Event::Stop(daemon) => drop(control[daemon].try_send(Order::Stop)),
                Event::ClusterDown(lasts) => {
                    cluster.up.send_replace(false);
                    self.ends.push((now + lasts, End::ClusterDown));
                }
                Event::WritesBlocked(lasts, status) => {
                    let mut inner = world.lock();
                    inner.meet("opensearch: writes blocked");
                    inner.blocked = Some(status);
                    self.ends.push((now + lasts, End::WritesBlocked));
                }
                Event::VisibilityExpires => {
                    expire(world);
                }
                Event::ClockMoves { seconds, back_after } => {
                    let mut inner = world.lock();
                    inner.meet("clock moved");
                    inner.clock_offset = seconds;
                    self.ends.push((now + back_after, End::ClockMoved));
                }
                Event::CredentialsRotate { overlap } => {
                    let mut inner = world.lock();
                    inner.meet("credentials rotated");
                    inner.credentials += 1;
                    self.ends.push((now + overlap, End::Credentials(inner.credentials)));
                }
            }
        }
    }
}

impl End {
    fn come(self, world: &World, cluster: &Cluster) {
        let mut inner = world.lock();
        match self {
            Self::Storm => {
                inner.tell("the storm is over");
                inner.likelihood = 0.0;
            }
            Self::ClusterDown => drop(cluster.up.send_replace(true)),
            Self::WritesBlocked => inner.blocked = None,
            Self::ClockMoved => inner.clock_offset = 0,
            Self::Credentials(oldest) => inner.oldest_credentials = oldest,
        }
    }
}

fn send(world: &World, objects: Vec<usize>) {
    let mut inner = world.lock();
    let records: Vec<_> = objects
        .iter()
        .map(|&object| {
            let object = &inner.objects[object];
            json!({
                "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-01T12:00:00Z",
                "s3": {"bucket": {"name": BUCKET}, "object": {"key": object.key, "size": object.bytes.len()}}
            })
        })
        .collect();
    let message = Message {
        body: json!({ "Records": records }).to_string(),
        visible_at: tokio::time::Instant::now(),
        receives: 0,
        state: State::Queued,
        objects,
    };
    inner.queue.messages.push(message);
    drop(inner);
    world.bell.notify_waiters();
}

/// Some of the messages in flight come back before their time.
fn expire(world: &World) {
    let now = tokio::time::Instant::now();
    let mut guard = world.lock();
    let inner = &mut *guard;
    let mut expired = 0;
    for message in &mut inner.queue.messages {
        if message.state == State::Queued && message.visible_at > now && inner.random.bool() {
            message.visible_at = now;
            expired += 1;
        }
    }
    if expired > 0 {
        inner.meet("visibility expired early");
    }
    drop(guard);
    world.bell.notify_waiters();
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}
