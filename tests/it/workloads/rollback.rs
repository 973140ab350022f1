//! `empty --rollback`: workloads that cannot start are restored, and only these are reported as
//! restored.

use std::sync::Once;

use diyadm::workload::LABEL;
use serde_json::json;

use super::{
    pod_of, stored,
    waiting::{count, play_kubelet, pods, run, settle, two, unpulled},
    with_webhook::{WebhookNamespace, set_namespace_label},
    workload,
};
use crate::{
    proxy::{Fate::Pass, Proxy},
    rig::{Workspace, cluster, wait_until},
};

#[test]
fn rollback_restores_recreated_pods() {
    let cluster = require!(Workspace::new("rollback-again"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut pod = workload("Pod", "x");
    pod["spec"]["schedulerName"] = "nobody".into();
    cluster.create(name, &pod);
    let before = stored(&cluster, name, "pod/x");
    let args = ["empty", "pod/x", "--recreate", "--rollback"];
    let rolled = run(&cluster, folder, name, &args, &unpulled).code(1);
    rolled.stderr_has("cannot be pulled").stderr_has("It was restored");
    assert_eq!(stored(&cluster, name, "pod/x"), before);
}

/// A workload that another client has restored meanwhile is not reported as restored by this
/// command.
#[test]
fn rollback_does_not_claim_workloads_restored_by_others() {
    let cluster = require!(Workspace::new("rollback-late"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &two("Deployment", "web"));
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
    let cluster = require!(Workspace::new("rollback-hand"));
    let (name, folder) = (cluster.name, cluster.folder());
    let what = "replicaset/web";
    cluster.create(name, &two("ReplicaSet", "web"));
    settle(&cluster, name, what, "readyReplicas", 2);
    let before = stored(&cluster, name, what);
    let empty = run(&cluster, folder, name, &["empty", what], &unpulled).code(1);
    let empty = empty.stderr_has("1 of 2 Pods are replaced, and one does not start");
    empty.stderr_has("cannot be pulled").stderr_has(&format!("`diyadm restore {what} -n {name}"));
    // What was empty before is not this command's to give back.
    let args = ["empty", what, "--rollback"];
    let again = run(&cluster, folder, name, &args, &unpulled).code(1);
    again.stderr_has("already empty").stderr_has("Restore it with");
    run(&cluster, folder, name, &["restore", what], &unpulled).code(0);
    let rolled = run(&cluster, folder, name, &args, &unpulled).code(1);
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
    let watched = WebhookNamespace::new(&cluster, name, &["--level", "pod"]);
    set_namespace_label(&cluster, name, false);
    let what = "deployment/web";
    cluster.create(name, &two("Deployment", "web"));
    settle(&cluster, name, what, "readyReplicas", 2);
    let before = stored(&cluster, name, what);
    set_namespace_label(&cluster, name, true);
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
    let watched = WebhookNamespace::new(&cluster, name, &["--level", "pod"]);
    let what = "deployment/web";
    cluster.create(name, &two("Deployment", "web"));
    wait_until("both Pods are there, and cannot start", || {
        play_kubelet(&cluster, name, &unpulled);
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
