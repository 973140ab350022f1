//! Frames over blocking input and output, for the relay and the receiver.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use super::protocol::{Answer, Broken, Decoder, Frame, FrameKind, Hello, PROTOCOL, json};
use anyhow::{Context, Result};

/// Bytes to read at a time: the size of a big pipe.
const PIECE: usize = 128 << 10;

/// Incoming frames.
#[derive(Debug)]
pub(super) struct Input<R> {
    from: R,
    decoder: Decoder,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl<R: Read> Input<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, decoder: Decoder::default(), buffer: vec![0; PIECE], begin: 0, end: 0 }
    }

    /// The next frame; `None` if the input ended before it.
    pub(super) fn frame(&mut self) -> Result<Option<Frame<'_>>, Error> {
        loop {
            let mut input = &self.buffer[self.begin..self.end];
            let whole = self.decoder.next(&mut input).map(|frame| frame.is_some())?;
            self.begin = self.end - input.len();
            if whole {
                // Called again, since the borrow checker does not allow a loop to return a borrow.
                return Ok(self.decoder.current());
            }
            (self.begin, self.end) = (0, self.from.read(&mut self.buffer)?);
            if self.end == 0 {
                self.decoder.end()?;
                return Ok(None);
            }
        }
    }

    /// Whether the next frame, or a part of it, has already arrived.
    pub(super) fn is_more(&self) -> bool {
        self.begin < self.end
    }

    /// The bytes that were read ahead, and the input.
    pub(super) fn into_rest(mut self) -> (Vec<u8>, R) {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.begin);
        (self.buffer, self.from)
    }
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum Error {
    /// The connection failed.
    Io(io::Error),
    /// The input is not a sequence of frames.
    Broken(Broken),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Broken(broken) => broken.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Writes an answer.
pub(super) fn send(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    to.write_all(&answer.frame())?;
    to.flush()
}

/// Exchanges hellos. `Err` with the other side's hello if its version differs.
pub(super) fn greet<R: Read>(
    input: &mut Input<R>,
    output: &mut impl Write,
) -> Result<Result<Hello, Hello>> {
    let own = json(FrameKind::Hello, &Hello::own())?;
    // The peer may have sent the reason before closing the connection.
    let _ = output.write_all(&own).and_then(|()| output.flush());
    let frame = input.frame()?.context("the other side closed the connection")?;
    let hello: Hello = frame.parse(FrameKind::Hello)?;
    Ok(if hello.protocol == PROTOCOL { Ok(hello) } else { Err(hello) })
}

/// This process's stdin and stdout without the locks and buffers of std.
pub(super) fn stdio() -> io::Result<(File, File)> {
    let copy = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).map(File::from);
    Ok((copy(rustix::stdio::stdin())?, copy(rustix::stdio::stdout())?))
}
