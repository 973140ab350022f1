//! Data about processes from /proc and the cgroup. Only reads.

use std::{fs, str::FromStr};

/// One process, from /proc/PID/stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: i32,
    /// Its parent's id.
    pub(super) parent: i32,
    /// Its process group.
    pub(super) group: i32,
    /// Ended, but not reaped yet.
    pub(super) zombie: bool,
    /// CPU time so far, user and system, in milliseconds.
    pub(super) cpu_ms: u64,
    /// Resident memory in bytes.
    pub(super) rss: u64,
    /// When it started, in clock ticks since boot.
    pub(super) started: u64,
}

/// All visible processes. Empty if /proc is not mounted.
pub(super) fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let read = |pid: i32| parse(&fs::read(format!("/proc/{pid}/stat")).ok()?);
    pids.filter_map(read).collect()
}

/// `PID (NAME) STATE PPID PGRP …`, proc_pid_stat(5); the name may hold anything.
fn parse(stat: &[u8]) -> Option<Process> {
    let open = memchr::memchr(b'(', stat)?;
    let close = memchr::memrchr(b')', stat)?;
    let pid = str::from_utf8(&stat[..open]).ok()?.trim().parse().ok()?;
    let fields: Vec<_> =
        str::from_utf8(&stat[close + 1..]).ok()?.split_ascii_whitespace().collect();
    let ticks = field::<u64>(&fields, 14)?.saturating_add(field(&fields, 15)?);
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let pages: u64 = field(&fields, 24)?;
    Some(Process {
        pid,
        parent: field(&fields, 4)?,
        group: field(&fields, 5)?,
        zombie: fields.first() == Some(&"Z"),
        cpu_ms: ticks.saturating_mul(1000) / per_second,
        rss: pages.saturating_mul(rustix::param::page_size() as u64),
        started: field(&fields, 22)?,
    })
}

/// A field by its number in the manual, which starts at 1; the first field here is number 3 there.
fn field<T: FromStr>(fields: &[&str], number: usize) -> Option<T> {
    fields.get(number - 3)?.parse().ok()
}

/// How many processes the kernel has killed for lack of memory in this container's cgroup; `None`
/// if that cannot be read.
pub(super) fn oom_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let files = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            return None;
        };
        // Without a cgroup namespace the path is that of the host, but the mount is the
        // container's.
        let (mount, file) = files;
        let own = fs::read_to_string(format!("{mount}{path}/{file}"));
        oom_count(&own.or_else(|_| fs::read_to_string(format!("{mount}/{file}"))).ok()?)
    })
}

/// The line `oom_kill N`, the same in both versions of cgroups.
fn oom_count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_stat_is_parsed_for_any_process_name() {
        let stat = b"42 (a ) Z 9) S 7 40 40 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 1 0 99 1000 3 1\n";
        let process = parse(stat).unwrap();
        assert_eq!((process.pid, process.parent, process.group), (42, 7, 40));
        assert!(!process.zombie);
        assert_eq!(process.cpu_ms, 200 * 1000 / rustix::param::clock_ticks_per_second());
        assert_eq!(process.started, 99);
        assert_eq!(process.rss, 3 * rustix::param::page_size() as u64);
        for broken in [&b""[..], b"42", b"42 (x", b"42 (x) S", b") ("] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn oom_kills_are_counted_in_cgroup_v1_and_v2() {
        let v2 = "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(oom_count(v2), Some(2));
        assert_eq!(oom_count("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Some(5));
        assert_eq!(oom_count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    fn own_process_is_found_in_proc() {
        let own = i32::try_from(std::process::id()).unwrap();
        let seen = processes().into_iter().find(|process| process.pid == own).unwrap();
        assert!(seen.rss > 0 && !seen.zombie);
    }
}
