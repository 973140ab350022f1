//! Status of applications and their supervisor: plain data of the protocol.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Bytes, SentContent};

/// Answer to `List`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apps {
    /// The supervisor; `None` in a container with another PID 1 where none was started yet.
    pub supervisor: Option<Supervisor>,
    /// Sorted by name.
    pub apps: Vec<App>,
    /// Protocols of other supervisors in the container, older or newer than this one. Their
    /// applications are not listed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<u32>,
    /// Who has the container: one lease for each person with an application there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<Lease>,
    /// What was sent to the container, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SentContent>,
}

/// One person's hold on a container. Times are durations, so that no two clocks are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lease {
    /// The person's name for the API server.
    pub who: String,
    /// The applications that this person started.
    pub apps: Vec<String>,
    /// Milliseconds since it began.
    pub held_ms: u64,
    /// Milliseconds since the person's last request or connection; 0 while connected.
    pub unseen_ms: u64,
    /// Milliseconds until its applications are stopped; without it, it ends with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

/// Why an application was stopped, where its own user did not ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// This person took the container over.
    TakeOver(String),
    /// The lease ended.
    Lease,
}

/// The agent that starts applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Supervisor {
    /// 1 if it is the container's main process, which reaps every orphan.
    pub pid: u32,
    /// Version of its program.
    pub build: String,
    /// When it started, in milliseconds since 1970. Line numbers restart with it.
    pub since_ms: u64,
    /// Whether the applications' output reaches `kubectl logs`.
    pub logs: bool,
}

/// The current status of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct App {
    /// Its name.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<Bytes>,
    /// Working directory it was started in.
    pub cwd: Bytes,
    /// Whether it runs.
    pub state: State,
    /// Process id of the newest run, which is also its process group.
    pub pid: u32,
    /// When the newest run started, in milliseconds since 1970.
    pub since_ms: u64,
    /// How often it was started again, by `Restart` or by `Start` with `replace`.
    pub restarts: u32,
    /// Number of processes in its group; some may outlive the first process.
    pub processes: u32,
    /// CPU time of those processes so far, user and system, milliseconds.
    pub cpu_ms: u64,
    /// Resident memory of those processes, bytes.
    pub rss: u64,
    /// Number of its newest line; 0 before the first.
    pub lines: u64,
    /// The loopback port at which its JVM waits for a debugger, if it was started for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug_port: Option<u16>,
    /// Whether it is the stand-in: the workload's own application, which runs while no other one
    /// does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
    /// Why it was stopped, where its own user did not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// What was sent for it before the newest run started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<SentContent>,
}

/// Whether an application runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs.
    Running,
    /// SIGTERM was sent, and some processes still run.
    Stopping,
    /// Its first process ended.
    Ended(End),
}

/// The end of a run. Displayed as `exit 1`, `SIGKILL (out of memory)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct End {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// How.
    pub how: Termination,
    /// Whether a request asked for it.
    pub asked: bool,
    /// The container's cgroup counted a kill for memory during this run, and the end looks like
    /// it: SIGKILL, or exit 137, which is what a shell makes of a child that had it. False where
    /// the cgroup cannot be read.
    pub oom: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// It exited.
    Exit {
        /// Its exit status.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether the kernel says that it wrote a core file.
        core: bool,
    },
}

impl Termination {
    /// The exit code of a shell: the exit status, or 128 plus the signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Exit { code } => code,
            Self::Signal { signal, .. } => 128 + signal,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.how {
            Termination::Exit { code } => {
                write!(f, "exit {code}")?;
                false
            }
            Termination::Signal { signal, core } => {
                match signal_name(signal) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "signal {signal}")?,
                }
                core
            }
        };
        f.write_str(if self.oom { " (out of memory)" } else { "" })?;
        f.write_str(if core { " (core dumped)" } else { "" })
    }
}

/// The name of a signal that ends programs, by its number on Linux (signal(7); x86_64 and
/// aarch64 agree on these).
pub fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}
