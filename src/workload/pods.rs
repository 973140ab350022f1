//! The Pods of a workload: selectors, owners and readiness.

use serde_json::Value;

use crate::kinds::{self, Controller, JOB, REPLICA_SET};

/// A label selector in the format of `kubectl -l`: `app=web,tier in (a,b),!old`.
pub fn label_selector(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key}={}", text(value)));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let expressions = expressions.map(|expression| {
        let key = text(&expression["key"]);
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<_> = values.filter_map(Value::as_str).collect();
        match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("Exists") => key,
            _ => format!("!{key}"),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// The owner reference of an object's controller.
pub fn controller(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.and_then(|owners| owners.iter().find(|owner| owner["controller"] == true))
}

/// Whether it has a controller.
pub fn is_controlled(object: &Value) -> bool {
    controller(object).is_some()
}

/// Whether a Pod, or a Job, is controlled by the workload of this name and uid, whose kind has
/// Pods of this controller; a Deployment's Pods by its ReplicaSets, which may not be readable: they
/// are called NAME-HASH, and the Pod has the hash.
pub fn is_controlled_by(object: &Value, kind: Controller, name: &str, uid: &Value) -> bool {
    let Some(owner) = controller(object) else { return false };
    let Controller::ReplicaSets(hash) = kind else { return owner["uid"] == *uid };
    let hash = object["metadata"]["labels"][hash].as_str().unwrap_or_default();
    owner["kind"] == REPLICA_SET.kind && owner["name"] == format!("{name}-{hash}")
}

/// Whether a Pod belongs to the workload: by its namespace and controller.
pub fn belongs_to(pod: &Value, workload: &Value) -> bool {
    let (own, meta) = (&pod["metadata"], &workload["metadata"]);
    // The same manifest gives equal names of ReplicaSets in every namespace.
    if meta["namespace"] != own["namespace"] {
        return false;
    }
    let name = meta["name"].as_str().unwrap_or_default();
    match kinds::of_object(workload).map(|kind| kind.controller) {
        Some(Controller::Itself) => own["name"] == name,
        Some(Controller::Jobs) => controller(pod).is_some_and(|owner| {
            let made = owner["name"].as_str().and_then(super::cron_job);
            owner["kind"] == JOB.kind && made == Some(name)
        }),
        Some(controller) => is_controlled_by(pod, controller, name, &meta["uid"]),
        None => is_controlled_by(pod, Controller::Workload, name, &meta["uid"]),
    }
}

/// A key that a workload shares with its Pods: it is one of their [`owner_keys`] where a Pod
/// [`belongs_to`] the workload, so that the Pods of many workloads are found at once.
pub fn pods_key(workload: &Value) -> String {
    let text = |field: &str| workload["metadata"][field].as_str().unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    match kinds::of_object(workload).map(|kind| kind.controller) {
        Some(Controller::Itself) => key(OF_ITSELF, namespace, name),
        Some(Controller::Jobs) => key(OF_JOB, namespace, name),
        Some(Controller::ReplicaSets(hash)) => key(hash, namespace, name),
        Some(Controller::Workload) | None => key(OF_UID, namespace, text("uid")),
    }
}

/// The keys of every workload that a Pod may belong to.
pub fn owner_keys(pod: &Value) -> Vec<String> {
    let meta = &pod["metadata"];
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = text(&meta["namespace"]);
    let mut keys = vec![key(OF_ITSELF, &namespace, &text(&meta["name"]))];
    let Some(owner) = controller(pod) else { return keys };
    keys.push(key(OF_UID, &namespace, &text(&owner["uid"])));
    let name = owner["name"].as_str().unwrap_or_default();
    if owner["kind"] == JOB.kind {
        keys.extend(super::cron_job(name).map(|name| key(OF_JOB, &namespace, name)));
    } else if owner["kind"] == REPLICA_SET.kind {
        keys.extend(kinds::workloads().filter_map(|kind| {
            let label = |label: &str| meta["labels"][label].as_str();
            Some(key(kind.hash_label()?, &namespace, kind.of_replica_set(name, label)?))
        }));
    }
    keys
}

const OF_ITSELF: &str = "name";
const OF_JOB: &str = "job";
const OF_UID: &str = "uid";

fn key(of: &str, namespace: &str, value: &str) -> String {
    format!("{of} {namespace}/{value}")
}

/// Whether a Pod is being deleted.
pub fn is_terminating(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

/// Whether a Pod has ended: it was evicted, or its Job has completed.
pub fn is_over(pod: &Value) -> bool {
    ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase)
}

/// Whether a Pod is Ready and is not being deleted.
pub fn is_ready(pod: &Value) -> bool {
    !is_terminating(pod) && condition(pod, "Ready")["status"] == "True"
}

/// A condition of a Pod; null if it has none of that type.
pub fn condition<'v>(pod: &'v Value, kind: &str) -> &'v Value {
    let all = pod["status"]["conditions"].as_array();
    let found = all.and_then(|all| all.iter().find(|one| one["type"] == kind));
    found.unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{DEPLOYMENT, STATEFUL_SET};

    #[test]
    fn pods_have_the_keys_of_the_workloads_that_they_belong_to() {
        let object = |version: &str, kind: &str, name: &str, meta: &Value| {
            let mut meta = meta.clone();
            meta["name"] = name.into();
            json!({ "apiVersion": version, "kind": kind, "metadata": meta })
        };
        let owned = |kind: &str, owner: &str| {
            json!({
                "namespace": "n", "labels": { "pod-template-hash": "h", "other": "h" },
                "ownerReferences": [
                    { "kind": kind, "name": owner, "uid": format!("of-{owner}"), "controller": true },
                ],
            })
        };
        let pods = [
            object("v1", "Pod", "p", &json!({ "namespace": "n" })),
            object("v1", "Pod", "p", &owned("ReplicaSet", "web-h")),
            object("v1", "Pod", "p", &owned("ReplicaSet", "web-2-h")),
            object("v1", "Pod", "db-0", &owned("StatefulSet", "db")),
            object("v1", "Pod", "x", &owned("Job", "report-29940123")),
            object("v1", "Pod", "x", &owned("Job", "report")),
        ];
        let mut counts = Vec::new();
        for (version, kind, name) in [
            ("v1", "Pod", "p"),
            ("apps/v1", "Deployment", "web"),
            ("apps/v1", "ReplicaSet", "web-h"),
            ("apps/v1", "StatefulSet", "db"),
            ("batch/v1", "CronJob", "report"),
            ("batch/v1", "Job", "report"),
            ("argoproj.io/v1alpha1", "Rollout", "web"),
        ] {
            for namespace in ["n", "m"] {
                let meta = json!({ "namespace": namespace, "uid": format!("of-{name}") });
                let workload = object(version, kind, name, &meta);
                let own = pods.iter().filter(|pod| belongs_to(pod, &workload));
                let own: Vec<_> = own.collect();
                let by_key =
                    pods.iter().filter(|pod| owner_keys(pod).contains(&pods_key(&workload)));
                assert_eq!(by_key.collect::<Vec<_>>(), own, "{workload}");
                counts.push(own.len());
            }
        }
        assert_eq!(counts, [3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn label_selector_includes_match_expressions() {
        let both = json!({
            "matchLabels": { "a": "b" },
            "matchExpressions": [
                { "key": "k", "operator": "In", "values": ["v", "w"] },
                { "key": "n", "operator": "NotIn", "values": ["x"] },
                { "key": "e", "operator": "Exists" },
                { "key": "d", "operator": "DoesNotExist" },
            ],
        });
        assert_eq!(label_selector(&both), "a=b,k in (v,w),n notin (x),e,!d");
        assert_eq!(label_selector(&Value::Null), "");
    }

    #[test]
    fn pods_of_a_deployment_are_found_by_replica_set_name_and_hash() {
        let owned = |kind: &str, name: &str| {
            json!({ "metadata": {
                "labels": { "pod-template-hash": "h" },
                "ownerReferences": [
                    { "kind": kind, "name": name, "uid": "u", "controller": true },
                ],
            } })
        };
        let is_of = |object: &Value, controller, name, uid: &str| {
            is_controlled_by(object, controller, name, &Value::from(uid))
        };
        assert!(is_of(&owned("ReplicaSet", "web-h"), DEPLOYMENT.controller, "web", "other"));
        assert!(!is_of(&owned("ReplicaSet", "web-2-h"), DEPLOYMENT.controller, "web", "other"));
        assert!(is_of(&owned("StatefulSet", "db"), STATEFUL_SET.controller, "db", "u"));
        assert!(!is_of(&owned("StatefulSet", "db"), STATEFUL_SET.controller, "db", "v"));
        assert!(!is_of(&json!({ "metadata": {} }), STATEFUL_SET.controller, "db", ""));
    }
}
