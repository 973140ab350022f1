//! Every kind of workload there and back on the real API server, beside a twin in a namespace where
//! nothing empties: by the webhook, and by `empty` and `restore`. Nothing here can run, so whatever
//! differs was written.

use diyadm::workload::{self, DISABLED, KINDS, LABEL};
use serde_json::{Value, json};

pub(crate) use self::pair::Pair;
use self::pair::plain;
use super::{policy::without_token_names, rig::cluster};

mod corpus;
mod pair;

/// One of a kind, with everything that emptying touches and much that it must not.
pub(crate) fn object(kind: &workload::Kind) -> Value {
    let probe = |path: &str| json!({ "httpGet": { "path": path, "port": 8080 } });
    // Each selects its own Pods alone.
    let labels = json!({ "app": kind.kind });
    let mut template = json!({
        "metadata": { "labels": labels, "annotations": { "note": "~/\"é" } },
        "spec": {
            "nodeSelector": { "none": "has-this" },
            "terminationGracePeriodSeconds": 77,
            "securityContext": { "fsGroup": 7 },
            "initContainers": [{ "name": "first", "image": "first:1", "command": ["x"] }],
            "containers": [
                {
                    "name": "x", "image": "app:1", "imagePullPolicy": "Always",
                    "command": ["run"], "args": ["--fast", "$(A)"], "ports": [{ "containerPort": 8080 }],
                    "env": [{ "name": "A", "value": "b" }],
                    "resources": { "limits": { "memory": "64Mi" } },
                    "livenessProbe": probe("/live"), "readinessProbe": probe("/ready"),
                    "startupProbe": probe("/started"),
                    "lifecycle": { "preStop": { "exec": { "command": ["sh", "-c", "sleep 1"] } } },
                    "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                },
                { "name": "side", "image": "side:1", "livenessProbe": probe("/side") },
            ],
            "volumes": [{ "name": "data", "emptyDir": {} }],
        },
    });
    let mut object = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": { "name": "x", "labels": labels, "annotations": { "note": "kept" } },
    });
    if matches!(kind.kind, "Job" | "CronJob") {
        template["spec"]["restartPolicy"] = "Never".into();
    }
    let selector = json!({ "matchLabels": labels });
    match kind.kind {
        "Pod" => object["spec"] = template["spec"].take(),
        "Job" => object["spec"] = json!({ "suspend": true, "template": template }),
        "CronJob" => {
            let job = json!({ "spec": { "backoffLimit": 2, "template": template } });
            object["spec"] =
                json!({ "schedule": "0 3 * * *", "suspend": true, "jobTemplate": job });
        }
        _ => object["spec"] = json!({ "selector": selector, "template": template }),
    }
    match kind.kind {
        "Deployment" | "ReplicaSet" => object["spec"]["replicas"] = 2.into(),
        "StatefulSet" => {
            object["spec"]["serviceName"] = "x".into();
            object["spec"]["updateStrategy"] = json!({ "rollingUpdate": { "partition": 1 } });
        }
        _ => {}
    }
    object
}

/// `statefulset/x`
pub(crate) fn what(kind: &workload::Kind) -> String {
    format!("{}/x", kind.kind.to_lowercase())
}

#[test]
fn each_kind_goes_there_and_back_by_the_webhook() {
    let Some(pair) = Pair::hooked("kinds-webhook") else { return };
    for kind in &KINDS {
        let (made, twin) = pair.create(&object(kind));
        assert!(workload::is_emptied(&made.to_string()), "{made}");
        assert!(!workload::is_emptied(&twin.to_string()));
        assert_ne!(plain(&made), plain(&twin));
        let what = what(kind);
        if kind.mutable {
            let no = format!("{LABEL}={DISABLED}");
            pair.kubectl(&["annotate", &what, &no]);
        } else {
            // The webhook cannot give back what the API server does not let it change.
            pair.run(&["restore", &what]).code(1).stderr_has("--recreate");
            let restore = ["restore", &what, "--recreate", "--wait=false"];
            pair.run(&restore).code(0).stderr_has("was created again, as it was");
        }
        pair.same(&what, &[LABEL]);
        if kind.mutable {
            // Its refusal goes, and with it what it refused.
            pair.run(&["empty", &what, "--wait=false"]).code(0);
            assert!(workload::is_emptied(&pair.get(&what).to_string()));
            pair.run(&["restore", &what, "--wait=false"])
                .code(0)
                .stderr_has(&format!("would empty it again, so it says no from now on ({LABEL}"));
            pair.same(&what, &[LABEL]);
        }
    }
}

#[test]
fn each_kind_goes_there_and_back_without_a_server() {
    let Some(cluster) = cluster() else { return };
    let pair = Pair::new(cluster, "kinds-client");
    for kind in &KINDS {
        pair.create(&object(kind));
        let what = what(kind);
        let ways = ["--image=tools:1", "--idle=agent", "--containers=*"];
        for ways in [&[][..], &["--idle=shell", "--image=keep"], &ways] {
            let empty = [&["empty", &what, "--wait=false"], ways].concat();
            let restore = ["restore", &what, "--wait=false"];
            if kind.mutable {
                pair.run(&empty).code(0);
                assert!(workload::is_emptied(&pair.get(&what).to_string()), "{what} {ways:?}");
                pair.run(&restore).code(0).stderr_has("is as it was");
            } else {
                pair.run(&empty).code(1).stderr_has("--recreate");
                pair.same(&what, &[]);
                pair.run(&[&empty[..], &["--recreate"]].concat()).code(0);
                assert!(workload::is_emptied(&pair.get(&what).to_string()), "{what} {ways:?}");
                pair.run(&restore).code(1).stderr_has("--recreate");
                pair.run(&[&restore[..], &["--recreate"]].concat()).code(0);
            }
            pair.same(&what, &[]);
            pair.run(&restore).code(1).stderr_has("it is not empty");
        }
    }
}
