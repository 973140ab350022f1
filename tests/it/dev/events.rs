//! `-o json` of `run`, `logs`, `sync`, `ps` and `dev --once`: events on stdout alone, by their schema.

use std::fs;

use serde_json::Value;

use super::{project::Project, run_commands::Typed};
use crate::{
    rig::{Run, Workspace},
    schemas::Cases,
};

/// The events of a run with this name.
fn of<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

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

    let logs = typed.run(&["logs", "deploy/shop", "-o", "json"]).code(0);
    cases.lines("events", "logs", &logs.stdout);
    let lines = events(&logs);
    let is_first = |event: &Value| event["text"] == "version one" && event["stream"] == "stdout";
    assert!(of(&lines, "line").into_iter().any(is_first), "{}", logs.stdout);

    let script = "echo out; echo err >&2; exit 3";
    let run = ["run", "deploy/shop", "--name", "job", "-o", "json", "--", "sh", "-c", script];
    let run = typed.run(&run).code(3);
    cases.lines("events", "run", &run.stdout);
    let seen = events(&run);
    let texts: Vec<_> = of(&seen, "line").iter().map(|line| line["stream"].clone()).collect();
    assert_eq!(texts.len(), 2, "{}", run.stdout);
    assert!(texts.contains(&"stderr".into()), "its stderr is not this command's: {}", run.stdout);
    assert!(!run.stderr.contains("err\n"), "{}", run.stderr);
    assert_eq!(of(&seen, "ended")[0]["code"], 3);

    fs::create_dir(folder.join("www")).unwrap();
    fs::write(folder.join("www/a"), "a").unwrap();
    let sync = |more: &[&str]| {
        let to = ["sync", "www", "deploy/shop:/tmp/www-2", "-o", "json"];
        typed.run(&[&to[..], more].concat()).code(0)
    };
    let planned = sync(&["--dry-run"]);
    cases.lines("events", "sync --dry-run", &planned.stdout);
    let file = events(&planned);
    assert!(of(&file, "planned").iter().any(|e| e["action"] == "file" && e["path"] == "a"));
    let synced = sync(&[]);
    cases.lines("events", "sync", &synced.stdout);
    assert_eq!(of(&events(&synced), "synced")[0]["files"], 1);

    // A build that fails is an exit code.
    let text = fs::read_to_string(folder.join("diyadm.yaml")).unwrap();
    fs::write(folder.join("diyadm.yaml"), text.replace("build: ", "build: exit 7; ")).unwrap();
    let mut dev = node.program(folder);
    dev.args(["dev", "--once", "-o", "json"]).current_dir(folder);
    let failed = Run::of(&mut dev, "").code(1).stderr_has("The build failed.");
    assert_eq!(of(&events(&failed), "built")[0]["success"], false);
    cases.hold();
}
