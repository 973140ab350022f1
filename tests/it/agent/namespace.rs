//! What only PID 1 shows: a PID namespace of its own, made with `unshare`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use diyadm_agent::protocol::{Answer, Apps, End, Failed, Logs, Request, Start, State};

use super::{
    super::rig::{skip, wait_until},
    client::{Client, Idle, PROGRAM, relay, script, text},
};

/// A command that becomes PID 1 of a namespace; gone with `unshare` itself. `None` where this user
/// may not make one.
pub(super) fn unshare() -> Option<Command> {
    let command = || {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child=SIGTERM"]);
        command
    };
    let can = command().arg("true").stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !can {
        skip("no PID namespace: it takes root and util-linux");
    }
    can.then(command)
}

/// A supervisor that is PID 1.
pub(super) fn pid_1(args: &[&str]) -> Option<Idle> {
    let mut command = unshare()?;
    command.arg(PROGRAM);
    let mut idle = Idle::run(command, args);
    idle.inside = Some(first_child(idle.child.id()));
    Some(idle)
}

/// A container whose PID 1 is a shell. Killed when dropped.
pub(super) struct ShellContainer {
    child: Child,
    pub(super) folder: tempfile::TempDir,
    first: String,
}

impl ShellContainer {
    /// Its output goes to the file `logs` in its folder.
    pub(super) fn start() -> Option<Self> {
        let mut command = unshare()?;
        let folder = tempfile::tempdir().unwrap();
        let logs = fs::File::create(folder.path().join("logs")).unwrap();
        command.args(["sh", "-c", "while :; do sleep 1000; done"]).stdout(logs);
        let child = command.spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        wait_until("PID 1", || !fs::read_to_string(&children).unwrap().is_empty());
        let first = first_child(child.id());
        Some(Self { child, folder, first })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    /// A program inside.
    pub(super) fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.first, "-p", "-m"]).args(words);
        command
    }

    /// A client, whose first start starts a supervisor.
    pub(super) fn client(&self) -> Client {
        let mut command = self.inside(&[PROGRAM, "relay", "--socket"]);
        command.arg(self.socket());
        Client::of(command)
    }

    /// Kills the supervisor with SIGKILL.
    pub(super) fn kill_supervisor(&self, client: &mut Client) {
        let Answer::Apps(Apps { supervisor: Some(agent), .. }) = client.asked(&Request::List)
        else {
            panic!("it supervises")
        };
        let kill = format!("kill -9 {}", agent.pid);
        assert!(self.inside(&["sh", "-c", &kill]).status().unwrap().success());
        assert_eq!(client.next_message(), None);
    }
}

impl Drop for ShellContainer {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.first]).status();
        let _ = self.child.wait();
    }
}

/// SIGTERM to PID 1, then the exit code of the container.
pub(super) fn terminate(idle: &mut Idle) -> Option<i32> {
    end_by(idle, "-TERM")
}

/// A signal to PID 1 from outside its namespace, then the exit code of the container.
fn end_by(idle: &mut Idle, signal: &str) -> Option<i32> {
    let first = idle.inside.as_ref().unwrap();
    assert!(Command::new("kill").args([signal, first]).status().unwrap().success());
    idle.child.wait().unwrap().code()
}

/// The id, out here, of the process that is PID 1 in there.
pub(super) fn first_child(parent: u32) -> String {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn pid_1_reaps_every_orphan() {
    let idle = require!(pid_1(&[]));
    let mut client = idle.client();
    // Each subshell's child is orphaned at once and ends later, in a group of nobody's.
    let orphans = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); (setsid sleep 0.2 &); done; echo all";
    client.started(&Request::Start(script("orphans", orphans)));
    client.ended(&Request::Wait { name: "orphans".into() });
    // Until none of them is left, dead or alive.
    let look = "sleepers() { cat /proc/[0-9]*/stat 2>/dev/null | grep -c '(sleep)'; }; i=0; \
                while [ $i -lt 3000 ] && [ $(sleepers) != 0 ]; do i=$((i+1)); sleep 0.1; done; \
                sleepers; true";
    client.started(&Request::Start(script("look", look)));
    client.ended(&Request::Wait { name: "look".into() });
    client.ask(&Request::Logs(Logs { name: "look".into(), ..Logs::default() }));
    assert_eq!(text(&client.until_end()), "0");
}

/// A program that takes a second SIGTERM for impatience ends in its own time after the first.
#[test]
fn application_gets_one_sigterm_when_the_container_ends() {
    let mut idle = require!(pid_1(&[]));
    let mut client = idle.client();
    let patient = "trap 'echo told; got=1' TERM; echo ready; i=0; \
                   while [ $i -lt 10 ]; do sleep 0.05; [ -z \"$got\" ] || i=$((i+1)); done; echo over";
    client.started(&Request::Start(script("patient", patient)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    assert_eq!(terminate(&mut idle), Some(143));
    assert_eq!(idle.shown.iter().collect::<Vec<_>>(), ["told", "over"]);
}

/// An application that started then would get SIGKILL without SIGTERM.
#[test]
fn no_application_starts_while_the_container_ends() {
    let mut idle = require!(pid_1(&["--grace", "100000"]));
    let mut client = idle.client();
    let go = idle.folder.path().join("go");
    let slow = format!(
        "trap 'echo told' TERM; echo ready; while [ ! -e {} ]; do sleep 0.05; done; echo over",
        go.display()
    );
    client.started(&Request::Start(script("slow", &slow)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    let first = idle.inside.as_ref().unwrap();
    assert!(Command::new("kill").args(["-TERM", first]).status().unwrap().success());
    assert_eq!(idle.shown.recv().unwrap(), "told");
    let restart = Request::Restart { name: "slow".into(), grace_ms: 1000 };
    let again = Start { replace: true, ..script("slow", "true") };
    for request in [restart, Request::Start(again), Request::Start(script("new", "true"))] {
        let failed = client.failed(&request);
        assert!(matches!(failed, Failed::Busy { .. }), "{failed:?}");
    }
    fs::write(go, "").unwrap();
    assert_eq!(idle.child.wait().unwrap().code(), Some(143));
    assert_eq!(idle.shown.iter().collect::<Vec<_>>(), ["over"]);
}

/// The container runtime sends what an image's STOPSIGNAL names; the same signal from inside is for
/// the applications.
#[test]
fn stop_signal_of_an_image_ends_the_container() {
    let traps = "trap 'echo hup' HUP; trap 'echo quit; exit 0' QUIT; trap 'echo term; exit 0' TERM; \
                 echo ready; while :; do sleep 0.05; done";
    let grace = ["--grace", "100000"];
    let mut idle =
        require!(pid_1(&[&grace[..], &["--stand-in", "--", "sh", "-c", traps]].concat()));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    // As `kubectl exec POD -- kill -HUP 1`.
    let inside =
        ["--pid", "--mount", "--target", idle.inside.as_ref().unwrap(), "kill", "-HUP", "1"];
    assert!(Command::new("nsenter").args(inside).status().unwrap().success());
    assert_eq!(idle.shown.recv().unwrap(), "hup");
    assert_eq!(end_by(&mut idle, "-QUIT"), Some(143));
    assert_eq!(idle.shown.iter().collect::<Vec<_>>(), ["quit"]);

    let mut idle = require!(pid_1(&grace));
    let mut client = idle.client();
    client.started(&Request::Start(script("app", traps)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    assert_eq!(end_by(&mut idle, "-WINCH"), Some(143));
    assert_eq!(idle.shown.iter().collect::<Vec<_>>(), ["term"]);
}

#[test]
fn supervisor_refuses_clients_of_another_container() {
    let idle = require!(pid_1(&[]));
    // The same user, with the socket's folder mounted, but another PID namespace: one that PID 1
    // cannot see, and one in which neither sees the other.
    let mut outside = Client::of(relay(&idle.socket()));
    assert!(matches!(outside.failed(&Request::List), Failed::NoSupervisor { .. }));
    let mut beside = unshare().unwrap();
    beside.args([PROGRAM, "relay", "--socket"]).arg(idle.socket());
    assert_eq!(Client::of(beside).asked(&Request::List), Answer::Apps(Apps::default()));
    assert!(idle.client().apps().is_empty());
}

#[test]
fn pid_1_stops_all_processes_on_sigterm() {
    // A grace that the test would not live to see.
    let mut idle = require!(pid_1(&["--grace", "100000"]));
    let mut client = idle.client();
    let polite = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    client.started(&Request::Start(script("app", polite)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    // One that nobody supervises: as if a shell had left it behind.
    let orphan = "setsid sh -c \"trap 'echo orphan; exit 0' TERM; echo ready; \
                  while :; do sleep 0.05; done\" >/proc/1/fd/1 & sleep 0.1; exit 0";
    client.started(&Request::Start(script("other", orphan)));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    assert_eq!(terminate(&mut idle), Some(143));
    let mut shown: Vec<_> = idle.shown.iter().collect();
    shown.sort();
    assert_eq!(shown, ["bye", "orphan"]);
}

#[test]
fn pid_1_kills_processes_that_ignore_sigterm() {
    let mut idle = require!(pid_1(&["--grace", "1"]));
    let mut client = idle.client();
    client.started(&Request::Start(script(
        "app",
        "trap '' TERM; echo ready; sleep 1000; sleep 1000",
    )));
    assert_eq!(idle.shown.recv().unwrap(), "ready");
    assert_eq!(terminate(&mut idle), Some(143));
}

/// A container that idles in another program: PID 1 is a shell.
#[test]
fn relay_starts_a_supervisor_where_none_runs() {
    let container = require!(ShellContainer::start());
    let enter = || container.client();
    let mut client = enter();
    assert_eq!(client.asked(&Request::List), Answer::Apps(Apps::default()));
    assert!(!container.socket().exists(), "looking starts nothing");
    let app = client.started(&Request::Start(script("app", "echo up; exec sleep 1000")));
    drop(client);
    let Answer::Apps(Apps { supervisor: Some(supervisor), apps, .. }) =
        enter().asked(&Request::List)
    else {
        panic!("it supervises on");
    };
    assert!(supervisor.pid > 1 && supervisor.logs);
    assert_eq!((apps[0].pid, &apps[0].state), (app.pid, &State::Running));
    let logs = container.folder.path().join("logs");
    wait_until("its line is in the logs", || fs::read_to_string(&logs).unwrap().contains("up\n"));
    let mut client = enter();
    assert_eq!(client.asked(&Request::StopAll { grace_ms: 60_000, exit: true }), Answer::Sent);
    assert_eq!(client.next_message(), None);
    // Its socket is there for a moment longer than its last answer.
    while enter().asked(&Request::List) != Answer::Apps(Apps::default()) {}
}

/// A memory cgroup of the test's own.
struct Memory(std::path::PathBuf);

impl Memory {
    fn new(bytes: u32) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (parent, limit) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let group = Self(parent.join(format!("diyadm-test-{}", std::process::id())));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn oom_kill_is_reported() {
    let memory = require!(Memory::new(48 << 20), "no memory cgroup: it takes root");
    let idle = Idle::start(&[]);
    let mut client = idle.client();
    let into = memory.0.join("cgroup.procs");
    fs::write(&into, idle.child.id().to_string()).unwrap();
    for (fate, oom) in
        [("exec tail /dev/zero", true), ("tail /dev/zero; exit 137", true), ("kill -9 $$", false)]
    {
        client.started(&Request::Start(script("app", fate)));
        let app = client.ended(&Request::Wait { name: "app".into() });
        let State::Ended(end @ End { .. }) = app.state else { panic!("{app:?}") };
        assert_eq!((end.how.code(), end.oom), (137, oom), "{fate}");
    }
    drop((client, idle));
}

#[test]
fn relay_finds_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let installed = Command::new(PROGRAM).arg("install").arg(folder.path()).status();
    assert!(installed.unwrap().success());
    let program = folder.path().join("diyadm-agent");
    let mut idle = Command::new(&program).stdout(Stdio::null()).spawn().unwrap();
    let socket = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).find(|name| name.contains(".sock"))
    };
    while socket().is_none() {}
    let mut command = Command::new(&program);
    command.arg("relay");
    let mut client = Client::of(command);
    let pid = match client.asked(&Request::List) {
        Answer::Apps(Apps { supervisor: Some(supervisor), .. }) => supervisor.pid,
        other => panic!("{other:?}"),
    };
    assert_eq!(pid, idle.id());
    // A second one in the same container says that there is one.
    let second = Command::new(&program).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("already listens on"));
    idle.kill().unwrap();
    idle.wait().unwrap();
    // And a socket whose supervisor is gone is nobody's.
    assert_eq!(
        Client::of(relay(&folder.path().join(socket().unwrap()))).asked(&Request::List),
        Answer::Apps(Apps::default())
    );
}
