//! Finds the beginnings and ends of strings in a JSON text, 64 bytes at a time.
//!
//! Searching quotes one by one is sequential, while the bits of a block are computed in parallel.
//! The arithmetic for escapes is from simdjson (`json_escape_scanner.h`).

#![expect(clippy::inline_always, reason = "a call in these loops costs more than what is called")]

use wide::u8x16;

use super::{Broken, JsonFault};

const BLOCK: usize = 64;
/// Every second bit, starting with the second.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// State between blocks. Control characters are searched only with `CONTROLS`.
pub(super) struct Quotes<'a, const CONTROLS: bool> {
    bytes: &'a [u8],
    /// 1 if the last block ended within an escape.
    carry: u64,
    /// Expected position of the `u` of the second half of a surrogate pair.
    low: usize,
    /// The end of the last block with a backslash.
    pub(super) slashed: usize,
    /// The first invalid escape.
    pub(super) broken: Option<Broken>,
}

/// The rest of a block: separate from the other state, so that it stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    bits: u64,
    /// The end of the block.
    end: usize,
}

impl Cursor {
    pub(super) const START: Self = Self { bits: 0, end: 0 };
}

impl<'a, const CONTROLS: bool> Quotes<'a, CONTROLS> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), carry: 0, low: 0, slashed: 0, broken: None }
    }

    /// Moves to the first block with a set bit; returns whether there is one.
    #[inline(always)]
    fn fill(&mut self, cursor: &mut Cursor) -> bool {
        while cursor.bits == 0 {
            if cursor.end >= self.bytes.len() {
                return false;
            }
            cursor.bits = self.block(cursor.end);
            cursor.end += BLOCK;
        }
        true
    }

    /// The position after the string that begins at `quote`, from a cursor that is not past it;
    /// `None` if the string is invalid.
    #[inline(always)]
    pub(super) fn string(&mut self, cursor: &mut Cursor, quote: usize) -> Option<usize> {
        loop {
            let more = self.fill(cursor);
            let at = cursor.end.wrapping_sub(BLOCK) + cursor.bits.trailing_zeros() as usize;
            cursor.bits &= cursor.bits.wrapping_sub(1);
            // Control characters between values are white space, which was skipped.
            if !CONTROLS || !more || at >= quote {
                break;
            }
        }
        if !self.fill(cursor) {
            return None;
        }
        let close = cursor.end - BLOCK + cursor.bits.trailing_zeros() as usize;
        cursor.bits &= cursor.bits - 1;
        (!CONTROLS || self.bytes.get(close) == Some(&b'"')).then_some(close + 1)
    }

    /// The bits of the block at `start`.
    #[inline(never)]
    fn block(&mut self, start: usize) -> u64 {
        let rest = &self.bytes[start..];
        if let Some(block) = rest.first_chunk() {
            return self.bits(block, start);
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.bits(&last, start)
    }

    /// Quotes without an escape before them, and control characters.
    #[inline(always)]
    fn bits(&mut self, block: &[u8; BLOCK], start: usize) -> u64 {
        let all = |byte: u8| u8x16::splat(byte);
        let quotes = places(block, |part| part.simd_eq(all(b'"')));
        let slashes = places(block, |part| part.simd_eq(all(b'\\')));
        let controls = if CONTROLS { places(block, |part| part.simd_lt(all(b' '))) } else { 0 };
        if slashes | self.carry == 0 {
            return quotes | controls;
        }
        self.slashed = start + BLOCK;
        // An unescaped backslash escapes the next character; in a run, every second one does.
        let escaping = slashes & !self.carry;
        let even = ((escaping << 1) | ODD).wrapping_sub(escaping);
        let ends = even ^ ODD;
        let escaped = ends ^ (slashes | self.carry);
        self.carry = (ends & slashes) >> 63;
        let mut others = escaped & !(quotes | slashes);
        while others != 0 {
            self.escape(start + others.trailing_zeros() as usize);
            others &= others - 1;
        }
        (quotes & !escaped) | controls
    }

    /// Checks the letter of an escape.
    #[inline]
    fn escape(&mut self, at: usize) {
        let fault = match self.bytes.get(at) {
            Some(b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return,
            Some(b'u') => match self.unit(at) {
                Some(0xD800..0xDC00) => {
                    self.low = at + 6;
                    let follows = self.bytes.get(at + 5..at + 7) == Some(b"\\u");
                    let low = follows.then(|| self.unit(self.low)).flatten();
                    if matches!(low, Some(0xDC00..0xE000)) {
                        return;
                    }
                    JsonFault::Surrogate
                }
                Some(0xDC00..0xE000) if self.low != at => JsonFault::Surrogate,
                Some(_) => return,
                None => JsonFault::Grammar,
            },
            _ => JsonFault::Grammar,
        };
        self.broken.get_or_insert(Broken { at, fault });
    }

    /// The four hex digits after the `u` at `at`.
    #[inline]
    fn unit(&self, at: usize) -> Option<u32> {
        let digits: &[u8; 4] = self.bytes.get(at + 1..)?.first_chunk()?;
        let [a, b, c, d] = digits.map(|digit| u32::from(HEX[usize::from(digit)]));
        // A non-digit gives a number greater than any four digits.
        Some(a << 12 | b << 8 | c << 4 | d).filter(|_| a | b | c | d < 16)
    }
}

/// The value of a hex digit; 16 for other characters.
const HEX: [u8; 256] = {
    let mut table = [16; 256];
    let digits = b"0123456789abcdef";
    let (mut at, mut value) = (0, 0);
    while at < digits.len() {
        table[digits[at] as usize] = value;
        table[digits[at].to_ascii_uppercase() as usize] = value;
        (at, value) = (at + 1, value + 1);
    }
    table
};

/// A bit for each byte that is one of these.
#[inline(always)]
fn places(block: &[u8; BLOCK], is: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = block.as_chunks();
    let bits = |part: &[u8; 16]| u64::from(is(u8x16::new(*part)).to_bitmask());
    parts.iter().rev().fold(0, |all, part| all << 16 | bits(part))
}
