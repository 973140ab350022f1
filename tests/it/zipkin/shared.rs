//! Two developers share zipkin in a labelled namespace in which everything runs. One takes the
//! container; the other is refused, takes it over, loses the connection and comes back. Then the
//! workload's own zipkin answers again, and when the workload expires it is as it was.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::{Value, json};

use super::{Emptied, JAVA, web};
use crate::{
    dev::forward::Forward,
    rig::{Node, Run, program, wait_for, wait_until},
    roles,
    workloads::{account, stored, with_webhook::twin},
};

/// What zipkin's user interface calls its environment.
const ENVIRONMENT: &str = "ZIPKIN_UI_ENVIRONMENT";

/// `deploy/web`, which runs the jar of this machine.
fn zipkin(jar: &str) -> Value {
    let probe = json!({
        "httpGet": { "path": "/health", "port": 9411 }, "periodSeconds": 1, "timeoutSeconds": 60,
    });
    let mut startup = probe.clone();
    startup["failureThreshold"] = 300.into();
    let mut web = web(
        "jre:rig",
        &json!({
            "command": JAVA, "args": ["-jar", "/zipkin.jar"],
            "env": [{ "name": ENVIRONMENT, "value": "own" }],
            "volumeMounts": [{ "name": "jar", "mountPath": "/zipkin.jar", "readOnly": true }],
            "readinessProbe": probe, "livenessProbe": probe, "startupProbe": startup,
        }),
    );
    let volumes = &mut web["spec"]["template"]["spec"]["volumes"];
    *volumes = json!([{ "name": "jar", "hostPath": { "path": jar, "type": "File" } }]);
    web
}

/// Whose zipkin answers; empty where none does.
fn who_answers(at: SocketAddr) -> String {
    let mut answer = String::new();
    let get = b"GET /zipkin/config.json HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let asked = TcpStream::connect(at).and_then(|mut stream| {
        stream.write_all(get)?;
        stream.read_to_string(&mut answer)
    });
    let whose = |who: &&str| asked.is_ok() && answer.contains(&format!("\"{who}\""));
    ["own", "ann", "ben"].into_iter().find(whose).unwrap_or_default().to_owned()
}

/// A developer with an account and a role of their own.
struct Developer<'a> {
    namespace: &'a str,
    kubeconfig: String,
    folder: tempfile::TempDir,
}

impl<'a> Developer<'a> {
    fn new(node: &Node, namespace: &'a str, name: &str) -> Self {
        node.kubectl(&["-n", namespace, "create", "serviceaccount", name], "");
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = account(node, folder.path(), namespace, name);
        Self { namespace, kubeconfig, folder }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program(self.folder.path());
        command.args([args[0], "--kubeconfig", &self.kubeconfig, "-n", self.namespace]);
        command.arg("deploy/web").args(&args[1..]).stdin(Stdio::null());
        command
    }

    fn diyadm(&self, args: &[&str]) -> Run {
        let run = Run::of(&mut self.command(args), "");
        // Shown if the test fails.
        println!("{args:?}\n{}{}", run.stdout, run.stderr);
        run
    }

    /// Runs a zipkin that says whose it is, and follows it; its terminal.
    fn follow(&self, who: &str, flags: &[&str]) -> (Child, BufReader<ChildStderr>) {
        let whose = format!("{ENVIRONMENT}={who}");
        let run = [&["run", "--for", "8h", "-e", &whose], flags, &["--"], &JAVA].concat();
        let mut command = self.command(&run);
        command.args(["-jar", "/zipkin.jar"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let terminal = BufReader::new(child.stderr.take().unwrap());
        (child, terminal)
    }
}

/// Reads a terminal until it shows a text.
#[track_caller]
fn shows(terminal: &mut BufReader<ChildStderr>, text: &str) {
    let mut shown = String::new();
    while !shown.contains(text) {
        let read = terminal.read_line(&mut shown).unwrap();
        assert!(read > 0, "{text:?} is not in {shown}");
    }
}

/// The webhook's namespace has the `label`, and its rules ask for stand-ins.
pub(super) fn two_developers_share_zipkin(node: &Node, label: &str) {
    let name = node.name("zipkin-shared");
    let _namespace = node.namespace(name);
    node.load(&["jre", "agent"]);
    let live = zipkin(&node.zipkin());
    let spec = twin(node, name, &live);
    let mut probe = live.clone();
    probe["metadata"]["name"] = "probe".into();
    let is_emptied = || {
        let create = ["-n", name, "create", "-f", "-", "--dry-run=server", "-o", "json"];
        node.kubectl(&create, &probe.to_string()).contains("--stand-in")
    };
    node.kubectl(&["label", "namespace", name, label], "");
    wait_until("the webhook's new rules", is_emptied);
    node.create(name, &live);
    node.wait(name, "deployment/web", "condition=Available");
    let web_is = Emptied::new(node, name);
    let pod = web_is.pod();
    let mut forward = Forward::start(node, name, &[":9411"]);
    let at = forward.line().0[0];
    let answers = |whose: &str| {
        wait_for("whose zipkin answers", || who_answers(at), |answer| answer == whose);
    };
    answers("own");

    let rights = web_is.diyadm(&["rights", "--for", "developer", "-o", "yaml"]).code(0).stdout;
    roles::bind(node, &rights, &format!("--group=system:serviceaccounts:{name}"));
    let [ann, ben] = ["ann", "ben"].map(|who| Developer::new(node, name, who));
    let (anns, bens) =
        (format!("{name}:ann has the container: app"), format!("{name}:ben has the container"));

    // She takes it, and he is refused.
    let (mut anns_run, mut anns_terminal) = ann.follow("ann", &[]);
    shows(&mut anns_terminal, "app runs");
    answers("ann");
    let refused = ben.diyadm(&["run", "--detach", "--", "sleep", "1000"]).code(1);
    refused.stderr_has(&anns).stderr_has("connected now, 7h").stderr_has("--take-over");

    // He takes it over: the port is free for him, and she is told.
    let (mut bens_run, mut bens_terminal) = ben.follow("ben", &["--take-over"]);
    shows(&mut anns_terminal, &format!("{name}:ben took the container over"));
    assert_eq!(anns_run.wait().unwrap().code(), Some(143), "stopped in order");
    shows(&mut bens_terminal, "app runs");
    answers("ben");

    // His connection is lost without a word. He loses nothing, and comes back.
    bens_run.kill().unwrap();
    bens_run.wait().unwrap();
    wait_until("the lost connection is seen", || {
        ann.diyadm(&["stop"]).code(1).stderr_has(&bens).stderr.contains("last seen")
    });
    answers("ben");
    ben.diyadm(&["extend", "2h"]).code(0).stderr_has("is yours for 2h from now");
    ann.diyadm(&["stop"]).code(1).stderr_has(&bens).stderr_has("1h59m left");

    // The lease ends, and the workload's own zipkin answers in the same container.
    ben.diyadm(&["extend", "1s"]).code(0);
    answers("own");
    let status = ann.diyadm(&["ps", "-o", "json"]).code(0).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["pods"][0]["leases"].as_array().map_or(0, Vec::len), 0, "{status}");
    let same = web_is.pod();
    assert_eq!(same["metadata"]["uid"], pod["metadata"]["uid"]);
    assert_eq!(same["status"]["containerStatuses"][0]["restartCount"], 0, "{same}");

    // Without the label nothing empties it again, so that nothing has to keep that off.
    node.kubectl(
        &["label", "namespace", name, &format!("{}-", &label[..label.find('=').unwrap()])],
        "",
    );
    wait_until("the API server knows of the label", || !is_emptied());
    // The workload expires, and ends together with his next lease.
    ann.diyadm(&["empty", "--stand-in", "--for", "1ms"]).code(0);
    // The stand-in has to end before the lease does.
    ben.diyadm(&["run", "--for", "20s", "--", "sleep", "1000"])
        .code(143)
        .stderr_has("its lease ended")
        .stderr_has("deployment/web restored");
    let restored = stored(node, name, "deployment/web");
    assert_eq!(restored["spec"].to_string(), spec.to_string());
    assert_eq!(restored["metadata"], json!({ "name": "web", "namespace": name }));
    answers("own");
    roles::forget(node, "diyadm-developer", name);
}
