//! `-o json` of `dev --once`, `ps` and `status`: on stdout alone, by their schemas.

use serde_json::Value;

use super::{project::Project, run_commands::Typed};
use crate::{
    rig::{Run, Workspace},
    schemas::Cases,
};

fn events(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_json_lines_on_stdout_by_their_schema() {
    let node = require!(Workspace::on_node("events"));
    let mut cases = Cases::default();
    Project::deploy(&node, node.name);
    let project = Project::new(node.name);
    let folder = project.folder.path();
    let typed = Typed { node: &node, name: node.name, folder };

    // Builds, sends and starts, and ends while the application runs.
    let mut dev = node.program(folder);
    dev.args(["dev", "--once", "-o", "json"]).current_dir(folder);
    let dev = Run::of(&mut dev, "").code(0);
    cases.lines("events", "dev --once", &dev.stdout);
    let seen = events(&dev);
    let names: Vec<_> = seen.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["building", "built", "synced", "started"], "{}", dev.stdout);
    assert_eq!(seen[2]["files"], 1);
    assert_eq!(seen[3]["application"], "shop");
    let ps = typed.run(&["ps", "deploy/shop", "-o", "json"]).code(0).stdout;
    cases.json("ps", "ps", &ps);
    assert_eq!(typed.app("shop")["state"], "running");
    let status = typed.run(&["status", "deploy/shop", "-o", "json"]).code(0).stdout;
    cases.json("status", "status", &status);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status[0]["applications"][0]["state"], "running", "{status}");

    // The names of applications are completed.
    let mut bash = std::process::Command::new("bash");
    let script = typed.run(&["completions", "bash"]).code(0).stdout;
    let line = format!("diyadm logs{} -n {} deploy/shop ", node.flags(), node.name);
    bash.args(["--norc", "-c", crate::completion::BASH]);
    let bash = Run::of(bash.env("SCRIPT", script).env("LINE", line), "").code(0);
    assert_eq!(bash.stdout.lines().next(), Some("shop"), "{}", bash.stdout);

    cases.hold();
}
