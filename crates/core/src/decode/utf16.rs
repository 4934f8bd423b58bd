//! Recodes UTF-16 to UTF-8 piece by piece, with U+FFFD for half a surrogate pair.

use super::damage::Damage;
use super::form::Order;
use super::gzip::{Rest, Step};

pub(super) struct Utf16 {
    order: Order,
    /// A character of which the output had no room for every byte.
    spill: [u8; 4],
    spilt: std::ops::Range<usize>,
}

const UNIT: usize = 2;

impl Utf16 {
    pub(super) fn new(order: Order) -> Self {
        Self { order, spill: [0; 4], spilt: 0..0 }
    }

    /// Fills the output, or takes all of the input but an incomplete character where more may come.
    pub(super) fn step(&mut self, input: &[u8], rest: Rest, output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { read: 0, written: self.pour(output) };
        while step.written < output.len() {
            let Some((character, length)) = self.character(&input[step.read..], rest) else { break };
            self.spilt = 0..character.encode_utf8(&mut self.spill).len();
            step.read += length;
            step.written += self.pour(&mut output[step.written..]);
        }
        match &input[step.read..] {
            // An odd byte at the end can only be padding.
            [0] if rest == Rest::None => step.read += 1,
            [_] if rest == Rest::None && step.written == 0 => return Err(Damage::HalfUtf16),
            _ => {}
        }
        Ok(step)
    }

    fn pour(&mut self, output: &mut [u8]) -> usize {
        let length = self.spilt.len().min(output.len());
        output[..length].copy_from_slice(&self.spill[self.spilt.start..][..length]);
        self.spilt.start += length;
        length
    }

    /// The next character and its bytes in the input; none where the input does not suffice.
    fn character(&self, input: &[u8], rest: Rest) -> Option<(char, usize)> {
        let first = self.unit(input)?;
        let second = self.unit(&input[UNIT..]);
        if (0xd800..0xdc00).contains(&first) && second.is_none() && rest == Rest::MayCome {
            return None;
        }
        let character = char::decode_utf16([first].into_iter().chain(second)).next()?;
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        Some((character, character.len_utf16() * UNIT))
    }

    fn unit(&self, input: &[u8]) -> Option<u16> {
        let bytes = *input.first_chunk::<UNIT>()?;
        Some(match self.order {
            Order::LittleEndian => u16::from_le_bytes(bytes),
            Order::BigEndian => u16::from_be_bytes(bytes),
        })
    }
}
