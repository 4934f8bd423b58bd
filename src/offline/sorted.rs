//! Puts any number of records into the order of their times, in bounded memory.
//!
//! What does not fit is written into temporary files, sorted by itself, and merged when it is read. Records are not
//! redacted there, so no such file has a name: only this process can open it, and it is gone when the process ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;

/// Bytes of records that are held in memory.
const HELD_BYTES: usize = 16 << 20;
/// Files that are merged at once. Of more, these become one.
const MOST_RUNS: usize = 256;
/// Bytes of a record in memory, beside its own.
const OVERHEAD: usize = 64;

/// By what records are sorted: time, and for those of one time what they are and which they are where they come from.
/// In which order files are read has no part in it, so that the same files are always judged in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// Nanoseconds since 1970. Those without a time are first.
    pub time: Option<i64>,
    pub form: Form,
    pub number: u64,
    /// What tells apart those of several files: a hash of the bytes.
    pub content: u64,
    /// The number of the file, which decides only between copies of one record.
    pub file: u32,
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A record as CloudTrail wrote it.
    Record,
    /// A document of the index, with its name and id.
    Stored,
}

/// One thing to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub order: Order,
    pub bytes: Vec<u8>,
}

/// Entries that are being collected.
#[derive(Debug, Default)]
pub struct Sorting {
    held: Vec<Entry>,
    bytes: usize,
    runs: Vec<File>,
    entries: u64,
}

/// All entries in order. They can be read several times.
#[derive(Debug)]
pub struct Sorted {
    held: Vec<Entry>,
    runs: Vec<File>,
    entries: u64,
}

impl Sorting {
    /// Takes an entry, and writes those in memory into a file when they have become too many bytes.
    pub fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.push_within(HELD_BYTES, entry)
    }

    fn push_within(&mut self, limit: usize, entry: Entry) -> io::Result<()> {
        self.entries += 1;
        self.bytes += entry.bytes.len() + OVERHEAD;
        self.held.push(entry);
        if self.bytes < limit {
            return Ok(());
        }
        self.write_run()?;
        if self.runs.len() >= MOST_RUNS {
            let mut merged = BufWriter::new(tempfile::tempfile()?);
            each_of(&self.runs, &[], |entry| write(&mut merged, entry).map(ControlFlow::Continue))?;
            self.runs = vec![merged.into_inner()?];
        }
        Ok(())
    }

    /// Ends the collection; the files are merged each time the entries are read.
    pub fn finish(mut self) -> Sorted {
        self.held.sort_unstable_by_key(|entry| entry.order);
        Sorted { held: self.held, runs: self.runs, entries: self.entries }
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.held.sort_unstable_by_key(|entry| entry.order);
        let mut run = BufWriter::new(tempfile::tempfile()?);
        for entry in self.held.drain(..) {
            write(&mut run, &entry)?;
        }
        self.bytes = 0;
        self.runs.push(run.into_inner()?);
        Ok(())
    }
}

impl Sorted {
    /// How many entries were collected, in memory and in files.
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Hands over every entry, in order, until `take` breaks off.
    pub fn each(&self, take: impl FnMut(&Entry) -> io::Result<ControlFlow<()>>) -> io::Result<()> {
        each_of(&self.runs, &self.held, take)
    }
}

/// Merges runs and what is held.
fn each_of(
    runs: &[File],
    held: &[Entry],
    mut take: impl FnMut(&Entry) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let mut readers = Vec::new();
    let mut next = BinaryHeap::new();
    for (place, mut run) in runs.iter().enumerate() {
        run.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(run);
        let first = read(&mut reader)?;
        next.extend(first.as_ref().map(|entry| Reverse((entry.order, place))));
        readers.push((reader, first));
    }
    let mut held = held.iter().peekable();
    loop {
        let run = next.peek().map(|Reverse((order, _))| *order);
        let is_held_first =
            held.peek().is_some_and(|entry| run.is_none_or(|run_order| entry.order <= run_order));
        let goes_on = if is_held_first {
            held.next().map_or(Ok(ControlFlow::Break(())), &mut take)?
        } else if let Some(Reverse((_, place))) = next.pop() {
            let (reader, entry) = &mut readers[place];
            let goes_on = entry.as_ref().map_or(Ok(ControlFlow::Continue(())), &mut take)?;
            *entry = read(reader)?;
            next.extend(entry.as_ref().map(|entry| Reverse((entry.order, place))));
            goes_on
        } else {
            ControlFlow::Break(())
        };
        if goes_on.is_break() {
            return Ok(());
        }
    }
}

fn write(run: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let Entry { order: Order { time, form, number, content, file }, bytes } = entry;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    run.write_all(&[u8::from(time.is_some()), u8::from(*form == Form::Stored)])?;
    run.write_all(&time.unwrap_or_default().to_le_bytes())?;
    run.write_all(&number.to_le_bytes())?;
    run.write_all(&content.to_le_bytes())?;
    run.write_all(&file.to_le_bytes())?;
    run.write_all(&length.to_le_bytes())?;
    run.write_all(bytes)
}

/// None at the end of the run.
fn read(run: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut flags = [0; 2];
    match run.read_exact(&mut flags) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let time = i64::from_le_bytes(array(run)?);
    let number = u64::from_le_bytes(array(run)?);
    let content = u64::from_le_bytes(array(run)?);
    let file = u32::from_le_bytes(array(run)?);
    let length = u32::from_le_bytes(array(run)?);
    let mut bytes = vec![0; length as usize];
    run.read_exact(&mut bytes)?;
    let form = if flags[1] == 1 { Form::Stored } else { Form::Record };
    let order = Order { time: (flags[0] == 1).then_some(time), form, number, content, file };
    Ok(Some(Entry { order, bytes }))
}

fn array<const N: usize>(run: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    run.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_one_order_however_many_files_they_went_through_and_as_often_as_they_are_read() {
        let entry = |number: u64| {
            let time =
                (!number.is_multiple_of(7)).then(|| i64::try_from(number * 7_919 % 1_000).unwrap() - 500);
            let form = if number.is_multiple_of(3) { Form::Stored } else { Form::Record };
            let order = Order { time, form, number: number / 3, content: number % 3, file: 1 };
            Entry { order, bytes: number.to_string().into() }
        };
        let mut expected: Vec<Entry> = (0..1_000).map(entry).collect();
        expected.sort_by_key(|entry| entry.order);
        // All in memory; in a few files; in so many that they are merged.
        for limit in [HELD_BYTES, 20_000, 500] {
            let mut sorting = Sorting::default();
            for number in 0..1_000 {
                sorting.push_within(limit, entry(number)).unwrap();
            }
            assert!(sorting.runs.len() < MOST_RUNS);
            assert_eq!(sorting.runs.is_empty(), limit == HELD_BYTES);
            let sorted = sorting.finish();
            for _ in 0..2 {
                let mut found = Vec::new();
                let keep = |entry: &Entry| {
                    found.push(entry.clone());
                    Ok(ControlFlow::Continue(()))
                };
                sorted.each(keep).unwrap();
                assert_eq!((found.len() as u64, &found), (sorted.len(), &expected), "within {limit}");
            }
        }
    }
}
