//! Statuses as a real cluster writes them.

use serde_json::{Value, json};

use super::*;

fn deployment(status: &Value) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": { "name": "web", "uid": "d", "generation": 2 },
        "spec": { "replicas": 2, "template": { "spec": { "containers": [
            { "name": "app", "image": "empty:1" },
        ] } } },
        "status": status,
    })
}

fn pod(image: &str, status: &Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {
            "name": "web-abc-x", "uid": "p", "labels": { "pod-template-hash": "abc" },
            "ownerReferences": [
                { "kind": "ReplicaSet", "name": "web-abc", "uid": "r", "controller": true },
            ],
        },
        "spec": { "containers": [{ "name": "app", "image": image }] },
        "status": status,
    })
}

fn waiting_for(reason: &str, message: &str) -> Value {
    json!({ "containerStatuses": [
        { "name": "app", "state": { "waiting": { "reason": reason, "message": message } } },
    ] })
}

#[test]
fn deployment_rollout_is_judged_as_by_kubectl() {
    for (status, done, expected) in [
        (json!({ "observedGeneration": 1 }), false, "not processed the change"),
        (json!({ "observedGeneration": 2, "replicas": 2 }), false, "0 of 2 Pods are replaced"),
        (
            json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 2 }),
            false,
            "1 old Pod is still",
        ),
        (
            json!({
                "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
                "availableReplicas": 1,
            }),
            false,
            "1 of 2 Pods are ready",
        ),
        (
            json!({
                "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
                "availableReplicas": 2,
            }),
            true,
            "2 of 2 Pods are ready",
        ),
    ] {
        let progress = progress(&deployment(&status), &Observations::default());
        assert_eq!(progress.done, done, "{status}");
        assert!(progress.message.contains(expected), "{progress:?}");
    }
    let mut paused = deployment(&json!({ "observedGeneration": 2 }));
    paused["spec"]["paused"] = true.into();
    let trouble = progress(&paused, &Observations::default()).trouble.unwrap();
    assert!(trouble.lasting && trouble.what.contains("paused"), "{trouble:?}");
}

#[test]
fn old_pods_that_wait_for_new_ones_are_not_called_terminating() {
    let status = json!({
        "observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2,
    });
    let mut old = pod("app:1", &json!({}));
    old["metadata"]["uid"] = "old".into();
    let pods = [pod("empty:1", &json!({})), old];
    let events = [json!({
        "reason": "Pulling", "message": "Pulling image \"empty:1\"",
        "involvedObject": { "kind": "Pod", "uid": "p" },
    })];
    let seen = Observations { pods: &pods, events: &events, since: "" };
    let progress = progress(&deployment(&status), &seen);
    assert_eq!(progress.message, "0 of 1 new Pods are ready, pulling image empty:1");
}

#[test]
fn pods_that_wait_for_their_application_are_not_called_ready() {
    let probe = json!({ "exec": { "command": [diyadm_agent::MOUNTED, "ready"] } });
    let mut set = json!({
        "kind": "ReplicaSet", "metadata": { "name": "r", "uid": "r" },
        "spec": { "replicas": 2, "template": { "spec": { "containers": [
            { "name": "app", "image": "empty:1", "readinessProbe": probe },
        ] } } },
    });
    let status = json!({ "containerStatuses": [
        { "name": "app", "ready": false, "state": { "running": {} } },
    ] });
    let mut one = pod("empty:1", &status);
    one["spec"]["containers"] = set["spec"]["template"]["spec"]["containers"].clone();
    one["metadata"]["ownerReferences"] =
        json!([{ "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true }]);
    let mut ready = one.clone();
    ready["metadata"]["uid"] = "q".into();
    ready["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
    let pods = [one, ready];
    let seen = Observations { pods: &pods, ..Observations::default() };
    let message = |set: &Value| progress(set, &seen).message;
    assert_eq!(
        message(&set),
        "2 of 2 Pods run; 1 is not ready, and not called by Services, until an application is \
         started there"
    );
    set["spec"]["replicas"] = 0.into();
    assert_eq!(message(&set), "it has no Pods");
}

#[test]
fn stateful_set_rollout_ends_at_its_partition() {
    let set = |partition: i64, status: Value| {
        json!({
            "kind": "StatefulSet", "metadata": { "name": "db", "uid": "s", "generation": 1 },
            "spec": { "replicas": 3, "updateStrategy": {
                "type": "RollingUpdate", "rollingUpdate": { "partition": partition },
            } },
            "status": status,
        })
    };
    let seen = Observations::default();
    let status = json!({
        "observedGeneration": 1, "updateRevision": "b", "currentRevision": "a",
        "updatedReplicas": 1, "currentReplicas": 2, "readyReplicas": 3,
    });
    assert!(progress(&set(2, status.clone()), &seen).done);
    assert!(!progress(&set(0, status), &seen).done);
    let status = json!({
        "observedGeneration": 1, "updateRevision": "b", "currentRevision": "b",
        "currentReplicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
    });
    assert!(progress(&set(0, status), &seen).done);
}

#[test]
fn blocked_pod_is_reported_with_a_hint() {
    let workload = deployment(&json!({ "observedGeneration": 2, "replicas": 2 }));
    for (status, lasting, what, hint) in [
        (waiting_for("ErrImagePull", "no such host"), false, "cannot be pulled", "--image"),
        (waiting_for("ImagePullBackOff", ""), true, "empty:1 cannot be pulled", "--image keep"),
        (waiting_for("InvalidImageName", ""), true, "not a valid image name", "--image"),
        (
            waiting_for(
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root",
            ),
            true,
            "cannot be created",
            "numeric USER",
        ),
        (waiting_for("RunContainerError", "exec: \"sh\": not found"), true, "128", "--idle agent"),
        (
            json!({ "containerStatuses": [{
                "name": "app",
                "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                "lastState": { "terminated": { "exitCode": 0 } },
            }] }),
            true,
            "exits at once with 0",
            "--idle shell",
        ),
        (
            json!({ "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu.",
            }] }),
            false,
            "Insufficient cpu",
            "nodes",
        ),
    ] {
        let pods = [pod("empty:1", &status)];
        let seen = Observations { pods: &pods, ..Observations::default() };
        let trouble = progress(&workload, &seen).trouble.unwrap();
        assert_eq!(trouble.lasting, lasting, "{trouble:?}");
        // What helps an emptied workload, else what helps any.
        let hinted = trouble.emptied.as_ref().unwrap_or(&trouble.hint);
        assert!(trouble.what.contains(what) && hinted.contains(hint), "{trouble:?}");
        // A Pod of the old form is none of this rollout's.
        let pods = [pod("app:1", &status)];
        let seen = Observations { pods: &pods, ..Observations::default() };
        assert_eq!(progress(&workload, &seen).trouble, None);
    }
}

#[test]
fn failed_volume_mount_is_reported_from_events() {
    let workload = deployment(&json!({ "observedGeneration": 2 }));
    let pods = [pod("empty:1", &json!({}))];
    let events = [json!({
        "type": "Warning", "reason": "FailedMount", "message": "secret \"x\" not found",
        "involvedObject": { "kind": "Pod", "uid": "p" },
        "lastTimestamp": "2026-11-24T22:05:35Z",
    })];
    let seen = Observations { pods: &pods, events: &events, since: "" };
    let trouble = progress(&workload, &seen).trouble.unwrap();
    assert!(trouble.what.contains("secret \"x\" not found"), "{trouble:?}");
}

#[test]
fn failed_pod_creation_is_reported_from_its_controller() {
    let message = |said: &str| format!("pods \"web-abc-\" is forbidden: {said}");
    for (said, lasting, what) in [
        ("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2", false, "a quota"),
        ("violates PodSecurity \"restricted:latest\": runAsNonRoot != true", true, "Pod Security"),
        ("admission webhook \"x\" denied the request: no", true, "a policy of the cluster"),
    ] {
        let condition = json!({ "observedGeneration": 2, "conditions": [{
            "type": "ReplicaFailure", "status": "True", "message": message(said),
        }] });
        let trouble = progress(&deployment(&condition), &Observations::default()).trouble.unwrap();
        assert_eq!(trouble.lasting, lasting);
        assert!(trouble.what.contains(what), "{trouble:?}");

        let event = |time: &str| {
            json!({
                "type": "Warning", "reason": "FailedCreate", "message": message(said),
                "involvedObject": { "kind": "ReplicaSet", "name": "web-abc", "uid": "r" },
                "lastTimestamp": time,
            })
        };
        let since = "2026-11-24T22:00:00Z";
        for (time, found) in [("2026-11-24T21:00:00Z", false), ("2026-11-24T22:00:01Z", true)] {
            let events = [event(time)];
            let seen = Observations { events: &events, since, ..Observations::default() };
            let workload = deployment(&json!({ "observedGeneration": 2 }));
            assert_eq!(progress(&workload, &seen).trouble.is_some(), found);
        }
    }
}

#[test]
fn workload_without_a_replacing_controller_is_counted_by_its_pods() {
    let workload = json!({
        "kind": "ReplicaSet", "metadata": { "name": "r", "uid": "r" },
        "spec": { "replicas": 1, "template": { "spec": { "containers": [
            { "name": "app", "image": "empty:1" },
        ] } } },
    });
    let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
    for (image, done) in [("app:1", false), ("empty:1", true)] {
        let pods = [pod(image, &ready)];
        let seen = Observations { pods: &pods, ..Observations::default() };
        assert_eq!(progress(&workload, &seen).done, done);
    }
}

/// What runs for a while may be over before it was seen to run; what is empty is to idle.
#[test]
fn ended_jobs_and_pods_are_not_awaited() {
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "message": "why." });
    let conditions = |kind: &str| json!({ "conditions": [condition(kind)] });
    for (kind, status, done, expected, lasting) in [
        ("Job", json!({ "active": 1 }), false, "its Pod is not ready yet", None),
        ("Job", json!({ "active": 1, "ready": 1 }), true, "its Pod is ready", None),
        ("Job", json!({ "active": 1, "succeeded": 1 }), true, "it has ended", None),
        ("Job", conditions("Complete"), true, "it has ended", None),
        ("Job", conditions("Failed"), false, "it has failed", Some("it has failed: why")),
        ("Pod", json!({ "phase": "Pending" }), false, "its Pod is not ready yet", None),
        ("Pod", conditions("Ready"), true, "its Pod is ready", None),
        ("Pod", json!({ "phase": "Succeeded" }), true, "it has ended", None),
        (
            "Pod",
            json!({ "phase": "Failed", "reason": "Evicted" }),
            false,
            "it has failed",
            Some("it has failed: Evicted"),
        ),
    ] {
        let mut object = json!({
            "apiVersion": if kind == "Job" { "batch/v1" } else { "v1" }, "kind": kind,
            "metadata": { "name": "x", "namespace": "shop", "uid": "x" },
            "status": status,
        });
        let progress = progress(&object, &Observations::default());
        assert_eq!((progress.done, progress.message.as_str()), (done, expected), "{object}");
        let trouble = progress.trouble.filter(|trouble| trouble.lasting);
        assert_eq!(trouble.as_ref().map(|trouble| trouble.what.as_str()), lasting, "{object}");
        let hint = format!("`kubectl -n shop logs {}/x", kind.to_lowercase());
        assert!(trouble.is_none_or(|trouble| trouble.hint.contains(&hint)), "{object}");

        object["metadata"]["annotations"] = json!({ "diyadm.io/original": "{}" });
        let progress = super::progress(&object, &Observations::default());
        assert_eq!(progress.done, expected == "its Pod is ready", "{object}");
        let trouble = progress.trouble.filter(|trouble| trouble.lasting);
        assert_eq!(trouble.is_some(), expected.starts_with("it has"), "{object}");
    }
}

#[test]
fn image_pull_is_reported_as_progress() {
    let workload = deployment(&json!({ "observedGeneration": 2, "replicas": 2 }));
    let event = |uid: &str, reason: &str, at: &str| {
        json!({
            "involvedObject": { "uid": uid }, "type": "Normal", "reason": reason,
            "message": format!("{reason} image \"registry/empty:1\" and more"), "lastTimestamp": at,
        })
    };
    let message_of = |image: &str, events: &[Value]| {
        let pods = [pod(image, &json!({}))];
        progress(&workload, &Observations { pods: &pods, events, ..Observations::default() })
            .message
    };
    let pulling = [event("p", "Scheduled", "1"), event("p", "Pulling", "2")];
    assert_eq!(
        message_of("empty:1", &pulling),
        "0 of 2 Pods are replaced, pulling image registry/empty:1"
    );
    let pulled = [event("p", "Pulling", "2"), event("p", "Pulled", "3")];
    for (image, events) in
        [("empty:1", &pulled[..]), ("app:1", &pulling), ("empty:1", &[event("q", "Pulling", "2")])]
    {
        assert_eq!(message_of(image, events), "0 of 2 Pods are replaced", "{image} {events:?}");
    }
}

#[test]
fn failing_startup_probe_is_named() {
    let running = json!({ "running": {} });
    let probe = json!({ "httpGet": { "port": 8080 } });
    let sidecar = json!({ "name": "mesh", "restartPolicy": "Always", "startupProbe": probe });
    let mut waits = pod(
        "empty:1",
        &json!({ "initContainerStatuses": [
        { "name": "mesh", "started": false, "state": running },
    ] }),
    );
    waits["spec"]["initContainers"] = json!([sidecar]);
    let found = pods::pod_trouble(&waits, &[]).unwrap();
    assert!(found.what.starts_with("sidecar mesh runs, and its startupProbe"), "{found:?}");
    assert!(found.what.ends_with("later containers wait for that"), "{found:?}");
    assert!(!found.lasting);
    waits["status"]["initContainerStatuses"][0]["started"] = true.into();
    assert!(pods::pod_trouble(&waits, &[]).is_none());
}

#[test]
fn custom_resource_without_a_controller_is_not_waited_for() {
    let object = |version: &str, kind: &str, status: Value| {
        let spec = json!({ "replicas": 2, "template": { "spec": { "containers": [] } } });
        json!({
            "apiVersion": version, "kind": kind,
            "metadata": { "name": "web", "uid": "u", "generation": 3 }, "spec": spec,
            "status": status,
        })
    };
    let (rollout, clone) =
        (("argoproj.io/v1alpha1", "Rollout"), ("apps.kruise.io/v1alpha1", "CloneSet"));
    for (version, kind) in [rollout, clone] {
        let found = progress(&object(version, kind, Value::Null), &Observations::default());
        assert!(found.done && found.message.contains("no controller"), "{kind}: {found:?}");
    }
    // Argo Rollouts writes the generation as text.
    let status = |generation: &str| {
        json!({
            "observedGeneration": generation, "replicas": 2, "updatedReplicas": 2,
            "availableReplicas": 2,
        })
    };
    for (generation, done) in [("2", false), ("3", true)] {
        let found =
            progress(&object(rollout.0, rollout.1, status(generation)), &Observations::default());
        assert_eq!(found.done, done, "{generation}: {found:?}");
    }
    let mut kept = object(
        clone.0,
        clone.1,
        json!({
            "observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2,
        }),
    );
    assert!(!progress(&kept, &Observations::default()).done);
    for (partition, done) in [(json!(1), true), (json!("30%"), true), (json!("0%"), false)] {
        kept["spec"]["updateStrategy"] = json!({ "partition": partition });
        assert_eq!(progress(&kept, &Observations::default()).done, done, "{kept}");
    }
}
