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

    // An application's output, its end and its log; a file that is sent.
    let script = "echo out; echo err >&2; exit 3";
    let run = ["run", "deploy/shop", "--name", "once", "-o", "json", "--", "sh", "-c", script];
    let run = typed.run(&run).code(3);
    cases.lines("events", "run", &run.stdout);
    let seen = events(&run);
    assert_eq!((&seen[0]["event"], &seen[0]["application"]), (&"started".into(), &"once".into()));
    let end = seen.last().unwrap();
    assert_eq!((&end["event"], &end["code"]), (&"ended".into(), &3.into()), "{}", run.stdout);
    let lines = |run: &Run| {
        let mut lines = events(run);
        lines.retain(|event| event["event"] == "line");
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        let mut lines: Vec<_> =
            lines.iter().map(|line| (text(line, "stream"), text(line, "text"))).collect();
        lines.sort();
        lines
    };
    let printed = [("stderr", "err"), ("stdout", "out")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(lines(&run), printed);
    let logs = typed.run(&["logs", "deploy/shop", "once", "-o", "json"]).code(0);
    cases.lines("events", "logs", &logs.stdout);
    assert_eq!(lines(&logs), printed, "{}", logs.stdout);
    std::fs::write(folder.join("a"), "1").unwrap();
    let sync = ["sync", "a", "deploy/shop:/tmp/a", "-o", "json"];
    let planned = typed.run(&[&sync[..], &["--dry-run"]].concat()).code(0);
    cases.lines("events", "sync --dry-run", &planned.stdout);
    assert_eq!(events(&planned)[0]["event"], "planned", "{}", planned.stdout);
    let synced = typed.run(&sync).code(0);
    cases.lines("events", "sync", &synced.stdout);
    let synced = events(&synced);
    assert_eq!((&synced[0]["event"], &synced[0]["files"]), (&"synced".into(), &1.into()));

    // A build that fails ends `--once`: nothing is sent, and what ran goes on.
    let pid = typed.app("shop")["pid"].clone();
    std::fs::remove_file(folder.join("src/app.sh")).unwrap();
    let mut dev = node.program(folder);
    dev.args(["dev", "--once", "-o", "json"]).current_dir(folder);
    let failed = Run::of(&mut dev, "").code(1);
    cases.lines("events", "dev --once, a failed build", &failed.stdout);
    let seen = events(&failed);
    let names: Vec<_> = seen.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["building", "built"], "{}", failed.stdout);
    assert_eq!(seen[1]["success"], false);
    failed.stderr_has("error: The build failed.").stderr_has("#build-failed");
    assert_eq!(typed.app("shop")["pid"], pid);

    cases.hold();
}
