//! An organisation with known truth: fifty people, twelve roles, three accounts, chains of up to four links. Memory has
//! to name who is behind each session, or the link that is missing, and never somebody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sagetrail::config::Scope;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing};
use sagetrail::memory::{Fact, Key, Known, Lookup, State};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const ACCOUNTS: [&str; 3] = ["111122223333", "222233334444", "333344445555"];
/// Roles that SageMaker is given; two have its name in theirs.
const EXECUTION_ROLES: [&str; 6] = [
    "ml-exec-prod",
    "batch-scoring",
    "features",
    "research",
    "AmazonSageMaker-ExecutionRole-1",
    "sagemaker-train",
];
/// Roles that people take one after the other; two have its name in theirs.
const TEAM_ROLES: [&str; 6] =
    ["ml-dev", "ml-ops", "release", "platform", "sagemaker-users", "team-sagemaker-admin"];
const PEOPLE: usize = 50;
const DAYS: i64 = 12;

/// One login and the call that somebody made at the end of its chain.
struct Work {
    person: String,
    /// Whether a record of the chain was never delivered.
    is_broken: bool,
    /// Whose name the person chose.
    victim: Option<String>,
    event_id: String,
    notebook: String,
    role: String,
}

struct Organisation {
    rng: TestRng,
    records: Vec<Value>,
    work: Vec<Work>,
    number: u64,
}

impl Organisation {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % bound as u64).expect("it is below a number of this size")
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn key(&mut self, kind: &str) -> String {
        format!("{kind}{:016X}", self.rng.next_u64())
    }

    fn record(&mut self, time: OffsetDateTime, account: &str, identity: &Value, call: &Value) -> Value {
        self.number += 1;
        let mut record = json!({
            "eventVersion": "1.11", "userIdentity": identity, "eventTime": time.format(&Rfc3339).unwrap(),
            "awsRegion": "eu-west-1", "sourceIPAddress": "203.0.113.20", "userAgent": "aws-cli/2.31",
            "eventID": format!("00000000-0000-4000-8000-{:012x}", self.number), "eventType": "AwsApiCall",
            "recipientAccountId": account, "readOnly": false, "managementEvent": true,
        });
        for (name, value) in call.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    }

    fn somebody_but(&mut self, person: usize) -> String {
        let other = (person + 1 + self.below(PEOPLE - 1)) % PEOPLE;
        format!("person{other:02}@acme.example")
    }

    /// A person logs in, takes up to three roles, and makes a notebook.
    fn work(&mut self, person: usize, mut time: OffsetDateTime) {
        let name = format!("person{person:02}@acme.example");
        let mut account = ACCOUNTS[person % ACCOUNTS.len()];
        let is_vouched = person.is_multiple_of(5);
        // Some take roles as somebody else, who may have a user of that name.
        let victim = (!is_vouched && self.chance(20)).then(|| self.somebody_but(person));
        let (mut identity, truth) = match person % 3 {
            0 => (user(account, &name), format!("arn:aws:iam::{account}:user/{name}")),
            _ => (
                session(account, "AWSReservedSSO_Ml_0a1b2c3d4e5f6a7b", &name, &self.key("ASIA"), None),
                name.clone(),
            ),
        };
        let mut is_broken = false;
        for link in 0..self.below(4) {
            let is_across = link == 0 && !is_vouched && self.chance(30);
            let home = account;
            if is_across {
                account = self.pick(&ACCOUNTS);
            }
            let role = self.pick(&TEAM_ROLES);
            // A name that the caller chooses, of somebody else at times.
            let session_name = match self.below(3) {
                0 => "cli".to_owned(),
                1 => format!("person{:02}@acme.example", self.below(PEOPLE)),
                _ => name.clone(),
            };
            let key = self.key("ASIA");
            let source_identity = is_vouched.then_some(name.as_str()).or(victim.as_deref());
            let taken = json!({
                "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
                "requestParameters": {
                    "roleArn": format!("arn:aws:iam::{account}:role/{role}"), "roleSessionName": session_name,
                    "sourceIdentity": source_identity,
                },
                "responseElements": {
                    "credentials": {"accessKeyId": key, "expiration": "later"},
                    "assumedRoleUser": {"arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{session_name}")},
                },
            });
            let mut told = vec![self.record(time, home, &identity, &taken)];
            if account != home {
                // The account whose role it is gets a record of its own, which hides the caller.
                let hidden = json!({
                    "type": "AWSAccount", "principalId": identity["principalId"], "accountId": home,
                });
                told.push(self.record(time, account, &hidden, &taken));
                if self.chance(50) {
                    let (one, other) = (told[0]["eventID"].take(), told[1]["eventID"].take());
                    (told[0]["eventID"], told[1]["eventID"]) = (other, one);
                }
            }
            // Nobody can know of a chosen source identity when the call that chose it is lost.
            if victim.is_none() && self.chance(5) {
                is_broken = true;
            } else {
                self.records.extend(told);
            }
            identity = session(account, role, &session_name, &key, source_identity);
            time += Duration::minutes(1);
        }
        let truth =
            if is_vouched && identity["sessionContext"]["sourceIdentity"].is_string() { name } else { truth };
        let notebook = format!("notebook-{person:02}-{}", self.number);
        let role = format!("arn:aws:iam::{account}:role/{}", self.pick(&EXECUTION_ROLES));
        let arn = format!("arn:aws:sagemaker:eu-west-1:{account}:notebook-instance/{notebook}");
        let made = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateNotebookInstance",
            "requestParameters": {"notebookInstanceName": notebook, "instanceType": "ml.t3.medium", "roleArn": role},
            "responseElements": {"notebookInstanceArn": arn},
        });
        let made = self.record(time, account, &identity, &made);
        self.work.push(Work {
            person: truth,
            // What the record itself vouches for needs no chain.
            is_broken: is_broken && identity["sessionContext"]["sourceIdentity"].is_null(),
            victim: victim.filter(|_| identity["sessionContext"]["sourceIdentity"].is_string()),
            event_id: made["eventID"].as_str().unwrap().to_owned(),
            notebook: arn,
            role,
        });
        self.records.push(made);
    }
}

fn user(account: &str, name: &str) -> Value {
    json!({
        "type": "IAMUser", "principalId": format!("AIDA{}", id_of(name)), "userName": name, "accountId": account,
        "arn": format!("arn:aws:iam::{account}:user/{name}"), "accessKeyId": format!("AKIA{}", id_of(name)),
    })
}

fn session(account: &str, role: &str, name: &str, key: &str, source_identity: Option<&str>) -> Value {
    let id = format!("AROA{}", id_of(role));
    let path =
        if role.starts_with("AWSReservedSSO_") { "aws-reserved/sso.amazonaws.com/eu-west-1/" } else { "" };
    json!({
        "type": "AssumedRole", "principalId": format!("{id}:{name}"), "accountId": account, "accessKeyId": key,
        "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role", "principalId": id, "arn": format!("arn:aws:iam::{account}:role/{path}{role}"),
                "accountId": account, "userName": role,
            },
            "sourceIdentity": source_identity,
        },
    })
}

/// Letters and digits alone, as AWS's ids have.
fn id_of(name: &str) -> String {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_uppercase() as char).collect()
}

fn organisation() -> Organisation {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut organisation = Organisation { rng, records: Vec::new(), work: Vec::new(), number: 0 };
    for day in 0..DAYS {
        for person in 0..PEOPLE {
            let minutes = i64::try_from(organisation.below(600)).expect("it is below 600");
            let morning = datetime!(2026-11-02 07:00 UTC) + Duration::days(day);
            organisation.work(person, morning + Duration::minutes(minutes));
        }
    }
    organisation.records.sort_by_key(|record| record["eventTime"].as_str().unwrap().to_owned());
    organisation
}

#[test]
fn who_is_behind_a_session_is_named_or_the_link_that_is_missing_and_never_somebody_else() {
    let Organisation { records, work, .. } = organisation();
    let enricher = Enricher::built_in(Scope::Related);
    let origin = Origin { path: "organisation", written_at: None, now: datetime!(2026-12-01 00:00 UTC) };
    let mut known = Known::whole();
    let mut documents = BTreeMap::new();
    for record in &records {
        match enrich_knowing(record.to_string().as_bytes(), origin, &enricher, &known) {
            Enriched::Selected { document, facts, .. } => {
                let source: Value = serde_json::from_slice(&document.source).unwrap();
                documents.insert(source["event"]["id"].as_str().unwrap().to_owned(), source);
                known.learn(&facts);
            }
            Enriched::NotSelected | Enriched::RepeatedRead => {}
            other => panic!("{other:?}"),
        }
    }
    let (mut named, mut missing, mut unmasked) = (0, 0, 0);
    // On the first days the roles that people take are not known yet.
    let settled = &work[PEOPLE * 2..];
    for Work { person, is_broken, victim, event_id, notebook, role } in settled {
        let actor = &documents[event_id]["sagemaker"]["actor"];
        match actor["origin"].as_str() {
            Some(origin) => {
                assert_eq!(origin, person, "{actor}");
                named += 1;
                if let Some(victim) = victim {
                    let told = documents[event_id]["sagemaker"]["context"].to_string();
                    assert!(
                        told.contains(&format!("the source identity {victim}, which {person} chose")),
                        "{told}"
                    );
                    unmasked += 1;
                }
            }
            None => {
                let told = documents[event_id]["sagemaker"]["context"].to_string();
                assert!(told.contains("the call that issued ASIA"), "{told}");
                assert!(*is_broken, "{actor} {told}");
                missing += 1;
            }
        }
        let Lookup::Found(state) = known.get(&Key::resource(role)) else { panic!("{role} is not known") };
        assert_eq!(state.value("execution_role"), Some("true"), "{role}");
        let Lookup::Found(state) = known.get(&Key::resource(notebook)) else { panic!("{notebook}") };
        assert_eq!(
            state.value("created.by"),
            documents[event_id]["aws"]["cloudtrail"]["user_identity"]["arn"].as_str()
        );
    }
    let is_enough = named * 100 >= settled.len() * 90 && missing > 0 && unmasked > 30;
    assert!(is_enough, "{named} named, {missing} missing, {unmasked} unmasked");
}

/// A process that tells facts: it knows what it has recalled, and loses that when it is killed.
struct Writer {
    known: Known,
}

/// The memory that writers share, which joins whatever it is sent.
#[derive(Default)]
struct Index(BTreeMap<Key, State>);

impl Index {
    fn join(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.0.entry(fact.key.clone()).or_default().join(&fact.state);
        }
    }

    /// What a writer recalls.
    fn whole(&self) -> Known {
        let mut known = Known::whole();
        for (key, state) in &self.0 {
            known.recall(key.clone(), Some(Arc::new(state.clone())));
        }
        known
    }

    fn bytes(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, state)| (key.to_string(), state.document().to_string())).collect()
    }
}

impl Writer {
    /// What a record tells, as this writer judges it. Nothing of one that it does not select.
    fn tell(&mut self, record: &Value, enricher: &Enricher) -> Vec<Fact> {
        let origin = Origin { path: "organisation", written_at: None, now: datetime!(2026-12-01 00:00 UTC) };
        match enrich_knowing(record.to_string().as_bytes(), origin, enricher, &self.known) {
            Enriched::Selected { facts, .. } => {
                self.known.learn(&facts);
                facts
            }
            Enriched::NotSelected | Enriched::RepeatedRead => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_history_that_is_shuffled_doubled_and_split_over_writers_that_are_killed_ends_in_the_same_memory() {
    let records = organisation().records;
    let enricher = Enricher::built_in(Scope::All);
    let mut in_order = Index::default();
    let mut one = Writer { known: Known::whole() };
    for record in &records {
        in_order.join(&one.tell(record, &enricher));
    }
    let expected = in_order.bytes();
    assert!(expected.len() > 500, "{}", expected.len());

    for seed in 0..2 {
        let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let mut below = |bound: usize| {
            usize::try_from(rng.next_u64() % bound as u64).expect("it is below a number of this size")
        };
        let mut sent: Vec<&Value> = records.iter().chain(&records).collect();
        for place in (1..sent.len()).rev() {
            sent.swap(place, below(place + 1));
        }
        let mut index = Index::default();
        let mut writers: Vec<Writer> = (0..3).map(|_| Writer { known: Known::whole() }).collect();
        for record in sent {
            let place = below(writers.len());
            let facts = writers[place].tell(record, &enricher);
            match below(50) {
                // It is killed after the write: whoever comes next asks memory, and gets the record again.
                0 => {
                    index.join(&facts);
                    writers[place] = Writer { known: index.whole() };
                    index.join(&writers[place].tell(record, &enricher));
                }
                // It is killed before the write.
                1 => {
                    writers[place] = Writer { known: index.whole() };
                    index.join(&writers[place].tell(record, &enricher));
                }
                _ => index.join(&facts),
            }
        }
        let bytes = index.bytes();
        let differs = expected.iter().find(|(key, text)| bytes.get(*key) != Some(text));
        assert_eq!(differs.map(|(key, text)| (key, text, bytes.get(key))), None, "seed {seed}");
        assert_eq!(bytes.len(), expected.len());
    }
}
