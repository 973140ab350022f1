//! Writes an application's lines unchanged to the local stdout and stderr.

use std::{
    cell::Cell,
    io::{self, Write},
};

use jiff::Timestamp;

use crate::ui;
use diyadm_agent::protocol::{Line, Stream};

/// Output on a terminal that is shared with other output.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Lines are not shown; the agent keeps them.
    pub(crate) muted: Cell<bool>,
    /// Number of the last shown line.
    pub(crate) last: Cell<u64>,
}

/// Where lines are written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Printer<'a> {
    /// Print the time before each line.
    timestamps: bool,
    /// The shared terminal; then other code reports requested starts and stops.
    pub(crate) screen: Option<&'a Screen>,
    /// Whether the last line of each stream is unfinished.
    open: [bool; 2],
}

impl<'a> Printer<'a> {
    /// Creates it, with or without the time of each line.
    pub(crate) fn new(timestamps: bool) -> Self {
        Self { timestamps, screen: None, open: [false; 2] }
    }

    /// On a screen.
    pub(crate) fn on(screen: &'a Screen) -> Self {
        Self { timestamps: false, screen: Some(screen), open: [false; 2] }
    }

    /// Whether a line is shown now. It is the last one then.
    pub(crate) fn shows(&self, line: &Line<'_>) -> bool {
        let Some(Screen { muted, last }) = self.screen else { return true };
        if !muted.get() {
            last.set(line.number);
        }
        !muted.get()
    }

    /// Writes a line, if it is shown.
    pub(crate) fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        if !self.shows(line) {
            return Ok(());
        }
        match line.stream {
            Stream::Out => self.write(&mut ui::stdout(), line),
            Stream::Err => self.write(&mut ui::stderr(), line),
        }
    }

    fn write(&mut self, to: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
        let open = &mut self.open[usize::from(line.stream == Stream::Err)];
        if self.timestamps && !*open {
            let at =
                i64::try_from(line.at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            write!(to, "{:.3} ", at.unwrap_or(Timestamp::UNIX_EPOCH))?;
        }
        *open = line.cut;
        to.write_all(line.text)?;
        if !line.cut {
            to.write_all(b"\n")?;
        }
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_printer_joins_a_split_line() {
        let mut printer = Printer::new(true);
        let mut written = Vec::new();
        for (text, cut, stream) in [
            ("a", true, Stream::Out),
            ("b", false, Stream::Out),
            ("e", false, Stream::Err),
            ("", false, Stream::Out),
        ] {
            let line = Line { stream, cut, number: 1, at_ms: 1500, text: text.as_bytes() };
            printer.write(&mut written, &line).unwrap();
        }
        let at = "1970-01-01T00:00:01.500Z ";
        assert_eq!(String::from_utf8(written).unwrap(), format!("{at}ab\n{at}e\n{at}\n"));
    }
}
