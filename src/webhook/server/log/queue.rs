//! A queue of log lines for stderr: a thread writes them, so that no review waits for a slow disk
//! or a full pipe. Lost lines are counted.
//!
//! This replaces the non-blocking writer of tracing-appender, which only counts lines that do not
//! fit into its queue. Here lines that cannot be written (a full disk, a closed pipe) are counted
//! as well, the queue is limited in bytes, and all lines of 2 ms are written by one system call.

use std::{
    io::{self, Write},
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of waiting bytes: several thousand lines.
const MOST: usize = 1024 * 1024;

/// How long the writer waits for more lines, to write them at once.
const GATHER: Duration = Duration::from_millis(2);

/// How long the process waits for the last lines when it exits.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The one queue of the process.
static QUEUE: Queue = Queue::new();

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    lost: AtomicU64,
}

struct Waiting {
    text: Vec<u8>,
    lines: u64,
    /// The writer has unwritten lines.
    writes: bool,
}

impl Queue {
    const fn new() -> Self {
        let waiting = Waiting { text: Vec::new(), lines: 0, writes: false };
        Self { waiting: Mutex::new(waiting), changed: Condvar::new(), lost: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.text.len() + line.len() > MOST {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.text.extend_from_slice(line);
        waiting.lines += 1;
        if waiting.lines == 1 {
            self.changed.notify_all();
        }
    }

    /// Writes for ever.
    fn write_to(&self, mut file: impl Write) {
        let mut text = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.writes = false;
            while waiting.lines == 0 {
                self.changed.notify_all();
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.writes = true;
            drop(waiting);
            thread::sleep(GATHER);
            let mut waiting = self.lock();
            text.clear();
            mem::swap(&mut text, &mut waiting.text);
            let lines = mem::take(&mut waiting.lines);
            drop(waiting);
            let written = write_all(&mut file, &text);
            if written < text.len() {
                let end = memchr::memchr_iter(b'\n', &text[..written]).count();
                self.lost.fetch_add(lines - (end as u64).min(lines), Relaxed);
            }
        }
    }

    /// Waits until everything is written, with a timeout.
    fn flush(&self) {
        let idle = |waiting: &mut Waiting| waiting.lines > 0 || waiting.writes;
        // After the timeout the lines are lost with the process.
        drop(self.changed.wait_timeout_while(self.lock(), LAST_LINES, idle));
    }
}

/// Returns how many of the bytes could be written.
fn write_all(file: &mut impl Write, text: &[u8]) -> usize {
    let mut written = 0;
    while written < text.len() {
        match file.write(&text[written..]) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

/// Starts the thread that writes to stderr.
pub(super) fn start() -> io::Result<()> {
    thread::Builder::new().name("log".to_owned()).spawn(|| QUEUE.write_to(io::stderr()))?;
    Ok(())
}

/// Number of lost lines.
pub(in crate::webhook::server) fn lost() -> u64 {
    QUEUE.lost.load(Relaxed)
}

/// Waits briefly for the last lines to be written, before the process exits.
pub fn flush() {
    QUEUE.flush();
}

/// Writes into the queue; never fails and never waits.
#[derive(Clone, Copy)]
pub(super) struct Queued;

impl Write for Queued {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Queued {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_queue_counts_lines_dropped_when_full() {
        let queue = Queue::new();
        let line = vec![b'x'; MOST / 4];
        (0..6).for_each(|_| queue.push(&line));
        assert_eq!((queue.lost.load(Relaxed), queue.lock().lines), (2, 4));
    }

    #[test]
    fn log_queue_counts_lines_that_cannot_be_written() {
        static FULL: Queue = Queue::new();
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        (0..3).for_each(|_| FULL.push(b"a line\n"));
        thread::spawn(|| FULL.write_to(full));
        while FULL.lost.load(Relaxed) < 3 {
            thread::yield_now();
        }
    }
}
