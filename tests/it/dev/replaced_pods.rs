//! Messages about replaced Pods, and the default application of commands.

use std::{
    io::{Read, Write},
    process::Stdio,
};

use super::run_commands::Typed;
use crate::rig::{Workspace, on_terminal, processes, wait_until};

#[test]
fn reports_a_new_pod_and_what_it_lost() {
    let node = require!(Workspace::on_node("dev-replaced"));
    let name = node.name;
    let typed = Typed::emptied(&node);
    let old = typed.pods().remove(0);

    let script = "echo up; exec sleep 1000";
    let mut run = typed.command(&["run", "deploy/shop", "--", "sh", "-c", script]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 3];
    run.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let (mut shell, mut terminal) = on_terminal(&typed.command(&["shell", "deploy/shop"]));
    terminal.write_all(b"echo in-$((40+2))\n").unwrap();
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("in-42") {
        let mut some = [0; 256];
        let read = terminal.read(&mut some).unwrap();
        shown.extend_from_slice(&some[..read]);
    }
    node.kubectl(&["-n", name, "delete", "pod", &old, "--wait=false"], "");

    // A terminal whose program has ended is an error to read.
    let _ = terminal.read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    assert_ne!(shell.wait().unwrap().code(), Some(0), "{shown}");
    assert!(shown.contains(&format!("Pod {old} ")), "{shown}");
    assert!(shown.contains("gone"), "{shown}");
    let mut said = String::new();
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_ne!(run.wait().unwrap().code(), Some(0), "{said}");
    assert!(said.contains(&format!("Pod {old} ")) && said.contains("gone"), "{said}");

    node.wait(name, "deployment/shop", "condition=Available");
    wait_until("its successor is alone", || typed.pods().iter().all(|pod| *pod != old));
    let new = typed.pods().remove(0);
    wait_until("an Event tells of its end", || {
        let ps = typed.run(&["ps", "deploy/shop"]);
        // Not while its init container runs.
        ps.code == Some(0)
            && ps.stderr.contains("Nothing was started yet")
            && ps.stderr.contains(&format!("Pod {new} is new: it was created"))
            && ps.stderr.contains(&format!("Pod {old}, whose place it took, ended"))
    });
    typed.run(&["stop", "deploy/shop"]).code(1).stderr_has(&format!("Pod {old}, whose place"));
}

/// As the kernel does it where it kills all of a container for its memory.
#[test]
fn reports_a_restarted_container_at_the_next_command() {
    let node = require!(Workspace::on_node("dev-restarted"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::emptied(&node);
    std::fs::write(folder.join("file"), "content").unwrap();
    let sync = || typed.run(&["sync", "file", "deploy/shop:/tmp/app/"]).code(0).stderr;
    assert!(!sync().contains("restarted"));
    let pod = || node.get(name, &format!("pod/{}", typed.pods()[0]));
    processes(&pod())[0].kill();
    wait_until("it runs again", || {
        let status = pod()["status"]["containerStatuses"][0].clone();
        status["restartCount"] == 1 && status["state"]["running"].is_object()
    });
    let says = |said: &str| {
        let told = said.contains(" was restarted ")
            && said.contains("exit 137): its processes and its files");
        assert!(told && said.contains("are gone"), "{said}");
    };
    says(&sync());
    says(&typed.run(&["shell", "deploy/shop", "--", "true"]).code(0).stderr);
    let run = ["run", "deploy/shop", "--detach", "--", "sleep", "1000"];
    says(&typed.run(&run).code(0).stderr);
    assert!(!sync().contains("restarted"), "something was started since");
}

#[test]
fn empty_with_fewer_replicas_keeps_the_pod_with_the_application() {
    let node = require!(Workspace::on_node("dev-scaled"));
    let name = node.name;
    let typed = Typed::emptied(&node);
    let old = typed.pods().remove(0);
    node.kubectl(&["-n", name, "scale", "deployment/shop", "--replicas=3"], "");
    node.wait(name, "deployment/shop", "jsonpath={.status.readyReplicas}=3");
    // The controller would keep the oldest one.
    let young: Vec<_> = typed.pods().into_iter().filter(|pod| *pod != old).collect();
    for pod in &young {
        let pod = format!("pod/{pod}");
        typed.run(&["run", &pod, "--detach", "--", "sleep", "1000"]).code(0);
    }
    let empty = || typed.run(&["empty", "deploy/shop", "--replicas", "1"]);
    empty().code(1).stderr_has("would end an application").stderr_has("`diyadm stop pod/");
    assert_eq!(typed.pods().len(), 3);
    typed.run(&["stop", &format!("pod/{}", young[0])]).code(0);
    empty().code(0).stderr_has(&format!("pod/{} is kept", young[1]));
    wait_until("one Pod is left", || typed.pods().len() == 1);
    assert_eq!(typed.pods(), young[1..]);
    typed.run(&["ps", "deploy/shop"]).code(0);
    assert_eq!(typed.app("app")["state"], "running");
    typed.run(&["restore", "deploy/shop"]).code(0);
}

#[test]
fn default_application_is_the_running_one() {
    let node = require!(Workspace::on_node("dev-means"));
    let typed = Typed::emptied(&node);
    let run = |app: &str, flags: &[&str], script: &str| {
        let args = [&["run", "deploy/shop", "--name", app], flags, &["--", "sh", "-c", script]];
        typed.run(&args.concat())
    };
    run("two", &[], "exit 3").code(3);
    run("app", &["--detach"], "echo up; exec sleep 1000").code(0);
    wait_until("it has written", || typed.run(&["logs", "deploy/shop"]).code(0).stdout == "up\n");
    typed.run(&["restart", "deploy/shop"]).code(0).stderr_has("app runs");
    typed.run(&["stop", "deploy/shop", "--rm", "app"]).code(0).stderr_has("app removed");
    // The only one that is left is meant, though it ended.
    typed.run(&["stop", "deploy/shop"]).code(0).stderr_has("two ended: exit 3");
    run("one", &[], "exit 4").code(4);
    typed.run(&["stop", "deploy/shop"]).code(2).stderr_has("one, two");
    typed.run(&["stop", "deploy/shop", "--rm", "two"]).code(0).stderr_has("two removed");
    let table = typed.run(&["ps", "deploy/shop"]).code(0).stdout;
    assert!(table.contains("one") && !table.contains("two") && !table.contains("app"), "{table}");
    typed.run(&["logs", "deploy/shop", "two"]).code(1).stderr_has("No application \"two\"");
}
