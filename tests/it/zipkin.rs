//! A real Spring Boot application in emptied containers: each way of emptying, each idle mode,
//! images with and without a shell, and minimal rights.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use diyadm::workload::LABEL;
use serde_json::{Value, json};

use super::{
    dev::forward::Forward,
    rig::{FOREVER, Node, Run, Workspace, java, processes, wait_until},
};

mod shared;

/// The last two: it starts sooner.
const JAVA: [&str; 4] = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// How often it is started.
const STARTS: usize = 5;
/// What zipkin says when it listens.
const SERVES: &str = "Serving HTTP at";

/// A Deployment `web` that is empty, and what a developer does with it.
struct Emptied<'a> {
    node: &'a Node,
    namespace: &'a str,
    folder: tempfile::TempDir,
}

impl<'a> Emptied<'a> {
    fn new(node: &'a Node, namespace: &'a str) -> Self {
        Self { node, namespace, folder: tempfile::tempdir().unwrap() }
    }

    /// The program; its first word is the subcommand.
    fn diyadm(&self, args: &[&str]) -> Run {
        Run::of(self.command().args(args).args(["-n", self.namespace]), "")
    }

    fn command(&self) -> Command {
        self.node.program(self.folder.path())
    }

    /// Starts it, and comes back when it answers.
    fn start(&self, at: SocketAddr) {
        let run = ["run", "-n", self.namespace, "deploy/web", "--detach", "--"];
        let mut command = self.command();
        command.args(run).args(JAVA).args(["-jar", "/tmp/zipkin.jar"]);
        Run::of(&mut command, "").code(0).stderr_has("app runs");
        self.answers(at);
    }

    fn answers(&self, at: SocketAddr) {
        let mut last = String::new();
        let began = Instant::now();
        while began.elapsed() < FOREVER {
            match health(at) {
                Ok(answer) if answer.contains("UP") => return,
                other => last = format!("{other:?}"),
            }
            thread::sleep(Duration::from_millis(500));
        }
        let ps = self.diyadm(&["ps", "deploy/web"]);
        panic!("zipkin does not answer: {last}\n{}{}\n{}", ps.stdout, ps.stderr, self.logs())
    }

    fn pod(&self) -> Value {
        let pods = self.node.get(self.namespace, "pods");
        let mut pods = pods["items"].as_array().unwrap().iter();
        let live = pods.find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        live.expect("there is a Pod").clone()
    }

    fn logs(&self) -> String {
        self.node.kubectl(&["-n", self.namespace, "logs", "deploy/web"], "")
    }

    /// The whole loop: sync, run, /health, stop, again and again. What comes back goes on forwarding.
    fn works(&self, jar: &str) -> (Forward, SocketAddr) {
        self.diyadm(&["sync", jar, "deploy/web:/tmp/zipkin.jar"]).code(0);
        let mut forward = Forward::start(self.node, self.namespace, &[":9411"]);
        let (at, _) = forward.line();
        for _ in 0..STARTS {
            self.start(at[0]);
            self.diyadm(&["stop", "deploy/web"]).code(0).stderr_has("app ended");
            let answer = health(at[0]).unwrap_or_default();
            assert_eq!(answer, "", "stopped is stopped");
        }
        let zombies = || {
            let all = processes(&self.pod());
            all.into_iter().filter(|process| process.zombie).collect::<Vec<_>>()
        };
        wait_until("no zombie", || zombies().is_empty());
        let pod = self.pod();
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod}");
        let logs = self.logs();
        assert_eq!(logs.matches(SERVES).count(), STARTS, "{logs}");
        (forward, at[0])
    }

    /// What PID 1 is.
    fn first(&self) -> String {
        processes(&self.pod())[0].line.clone()
    }
}

/// A Deployment that nobody has emptied. `container` is merged into its container.
fn web(image: &str, container: &Value) -> Value {
    let labels = json!({ "app": "web" });
    let mut web = json!({ "name": "web", "image": image, "imagePullPolicy": "IfNotPresent" });
    web.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [web],
                    "volumes": [{ "name": "tmp", "emptyDir": {} }],
                },
            },
        },
    })
}

/// Whatever the strictest of the Pod Security Standards asks for, and a root that is read-only.
fn restricted() -> Value {
    json!({
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
    })
}

/// The answer to a GET of `/health`.
fn health(at: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The blog's own image has `tail -f /dev/null` for its ENTRYPOINT, which knows of no agent.
#[test]
fn zipkin_runs_and_is_shared_in_containers_emptied_by_the_webhook() {
    let node = require!(Workspace::on_node("zipkin-webhook"));
    require!(java());
    let name = node.name;
    node.load(&["webhook", "jre-tail"]);
    let web_is = Emptied::new(&node, name);
    let label = format!("{name}=enabled");
    let names = ["--service", name, "--label", &label];
    web_is.diyadm(&[&["install", "--image", "jre-tail:rig"], &names[..]].concat()).code(0);
    node.create(name, &web("shop:1", &json!({})));
    node.wait(name, "deployment/web", "condition=Available");
    assert_eq!(web_is.first(), "tail -f /dev/null");
    // The server is asked what it was built from, through the API server.
    wait_until("the webhook's version", || {
        let json = web_is.diyadm(&["version", "-o", "json"]).code(0).stdout;
        let versions: Value = serde_json::from_str(&json).unwrap();
        let webhooks = versions["webhooks"].as_array().into_iter().flatten();
        let own = webhooks.into_iter().find(|webhook| webhook["name"] == name);
        own.is_some_and(|own| {
            own["version"]["gitVersion"] == versions["clientVersion"]["gitVersion"]
        })
    });
    let (_forward, at) = web_is.works(&node.zipkin());

    // The agent is killed, and the container goes on: what it left does not hold the port.
    web_is.start(at);
    let pod = web_is.pod();
    let all = processes(&pod);
    let agent = all.iter().find(|process| process.line.ends_with(" --adopt")).unwrap();
    agent.kill();
    let java = || {
        let all = processes(&pod).into_iter().filter(|process| process.line.starts_with("java"));
        all.map(|process| process.pid).collect::<Vec<_>>()
    };
    let before = java();
    assert_eq!(before.len(), 1, "it lives on without its agent");
    web_is.start(at);
    let after = java();
    assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
    web_is.diyadm(&["stop", "deploy/web"]).code(0);

    web_is.diyadm(&[&["install", "--stand-in"], &names[..]].concat()).code(0);
    shared::two_developers_share_zipkin(&node, &label);
    web_is.diyadm(&["uninstall", "--all", "--service", name, "--label", &label]).code(0);
}

#[test]
fn zipkin_runs_with_minimal_rights_in_a_pod_emptied_by_a_policy() {
    let node = require!(Workspace::on_node("zipkin-policy"));
    require!(java());
    let name = node.name;
    node.load(&["jre"]);
    let level = "pod-security.kubernetes.io/enforce=restricted";
    node.kubectl(&["label", "namespace", name, level], "");
    let web_is = Emptied::new(&node, name);
    let label = format!("{name}=enabled");
    let render = ["render", "--mode", "policy", "--service", name, "--label", &label];
    let policy = web_is.diyadm(&[&render[..], &["--image", "keep", "--idle", "shell"]].concat());
    node.kubectl(&["apply", "-f", "-"], &policy.code(0).stdout);
    let mut container = restricted();
    container["command"] = json!(["java", "-version"]);
    let web = web("jre:rig", &container);
    // Every part of the API server knows of it after a moment.
    let mut pod = web["spec"]["template"].clone();
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    pod["metadata"]["name"] = "probe".into();
    // Nothing controls it.
    pod["metadata"]["annotations"] = json!({ LABEL: "enabled" });
    let probe = ["-n", name, "create", "--dry-run=server", "-o", "yaml", "-f", "-"];
    wait_until("the policy", || {
        node.kubectl(&probe, &pod.to_string()).contains("diyadm.io/emptied-by")
    });
    node.create(name, &web);
    node.wait(name, "deployment/web", "condition=Available");
    let first = web_is.first();
    assert!(first.contains("sh -c") && first.contains("trap"), "{first}");
    web_is.works(&node.zipkin());
}

#[test]
fn zipkin_runs_without_a_shell_in_a_workload_emptied_by_the_client() {
    let node = require!(Workspace::on_node("zipkin-empty"));
    require!(java());
    let name = node.name;
    node.load(&["jre-bare", "agent"]);
    let web_is = Emptied::new(&node, name);
    node.create(name, &web("jre-bare:rig", &restricted()));
    let ways = ["--image", "keep", "--idle", "agent"];
    web_is.diyadm(&[&["empty", "deploy/web"], &ways[..]].concat()).code(0);
    assert_eq!(web_is.first(), "/.diyadm/diyadm-agent");
    web_is.works(&node.zipkin());
}
