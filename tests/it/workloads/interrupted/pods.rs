//! Level pod: each Pod is empty or not, and its owner stays as it is written.

use super::{
    super::{
        pods::before_the_webhook,
        result, stored,
        waiting::{count, pods, ready, with_kubelet},
        with_webhook::set_namespace_label,
    },
    Stage,
};
use crate::{
    proxy::{
        Fate::{self, Kill},
        Proxy,
    },
    rig::{Run, TIMEOUT, cluster, wait_until},
};

#[test]
fn level_pod_replacement_is_whole_wherever_it_is_cut() {
    let cluster = require!(cluster());
    let name = "cut-pods";
    let watched = before_the_webhook(&cluster, name);
    let folder = watched.folder.path();
    let before = stored(&cluster, name, "deployment/web");
    let args = |command: &'static str| {
        let level = if command == "empty" { &["--level", "pod"][..] } else { &[] };
        [&[command, "deploy/web", "-n", name, "--timeout", TIMEOUT], level].concat()
    };
    let plain = |args: &[&str]| cluster.diyadm(folder, args);
    // How many of both are empty, once both are there, and no other is.
    let empty = || {
        let mut counted = (0, 0);
        wait_until("both Pods are there", || {
            counted = count(&cluster, name);
            counted.0 == 2 && pods(&cluster, name).len() == 2
        });
        counted.1
    };
    let to = |command: &'static str| {
        set_namespace_label(&cluster, name, command == "empty");
        if empty() != if command == "empty" { 2 } else { 0 } {
            plain(&args(command)).code(0);
        }
    };
    with_kubelet(&cluster, name, &ready, || {
        let proxy = Proxy::start(cluster.kubeconfig(), folder);
        let mut stage = Stage { proxy, folder, args: Vec::new() };
        for (command, other) in [("empty", "restore"), ("restore", "empty")] {
            stage.args = args(command);
            let wanted = if command == "empty" { 2 } else { 0 };
            let prepare = || {
                to(other);
                set_namespace_label(&cluster, name, command == "empty");
            };
            let after = |when: &str, fate: Fate, run: &Run| {
                let now = empty();
                let board = result(&plain(&["status", "-n", name, "-o", "json"]).code(0));
                let state = board[0]["state"].as_str();
                assert_eq!(state == Some("pods"), now > 0, "{when}: {now}, {board}");
                if fate == Kill {
                    let again = plain(&args(command));
                    let done = now == 0 && again.stderr.contains("there is no original");
                    assert!(again.code == Some(0) || done, "{when}\nagain: {}", again.stderr);
                } else {
                    assert_eq!(run.code, Some(0), "{when}");
                }
                assert_eq!(empty(), wanted, "{when}");
                assert_eq!(stored(&cluster, name, "deployment/web"), before, "{when}");
            };
            let writes = stage.writes(&prepare, &after);
            assert_eq!(writes, 2, "two Pods are evicted");
        }
    });
}
