//! An agent that was killed in a container whose PID 1 is a shell, and what it left running.

use diyadm_agent::protocol::{App, Request, State};

use super::{client::script, namespace::ShellContainer};

#[test]
fn restarted_agent_stops_what_a_killed_agent_left() {
    let container = require!(ShellContainer::start());
    let folder = &container.folder;
    // A port that is taken, as a folder: only an orderly end gives it back.
    let port = folder.path().join("port").display().to_string();
    // Nobody reads what it says any more, and saying it would be its end.
    let takes = format!("exec >/dev/null 2>&1; mkdir {port} || exit 9");
    let takes = format!("{takes}; trap 'rmdir {port}; exit 0' TERM");
    let serves = script("web", &format!("{takes}; while :; do sleep 0.05; done"));
    let other = script("web2", "exec sleep 1000");
    let mut client = container.client();
    client.started(&Request::Start(serves));
    let other: App = client.started(&Request::Start(other));
    while !folder.path().join("port").exists() {}
    container.kill_supervisor(&mut client);

    let mut client = container.client();
    client.started(&Request::Start(script("web", &format!("{takes}; exit 5"))));
    let app = client.ended(&Request::Wait { name: "web".into() });
    let State::Ended(end) = app.state else { panic!("{app:?}") };
    assert_eq!((end.how.code(), app.restarts), (5, 0), "the port was free");
    // What has another name goes on.
    let alive = format!("kill -0 {}", other.pid);
    assert!(container.inside(&["sh", "-c", &alive]).status().unwrap().success());
}
