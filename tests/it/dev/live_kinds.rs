//! The rule that nothing is done in a live container holds for every kind of workload.

use std::fs;

use serde_json::{Value, json};

use super::{live_containers::is_untouched, run_commands::Typed};
use crate::rig::{Workspace, wait_until};

/// A workload of a kind, whose Pods have the label `app: KIND` and run `sleep`.
fn workload(kind: &str) -> Value {
    let name = kind.to_lowercase();
    let labels = json!({ "app": name });
    let never = matches!(kind, "Job" | "CronJob");
    let pod = json!({
        "restartPolicy": if never { "Never" } else { "Always" },
        "terminationGracePeriodSeconds": 1,
        // A DaemonSet's controller asks the template whether it tolerates the node's taint.
        "tolerations": [{ "operator": "Exists" }],
        "containers": [{
            "name": "app",
            "image": "busybox:rig",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "1000000"],
        }],
    });
    let template = json!({ "metadata": { "labels": labels }, "spec": pod });
    let (api, spec) = match kind {
        "Pod" => {
            let metadata = json!({ "name": name, "labels": labels });
            return json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": pod });
        }
        "Job" => ("batch/v1", json!({ "template": template })),
        "CronJob" => (
            "batch/v1",
            json!({ "schedule": "* * * * *", "jobTemplate": { "spec": { "template": template } } }),
        ),
        _ => {
            let mut spec = json!({ "selector": { "matchLabels": labels }, "template": template });
            if kind == "StatefulSet" {
                spec["serviceName"] = "none".into();
            }
            ("apps/v1", spec)
        }
    };
    json!({ "apiVersion": api, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

#[test]
fn refuses_live_containers_of_every_kind() {
    let node = require!(Workspace::on_node("live-kinds"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["busybox"]);
    fs::write(folder.join("file"), "x").unwrap();
    let kinds = ["StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"];
    for kind in kinds {
        node.create(name, &workload(kind));
    }
    let create = ["-n", name, "create", "job", "from-cronjob", "--from=cronjob/cronjob"];
    node.kubectl(&create, "");
    let running = |kind: &str| -> Option<Value> {
        let pods = node.get(name, "pods");
        let app = kind.to_lowercase();
        let runs = |pod: &&Value| {
            pod["metadata"]["labels"]["app"] == *app
                && pod["status"]["containerStatuses"][0]["state"]["running"].is_object()
        };
        pods["items"].as_array().unwrap().iter().find(runs).cloned()
    };
    let typed = Typed { node: &node, name, folder };
    for kind in kinds {
        wait_until(&format!("a Pod of {kind} runs"), || running(kind).is_some());
        let workload = format!("{0}/{0}", kind.to_lowercase());
        let to = format!("{workload}:/tmp/app");
        for command in [
            &["run", &*workload, "--", "touch", "/tmp/app"][..],
            &["shell", &workload, "--", "touch", "/tmp/app"],
            &["sync", "file", &to],
            &["stop", &workload],
        ] {
            typed.run(command).code(1).stderr_has("was not emptied").stderr_has("--live");
        }
        is_untouched(&node, name, &running(kind).unwrap());
    }
}
