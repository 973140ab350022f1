//! The processes of a container on the rig's node, as this machine sees them.

use std::{fs, process::Command};

use serde_json::Value;

/// One process of a container.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number on this machine.
    pub(crate) pid: u32,
    parent: u32,
    /// Ended, and nobody has waited for it.
    pub(crate) zombie: bool,
    /// Its words.
    pub(crate) line: String,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let zombie = fields.next()? == "Z";
        let parent = fields.next()?.parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
        Some(Self { pid, parent, zombie, line })
    }

    /// Ends it as nobody would.
    pub(crate) fn kill(&self) {
        let pid = self.pid.to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    }
}

/// The processes of a Pod's first container: PID 1, and all that is below it. What `kubectl exec`
/// started is not, until it is left behind.
#[track_caller]
pub(crate) fn processes(pod: &Value) -> Vec<Process> {
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap();
    let id = id.rsplit('/').next().unwrap();
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut all: Vec<_> = pids.filter_map(Process::read).collect();
    let is_first = |process: &Process| {
        let of = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", process.pid));
        let inside = of("cgroup").is_ok_and(|groups| groups.contains(id));
        let status = of("status").unwrap_or_default();
        let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
        inside && numbers.is_some_and(|numbers| numbers.ends_with("\t1"))
    };
    let first = all.iter().position(is_first).expect("the container runs");
    let mut found = vec![all.swap_remove(first)];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].pid;
        let (children, rest) = all.into_iter().partition(|process| process.parent == parent);
        (at, all) = (at + 1, rest);
        found.extend::<Vec<_>>(children);
    }
    found
}
