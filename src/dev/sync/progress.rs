//! Progress of a transfer on a terminal: percent, files, bytes, rate and remaining time.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use crate::ui::terminal::Terminal;

/// How often the line is rewritten.
const PAUSE: Duration = Duration::from_millis(100);

/// The progress.
#[derive(Debug)]
pub struct Progress {
    terminal: Terminal,
    /// Prefix of the line: `web-5d4/app: `.
    whose: String,
    began: Instant,
    /// Number of files to handle, and their bytes.
    files: Cell<u64>,
    bytes: Cell<u64>,
    done_files: Cell<u64>,
    done_bytes: Cell<u64>,
    /// Bytes of unfinished files that are sent, or that the container already has.
    part: Cell<u64>,
    wrote: Cell<u64>,
    shown: RefCell<Option<Instant>>,
}

impl Progress {
    /// Nothing is known yet.
    pub fn new(terminal: Terminal) -> Self {
        let zero = || Cell::new(0);
        Self {
            terminal,
            whose: String::new(),
            began: Instant::now(),
            files: zero(),
            bytes: zero(),
            done_files: zero(),
            done_bytes: zero(),
            part: zero(),
            wrote: zero(),
            shown: RefCell::default(),
        }
    }

    /// The same for one of several containers, with its name as prefix.
    pub(crate) fn for_pod(terminal: Terminal, shown: &str) -> Self {
        Self { whose: format!("{shown}: "), ..Self::new(terminal) }
    }

    /// Sets the total.
    pub(crate) fn begin(&self, files: u64, bytes: u64) {
        self.files.set(self.files.get() + files);
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Adds a finished file of this length.
    pub(crate) fn file(&self, size: u64) {
        self.done_files.set(self.done_files.get() + 1);
        self.done_bytes.set(self.done_bytes.get() + size);
        self.part.set(self.part.get().saturating_sub(size));
        self.show();
    }

    /// Adds bytes of a file that is not finished.
    pub(crate) fn part(&self, bytes: u64) {
        self.part.set(self.part.get() + bytes);
        self.show();
    }

    /// Adds bytes sent to the network.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.wrote.set(self.wrote.get() + bytes as u64);
        self.show();
    }

    /// Bytes sent to the network.
    pub fn sent(&self) -> u64 {
        self.wrote.get()
    }

    /// Time since the start.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    fn show(&self) {
        let now = Instant::now();
        let mut shown = self.shown.borrow_mut();
        if shown.is_some_and(|shown| now - shown < PAUSE) {
            return;
        }
        *shown = Some(now);
        let done = self.done_bytes.get() + self.part.get();
        let files = [self.done_files.get(), self.files.get()];
        let line = line(files, [done, self.bytes.get()], now - self.began);
        self.terminal.progress(&format!("{}{line}", self.whose));
    }
}

/// `37 %, 155 MB of 419 MB, 12 MB/s, 22 s left`, of several files with their number. The rate is an
/// average, and appears after the first second.
fn line([done_files, files]: [u64; 2], [done, all]: [u64; 2], took: Duration) -> String {
    let done = done.min(all);
    let percent = (done * 100).checked_div(all).unwrap_or(done_files * 100 / files.max(1));
    let mut parts = vec![format!("{percent} %")];
    if files > 1 {
        parts.push(format!("{done_files} of {files} files"));
    }
    parts.push(format!("{} of {}", megabytes(done), megabytes(all)));
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let rate = done.saturating_mul(1000) / ms.max(1);
    if ms >= 1000 && rate > 0 {
        parts.push(format!("{}/s", megabytes(rate)));
        let left = (all - done).div_ceil(rate);
        parts.push(if left < 60 {
            format!("{left} s left")
        } else {
            format!("{}m{}s left", left / 60, left % 60)
        });
    }
    parts.join(", ")
}

/// `812 B`, `41 kB`, `8.7 MB`, `1.2 GB`
pub(crate) fn megabytes(bytes: u64) -> String {
    let [b, kb, mb] = [bytes, bytes / 1000, bytes / 100_000];
    match bytes {
        0..1000 => format!("{b} B"),
        1000..1_000_000 => format!("{kb} kB"),
        1_000_000..10_000_000 => format!("{}.{} MB", mb / 10, mb % 10),
        10_000_000..1_000_000_000 => format!("{} MB", mb / 10),
        _ => format!("{}.{} GB", mb / 10_000, mb / 1000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_percent_rate_and_remaining_time() {
        let s = Duration::from_secs;
        assert_eq!(line([0, 1], [0, 419_000_000], s(0)), "0 %, 0 B of 419 MB");
        assert_eq!(
            line([0, 1], [155_000_000, 419_000_000], s(13)),
            "36 %, 155 MB of 419 MB, 11 MB/s, 23 s left"
        );
        assert_eq!(
            line([12, 300], [1_000_000, 100_000_000], s(2)),
            "1 %, 12 of 300 files, 1.0 MB of 100 MB, 500 kB/s, 3m18s left"
        );
        assert_eq!(line([5, 10], [0, 0], s(2)), "50 %, 5 of 10 files, 0 B of 0 B");
        assert_eq!(line([1, 1], [9, 5], s(1)), "100 %, 5 B of 5 B, 5 B/s, 0 s left");
    }

    #[test]
    fn sizes_are_shown_with_two_or_three_digits() {
        let shown: Vec<_> =
            [999, 41_200, 8_750_000, 87_121_076, 1_250_000_000].map(megabytes).into();
        assert_eq!(shown, ["999 B", "41 kB", "8.7 MB", "87 MB", "1.2 GB"]);
    }
}
