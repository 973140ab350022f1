//! Progress of a transfer in bytes and files, on a terminal.

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
            wrote: zero(),
            shown: RefCell::default(),
        }
    }

    /// The same for one of several containers, with its name as prefix.
    pub(crate) fn of(terminal: Terminal, shown: &str) -> Self {
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
        let (files, done) = (self.files.get(), self.done_files.get());
        self.terminal.progress(&format!(
            "{}{done} of {files} files, {} of {}, {} sent",
            self.whose,
            megabytes(self.done_bytes.get()),
            megabytes(self.bytes.get()),
            megabytes(self.wrote.get()),
        ));
    }
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
    fn sizes_have_two_or_three_figures() {
        let shown: Vec<_> =
            [999, 41_200, 8_750_000, 87_121_076, 1_250_000_000].map(megabytes).into();
        assert_eq!(shown, ["999 B", "41 kB", "8.7 MB", "87 MB", "1.2 GB"]);
    }
}
