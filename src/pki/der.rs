//! DER, parsed like Go's cryptobyte: shortest lengths, one-byte tags, no indefinite lengths.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag `[n]` of a primitive value.
pub(super) const fn context(n: u8) -> u8 {
    0x80 | n
}

/// The tag `[n]` of a constructed value.
pub(super) const fn constructed(n: u8) -> u8 {
    0xa0 | n
}

/// The unread rest. Every method returns `None` where Go's method returns false.
#[derive(Clone, Copy, Debug)]
pub(super) struct DerReader<'a>(pub(super) &'a [u8]);

/// One tag, length and value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Including tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> DerReader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element with any tag.
    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, &short) = (self.0.first()?, self.0.get(1)?);
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (header, length) = if short & 0x80 == 0 {
            (2, usize::from(short))
        } else {
            let bytes = self.0.get(2..2 + usize::from(short & 0x7f))?;
            // 0x80 is the indefinite form; lengths with a leading zero or below 128 have a shorter
            // form.
            if bytes.len() > 4 || *bytes.first()? == 0 {
                return None;
            }
            let length = bytes.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            if length < 128 {
                return None;
            }
            (2 + bytes.len(), usize::try_from(length).ok()?)
        };
        let end = header.checked_add(length)?;
        let whole = self.0.get(..end)?;
        self.0 = &self.0[end..];
        Some(Element { tag, content: &whole[header..], whole })
    }

    /// The next element, which must have this tag.
    pub(super) fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.is_next(tag) { self.any() } else { None }
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn content(&mut self, tag: u8) -> Option<DerReader<'a>> {
        Some(DerReader(self.element(tag)?.content))
    }

    /// [`DerReader::read`] if the next element has this tag, else `Some(None)`.
    #[expect(clippy::option_option, reason = "malformed, absent and present")]
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<DerReader<'a>>> {
        if self.is_next(tag) { self.content(tag).map(Some) } else { Some(None) }
    }

    /// The bytes of an integer in minimal two's complement.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        let bytes = self.element(INTEGER)?.content;
        is_shortest_integer(bytes).then_some(bytes)
    }

    /// An integer that is not negative.
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        let bytes = self.integer()?;
        let fits = bytes.len() <= 8 || bytes.len() == 9 && bytes[0] == 0;
        (fits && bytes[0] & 0x80 == 0)
            .then(|| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.element(BOOLEAN)?.content {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// The bytes of a bit string, and the number of unused bits at its end.
    pub(super) fn bits(&mut self) -> Option<(&'a [u8], u8)> {
        let (padding, bytes) = self.element(BIT_STRING)?.content.split_first()?;
        let unused = bytes.last().map_or(u8::from(*padding > 0), |last| {
            last & (1_u8.checked_shl(u32::from(*padding)).unwrap_or_default().wrapping_sub(1))
        });
        (*padding <= 7 && unused == 0).then_some((bytes, *padding))
    }

    /// The content of an object identifier whose numbers fit into 28 bits and more.
    pub(super) fn oid(&mut self) -> Option<&'a [u8]> {
        let bytes = self.element(OBJECT_IDENTIFIER)?.content;
        if bytes.is_empty() {
            return None;
        }
        let (mut value, mut first) = (0_u32, true);
        for byte in bytes {
            if value >= 1 << 24 || first && *byte == 0x80 {
                return None;
            }
            value = value << 7 | u32::from(byte & 0x7f);
            first = byte & 0x80 == 0;
            if first {
                value = 0;
            }
        }
        first.then_some(bytes)
    }

    /// Seconds since 1970.
    pub(super) fn time(&mut self) -> Option<i64> {
        if self.is_next(UTC_TIME) {
            let text = std::str::from_utf8(self.element(UTC_TIME)?.content).ok()?;
            let year: i16 = digits(text, 0, 2)?;
            let year = if year >= 50 { 1900 + year } else { 2000 + year };
            let rest = text.get(2..)?;
            seconds(year, rest, 10).or_else(|| seconds(year, rest, 8))
        } else {
            let text = std::str::from_utf8(self.element(GENERALIZED_TIME)?.content).ok()?;
            seconds(digits(text, 0, 4)?, text.get(4..)?, 10)
        }
    }
}

pub(super) fn is_shortest_integer(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [0, next, ..] => next & 0x80 != 0,
        [0xff, next, ..] => next & 0x80 == 0,
        _ => true,
    }
}

/// An object identifier, in numbers and dots.
pub(super) fn dotted(oid: &[u8]) -> String {
    let (mut numbers, mut value) = (Vec::new(), 0_u64);
    for byte in oid {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (value / 40).min(2);
                numbers.push(first.to_string());
                value -= first * 40;
            }
            numbers.push(value.to_string());
            value = 0;
        }
    }
    numbers.join(".")
}

fn digits<T: std::str::FromStr>(text: &str, from: usize, length: usize) -> Option<T> {
    let digits = text.get(from..from + length)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `MMDDhhmmss` (or `MMDDhhmm` if `length` is 8), then `Z` or `±hhmm`, which is not zero.
fn seconds(year: i16, text: &str, length: usize) -> Option<i64> {
    let two = |at| digits::<i8>(text, at, 2);
    let second = if length == 10 { two(8)? } else { 0 };
    if second > 59 {
        return None;
    }
    let time = jiff::civil::DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, second, 0);
    let seconds = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let zone = text.get(length..)?;
    if zone == "Z" {
        return Some(seconds);
    }
    let east = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes): (i64, i64) = (digits(zone, 1, 2)?, digits(zone, 3, 2)?);
    let shift = (hours * 60 + minutes) * 60;
    let valid = zone.len() == 5 && hours <= 24 && minutes < 60 && shift != 0;
    valid.then_some(seconds - east * shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_lengths_must_be_minimal() {
        let any = |bytes: &[u8]| DerReader(bytes).any().map(|element| element.content.len());
        assert_eq!(any(&[4, 1, 9]), Some(1));
        assert_eq!(any(&[4, 0x81, 1, 9]), None, "a length that needs no second byte");
        assert_eq!(any(&[4, 0x80, 0, 0]), None, "an indefinite length");
        assert_eq!(any(&[0x1f, 1, 9]), None, "a long tag");
        assert_eq!(any(&[4, 2, 9]), None, "cut off");
        assert_eq!(any(&[4, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(DerReader(&[2, 2, 0, 1]).integer(), None);
        assert_eq!(DerReader(&[2, 2, 0, 0x81]).unsigned(), Some(0x81));
        assert_eq!(DerReader(&[2, 1, 0x81]).unsigned(), None, "negative");
        assert_eq!(DerReader(&[3, 2, 7, 0x81]).bits(), None, "a bit that does not count is set");
        assert_eq!(DerReader(&[6, 2, 0x55, 0x80]).oid(), None);
        assert_eq!(dotted(&[0x55, 0x1d, 0x11]), "2.5.29.17");
    }

    #[test]
    fn der_times_need_a_zone_and_a_valid_date() {
        let time = |tag: u8, text: &str| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend(text.bytes());
            DerReader(&der).time()
        };
        assert_eq!(time(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, "7001010001Z"), Some(60));
        assert_eq!(time(UTC_TIME, "700101010000+0100"), Some(0));
        assert_eq!(time(UTC_TIME, "490101000000Z"), time(GENERALIZED_TIME, "20490101000000Z"));
        assert_eq!(time(UTC_TIME, "500101000000Z"), time(GENERALIZED_TIME, "19500101000000Z"));
        for wrong in ["700230000000Z", "700101000000", "700101000000+0000", "700101000060Z", "é"] {
            assert_eq!(time(UTC_TIME, wrong), None, "{wrong}");
        }
    }
}
