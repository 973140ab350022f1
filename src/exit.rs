//! The exit codes, the one error type that carries one, and how an error is shown.
//!
//! No other code reports an error or ends the process.

use std::{fmt, process::ExitCode};

use crate::ui;

mod topic;

pub use topic::{Topic, page};

/// Exit codes of diyadm. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 0: success, or the answer is yes.
    Done,
    /// 1: failure: a check failed, a difference was found, or the work could not be done.
    No,
    /// 2: the command line, or a file that it names, is invalid. Also `check`, if it could not read
    /// the cluster, and `diff`, if it could not compare.
    Usage,
    /// 3: the cluster could not be reached, or did not allow it.
    Unreachable,
    /// 101: a bug of diyadm (a panic). Rust's number for it.
    Fault,
    /// 130: Ctrl-C.
    Interrupted,
    /// The exit code of a program that was run for the user: its exit status, or 128 plus the
    /// signal.
    Program(u8),
}

impl Code {
    /// All of diyadm's own codes, in ascending order. The table in the docs is generated from it.
    pub const OWN: [Self; 6] =
        [Self::Done, Self::No, Self::Usage, Self::Unreachable, Self::Fault, Self::Interrupted];

    /// The number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Fault => 101,
            Self::Interrupted => 130,
            Self::Program(status) => status,
        }
    }

    /// Its meaning.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or the answer is yes",
            Self::No => {
                "the answer is no: a check failed, a difference was found, the work could not be \
                 done"
            }
            Self::Usage => {
                "the command line, or a file that it names, is invalid; or `check` could not read \
                 the cluster, or `diff` could not compare"
            }
            Self::Unreachable => "the cluster could not be reached, or did not allow it",
            Self::Fault => "a fault of diyadm itself, with a line that says how to report it",
            Self::Interrupted => "interrupted",
            Self::Program(_) => "the exit code of the program that was run, or 128 plus its signal",
        }
    }

    /// The code for a message of clap: requested help and version are a success.
    pub fn from_clap(error: &clap::Error) -> Self {
        if error.use_stderr() { Self::Usage } else { Self::Done }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// An error with its exit code, a message and a hint.
///
/// Reaches `main` through [`anyhow::Error`]; an error without a `Failure` in its chain exits with
/// [`Code::No`].
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the process.
    pub code: Code,
    /// What failed, in one sentence. Never contains a secret.
    pub what: String,
    /// What to do next, with the command to run; may be empty.
    pub hint: String,
    /// Lines below the message, for example a table; may be empty.
    pub details: String,
    /// Where the documentation explains it; `None` if it was interrupted, or is made of other errors.
    pub topic: Option<Topic>,
    /// The message of another program, for code that inspects it. Not printed, since `what`
    /// includes it.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// An error that is made of others, with the topic of one of them, or without one if theirs are
    /// printed.
    pub fn made_of(
        code: Code,
        topic: Option<Topic>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (what, hint, details) = (what.into(), hint.into(), String::new());
        Self { code, what, hint, details, topic, cause: None }
    }

    /// Stores the message of another program.
    #[must_use]
    pub fn because(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Box::new(cause)), ..self }
    }

    /// Adds lines that are printed below the message.
    #[must_use]
    pub fn with_details(self, details: impl Into<String>) -> Self {
        Self { details: details.into(), ..self }
    }

    /// A failure with exit code 1.
    pub fn no(topic: Topic, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::made_of(Code::No, Some(topic), what, hint)
    }

    /// An invalid command line or input file.
    pub fn usage(topic: Topic, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::made_of(Code::Usage, Some(topic), what, hint)
    }

    /// The cluster could not be reached.
    pub fn unreachable(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::made_of(Code::Unreachable, Some(Topic::Unreachable), what, hint)
    }

    /// The cluster denied the request.
    pub fn forbidden(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::made_of(Code::Unreachable, Some(Topic::Forbidden), what, hint)
    }

    /// Whether it is [`Code::No`].
    pub fn is_no(&self) -> bool {
        self.code == Code::No
    }

    /// Ctrl-C; `hint` says what remains.
    pub fn interrupted(hint: impl Into<String>) -> Self {
        Self::made_of(Code::Interrupted, None, "Interrupted.", hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// A word of a command in a hint, quoted for a shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@=+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Prints `error` with its causes to stderr, then the hint on its own line, and returns the exit
/// code. A closed stdout (`diyadm status --watch | head`) is a success.
pub fn report(error: &anyhow::Error) -> Code {
    if ui::reader_has_gone(error) {
        return Code::Done;
    }
    ui::line(&format!("error: {error:#}"));
    let details = failure(error).map(|failure| failure.details.as_str()).unwrap_or_default();
    details.lines().for_each(ui::line);
    if let Some(hint) = hint(error) {
        ui::line(&format!("hint: {hint}"));
    }
    if let Some(topic) = topic(error) {
        ui::line(&page([topic.anchor()]));
    }
    code(error)
}

/// Prints a message of clap, including requested help, and `tip`; returns the exit code.
pub fn report_usage(error: &clap::Error, tip: Option<&str>) -> Code {
    // A failure to print is ignored.
    let _ = error.print();
    if let Some(tip) = tip {
        ui::line(&format!("hint: {tip}"));
    }
    Code::from_clap(error)
}

/// Turns a panic into an error that says how to report it. The panic's own message is omitted,
/// since it may quote any data. The process exits with [`Code::Fault`] if its main thread panics.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        ui::full_screen::restore();
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
        let place = place.unwrap_or_default();
        ui::line(&format!("error: internal error in diyadm{place}; the command may be half done."));
        ui::line(
            "hint: Report this line with the command you ran and the output of `diyadm version`.",
        );
    }));
}

/// Prints a warning.
pub fn warn(what: &str) {
    ui::line(&format!("warning: {what}"));
}

/// The hint of an error, if it has one.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    failure(error).map(|failure| failure.hint.as_str()).filter(|hint| !hint.is_empty())
}

/// What the documentation explains of an error.
pub fn topic(error: &anyhow::Error) -> Option<Topic> {
    failure(error).and_then(|failure| failure.topic)
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> Code {
    failure(error).map_or(Code::No, |failure| failure.code)
}

fn failure(error: &anyhow::Error) -> Option<&Failure> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, process::Command};

    use rustix::{
        fs::{Mode, OFlags, open},
        pty::{OpenptFlags, openpt, ptsname, unlockpt},
        termios::{Winsize, tcgetattr, tcsetwinsize},
    };

    use crate::ui;

    /// Runs itself in a child process that panics, since a panic hook is global.
    #[test]
    fn panic_is_an_error_without_its_message() {
        const TEXT: &str = "DIYADM_TEST_PANIC";
        if let Ok(text) = std::env::var(TEXT) {
            super::report_panics();
            std::thread::spawn(move || panic!("{text}")).join().unwrap_err();
            return;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "exit::tests::panic_is_an_error_without_its_message";
        command.args(["--exact", name, "--nocapture"]);
        let output = command.env(TEXT, "s3cret").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("error: internal error in diyadm (src/exit.rs:"), "{text}");
        assert!(text.contains("\nhint: ") && text.contains("`diyadm version`"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn panic_gives_the_terminal_back() {
        const TERMINAL: &str = "DIYADM_TEST_PANIC_TERMINAL";
        if std::env::var_os(TERMINAL).is_some() {
            super::report_panics();
            // The program may end without unwinding.
            std::mem::forget(ui::full_screen::FullScreen::enter().unwrap());
            std::thread::spawn(|| panic!()).join().unwrap_err();
            return;
        }
        let here = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&here).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&here, size).unwrap();
        let name = ptsname(&here, Vec::new()).unwrap();
        let there = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let before = tcgetattr(&there).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "exit::tests::panic_gives_the_terminal_back";
        command.args(["--exact", name, "--nocapture"]).env(TERMINAL, "1");
        let streams = [(); 3].map(|()| there.try_clone().unwrap());
        let [stdin, stdout, stderr] = streams;
        let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        let after = tcgetattr(&there).unwrap();
        assert_eq!(after.local_modes, before.local_modes);
        drop((command, there));
        let mut output = Vec::new();
        // The other end is closed.
        std::fs::File::from(here).read_to_end(&mut output).unwrap_err();
        let text = String::from_utf8(output).unwrap();
        let (shown, rest) = text.split_once("\x1b[?1049l").unwrap();
        assert!(shown.contains("\x1b[?1049h"), "{text}");
        assert!(rest.contains("error: internal error in diyadm (src/exit.rs:"), "{text}");
    }
}
