//! The protocol between the local machine and the container. Pure: no file, socket, clock or
//! runtime, so that an async client and a blocking agent can share it.
//!
//! One `kubectl exec` of `diyadm-agent relay` is one conversation over its stdin and stdout:
//!
//! 1. Each side sends [`Hello`] first. Its layout never changes, so that any two versions
//!    understand this much; where [`Hello::protocol`] differs, the agent adds
//!    [`Failed::Mismatch`] and ends, and the client offers to upload the right program.
//! 2. The client sends [`Request`]s, one at a time: the next when the answer to the last is here
//!    ([`Answer`], and [`Line`]s for logs). Two exceptions: [`Request::Cancel`] ends
//!    [`Request::Logs`] and [`Request::Wait`], and after [`Request::Receive`] steps may be sent
//!    ahead (see [`transfer`]).
//! 3. The end of the client's input ends the conversation. Requests are executed anyway (a started
//!    application keeps running), but pending answers are dropped: keep the sending side open until
//!    the answer arrives.
//!
//! Every message is a [`Frame`]. Small ones are JSON, bulk ones raw bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

mod bytes;
mod content;
mod frame;
mod line;
mod status;
pub mod transfer;

pub use bytes::{Bytes, Hash};
pub use bytes::{excerpt, hex};
pub use content::{MOST_SENT, SentContent};
pub use frame::{Broken, Decoder, Frame, FrameKind, HEADER, MOST_PAYLOAD, append, json};
pub use line::{Line, Stream};
pub use status::{App, Apps, End, EndedBy, Lease, State, Supervisor, Termination, signal_name};

/// The version of everything here but [`Hello`]. Raised when an older side would misunderstand.
pub const PROTOCOL: u32 = 2;
/// The processor that this program was built for, as Rust names it.
const ARCH: &str = if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else {
    "another"
};
/// The name of the stand-in: the workload's own application, which PID 1 runs while no other one
/// does. No other application can have it.
pub const STAND_IN: &str = "stand-in";
/// Longest name of a person, in bytes.
pub const MOST_WHO: usize = 512;
/// Longest name of an application.
pub const MOST_NAME: usize = 63;
/// Longest time from SIGTERM to SIGKILL in seconds: a week. An agent shortens a longer time to
/// that.
pub const MOST_GRACE_S: u64 = 7 * 24 * 60 * 60;

/// The first message of each side. Fields may be added, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u32,
    /// Version of its program, for people: `0.1.0`.
    pub build: String,
    /// Processor its program was built for, as Rust names it: `x86_64`, `aarch64`.
    #[serde(default)]
    pub arch: String,
    /// Whether the sender knows [`Request::By`] and [`Request::Extend`].
    #[serde(default)]
    pub lease: bool,
}

impl Hello {
    /// This program's own.
    pub fn own() -> Self {
        Self {
            protocol: PROTOCOL,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            arch: ARCH.to_owned(),
            lease: true,
        }
    }
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Lists running and ended applications: [`Answer::Apps`]. Starts no supervisor.
    List,
    /// Starts an application: [`Answer::Started`].
    Start(Start),
    /// Sends SIGTERM to the application's process group, and SIGKILL after `grace_ms`.
    /// [`Answer::Ended`] follows when the group has ended, at once if it had ended before.
    Stop {
        /// The application.
        name: String,
        /// Milliseconds from SIGTERM to SIGKILL.
        grace_ms: u64,
    },
    /// Stops as [`Request::Stop`], then starts the same command again: [`Answer::Started`].
    Restart {
        /// The application.
        name: String,
        /// Milliseconds from SIGTERM to SIGKILL.
        grace_ms: u64,
    },
    /// Removes an application that ended, with its output: [`Answer::Sent`].
    Remove {
        /// The application.
        name: String,
    },
    /// Sends a signal to the application's process group (3 makes a JVM dump its threads):
    /// [`Answer::Sent`].
    Signal {
        /// The application.
        name: String,
        /// The signal's number, 1 to 31.
        signal: i32,
    },
    /// Waits until the application does not run: [`Answer::Ended`].
    Wait {
        /// The application.
        name: String,
    },
    /// Its output: [`Line`] frames, [`Answer::Lost`] in their midst, then [`Answer::End`].
    Logs(Logs),
    /// Ends `Logs` or `Wait` early: [`Answer::End`].
    Cancel,
    /// Stops all applications: [`Answer::Sent`] when all have ended.
    StopAll {
        /// Milliseconds from SIGTERM to SIGKILL.
        grace_ms: u64,
        /// The supervisor ends as well, unless it is PID 1, whose end would restart the container.
        exit: bool,
    },
    /// A request of a named person. While somebody has the container, requests of other named
    /// persons that start, stop, signal or remove an application are [`Failed::Held`].
    By(By),
    /// The lease of the person who asks ends at this time from now: [`Answer::Apps`].
    Extend {
        /// Milliseconds.
        for_ms: u64,
    },
    /// Turns the conversation into a transfer of files into a folder: [`Answer::Ready`], after
    /// which every request is a [`Request::Step`].
    Receive(transfer::Receive),
    /// One step of a transfer.
    Step {
        /// Counts up from 1; answers carry it.
        id: u32,
        /// What to do.
        op: transfer::Op,
    },
}

/// A request and who makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The person's name for the API server, at most [`MOST_WHO`] bytes. The agent believes it:
    /// whoever may start programs in the container could do anything there anyway.
    pub who: String,
    /// What to do if somebody else has the container.
    #[serde(default)]
    pub claim: Claim,
    /// The person's lease ends at this time from the start of an application, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// What the person has sent before; an agent of an earlier version ignores it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SentContent>,
    /// The request.
    pub request: Box<Request>,
}

/// What to do if somebody else has the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Nothing: that is [`Failed::Held`].
    #[default]
    Free,
    /// Start an application beside theirs.
    Share,
    /// Stop their applications first.
    TakeOver,
}

/// An application to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its name; see [`name_fits`].
    pub name: String,
    /// Program, found by PATH, and its arguments. Not empty.
    pub command: Vec<Bytes>,
    /// Variables to set in addition to the container's environment.
    #[serde(default)]
    pub env: Vec<(Bytes, Bytes)>,
    /// Text to append, after a blank, to the value of a variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_append: Vec<(Bytes, Bytes)>,
    /// Keep its stdin open without writing to it; otherwise stdin is /dev/null.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdin: bool,
    /// Working directory; by default the container's own.
    #[serde(default)]
    pub cwd: Option<Bytes>,
    /// Stop a running application of this name first; otherwise that is [`Failed::Runs`].
    #[serde(default)]
    pub replace: bool,
    /// Milliseconds from SIGTERM to SIGKILL for the replaced application.
    #[serde(default)]
    pub grace_ms: u64,
    /// What was sent for it, which the agent itself knows from [`By::sent`].
    #[serde(skip)]
    pub content: Vec<SentContent>,
}

/// Selects lines of an application's output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// The application.
    pub name: String,
    /// Only lines after this number ([`Line::number`]), to continue after a lost connection without
    /// repeating a line.
    #[serde(default)]
    pub after: u64,
    /// Only lines from this time on, in milliseconds since 1970.
    #[serde(default)]
    pub since_ms: u64,
    /// Only this number of last lines.
    #[serde(default)]
    pub tail: Option<u64>,
    /// What to do after the existing lines.
    #[serde(default)]
    pub follow: Follow,
}

/// How long [`Request::Logs`] goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// The existing lines, then [`Answer::End`].
    #[default]
    No,
    /// Until the application ends: [`Answer::Ended`] after its last line, then [`Answer::End`].
    Run,
    /// For ever, across restarts, with [`Answer::Ended`] and [`Answer::Started`] in between.
    Always,
}

/// An answer of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Running and ended applications.
    Apps(Apps),
    /// It runs.
    Started(App),
    /// It does not run.
    Ended(App),
    /// Done, without a result.
    Sent,
    /// Lines were overwritten before this reader could read them.
    Lost {
        /// Their number.
        lines: u64,
    },
    /// The end of an answer with many parts.
    End,
    /// The request failed. The conversation continues, except after `Mismatch` and `Malformed`.
    Failed(Failed),
    /// The transfer may begin.
    Ready,
    /// Some entries below the root; `Done` of the same step follows the last ones.
    Entries {
        /// The step.
        id: u32,
        /// At most a few hundred.
        entries: Vec<transfer::Entry>,
    },
    /// A step of a transfer is done.
    Done {
        /// The step.
        id: u32,
        /// Whether something was changed.
        changed: bool,
        /// Whether a mode or a time could not be set, for example of another user's file.
        /// Everything else is done.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unset: bool,
    },
    /// A step of a transfer failed and changed nothing.
    Refused {
        /// The step.
        id: u32,
        /// Why.
        refusal: transfer::Refusal,
    },
}

impl Answer {
    /// Encodes the answer as a frame; an answer that is too long becomes a failure that says so.
    pub fn frame(&self) -> Vec<u8> {
        let failed = |broken: Broken| {
            let what = format!("unexpected answer: {broken}");
            json(FrameKind::Answer, &Self::Failed(Failed::Malformed { what }))
        };
        // The failure's text is short.
        json(FrameKind::Answer, self).or_else(failed).unwrap_or_default()
    }
}

/// Why a request failed. Displayed as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    /// The two sides have different versions; this is the agent's.
    Mismatch(Hello),
    /// The received data is not a message, or not a message that is allowed here.
    Malformed {
        /// The problem.
        what: String,
    },
    /// An application of this name already runs.
    Runs(Box<App>),
    /// No application has this name.
    Unknown {
        /// The name asked for.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// The program could not be started.
    Spawn {
        /// The system's error, with the program or folder.
        why: String,
        /// The exit code of a shell in this case: 127 not found, 126 not executable.
        code: u8,
    },
    /// Another request uses this application (for example a running stop), or there are too many.
    Busy {
        /// The running request, or the exceeded limit.
        why: String,
    },
    /// Somebody else has the container.
    Held(Lease),
    /// No supervisor runs, and none could be started.
    NoSupervisor {
        /// Why.
        why: String,
    },
    /// The transfer could not be started.
    Refused(transfer::Refusal),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(Hello { protocol, build, .. }) => {
                let build = excerpt(build);
                write!(f, "the agent in the container is diyadm {build} (protocol {protocol})")
            }
            Self::Malformed { what } => write!(f, "the agent could not read a message: {what}"),
            Self::Runs(app) => write!(f, "{} already runs (pid {})", app.name, app.pid),
            Self::Unknown { name, known } if known.is_empty() => {
                write!(f, "no application {name:?}; none was started yet")
            }
            Self::Unknown { name, known } => {
                write!(f, "no application {name:?}; there is {}", known.join(", "))
            }
            Self::Spawn { why, .. } | Self::Busy { why } => f.write_str(why),
            Self::Held(lease) => write!(f, "{} has the container", excerpt(&lease.who)),
            Self::NoSupervisor { why } => write!(f, "no supervisor in the container: {why}"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

/// Whether an application may have this name: 1 to [`MOST_NAME`] letters, digits, `.`, `_`, `-`,
/// with a letter or digit first.
pub fn name_fits(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= MOST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(good)
}
