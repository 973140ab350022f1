//! The last lines of an application, in bounded memory. Never waits for a reader: old lines are
//! dropped, and a slow reader sees from the numbers what it missed.

use std::collections::VecDeque;

use super::protocol::{Line, Logs, Stream};

/// Memory of a line in addition to its text: its entry here, and the allocator's overhead.
const OVERHEAD: usize = 56;

/// The last lines, with their numbers.
#[derive(Debug)]
pub(super) struct Ring {
    most: usize,
    held: usize,
    /// Number of the newest line; 0 before the first.
    newest: u64,
    lines: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    stream: Stream,
    cut: bool,
    at_ms: u64,
    text: Box<[u8]>,
}

impl Ring {
    /// A ring of `most` bytes, including overhead.
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: 0, newest: 0, lines: VecDeque::new() }
    }

    /// Adds a line, and drops old lines to make room.
    pub(super) fn push(&mut self, stream: Stream, cut: bool, at_ms: u64, text: &[u8]) {
        self.held += text.len() + OVERHEAD;
        self.lines.push_back(Kept { stream, cut, at_ms, text: text.into() });
        self.newest += 1;
        while self.held > self.most && self.lines.len() > 1 {
            let Some(old) = self.lines.pop_front() else { break };
            self.held -= old.text.len() + OVERHEAD;
        }
    }

    /// Number of the newest line; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Number of the oldest available line; one past the newest if there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.newest + 1 - self.lines.len() as u64
    }

    /// The line of this number, if it is available.
    pub(super) fn get(&self, number: u64) -> Option<Line<'_>> {
        let index = usize::try_from(number.checked_sub(self.oldest())?).ok()?;
        let Kept { stream, cut, at_ms, text } = self.lines.get(index)?;
        Some(Line { stream: *stream, cut: *cut, number, at_ms: *at_ms, text })
    }

    /// The number of the first line that `logs` requests. It may have been dropped: then
    /// [`Ring::oldest`] shows how many are lost.
    pub(super) fn begin(&self, logs: &Logs) -> u64 {
        let mut first = logs.after.saturating_add(1);
        if logs.after == 0 || logs.after > self.newest {
            // From the oldest line; numbers of an earlier supervisor are meaningless.
            first = self.oldest();
        }
        if logs.since_ms > 0 {
            // Times increase, unless the clock was set: then one line too many may be shown.
            let early = self.lines.partition_point(|line| line.at_ms < logs.since_ms);
            first = first.max(self.oldest() + early as u64);
        }
        if let Some(tail) = logs.tail {
            first = first.max((self.newest + 1).saturating_sub(tail));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(lines: u64) -> Ring {
        let mut ring = Ring::new(4 * (OVERHEAD + 1));
        (1..=lines).for_each(|n| ring.push(Stream::Out, false, n * 10, b"x"));
        ring
    }

    #[test]
    fn ring_drops_old_lines_and_keeps_numbers() {
        let ring = ring(6);
        assert_eq!((ring.oldest(), ring.newest()), (3, 6));
        assert!(ring.get(2).is_none() && ring.get(7).is_none());
        assert_eq!(ring.get(3).unwrap().at_ms, 30);
        let empty = Ring::new(10);
        assert_eq!((empty.oldest(), empty.newest()), (1, 0));
        assert!(empty.get(0).is_none() && empty.get(1).is_none());
    }

    #[test]
    fn ring_keeps_one_line_of_any_length() {
        let mut ring = Ring::new(10);
        ring.push(Stream::Err, true, 1, &[b'x'; 100]);
        ring.push(Stream::Err, true, 2, &[b'y'; 100]);
        assert_eq!((ring.oldest(), ring.get(2).unwrap().text.len()), (2, 100));
    }

    #[test]
    fn logs_start_at_the_requested_line() {
        let ring = ring(6);
        let begin =
            |after, since_ms, tail| ring.begin(&Logs { after, since_ms, tail, ..Logs::default() });
        assert_eq!(begin(0, 0, None), 3);
        assert_eq!(begin(1, 0, None), 2, "line 2 is lost, and the reader is informed");
        assert_eq!(begin(4, 0, None), 5);
        assert_eq!(begin(6, 0, None), 7);
        assert_eq!(begin(99, 0, None), 3);
        assert_eq!(begin(0, 45, None), 5);
        assert_eq!(begin(0, 99, None), 7);
        assert_eq!(begin(0, 0, Some(1)), 6);
        assert_eq!(begin(0, 0, Some(0)), 7);
        assert_eq!(begin(0, 0, Some(99)), 3);
        assert_eq!(begin(5, 0, Some(3)), 6);
    }
}
