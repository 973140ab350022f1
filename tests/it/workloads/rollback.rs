//! `empty --rollback`: whatever cannot start is given back, and nothing else is called that.

use std::sync::Once;

use diyadm::workload::LABEL;
use serde_json::json;

use super::{
    pod_of, stored,
    waiting::{count, pods, run, settle, tend, two, unpulled},
    with_webhook::{Watched, look_after},
    workload,
};
use crate::{
    proxy::{Fate::Pass, Proxy},
    rig::{cluster, wait_until},
};

#[test]
fn rollback_restores_recreated_pods() {
    let cluster = require!(cluster());
    let name = "rollback-again";
    let _namespace = cluster.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let mut pod = workload("Pod", "x");
    pod["spec"]["schedulerName"] = "nobody".into();
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &pod.to_string());
    let before = stored(&cluster, name, "pod/x");
    let args = ["empty", "pod/x", "--recreate", "--rollback"];
    let rolled = run(&cluster, folder.path(), name, &args, &unpulled).code(1);
    rolled.stderr_has("cannot be pulled").stderr_has("It was restored");
    assert_eq!(stored(&cluster, name, "pod/x"), before);
}

/// What someone else has given back meanwhile is not what this command did.
#[test]
fn rollback_does_not_claim_workloads_restored_by_others() {
    let cluster = require!(cluster());
    let name = "rollback-late";
    let _namespace = cluster.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &two("Deployment", "web").to_string());
    settle(&cluster, name, "deployment/web", "readyReplicas", 2);
    let before = stored(&cluster, name, "deployment/web");
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let args = ["empty", "deploy/web", "--rollback", "--timeout", "0", "-n", name];
    let mut other = cluster.program(folder);
    other.args(["restore", "deploy/web", "--wait=false", "-n", name]);
    let other = std::sync::Mutex::new(other);
    let pods = format!("GET /api/v1/namespaces/{name}/pods");
    let (run, _) = proxy.run(folder, &args, move |_, request| {
        static ONCE: Once = Once::new();
        // What it is waiting for, and that this is not there, is known by then.
        if request.starts_with(&pods) {
            let mut other = other.lock().unwrap();
            ONCE.call_once(|| assert!(other.output().unwrap().status.success()));
        }
        Pass
    });
    let run = run.code(1).stderr_has("was not empty any more");
    assert!(!run.stderr.contains("It was restored"), "{}", run.stderr);
    assert_eq!(stored(&cluster, name, "deployment/web"), before);
}

/// Where no controller replaces Pods.
#[test]
fn rollback_restores_workloads_without_controller() {
    let cluster = require!(cluster());
    let name = "rollback-hand";
    let _namespace = cluster.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let what = "replicaset/web";
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &two("ReplicaSet", "web").to_string());
    settle(&cluster, name, what, "readyReplicas", 2);
    let before = stored(&cluster, name, what);
    let empty = run(&cluster, folder.path(), name, &["empty", what], &unpulled).code(1);
    let empty = empty.stderr_has("1 of 2 Pods are replaced, and one does not start");
    empty.stderr_has("cannot be pulled").stderr_has(&format!("`diyadm restore {what} -n {name}"));
    // What was empty before is not this command's to give back.
    let args = ["empty", what, "--rollback"];
    let again = run(&cluster, folder.path(), name, &args, &unpulled).code(1);
    again.stderr_has("already empty").stderr_has("Restore it with");
    run(&cluster, folder.path(), name, &["restore", what], &unpulled).code(0);
    let rolled = run(&cluster, folder.path(), name, &args, &unpulled).code(1);
    rolled.stderr_has("cannot be pulled").stderr_has("It was restored");
    assert_eq!(stored(&cluster, name, what), before);
    for pod in pods(&cluster, name) {
        assert_eq!(pod_of(&pod)["containers"][0]["image"], "app:1", "{pod}");
    }
}

/// At level pod there is no rollout to look at.
#[test]
fn rollback_restores_level_pod() {
    let cluster = require!(cluster());
    let name = "rollback-pods";
    let watched = Watched::new(&cluster, name, &["--level", "pod"]);
    look_after(&cluster, name, false);
    let what = "deployment/web";
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &two("Deployment", "web").to_string());
    settle(&cluster, name, what, "readyReplicas", 2);
    let before = stored(&cluster, name, what);
    look_after(&cluster, name, true);
    let args = ["empty", what, "--level", "pod", "--rollback"];
    run(&cluster, watched.folder.path(), name, &args, &unpulled)
        .code(1)
        .stderr_has("1 of 2 Pods are replaced, and one does not start: container app: image")
        .stderr_has("It was restored");
    let after = stored(&cluster, name, what);
    assert_eq!(pod_of(&after), pod_of(&before));
    let annotation = &after["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotation, &json!({ LABEL: "disabled" }));
    for pod in pods(&cluster, name) {
        let going = pod["metadata"]["deletionTimestamp"].is_string();
        assert!(going || pod_of(&pod)["containers"][0]["image"] == "app:1", "{pod}");
    }
}

/// What was empty before is not this command's to give back, at level pod either.
#[test]
fn rollback_leaves_workloads_that_were_empty_before() {
    let cluster = require!(cluster());
    let name = "rollback-before";
    let watched = Watched::new(&cluster, name, &["--level", "pod"]);
    let what = "deployment/web";
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &two("Deployment", "web").to_string());
    wait_until("both Pods are there, and cannot start", || {
        tend(&cluster, name, &unpulled);
        count(&cluster, name) == (2, 2)
    });
    let before = stored(&cluster, name, what);
    let args = ["empty", what, "--level", "pod", "--rollback"];
    run(&cluster, watched.folder.path(), name, &args, &unpulled)
        .code(1)
        .stderr_has("cannot be pulled")
        .stderr_has("Restore it with");
    assert_eq!(stored(&cluster, name, what), before);
}
