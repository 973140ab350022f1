//! Several clients that bring an agent into one container at the same moment.

use std::{fs, thread};

use serde_json::{Value, json};

use crate::rig::{Run, Workspace};

#[test]
fn agent_started_by_several_clients_at_once_works() {
    let node = require!(Workspace::on_node("dev-together"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["busybox"]);
    let command = ["/bin/busybox", "tail", "-f", "/dev/null"];
    node.pod(name, "web", &json!({ "image": "busybox:rig", "command": command }));
    fs::write(folder.join("file"), "content").unwrap();
    let run = |args: &[&str]| {
        let mut program = node.program(folder);
        program.args(args).args(["--live", "-n", name]);
        program
    };
    thread::scope(|scope| {
        for app in ["one", "two"] {
            let mut program = run(&["run", "web", "--detach", "--name", app]);
            program.args(["--", "sleep", "1000"]);
            scope.spawn(move || Run::of(&mut program, "").code(0));
        }
    });
    Run::of(&mut run(&["sync", "file", "web:/tmp/a/"]), "").code(0);
    let ps = Run::of(&mut run(&["ps", "web", "-o", "json"]), "").code(0).stdout;
    let ps: Value = serde_json::from_str(&ps).unwrap();
    let apps = ps["pods"][0]["apps"].as_array().unwrap();
    let mut running: Vec<_> = apps.iter().map(|app| (&app["name"], &app["state"])).collect();
    running.sort_by_key(|(name, _)| name.to_string());
    let running: Vec<_> = running.iter().map(|(name, state)| format!("{name} {state}")).collect();
    assert_eq!(running, ["\"one\" \"running\"", "\"two\" \"running\""]);
    let cat = ["-n", name, "exec", "web", "--", "cat", "/tmp/a/file"];
    assert_eq!(node.kubectl(&cat, ""), "content");
}
