//! What people see while a command works: one line a step, on stderr, with colour where wanted.
//!
//! Results go to stdout, through [`print`] alone.

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    time::Duration,
};

use anyhow::Result;

use crate::{
    checks::{Finding, Level},
    cli::{Color, Global},
};

/// Where a command tells what it is doing.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    quiet: bool,
    colour: bool,
    interactive: bool,
}

impl Terminal {
    /// What `--quiet`, `--color`, `NO_COLOR` and the kind of stderr make of it.
    pub fn new(global: &Global) -> Self {
        let interactive = stderr().is_terminal();
        let colour = match global.color {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org: set and not empty
            Color::Auto => interactive && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        Self { quiet: global.quiet, colour, interactive }
    }

    /// One step that is done: `✓ what  12 ms`.
    pub fn done(&self, what: &str, took: Option<Duration>) {
        if !self.quiet {
            self.line("32", "✓", what, took);
        }
    }

    /// One step that failed, with what to do on a line of its own.
    pub fn failed(&self, what: &str, took: Option<Duration>, hint: &str) {
        self.line("31", "✗", what, took);
        if !hint.is_empty() {
            eprintln!("  {hint}");
        }
    }

    /// Something to know.
    pub fn warn(&self, what: &str) {
        self.line("33", "!", what, None);
    }

    /// A finding, with what to do on a line of its own. One that is well is said only aloud.
    pub fn finding(&self, finding: &Finding) {
        let (colour, mark) = match finding.level {
            Level::Ok if self.quiet => return,
            Level::Ok => ("32", "✓"),
            Level::Warning => ("33", "!"),
            Level::Failed => ("31", "✗"),
            Level::Unknown => ("33", "?"),
        };
        self.line(colour, mark, &finding.seen, None);
        if !finding.hint.is_empty() {
            eprintln!("  {}", finding.hint);
        }
    }

    /// Prose without a mark.
    pub fn say(&self, what: &str) {
        if !self.quiet {
            eprintln!("{what}");
        }
    }

    /// Begins to wait for something.
    pub fn wait(&self) -> Wait<'_> {
        Wait { terminal: self, last: String::new() }
    }

    /// How far several things at once are: rewritten in place, and only on a terminal, since it
    /// changes too often for a log. [`Terminal::clear`] takes it away.
    pub fn progress(&self, what: &str) {
        if self.interactive && !self.quiet {
            eprint!("\r\x1b[2K  {what}");
        }
    }

    /// Takes the line of [`Terminal::progress`] away.
    pub fn clear(&self) {
        if self.interactive && !self.quiet {
            eprint!("\r\x1b[2K");
        }
    }

    fn line(&self, colour: &str, mark: &str, what: &str, took: Option<Duration>) {
        let mark =
            if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() };
        match took {
            Some(took) => eprintln!("{mark} {what}  {}", millis(took)),
            None => eprintln!("{mark} {what}"),
        }
    }
}

/// What is being waited for. On a terminal it is one line, rewritten in place and gone at the end;
/// in a pipeline it is a line whenever there is news, so that a log shows what took so long.
pub struct Wait<'a> {
    terminal: &'a Terminal,
    last: String,
}

impl Wait<'_> {
    /// How things stand.
    pub fn say(&mut self, what: &str) {
        let Terminal { quiet, interactive, .. } = *self.terminal;
        if quiet || self.last == what {
            return;
        }
        if interactive {
            eprint!("\r\x1b[2K  {what}");
        } else {
            eprintln!("  {what}");
        }
        what.clone_into(&mut self.last);
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.terminal.interactive && !self.last.is_empty() {
            eprint!("\r\x1b[2K");
        }
    }
}

/// A result, on stdout. A reader that has gone is told by the error, and is none: see
/// [`crate::exit::report`].
pub fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// `0.4 ms`, `12 ms`, `3.1 s`: three figures at the most.
pub fn millis(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1e3;
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1e3)
    }
}
