//! Pods of every shape, emptied by the webhook in every idle mode and restored: the real API server
//! accepts them, and only the application's container changes.

use diyadm::workload::{self, DISABLED, IDLE, LABEL};
use serde_json::{Value, json};

use super::Pair;

/// `NAME: pod spec`, each with the application first.
fn shapes() -> Vec<(&'static str, Value)> {
    let app = |more: Value| {
        let mut app = json!({
            "name": "app", "image": "app:1", "command": ["run"],
            "livenessProbe": { "tcpSocket": { "port": 8080 } },
        });
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app
    };
    let plain = app(json!({}));
    let locked = json!({
        "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
    });
    vec![
        (
            "sidecar",
            json!({
                "initContainers": [
                    { "name": "migrate", "image": "app:1", "command": ["migrate"] },
                    { "name": "log", "image": "log:1", "restartPolicy": "Always" },
                ],
                "containers": [plain],
            }),
        ),
        (
            "injected",
            json!({ "containers": [
            plain, { "name": "istio-proxy", "image": "istio:1" }, { "name": "linkerd-proxy", "image": "linkerd:1" },
        ] }),
        ),
        ("read-only", json!({ "containers": [app(json!({ "securityContext": locked }))] })),
        (
            "user",
            json!({
                "securityContext": { "runAsNonRoot": true, "runAsUser": 1000 },
                "containers": [app(json!({ "securityContext": { "runAsUser": 2000 } }))],
            }),
        ),
        (
            "host-network",
            json!({
                "hostNetwork": true,
                "containers": [app(json!({ "ports": [{ "containerPort": 8080 }] }))],
            }),
        ),
        (
            "host-users",
            json!({ "hostUsers": false, "shareProcessNamespace": true, "containers": [plain] }),
        ),
    ]
}

fn deployment(name: &str, spec: &Value, idle: Option<&str>) -> Value {
    let labels = json!({ "app": name });
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    });
    if let Some(idle) = idle {
        object["metadata"]["annotations"] = json!({ IDLE: idle });
    }
    object
}

#[test]
fn every_pod_shape_is_emptied_and_restored_in_every_idle_mode() {
    let pair = require!(Pair::hooked("kinds-shapes"));
    let ways = [None, Some("shell"), Some("agent")];
    let all = ways.into_iter().flat_map(|way| {
        shapes().into_iter().map(move |(shape, spec)| {
            let name = format!("{shape}-{}", way.unwrap_or("entrypoint"));
            deployment(&name, &spec, way)
        })
    });
    let all: Vec<_> = all.collect();
    let [made, twins] = pair.create_all(&all);
    for (made, twin) in made.iter().zip(&twins) {
        let name = made["metadata"]["name"].as_str().unwrap();
        assert!(workload::is_emptied(&made.to_string()), "{made}");
        let [found, wanted] = [made, twin].map(|object| &object["spec"]["template"]["spec"]);
        let is_ours = |item: &&Value| item["name"] != "diyadm-agent";
        for list in ["containers", "initContainers"] {
            let of = |spec: &Value| -> Vec<Value> {
                let all = spec[list].as_array().into_iter().flatten();
                all.filter(is_ours).filter(|c| c["name"] != "app").cloned().collect()
            };
            assert_eq!(of(found), of(wanted), "{name}: {list}");
        }
        let app = &found["containers"][0];
        assert_eq!(app["image"], "empty-container:latest", "{name}");
        assert_eq!(app.get("livenessProbe"), None, "{name}");
        assert_eq!(app.get("securityContext"), wanted["containers"][0].get("securityContext"));
        let what = format!("deployment/{name}");
        pair.kubectl(&["annotate", &what, &format!("{LABEL}={DISABLED}")]);
        pair.same(&what, &[LABEL]);
    }
}

/// A Windows Pod is admitted unchanged, with a warning.
#[test]
fn windows_pod_is_left_alone_with_a_warning() {
    let pair = require!(Pair::hooked("kinds-windows"));
    let spec = json!({
        "os": { "name": "windows" }, "containers": [{ "name": "app", "image": "app:1" }],
    });
    let object = deployment("windows", &spec, None);
    let create = ["-n", pair.name, "create", "-f", "-"];
    let run = pair.cluster.try_kubectl(&create, &object.to_string()).code(0);
    run.stderr_has("Warning: diyadm: a Windows pod stays as it is");
    assert!(!workload::is_emptied(&pair.get("deployment/windows").to_string()));
}
