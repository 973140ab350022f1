//! Frames: a length, a kind and a payload. Memory is allocated only for bytes that have arrived,
//! never for an announced length.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::bytes::excerpt;

/// Bytes before a payload: its length as a little-endian u32, then the kind.
pub const HEADER: usize = 5;
/// Longest payload, in bytes. Limits the memory that a peer can make the other side use.
pub const MOST_PAYLOAD: usize = 1 << 20;

/// The kind of a payload. The numbers are part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// JSON of [`super::Hello`].
    Hello = 1,
    /// JSON of [`super::Request`].
    Request = 2,
    /// JSON of [`super::Answer`].
    Answer = 3,
    /// [`super::Line`].
    Line = 4,
    /// [`super::transfer::Hashes`].
    Hashes = 5,
    /// [`super::transfer::Need`].
    Need = 6,
    /// [`super::transfer::Data`].
    Data = 7,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        let all = [
            Self::Hello,
            Self::Request,
            Self::Answer,
            Self::Line,
            Self::Hashes,
            Self::Need,
            Self::Data,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: FrameKind,
    /// At most the decoder's cap.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Parses the message, if this frame is JSON of `kind`.
    pub fn parse<T: DeserializeOwned>(&self, kind: FrameKind) -> Result<T, Broken> {
        if self.kind != kind {
            return Err(Broken::Unexpected(self.kind));
        }
        serde_json::from_slice(self.payload)
            .map_err(|error| Broken::Content(excerpt(&error.to_string())))
    }
}

/// Why bytes are not valid frames. After such an error the stream cannot be read further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A payload is, or was announced to be, longer than the cap; `0` is its length, `1` the cap.
    TooLong(usize, usize),
    /// Unknown kind: the peer is newer, or is not diyadm.
    NoKind(u8),
    /// A valid frame that is not allowed here.
    Unexpected(FrameKind),
    /// The payload does not match its kind.
    Content(String),
    /// The input ended inside a frame.
    Cut,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length, cap) => {
                write!(f, "a message has {length} bytes, more than the limit of {cap}")
            }
            Self::NoKind(byte) => write!(f, "unknown message kind {byte}"),
            Self::Unexpected(kind) => write!(f, "unexpected message of kind {kind:?}"),
            Self::Content(why) => f.write_str(why),
            Self::Cut => f.write_str("the connection ended in the middle of a message"),
        }
    }
}

impl std::error::Error for Broken {}

/// Cuts a stream of bytes, in pieces of any length, into frames.
///
/// ```
/// use diyadm_agent::protocol::{Decoder, Hello, FrameKind, json};
/// let sent = json(FrameKind::Hello, &Hello::own())?;
/// let mut decoder = Decoder::default();
/// let mut piece = &sent[..];
/// while let Some(frame) = decoder.next(&mut piece)? {
///     assert_eq!(frame.parse::<Hello>(FrameKind::Hello)?, Hello::own());
/// }
/// decoder.end()?;
/// # Ok::<(), diyadm_agent::protocol::Broken>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    cap: usize,
    header: [u8; HEADER],
    /// Number of header bytes that have arrived.
    headed: usize,
    /// The part of the payload that has arrived.
    payload: Vec<u8>,
    /// The payload was returned, and is dropped at the next call.
    given: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(MOST_PAYLOAD)
    }
}

impl Decoder {
    /// A decoder with its own cap on payloads, in bytes, of at most [`MOST_PAYLOAD`].
    pub fn new(cap: usize) -> Self {
        let cap = cap.min(MOST_PAYLOAD);
        Self { cap, header: [0; HEADER], headed: 0, payload: Vec::new(), given: false }
    }

    /// Consumes bytes of `input` until a frame is complete or `input` is empty.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame<'_>>, Broken> {
        if self.given {
            (self.given, self.headed) = (false, 0);
            self.payload.clear();
        }
        let take = input.len().min(HEADER - self.headed);
        self.header[self.headed..self.headed + take].copy_from_slice(&input[..take]);
        self.headed += take;
        *input = &input[take..];
        if self.headed < HEADER {
            return Ok(None);
        }
        let [a, b, c, d, kind] = self.header;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        // The kind first: it distinguishes an agent's bytes from a shell's output.
        let kind = FrameKind::from_byte(kind).ok_or(Broken::NoKind(kind))?;
        if length > self.cap {
            return Err(Broken::TooLong(length, self.cap));
        }
        let take = input.len().min(length - self.payload.len());
        self.reserve(take, length);
        self.payload.extend_from_slice(&input[..take]);
        *input = &input[take..];
        if self.payload.len() < length {
            return Ok(None);
        }
        self.given = true;
        Ok(Some(Frame { kind, payload: &self.payload }))
    }

    /// The frame that [`Decoder::next`] gave last, until it is called again.
    pub fn current(&self) -> Option<Frame<'_>> {
        let kind = FrameKind::from_byte(self.header[HEADER - 1]).filter(|_| self.given)?;
        Some(Frame { kind, payload: &self.payload })
    }

    /// Checks whether the input may end here: [`Broken::Cut`] inside a frame.
    pub fn end(&self) -> Result<(), Broken> {
        if self.headed == 0 || self.given { Ok(()) } else { Err(Broken::Cut) }
    }

    /// Bytes in memory; never more than the cap.
    pub fn held(&self) -> usize {
        self.payload.capacity()
    }

    /// Reserves room for `take` more bytes: doubled as bytes arrive, up to the frame's length.
    fn reserve(&mut self, take: usize, length: usize) {
        let (have, here) = (self.payload.capacity(), self.payload.len());
        if here + take > have {
            let room = (here + take).max(2 * have).min(length);
            self.payload.reserve_exact(room - here);
        }
    }
}

/// Appends a frame to `out`.
///
/// # Panics
///
/// If the payload is longer than [`MOST_PAYLOAD`], which is a bug of the caller.
pub fn append(out: &mut Vec<u8>, kind: FrameKind, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).ok().filter(|_| length <= MOST_PAYLOAD);
    out.extend(length.expect("a payload is within the cap").to_le_bytes());
    out.push(kind as u8);
    payload.iter().for_each(|part| out.extend_from_slice(part));
}

/// A message as a frame of JSON.
///
/// # Errors
///
/// [`Broken::TooLong`]: JSON can be six times as long as the text in it.
pub fn json<T: Serialize>(kind: FrameKind, message: &T) -> Result<Vec<u8>, Broken> {
    let mut out = vec![0, 0, 0, 0, kind as u8];
    serde_json::to_writer(&mut out, message).map_err(|error| Broken::Content(error.to_string()))?;
    let length = out.len() - HEADER;
    let fits = u32::try_from(length).ok().filter(|_| length <= MOST_PAYLOAD);
    let header = fits.ok_or(Broken::TooLong(length, MOST_PAYLOAD))?;
    out[..4].copy_from_slice(&header.to_le_bytes());
    Ok(out)
}
