//! Waiting for Pods: the test plays their kubelet; controllers, quotas and policies are real.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use diyadm::workload::is_emptied_pod;
use serde_json::{Value, json};

use super::{pod_of, stored, workload};
use crate::rig::{Cluster, Run, TIMEOUT, Workspace, wait_until};

/// Two replicas, so that a rollout takes several steps.
pub(super) fn two(kind: &str, name: &str) -> Value {
    let mut object = workload(kind, name);
    object["spec"]["replicas"] = 2.into();
    // Where there is a node, it is not for these.
    object["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
    object
}

pub(super) fn pods(cluster: &Cluster, namespace: &str) -> Vec<Value> {
    let list = cluster.get(namespace, "pods");
    list["items"].as_array().unwrap().clone()
}

/// How many Pods are there and stay, and how many of them are empty.
pub(super) fn count(cluster: &Cluster, namespace: &str) -> (usize, usize) {
    let mut pods = pods(cluster, namespace);
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let empty = pods.iter().filter(|pod| is_emptied_pod(&pod.to_string()));
    (pods.len(), empty.count())
}

/// Does the kubelet's part of every Pod of the namespace: says what `status` says of it, and ends
/// those that are to go.
pub(super) fn play_kubelet(cluster: &Cluster, namespace: &str, status: &dyn Fn(&Value) -> Value) {
    for pod in pods(cluster, namespace) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        // Never of another Pod that has got its name meanwhile.
        let meta = json!({ "uid": pod["metadata"]["uid"] });
        if pod["metadata"]["deletionTimestamp"].is_string() {
            let now = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                "preconditions": meta,
            });
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
            cluster.try_kubectl(&["delete", "--raw", &path, "-f", "-"], &now.to_string());
        } else {
            let patch = json!({ "metadata": meta, "status": status(&pod) }).to_string();
            let how = ["patch", "pod", name, "--subresource=status", "--type=merge", "-p", &patch];
            // It may be gone by now.
            cluster.try_kubectl(&[&["-n", namespace][..], &how].concat(), "");
        }
    }
}

pub(super) fn ready(_: &Value) -> Value {
    let time = "2026-11-24T22:00:00Z";
    let yes = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": time });
    json!({
        "phase": "Running", "startTime": time,
        "conditions": [yes("PodScheduled"), yes("Initialized"), yes("ContainersReady"), yes("Ready")],
    })
}

/// As a kubelet and containerd say it.
const NOT_FOUND: &str = "Back-off pulling image \"typo:1\": ErrImagePull: failed to pull and \
                         unpack image \"docker.io/library/typo:1\": failed to resolve reference \
                         \"docker.io/library/typo:1\": docker.io/library/typo:1: not found";

/// Ready where the application runs; where the container idles, it cannot be pulled.
pub(super) fn unpulled(pod: &Value) -> Value {
    if pod["spec"]["containers"][0]["image"] == "app:1" {
        return ready(pod);
    }
    let waiting = json!({ "reason": "ImagePullBackOff", "message": NOT_FOUND });
    let status = json!({
        "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": waiting },
    });
    json!({ "phase": "Pending", "containerStatuses": [status] })
}

/// Runs the program while the test plays the kubelet of the Pods.
pub(super) fn run(
    cluster: &Cluster,
    folder: &Path,
    namespace: &str,
    args: &[&str],
    status: &(dyn Fn(&Value) -> Value + Sync),
) -> Run {
    let args = [args, &["-n", namespace, "--timeout", TIMEOUT]].concat();
    with_kubelet(cluster, namespace, status, || cluster.diyadm(folder, &args))
}

/// Does something while the test plays the kubelet of the Pods.
pub(super) fn with_kubelet<T>(
    cluster: &Cluster,
    namespace: &str,
    status: &(dyn Fn(&Value) -> Value + Sync),
    work: impl FnOnce() -> T,
) -> T {
    let through = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !through.load(SeqCst) {
                play_kubelet(cluster, namespace, status);
                thread::sleep(Duration::from_millis(100));
            }
        });
        // Whatever fails in it, the Pods must be left alone then.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        through.store(true, SeqCst);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub(super) fn settle(cluster: &Cluster, namespace: &str, what: &str, field: &str, count: u32) {
    wait_until(what, || {
        play_kubelet(cluster, namespace, &ready);
        cluster.get(namespace, what)["status"][field] == count
    });
}

#[test]
fn waits_for_rollouts_and_deletes_empty_revisions() {
    let cluster = require!(Workspace::new("waits"));
    let (name, folder) = (cluster.name, cluster.folder());
    for kind in ["Deployment", "StatefulSet"] {
        cluster.create(name, &two(kind, "web"));
        let what = format!("{}/web", kind.to_lowercase());
        settle(&cluster, name, &what, "readyReplicas", 2);
        let before = stored(&cluster, name, &what);
        let empty = run(&cluster, folder, name, &["empty", &what], &ready);
        empty.code(0).stderr_has("2 of 2 Pods are ready");
        for pod in pods(&cluster, name) {
            assert_eq!(pod["spec"]["containers"][0]["image"], "empty-container:latest");
        }
        let restore = run(&cluster, folder, name, &["restore", &what], &ready);
        restore.code(0).stderr_has("a revision of the emptied form, was deleted");
        assert_eq!(stored(&cluster, name, &what), before);
        let kinds = "replicasets,controllerrevisions";
        let left = cluster.get(name, kinds)["items"].to_string();
        assert!(!left.contains("diyadm.io/original"), "{left}");
        let undo = cluster.try_kubectl(&["-n", name, "rollout", "undo", &what], "");
        assert!(undo.code != Some(0), "nothing is left to go back to: {}", undo.stdout);
        cluster.kubectl(&["-n", name, "delete", &what], "");
        wait_until("its Pods are gone", || {
            play_kubelet(&cluster, name, &ready);
            pods(&cluster, name).is_empty()
        });
    }
}

#[test]
fn pod_that_cannot_start_is_explained_and_rolled_back() {
    let cluster = require!(Workspace::new("stuck"));
    let (name, folder) = (cluster.name, cluster.folder());
    for kind in ["Deployment", "StatefulSet"] {
        cluster.create(name, &two(kind, "web"));
        let what = format!("{}/web", kind.to_lowercase());
        settle(&cluster, name, &what, "readyReplicas", 2);
        let before = stored(&cluster, name, &what);

        let stuck = run(&cluster, folder, name, &["empty", &what], &unpulled).code(1);
        let stuck = stuck.stderr_has("cannot be pulled: ").stderr_has("--image keep");
        stuck.stderr_has(&format!("diyadm restore {what} -n {name}"));
        assert_ne!(stored(&cluster, name, &what), before);
        // Also where the Pod in the way never becomes ready.
        run(&cluster, folder, name, &["restore", &what], &unpulled).code(0);
        assert_eq!(stored(&cluster, name, &what), before);

        let args = ["empty", &what, "--rollback"];
        let rolled = run(&cluster, folder, name, &args, &unpulled).code(1);
        rolled.stderr_has("cannot be pulled").stderr_has("It was restored");
        assert_eq!(stored(&cluster, name, &what), before);
        cluster.kubectl(&["-n", name, "delete", &what], "");
        wait_until("its Pods are gone", || {
            play_kubelet(&cluster, name, &ready);
            pods(&cluster, name).is_empty()
        });
    }
}

/// Quota and Pod Security are the API server's own; their words reach the user.
#[test]
fn quota_and_pod_security_refusals_are_explained() {
    let cluster = require!(Workspace::new("not-admitted"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &two("Deployment", "web"));
    settle(&cluster, name, "deployment/web", "readyReplicas", 2);
    cluster.kubectl(&["-n", name, "create", "quota", "tight", "--hard=pods=2"], "");
    wait_until("the quota is known", || {
        cluster.get(name, "quota/tight")["status"]["used"]["pods"] == "2"
    });
    let args = ["empty", "deploy/web", "-n", name, "--timeout", "20"];
    let refused = cluster.diyadm(folder, &args).code(1);
    refused.stderr_has("a quota does not allow the Pod: exceeded quota: tight");
    cluster.kubectl(&["-n", name, "delete", "quota/tight"], "");
    run(&cluster, folder, name, &["restore", "deploy/web"], &ready).code(0);

    let level = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl(&["label", "namespace", name, level], "");
    let args = ["empty", "deploy/web", "-n", name, "--timeout", TIMEOUT];
    let refused = cluster.diyadm(folder, &args).code(1);
    refused.stderr_has("Pod Security level rejects the Pod");
}

/// What no controller replaces is replaced one by one.
#[test]
fn pods_without_rollout_are_replaced_by_the_client() {
    let cluster = require!(Workspace::new("by-hand"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut on_delete = two("StatefulSet", "web");
    on_delete["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    for object in [two("ReplicaSet", "web"), on_delete] {
        let what = format!("{}/web", object["kind"].as_str().unwrap().to_lowercase());
        cluster.create(name, &object);
        settle(&cluster, name, &what, "readyReplicas", 2);
        let before = stored(&cluster, name, &what);
        for (args, image) in [
            (["empty", what.as_str()], "empty-container:latest"),
            (["restore", what.as_str()], "app:1"),
        ] {
            run(&cluster, folder, name, &args, &ready).code(0);
            let pods = pods(&cluster, name);
            let going = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_string();
            assert_eq!(pods.iter().filter(|pod| !going(pod)).count(), 2);
            for pod in pods.iter().filter(|pod| !going(pod)) {
                assert_eq!(pod_of(pod)["containers"][0]["image"], image);
            }
        }
        assert_eq!(stored(&cluster, name, &what), before);
        cluster.kubectl(&["-n", name, "delete", &what], "");
        wait_until("its Pods are gone", || {
            play_kubelet(&cluster, name, &ready);
            pods(&cluster, name).is_empty()
        });
    }
}
