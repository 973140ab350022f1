//! `sync --watch` to the Pods of one Deployment on the node, with an API server that is down, that
//! starts, or that does not answer for one Pod.

use std::{fs, fs::File, path::Path, process::Stdio};

use super::run_commands::{Typed, end};
use crate::{
    cut_connections::cutter::Cutter,
    proxy::{Fate, Proxy},
    rig::{Workspace, program, wait_until},
};

/// A file in a folder, to be sent to `/tmp/app`.
fn write(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("from")).unwrap();
    fs::write(folder.join("from/file"), text).unwrap();
}

#[test]
fn sync_watch_updates_every_pod_and_new_pods() {
    let node = require!(Workspace::on_node("dev-comes"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::deployed(&node);
    node.kubectl(&["-n", name, "scale", "deploy/shop", "--replicas=2"], "");
    typed.run(&["empty", "deploy/shop", "--image", "keep", "--idle", "agent"]).code(0);
    fs::create_dir(folder.join("from")).unwrap();
    let write = |text: &str| fs::write(folder.join("from/file"), text).unwrap();
    write("one");
    let cutter = Cutter::start(node.kubeconfig(), folder);
    let mut watch = program(folder);
    watch.arg("--kubeconfig").arg(&cutter.kubeconfig);
    watch.args(["sync", "-n", name, "--watch", "--all", "from", "deploy/shop:/tmp/app"]);
    let watch =
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("both have it", || typed.all_have(2, "one"));
    write("two");
    wait_until("both have the change", || typed.all_have(2, "two"));
    // Nothing changes here any more.
    let gone = typed.pods().remove(0);
    node.kubectl(&["-n", name, "delete", "pod", &gone, "--wait=false"], "");
    wait_until("its successor has it too", || {
        !typed.pods().contains(&gone) && typed.all_have(2, "two")
    });
    // An API server that is away at the very moment of a change is waited for.
    cutter.away(true);
    write("three");
    wait_until("it has asked in vain", || cutter.refused() > 4);
    cutter.away(false);
    wait_until("both have what changed meanwhile", || typed.all_have(2, "three"));
    assert_eq!(end(watch, "-INT"), Some(130));
}

/// One Pod is meant: it is not left for one that comes.
#[test]
fn sync_watch_of_one_pod_stays_with_it() {
    let node = require!(Workspace::on_node("dev-stays"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::emptied(&node);
    let write = |text: &str| fs::write(folder.join("file"), text).unwrap();
    write("one");
    let mut watch = typed.command(&["sync", "--watch", "file", "deploy/shop:/tmp/app/file"]);
    let watch = watch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("it has it", || typed.all_have(1, "one"));
    let first = typed.pods();
    node.kubectl(&["-n", name, "scale", "deploy/shop", "--replicas=2"], "");
    node.wait(name, "deployment/shop", "jsonpath={.status.readyReplicas}=2");
    // A build deletes it before it makes it anew.
    fs::remove_file(folder.join("file")).unwrap();
    write("two");
    wait_until("it has the change", || typed.has(&first[0]) == "two");
    let second = typed.pods().into_iter().find(|pod| *pod != first[0]).unwrap();
    assert_eq!(typed.has(&second), "", "the other one was never meant");
    // Where it is gone, the other one is.
    node.kubectl(&["-n", name, "delete", "pod", &first[0], "--wait=false"], "");
    wait_until("the other one has it", || {
        typed.pods().iter().any(|pod| *pod != first[0] && typed.has(pod) == "two")
    });
    assert_eq!(end(watch, "-INT"), Some(130));
}

/// As of a Pod whose node is gone: nobody says so, for minutes.
#[test]
fn sync_watch_is_not_blocked_by_an_unreachable_pod() {
    let node = require!(Workspace::on_node("dev-held"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::deployed(&node);
    node.kubectl(&["-n", name, "scale", "deploy/shop", "--replicas=2"], "");
    typed.run(&["empty", "deploy/shop", "--image", "keep", "--idle", "agent"]).code(0);
    write(folder, "one");
    let [held, other] = <[String; 2]>::try_from(typed.pods()).unwrap();
    let proxy = Proxy::start(node.kubeconfig(), folder);
    let exec = format!("/pods/{held}/exec");
    let of_held = exec.clone();
    proxy.judge(move |_, request| if request.contains(&of_held) { Fate::Hold } else { Fate::Pass });
    let args = ["sync", "-n", name, "--watch", "--all", "from", "deploy/shop:/tmp/app"];
    let mut watch = proxy.program(folder, &args);
    let watch =
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the other one has it", || typed.has(&other) == "one");
    wait_until("the held one is asked", || proxy.seen(&exec) > 0);
    write(folder, "two");
    wait_until("the other one has the change", || typed.has(&other) == "two");
    // Nor one that comes.
    node.kubectl(&["-n", name, "delete", "pod", &other, "--wait=false"], "");
    wait_until("its successor has it", || {
        let pods = typed.pods();
        !pods.contains(&other) && pods.iter().any(|pod| *pod != held && typed.has(pod) == "two")
    });
    assert_eq!(typed.has(&held), "", "it is held");
    proxy.judge(|_, _| Fate::Pass);
    wait_until("both have it", || typed.all_have(2, "two"));
    assert_eq!(end(watch, "-INT"), Some(130));
}

#[test]
fn sync_watch_updates_new_pods_after_refusals_and_api_server_restart() {
    let node = require!(Workspace::on_node("dev-starts"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::emptied(&node);
    write(folder, "one");
    let proxy = Proxy::start(node.kubeconfig(), folder);
    let log = folder.join("log");
    let said = || fs::read_to_string(&log).unwrap();
    let args = ["sync", "-n", name, "--watch", "from", "deploy/shop:/tmp/app"];
    let mut watch = proxy.program(folder, &args);
    let stderr = File::create(&log).unwrap();
    let watch = watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    wait_until("it has it", || typed.all_have(1, "one"));
    // Whatever is refused there is told.
    let first = typed.pods().remove(0);
    let script = "rm -rf /tmp/app && echo no folder > /tmp/app";
    node.kubectl(&["-n", name, "exec", &first, "--", "sh", "-c", script], "");
    write(folder, "two");
    wait_until("it is refused", || said().contains('✗'));
    let comes = |gone: &str| {
        node.kubectl(&["-n", name, "delete", "pod", gone, "--wait=false"], "");
        wait_until("its successor runs", || {
            let pods = typed.pods();
            pods.len() == 1 && pods[0] != gone
        });
        node.wait(name, "deployment/shop", "condition=Available");
    };
    comes(&first);
    wait_until("its successor has it", || typed.all_have(1, "two"));

    // One that starts answers so for a while.
    proxy.judge(|_, _| Fate::Refuse(503, None));
    let (pod, workload) = (proxy.seen("/pods/"), proxy.seen("/deployments/"));
    let second = typed.pods().remove(0);
    comes(&second);
    write(folder, "three");
    wait_until("it has asked in vain", || {
        proxy.seen("/pods/") > pod + 1 && proxy.seen("/deployments/") > workload
    });
    proxy.judge(|_, _| Fate::Pass);
    wait_until("what came meanwhile has it", || typed.all_have(1, "three"));
    assert_eq!(end(watch, "-INT"), Some(130));
}
