//! `run`, `ps`, `logs`, `restart`, `stop` and others in the Pods of one Deployment on the node.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

use super::project::Project;
use crate::rig::{Node, Run, Workspace, on_terminal, wait_until};

pub(super) struct Typed<'a> {
    pub(super) node: &'a Node,
    pub(super) name: &'a str,
    pub(super) folder: &'a Path,
}

impl<'a> Typed<'a> {
    /// Creates `deploy/shop`; commands run in the test's folder.
    pub(super) fn deployed(node: &'a Workspace<Node>) -> Self {
        Project::deploy(node, node.name);
        Self { node, name: node.name, folder: node.folder() }
    }

    /// The same, emptied with the agent.
    pub(super) fn emptied(node: &'a Workspace<Node>) -> Self {
        let typed = Self::deployed(node);
        typed.run(&["empty", "deploy/shop", "--image", "keep", "--idle", "agent"]).code(0);
        typed
    }

    /// The first word of `args` is the command, the second one the workload.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.node.program(self.folder);
        command.args([args[0], "-n", self.name]).args(&args[1..]).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.command(args), "")
    }

    /// What `ps` says of an application.
    pub(super) fn app(&self, name: &str) -> Value {
        let ps = self.run(&["ps", "deploy/shop", "-o", "json"]).code(0).stdout;
        let ps: Value = serde_json::from_str(&ps).unwrap();
        let apps = ps["pods"][0]["apps"].as_array().unwrap_or_else(|| panic!("{ps}"));
        apps.iter().find(|app| app["name"] == name).unwrap_or_else(|| panic!("{ps}")).clone()
    }

    /// Names of the Pods that stay, sorted.
    pub(super) fn pods(&self) -> Vec<String> {
        let pods = self.node.get(self.name, "pods");
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let pods = pods["items"].as_array().unwrap().iter().filter(stays);
        let mut names: Vec<_> =
            pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// What the file of a Pod has; nothing where there is none.
    pub(super) fn has(&self, pod: &str) -> String {
        let cat = ["-n", self.name, "exec", pod, "--", "cat", "/tmp/app/file"];
        self.node.try_kubectl(&cat, "").stdout
    }

    /// Whether every Pod has the file with this content.
    pub(super) fn all_have(&self, pods: usize, content: &str) -> bool {
        let names = self.pods();
        names.len() == pods && names.iter().all(|pod| self.has(pod) == content)
    }
}

pub(super) fn end(mut child: Child, signal: &str) -> Option<i32> {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    child.wait().unwrap().code()
}

#[test]
fn run_ps_logs_restart_and_stop_work() {
    let node = require!(Workspace::on_node("dev-typed"));
    let name = node.name;
    let typed = Typed::emptied(&node);

    // Its output and its exit status are this command's.
    let script = "echo out; echo err >&2; exit 3";
    let once = ["run", "deploy/shop", "--name", "once", "--", "sh", "-c", script];
    let run = typed.run(&once).code(3).stderr_has("err\n");
    assert_eq!(run.stdout, "out\n");
    assert_eq!(typed.app("once")["state"]["ended"]["how"], json!({ "exit": { "code": 3 } }));

    let detached = ["run", "deploy/shop", "--name", "wrong", "--detach", "--"];
    typed
        .run(&[&detached[..], &["sh", "-c", "exit 4"]].concat())
        .code(4)
        .stderr_has("wrong ended: exit 4")
        .stderr_has("`diyadm logs deploy/shop ")
        .stderr_has(" wrong`");
    typed.run(&["stop", "deploy/shop", "--rm", "wrong"]).code(0);

    let script = "echo up $WHO; exec sleep 1000";
    let long = ["run", "deploy/shop", "--env", "WHO=me", "--detach"];
    let command = ["--", "sh", "-c", script];
    let again = |more: &[&str]| typed.run(&[&long[..], more, &command].concat());
    again(&[]).code(0).stderr_has("app runs");
    let first = typed.app("app");
    assert_eq!(first["state"], "running");
    again(&[]).code(1).stderr_has("app already runs (pid ").stderr_has("--replace");
    again(&["--replace"]).code(0);
    let second = typed.app("app");
    assert_ne!(first["pid"], second["pid"]);
    typed.run(&["restart", "deploy/shop", "app"]).code(0);
    assert_eq!(typed.app("app")["restarts"], 2);
    let board = typed.run(&["status", "deploy/shop", "-o", "json"]).code(0).stdout;
    let board: Value = serde_json::from_str(&board).unwrap();
    let told = board[0]["applications"].as_array().unwrap_or_else(|| panic!("{board}"));
    let told: Vec<_> = told.iter().map(|app| (&app["name"], &app["state"])).collect();
    assert_eq!(told, [(&json!("app"), &json!("running")), (&json!("once"), &json!("exit 3"))]);
    let board = typed.run(&["status", "deploy/shop", "-o", "wide"]).code(0).stdout;
    assert!(board.contains("app running, once exit 3"), "{board}");
    let table = typed.run(&["ps", "deploy/shop"]).code(0).stdout;
    assert!(table.starts_with("NAME") && table.lines().count() == 3, "{table}");

    assert_eq!(typed.run(&["logs", "deploy/shop", "app"]).code(0).stdout, "up me\n".repeat(3));
    let last = typed.run(&["logs", "deploy/shop", "app", "--tail", "1"]).code(0).stdout;
    assert_eq!(last, "up me\n");
    // What runs is meant, whatever has ended.
    assert_eq!(typed.run(&["logs", "deploy/shop"]).code(0).stdout, "up me\n".repeat(3));
    let mut follow = typed.command(&["logs", "deploy/shop", "app", "-f"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = [0; 18];
    follow.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    typed.run(&["stop", "deploy/shop", "app"]).code(0).stderr_has("app ended");
    assert_eq!(typed.app("app")["state"]["ended"]["asked"], true);
    // It waits for the next start, and Ctrl-C ends it.
    assert_eq!(end(follow, "-INT"), Some(130));
    // Of two Pods kubectl may take the one that goes.
    wait_until("kubectl logs shows its lines", || {
        let logs = node.kubectl(&["-n", name, "logs", "deploy/shop"], "");
        logs.matches("up me\n").count() == 3
    });

    // A terminal in there has the size of this one, and what it ends with comes out.
    // It may change after the command began.
    let script = "until stty size 2>/dev/null | grep 101; do sleep 0.1; done; exit 7";
    let shell = typed.command(&["shell", "deploy/shop", "--", "sh", "-c", script]);
    let size = Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut child, mut terminal) = on_terminal(&shell);
    tcsetwinsize(&terminal, size).unwrap();
    let mut shown = Vec::new();
    // A terminal whose program has ended is an error to read.
    let _ = terminal.read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    assert_eq!(child.wait().unwrap().code(), Some(7), "{shown}");
    assert!(shown.contains("33 101"), "{shown}");
}

/// An agent that was brought along ends with its container, and what it runs would be killed.
#[test]
fn restore_stops_running_applications_with_sigterm() {
    let node = require!(Workspace::on_node("dev-back"));
    let typed = Typed::deployed(&node);
    typed.run(&["empty", "deploy/shop", "--image", "keep", "--idle", "shell"]).code(0);
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let mut run = typed.command(&["run", "deploy/shop", "--", "sh", "-c", script]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = [0; 3];
    run.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    typed
        .run(&["restore", "deploy/shop"])
        .code(0)
        .stderr_has("app in shop-")
        .stderr_has("was stopped");
    let mut rest = String::new();
    run.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye\n");
    assert_eq!(run.wait().unwrap().code(), Some(0), "its own status came out");
}

/// With shareProcessNamespace PID 1 is the pause process, with hostPID it is the node's own: the
/// agent supervises and reaps what it runs all the same.
#[test]
fn run_works_with_shared_or_host_pid_namespace() {
    let node = require!(Workspace::on_node("dev-shared"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["empty-container"]);
    let typed = Typed { node: &node, name, folder };
    for (pod, field) in [("shared", "shareProcessNamespace"), ("host", "hostPID")] {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": pod, "namespace": name },
            "spec": { "terminationGracePeriodSeconds": 1, "containers": [{
                "name": "app", "image": "empty-container:latest", "imagePullPolicy": "IfNotPresent",
            }] },
        });
        object["spec"][field] = true.into();
        node.kubectl(&["create", "-f", "-"], &object.to_string());
        node.wait(name, &format!("pod/{pod}"), "condition=Ready");
        // It leaves a process behind, which nobody waits for.
        let orphan = format!("orphan-{pod}");
        let script = format!(
            "printf '#!/bin/sh\nsleep 0.2\n' > /tmp/{orphan}; chmod +x /tmp/{orphan}; \
             (setsid /tmp/{orphan} &); echo left; exit 4"
        );
        let run = typed.run(&["run", pod, "--name", "once", "--", "sh", "-c", &script]).code(4);
        assert_eq!(run.stdout, "left\n");
        let look = format!("cat /proc/[0-9]*/stat 2>/dev/null | grep -c '({orphan})'");
        let exec = ["-n", name, "exec", pod, "--", "sh", "-c", &look];
        wait_until("it is reaped", || node.try_kubectl(&exec, "").stdout.trim() == "0");
        typed.run(&["run", pod, "--detach", "--", "sleep", "1000"]).code(0);
        let table = typed.run(&["ps", pod]).code(0).stdout;
        assert!(table.contains("Running"), "{table}");
        typed.run(&["stop", pod, "app"]).code(0).stderr_has("app ended");
        let pod = node.get(name, &format!("pod/{pod}"));
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod}");
    }
}

/// Whoever asks for that finds nothing left of it, even where it was still to start.
#[test]
fn interrupted_run_leaves_its_application_unless_stop_on_exit() {
    let node = require!(Workspace::on_node("dev-stops"));
    let name = node.name;
    let typed = Typed::emptied(&node);
    let up = |app: &str, flags: &[&str], at_term: &str| {
        let script = format!("trap '{at_term}' TERM; echo up; while :; do sleep 0.1; done");
        let args = [&["run", "deploy/shop", "--name", app], flags, &["--", "sh", "-c", &script]];
        typed.command(&args.concat()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let is_up = |run: &mut Child| {
        let mut said = [0; 3];
        run.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"up\n");
    };
    for (app, flags, goes_on) in [("goes", &["--stop-on-exit"][..], false), ("stays", &[], true)] {
        let mut run = up(app, flags, "exit 0");
        is_up(&mut run);
        assert_eq!(end(run, "-INT"), Some(130));
        assert_eq!(typed.app(app)["state"] == "running", goes_on, "{app}");
    }
    // The one that it is to replace leaves a file when it gets SIGTERM, and ends by SIGKILL alone.
    let mut slow = up("slow", &[], "touch /tmp/told; sleep 1000");
    is_up(&mut slow);
    assert_eq!(end(slow, "-INT"), Some(130));
    let next = up("slow", &["--replace", "--stop-on-exit"], "exit 0");
    wait_until("the first one is told", || {
        let look = ["-n", name, "exec", "deploy/shop", "--", "test", "-e", "/tmp/told"];
        node.try_kubectl(&look, "").code == Some(0)
    });
    assert_eq!(end(next, "-INT"), Some(130));
    assert_eq!(typed.app("slow")["restarts"], 0, "the second one never ran");
    assert_ne!(typed.app("slow")["state"], "running");
}
