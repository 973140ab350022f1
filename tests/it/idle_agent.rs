//! The cost of an idle empty container: memory, and no CPU time.

use std::{thread, time::Duration};

use serde_json::json;

use super::rig::{Workspace, wait_until};

/// KB of its own memory.
const OWN: u64 = 256;
/// KB of memory, the pages of the program's file among them: the kernel maps most of so small a file.
const MOST: u64 = 2048;

#[test]
fn idle_agent_is_small_and_uses_no_cpu() {
    let node = require!(Workspace::on_node("rest"));
    let name = node.name;
    node.load(&["empty-container"]);
    node.pod(name, "rest", &json!({ "image": "empty-container:latest" }));
    let status = || node.kubectl(&["-n", name, "exec", "rest", "--", "cat", "/proc/1/status"], "");
    let field = |status: &str, name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut after = status();
    assert!(after.starts_with("Name:\tdiyadm-agent\n"), "{after}");
    // What its start left to do is done by then.
    wait_until("three seconds without a wake-up", || {
        let before = std::mem::take(&mut after);
        thread::sleep(Duration::from_secs(3));
        after = status();
        ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
            .iter()
            .all(|count| field(&before, count) == field(&after, count))
    });
    let own = field(&after, "RssAnon:") + field(&after, "RssShmem:");
    assert!(own <= OWN && field(&after, "VmRSS:") <= MOST, "{after}");
}
