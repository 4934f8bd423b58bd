//! Collects the evidence behind a report: each record that it cites, the file that it came in, the signed digest that
//! names the file, the chain around it, and the public keys. A checker that shares no code with us lies beside them.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::chain::{Chains, Trail};
use super::out::{EvidenceError, Out};
use super::report::{Cited, Report};
use crate::config::ContentHash;
use crate::decode::{Limits, Scratch, decode};
use crate::document::DocumentId;
use crate::record::canonical;
use crate::source::notification::ObjectRef;
use crate::verify::content;

const CHECKER: &str = include_str!("check.py");
const S3: &str = "s3://";

/// What was collected.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Collected {
    pub records: usize,
    pub files: usize,
    /// Records whose file a signed digest names.
    pub signed: usize,
    /// Records that could not be had, or not be proven; the index says why.
    pub unproven: usize,
}

/// A line of the index, which the checker reads.
#[derive(Serialize)]
struct Proof<'r> {
    id: &'r str,
    /// Where the record lies, byte for byte as the file has it.
    record: Option<String>,
    /// The file in this folder, and where it was.
    file: Option<String>,
    origin: Option<&'r str>,
    /// Of the file's uncompressed content.
    sha256: Option<String>,
    /// The number of the digest that names the file.
    digest: Option<usize>,
    /// Why something is missing.
    problem: Option<String>,
}

/// Writes everything into a folder. `trail` reads S3; without it only local files are evidence.
pub async fn collect(
    report: &Report,
    folder: &Path,
    limits: &Limits,
    trail: Option<Trail>,
) -> Result<Collected, EvidenceError> {
    let out = Out::new(folder);
    for part in ["records", "files", "digests"] {
        let path = folder.join(part);
        fs::create_dir_all(&path).map_err(|source| EvidenceError::Write { path, source })?;
    }
    let mut chains = trail.map(Chains::new);
    let mut by_file: BTreeMap<Option<&str>, Vec<(usize, &Cited)>> = BTreeMap::new();
    for (place, record) in report.records.iter().enumerate() {
        by_file.entry(record.file.as_deref()).or_default().push((place + 1, record));
    }
    let mut proofs: BTreeMap<usize, Proof<'_>> = BTreeMap::new();
    let mut collected = Collected::default();
    for (number, (origin, records)) in by_file.into_iter().enumerate() {
        let bytes = match origin {
            Some(origin) => read(origin, chains.as_ref()).await,
            None => Err("no stored document tells which file it came in".to_owned()),
        };
        let mut file = None;
        let mut sha256 = None;
        let mut digest = Err("its file is not signed for".to_owned());
        let mut found = BTreeMap::new();
        if let (Ok(bytes), Some(origin)) = (&bytes, origin) {
            let name = format!(
                "files/{}{}",
                number + 1,
                if bytes.starts_with(&[0x1f, 0x8b]) { ".json.gz" } else { ".json" }
            );
            out.write(&name, bytes)?;
            let hash = content::sha256(bytes, limits.uncompressed_bytes)
                .unwrap_or_else(|_| hex::encode(Sha256::digest(bytes)));
            found = raw_records(bytes, limits, records.iter().map(|(_, record)| record.id.as_str()));
            digest = match (&mut chains, place_of(origin)) {
                (Some(chains), Some(object)) => chains.covering(&object, &hash, &out).await?,
                _ => Err("a local file has no signed digest beside it".to_owned()),
            };
            (file, sha256) = (Some(name), Some(hash));
            collected.files += 1;
        }
        for (number, record) in records {
            let raw = found.get(record.id.as_str());
            let name = raw.map(|_| format!("records/{number}.json"));
            if let (Some(raw), Some(name)) = (raw, &name) {
                out.write(name, raw)?;
                collected.records += 1;
            }
            let problem = match (&bytes, raw, &digest) {
                (Err(problem), ..) | (Ok(_), Some(_), Err(problem)) => Some(problem.clone()),
                (Ok(_), None, _) => Some("it is not in the file that its document names".to_owned()),
                (Ok(_), Some(_), Ok(_)) => None,
            };
            collected.signed += usize::from(problem.is_none());
            collected.unproven += usize::from(problem.is_some());
            let proof = Proof {
                id: &record.id,
                record: name,
                file: file.clone(),
                origin,
                sha256: sha256.clone(),
                digest: digest.as_ref().ok().copied(),
                problem,
            };
            proofs.insert(number, proof);
        }
    }
    let digests = chains.as_ref().map_or(Value::Array(Vec::new()), Chains::index);
    let keys = chains.as_ref().map_or_else(|| json!({}), Chains::keys);
    let index =
        json!({"records": proofs.into_values().collect::<Vec<_>>(), "digests": digests, "keys": keys});
    out.write("index.json", format!("{index:#}\n").as_bytes())?;
    out.write("check.py", CHECKER.as_bytes())?;
    Ok(collected)
}

async fn read(origin: &str, chains: Option<&Chains>) -> Result<Vec<u8>, String> {
    match (place_of(origin), chains) {
        (Some(object), Some(chains)) => chains.fetch(&object).await.map(|stored| stored.bytes.to_vec()),
        (Some(_), None) => Err("its file is in S3, which was not asked".to_owned()),
        (None, _) => fs::read(origin).map_err(|error| format!("its file cannot be read: {error}")),
    }
}

fn place_of(origin: &str) -> Option<ObjectRef> {
    let (bucket, key) = origin.strip_prefix(S3)?.split_once('/')?;
    Some(ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), ..ObjectRef::default() })
}

/// The text of each record in a file by the id of its document.
fn raw_records<'i>(
    bytes: &[u8],
    limits: &Limits,
    ids: impl Iterator<Item = &'i str>,
) -> BTreeMap<&'i str, Vec<u8>> {
    let ids: Vec<&str> = ids.collect();
    let mut found = BTreeMap::new();
    decode(bytes, limits, ContentHash::None, &mut Scratch::default(), |raw| {
        let record: Value = serde_json::from_slice(raw).unwrap_or_default();
        let id = DocumentId::of(record["eventID"].as_str(), &canonical(raw));
        if let Some(wanted) = ids.iter().find(|wanted| **wanted == id.as_str()) {
            found.insert(*wanted, raw.to_vec());
        }
        ControlFlow::Continue(())
    });
    found
}
