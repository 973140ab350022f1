//! A pipe that an application writes to; its lines go into the ring and to the container's output.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{clock::now_ms, lines::Lines, protocol::Stream, ring::Ring, sink::Sink};

/// Number of the next pipe.
static PIPES: AtomicU64 = AtomicU64::new(0);

/// The reading end of one of its outputs.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) stream: Stream,
    pub(super) file: File,
    lines: Lines,
    /// Unique, also among runs of the same application.
    number: u64,
    /// Whether all writing ends are closed.
    pub(super) ended: bool,
}

impl Pipe {
    /// The event of the reading end.
    pub(super) fn new(stream: Stream, pipe: OwnedFd) -> io::Result<Self> {
        // Only this end: the application's end stays blocking, as programs expect.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let (lines, number) = (Lines::default(), PIPES.fetch_add(1, Relaxed));
        Ok(Self { stream, file: pipe.into(), lines, number, ended: false })
    }

    /// Reads once; `false` if there is no more data now.
    pub(super) fn read_lines(
        &mut self,
        buffer: &mut [u8],
        ring: &mut Ring,
        sink: &mut Sink,
    ) -> bool {
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

    /// Reads the data that is in it now, and no more, since leftover processes may write for ever.
    pub(super) fn drain(&mut self, buffer: &mut [u8], ring: &mut Ring, sink: &mut Sink) {
        let now = rustix::io::ioctl_fionread(&self.file).unwrap_or_default();
        let reads = now.div_ceil(buffer.len() as u64);
        // Once more, to see the end of a pipe without writers.
        for _ in 0..=reads {
            if !self.read_lines(buffer, ring, sink) {
                return;
            }
        }
    }
}
