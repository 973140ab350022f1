//! A line of an application's output, and its encoding.

use super::frame::{Broken, FrameKind, append};

/// The output that an application wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// stdout
    Out,
    /// stderr
    Err,
}

/// A line. As a payload: a byte of flags (1 is stderr, 2 is cut), number and time as
/// little-endian u64, then the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which output.
    pub stream: Stream,
    /// The line has no newline: it was too long and continues in the next line of this stream, or
    /// the output ended without a newline.
    pub cut: bool,
    /// Number of the line, from 1, counted across restarts.
    pub number: u64,
    /// When its end was read, in milliseconds since 1970.
    pub at_ms: u64,
    /// Without the newline.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Appends the line as a frame.
    pub fn append(&self, out: &mut Vec<u8>) {
        let flags = u8::from(self.stream == Stream::Err) | u8::from(self.cut) << 1;
        let parts: [&[u8]; 4] =
            [&[flags], &self.number.to_le_bytes(), &self.at_ms.to_le_bytes(), self.text];
        append(out, FrameKind::Line, &parts);
    }

    /// Reads the payload of a [`FrameKind::Line`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Broken> {
        let parts = payload.split_first().and_then(|(flags, rest)| {
            let (number, rest) = rest.split_first_chunk()?;
            let (at_ms, text) = rest.split_first_chunk()?;
            Some((flags, u64::from_le_bytes(*number), u64::from_le_bytes(*at_ms), text))
        });
        let short = || Broken::Content("a line without its number and time".to_owned());
        let (flags, number, at_ms, text) = parts.ok_or_else(short)?;
        let stream = if flags & 1 == 0 { Stream::Out } else { Stream::Err };
        Ok(Self { stream, cut: flags & 2 != 0, number, at_ms, text })
    }
}
