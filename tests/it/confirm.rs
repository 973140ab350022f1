//! The question before many workloads change at once, on a real terminal.

use std::io::{Read, Write};

use super::{
    rig::{Cluster, Workspace, on_terminal},
    workloads::workload,
};

/// What is typed at the question: `None` where none is expected.
type Answer<'a> = Option<&'a str>;

/// Runs the program on a terminal and answers its question; the exit code and what it has printed.
fn typed(cluster: &Cluster, args: &[&str], answer: Answer<'_>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = cluster.program(folder.path());
    let (mut child, mut terminal) = on_terminal(command.args(args));
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    let mut answer = answer;
    // The last reader of a terminal gets an error where its other end is closed.
    while let Ok(count @ 1..) = terminal.read(&mut piece) {
        said.extend_from_slice(&piece[..count]);
        if said.ends_with(b"[y/N] ") {
            let answer = answer.take().expect("no question");
            terminal.write_all(answer.as_bytes()).unwrap();
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(answer, None, "a question: {said}");
    (child.wait().unwrap().code(), said)
}

#[test]
fn asks_before_many_workloads_change() {
    let cluster = require!(Workspace::new("confirm"));
    let name = cluster.name;
    for (kind, of_it) in [("Deployment", "web"), ("Deployment", "api"), ("StatefulSet", "db")] {
        cluster.create(name, &workload(kind, of_it));
    }
    cluster.kubectl(&["-n", name, "label", "deploy/web", "app=web"], "");
    let is_emptied =
        |what: &str| diyadm::workload::is_emptied(&cluster.get(name, what).to_string());
    let all = ["deploy/web", "deploy/api", "sts/db"];
    let count = || all.iter().filter(|what| is_emptied(what)).count();
    let run = |args: &[&str], answer: Answer<'_>| {
        typed(&cluster, &[args, &["-n", name]].concat(), answer)
    };
    let counted = format!("namespace {name}: 2 deployments, 1 statefulset");

    for (command, before, after) in [("empty", 0, 3), ("restore", 3, 0)] {
        let whole = [command, "--all", "--wait=false"];
        // Ctrl-D and Ctrl-C answer too.
        for (answer, code) in [("n\n", 1), ("\n", 1), ("\x04", 1), ("\x03", 130)] {
            let (ended, said) = run(&whole, Some(answer));
            assert_eq!((ended, count()), (Some(code), before), "{said}");
            assert!(said.contains(&counted) && said.contains(command), "{said}");
            assert_eq!(said.contains("Cancelled: nothing was changed"), code == 1, "{said}");
        }
        let labelled = [command, "-l", "app=web", "--wait=false"];
        let (ended, said) = run(&labelled, Some("no\n"));
        assert_eq!((ended, count()), (Some(1), before), "{said}");
        assert!(said.contains(&format!("namespace {name}: 1 deployment\r\n")), "{said}");
        // Nothing to ask about.
        for quiet in [&["--dry-run=client"][..], &["--dry-run=server"]] {
            run(&[&whole[..], quiet].concat(), None);
            assert_eq!(count(), before, "a dry run");
        }
        run(&[command, "deploy/web", "--wait=false"], None);
        let (ended, said) = run(&whole, Some("y\n"));
        assert_eq!((ended, count()), (Some(0), after), "{said}");
        assert!(said.contains(&format!("namespace {name}: 1 deployment, 1 statefulset")), "{said}");
        run(&whole, None);
        let other = if command == "empty" { "restore" } else { "empty" };
        let (ended, said) = run(&[other, "--all", "--wait=false", "-y"], None);
        assert_eq!((ended, count()), (Some(0), before), "{said}");
        // Without a terminal there is nobody to ask.
        let folder = tempfile::tempdir().unwrap();
        cluster.diyadm(folder.path(), &[&whole[..], &["-n", name]].concat()).code(0);
        assert_eq!(count(), after);
    }
}
