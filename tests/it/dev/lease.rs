//! Two people and one container, by the names that they have for the API server.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read as _},
    process::{Command, Stdio},
    thread,
};

use serde_json::{Value, json};

use super::run_commands::Typed;
use crate::{
    clock::moved,
    proxy::{Fate, Proxy},
    rig::{Run, Workspace, on_terminal, processes, program, wait_for, wait_until},
};

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
    let typed_on = |mut command: Command, who: &str, args: &[&str]| {
        command.args(["--kubeconfig", who, args[0], "-n", name, "deploy/shop"]).args(&args[1..]);
        command.stdin(Stdio::null());
        command
    };
    let command = |who: &str, args: &[&str]| typed_on(program(folder), who, args);
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

    // Both take over at the same moment: one has it at the end, and the other one knows.
    run(&person("eve"), &starts(&["--detach"])).code(0);
    let mut takers = [&ann, &ben].map(|who| {
        let mut command = command(who, &starts(&["--take-over", "--for", "8h"]));
        command.stderr(Stdio::piped()).spawn().unwrap()
    });
    let loser = wait_for(
        "one of them ends",
        || {
            takers
                .each_mut()
                .map(|taker| taker.try_wait().unwrap())
                .iter()
                .position(Option::is_some)
        },
        Option::is_some,
    );
    let loser = loser.unwrap();
    let winner = 1 - loser;
    let names = ["ann", "ben"];
    let mut said = String::new();
    takers[loser].stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let refused = format!("{} has the container", names[winner]);
    let taken = format!("{} took the container over", names[winner]);
    assert!(said.contains(&refused) || said.contains(&taken), "{said}");
    let leases = || {
        let ps = run(&ann, &["ps", "-o", "json"]).code(0).stdout;
        let ps: Value = serde_json::from_str(&ps).unwrap();
        ps["pods"][0]["leases"].as_array().cloned().unwrap_or_default()
    };
    let mut terminal = BufReader::new(takers[winner].stderr.take().unwrap()).lines();
    assert!(terminal.any(|line| line.unwrap().contains("app runs")));
    let [lease] = &leases()[..] else { panic!("one lease") };
    assert_eq!((&lease["who"], &lease["apps"]), (&json!(names[winner]), &json!(["app"])));

    // The container dies: the lease is in it, and its holder is told what is lost.
    let pod = node.get(name, &format!("pod/{}", typed.pods()[0]));
    processes(&pod)[0].kill();
    let told = terminal.map(Result::unwrap).collect::<Vec<_>>().join("\n");
    assert!(told.contains(" gone"), "{told}");
    assert_ne!(takers[winner].wait().unwrap().code(), Some(0));
    wait_until("the container runs again", || {
        let pod = node.get(name, &format!("pod/{}", typed.pods()[0]));
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"] == 1 && status["state"]["running"].is_object()
    });
    // Its successor gets the time that it asks for, although the clock here is five hours fast.
    let fast = require!(moved(folder, "CLOCK_BY", 5 * 3600));
    let mut free = typed_on(fast, [&ann, &ben][loser], &starts(&["--detach", "--for", "8h"]));
    Run::of(&mut free, "").code(0).stderr_has("was restarted");
    let [lease] = &leases()[..] else { panic!("one lease") };
    assert!(lease["left_ms"].as_u64().is_some_and(|left| left / 3_600_000 == 7), "{lease}");

    // So it is where the Pod is replaced.
    let gone = typed.pods().remove(0);
    node.kubectl(&["-n", name, "delete", "pod", &gone, "--wait"], "");
    node.wait(name, "deployment/shop", "condition=Available");
    run([&ann, &ben][winner], &starts(&["--detach"])).code(0);
    let [lease] = &leases()[..] else { panic!("one lease") };
    assert_eq!(lease["who"], names[winner]);
}

#[test]
fn end_of_a_lease_is_announced_and_restores_an_expired_workload() {
    let node = require!(Workspace::on_node("lease-end"));
    let (name, folder) = (node.name, node.folder());
    let _typed = Typed::emptied(&node);
    let words =
        |args: &[&'static str]| [&[args[0], "-n", name, "deploy/shop"], &args[1..]].concat();
    let run = |args: &[&'static str]| node.diyadm(folder, &words(args));

    // Less than 15 minutes: the terminal says so at once.
    let mut follows = node.program(folder);
    follows.args(words(&["run", "--for", "10m", "--", "sleep", "1000"]));
    let mut follows = follows.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("app will be stopped in") && line.contains("extend")));
    run(&["stop"]).code(0);
    assert_eq!(follows.wait().unwrap().code(), Some(143));

    // So does each other terminal, also if only the workload ends.
    run(&["empty", "--for", "10m", "--wait=false"]).code(0);
    let warned = |name: &str| {
        let shown = || String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
        let warning = "deploy/shop will be restored in 9m";
        let line = || {
            shown().split_inclusive('\n').find(|line| line.contains(warning)).map(ToOwned::to_owned)
        };
        wait_for(&format!("{name} warns"), line, |line| {
            line.as_ref().is_some_and(|line| line.ends_with('\n'))
        })
        .unwrap()
    };
    let output = |name: &str| File::create(folder.join(name)).unwrap();
    let mut forward = node.program(folder);
    forward.args(["forward", "-n", name, "deploy/shop", ":80"]);
    let forward = forward.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output("forward"));
    let mut forward = forward.spawn().unwrap();
    warned("forward");
    forward.kill().unwrap();
    forward.wait().unwrap();
    let mut shell = node.program(folder);
    let (mut shell, mut terminal) = on_terminal(shell.args(words(&["shell"])));
    let mut shown = output("shell");
    thread::spawn(move || io::copy(&mut terminal, &mut shown));
    // The cursor is put where the line begins, since the terminal itself does not.
    assert!(warned("shell").ends_with("\r\n"));
    shell.kill().unwrap();
    shell.wait().unwrap();

    run(&["empty", "--for", "1ms", "--wait=false"]).code(0);
    run(&["run", "--for", "1s", "--", "sleep", "1000"])
        .code(143)
        .stderr_has("its lease ended")
        .stderr_has("deployment/shop restored");
}

#[test]
fn flags_of_leases_are_named_where_an_earlier_agent_has_none() {
    let node = require!(Workspace::on_node("lease-none"));
    let (name, folder) = (node.name, node.folder());
    let _typed = Typed::emptied(&node);
    let proxy = Proxy::start(node.kubeconfig(), folder);
    proxy.judge(|_, request| if request.contains("/exec?") { Fate::NoLeases } else { Fate::Pass });
    let run = |args: &[&str]| {
        let args = [&[args[0], "-n", name, "deploy/shop"], &args[1..]].concat();
        Run::of(&mut proxy.program(folder, &args), "")
    };
    let no_effect = "--take-over, --share and --for have no effect";
    let sleep = ["--detach", "--", "sleep", "1000"];
    for flags in [&["--for", "8h"][..], &["--take-over"], &["--share", "--name", "other"]] {
        let flags = [&["run", "--replace"], flags, &sleep].concat();
        run(&flags).code(0).stderr_has("runs (pid").stderr_has(no_effect);
    }
    let plain = run(&[&["run", "--replace"], &sleep[..]].concat()).code(0);
    assert!(!plain.stderr.contains(no_effect), "{}", plain.stderr);
    run(&["extend", "1h"]).code(1).stderr_has("which has no leases").stderr_has("--upload-agent");
    // It keeps none.
    let ps = run(&["ps", "-o", "json"]).code(0).stdout;
    let ps: Value = serde_json::from_str(&ps).unwrap();
    assert_eq!(ps["pods"][0]["leases"], json!([]), "{ps}");
}
