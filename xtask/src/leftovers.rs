//! Network namespaces of tests that were killed before they could take them away.
//!
//! Never touches one whose process lives: `diyadm-test-PID-N` says whose it is (tests/it/rig/net).

use std::{path::Path, process::Command};

const PREFIX: &str = "diyadm-test-";

/// Takes away what nobody uses any more. Where there is no `ip` there is nothing to take away.
pub(crate) fn sweep() {
    let Ok(output) = Command::new("ip").args(["netns", "list"]).output() else { return };
    for name in stale(&String::from_utf8_lossy(&output.stdout), lives) {
        eprintln!("xtask: taking away {name}, which a test left behind");
        // Somebody else may be sweeping too.
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
    }
}

/// The names in the output of `ip netns list` whose processes are gone.
fn stale(list: &str, lives: impl Fn(u32) -> bool) -> Vec<String> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let gone = |name: &&str| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse().ok());
        pid.is_some_and(|pid| !lives(pid))
    };
    names.filter(gone).map(ToOwned::to_owned).collect()
}

fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leftovers_of_ended_processes_are_stale() {
        let list = "diyadm-test-7-0 (id: 3)\ndiyadm-test-8-1\ncni-1234\ndiyadm-test-x\n";
        assert_eq!(stale(list, |pid| pid == 8), ["diyadm-test-7-0"]);
    }
}
