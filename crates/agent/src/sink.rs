//! The container's own stdout and stderr, where the lines of all applications go and `kubectl logs`
//! shows them. Never blocks PID 1; if the reader is slow, the applications wait for it as they
//! would without an agent.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    os::fd::{AsFd, BorrowedFd},
};

/// Bytes that a writable pipe accepts at once without blocking (pipe(7)).
const PIPE_BUF: usize = 4096;
/// Number of unwritten bytes above which the applications' output is not read.
const FULL: usize = 256 << 10;

/// One of the container's outputs.
#[derive(Debug, Default)]
pub(super) struct Sink {
    file: Option<File>,
    waiting: Vec<u8>,
    written: usize,
    /// The application whose line is unfinished.
    open: Option<u64>,
}

impl Sink {
    /// `None` if nobody can read the output.
    pub(super) fn new(file: Option<File>) -> Self {
        Self { file, waiting: Vec::new(), written: 0, open: None }
    }

    /// Whether the output can be read by somebody.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Adds a whole line, so lines never mix. A `cut` line (too long, or without a newline at the
    /// end of its output) ends where another writer's line begins.
    pub(super) fn push(&mut self, writer: u64, line: &[u8], cut: bool) {
        if self.file.is_some() {
            let is_anothers = self.open.is_some_and(|open| open != writer);
            self.waiting.extend(is_anothers.then_some(b'\n'));
            self.waiting.extend_from_slice(line);
            self.waiting.extend((!cut).then_some(b'\n'));
            self.open = cut.then_some(writer);
        }
    }

    /// Whether the applications should wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() - self.written >= FULL
    }

    /// What to poll for writing, where there is something to write.
    pub(super) fn wants(&self) -> Option<BorrowedFd<'_>> {
        let file = self.file.as_ref()?;
        (self.written < self.waiting.len()).then(|| file.as_fd())
    }

    /// Writes a piece, after poll reported that it is writable.
    pub(super) fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        let rest = &self.waiting[self.written..];
        match file.write(&rest[..rest.len().min(PIPE_BUF)]) {
            Ok(written) => self.written += written,
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            // Nobody reads any more, or the disk is full: the ring still has the lines.
            Err(_) => (self.file, self.written) = (None, self.waiting.len()),
        }
        if self.written == self.waiting.len() {
            // Free the memory, since PID 1 is idle most of the time.
            (self.waiting, self.written) = (Vec::new(), 0);
        } else if self.written > FULL {
            self.waiting.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_two_streams_is_not_mixed_in_a_line() {
        let mut sink = Sink::new(Some(tempfile::tempfile().unwrap()));
        for (writer, line, cut) in [
            (1, "long", true),
            (1, "er", false),
            (1, "no newline", true),
            (2, "another's", false),
            (2, "its last words", true),
            (3, "and the next run's", true),
        ] {
            sink.push(writer, line.as_bytes(), cut);
        }
        let said = "longer\nno newline\nanother's\nits last words\nand the next run's";
        assert_eq!(String::from_utf8(sink.waiting).unwrap(), said);
    }
}
