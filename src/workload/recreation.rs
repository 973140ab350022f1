//! A Pod or Job in a form that can be created again, and its placeholder.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DISABLED, HOLDS, LABEL, checksum::checksum};
use crate::kinds::{self, JOB, POD};

/// Maximum length of a name that fits unchanged into its placeholder's name.
const LONGEST: usize = 63 - "-diyadm".len();

/// The variable of a placeholder's first container with its content, as JSON.
const HELD: &str = "DIYADM_HOLDS";
/// The scheduling gate of a placeholder Pod, which is never scheduled. Kubernetes has gates since
/// 1.27 (1.26: alpha) and drops them in older versions.
const GATE: &str = "diyadm.io/holds";
/// A label that no node has. Before 1.27 it keeps a placeholder Pod from running: no scheduler
/// finds a node for it, and a kubelet rejects it.
const NODE_LABEL: &str = "diyadm.io/holds";
/// Labels that the API server adds to a Job's template.
const OF_JOB: [&str; 4] = [
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];

/// The object without fields that the cluster added.
pub fn without_server_fields(object: &Value) -> Value {
    let mut fresh = object.clone();
    let bound = !owns_node(object);
    if let Some(whole) = fresh.as_object_mut() {
        whole.shift_remove("status");
    }
    if let Some(meta) = fresh["metadata"].as_object_mut() {
        for field in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "managedFields",
            "selfLink",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            meta.shift_remove(field);
        }
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove("batch.kubernetes.io/job-tracking");
        }
    }
    let is_job = object["kind"] == JOB.kind && object["spec"]["manualSelector"] != true;
    let Some(spec) = fresh["spec"].as_object_mut() else { return fresh };
    if object["kind"] == POD.kind {
        spec.shift_remove("ephemeralContainers");
        if bound {
            spec.shift_remove("nodeName");
        }
    }
    if is_job {
        spec.shift_remove("selector");
        let labels = fresh.pointer_mut("/spec/template/metadata/labels");
        if let Some(labels) = labels.and_then(Value::as_object_mut) {
            OF_JOB.iter().for_each(|label| drop(labels.shift_remove(*label)));
        }
    }
    fresh
}

/// Whether a user has set the node: a binding by the scheduler has no field manager.
fn owns_node(object: &Value) -> bool {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.into_iter().flatten().any(|e| e["fieldsV1"]["f:spec"].get("f:nodeName").is_some())
}

/// The name of the placeholder of `name`; within the 63 characters of a Job's name, and unique even
/// if two names have the same beginning.
pub fn placeholder_name(name: &str) -> String {
    if name.len() <= LONGEST {
        return format!("{name}-diyadm");
    }
    let sum = &checksum(name)[..8];
    let head: String = name.chars().take(LONGEST - 1 - sum.len()).collect();
    // Only a letter or digit may precede a hyphen.
    let head = head.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{head}-{sum}-diyadm")
}

/// The placeholder of `new` between the deletion of the old object and the creation of `new`, so
/// that it is not lost with the client: of the same kind and labels, accepted by the cluster in the
/// same way, and never run. Its content is in its first container's environment, where nobody can
/// change it.
pub fn holder(new: &Value) -> Value {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let mut holder = json!({
        "apiVersion": new["apiVersion"],
        "kind": new["kind"],
        "metadata": {
            "name": placeholder_name(name),
            "namespace": new["metadata"]["namespace"],
            "labels": new["metadata"]["labels"],
            "annotations": { HOLDS: name },
        },
        "spec": new["spec"],
    });
    holder["metadata"]["labels"][LABEL] = DISABLED.into();
    if let Some(spec) = holder["spec"].as_object_mut() {
        if new["kind"] == POD.kind {
            spec.shift_remove("nodeName");
            spec.insert("schedulingGates".to_owned(), json!([{ "name": GATE }]));
            spec.insert("nodeSelector".to_owned(), json!({ NODE_LABEL: "never" }));
        } else {
            spec.insert("suspend".to_owned(), true.into());
        }
    }
    let held = json!({ "name": HELD, "value": new.to_string() });
    if let Some(container) =
        containers(&holder).and_then(|at| holder.pointer_mut(&format!("{at}/0")))
    {
        match container.get_mut("env").and_then(Value::as_array_mut) {
            Some(env) => env.push(held),
            None => container["env"] = json!([held]),
        }
    }
    holder
}

/// The path of the containers of a Pod or Job, the only kinds with placeholders.
fn containers(object: &Value) -> Option<String> {
    let kind = kinds::of_object(object).filter(|kind| [&POD, &JOB].contains(kind))?;
    Some(format!("{}/spec/containers", kind.template()))
}

/// The content of a placeholder for `name`.
pub fn held(holder: &Value, name: &str) -> Option<Value> {
    kept(holder).filter(|held| held["metadata"]["name"] == name)
}

/// The content of a placeholder.
pub fn kept(holder: &Value) -> Option<Value> {
    // A user who may only write annotations must not decide what is created.
    let env = holder.pointer(&format!("{}/0/env", containers(holder)?))?.as_array()?;
    let text = env.iter().rfind(|variable| variable["name"] == HELD)?["value"].as_str()?;
    let held: Value = serde_json::from_str(text).ok()?;
    let alike = |pointer: &str| held.pointer(pointer) == holder.pointer(pointer);
    let is_its_own = is_placeholder(holder)
        && ["/apiVersion", "/kind", "/metadata/namespace"].into_iter().all(alike)
        && holder["metadata"]["name"] == placeholder_name(held["metadata"]["name"].as_str()?);
    is_its_own.then_some(held)
}

/// All objects of one kind: the placeholder of a missing object becomes that object, without a
/// `uid`.
pub fn as_held(list: Vec<Value>) -> Vec<Value> {
    let place = |object: &Value| {
        ["namespace", "name"].map(|key| object["metadata"][key].as_str().map(ToOwned::to_owned))
    };
    if !list.iter().any(is_placeholder) {
        return list;
    }
    let there: BTreeSet<_> = list.iter().map(place).collect();
    let instead = |object: Value| match kept(&object) {
        Some(held) if !there.contains(&place(&held)) => held,
        _ => object,
    };
    list.into_iter().map(instead).collect()
}

/// Whether it declares itself a placeholder.
pub fn is_placeholder(object: &Value) -> bool {
    object["metadata"]["annotations"].get(HOLDS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recreated_job_has_no_server_fields() {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": "j", "namespace": "n", "uid": "u", "labels": { "a": "b" } },
            "spec": {
                "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } },
                "template": {
                    "metadata": { "labels": { "job-name": "j", "a": "b" } },
                    "spec": { "containers": [{ "name": "c" }] },
                },
            },
            "status": { "active": 1 },
        });
        let fresh = without_server_fields(&job);
        let pod = json!({ "containers": [{ "name": "c" }] });
        let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": pod });
        assert_eq!(fresh["spec"], json!({ "template": template }));
        assert_eq!(fresh["metadata"].get("uid"), None);
        let holder = holder(&fresh);
        assert_eq!(holder["spec"]["suspend"], true);
        assert_eq!(held(&holder, "j"), Some(fresh));
        assert_eq!(held(&holder, "k"), None);
    }

    #[test]
    fn placeholder_is_recognized() {
        let job = json!({ "template": { "spec": { "containers": [{ "name": "c" }] } } });
        let pod =
            json!({ "nodeName": "a", "containers": [{ "name": "c", "env": [{ "name": "E" }] }] });
        for (version, kind, spec) in [("v1", "Pod", pod), ("batch/v1", "Job", job)] {
            let object = json!({
                "apiVersion": version, "kind": kind,
                "metadata": { "name": "p", "namespace": "n", "labels": { "app": "p" } },
                "spec": spec,
            });
            let mut holder = holder(&object);
            assert_eq!(holder["metadata"]["labels"]["app"], "p");
            assert_eq!(as_held(vec![holder.clone()]), vec![object.clone()]);
            let both = vec![holder.clone(), object.clone()];
            assert_eq!(as_held(both.clone()), both);
            for (place, other) in
                [("namespace", "kube-system"), ("name", "q-diyadm"), ("annotations", "")]
            {
                let mut moved = holder.clone();
                moved["metadata"][place] = other.into();
                assert_eq!(as_held(vec![moved.clone()]), vec![moved], "{place}");
            }
            // A user who may annotate it cannot change its content.
            holder["metadata"]["annotations"][HOLDS] = r#"{"evil":1}"#.into();
            assert_eq!(as_held(vec![holder]), vec![object]);
        }
    }

    #[test]
    fn each_object_has_its_own_placeholder() {
        assert_eq!(placeholder_name("x"), "x-diyadm");
        let whole = "a".repeat(56);
        assert_eq!(placeholder_name(&whole), format!("{whole}-diyadm"));
        for alike in [whole, format!("{}.-{}", "a".repeat(46), "b".repeat(200))] {
            let names =
                [format!("{alike}1"), format!("{alike}2")].map(|name| placeholder_name(&name));
            assert_ne!(names[0], names[1]);
            for name in names {
                assert!(name.len() <= 63 && !name.contains(".-"), "{name}");
            }
        }
    }

    #[test]
    fn recreated_pod_keeps_a_node_name_set_by_the_user() {
        let mut pod = json!({ "kind": "Pod", "metadata": {}, "spec": { "nodeName": "a" } });
        assert_eq!(without_server_fields(&pod)["spec"], json!({}));
        pod["metadata"]["managedFields"] =
            json!([{ "fieldsV1": { "f:spec": { "f:nodeName": {} } } }]);
        assert_eq!(without_server_fields(&pod)["spec"]["nodeName"], "a");
        pod["spec"]["nodeSelector"] = json!({ "disk": "ssd" });
        let holder = holder(&without_server_fields(&pod))["spec"].clone();
        assert_eq!(holder.get("nodeName"), None);
        // Versions without gates find no node for it.
        assert_eq!(holder["nodeSelector"], json!({ NODE_LABEL: "never" }));
    }
}
