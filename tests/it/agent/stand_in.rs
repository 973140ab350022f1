//! The stand-in: the workload's own application, which PID 1 runs while no other one does.

use std::{fs, path::Path, process::Command};

use diyadm_agent::protocol::{Answer, Failed, Request, STAND_IN, Start, State};

use super::{
    super::rig::wait_until,
    client::{Idle, PROGRAM, script},
    namespace::{pid_1, terminate},
};

/// A script that prints its name once it has the port, which here is a folder: whatever starts too
/// early fails.
fn server(name: &str) -> String {
    format!(
        "mkdir port || exit 9; trap 'rmdir port; exit 0' TERM; echo {name}; \
         while :; do sleep 0.05; done"
    )
}

fn with_stand_in(script: &str) -> Idle {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder.path());
    Idle::run_in(folder, command, &["--stand-in", "--", "sh", "-c", script])
}

fn named(name: &str, action: fn(String) -> Request) -> Request {
    action(name.to_owned())
}

fn stop(name: &str) -> Request {
    named(name, |name| Request::Stop { name, grace_ms: 60_000 })
}

fn restart(name: &str) -> Request {
    named(name, |name| Request::Restart { name, grace_ms: 60_000 })
}

fn kill(name: &str) -> Request {
    named(name, |name| Request::Signal { name, signal: 9 })
}

/// Whether `diyadm-agent alive` succeeds with this probe.
fn is_alive(idle: &Idle, probe: &str) -> bool {
    let mut command = Command::new(PROGRAM);
    command.arg("alive").arg("--socket").arg(idle.socket()).args(["--probe", probe]);
    command.status().unwrap().success()
}

#[test]
fn stand_in_runs_while_no_other_application_does() {
    let idle = with_stand_in(&server("stand-in"));
    let mut client = idle.client();
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    shows("stand-in");
    let [stand_in] = &client.apps()[..] else { panic!("only the stand-in") };
    assert!(stand_in.stand_in && stand_in.name == STAND_IN && stand_in.state == State::Running);

    // Its end comes before the start of another one, whose port is free then; it never comes back
    // between two runs.
    let app = client.started(&Request::Start(script("app", &server("app"))));
    assert!(!app.stand_in && app.restarts == 0);
    shows("app");
    let start = Start { replace: true, ..script("app", &server("replaced")) };
    client.started(&Request::Start(start));
    shows("replaced");
    client.started(&restart("app"));
    shows("replaced");
    let apps = client.apps();
    let [app, stand_in] = &apps[..] else { panic!("{apps:?}") };
    assert_eq!((&app.state, app.restarts), (&State::Running, 2));
    assert!(matches!(&stand_in.state, State::Ended(end) if end.asked && end.how.code() == 0));

    // It is back after a stop, an own end and a crash, but not before the last one has ended.
    client.ended(&stop("app"));
    shows("stand-in");
    client.started(&Request::Start(script("app", "echo over; exit 1")));
    shows("over");
    shows("stand-in");
    client.started(&Request::Start(script("a", &server("a"))));
    shows("a");
    client.started(&Request::Start(script("b", "echo b; exec sleep 1000")));
    shows("b");
    client.asked(&kill("a"));
    fs::remove_dir(idle.folder.path().join("port")).unwrap();
    client.ended(&named("a", |name| Request::Wait { name }));
    client.started(&restart("b"));
    shows("b");
    client.ended(&stop("b"));
    shows("stand-in");
    let stand_in = client.apps().into_iter().find(|app| app.stand_in).unwrap();
    assert_eq!((stand_in.state, stand_in.restarts), (State::Running, 3));
}

#[test]
fn stand_in_restarts_after_a_crash_with_pauses() {
    // What it leaves behind is killed, as with a container.
    let daemon =
        "setsid sh -c '>daemon-$$; exec sleep 1000' & until [ -e daemon-$! ]; do sleep 0.05; done";
    let idle = with_stand_in(&format!("sleep 1000 & {daemon}; echo crash; exit 3"));
    let mut client = idle.client();
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    shows("crash");
    shows("crash");
    wait_until("the pause", || {
        let [app] = &client.apps()[..] else { panic!("only the stand-in") };
        let ended = matches!(&app.state, State::Ended(end) if end.how.code() == 3 && !end.asked);
        ended && (app.restarts, app.processes) == (1, 0)
    });
    let names = fs::read_dir(idle.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    let daemons: Vec<_> = names.iter().filter_map(|name| name.strip_prefix("daemon-")).collect();
    assert_eq!(daemons.len(), 2);
    wait_until("its daemons are killed", || {
        daemons.iter().all(|daemon| !Path::new("/proc").join(daemon).exists())
    });
    // The kubelet must not restart the container for it.
    assert!(is_alive(&idle, r#"{"exec":{"command":["false"]}}"#));
    // Nobody waits for the pause.
    client.started(&Request::Start(script("app", "echo app; exec sleep 1000")));
    shows("app");
    client.ended(&stop("app"));
    shows("crash");
    client.started(&restart(STAND_IN));
    shows("crash");
}

/// Where it was PID 1, its end was theirs.
#[test]
fn daemons_of_the_stand_in_end_with_it() {
    // Its first process ends at once by SIGTERM, and the daemon, which has the port, when it may.
    let daemon = server("stand-in")
        .replace("rmdir port", "until [ -e go ]; do sleep 0.05; done; rmdir port");
    let idle = with_stand_in(&format!("setsid sh -c '{}' & wait", daemon.replace('\'', "\"")));
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    shows("stand-in");
    let mut client = idle.client();
    client.ask(&Request::Start(script("app", &server("app"))));
    fs::write(idle.folder.path().join("go"), "").unwrap();
    assert!(matches!(client.answer(), Answer::Started(_)));
    shows("app");
    client.ended(&stop("app"));
    shows("stand-in");
}

#[test]
fn failed_start_brings_the_stand_in_back() {
    let idle = with_stand_in(&server("stand-in"));
    let mut client = idle.client();
    assert_eq!(idle.shown.recv().unwrap(), "stand-in");
    let start = Start { command: vec!["no-such-program".into()], ..script("app", "") };
    let failed = client.failed(&Request::Start(start));
    assert!(matches!(failed, Failed::Spawn { code: 127, .. }), "{failed:?}");
    assert_eq!(idle.shown.recv().unwrap(), "stand-in");
    let [stand_in] = &client.apps()[..] else { panic!("only the stand-in") };
    assert!(stand_in.stand_in);

    let idle = Idle::start(&["--stand-in", "--", "no-such-program"]);
    let mut client = idle.client();
    wait_until("the failure", || {
        let [app] = &client.apps()[..] else { panic!("only the stand-in") };
        matches!(&app.state, State::Ended(end) if end.how.code() == 127)
    });
    client.started(&Request::Start(script("app", "exec sleep 1000")));
}

#[test]
fn stopped_start_brings_the_stand_in_back() {
    let slow = "trap 'echo stopping; until [ -e go ]; do sleep 0.05; done; exit 0' TERM; \
                echo stand-in; while :; do sleep 0.05; done";
    let idle = with_stand_in(slow);
    let (mut one, mut two) = (idle.client(), idle.client());
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    shows("stand-in");
    one.ask(&Request::Start(Start { grace_ms: 1_000_000, ..script("app", "exec sleep 1000") }));
    shows("stopping");
    assert_eq!(two.apps().len(), 1, "it has not started yet");
    assert!(is_alive(&idle, r#"{"exec":{"command":["false"]}}"#));
    two.ended(&stop("app"));
    assert!(matches!(one.answer(), Answer::Failed(Failed::Busy { .. })));
    fs::write(idle.folder.path().join("go"), "").unwrap();
    shows("stand-in");
}

#[test]
fn stand_in_is_not_used_as_an_application() {
    let idle = with_stand_in(&server("stand-in"));
    let mut client = idle.client();
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    shows("stand-in");
    let start = Request::Start(Start { replace: true, ..script(STAND_IN, "true") });
    let remove = named(STAND_IN, |name| Request::Remove { name });
    for request in [start, remove, stop(STAND_IN)] {
        let failed = client.failed(&request);
        assert!(matches!(failed, Failed::Busy { .. }), "{failed:?}");
    }
    client.started(&restart(STAND_IN));
    shows("stand-in");
    client.started(&Request::Start(script("app", &server("app"))));
    shows("app");
    assert!(matches!(client.failed(&restart(STAND_IN)), Failed::Busy { .. }));
    let stop_all = Request::StopAll { grace_ms: 60_000, exit: false };
    assert_eq!(client.asked(&stop_all), Answer::Sent);
    shows("stand-in");
}

#[test]
fn liveness_probe_counts_only_while_the_stand_in_runs() {
    let idle = with_stand_in(&server("stand-in"));
    let mut client = idle.client();
    assert_eq!(idle.shown.recv().unwrap(), "stand-in");
    let fails = r#"{"exec":{"command":["false"]}}"#;
    assert!(!is_alive(&idle, fails));
    assert!(is_alive(&idle, r#"{"exec":{"command":["true"]}}"#));
    assert!(is_alive(&idle, r#"{"initialDelaySeconds":3600,"exec":{"command":["false"]}}"#));
    client.started(&Request::Start(script("app", "exec sleep 1000")));
    assert!(is_alive(&idle, fails));
    // Nobody says what runs: it neither hangs nor fails for that.
    idle.signal("-STOP");
    assert!(is_alive(&idle, r#"{"exec":{"command":["true"]}}"#));
    assert!(!is_alive(&idle, fails));
    idle.signal("-CONT");
}

#[test]
fn stand_in_ends_in_order_with_the_container() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go").display().to_string();
    let patient = format!(
        "trap 'echo stopping; until [ -e {go} ]; do sleep 0.05; done; echo bye; exit 0' TERM; \
         echo stand-in; while :; do sleep 0.05; done"
    );
    let mut idle = require!(pid_1(&["--stand-in", "--", "sh", "-c", &patient]));
    assert_eq!(idle.shown.recv().unwrap(), "stand-in");
    let first = idle.inside.clone().unwrap();
    assert!(Command::new("kill").args(["-TERM", &first]).status().unwrap().success());
    assert_eq!(idle.shown.recv().unwrap(), "stopping");
    fs::write(go, "").unwrap();
    assert_eq!(terminate(&mut idle), Some(143));
    assert_eq!(idle.shown.iter().collect::<Vec<_>>(), ["bye"]);
}
