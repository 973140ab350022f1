//! Commands in a container where WebSockets speak `v4.channel.k8s.io` alone, as with API servers up
//! to 1.29, or are refused: a proxy stands before the real API server, which hands v4 on to the
//! real kubelet.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use super::tree::noise;
use crate::{
    proxy::{Fate, Proxy},
    rig::{Node, Run, Workspace, wait_until},
};

/// A Pod of two containers that share the folder `data` of this machine: `any` takes an agent,
/// `none` does not.
fn pod(node: &Node, namespace: &str, data: &Path) {
    let container = |name: &str, read_only: bool| {
        json!({
            "name": name,
            "image": "busybox:rig",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/busybox", "tail", "-f", "/dev/null"],
            "securityContext": { "readOnlyRootFilesystem": read_only },
            "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        })
    };
    node.load(&["busybox"]);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "old", "namespace": namespace },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container("any", false), container("none", true)],
            "volumes": [{ "name": "data", "hostPath": { "path": data } }],
        },
    });
    node.kubectl(&["create", "-f", "-"], &pod.to_string());
    node.wait(namespace, "pod/old", "condition=Ready");
}

#[test]
fn exec_works_over_websocket_protocol_v4() {
    let node = require!(Workspace::on_node("version4"));
    let (name, folder) = (node.name, node.folder());
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    pod(&node, name, &data);
    let proxy = Proxy::start(node.kubeconfig(), folder);
    proxy.judge(|_, _| Fate::Version4);
    let command = |container: &str, words: &[&str]| {
        let mut command: Command = proxy.program(folder, &words[..1]);
        command.args(["-n", name, "-c", container, "--live"]).args(&words[1..]);
        command
    };

    // What is read ends by itself.
    let shell = |words: &[&str], stdin: &str| {
        let words = [&["shell", "-i", "pod/old", "--"], words].concat();
        Run::of(&mut command("any", &words), stdin)
    };
    let run = shell(&["sh", "-c", "echo out; echo err >&2; exit 3"], "").code(3).stderr_has("err");
    assert_eq!(run.stdout, "out\n");
    let run = shell(&["sh", "-c", "read -r line; echo got $line; exit 4"], "a line\n").code(4);
    assert_eq!(run.stdout, "got a line\n");
    let run = shell(&["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], "").code(0);
    assert_eq!(run.stdout.len(), 3_000_000);
    assert_eq!(shell(&["head", "-c", "5"], "hello, and more").code(0).stdout, "hello");
    let run = Run::of(&mut command("any", &["shell", "pod/old", "--", "echo", "hello"]), "");
    assert_eq!(run.code(0).stdout, "hello\n");

    // A program that reads to the end waits for it, and the user knows why.
    let words = ["shell", "-i", "pod/old", "--", "cat"];
    let mut cat = command("any", &words);
    let pipes = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut cat = pipes.spawn().unwrap();
    cat.stdin.take().unwrap().write_all(b"all of it\n").unwrap();
    let mut said = String::new();
    BufReader::new(cat.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "all of it\n");
    let stderr = BufReader::new(cat.stderr.take().unwrap());
    let warning = |line: &String| line.contains("the end of the input does not reach the command");
    let warned = stderr.lines().map(Result::unwrap).find(warning).unwrap();
    assert!(warned.contains("v4.channel.k8s.io") && warned.contains("Ctrl-C"), "{warned}");
    assert!(cat.try_wait().unwrap().is_none());
    let pid = cat.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(cat.wait().unwrap().code(), Some(130));

    // Files, without an agent and with one.
    fs::create_dir(folder.join("app")).unwrap();
    let jar = noise(7, 5_000_000);
    fs::write(folder.join("app/app.jar"), &jar).unwrap();
    fs::write(folder.join("app/empty"), "").unwrap();
    let plain = ["sync", "app", "pod/old:/data/of-none"];
    Run::of(&mut command("none", &plain), "").code(0).stderr_has("no agent");
    assert!(fs::read(data.join("of-none/app.jar")).unwrap() == jar);
    assert_eq!(fs::read(data.join("of-none/empty")).unwrap(), b"");

    let with_agent = |words: &[&str]| Run::of(&mut command("any", words), "");
    with_agent(&["sync", "app", "pod/old:/data/of-any"]).code(0).stderr_has("uploaded the agent");
    assert!(fs::read(data.join("of-any/app.jar")).unwrap() == jar);
    let ended = with_agent(&["run", "pod/old", "--", "sh", "-c", "echo ran; exit 5"]).code(5);
    assert_eq!(ended.stdout, "ran\n");
    let long = ["run", "pod/old", "--name", "long", "--detach", "--", "sleep", "1000"];
    with_agent(&long).code(0).stderr_has("long runs");
    let listed = with_agent(&["ps", "pod/old"]).code(0).stdout;
    assert!(listed.contains("long") && listed.contains("Running"), "{listed}");
    with_agent(&["stop", "pod/old", "long"]).code(0).stderr_has("long ended");

    // Nothing that a connection started stays behind with its end.
    wait_until("what the commands started has ended", || {
        let ps = ["-n", name, "exec", "old", "-c", "any", "--", "ps", "-o", "args"];
        let listed = node.kubectl(&ps, "");
        !listed
            .lines()
            .map(str::trim)
            .any(|line| line == "cat" || line.ends_with("diyadm-agent relay"))
    });
}

#[test]
fn refused_websocket_names_the_cause() {
    let node = require!(Workspace::on_node("version4-refused"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["busybox"]);
    let command = ["/bin/busybox", "tail", "-f", "/dev/null"];
    node.pod(name, "web", &json!({ "image": "busybox:rig", "command": command }));
    fs::write(folder.join("file"), "x").unwrap();
    let proxy = Proxy::start(node.kubeconfig(), folder);
    for (fate, cause) in [
        (Fate::NoUpgrade, "without its `Upgrade` header"),
        (Fate::Refuse(200, None), "200 OK instead of 101 Switching Protocols"),
        (Fate::Refuse(403, None), "the answer was 403: no"),
        (Fate::Refuse(405, None), "the answer was 405: no"),
    ] {
        proxy.judge(move |_, request| {
            let is_stream = request.contains("/exec?") || request.contains("/portforward?");
            if is_stream { fate } else { Fate::Pass }
        });
        for words in [
            &["shell", "--live", "pod/web", "-n", name, "--", "true"][..],
            &["sync", "--live", "file", "pod/web:/tmp/file", "-n", name],
        ] {
            let run = Run::of(&mut proxy.program(folder, words), "").code(3);
            let run = run.stderr_has("refused a WebSocket").stderr_has(cause);
            run.stderr_has("kubectl config view --minify");
        }
        let forward = ["forward", "pod/web", ":80", "-n", name];
        let mut forward = proxy.program(folder, &forward);
        let mut forward = forward.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(forward.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.split([',', ' ']).next().unwrap();
        let _connection = TcpStream::connect(address).unwrap();
        let lines = BufReader::new(forward.stderr.take().unwrap()).lines().map(Result::unwrap);
        let said = lines.into_iter().find(|line| line.contains("refused a WebSocket")).unwrap();
        assert!(said.contains(cause), "{said}");
        forward.kill().unwrap();
        forward.wait().unwrap();
    }
}
