//! The core: from the bytes of a file to the body of a bulk, on one processor and without any I/O.

use std::io::Read;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use rustix::time::{ClockId, clock_gettime};
use sagetrail::config::ContentHash;
use sagetrail::decode::{Limits, Scratch, decode};
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use sagetrail::sink::bulk;
use time::OffsetDateTime;

use super::trail::{File, Trail};

/// The limits of the default configuration.
const LIMITS: Limits = Limits { uncompressed_bytes: 1 << 30, record_bytes: 8 << 20 };
/// Bytes of documents that go into one bulk.
const BULK_BYTES: usize = 4 << 20;

/// What one pass over a trail came to.
pub struct Pass {
    pub seconds: f64,
    pub selected: usize,
}

/// Decodes, selects, enriches and encodes every file.
pub fn ship(trail: &Trail, enricher: &Enricher) -> Pass {
    let mut selected = 0;
    let seconds = cpu_seconds(|| {
        selected = each_bulk(trail, enricher, |body| {
            std::hint::black_box(body);
        });
    });
    Pass { seconds, selected }
}

/// The bodies of the bulks.
pub fn bodies(trail: &Trail, enricher: &Enricher) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    each_bulk(trail, enricher, |body| bodies.push(body));
    bodies
}

/// Hands over the body of each bulk, and says how many documents there were.
fn each_bulk(trail: &Trail, enricher: &Enricher, mut each: impl FnMut(Bytes)) -> usize {
    let mut documents = 0;
    let mut scratch = Scratch::default();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for file in &trail.files {
        each_document(file, enricher, &mut scratch, |document| {
            documents += 1;
            bytes += document.source.len();
            batch.push(document);
            if bytes > BULK_BYTES {
                each(bulk::encode(batch.iter()));
                (batch, bytes) = (Vec::new(), 0);
            }
        });
    }
    each(bulk::encode(batch.iter()));
    documents
}

/// Hands over the document of each selected record.
pub fn each_document(
    file: &File,
    enricher: &Enricher,
    scratch: &mut Scratch,
    mut each: impl FnMut(Document),
) {
    let origin = Origin { path: &file.key, written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    let decoded = decode(&file.gzip, &LIMITS, ContentHash::None, scratch, |raw| {
        if let Enriched::Selected { document, .. } = enrich(raw, origin, enricher) {
            each(document);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(decoded.damage, None, "generated files are whole");
}

/// Merely decompresses every file as a stream, with the library that decodes objects by default.
pub fn gunzip(trail: &Trail) -> f64 {
    let mut window = vec![0; 256 << 10];
    cpu_seconds(|| {
        for file in &trail.files {
            let mut decoder = MultiGzDecoder::new(&file.gzip[..]);
            while decoder.read(&mut window).expect("generated files are whole") > 0 {}
        }
    })
}

/// Merely decompresses every file at once with libdeflate.
pub fn libdeflate(trail: &Trail) -> f64 {
    let largest = trail.files.iter().map(|file| file.raw_bytes).max().unwrap_or_default();
    let mut buffer = vec![0; largest];
    let mut decompressor = libdeflater::Decompressor::new();
    cpu_seconds(|| {
        for file in &trail.files {
            decompressor.gzip_decompress(&file.gzip, &mut buffer).expect("generated files are whole");
        }
    })
}

/// The processor time that this thread spends on something: what others do on the machine hardly shows in it.
fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or_default())
    };
    let start = now();
    work();
    now().saturating_sub(start).as_secs_f64()
}
