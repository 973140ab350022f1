//! `status` of workloads that a webhook or policy of the real API server has missed, by its
//! rules.yaml, its flags and its level.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
};

use serde_json::{Value, json};

use super::{
    rig::{Cluster, FOREVER, Workspace, cluster_with_policies, diyadm, program, wait_until},
    serve::certificates,
    workloads::{user, workload},
};

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    // Where there is a node, nobody says that it is not for these.
                    "schedulerName": "nobody",
                    "containers": [{ "name": "app", "image": "app:1" }],
                },
            },
        },
    })
}

/// Workloads that were there before anything else.
fn before(cluster: &Cluster, name: &str) {
    let mut quiet = deployment("quiet", 1);
    quiet["spec"]["template"]["metadata"]["annotations"] =
        json!({ "inject-empty-container": "disabled" });
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "report" },
        "spec": { "suspend": true, "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "app", "image": "app:1" }],
        } } },
    });
    for object in [deployment("web", 1), deployment("shop", 1), deployment("none", 0), quiet, job] {
        cluster.create(name, &object);
    }
    wait_until("Pods of web, shop and quiet", || {
        let pods = cluster.get(name, "pods");
        pods["items"].as_array().unwrap().len() == 3
    });
}

/// `NAME: NOTE` of what is missed.
fn missed(cluster: &Cluster, name: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let board = cluster.diyadm(folder.path(), &["status", "-n", name, "-o", "json"]).code(0).stdout;
    let rows: Vec<Value> = serde_json::from_str(&board).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let missed = rows.iter().filter(|row| row["state"] == "missed");
    missed.map(|row| format!("{}: {}", text(row, "name"), text(row, "note"))).collect()
}

const WRITE: &str = "it is older than the webhook: any update empties it, for example `diyadm \
                     empty`";
const PODS: &str = "its Pods are older than the webhook or policy: `diyadm empty` replaces them";

#[test]
fn status_shows_workloads_that_the_webhook_missed() {
    let cluster = require!(Workspace::new("status-webhook"));
    let name = cluster.name;
    before(&cluster, name);
    assert!(missed(&cluster, name).is_empty(), "there is none");
    let certs = certificates(name, name);
    fs::write(
        certs.path().join("rules.yaml"),
        "rules:\n- match: {names: [web]}\n  level: workload\n",
    )
    .unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label, "--ca", "."];
    let render = |more: &[&str]| {
        let yaml = diyadm(certs.path(), &[&["render"], &names[..], more].concat()).code(0).stdout;
        cluster.kubectl(&["apply", "-f", "-"], &yaml);
    };
    let note = |name: &str, note: &str| format!("{name}: {note}");
    let watch = Watch::start(certs.path(), cluster.kubeconfig(), &["-n", name]);

    render(&[]);
    let recreate = "it is older than the webhook: `diyadm empty --recreate` empties it";
    let all = ["none", "shop", "web"].map(|name| note(name, WRITE));
    assert_eq!(missed(&cluster, name), [&all[..], &[note("report", recreate)]].concat());

    for what in ["Deployment/none", "Deployment/shop", "Deployment/web", "Job/report"] {
        assert_eq!(watch.next(), format!("{what}: missed"));
    }
    drop(watch);

    // By a flag of its server what no rule names is emptied in its Pods; what has none has missed
    // nothing.
    render(&["--rules", "rules.yaml"]);
    let args = "/spec/template/spec/containers/0/args/-";
    let level = json!([{ "op": "add", "path": args, "value": "--level=pod" }]).to_string();
    let patch = ["-n", name, "patch", "deployment", name, "--type=json", "-p", &level];
    cluster.kubectl(&patch, "");
    assert_eq!(missed(&cluster, name), [note("shop", PODS), note("web", WRITE)]);

    // A webhook of level pod sees nothing but Pods, whatever the rules say.
    render(&["--rules", "rules.yaml", "--level", "pod"]);
    assert_eq!(missed(&cluster, name), ["shop", "web"].map(|name| note(name, PODS)));
}

#[test]
fn status_shows_pods_that_the_policy_missed() {
    let cluster = require!(cluster_with_policies());
    let name = cluster.name("status-policy");
    let _namespace = cluster.namespace(name);
    before(&cluster, name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let render = ["render", "--mode", "policy", "-n", name, "--service", name, "--label", &label];
    let yaml = diyadm(folder.path(), &render).code(0).stdout;
    cluster.kubectl(&["apply", "-f", "-"], &yaml);
    let pods = ["shop", "web"].map(|name| format!("{name}: {PODS}"));
    assert_eq!(missed(&cluster, name), pods);
    cluster.kubectl(&["label", "namespace", name, &format!("{name}-")], "");
    assert!(missed(&cluster, name).is_empty(), "it does not see this namespace");
}

/// `status --watch -o json`, which goes on until it is dropped.
pub(crate) struct Watch {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Watch {
    pub(crate) fn start(folder: &Path, kubeconfig: &Path, args: &[&str]) -> Self {
        let mut command = program(folder);
        command
            .args(["status", "--watch", "-o", "json", "--kubeconfig"])
            .arg(kubeconfig)
            .args(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (tell, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    /// The next line, as `KIND/NAME: STATE`.
    pub(crate) fn next(&self) -> String {
        let row = self.lines.recv_timeout(FOREVER).expect("a line comes");
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        format!("{}/{}: {}", text("kind"), text("name"), text("state"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Gone already where it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each emptied and restored workload is printed once: not its ReplicaSet, which has the same
/// annotations, and no workload of another kind or without the label. A user who may not read one
/// kind gets the others.
#[test]
fn status_watch_prints_each_selected_workload_once() {
    let cluster = require!(Workspace::new("status-watch"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut web = deployment("web", 1);
    web["spec"]["strategy"] = json!({ "type": "Recreate" });
    for object in [web, deployment("shop", 1)] {
        cluster.create(name, &object);
    }
    cluster.kubectl(&["-n", name, "label", "deploy/web", "tier=front"], "");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "alone" },
        "spec": { "schedulerName": "nobody",
            "containers": [{ "name": "app", "image": "app:1" }] },
    });
    cluster.create(name, &pod);
    let rules = json!([
        { "apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["list", "watch"] },
    ]);
    let narrow = user(&cluster, folder, name, &rules);
    let watch = |kubeconfig: &Path, args: &[&str]| {
        Watch::start(folder, kubeconfig, &[&["-n", name], args].concat())
    };
    let admin = cluster.kubeconfig();
    let all = watch(admin, &[]);
    let labelled = watch(admin, &["-l", "tier=front"]);
    let kind = watch(admin, &["po"]);
    let narrow = watch(Path::new(&narrow), &[]);

    let run = |args: &[&str]| {
        let rest = ["-n", name, "--wait=false"];
        cluster.diyadm(folder, &[args, &rest].concat()).code(0);
    };
    run(&["empty", "deploy/shop"]);
    run(&["empty", "deploy/web"]);
    run(&["empty", "pod/alone", "--recreate"]);
    for watch in [&all, &narrow] {
        assert_eq!(watch.next(), "Deployment/shop: empty");
        assert_eq!(watch.next(), "Deployment/web: empty");
    }
    assert_eq!(labelled.next(), "Deployment/web: empty");
    for watch in [&all, &kind] {
        let mut next = watch.next();
        // As long as the placeholder Pod holds its name.
        if next == "Pod/alone: held" {
            next = watch.next();
        }
        assert_eq!(next, "Pod/alone: empty");
    }
    run(&["restore", "deploy/web"]);
    for watch in [&all, &labelled, &narrow] {
        let mut next = watch.next();
        // As long as its empty Pod is seen.
        if next == "Deployment/web: returning" {
            next = watch.next();
        }
        assert_eq!(next, "Deployment/web: restored");
    }
    // Nothing becomes ready here, so that this rollout keeps the empty Pod.
    wait_until("its empty Pod is there", || {
        let pods = cluster.get(name, "pods");
        pods["items"].as_array().unwrap().iter().any(|pod| {
            let image = &pod["spec"]["containers"][0]["image"];
            pod["metadata"]["labels"]["app"] == "shop" && image == "empty-container:latest"
        })
    });
    run(&["restore", "deploy/shop"]);
    assert_eq!(all.next(), "Deployment/shop: returning");
    assert_eq!(narrow.next(), "Deployment/shop: restored");
    run(&["restore", "pod/alone", "--recreate", "--trust-original"]);
    assert_eq!(kind.next(), "Pod/alone: restored");
}

#[test]
fn status_of_named_workloads_keeps_their_order() {
    let cluster = require!(Workspace::new("status-order"));
    for (kind, name) in [("Deployment", "a"), ("StatefulSet", "a"), ("Deployment", "b")] {
        cluster.create(cluster.name, &workload(kind, name));
    }
    cluster.run(&["empty", "deploy,sts", "--all", "--yes", "--wait=false"]).code(0);
    let names = ["deploy/b", "sts/a", "deploy/a"];
    let status = cluster.run(&[&["status", "-o", "name"], &names[..]].concat()).code(0).stdout;
    let shown = ["deployment.apps/b", "statefulset.apps/a", "deployment.apps/a"];
    assert_eq!(status.lines().collect::<Vec<_>>(), shown);
}
