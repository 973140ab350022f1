//! Processes that are found by the environment variable of their application: those that a killed
//! agent left running, where PID 1 is another program and the container continues without the agent,
//! and those that left the process group of the stand-in. A process of another user, or one that hides
//! its environment, is not found.

use std::{fs, os::unix::fs::MetadataExt};

use rustix::process::{Pid, Signal};

use super::{
    clock::now_ms,
    proc::{self, Process},
};

/// The variable: `NAME@CONTAINER.SESSION`. All processes of an application inherit it.
pub(super) const VARIABLE: &str = "DIYADM_APP";

/// The mark that a supervisor gives to its applications.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// The mount namespace's inode: containers of a Pod may share processes, and each container has
    /// its own applications.
    container: u64,
    /// Identifies this supervisor among earlier ones.
    session: String,
}

impl Mark {
    /// This process's.
    pub(super) fn own() -> Self {
        let container = fs::metadata("/proc/self/ns/mnt").map(|meta| meta.ino());
        let session = format!("{}-{}", now_ms(), std::process::id());
        Self { container: container.unwrap_or_default(), session }
    }

    /// [`VARIABLE`] of an application.
    pub(super) fn value(&self, name: &str) -> String {
        format!("{name}@{}.{}", self.container, self.session)
    }

    /// Whether an environment from /proc belongs to a process of `name` in this container that
    /// another supervisor started.
    fn is_before(&self, environ: &[u8], name: &str) -> bool {
        self.has_session(environ, name, |session| session != self.session)
    }

    /// The same for a process that this supervisor started.
    fn is_own(&self, environ: &[u8], name: &str) -> bool {
        self.has_session(environ, name, |session| session == self.session)
    }

    fn has_session(&self, environ: &[u8], name: &str, wanted: impl Fn(&str) -> bool) -> bool {
        let mut variables = environ.split(|byte| *byte == 0);
        let same = format!("{VARIABLE}={name}@{}.", self.container);
        variables.any(|variable| {
            str::from_utf8(variable).is_ok_and(|text| text.strip_prefix(&same).is_some_and(&wanted))
        })
    }

    /// Processes of an application of this supervisor that are not in the process group `group`.
    pub(super) fn outside(&self, name: &str, group: Pid) -> Vec<Process> {
        let group = group.as_raw_nonzero().get();
        let others = with_environment(|environ| self.is_own(environ, name));
        others.filter(|process| process.group != group).collect()
    }
}

/// The processes whose environment is wanted. An ended process has none, also before it is reaped.
fn with_environment(wanted: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = Process> {
    let has = move |process: &Process| {
        fs::read(format!("/proc/{}/environ", process.pid)).is_ok_and(|environ| wanted(&environ))
    };
    proc::processes().into_iter().filter(has)
}

/// The remaining processes of an application.
#[derive(Debug)]
pub(super) struct Leftover {
    mark: Mark,
    name: String,
}

impl Leftover {
    /// What a supervisor earlier than `mark` left of `name`, and one of its processes; `None` if
    /// nothing is left.
    pub(super) fn find(mark: &Mark, name: &str) -> Option<(Self, Pid)> {
        let left = Self { mark: mark.clone(), name: name.to_owned() };
        let first = left.processes().next()?;
        Some((left, first))
    }

    /// Sends a signal to all of it.
    pub(super) fn signal(&self, signal: Signal) {
        self.processes().for_each(|pid| {
            // They have ended meanwhile: there is no process to signal.
            let _ = rustix::process::kill_process(pid, signal);
        });
    }

    /// Whether nothing is left.
    pub(super) fn is_gone(&self) -> bool {
        self.processes().next().is_none()
    }

    fn processes(&self) -> impl Iterator<Item = Pid> {
        let found = with_environment(|environ| self.mark.is_before(environ, &self.name));
        found.filter_map(|process| Pid::from_raw(process.pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_identifies_name_container_and_supervisor() {
        let mark = |container, session: &str| Mark { container, session: session.to_owned() };
        let environ = format!("A=1\0{VARIABLE}={}\0B=2\0", mark(7, "1-20").value("web"));
        let is_before = |mark: Mark, name| mark.is_before(environ.as_bytes(), name);
        assert!(is_before(mark(7, "2-20"), "web"));
        assert!(!is_before(mark(7, "1-20"), "web"), "its own");
        assert!(mark(7, "1-20").is_own(environ.as_bytes(), "web"));
        assert!(!mark(7, "2-20").is_own(environ.as_bytes(), "web"));
        assert!(!is_before(mark(70, "2-20"), "web"), "another container's");
        assert!(!is_before(mark(7, "2-20"), "we"), "another name");
        assert!(!mark(7, "2-20").is_before(b"", "web"));
    }
}
