//! An agent that was killed in a container whose PID 1 is a shell, and what it left running.

use std::process::Command;

use diyadm_agent::protocol::{Answer, App, Apps, Request, State};

use super::{
    client::{Client, PROGRAM, script},
    namespace::{first_child, unshare},
};

#[test]
fn restarted_agent_stops_what_a_killed_agent_left() {
    let mut command = require!(unshare());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    command.args(["sh", "-c", "while :; do sleep 1000; done"]);
    let mut container = command.spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", container.id());
    while std::fs::read_to_string(&children).unwrap().is_empty() {}
    let first = first_child(container.id());
    let inside = |words: &[&str]| {
        let mut command = Command::new("nsenter");
        command.args(["-t", &first, "-p", "-m"]).args(words);
        command
    };
    let enter = || {
        let mut command = inside(&[PROGRAM, "relay", "--socket"]);
        command.arg(&socket);
        Client::of(command)
    };

    // A port that is taken, as a folder: only an orderly end gives it back.
    let port = folder.path().join("port").display().to_string();
    // Nobody reads what it says any more, and saying it would be its end.
    let takes = format!("exec >/dev/null 2>&1; mkdir {port} || exit 9");
    let takes = format!("{takes}; trap 'rmdir {port}; exit 0' TERM");
    let serves = script("web", &format!("{takes}; while :; do sleep 0.05; done"));
    let other = script("web2", "exec sleep 1000");
    let mut client = enter();
    client.started(&Request::Start(serves));
    let other: App = client.started(&Request::Start(other));
    while !folder.path().join("port").exists() {}
    let Answer::Apps(Apps { supervisor: Some(agent), .. }) = client.asked(&Request::List) else {
        panic!("it supervises");
    };
    let kill = format!("kill -9 {}", agent.pid);
    assert!(inside(&["sh", "-c", &kill]).status().unwrap().success());
    assert_eq!(client.next_message(), None);

    let mut client = enter();
    client.started(&Request::Start(script("web", &format!("{takes}; exit 5"))));
    let app = client.ended(&Request::Wait { name: "web".into() });
    let State::Ended(end) = app.state else { panic!("{app:?}") };
    assert_eq!((end.how.code(), app.restarts), (5, 0), "the port was free");
    // What has another name goes on.
    let alive = format!("kill -0 {}", other.pid);
    assert!(inside(&["sh", "-c", &alive]).status().unwrap().success());
    assert!(Command::new("kill").args(["-KILL", &first]).status().unwrap().success());
    container.wait().unwrap();
}
