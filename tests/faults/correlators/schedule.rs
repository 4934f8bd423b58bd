//! What happens: who does what when, and what goes wrong.

use std::time::Duration;

use fastrand::Rng;

/// Within this, all begins.
pub const STORM: Duration = Duration::from_mins(10);
/// How far off a clock can be.
const SKEW: i64 = 300;
/// How many records a flood has, of half as many rules.
pub const FLOOD: usize = 600;

#[derive(Debug)]
pub struct Schedule {
    /// By how many seconds the clock of each correlator is off.
    pub clocks: Vec<i64>,
    pub attacks: Vec<Attack>,
    pub events: Vec<(Duration, Event)>,
    /// How likely a request meets a fault during the storm.
    pub likelihood: f64,
    /// The most milliseconds that an answer takes. Where it is long, so are rounds, and those of two correlators
    /// overlap.
    pub slowness: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One critical finding.
    Critical,
    /// A high one, and a critical one later.
    Escalating,
    /// Ordinary records that match a critical correlation together.
    Correlated,
    /// A low finding.
    Weak,
    /// Critical findings of a year ago, and some of three days ago that are replayed.
    Replayed,
    /// A critical finding of three days ago that waited in a queue.
    Late,
    /// Critical findings of two rules, of which the second comes soon after the page.
    Soon,
    /// A critical finding, and one of the same rule by somebody else who changed the same.
    Joining,
    /// A low finding, and a critical one of somebody else who changed the same and much beside it.
    Tied,
    /// A flood of findings that are worth no point, of many rules, each twice, and a critical one after them.
    Hidden,
}

#[derive(Debug)]
pub struct Attack {
    pub kind: Kind,
    /// When each of its records is found by searches.
    pub records: Vec<Duration>,
    /// How long before that each was stored, and by how many seconds the clock of whoever stored it is off.
    pub found_after: Duration,
    pub skew: i64,
}

#[derive(Debug, Clone)]
pub enum Event {
    Kill(usize),
    Stop(usize),
    /// Whoever looks next takes the lease, while somebody believes to hold it.
    LeaseLost,
    /// Nobody knows any more where the last round began.
    LeaseDeleted,
    Door(usize, Passing, Duration),
    Down(Duration),
    WritesBlocked(Duration),
}

/// What becomes of the requests of a correlator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    Open,
    /// They do not arrive.
    CutOff,
    /// They arrive when all is well again, as those of a process that was stopped in the middle.
    Frozen,
    /// They arrive, and their answers do not.
    AnswersLost,
    /// Of what it decided nothing arrives before all is well again, and all else does.
    BulksFrozen,
}

impl Schedule {
    pub fn new(random: &mut Rng) -> Self {
        let clocks = (0..random.usize(2..=3)).map(|_| skew(random)).collect::<Vec<_>>();
        let mut attacks: Vec<Attack> = (0..random.usize(4..12)).map(|_| Attack::new(random)).collect();
        let events: Vec<(Duration, Event)> = (0..random.usize(3..10))
            .map(|_| (within(random, STORM), Event::new(random, clocks.len())))
            .collect();
        // Somebody strikes while two believe to lead.
        for (time, _) in events.iter().filter(|(_, event)| matches!(event, Event::LeaseLost)) {
            let first = *time + Duration::from_millis(random.u64(..3_000));
            attacks.push(Attack { kind: Kind::Critical, records: vec![first], ..Attack::new(random) });
        }
        let likelihood = [0.0, 0.02, 0.1][random.usize(..3)];
        Self { clocks, attacks, events, likelihood, slowness: [40, 1_500][random.usize(..2)] }
    }
}

impl Schedule {
    /// One correlator leads, with another beside it whose requests do not arrive for some time. Nothing else goes
    /// wrong.
    fn of_first_leader(clocks: [i64; 2], attack: Attack, events: Vec<(Duration, Event)>) -> Self {
        let second_comes_late = (Duration::ZERO, Event::Door(1, Passing::CutOff, secs(70)));
        let events = [vec![second_comes_late], events].concat();
        Self { clocks: clocks.to_vec(), attacks: vec![attack], events, likelihood: 0.0, slowness: 40 }
    }

    /// A leader's decision arrives after its successor wrote a later one.
    pub fn of_a_late_decision() -> Self {
        let attack = Attack::at(Kind::Escalating, &[60, 90, 108]);
        let events = vec![
            (secs(88), Event::Door(0, Passing::BulksFrozen, secs(90))),
            // The first leader has decided on the second record by then, and has not seen the third.
            (secs(107), Event::LeaseLost),
        ];
        Self::of_first_leader([0, 0], attack, events)
    }

    /// Somebody trips as many rules as there are, so that the one that matters is the rarest.
    pub fn of_a_hidden_finding() -> Self {
        let flood = (0..FLOOD as u64).map(|number| 60 + number / 10);
        let records: Vec<u64> = flood.chain([121]).collect();
        Self::of_first_leader([0, 0], Attack::at(Kind::Hidden, &records), Vec::new())
    }

    /// What comes soon after a page pages when that is an hour old, and no sooner.
    pub fn of_a_second_page(kind: Kind) -> Self {
        let long_after = (secs(4_000), Event::Door(1, Passing::CutOff, secs(1)));
        Self::of_first_leader([0, 0], Attack::at(kind, &[60, 120]), vec![long_after])
    }

    /// Somebody changed so many things that OpenSearch would refuse to be asked for all of them at once.
    pub fn of_many_ties() -> Self {
        Self::of_first_leader([0, 0], Attack::at(Kind::Tied, &[60, 120]), Vec::new())
    }

    /// Nothing that is decided can be written for longer than rounds overlap.
    pub fn of_long_blocked_writes() -> Self {
        let events = vec![(secs(30), Event::WritesBlocked(secs(1_500)))];
        Self::of_first_leader([0, 0], Attack::at(Kind::Critical, &[60]), events)
    }

    /// As before, and then nobody knows since when, with clocks that are as far apart as they can be.
    pub fn of_a_forgotten_round() -> Self {
        let events = vec![(secs(30), Event::WritesBlocked(secs(1_500))), (secs(1_440), Event::LeaseDeleted)];
        let attack = Attack { skew: -SKEW, ..Attack::at(Kind::Critical, &[60]) };
        Self::of_first_leader([SKEW, SKEW], attack, events)
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Attack {
    fn at(kind: Kind, records: &[u64]) -> Self {
        let records = records.iter().copied().map(secs).collect();
        Self { kind, records, found_after: Duration::ZERO, skew: 0 }
    }

    fn new(random: &mut Rng) -> Self {
        let kind =
            [Kind::Critical, Kind::Escalating, Kind::Correlated, Kind::Weak, Kind::Replayed, Kind::Late]
                [random.usize(..6)];
        let first = within(random, STORM);
        let records = match kind {
            Kind::Critical | Kind::Weak | Kind::Late => vec![first],
            Kind::Escalating => vec![first, first + Duration::from_secs(random.u64(0..200))],
            Kind::Correlated => (0..4).map(|_| first + Duration::from_secs(random.u64(0..120))).collect(),
            Kind::Replayed | Kind::Hidden | Kind::Soon | Kind::Joining | Kind::Tied => {
                vec![first, first + Duration::from_secs(5)]
            }
        };
        Self { kind, records, found_after: Duration::from_millis(random.u64(0..20_000)), skew: skew(random) }
    }
}

impl Event {
    fn new(random: &mut Rng, correlators: usize) -> Self {
        let who = random.usize(..correlators);
        let mut lasts = |most: u64| Duration::from_secs(random.u64(1..most));
        let passing = |lasts: Duration, which: usize| {
            let all = [Passing::CutOff, Passing::Frozen, Passing::AnswersLost, Passing::BulksFrozen];
            Self::Door(who, all[which], lasts)
        };
        let (short, long) = (lasts(90), lasts(1_800));
        match random.usize(..14) {
            0 | 1 => Self::Kill(who),
            2 => Self::Stop(who),
            3 | 4 => Self::LeaseLost,
            which @ 5..9 => passing(short, which - 5),
            9 | 10 => passing(short, 1),
            11 => Self::LeaseDeleted,
            12 => Self::Down(short),
            _ => Self::WritesBlocked(long),
        }
    }
}

fn within(random: &mut Rng, time: Duration) -> Duration {
    Duration::from_millis(random.u64(..u64::try_from(time.as_millis()).expect("minutes")))
}

fn skew(random: &mut Rng) -> i64 {
    [-SKEW, 0, 0, SKEW][random.usize(..4)]
}
