//! Reads the bytes of one S3 object and hands out its CloudTrail records, one slice of raw JSON at a time.
//!
//! Nothing here builds JSON values. Most records are rejected on their bytes, so the decoder only finds where each
//! record begins and ends; whoever selects a record parses it. Memory is one window, which holds an
//! object of ordinary size as a whole and otherwise grows to the largest record, however large the object unfolds.
//!
//! Damage does not hide what came before it: records are handed over as they are found, and the first thing that was
//! wrong is returned beside the counts.

mod damage;
mod form;
mod input;
mod gzip;
mod utf16;
mod scratch;
mod window;
mod nesting;

use std::ops::ControlFlow;

use crate::settings::ContentHash;
pub use damage::{Damage, Limits};
use form::{CERTAIN, Embedded, Names, UTF8_MARK};
pub use scratch::Scratch;
use window::Window;

/// Hands every record of the object to `each`, in order, until `each` breaks off.
///
/// The object may be gzip of any number of members, or plain JSON when its bytes say so, and may hold several
/// CloudTrail files one after the other, as concatenated gzip members do. Records in other wrappings are read where
/// there is no doubt: one a line, in an array, as answers of `lookup-events`, as events of EventBridge, as deliveries
/// of `CloudWatch` Logs; and all of it compressed twice, or in UTF-16. NUL bytes at the end are padding.
///
/// The scratch is for one object at a time, and worth keeping for the next.
pub fn decode(
    object: &[u8],
    limits: &Limits,
    content_hash: ContentHash,
    scratch: &mut Scratch,
    each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Decoded {
    let window = Window::new(object, *limits, content_hash, scratch);
    let mut decoder = Decoder { window, each, records: 0, blemish: None };
    let end = decoder.window.unwrap(object).and_then(|()| decoder.read_values());
    let Decoder { window, records, blemish, .. } = decoder;
    let is_whole = matches!(end, Ok(ControlFlow::Continue(())));
    let damage = end.err().or(blemish);
    // What was not read to its end has no hash, and one that is damaged needs none.
    let sha256 = window.sha256().filter(|_| is_whole && damage.is_none());
    Decoded { records, raw_bytes: window.raw_bytes(), sha256, damage }
}

/// The whole content of an object, uncompressed. For small ones: what `decode` reads is never held as a whole.
pub fn content(object: &[u8], limits: &Limits) -> Result<Vec<u8>, Damage> {
    let mut scratch = Scratch::default();
    let mut window = Window::new(object, *limits, ContentHash::None, &mut scratch);
    let mut content = window.unread().to_vec();
    while window.refill()? {
        content.extend_from_slice(window.unread());
    }
    Ok(content)
}

/// What decoding one object came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Records handed over.
    pub records: u64,
    /// Bytes after decompression.
    pub raw_bytes: u64,
    /// Of the bytes after (the first) decompression, which is what CloudTrail's digest files name. None when it was not
    /// asked for, and for what was not read whole.
    pub sha256: Option<[u8; 32]>,
    /// What was wrong with the object, if anything was.
    pub damage: Option<Damage>,
}

/// Whether reading goes on, or `each` broke it off.
type Progress = Result<ControlFlow<()>, Damage>;

struct Decoder<'a, F> {
    window: Window<'a>,
    each: F,
    records: u64,
    /// The first value that was no record: the rest of the file can still be read.
    blemish: Option<Damage>,
}

/// How deep values are looked into for records: a list of deliveries of `CloudWatch` Logs, one of them, and an event in
/// it.
const DEEPEST: u32 = 3;

impl<F: FnMut(&[u8]) -> ControlFlow<()>> Decoder<'_, F> {
    /// Reads the values that the object holds one after the other: one CloudTrail file, several, or a record a line.
    fn read_values(&mut self) -> Progress {
        let mut values = 0;
        while let Some(byte) = self.window.next_significant()? {
            match byte {
                // Padding.
                0 => continue,
                // A byte order mark, before the first file or before one that was appended to it.
                _ if byte == UTF8_MARK[0] && self.window.goes_on_with(&UTF8_MARK[1..])? => continue,
                b'{' | b'[' | b'"' => {}
                _ => {
                    return Err(self.window.malformed("something other than an object follows the file"));
                }
            }
            values += 1;
            if self.read_value(byte, 0)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if values == 0 { Err(Damage::Empty) } else { Ok(ControlFlow::Continue(())) }
    }

    /// Reads a value that may be a record or hold some, and whose first byte was just read.
    fn read_value(&mut self, first: u8, depth: u32) -> Progress {
        match first {
            b'{' => self.read_object(depth),
            b'"' => match self.read_text()? {
                Text::Told(progress) => Ok(progress),
                Text::Neither => Ok(self.pass_over_no_record()),
            },
            b'[' if depth == 0 => self.read_elements(depth + 1),
            _ => {
                self.window.skip_value(first)?;
                Ok(self.pass_over_no_record())
            }
        }
    }

    /// Reads an object, whose opening brace was just read, and finds out by its members what it is.
    fn read_object(&mut self, depth: u32) -> Progress {
        self.window.keep();
        let mut names = Names::default();
        let mut signs = 0;
        // Whether its records, or those that it wraps, were read.
        let mut is_told = false;
        loop {
            match self.window.next_significant()? {
                Some(b'}') => break,
                Some(b',') => {}
                Some(b'"') => {
                    let name = self.window.name()?;
                    if self.window.next_significant()? != Some(b':') {
                        return Err(self.window.malformed("a key of the file has no value"));
                    }
                    let Some(first) = self.window.next_significant()? else {
                        return Err(self.window.malformed("the file ends where a value should be"));
                    };
                    let name = name.as_bytes();
                    let is_inside = depth < DEEPEST && signs < CERTAIN;
                    let progress = match (name, first) {
                        (b"Records", b'[') => {
                            self.window.forget();
                            is_told = true;
                            self.read_records()?
                        }
                        // What `lookup-events` and `filter-log-events` answer, and what CloudWatch Logs delivers.
                        (b"Events" | b"events" | b"logEvents", b'[') if is_inside => {
                            self.window.forget();
                            is_told = true;
                            self.read_elements(depth + 1)?
                        }
                        // An event of EventBridge.
                        (b"detail", b'{') if is_inside => {
                            self.window.forget();
                            is_told = true;
                            self.read_object(DEEPEST)?
                        }
                        (b"CloudTrailEvent" | b"message", b'"') if signs < CERTAIN => {
                            self.window.forget();
                            match self.read_text()? {
                                Text::Told(progress) => {
                                    is_told = true;
                                    progress
                                }
                                Text::Neither => ControlFlow::Continue(()),
                            }
                        }
                        _ => {
                            if matches!(name, b"eventVersion" | b"eventSource" | b"eventName") {
                                signs += 1;
                                self.window.keep_as_record();
                            }
                            self.window.skip_value(first)?;
                            ControlFlow::Continue(())
                        }
                    };
                    if progress.is_break() {
                        return Ok(progress);
                    }
                    names.push(name);
                }
                Some(_) => {
                    return Err(self.window.malformed("the file's object has something that is no key"));
                }
                None => return Err(self.window.malformed("the file ends before its object does")),
            }
        }
        if is_told {
            return Ok(ControlFlow::Continue(()));
        }
        let index = self.records;
        if signs < CERTAIN {
            self.window.forget();
            self.blemish.get_or_insert(Damage::NoRecord { index, names });
            return Ok(ControlFlow::Continue(()));
        }
        let Some(record) = self.window.kept() else {
            self.blemish.get_or_insert(Damage::RecordTooLarge { index, limit: self.window.record_limit() });
            return Ok(ControlFlow::Continue(()));
        };
        self.records += 1;
        Ok((self.each)(record))
    }

    /// Reads the record that stands as text in a string, whose opening quote was just read.
    fn read_text(&mut self) -> Result<Text, Damage> {
        let Some(text) = form::unescaped(self.window.text(self.records)?) else { return Ok(Text::Neither) };
        match Embedded::of(text.as_bytes()) {
            Embedded::Record(record) => {
                self.records += 1;
                Ok(Text::Told((self.each)(record)))
            }
            Embedded::Control => Ok(Text::Told(ControlFlow::Continue(()))),
            Embedded::Neither => Ok(Text::Neither),
        }
    }

    fn pass_over_no_record(&mut self) -> ControlFlow<()> {
        self.blemish.get_or_insert(Damage::NotAnObject { index: self.records });
        ControlFlow::Continue(())
    }

    /// Reads the elements of an array that is not `Records`, and whose opening bracket was just read.
    fn read_elements(&mut self, depth: u32) -> Progress {
        loop {
            match self.window.next_significant()? {
                Some(b']') => return Ok(ControlFlow::Continue(())),
                Some(b',') => {}
                Some(first) => {
                    if self.read_value(first, depth)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                None => return Err(self.window.malformed("the file ends inside an array")),
            }
        }
    }

    /// Reads the elements of `Records`, whose opening bracket was just read.
    fn read_records(&mut self) -> Progress {
        let mut index = 0;
        loop {
            match self.window.next_significant()? {
                Some(b']') => return Ok(ControlFlow::Continue(())),
                Some(b',') => continue,
                Some(b'{') => {
                    let record = self.window.record(index)?;
                    self.records += 1;
                    if (self.each)(record).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Some(first) => {
                    self.blemish.get_or_insert(Damage::NotAnObject { index });
                    self.window.skip_value(first)?;
                }
                None => return Err(self.window.malformed("the file ends inside `Records`")),
            }
            index += 1;
        }
    }
}

/// What a text came to.
enum Text {
    Told(ControlFlow<()>),
    Neither,
}

#[cfg(test)]
mod tests;
