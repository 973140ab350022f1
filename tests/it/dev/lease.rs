//! Two people and one container, by the names that they have for the API server.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};

use super::run_commands::Typed;
use crate::rig::{Run, Workspace, program, wait_until};

#[test]
fn second_person_is_refused_or_takes_over() {
    let node = require!(Workspace::on_node("lease"));
    let (name, folder) = (node.name, node.folder());
    let typed = Typed::emptied(&node);
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let config: Value = serde_json::from_str(&node.kubectl(&view, "")).unwrap();
    let person = |who: &str| {
        let mut config = config.clone();
        config["users"][0]["user"]["as"] = json!(who);
        config["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
        let file = folder.join(who);
        fs::write(&file, config.to_string()).unwrap();
        file.display().to_string()
    };
    let (ann, ben) = (person("ann"), person("ben"));
    let command = |who: &str, args: &[&str]| {
        let mut command = program(folder);
        command.args(["--kubeconfig", who, args[0], "-n", name, "deploy/shop"]).args(&args[1..]);
        command.stdin(Stdio::null());
        command
    };
    let run = |who: &str, args: &[&str]| {
        let run = Run::of(&mut command(who, args), "");
        // Shown if the test fails.
        println!("{who} {args:?}\n{}{}", run.stdout, run.stderr);
        run
    };
    let sleep = ["--", "sleep", "1000"];
    let starts = |flags: &[&'static str]| [&["run"], flags, &sleep].concat();

    let mut follows = command(&ann, &starts(&["--for", "8h"]));
    let mut follows = follows.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("app runs")));

    run(&ben, &starts(&["--detach"]))
        .code(1)
        .stderr_has("ann has the container")
        .stderr_has("--take-over");
    run(&ben, &["stop"]).code(1).stderr_has("connected now, 7h");
    run(&ben, &["extend", "1h"]).code(1).stderr_has("ann has the container");
    run(&ben, &starts(&["--name", "beside", "--share", "--detach"])).code(0);
    let wide = run(&ben, &["ps", "-o", "wide"]).code(0).stdout;
    let columns = |app: &str| {
        let row = wide.lines().find(|line| line.contains(app)).unwrap();
        row.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert!(columns("beside").contains(&"ben".to_owned()), "{wide}");
    assert!(columns("app ").iter().any(|cell| cell.starts_with("7h")), "{wide}");
    run(&ann, &["extend", "2h"]).code(0).stderr_has("is yours for 2h from now");

    run(&ben, &starts(&["--take-over", "--detach"])).code(0).stderr_has("app runs");
    // She reads it on her terminal.
    assert!(lines.any(|line| line.contains("ben took the container over")));
    assert_eq!(follows.wait().unwrap().code(), Some(143));
    run(&ann, &starts(&["--detach"])).code(1).stderr_has("ben has the container: beside, app");
    let ps = run(&ann, &["ps", "-o", "json"]).code(0).stdout;
    let ps: Value = serde_json::from_str(&ps).unwrap();
    let leases = &ps["pods"][0]["leases"];
    assert_eq!((&leases[0]["who"], &leases[1]), (&json!("ben"), &Value::Null), "{ps}");

    run(&ann, &["restart", "app", "--take-over"]).code(0);
    run(&ben, &["stop", "beside"]).code(0);
    run(&ann, &["stop"]).code(0);
    wait_until("nobody has it", || typed.app("app")["state"]["ended"]["asked"] == true);
    run(&ben, &starts(&["--detach"])).code(0);
}
