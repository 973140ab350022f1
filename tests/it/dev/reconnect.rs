//! `diyadm dev` when its Pod is replaced or its container restarted.

use std::fs;

use diyadm::workload::is_emptied;

use super::{
    project::{Dev, Project},
    run_commands::Typed,
};
use crate::rig::{Workspace, get, processes, wait_until};

#[test]
fn dev_continues_after_pod_replacement_and_container_restart() {
    let node = require!(Workspace::on_node("dev-goes-on"));
    let name = node.name;
    let project = Project::deployed(&node);
    let mut dev = Dev::plain_with(&node, project.folder.path(), &["--for", "8h"]);
    let at = dev.address();
    dev.until("version one");
    let answers =
        |version: &str| wait_until(version, || get(&at).is_ok_and(|a| a.ends_with(version)));
    answers("one\n");
    let pod = || {
        let pods = node.get(name, "pods");
        let mut pods = pods["items"].as_array().unwrap().clone();
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods.pop().unwrap()
    };

    let gone = pod()["metadata"]["name"].as_str().unwrap().to_owned();
    node.kubectl(&["-n", name, "delete", "pod", &gone, "--wait=false"], "");
    dev.until(&format!("Pod {gone} is gone"));
    dev.until("continuing in shop-");
    dev.until("version one");
    answers("one\n");

    // PID 1 killed as nothing in its container could: the container restarts.
    processes(&pod())[0].kill();
    dev.until("was restarted (");
    dev.until("), and what ran in it is gone");
    dev.until("continuing in shop-");
    dev.until("version one");
    answers("one\n");
    let pod = pod();
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1, "{pod}");
    // The lease was lost with the container, and the new one has what is left of it.
    let typed = Typed { node: &node, name, folder: project.folder.path() };
    let wide = typed.run(&["ps", "deploy/shop", "-o", "wide"]).code(0).stdout;
    assert!(wide.contains("7h"), "{wide}");

    // And a change is heard as before.
    project.version("two");
    dev.until("version two");
    answers("two\n");
}

/// A late message about the old Pod changes nothing in the new one.
#[test]
fn dev_leaves_a_pod_deleted_during_a_build_once() {
    let node = require!(Workspace::on_node("dev-goes-meanwhile"));
    let name = node.name;
    let project = Project::deployed(&node);
    let folder = project.folder.path();
    let file = folder.join("diyadm.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let held = "build: touch begun; while [ -e hold ]; do sleep 0.1; done; ";
    fs::write(&file, text.replace("build: ", held)).unwrap();
    let mut dev = Dev::plain(&node, folder);
    dev.until("version one");
    let typed = Typed { node: &node, name, folder };
    let pods = typed.pods();
    fs::write(folder.join("hold"), "").unwrap();
    fs::remove_file(folder.join("begun")).unwrap();
    project.version("two");
    wait_until("it is built", || folder.join("begun").exists());
    node.kubectl(&["-n", name, "delete", "pod", &pods[0], "--wait"], "");
    fs::remove_file(folder.join("hold")).unwrap();
    dev.until("continuing in shop-");
    dev.until("version two");
    project.version("three");
    dev.until("version three");
    assert_eq!(typed.app("shop")["restarts"], 1);
}

/// While it waits for a Pod too.
#[test]
fn dev_quits_by_key_while_no_pod_runs() {
    let node = require!(Workspace::on_node("dev-no-pod"));
    let name = node.name;
    let project = Project::deployed(&node);
    let mut dev = Dev::on_terminal(&node, project.folder.path());
    dev.until("version one");
    node.kubectl(&["-n", name, "scale", "deploy/shop", "--replicas=0"], "");
    dev.until("is gone");
    dev.keys.write_all(b"Q").unwrap();
    let (code, said) = dev.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(!is_emptied(&node.get(name, "deploy/shop").to_string()));
}
