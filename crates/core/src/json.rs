//! Writes values as the JSON text that `serde_json` writes of them, several times faster where they are much text.
//!
//! A document is mostly text: the whole record, escaped, and then its parts. Here a text is looked at sixteen bytes at
//! a time, and the names of a struct's fields are written without being looked at.

use std::cell::Cell;
use std::fmt::{self, Display, Write as _};

use bytes::Bytes;
use serde::ser::{self, Impossible, Serialize};

use crate::lanes::{ToEscape, push_until};

/// Bytes of the room that a thread keeps for its next text. Nearly all documents fit.
const KEPT: usize = 64 << 10;

thread_local! {
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The JSON text of a value, which occupies no more than its length.
pub fn to_bytes(value: &(impl Serialize + ?Sized)) -> Result<Bytes, JsonError> {
    let mut room = ROOM.take();
    room.clear();
    value.serialize(Writer { out: &mut room })?;
    if room.capacity() > KEPT {
        return Ok(Bytes::from(room.into_boxed_slice()));
    }
    let text = Bytes::copy_from_slice(&room);
    ROOM.set(room);
    Ok(text)
}

/// Why a value has no JSON text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl ser::Error for JsonError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Adds a text in quotes, with what may not stand in one escaped.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, mut rest: &[u8]) {
    loop {
        let plain = push_until::<ToEscape>(out, rest);
        let Some(byte) = rest.get(plain) else { return };
        push_escape(out, *byte);
        rest = &rest[plain + 1..];
    }
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    // Nearly all that is escaped is a quote of the record's text.
    if let b'"' | b'\\' = byte {
        out.extend_from_slice(&[b'\\', byte]);
        return;
    }
    let short = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        other => {
            let digits = [HEX[usize::from(other >> 4)], HEX[usize::from(other & 0xf)]];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Writes one value.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

/// Writes the parts of a list or an object.
struct Parts<'o> {
    out: &'o mut Vec<u8>,
    /// Whether nothing stands between the brackets yet.
    is_empty: bool,
    /// What ends it.
    end: &'static str,
}

impl<'o> Writer<'o> {
    fn begin(self, beginning: &str, end: &'static str) -> Parts<'o> {
        self.out.extend_from_slice(beginning.as_bytes());
        Parts { out: self.out, is_empty: true, end }
    }

    /// Numbers are rare, and few of their forms are ours to know.
    fn write_by_library(self, value: &impl Serialize) -> Result<(), JsonError> {
        serde_json::to_writer(self.out, value).map_err(ser::Error::custom)
    }
}

impl Parts<'_> {
    fn separate(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), JsonError> {
        self.separate();
        value.serialize(Writer { out: self.out })
    }

    /// The name is one that our code has written, and needs no escape.
    fn field(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), JsonError> {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        value.serialize(Writer { out: self.out })
    }

    fn finish(self) {
        self.out.extend_from_slice(self.end.as_bytes());
    }
}

macro_rules! by_the_library {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<(), JsonError> {
            self.write_by_library(&value)
        })*
    };
}

impl<'o> ser::Serializer for Writer<'o> {
    type Ok = ();
    type Error = JsonError;
    type SerializeSeq = Parts<'o>;
    type SerializeTuple = Parts<'o>;
    type SerializeTupleStruct = Impossible<(), JsonError>;
    type SerializeTupleVariant = Impossible<(), JsonError>;
    type SerializeMap = Parts<'o>;
    type SerializeStruct = Parts<'o>;
    type SerializeStructVariant = Impossible<(), JsonError>;

    by_the_library! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_bool(self, value: bool) -> Result<(), JsonError> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), JsonError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), JsonError> {
        push_text(self.out, text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), JsonError> {
        ser::Serializer::collect_seq(self, bytes)
    }

    fn serialize_none(self) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), JsonError> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), JsonError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        let mut parts = self.begin("{", "}");
        parts.field(variant, value)?;
        parts.finish();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'o>, JsonError> {
        Ok(self.begin("[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'o>, JsonError> {
        Ok(self.begin("[", "]"))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, JsonError> {
        Err(unused(name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, JsonError> {
        Err(unused(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'o>, JsonError> {
        Ok(self.begin("{", "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'o>, JsonError> {
        Ok(self.begin("{", "}"))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, JsonError> {
        Err(unused(name))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), JsonError> {
        let mut text = Text { out: self.out };
        text.out.push(b'"');
        write!(text, "{value}").map_err(ser::Error::custom)?;
        text.out.push(b'"');
        Ok(())
    }
}

/// No document has one, so this writes none.
fn unused(name: &str) -> JsonError {
    JsonError(format!("{name} is of a form that no document has"))
}

/// The inside of a text that is written piece by piece.
struct Text<'o> {
    out: &'o mut Vec<u8>,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        push_escaped(self.out, piece.as_bytes());
        Ok(())
    }
}

impl ser::SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.element(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.element(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), JsonError> {
        self.separate();
        let start = self.out.len();
        name.serialize(Writer { out: self.out })?;
        if self.out.get(start) == Some(&b'"') {
            Ok(())
        } else {
            Err(ser::Error::custom("a name that is no text"))
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.out.push(b':');
        value.serialize(Writer { out: self.out })
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
