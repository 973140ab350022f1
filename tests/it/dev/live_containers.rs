//! Commands do nothing in a live container without `--live`, and `dev` ends when its workload is
//! restored or replaced.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    project::{Dev, Project},
    run_commands::Typed,
};
use crate::{
    proxy::Proxy,
    rig::{Node, Run, Workspace, on_terminal, processes, wait_until},
};

/// The one Pod that stays.
fn pod(typed: &Typed<'_>) -> Value {
    let pods = typed.pods();
    assert_eq!(pods.len(), 1, "{pods:?}");
    typed.node.get(typed.name, &format!("pod/{}", pods[0]))
}

/// What runs in a Pod's container, one command line each.
fn lines(pod: &Value) -> Vec<String> {
    processes(pod).into_iter().map(|process| process.line).collect()
}

/// Holds a live container against what it was before anybody came: its program, and no file of
/// diyadm's or of a project's.
#[track_caller]
pub(super) fn is_untouched(node: &Node, namespace: &str, pod: &Value) {
    assert_eq!(lines(pod), ["sleep 1000000"]);
    let name = pod["metadata"]["name"].as_str().unwrap();
    let list = ["-n", namespace, "exec", name, "--", "ls", "-A", "/tmp", "/var/tmp", "/dev/shm"];
    let listed = node.try_kubectl(&list, "").stdout;
    assert!(!listed.contains("diyadm") && !listed.contains("app"), "{listed}");
}

#[test]
fn refuses_a_live_container_and_only_looks_from_outside() {
    let node = require!(Workspace::on_node("live-refused"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::deployed(&node);
    fs::write(folder.join("file"), "x").unwrap();
    fs::write(
        folder.join("diyadm.yaml"),
        "workload: deploy/shop\nrun: {command: [sleep, \"1\"]}\n",
    )
    .unwrap();
    let live = pod(&typed);
    let live_name = live["metadata"]["name"].as_str().unwrap();
    let proxy = Proxy::start(node.kubeconfig(), folder);
    let run = |args: &[&str]| {
        let mut command = proxy.program(folder, &[args[0], "-n", name]);
        Run::of(command.args(&args[1..]), "")
    };
    for command in [
        &["run", "deploy/shop", "--", "touch", "/tmp/app"][..],
        &["run", live_name, "--", "touch", "/tmp/app"],
        &["stop", "deploy/shop"],
        &["restart", "deploy/shop"],
        &["shell", "deploy/shop", "--", "touch", "/tmp/app"],
        &["sync", "file", "deploy/shop:/tmp/app"],
        &["sync", "--watch", "file", "deploy/shop:/tmp/app"],
        &["sync", "--all", "file", "deploy/shop:/tmp/app"],
        &["sync", "-l", "app=shop", "file", ":/tmp/app"],
        &["logs", "deploy/shop"],
        &["dev", "--no-empty"],
    ] {
        let said = run(command).code(1).stderr;
        let of_pod = format!("kubectl logs {live_name} -c shop");
        let what = if command[0] == "logs" { &of_pod } else { "diyadm empty deploy" };
        for part in [
            &format!("Container shop of Pod {live_name} was not emptied"),
            "its PID 1 is `sleep 1000000`",
            &format!("`{what}"),
            &format!("-n {name}"),
            "--live",
        ] {
            assert!(said.contains(part), "{part:?} of {command:?} is not in: {said}");
        }
    }
    let listed = run(&["ps", "deploy/shop"]).code(0).stderr_has("`sleep 1000000`");
    let listed = listed.stderr_has(&format!("`kubectl logs {live_name} -c shop -n {name}"));
    assert_eq!(listed.stdout, "", "there is nothing to list");
    let listed = run(&["ps", "deploy/shop", "-o", "json"]).code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap(), json!({ "pods": [] }));
    for format in ["wide", "json", "yaml"] {
        run(&["status", "deploy/shop", "-o", format]).code(0);
    }
    assert_eq!(proxy.seen("/exec?"), 0, "no command was started there");
    is_untouched(&node, name, &live);

    // The user says so.
    run(&["shell", "deploy/shop", "--live", "--", "true"]).code(0);
    // The same agent as diyadm carries.
    let agent = env!("DIYADM_AGENT_FILE");
    let long = ["run", "deploy/shop", "--live", "--detach", "--agent-program", agent];
    run(&[&long[..], &["--", "sleep", "1000"]].concat()).code(0).stderr_has("app runs");
    run(&["ps", "deploy/shop"]).code(0).stderr_has("--live");
    let listed = run(&["ps", "deploy/shop", "--live"]).code(0).stdout;
    assert!(listed.contains("app") && listed.contains("Running"), "{listed}");
    run(&["stop", "deploy/shop", "--live"]).code(0).stderr_has("app ended");
    run(&["sync", "file", "deploy/shop:/tmp/file", "--live"]).code(0);
}

/// The old Pod of a rollout that does not get on is the application that serves.
#[test]
fn names_the_old_pod_of_an_unfinished_rollout() {
    let node = require!(Workspace::on_node("live-unfinished"));
    let name = node.name;
    let typed = Typed::deployed(&node);
    let old = pod(&typed);
    let old_name = old["metadata"]["name"].as_str().unwrap();
    let image = ["--image", "nowhere.invalid/empty-container:1", "--wait=false"];
    typed.run(&[&["empty", "deploy/shop"][..], &image].concat()).code(0);
    let coming = || typed.pods().into_iter().find(|pod| pod != old_name);
    wait_until("its first emptied Pod is created", || coming().is_some());
    let coming = coming().unwrap();
    for command in [
        &["run", "deploy/shop", "--", "touch", "/tmp/app"][..],
        &["shell", "deploy/shop", "--", "touch", "/tmp/app"],
        &["logs", "deploy/shop"],
    ] {
        typed
            .run(command)
            .code(1)
            .stderr_has("The rollout of deploy/shop to the emptied template has not finished")
            .stderr_has(&format!("Pod {coming} does not start because it is "))
            .stderr_has(&format!("Pod {old_name} of the previous template still runs `sleep"));
    }
    typed.run(&["ps", "deploy/shop"]).code(0).stderr_has("has not finished");
    typed.run(&["status", "-o", "wide"]).code(0);
    is_untouched(&node, name, &old);
}

/// Both kinds run: the emptied one is taken, though the live one is ready and newer.
#[test]
fn prefers_emptied_pods_over_live_ones() {
    let node = require!(Workspace::on_node("live-both"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["busybox", "empty-container"]);
    let typed = Typed { node: &node, name, folder };
    fs::write(folder.join("file"), "x").unwrap();
    let image = json!({ "image": "empty-container:latest" });
    node.pod(name, "empty", &image);
    node.pod(name, "live", &json!({ "image": "busybox:rig", "command": ["sleep", "1000000"] }));
    for pod in ["empty", "live"] {
        node.kubectl(&["-n", name, "label", "pod", pod, "both=yes"], "");
    }
    typed
        .run(&["sync", "file", ":/tmp/app", "-l", "both=yes"])
        .code(0)
        .stderr_has("container live of Pod live was not emptied and is left alone")
        .stderr_has("to empty/empty");
    is_untouched(&node, name, &node.get(name, "pod/live"));
    typed.run(&["run", "empty", "--", "true"]).code(0);
    typed.run(&["run", "live", "--", "true"]).code(1).stderr_has("`diyadm empty pod/live");
}

/// An image of the user's choice idles by its own entrypoint: the workload's original names it, and
/// at level pod the Pod's.
#[test]
fn knows_pods_emptied_to_a_chosen_image() {
    let node = require!(Workspace::on_node("live-chosen"));
    let name = node.name;
    let typed = Typed::deployed(&node);
    node.load(&["bare"]);
    // It serves, and takes the place of an image that idles.
    typed.run(&["empty", "deploy/shop", "--image", "bare:rig"]).code(0);
    let pods = typed.pods();
    for target in ["deploy/shop", &pods[0]] {
        let listed = typed.run(&["ps", target]).code(0).stderr_has("Nothing was started yet");
        assert!(!listed.stderr.contains("not emptied"), "{}", listed.stderr);
        if target == "deploy/shop" {
            // The Pod before was live: no file or process of a developer was in it.
            assert!(!listed.stderr.contains("are gone"), "{}", listed.stderr);
        }
    }
    // Its own image is live where nothing has emptied it.
    node.pod(name, "bare", &json!({ "image": "bare:rig" }));
    typed.run(&["ps", "bare"]).code(0).stderr_has("the entrypoint of image bare:rig");
}

#[test]
fn dev_ends_when_its_workload_is_restored() {
    let node = require!(Workspace::on_node("live-restored"));
    let name = node.name;
    let project = Project::deployed(&node);
    let folder = project.folder.path();
    let typed = Typed { node: &node, name, folder };
    let mut dev = Dev::plain(&node, folder);
    dev.until("version one");
    typed.run(&["restore", "deploy/shop"]).code(0);
    let (code, said) = dev.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("deploy/shop was restored by "), "{said}");
    assert!(said.contains("Run `diyadm dev` again, which empties it first"), "{said}");
    assert!(!said.contains("continuing in"), "{said}");
    is_untouched(&node, name, &pod(&typed));
}

/// The rollout to the newer version does not finish, so the emptied Pod lives on: without the
/// application.
#[test]
fn dev_ends_when_its_workload_is_replaced_and_leaves_nothing_running() {
    let node = require!(Workspace::on_node("live-replaced"));
    let name = node.name;
    let project = Project::deployed(&node);
    let folder = project.folder.path();
    let typed = Typed { node: &node, name, folder };
    let mut dev = Dev::plain(&node, folder);
    dev.until("version one");
    let emptied = pod(&typed);
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{
        "name": "shop", "image": "nowhere.invalid/shop:2", "command": ["serve"],
    }] } } } });
    node.kubectl(&["-n", name, "patch", "deploy/shop", "-p", &patch.to_string()], "");
    let (code, said) = dev.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("was replaced by a newer version by field manager kubectl-patch"),
        "{said}"
    );
    assert!(said.contains("shop ended: "), "{said}");
    let pods = node.get(name, "pods");
    let pods = pods["items"].as_array().unwrap();
    let uid = |pod: &Value| pod["metadata"]["uid"].clone();
    assert!(pods.iter().any(|pod| uid(pod) == uid(&emptied)), "its Pod lives on: {pods:?}");
    wait_until("its application is gone", || lines(&emptied) == ["/.diyadm/diyadm-agent"]);
}

/// What builds when that happens is ended with all that it started.
#[test]
fn dev_ends_when_its_workload_is_restored_during_the_first_build() {
    let node = require!(Workspace::on_node("live-building"));
    let name = node.name;
    let project = Project::deployed(&node);
    let folder = project.folder.path();
    let typed = Typed { node: &node, name, folder };
    fs::write(folder.join("hold"), "").unwrap();
    builds(folder, "while [ -e hold ]; do sleep 0.1; done; ");
    let mut dev = Dev::plain(&node, folder);
    dev.until("building: while [ -e hold ]");
    dev.until("still building, ");
    typed.run(&["restore", "deploy/shop"]).code(0);
    let (code, said) = dev.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("deploy/shop was restored by "), "{said}");
    assert!(!said.contains("api-resources") && !said.contains("keeps running"), "{said}");
    is_untouched(&node, name, &pod(&typed));
}

#[test]
fn dev_does_not_claim_that_an_application_runs_that_was_never_started() {
    let node = require!(Workspace::on_node("live-failed"));
    let project = Project::deployed(&node);
    let folder = project.folder.path();
    let before = fs::read_to_string(folder.join("diyadm.yaml")).unwrap();
    builds(folder, "false && ");
    let mut dev = Dev::plain(&node, folder);
    dev.until("The build failed.");
    interrupt(&dev);
    let (code, said) = dev.ended();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("shop does not run in deploy/shop: `diyadm dev` starts it"), "{said}");

    fs::write(folder.join("diyadm.yaml"), before).unwrap();
    let mut dev = Dev::plain(&node, folder);
    dev.until_all(&["built", "version one"]);
    interrupt(&dev);
    let (code, said) = dev.ended();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("shop keeps running in deploy/shop"), "{said}");
    // The project's namespace is not that of the kubeconfig: a command to type names it.
    for command in ["stop", "restore"] {
        assert!(
            said.contains(&format!("`diyadm {command} deploy/shop -n {} ", node.name)),
            "{said}"
        );
    }
}

/// Puts a command before the project's build.
fn builds(folder: &Path, first: &str) {
    let file = folder.join("diyadm.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("build: ", &format!("build: {first}"))).unwrap();
}

/// Ctrl-C.
fn interrupt(dev: &Dev) {
    let pid = dev.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

/// A watch stays with emptied Pods, and ends when none is left.
#[test]
fn sync_watch_ends_when_its_workload_is_restored() {
    let node = require!(Workspace::on_node("live-watched"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::emptied(&node);
    fs::write(folder.join("file"), "one").unwrap();
    let mut watch = typed.command(&["sync", "--watch", "file", "deploy/shop:/tmp/app/file"]);
    let mut watch = watch.stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the Pod has it", || typed.all_have(1, "one"));
    typed.run(&["restore", "deploy/shop"]).code(0);
    let mut said = String::new();
    watch.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("was not emptied"), "{said}");
    is_untouched(&node, name, &pod(&typed));
}

/// Whether the terminal is closed or only the reader of its output is gone.
#[test]
fn run_leaves_nothing_when_its_terminal_closes() {
    let node = require!(Workspace::on_node("live-hangup"));
    let typed = Typed::emptied(&node);
    let script = "echo up; while :; do echo more; sleep 0.01; done";
    let run = ["run", "deploy/shop", "--stop-on-exit", "--", "sh", "-c", script];
    let (mut child, mut terminal) = on_terminal(&typed.command(&run));
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("more") {
        let mut some = [0; 256];
        let read = terminal.read(&mut some).unwrap();
        said.extend_from_slice(&some[..read]);
    }
    // The terminal is closed: whatever is written from now on fails.
    drop(terminal);
    let code = child.wait().unwrap().code();
    // By the signal, or by the first write that failed; not by a panic.
    assert!(matches!(code, Some(1 | 130)), "{code:?}");
    assert!(typed.app("app")["state"]["ended"].is_object(), "{}", typed.app("app"));

    // Its output alone is gone.
    let mut piped = typed.command(&run);
    let piped = piped.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().unwrap();
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    assert!(typed.app("app")["state"]["ended"].is_object(), "{}", typed.app("app"));
}
