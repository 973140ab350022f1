//! A kind that is not built in, through `--kinds`: on the real API server, where its
//! CustomResourceDefinition is and no controller for it.

use std::fs;

use diyadm::workload::{DISABLED, LABEL};
use serde_json::{Value, json};

use super::pair::Pair;
use crate::{
    plan::definition,
    rig::{Cluster, cluster, reaching_cluster},
};

const KINDS: &str = "kinds:
- group: kinds.diyadm.example
  version: v1
  kind: Widget
  podTemplate: .spec.work.template
  replicas: .spec.replicas
";

/// A file with [`KINDS`], and the definition in the cluster.
fn declared(cluster: &Cluster) -> (tempfile::TempDir, String) {
    let text = definition("kinds.diyadm.example", "v1", "Widget", "widgets");
    cluster.kubectl(&["apply", "-f", "-"], &text);
    let established = ["wait", "--for=condition=established", "crd/widgets.kinds.diyadm.example"];
    cluster.kubectl(&established, "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kinds.yaml");
    fs::write(&file, KINDS).unwrap();
    let file = file.display().to_string();
    (folder, file)
}

fn widget() -> Value {
    let container = json!({
        "name": "app", "image": "app:1", "command": ["run"],
        "readinessProbe": { "tcpSocket": { "port": 80 } },
    });
    let pod = json!({ "containers": [container, { "name": "side", "image": "side:1" }] });
    json!({
        "apiVersion": "kinds.diyadm.example/v1",
        "kind": "Widget",
        "metadata": { "name": "x", "annotations": { "note": "kept" } },
        "spec": {
            "replicas": 2, "unknown": { "a": [1, null] },
            "work": { "template": { "metadata": { "labels": { "app": "x" } }, "spec": pod } },
        },
    })
}

#[test]
fn declared_kind_is_emptied_shown_and_restored() {
    let cluster = require!(cluster());
    let (_folder, file) = declared(&cluster);
    let pair = Pair::new(cluster, "kinds-declared");
    pair.create(&widget());
    let run = |args: &[&str]| pair.run(&[args, &["--kinds", &file]].concat());
    let get = || pair.get("widgets.kinds.diyadm.example/x");
    let plan = run(&["plan", "widget/x"]).code(0);
    assert!(plan.stdout.contains("app"), "{}", plan.stdout);
    for ways in [&[][..], &["--image=keep", "--idle=shell", "--replicas=1"]] {
        // No controller will ever make a Pod of it, so that it does not wait.
        let empty = [&["empty", "widgets.kinds.diyadm.example/x"], ways].concat();
        run(&empty).code(0).stderr_has("no controller");
        let container = &get()["spec"]["work"]["template"]["spec"]["containers"][0];
        assert_ne!(container["command"], json!(["run"]), "{container}");
        let status = run(&["status"]).code(0).stdout.to_lowercase();
        assert!(status.contains("widget"), "{status}");
        run(&["restore", "widget/x"]).code(0).stderr_has("no controller");
        pair.same("widgets.kinds.diyadm.example/x", &[]);
    }
    // Without the file the kind is unknown.
    pair.run(&["empty", "widget/x"]).code(2);
}

#[test]
fn declared_kind_is_emptied_by_the_webhook() {
    let cluster = require!(reaching_cluster());
    let (_folder, file) = declared(&cluster);
    let pair = require!(Pair::hooked_with("kinds-declared-hook", &["--kinds", &file]));
    let (made, twin) = pair.create(&widget());
    let container =
        |object: &Value| object["spec"]["work"]["template"]["spec"]["containers"][0].clone();
    assert_ne!(container(&made), container(&twin));
    pair.kubectl(&["annotate", "widgets.kinds.diyadm.example/x", &format!("{LABEL}={DISABLED}")]);
    pair.same("widgets.kinds.diyadm.example/x", &[LABEL]);
}
