//! `empty`, `restore` and `status` on the real API server.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::rig::{Cluster, Run, wait_until};

mod client;
mod copy;
mod forged;
mod helm;
mod interrupted;
mod level_detection;
mod levels;
mod owners;
mod partition;
mod pods;
mod ready;
mod refused;
mod rollback;
mod rollout_undo;
mod several;
mod stuck;
mod updates;
mod waiting;
pub(crate) mod with_webhook;

/// What every test of a workload begins with: probes, a hook, a sidecar, arguments.
pub(crate) fn pod_spec() -> Value {
    let probe = json!({ "httpGet": { "path": "/", "port": 80 } });
    json!({
        "terminationGracePeriodSeconds": 7,
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "command": ["serve"],
                "args": ["--port", "80"],
                "env": [{ "name": "A", "value": "1" }],
                "livenessProbe": probe,
                "readinessProbe": probe,
                "lifecycle": { "preStop": { "exec": { "command": ["stop"] } } },
            },
            { "name": "side", "image": "side:1" },
        ],
    })
}

/// A workload of `kind` (`Deployment`) that starts no Pod by itself.
pub(crate) fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({ "app": name });
    let template = json!({ "metadata": { "labels": labels }, "spec": pod_spec() });
    let meta = json!({ "name": name });
    match kind {
        "Pod" => json!({
            "apiVersion": "v1", "kind": kind, "metadata": meta, "spec": pod_spec(),
        }),
        "Job" | "CronJob" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = "Never".into();
            let job = json!({ "suspend": true, "template": template });
            let spec = if kind == "Job" {
                job
            } else {
                json!({ "schedule": "0 0 1 1 *", "jobTemplate": { "spec": job } })
            };
            json!({ "apiVersion": "batch/v1", "kind": kind, "metadata": meta, "spec": spec })
        }
        _ => {
            let mut spec = json!({ "selector": { "matchLabels": labels }, "template": template });
            match kind {
                "DaemonSet" => {
                    spec["template"]["spec"]["nodeSelector"] = json!({ "no-node": "has-this" });
                }
                "StatefulSet" => {
                    spec["serviceName"] = name.into();
                    spec["replicas"] = 0.into();
                }
                _ => spec["replicas"] = 0.into(),
            }
            json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec })
        }
    }
}

/// The stored object, without what every write changes.
pub(crate) fn stored(cluster: &Cluster, namespace: &str, what: &str) -> Value {
    let mut object = cluster.get(namespace, what);
    object.as_object_mut().unwrap().remove("status");
    let meta = object["metadata"].as_object_mut().unwrap();
    for field in ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"] {
        meta.remove(field);
    }
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        annotations.remove("deprecated.daemonset.template.generation");
        if annotations.is_empty() {
            meta.remove("annotations");
        }
    }
    object
}

/// The pod spec of a stored workload.
pub(crate) fn pod_of(object: &Value) -> &Value {
    match object["kind"].as_str().unwrap() {
        "Pod" => &object["spec"],
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        _ => &object["spec"]["template"]["spec"],
    }
}

/// The kubeconfig of the namespace's own service account, which has the rights of `rules` there.
pub(crate) fn user(cluster: &Cluster, folder: &Path, namespace: &str, rules: &Value) -> String {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": "narrow" }, "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "narrow" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "narrow" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": namespace }],
    });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [role, binding] });
    cluster.kubectl(&["-n", namespace, "apply", "-f", "-"], &list.to_string());
    account(cluster, folder, namespace, "default")
}

/// The kubeconfig of a service account.
pub(crate) fn account(cluster: &Cluster, folder: &Path, namespace: &str, name: &str) -> String {
    let mut token = String::new();
    wait_until("the service account is there", || {
        let run = cluster.try_kubectl(&["-n", namespace, "create", "token", name], "");
        token = run.stdout.trim().to_owned();
        run.code == Some(0)
    });
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"] = json!({ "token": token });
    let file = folder.join(format!("{name}.kubeconfig"));
    fs::write(&file, config.to_string()).unwrap();
    file.display().to_string()
}

/// A result on stdout, read.
pub(crate) fn result(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}\n{}", run.stdout, run.stderr))
}
