//! `diyadm forward` on the node: many connections, both families, half-close, and Pods that are
//! replaced.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use serde_json::json;

use crate::rig::{Node, Workspace, wait_until};

/// The program with `deploy/web`, until it is dropped.
pub(crate) struct Forward {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Forward {
    pub(crate) fn start(node: &Node, namespace: &str, ports: &[&str]) -> Self {
        Self::start_to(node, namespace, "deploy/web", ports)
    }

    fn start_to(node: &Node, namespace: &str, target: &str, ports: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = node.program(folder.path());
        command.args(["forward", "-n", namespace, target]).args(ports);
        Self::of(command)
    }

    /// With few file descriptors.
    fn start_limited(node: &Node, namespace: &str, target: &str, ports: &[&str]) -> Self {
        let program = node.program(Path::new("/"));
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 1024; exec \"$@\"", "sh"]).arg(program.get_program());
        command.args(program.get_args()).args(["forward", "-n", namespace, target]).args(ports);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// What it says that it listens on, and where that leads.
    pub(crate) fn line(&mut self) -> (Vec<SocketAddr>, String) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        let (here, there) = line.trim().split_once(" -> ").unwrap_or_else(|| panic!("{line:?}"));
        (here.split(", ").map(|a| a.parse().unwrap()).collect(), there.to_owned())
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is answered to a client that has said its last word.
fn answer(at: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn deploy(node: &Node, namespace: &str) {
    node.load(&["bare"]);
    let web = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web", "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "terminationGracePeriodSeconds": 1, "containers": [{
                    "name": "web", "image": "bare:rig", "imagePullPolicy": "IfNotPresent",
                    "ports": [{ "name": "http", "containerPort": 8080 }],
                }] },
            },
        },
    });
    node.kubectl(&["create", "-f", "-"], &web.to_string());
    node.wait(namespace, "deployment/web", "condition=Available");
}

#[test]
fn forward_follows_replaced_pods() {
    let node = require!(Workspace::on_node("dev-forward"));
    let name = node.name;
    deploy(&node, name);
    let mut forward = Forward::start(&node, name, &[":http", ":8080"]);
    let [(by_name, to_name), (by_number, to_number)] = [forward.line(), forward.line()];
    assert!(to_name.ends_with(":http") && to_number.ends_with(":8080"), "{to_name} {to_number}");
    assert_eq!(by_name[0].ip(), Ipv4Addr::LOCALHOST);
    let all: Vec<_> = by_name.into_iter().chain(by_number).collect();
    assert!(
        all.iter().skip(1).all(|a| a.ip() == Ipv4Addr::LOCALHOST || a.ip() == Ipv6Addr::LOCALHOST)
    );

    let many = || {
        thread::scope(|scope| {
            let asked: Vec<_> = all
                .iter()
                .cycle()
                .take(40)
                .map(|at| scope.spawn(|| answer(*at).unwrap()))
                .collect();
            for answer in asked {
                let answer = answer.join().unwrap();
                assert!(answer.ends_with("ok\n"), "{answer:?}");
            }
        });
    };
    many();
    // Its successor is found by itself; who asks meanwhile waits.
    let gone = to_name.split(':').next().unwrap();
    node.kubectl(&["-n", name, "delete", "pod", gone, "--wait=false"], "");
    wait_until("the Pod is gone", || {
        !node.kubectl(&["-n", name, "get", "pods", "-o", "name"], "").contains(gone)
    });
    many();
    assert!(forward.child.try_wait().unwrap().is_none(), "it goes on");
}

/// A server that never ends a connection by itself, one that answers when it is let, and six
/// hundred clients that go.
#[test]
fn forward_closes_a_connection_only_after_its_client() {
    let node = require!(Workspace::on_node("dev-forward-short"));
    let name = node.name;
    node.load(&["busybox"]);
    let late = "read x; until [ -e /tmp/go ]; do sleep 0.1; done; echo late";
    let script = format!(
        "echo '{late}' >/tmp/late; nc -ll -p 9001 -e sh /tmp/late & exec nc -ll -p 9000 -e cat"
    );
    node.pod(name, "web", &json!({ "image": "busybox:rig", "command": ["sh", "-c", script] }));
    let mut forward = Forward::start_limited(&node, name, "web", &[":9000", ":9001"]);
    let (echo, late) = (forward.line().0[0], forward.line().0[0]);
    let listens = |at: SocketAddr| {
        wait_until("it listens", || {
            let Ok(mut stream) = TcpStream::connect(at) else { return false };
            stream.write_all(b"x\n").is_ok() && stream.read(&mut [0]).is_ok_and(|read| read == 1)
        });
    };
    listens(echo);
    // It sends no more, and waits.
    let mut waits = TcpStream::connect(late).unwrap();
    waits.write_all(b"x\n").unwrap();
    waits.shutdown(Shutdown::Write).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..75 {
                    let mut stream = TcpStream::connect(echo).unwrap();
                    stream.write_all(b"hello").unwrap();
                    let mut answer = [0; 5];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(&answer, b"hello");
                }
            });
        }
    });
    let descriptors = format!("/proc/{}/fd", forward.child.id());
    wait_until("their descriptors are free", || fs::read_dir(&descriptors).unwrap().count() < 40);
    node.kubectl(&["-n", name, "exec", "web", "--", "touch", "/tmp/go"], "");
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "late\n");
}

#[test]
fn forward_reports_refused_ports_and_keeps_the_others() {
    let node = require!(Workspace::on_node("dev-forward-told"));
    let (name, folder) = (node.name, node.folder());
    deploy(&node, name);
    let mut command = node.program(folder);
    command.args(["forward", "-n", name, "deploy/web", ":81", ":admin", ":8080"]);
    let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut forward = Forward { child, said };
    let [closed, unknown, open] = [forward.line(), forward.line(), forward.line()];
    assert_eq!(answer(closed.0[0]).unwrap_or_default(), "");
    assert!(told.any(|line| line.contains("nothing listens on port 81")));
    assert_eq!(answer(unknown.0[0]).unwrap_or_default(), "");
    assert!(told.any(|line| line.contains("no port named admin")));
    assert!(answer(open.0[0]).unwrap().ends_with("ok\n"));

    // What another listens on is said before anything is listened on.
    let taken = format!("{}:8080", open.0[0].port());
    let run = node.diyadm(folder, &["forward", "-n", name, "deploy/web", &taken]);
    run.code(1).stderr_has("is in use");
}

#[test]
fn forward_to_a_service_uses_its_target_ports() {
    let node = require!(Workspace::on_node("dev-forward-service"));
    let name = node.name;
    deploy(&node, name);
    let front = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "front", "namespace": name },
        "spec": { "selector": { "app": "web" }, "ports": [
            { "name": "main", "port": 80, "targetPort": "http" },
            { "name": "other", "port": 81, "targetPort": 8080 },
        ] },
    });
    node.kubectl(&["create", "-f", "-"], &front.to_string());
    let mut forward = Forward::start_to(&node, name, "svc/front", &[":80", ":main", ":81"]);
    for to in [":http", ":http", ":8080"] {
        let (here, there) = forward.line();
        assert!(there.ends_with(to), "{to}: {there}");
        assert!(answer(here[0]).unwrap().ends_with("ok\n"), "{to}");
    }
}
