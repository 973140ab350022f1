//! What an application writes into, line by line into its ring and the container's output.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{app::now_ms, lines::Lines, protocol::Stream, ring::Ring, sink::Sink};

/// The next one's number.
static PIPES: AtomicU64 = AtomicU64::new(0);

/// The end of one of its outputs that is read.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) stream: Stream,
    pub(super) file: File,
    lines: Lines,
    /// No other has it, not even of the same application started again.
    number: u64,
    /// Whether nobody can write into it any more.
    pub(super) ended: bool,
}

impl Pipe {
    /// Of the reading end.
    pub(super) fn new(stream: Stream, pipe: OwnedFd) -> io::Result<Self> {
        // Only this end: the application's stays as any program expects it.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let (lines, number) = (Lines::default(), PIPES.fetch_add(1, Relaxed));
        Ok(Self { stream, file: pipe.into(), lines, number, ended: false })
    }

    /// Reads once; `false` when there is nothing more now.
    pub(super) fn read(&mut self, buffer: &mut [u8], ring: &mut Ring, sink: &mut Sink) -> bool {
        let (stream, number, at_ms) = (self.stream, self.number, now_ms());
        let keep = |line: &[u8], cut| {
            ring.push(stream, cut, at_ms, line);
            sink.push(number, line, cut);
        };
        match self.file.read(buffer) {
            Ok(read @ 1..) => self.lines.push(&buffer[..read], keep),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Ok(0) | Err(_) => {
                self.lines.end(keep);
                self.ended = true;
                return false;
            }
        }
        true
    }

    /// Reads all that is in it now, and no more: what its application left behind may write for
    /// ever.
    pub(super) fn drain(&mut self, buffer: &mut [u8], ring: &mut Ring, sink: &mut Sink) {
        let now = rustix::io::ioctl_fionread(&self.file).unwrap_or_default();
        let reads = now.div_ceil(buffer.len() as u64);
        // Once more, for the end of a pipe that nobody has any more.
        for _ in 0..=reads {
            if !self.read(buffer, ring, sink) {
                return;
            }
        }
    }
}
