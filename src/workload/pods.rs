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
