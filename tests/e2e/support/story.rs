//! The story: records of a quiet week and of an attack, as the documents that the daemon would have made in their time.

use std::path::Path;

use sagetrail::config::Scope;
use sagetrail::decode::Limits;
use sagetrail::enrich::Enricher;
use sagetrail::offline::enrich_files;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const LIMITS: Limits = Limits { uncompressed_bytes: 64 << 20, record_bytes: 8 << 20 };
/// How long CloudTrail and the queue take in the story.
const DELIVERY: Duration = Duration::minutes(5);

/// A document with its id.
pub struct Told {
    pub id: String,
    pub source: Value,
}

/// A week of ordinary days that ends with this time, and a day of the month before, which knows the same roles.
pub fn quiet_week(end: OffsetDateTime) -> Vec<Value> {
    let day = fixture("quiet-day");
    [20, 7, 6, 5, 4, 3, 2, 1]
        .into_iter()
        .flat_map(|days| {
            shifted(&day, end - Duration::days(days) + Duration::hours(10), &format!("{days:04}"))
        })
        .collect()
}

/// An attack that ends at this time: the story of the fixtures, then each of its parts at the scale of a script.
pub fn attack(end: OffsetDateTime) -> Vec<Value> {
    let mut records = shifted(&fixture("attack-story"), end - Duration::minutes(50), "a000");
    let named = |name: &str| -> Value {
        let failed = |record: &&Value| record["errorCode"].is_null() == (name != "ListDomains");
        let found = records.iter().filter(failed).find(|record| record["eventName"] == name);
        found.unwrap_or_else(|| panic!("the attack has no {name}")).clone()
    };
    let mut scripted = Vec::new();
    for number in 0..25 {
        let mut job = named("CreateTrainingJob");
        job["requestParameters"]["trainingJobName"] = json!(format!("job-{number}"));
        job["responseElements"] = json!({"trainingJobArn":
            format!("arn:aws:sagemaker:eu-central-1:111122223333:training-job/job-{number}")});
        scripted.push(job);
        let mut deletion = named("DeleteEndpoint");
        deletion["requestParameters"]["endpointName"] = json!(format!("endpoint-{number}"));
        scripted.push(deletion);
        scripted.push(named("CreatePresignedNotebookInstanceUrl"));
        let mut denied = named("ListDomains");
        denied["eventName"] = json!(
            ["ListDomains", "ListApps", "ListSpaces", "ListImages", "ListHubs", "ListActions"][number % 6]
        );
        scripted.push(denied);
    }
    for number in 0..FLOOD {
        let mut call = named("ListModels");
        call["eventName"] = json!("InvokeEndpoint");
        call["eventCategory"] = json!("Data");
        call["managementEvent"] = json!(false);
        call["requestParameters"] = Value::Null;
        call["resources"] = json!([{"accountId": "111122223333", "type": "AWS::SageMaker::Endpoint",
            "ARN": "arn:aws:sagemaker:eu-central-1:111122223333:endpoint/fraud-detection"}]);
        call["requestID"] = json!(format!("00000000-0000-4000-c000-{number:012}"));
        scripted.push(call);
    }
    for operation in READS {
        let mut read = named("ListModels");
        read["eventName"] = json!(operation);
        scripted.push(read);
    }
    let step = Duration::minutes(10) / i32::try_from(scripted.len()).expect("a few records");
    for (number, record) in scripted.iter_mut().enumerate() {
        let at = end - Duration::minutes(10) + step * i32::try_from(number).expect("a few records");
        record["eventTime"] = json!(text(at));
        record["eventID"] = json!(format!("00000000-0000-4000-b000-{number:012}"));
    }
    // Somebody sends a record of the trail again, with another address.
    let mut forged = named("StopLogging");
    forged["sourceIPAddress"] = json!("192.0.2.1");
    records.extend(scripted);
    records.push(forged);
    records
}

/// Calls of one endpoint, as a tool makes them that copies the model behind it.
const FLOOD: usize = 320;

/// Operations that a tool which explores an account calls one after the other.
const READS: [&str; 22] = [
    "ListModels",
    "ListApps",
    "ListSpaces",
    "ListImages",
    "ListHubs",
    "ListActions",
    "ListAlgorithms",
    "ListArtifacts",
    "ListAutoMLJobs",
    "ListClusters",
    "ListCodeRepositories",
    "ListContexts",
    "ListDomains",
    "ListEndpointConfigs",
    "ListEndpoints",
    "ListExperiments",
    "ListFeatureGroups",
    "ListPipelines",
    "ListProjects",
    "ListTrials",
    "ListUserProfiles",
    "ListWorkteams",
];

/// What the daemon makes of the records, each indexed a few minutes after its event, or at the given time.
pub fn documents(records: &[Value], indexed_at: Option<OffsetDateTime>) -> Vec<Told> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "Records": records }).to_string()).unwrap();
    let enricher = Enricher::built_in(Scope::All);
    let mut output = Vec::new();
    enrich_files(&[file.path().to_owned()], &LIMITS, &enricher, &mut output, |error| panic!("{error}"))
        .unwrap();
    let told = |line: &str| {
        let mut document: Value = serde_json::from_str(line).unwrap();
        let event =
            OffsetDateTime::parse(document["_source"]["@timestamp"].as_str().unwrap(), &Rfc3339).unwrap();
        document["_source"]["event"]["ingested"] = json!(text(indexed_at.unwrap_or(event + DELIVERY)));
        Told { id: document["_id"].as_str().unwrap().to_owned(), source: document["_source"].take() }
    };
    let documents: Vec<Told> = String::from_utf8(output).unwrap().lines().map(told).collect();
    assert_eq!(documents.len(), records.len());
    documents
}

fn fixture(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/src/{name}.json"));
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    serde_json::from_value(file["Records"].take()).unwrap()
}

/// The records at another time, so that the last of them is at `end`, with ids of their own.
fn shifted(records: &[Value], end: OffsetDateTime, mark: &str) -> Vec<Value> {
    let at = |record: &Value| OffsetDateTime::parse(record["eventTime"].as_str().unwrap(), &Rfc3339).unwrap();
    let last = records.iter().map(at).max().expect("a fixture has records");
    let mut shifted = records.to_vec();
    for (number, record) in shifted.iter_mut().enumerate() {
        record["eventTime"] = json!(text(end - (last - at(record))));
        record["eventID"] = json!(format!("00000000-0000-4000-{mark}-{number:012}"));
    }
    shifted
}

fn text(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).expect("zero is a nanosecond").format(&Rfc3339).unwrap()
}
