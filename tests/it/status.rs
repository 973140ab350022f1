//! What `status` says of workloads that a webhook or policy of the real API server has missed: by
//! its rules.yaml, its flags, and its level.

use std::fs;

use serde_json::{Value, json};

use super::{
    rig::{Cluster, cluster, diyadm},
    serve::certificates,
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
                    "nodeSelector": { "none": "has-this" },
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
        cluster.kubectl(&["-n", name, "create", "-f", "-"], &object.to_string());
    }
    super::rig::wait_until("Pods of web, shop and quiet", || {
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

const WRITE: &str = "it was here before the webhook: any write empties it, `diyadm empty` too";
const PODS: &str = "its Pods were here before the webhook or policy: `diyadm empty` replaces them";

#[test]
fn a_webhook_misses_what_its_rules_and_flags_are_about() {
    let Some(cluster) = cluster() else { return };
    let name = cluster.name("status-webhook");
    let _namespace = cluster.namespace(name);
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

    render(&[]);
    let recreate = "it was here before the webhook: `diyadm empty --recreate` empties it";
    let all = ["none", "shop", "web"].map(|name| note(name, WRITE));
    assert_eq!(missed(&cluster, name), [&all[..], &[note("report", recreate)]].concat());

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
fn a_policy_misses_pods() {
    let Some(cluster) = cluster() else { return };
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
