//! The progress of a command for people: one line for each step, on stderr, with optional colour.
//!
//! All text may be foreign: [`ui`] escapes it. Results go to stdout through [`print`],
//! [`print_text`] and [`stream`].

use std::{
    ffi::OsString,
    io::{IsTerminal, stderr, stdout},
    time::Duration,
};

use clap::{Args, ValueEnum};

use crate::ui;
pub use crate::ui::{print, print_text, stream};

/// Flags that control the output.
#[derive(Args, Debug, Clone, Default)]
pub struct TerminalFlags {
    /// Print problems only
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Colour on stderr
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Color,
}

/// When stderr has colour.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set; also elsewhere if `CLICOLOR_FORCE` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The mark before a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// ✓
    Success,
    /// !
    Warning,
    /// ✗
    Failure,
    /// ?
    Unknown,
}

/// Prints the progress of a command.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    quiet: bool,
    colour: bool,
    interactive: bool,
}

impl Terminal {
    /// The settings from `--quiet`, `--color`, `NO_COLOR`, `CLICOLOR_FORCE` and the type of stderr.
    pub fn new(flags: &TerminalFlags) -> Self {
        let interactive = stderr().is_terminal();
        if flags.quiet {
            ui::notice::end();
        }
        let colour = match flags.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => has_colour(interactive, |name| std::env::var_os(name)),
        };
        Self { quiet: flags.quiet, colour, interactive }
    }

    /// A finished step: `✓ what  12 ms`.
    pub fn done(&self, what: &str, took: Option<Duration>) {
        if !self.quiet {
            self.line("32", "✓", what, took);
        }
    }

    /// A failed step, with its hint on a separate line.
    pub fn failed(&self, what: &str, took: Option<Duration>, hint: &str) {
        self.line("31", "✗", what, took);
        if !hint.is_empty() {
            ui::line(&format!("  {hint}"));
        }
    }

    /// A warning.
    pub fn warn(&self, what: &str) {
        self.line("33", "!", what, None);
    }

    /// The result of one check, with its hint on a separate line. `--quiet` hides a success.
    pub fn result(&self, mark: Mark, what: &str, hint: &str) {
        let (colour, sign) = match mark {
            Mark::Success if self.quiet => return,
            Mark::Success => ("32", "✓"),
            Mark::Warning => ("33", "!"),
            Mark::Failure => ("31", "✗"),
            Mark::Unknown => ("33", "?"),
        };
        self.line(colour, sign, what, None);
        if !hint.is_empty() {
            ui::line(&format!("  {hint}"));
        }
    }

    /// Text without a mark.
    pub fn say(&self, what: &str) {
        if !self.quiet {
            ui::line(what);
        }
    }

    /// Whether stderr is a terminal.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether messages have colour.
    pub(crate) fn has_colour(&self) -> bool {
        self.colour
    }

    /// A question, even with `--quiet`; the answer is typed after it.
    pub fn ask(&self, question: &str) {
        ui::ask(question);
    }

    /// Starts to wait for something.
    pub fn wait(&self) -> Wait<'_> {
        Wait { terminal: self, last: String::new() }
    }

    /// Progress of several things at once: rewritten in place, and only on a terminal, since it
    /// changes too often for a log. [`Terminal::clear`] removes it.
    pub fn progress(&self, what: &str) {
        if self.interactive && !self.quiet {
            ui::rewrite(&format!("  {what}"));
        }
    }

    /// Removes the line of [`Terminal::progress`].
    pub fn clear(&self) {
        if self.interactive && !self.quiet {
            ui::erase();
        }
    }

    fn line(&self, colour: &str, mark: &str, what: &str, took: Option<Duration>) {
        if self.interactive {
            // The line of a wait is there.
            ui::erase();
        }
        let mark =
            if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m ") } else { format!("{mark} ") };
        match took {
            Some(took) => ui::marked(&mark, &format!("{what}  {}", millis(took))),
            None => ui::marked(&mark, what),
        }
    }
}

/// Whether stderr has colour by default: see <https://no-color.org> and
/// <https://bixense.com/clicolors>.
fn has_colour(interactive: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let forced = variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    !is_set("NO_COLOR") && (interactive || forced)
}

/// The width of the terminal for tables on stdout; `None` where it is another file, which gets
/// whole cells.
pub(crate) fn table_width() -> Option<usize> {
    ui::size(stdout()).map(|(columns, _)| columns)
}

/// A wait. On a terminal it is one line, rewritten in place and removed at the end; otherwise a
/// line for each change, so that a log shows what took long.
pub struct Wait<'a> {
    terminal: &'a Terminal,
    last: String,
}

impl Wait<'_> {
    /// Prints the current state.
    pub fn say(&mut self, what: &str) {
        let Terminal { quiet, interactive, .. } = *self.terminal;
        if quiet || self.last == what {
            return;
        }
        if interactive {
            ui::rewrite(&format!("  {what}"));
        } else {
            ui::line(&format!("  {what}"));
        }
        what.clone_into(&mut self.last);
    }

    /// Prints how many are done; in a log only every tenth of them.
    pub fn count(&mut self, word: &str, through: usize, all: usize) {
        let tenth = through * 10 / all.max(1);
        let is_news =
            self.terminal.interactive || tenth > through.saturating_sub(1) * 10 / all.max(1);
        if all > 1 && is_news && (self.terminal.interactive || all >= 50) {
            self.say(&format!("{word}: {through} of {all}"));
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.terminal.interactive && !self.last.is_empty() {
            ui::erase();
        }
    }
}

/// `0.4 ms`, `12 ms`, `3.1 s`: at most three digits.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_terminal_and_two_variables() {
        for (interactive, variables, expected) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (false, &[("CLICOLOR_FORCE", "")], false),
            (true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ] {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
            let variable = |name: &str| value(name).map(|(_, value)| OsString::from(value));
            assert_eq!(has_colour(interactive, variable), expected, "{interactive} {variables:?}");
        }
    }
}
