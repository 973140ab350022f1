//! The exit codes, the error type that carries one, and how an error is shown.

use std::{fmt, process::ExitCode};

use super::output;

/// The status that the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// 0: success, or the answer is yes.
    Done,
    /// 1: failure, or the answer is no.
    No,
    /// 2: invalid command line.
    Usage,
    /// 101: a panic. Rust's number for it.
    Fault,
    /// 143: SIGTERM ended PID 1 cleanly. Not 0, which would make a Job's container look successful.
    Terminated,
    /// The status of a program that the small shell ran.
    Program(u8),
}

impl Code {
    const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Fault => 101,
            Self::Terminated => 143,
            Self::Program(status) => status,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// An error with its exit code and with what to do next.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    what: String,
    hint: String,
}

impl Failure {
    /// A failure with exit code 1.
    pub(super) fn no(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::No, what: what.into(), hint: hint.into() }
    }

    /// An invalid command line.
    pub(super) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::Usage, what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Prints `error` with its causes, then the hint on a line of its own; returns the code to end
/// with.
pub(super) fn report(error: &anyhow::Error) -> Code {
    output::line(&format!("error: {error:#}"));
    hint(error)
}

/// Prints `error` for the program that started this one, which shows its first line as it is.
pub(super) fn report_to_parent(error: &anyhow::Error) -> Code {
    output::line(&format!("{error:#}"));
    hint(error)
}

fn hint(error: &anyhow::Error) -> Code {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let Some(Failure { code, hint, .. }) = failure else { return Code::No };
    output::line(&format!("hint: {hint}"));
    *code
}

/// Turns a panic into an error that says how to report it. The panic's own message is omitted,
/// since it may quote any data.
pub(super) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
        let place = place.unwrap_or_default();
        output::line(&format!(
            "error: internal error in diyadm-agent {}{place}.",
            env!("CARGO_PKG_VERSION")
        ));
        output::line("hint: Report this line with the command that you ran.");
        // A release would abort, with a core dump.
        std::process::exit(Code::Fault.number().into());
    }));
}
