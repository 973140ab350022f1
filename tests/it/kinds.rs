//! Every kind of workload, emptied and restored on the real API server by the webhook and by
//! `empty` and `restore`, and compared with a twin in a namespace where nothing empties. No Pod
//! runs here, so every difference was written by diyadm.

use diyadm::kinds::{Kind, WORKLOADS};
use diyadm::workload::{self, DISABLED, LABEL};
use serde_json::{Value, json};

pub(crate) use self::pair::Pair;
use self::pair::plain;
use super::{
    policy::without_token_names,
    rig::{cluster, wait_until},
};

mod corpus;
mod declared;
mod pair;
mod shapes;

/// One of a kind, with everything that emptying touches and much that it must not.
pub(crate) fn object(kind: &Kind) -> Value {
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
        "apiVersion": kind.api_version(),
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
pub(crate) fn what(kind: &Kind) -> String {
    format!("{}/x", kind.kind.to_lowercase())
}

#[test]
fn webhook_empties_and_restores_every_kind() {
    let pair = require!(Pair::hooked("kinds-webhook"));
    for kind in WORKLOADS {
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
            let restore = ["restore", &what, "--recreate", "--trust-original", "--wait=false"];
            pair.run(&restore).code(0).stderr_has("recreated and restored");
        }
        pair.same(&what, &[LABEL]);
        if kind.mutable {
            // Its refusal goes, and with it what it refused.
            pair.run(&["empty", &what, "--wait=false"]).code(0);
            assert!(workload::is_emptied(&pair.get(&what).to_string()));
            // It was the user's own, and comes back as he wrote it.
            pair.run(&["restore", &what, "--wait=false"]).code(0);
            pair.same(&what, &[LABEL]);
            assert_eq!(pair.get(&what)["metadata"]["annotations"][LABEL], DISABLED);
        }
    }
}

#[test]
fn client_empties_and_restores_every_kind() {
    let cluster = require!(cluster());
    let pair = Pair::new(cluster, "kinds-client");
    for kind in WORKLOADS {
        pair.create(&object(kind));
        let what = what(kind);
        let again = ["restore", &what, "--wait=false"];
        for ways in [
            &[][..],
            &["--idle=shell", "--image=keep"],
            &["--image=tools:1", "--idle=agent", "--containers=*"],
            &["--replicas=1", "--containers=side"],
        ] {
            let fits = |way: &&&str| kind.replicas || !way.starts_with("--replicas");
            let ways: Vec<_> = ways.iter().filter(fits).copied().collect();
            let empty = [&["empty", &what, "--wait=false"], &ways[..]].concat();
            if kind.mutable {
                pair.run(&empty).code(0).stderr_has("emptied: container");
                twice_is_once(&pair, &what, &empty);
                pair.run(&again).code(0).stderr_has("restored");
            } else {
                created_again(&pair, &what, &empty);
            }
            pair.same(&what, &[]);
        }
        pair.run(&again).code(1).stderr_has("it is not empty: there is no original");
    }
    // What the restores above did not wait for. No Pod ever starts here, so no rollout ends but
    // that of none.
    pair.kubectl(&["scale", "--replicas=0", "deployment/x", "statefulset/x"]);
    let mut swept = false;
    wait_until("no revision of the empty form is left", || {
        let run = pair.run(&["restore", "--all"]).code(0);
        swept |= run.stderr.contains("a revision of the emptied form, was deleted");
        run.stderr.contains("Nothing to restore")
    });
    assert!(swept);
}

/// It is empty, and the same command says so and changes nothing.
fn twice_is_once(pair: &Pair, what: &str, empty: &[&str]) {
    let emptied = plain(&pair.get(what));
    assert!(workload::is_emptied(&emptied.to_string()), "{what} {empty:?}");
    pair.run(empty).code(0).stderr_has("already empty");
    assert_eq!(plain(&pair.get(what)), emptied, "{what} {empty:?}");
}

/// A Pod or Job is emptied and restored by `--recreate`.
fn created_again(pair: &Pair, what: &str, empty: &[&str]) {
    let id = || pair.get(what)["metadata"]["uid"].clone();
    let first = id();
    pair.run(empty).code(1).stderr_has("--recreate");
    pair.same(what, &[]);
    let recreate = [empty, &["--recreate"]].concat();
    pair.run(&[&recreate[..], &["--dry-run=server"]].concat()).code(0);
    assert_eq!(id(), first);
    // A Pod without a node is gone at once, and never ready.
    pair.run(&recreate).code(0).stderr_has("recreated and emptied");
    assert_ne!(id(), first);
    twice_is_once(pair, what, empty);
    let restore = ["restore", what, "--wait=false"];
    pair.run(&restore).code(1).stderr_has("--recreate");
    pair.run(&[&restore[..], &["--recreate", "--trust-original"]].concat()).code(0);
    let holder = format!("{what}-diyadm");
    let left = ["-n", pair.name, "get", what, &holder, "-o", "name"];
    pair.cluster.try_kubectl(&left, "").code(1).stderr_has("not found");
}
