//! What a hostile record may cost: for each of its bytes no more than twenty times what an ordinary record costs, so that
//! nobody stops the daemon with a file of them. Neither may it become a document out of proportion.
//!
//! Valgrind counts instructions, which repeat from run to run where a time does not. What grows faster than the record is
//! found by records that are large.

#[allow(dead_code, reason = "the benchmark uses more of the trail")]
#[path = "../benches/performance/trail.rs"]
mod trail;

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sagetrail::config::{ContentHash, Scope};
use sagetrail::decode::{Limits, Scratch, decode};
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Knowledge, Origin, enrich};
use serde_json::{Value, json};
use time::OffsetDateTime;
use trail::{Shape, Trail};

/// How many times as much as an ordinary record a hostile one may cost, for each byte.
const MOST_COST: u64 = 20;
/// How many times its own size its document may have, and a few KiB for what every document has.
const MOST_GROWTH: usize = 40;
/// Tells the process inside valgrind that it is there.
const INSIDE: &str = "SAGETRAIL_TEST_INSIDE_VALGRIND";
const ORDINARY: usize = 20;
/// Bytes of a large record, about.
const LARGE: usize = 8 * 1024;

#[test]
fn no_record_costs_more_than_twenty_times_an_ordinary_one_for_each_byte() {
    if std::env::var_os(INSIDE).is_some() {
        run();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*::measured", "--dump-after=*measured*"])
        .arg(format!("--callgrind-out-file={}", folder.path().join("part").display()))
        .arg(std::env::current_exe().unwrap())
        .arg("no_record_costs")
        .env(INSIDE, "1")
        .output();
    let Ok(output) = output else {
        println!("skipped: there is no valgrind; install the package of that name to count instructions");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let count = |number: usize| total(&folder.path().join(format!("part.{number}")));
    let ordinary: usize = ordinary_records().iter().map(Vec::len).sum();
    let for_each_byte = count(1) / ordinary as u64;
    let mut beyond = Vec::new();
    for (number, (name, raw)) in (2..).zip(hostile_records()) {
        let cost = count(number) / raw.len() as u64;
        let line =
            format!("{name}: {} bytes, {cost} a byte, {} times", raw.len(), cost / for_each_byte.max(1));
        println!("{line}");
        if cost > MOST_COST * for_each_byte {
            beyond.push(line);
        }
    }
    assert!(
        beyond.is_empty(),
        "an ordinary record costs {for_each_byte} instructions a byte:\n{}",
        beyond.join("\n")
    );
}

#[test]
fn no_document_is_out_of_proportion_to_its_record() {
    let knowledge = Knowledge::built_in(Scope::Related);
    for (name, raw) in hostile_records() {
        let size = document_of(&raw, &knowledge).source.len();
        assert!(size <= MOST_GROWTH * raw.len() + 8192, "{name}: {size} of {}", raw.len());
    }
}

fn total(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.unwrap().trim().parse().unwrap()
}

fn run() {
    let knowledge = Knowledge::built_in(Scope::Related);
    let ordinary = ordinary_records();
    // The first records make what is made once.
    for raw in &ordinary {
        document_of(raw, &knowledge);
    }
    let hostile = hostile_records();
    document_of(&hostile[0].1, &knowledge);
    measured(|| ordinary.iter().map(|raw| document_of(raw, &knowledge).source.len()).sum::<usize>());
    for (_, raw) in &hostile {
        measured(|| document_of(raw, &knowledge));
    }
}

/// What valgrind counts, found by its name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn document_of(raw: &[u8], knowledge: &Knowledge) -> Document {
    let origin = Origin { path: "s3://trail/file", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    match enrich(raw, origin, knowledge) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => document,
        Enriched::Panicked(_) => panic!("no record makes it panic"),
        Enriched::NotSelected => panic!("each is SageMaker's"),
    }
}

fn ordinary_records() -> Vec<Vec<u8>> {
    let file = Trail::generate(Shape { files: 1, records: ORDINARY, share: 100 }).files.remove(0);
    let limits = Limits { uncompressed_bytes: 1 << 30, record_bytes: 8 << 20 };
    let mut records = Vec::new();
    decode(&file.gzip, &limits, ContentHash::None, &mut Scratch::default(), |raw| {
        records.push(raw.to_vec());
        ControlFlow::Continue(())
    });
    records
}

fn record(name: &str, parameters: &Value) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": "2026-11-01T12:00:00Z", "eventSource": "sagemaker.amazonaws.com",
        "eventName": name, "awsRegion": "eu-central-1", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"},
        "requestParameters": parameters,
    })
}

fn gzip(bytes: &[u8]) -> String {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    BASE64_STANDARD.encode(encoder.finish().unwrap())
}

/// Numbered pieces up to the size of a large record.
fn pieces(piece: impl Fn(usize) -> String) -> Vec<String> {
    let mut bytes = 0;
    let all = (0..).map(piece).take_while(|piece| {
        bytes += piece.len() + 3;
        bytes < LARGE
    });
    all.collect()
}

fn script(text: &str) -> Value {
    json!({"notebookInstanceLifecycleConfigName": "x", "onStart": [{"content": BASE64_STANDARD.encode(text)}]})
}

/// Each way to make a record dear, small ones and large ones.
#[expect(clippy::too_many_lines, reason = "a list of records")]
fn hostile_records() -> Vec<(String, Vec<u8>)> {
    let mut records: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, raw: String| records.push((name.to_owned(), raw.into_bytes()));
    let job = |parameters: Value| record("CreateTrainingJob", &parameters).to_string();
    let lifecycle = |text: &str| record("CreateNotebookInstanceLifecycleConfig", &script(text)).to_string();

    // What unfolds.
    let zeros = gzip(&vec![b'x'; 1 << 20]);
    let twice = gzip(format!("echo {} | base64 -d", gzip(&vec![b'#'; 200_000])).as_bytes());
    let urls: String = (0..4000).fold(String::new(), |mut all, number| {
        let _ = write!(all, "curl http://h{number}.example/{number};");
        all
    });
    add("gzip of one character", lifecycle(&format!("echo {}", &zeros[..zeros.len().min(65_000)])));
    add("a small gzip of one character", lifecycle(&format!("echo {}", gzip(&vec![b'#'; 100_000]))));
    add("gzip in gzip", lifecycle(&format!("echo {twice} | base64 -d | gunzip")));
    add(
        "gzip in place of base64",
        record("CreateStudioLifecycleConfig", &json!({"studioLifecycleConfigContent": twice})).to_string(),
    );
    add("gzip of addresses", lifecycle(&format!("echo {}", gzip(urls.as_bytes()))));
    add("many small gzips", lifecycle(&pieces(|_| gzip(&[b'a'; 3000])).join("\n")));
    let mut packed = "curl http://evil.example".repeat(40);
    for _ in 0..7 {
        packed = format!("echo {} | base64 -d", BASE64_STANDARD.encode(&packed));
    }
    add("base64 in base64", lifecycle(&packed));
    add(
        "many runs of base64",
        lifecycle(&pieces(|number| BASE64_STANDARD.encode(format!("command {number:08}"))).join(" ")),
    );
    add(
        "many scripts",
        job(
            json!({"x": pieces(|_| String::new()).iter().take(2000).map(|_| json!({"content": "aWQ="})).collect::<Vec<_>>()}),
        ),
    );

    // What is searched.
    for (name, piece) in [
        ("words like options", "--token="),
        ("openers of keys", "-----BEGIN PRIVATE KEY-----"),
        ("addresses", "http://"),
        ("users", "x@y."),
        ("colons", "a:b:"),
        ("quotes", "\\\"'"),
        ("braces", "{\"a\":"),
        ("escapes", "\\\\u0041"),
        ("equals", "password="),
        ("numbers", "1.2.3."),
    ] {
        let all = pieces(|number| format!("{piece}{number}"));
        add(&format!("{name} as words"), job(json!({"containerArguments": all})));
        add(&format!("{name} as one text"), job(json!({"hyperParameters": {"x": all.concat()}})));
        add(&format!("{name} in a script"), lifecycle(&all.join(" ")));
        add(&format!("{name} after an opener"), {
            let opener = ["-----BEGIN PRIVATE KEY-----".to_owned()];
            let words = [&opener, all.as_slice()].concat();
            job(json!({ "containerArguments": words }))
        });
    }

    // What is compared with each other.
    let member = |number: usize| format!("m{number:06}");
    let members: Value =
        pieces(member).into_iter().map(|name| (name, json!(1))).collect::<serde_json::Map<_, _>>().into();
    add("many parameters", job(members.clone()));
    add("many members", {
        let mut all = record("CreateTrainingJob", &Value::Null);
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all.to_string()
    });
    add(
        "one parameter many times",
        job(json!({"q": 1})).replace("\"q\":1", &vec!["\"trainingJobName\":\"x\""; LARGE / 22].join(",")),
    );
    add("many texts", job(json!({"subnets": pieces(|number| number.to_string())})));
    add(
        "many tags",
        job(
            json!({"tags": pieces(|number| number.to_string()).iter().take(1500).map(|key| json!({"key": key, "value": ""})).collect::<Vec<_>>()}),
        ),
    );
    add("many empty lists", job(json!({"x": vec![json!([]); LARGE / 3]})));
    add("many resources", {
        let mut all = record("CreateTrainingJob", &Value::Null);
        all["resources"] = pieces(|number| format!("arn:aws:s3:::bucket/{number:040}"))
            .iter()
            .map(|arn| json!({"ARN": arn}))
            .collect();
        all.to_string()
    });
    let principals =
        json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": pieces(|number| number.to_string())}}});
    add(
        "many principals",
        record("PutModelPackageGroupPolicy", &json!({"resourcePolicy": principals.to_string()})).to_string(),
    );
    let statements = vec![
        json!({"Effect": "Allow", "Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "1"}}});
        400
    ];
    add(
        "many statements",
        record(
            "PutModelPackageGroupPolicy",
            &json!({"resourcePolicy": json!({"Statement": statements}).to_string()}),
        )
        .to_string(),
    );

    // What is nested.
    for (name, open, close, depth) in [
        ("objects", "{\"a\":", "}", 110),
        ("lists", "[", "]", 110),
        ("objects in order", "{\"b\":1,\"a\":", "}", 110),
    ] {
        let one = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let count = LARGE / one.len();
        add(
            &format!("nested {name}"),
            job(json!({"x": "PLACE"})).replace("\"PLACE\"", &format!("[{}]", vec![one; count].join(","))),
        );
    }
    let mut text = json!({"password": "x"});
    for _ in 0..10 {
        text = json!({ "a": text.to_string() });
    }
    add("json in json", job(json!({"environment": {"x": text.to_string()}})));
    add("characters as escapes", job(json!({"x": "PLACE"})).replace("PLACE", &"\\u0041".repeat(LARGE / 6)));
    add("halves of characters", job(json!({"x": "PLACE"})).replace("PLACE", &"\\ud83d".repeat(LARGE / 6)));
    records
}
