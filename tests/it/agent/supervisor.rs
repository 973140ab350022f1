//! Applications: started, stopped, watched, read.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use diyadm_agent::protocol::{
    Answer, Bytes, End, Failed, Follow, FrameKind, Hello, Logs, Request, Start, State, Termination,
    json,
};

use super::{
    super::rig::{Run, wait_until},
    client::{Client, Idle, Message, PROGRAM, relay, script, text},
};

fn stop(name: &str, grace_ms: u64) -> Request {
    Request::Stop { name: name.to_owned(), grace_ms }
}

fn wait(name: &str) -> Request {
    Request::Wait { name: name.to_owned() }
}

fn logs(name: &str, follow: Follow) -> Logs {
    Logs { name: name.to_owned(), follow, ..Logs::default() }
}

fn end(state: &State) -> End {
    match state {
        State::Ended(end) => *end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn application_runs_is_read_and_ends() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let folder = idle.folder.path().canonicalize().unwrap();
    let folder = folder.to_str().unwrap();
    let start = Start {
        env: vec![("COLOUR".into(), "a b".into())],
        cwd: Some(folder.into()),
        ..script("app", "echo $COLOUR; pwd; echo oops >&2; cat; printf unended; exit 3")
    };
    let app = client.started(&Request::Start(start));
    assert_eq!((&app.name[..], app.restarts, app.cwd), ("app", 0, folder.into()));
    client.ask(&Request::Logs(logs("app", Follow::Run)));
    let said = client.until_end();
    let (last, lines) = said.split_last().unwrap();
    let mut out: Vec<_> = lines
        .iter()
        .map(|line| match line {
            Message::Line { err, cut, text, .. } => (*err, *cut, str::from_utf8(text).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    let err = out.iter().position(|(err, ..)| *err).map(|at| out.remove(at));
    assert_eq!(err, Some((true, false, "oops")));
    assert_eq!(out, [(false, false, "a b"), (false, false, folder), (false, true, "unended")]);
    let Message::Answer(Answer::Ended(app)) = last else { panic!("{last:?}") };
    let end = end(&app.state);
    assert_eq!((end.how, end.asked, end.oom), (Termination::Exit { code: 3 }, false, false));
    assert!(end.at_ms >= app.since_ms);
    // The container's own output has the same, but for what has no end yet.
    assert_eq!(idle.shown.recv().unwrap(), "a b");
    assert_eq!(idle.shown.recv().unwrap(), folder);
    let [app] = &client.apps()[..] else { panic!("one application") };
    assert_eq!((app.processes, app.lines), (0, 4));
    let again = client.ended(&wait("app"));
    assert!(matches!(again.state, State::Ended(_)));
}

#[test]
fn application_name_runs_once_unless_replaced() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    // One that is told to end before it has said anything says nothing.
    let shows = |line: &str| assert_eq!(idle.shown.recv().unwrap(), line);
    let first = client.started(&Request::Start(script("app", "echo one; exec sleep 1000")));
    shows("one");
    let Failed::Runs(runs) = client.failed(&Request::Start(script("app", "true"))) else {
        panic!("it runs");
    };
    assert_eq!((runs.pid, runs.state, runs.processes), (first.pid, State::Running, 1));
    let start = Start { replace: true, ..script("app", "echo two; exec sleep 1000") };
    let second = client.started(&Request::Start(start));
    shows("two");
    assert_eq!(second.restarts, 1);
    assert_ne!(second.pid, first.pid);
    let third = client.started(&Request::Restart { name: "app".into(), grace_ms: 60_000 });
    assert_eq!((third.restarts, &third.command), (2, &second.command));
    shows("two");
    client.ended(&stop("app", 60_000));
    client.ask(&Request::Logs(logs("app", Follow::No)));
    assert_eq!(text(&client.until_end()), "one\ntwo\ntwo");
    let Failed::Unknown { known, .. } = client.failed(&wait("other")) else { panic!("unknown") };
    assert_eq!(known, ["app"]);
}

#[test]
fn stopping_ends_the_whole_group_within_its_grace() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let polite = "trap 'echo bye; exit 0' TERM; sleep 1000 & echo ready; wait";
    client.started(&Request::Start(script("polite", polite)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    assert_eq!(client.apps()[0].processes, 2);
    let app = client.ended(&stop("polite", 60_000));
    assert_eq!((end(&app.state).how, end(&app.state).asked), (Termination::Exit { code: 0 }, true));
    assert_eq!(client.apps()[0].processes, 0, "the child is gone too");
    assert_eq!(idle.shown.recv().unwrap(), "bye");

    let deaf = "trap '' TERM; sleep 1000 & echo ready; wait; wait";
    client.started(&Request::Start(script("deaf", deaf)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    let app = client.ended(&stop("deaf", 50));
    let how = Termination::Signal { signal: 9, core: false };
    assert_eq!((end(&app.state).how, end(&app.state).oom), (how, false));
    assert_eq!(end(&app.state).to_string(), "SIGKILL");
    assert_eq!(client.apps()[0].processes, 0);

    // What the first process left behind is still the application, until it is stopped.
    client.started(&Request::Start(script("fork", "sleep 1000 & exit 0")));
    let app = client.ended(&wait("fork"));
    assert_eq!(app.processes, 1);
    assert!(matches!(client.failed(&Request::Start(script("fork", "true"))), Failed::Runs(_)));
    assert_eq!(client.ended(&stop("fork", 60_000)).processes, 0);
    client.started(&Request::Start(script("fork", "true")));
}

#[test]
fn stop_takes_precedence_over_a_pending_restart() {
    let idle = Idle::start(&[]);
    let (mut one, mut two) = (idle.client(), idle.client());
    one.started(&Request::Start(script("app", "trap '' TERM; echo ready; sleep 1000")));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    one.ask(&Request::Restart { name: "app".into(), grace_ms: 1_000_000 });
    // Until the restart is under way.
    while two.apps()[0].state != State::Stopping {}
    let again = Request::Restart { name: "app".into(), grace_ms: 0 };
    assert!(matches!(two.failed(&again), Failed::Busy { .. }));
    let app = two.ended(&stop("app", 0));
    assert!(end(&app.state).asked && app.restarts == 0);
    assert!(matches!(one.answer(), Answer::Failed(Failed::Busy { .. })));
}

#[test]
fn start_failure_names_the_reason() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let command = |words: &[&str]| Start {
        command: words.iter().copied().map(Bytes::from).collect(),
        ..script("app", "")
    };
    let mut fails = |start: Start| match client.failed(&Request::Start(start)) {
        Failed::Spawn { why, code } => (why, code),
        other => panic!("{other:?}"),
    };
    let (why, code) = fails(command(&["no-such-program", "x"]));
    assert!(why.contains("no-such-program") && code == 127, "{why}");
    assert_eq!(fails(command(&["/"])).1, 126);
    let (why, code) = fails(Start { cwd: Some("/no/such".into()), ..command(&["true"]) });
    assert!(why.contains("/no/such") && code == 126, "{why}");
    assert_eq!(fails(command(&["a\0b"])).1, 126);
    for start in [command(&[]), Start { name: "a b".into(), ..command(&["true"]) }] {
        assert!(matches!(client.failed(&Request::Start(start)), Failed::Malformed { .. }));
    }
    let start = Start { env: vec![("A=B".into(), "".into())], ..command(&["true"]) };
    assert!(matches!(client.failed(&Request::Start(start)), Failed::Malformed { .. }));
    assert!(client.apps().is_empty(), "nothing is left of them");
}

#[test]
fn slow_reader_never_blocks_the_application() {
    let idle = Idle::start(&["--ring", "64"]);
    let mut slow = idle.client();
    // It writes its many lines when the reader follows: before, all of them would be history.
    let go = idle.folder.path().join("go");
    let lines = format!(
        "echo 1; until [ -e {} ]; do sleep 0.01; done
         i=1; while [ $i -lt 200000 ]; do i=$((i+1)); echo $i; done",
        go.display()
    );
    slow.started(&Request::Start(script("app", &lines)));
    slow.ask(&Request::Logs(logs("app", Follow::Run)));
    assert!(matches!(slow.next_message(), Some(Message::Line { number: 1, .. })));
    std::fs::write(go, "").unwrap();
    // It ends while nobody reads what it wrote.
    let app = idle.client().ended(&wait("app"));
    assert_eq!(app.lines, 200_000);
    let (mut lost, mut next) = (0, 2);
    for message in slow.until_end() {
        match message {
            Message::Line { number, text, .. } => {
                assert_eq!((number, text), (next, next.to_string().into_bytes()));
                next += 1;
            }
            Message::Answer(Answer::Lost { lines }) => (lost, next) = (lost + lines, next + lines),
            Message::Answer(Answer::Ended(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next, 200_001, "each line is read or counted as lost");
    assert!(lost > 100_000, "{lost} lines were lost");
    // And all of them went through the container's own output, each whole.
    assert!((1..=200_000).all(|n: u32| idle.shown.recv().unwrap() == n.to_string()));
}

#[test]
fn log_lines_continue_over_restarts_and_connections() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    client.started(&Request::Start(script("app", "echo a; echo b; exec sleep 1000")));
    let mut reader = idle.client();
    reader.ask(&Request::Logs(logs("app", Follow::Always)));
    let line = |number, text: &[u8]| {
        Some(Message::Line { number, err: false, cut: false, text: text.to_vec() })
    };
    assert_eq!(reader.next_message(), line(1, b"a"));
    assert_eq!(reader.next_message(), line(2, b"b"));
    client.ended(&stop("app", 60_000));
    assert!(matches!(reader.answer(), Answer::Ended(_)));
    client.started(&Request::Start(script("app", "echo c; exec sleep 1000")));
    let Answer::Started(app) = reader.answer() else { panic!("it started") };
    assert_eq!(app.restarts, 1);
    assert_eq!(reader.next_message(), line(3, b"c"));
    reader.ask(&Request::Cancel);
    assert_eq!(reader.answer(), Answer::End);
    for (asked, expected) in [
        (Logs { after: 1, ..logs("app", Follow::No) }, "b\nc"),
        (Logs { tail: Some(1), ..logs("app", Follow::No) }, "c"),
        (Logs { tail: Some(0), ..logs("app", Follow::No) }, ""),
        (Logs { since_ms: app.since_ms + 3_600_000, ..logs("app", Follow::No) }, ""),
    ] {
        reader.ask(&Request::Logs(asked));
        assert_eq!(text(&reader.until_end()), expected);
    }
}

#[test]
fn application_outlives_the_client_that_started_it() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let app = client.started(&Request::Start(script("app", "echo up; exec sleep 1000")));
    client.ask(&Request::Logs(logs("app", Follow::Always)));
    assert!(matches!(client.next_message(), Some(Message::Line { .. })));
    // The connection breaks: the relay is killed in the middle.
    drop(client);
    let mut client = idle.client();
    let now = &client.apps()[0];
    assert_eq!((now.pid, now.state.clone()), (app.pid, State::Running));
    // A client that only hangs up, in the middle of a stop, has its stop carried out.
    client.ask(&stop("app", 60_000));
    drop(client.input.take());
    assert!(client.child.wait().unwrap().success());
    idle.client().ended(&wait("app"));
}

#[test]
fn signals_reach_the_process_group() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let traps = "trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'echo quit' QUIT; echo ready; \
         while :; do sleep 0.05; done";
    client.started(&Request::Start(script("app", traps)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    let signal = |signal| Request::Signal { name: "app".into(), signal };
    assert_eq!(client.asked(&signal(10)), Answer::Sent);
    assert_eq!(idle.shown.recv().unwrap(), "usr1");
    // What PID 1 gets it passes on.
    idle.signal("-HUP");
    assert_eq!(idle.shown.recv().unwrap(), "hup");
    // Java writes down its threads then.
    idle.signal("-QUIT");
    assert_eq!(idle.shown.recv().unwrap(), "quit");
    assert!(matches!(client.failed(&signal(99)), Failed::Malformed { .. }));
    client.asked(&signal(9));
    let app = client.ended(&wait("app"));
    let end = end(&app.state);
    assert_eq!((end.how, end.asked), (Termination::Signal { signal: 9, core: false }, false));
}

/// One that ends and leaves a process that never stops writing is not waited for.
#[test]
fn left_process_that_writes_forever_is_not_waited_for() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    client.started(&Request::Start(script("flood", "yes & exit 0")));
    client.ended(&wait("flood"));
    client.started(&Request::Start(script("other", "echo other; exec sleep 1000")));
    let app = client.ended(&stop("flood", 60_000));
    assert_eq!(end(&app.state).how, Termination::Exit { code: 0 });
    wait_until("the other one is read too", || idle.shown.try_iter().any(|line| line == "other"));
}

#[test]
fn stop_all_keeps_the_supervisor() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    for name in ["a", "b", "c"] {
        client.started(&Request::Start(script(name, "exec sleep 1000")));
    }
    // `exit` is for a supervisor that is not what the container runs.
    assert_eq!(client.asked(&Request::StopAll { grace_ms: 60_000, exit: true }), Answer::Sent);
    assert!(client.apps().iter().all(|app| matches!(app.state, State::Ended(_))));
    client.started(&Request::Start(script("a", "exec sleep 1000")));
}

#[test]
fn hostile_client_is_disconnected() {
    let idle = Idle::start(&[]);
    let attempts: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff, 0xff, 0xff, 0xff, 1],
        &json(FrameKind::Answer, &Answer::End).unwrap(),
        &[json(FrameKind::Hello, &Hello::own()).unwrap(), vec![9, 0, 0, 0, 2, b'{']].concat(),
    ];
    for attempt in attempts {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(idle.socket()).unwrap();
        stream.write_all(attempt).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert!(idle.client().apps().is_empty());
}

#[test]
fn client_of_another_version_is_refused() {
    let idle = Idle::start(&[]);
    let mut client = Client::silent(relay(&idle.socket()));
    let newer = Hello { protocol: 99, build: "9.9.9".into(), ..Hello::own() };
    client.send_bytes(&json(FrameKind::Hello, &newer).unwrap());
    let own = client.hello();
    assert_eq!(own, Hello::own());
    assert_eq!(client.answer(), Answer::Failed(Failed::Mismatch(own)));
    assert_eq!(client.next_message(), None);
}

#[test]
fn client_of_another_user_is_refused() {
    let idle = Idle::start(&[]);
    let folder = idle.folder.path();
    let mode = |mode| fs::Permissions::from_mode(mode);
    assert_eq!(fs::metadata(idle.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    // Where the file's mode does not keep others out, the supervisor does.
    fs::set_permissions(folder, mode(0o755)).unwrap();
    fs::set_permissions(idle.socket(), mode(0o666)).unwrap();
    let installed = Command::new(PROGRAM).arg("install").arg(folder).status().unwrap();
    assert!(installed.success());
    let mut other = Command::new(folder.join("diyadm-agent"));
    other.args(["relay", "--socket"]).arg(idle.socket()).uid(65534).gid(65534);
    require!(Command::new("true").uid(65534).status(), "no other user: it takes root");
    let mut client = Client::of(other);
    assert!(matches!(client.failed(&Request::List), Failed::NoSupervisor { .. }));
    assert!(idle.client().apps().is_empty());
}

#[test]
fn wrong_agent_arguments_are_refused_with_a_hint() {
    let run = |args: &[&str]| Run::of(Command::new(PROGRAM).args(args), "");
    run(&["--no-such"])
        .code(2)
        .stderr_has("--no-such")
        .stderr_has("hint: Run `diyadm-agent --help`");
    assert!(run(&["--help"]).code(0).stdout.contains("--grace SECONDS"));
    assert!(run(&["--version"]).code(0).stdout.contains(env!("CARGO_PKG_VERSION")));
    run(&["--grace", "604801"]).code(2).stderr_has("--grace");
    run(&["--socket", "/proc/none", "--adopt"]).code(1).stderr_has("--socket FILE");
}

#[test]
fn idle_agent_never_wakes_up() {
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    client.started(&Request::Start(script("app", "echo x; exec sleep 1000")));
    client.ended(&stop("app", 60_000));
    drop(client);
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{}/status", idle.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.unwrap().to_owned()
    };
    let mut before = switches();
    // Until the last client is forgotten.
    let still = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = switches();
        now == std::mem::replace(&mut before, now.clone())
    });
    assert!(still, "half a second without a wake-up");
}
