//! A Pod or Job as it can be created again, and the one that holds its place meanwhile.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DISABLED, HOLDS, LABEL, original::checksum};

/// So much of a name fits into its holder's as it is.
const LONGEST: usize = 63 - "-diyadm".len();

/// Of a Pod that holds a place: it is never scheduled.
const GATE: &str = "diyadm.io/holds";
/// What the API server adds to a Job's template.
const OF_JOB: [&str; 4] = [
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];

/// The object without what the cluster has made of it.
pub fn fresh(object: &Value) -> Value {
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
    let is_job = object["kind"] == "Job" && object["spec"]["manualSelector"] != true;
    let Some(spec) = fresh["spec"].as_object_mut() else { return fresh };
    if object["kind"] == "Pod" {
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

/// Whether someone has written the node himself: the scheduler's binding is nobody's field.
fn owns_node(object: &Value) -> bool {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.into_iter().flatten().any(|e| e["fieldsV1"]["f:spec"].get("f:nodeName").is_some())
}

/// The name of what holds the place of `name`; within the 63 characters that a Job's may have, and
/// its own also where two names begin alike.
pub fn holder_name(name: &str) -> String {
    if name.len() <= LONGEST {
        return format!("{name}-diyadm");
    }
    let sum = &checksum(name)[..8];
    let head: String = name.chars().take(LONGEST - 1 - sum.len()).collect();
    // Nothing but a letter or digit may stand before a hyphen.
    let head = head.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{head}-{sum}-diyadm")
}

/// What holds the place of `new` between its predecessor's end and its own beginning, so that it
/// is not lost with the client: of the same kind, judged alike by the cluster, and never run.
pub fn holder(new: &Value) -> Value {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let mut holder = json!({
        "apiVersion": new["apiVersion"],
        "kind": new["kind"],
        "metadata": {
            "name": holder_name(name),
            "namespace": new["metadata"]["namespace"],
            "labels": { LABEL: DISABLED },
            "annotations": { HOLDS: new.to_string() },
        },
        "spec": new["spec"],
    });
    if let Some(spec) = holder["spec"].as_object_mut() {
        if new["kind"] == "Pod" {
            spec.shift_remove("nodeName");
            spec.insert("schedulingGates".to_owned(), json!([{ "name": GATE }]));
        } else {
            spec.insert("suspend".to_owned(), true.into());
        }
    }
    holder
}

/// What a holder keeps for `name`.
pub fn held(holder: &Value, name: &str) -> Option<Value> {
    kept(holder).filter(|held| held["metadata"]["name"] == name)
}

/// What a holder keeps, as far as it is to be trusted: nothing runs by it that the API server did
/// not let its creator write into the holder itself, which nobody can change since.
fn kept(holder: &Value) -> Option<Value> {
    let text = holder["metadata"]["annotations"][HOLDS].as_str()?;
    let held: Value = serde_json::from_str(text).ok()?;
    let alike = |pointer: &str| held.pointer(pointer) == holder.pointer(pointer);
    let name = held["metadata"]["name"].as_str().map(holder_name);
    let mut spec = held["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        ["nodeName", "schedulingGates", "suspend"].iter().for_each(|f| drop(spec.shift_remove(*f)));
    }
    let is_its_own = ["/apiVersion", "/kind", "/metadata/namespace"].into_iter().all(alike)
        && holder["metadata"]["name"].as_str() == name.as_deref()
        && covers(&holder["spec"], &spec);
    is_its_own.then_some(held)
}

/// Whether all of `part` is in `whole`; what admission has added there does not matter.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            let mut members = part.iter();
            members.all(|(key, part)| whole.get(key).is_some_and(|whole| covers(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) if part.iter().all(|p| p["name"].is_string()) => {
            part.iter().all(|part| whole.iter().any(|whole| covers(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| covers(w, p))
        }
        _ => whole == part,
    }
}

/// All objects of one kind: what holds the place of one that is not there becomes that one, which
/// has no `uid`.
pub fn as_held(list: Vec<Value>) -> Vec<Value> {
    let place = |object: &Value| {
        ["namespace", "name"].map(|key| object["metadata"][key].as_str().map(ToOwned::to_owned))
    };
    if !list.iter().any(is_holder) {
        return list;
    }
    let there: BTreeSet<_> = list.iter().map(place).collect();
    let instead = |object: Value| match kept(&object) {
        Some(held) if !there.contains(&place(&held)) => held,
        _ => object,
    };
    list.into_iter().map(instead).collect()
}

/// Whether it says that it holds the place of another.
pub fn is_holder(object: &Value) -> bool {
    object["metadata"]["annotations"].get(HOLDS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_can_be_created_again() {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": "j", "namespace": "n", "uid": "u", "labels": { "a": "b" } },
            "spec": {
                "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } },
                "template": { "metadata": { "labels": { "job-name": "j", "a": "b" } } },
            },
            "status": { "active": 1 },
        });
        let fresh = fresh(&job);
        let template = json!({ "metadata": { "labels": { "a": "b" } } });
        assert_eq!(fresh["spec"], json!({ "template": template }));
        assert_eq!(fresh["metadata"].get("uid"), None);
        let holder = holder(&fresh);
        assert_eq!(holder["spec"]["suspend"], true);
        assert_eq!(held(&holder, "j"), Some(fresh));
        assert_eq!(held(&holder, "k"), None);
    }

    #[test]
    fn what_is_not_there_is_what_holds_its_place() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "p", "namespace": "n" },
            "spec": { "nodeName": "a", "containers": [{ "name": "c", "image": "i" }] },
        });
        let mut holder = holder(&pod);
        holder["metadata"]["uid"] = "u".into();
        // As admission would.
        let more = holder["spec"]["containers"].as_array_mut().unwrap();
        more[0]["resources"] = json!({ "limits": { "cpu": "1" } });
        more.push(json!({ "name": "sidecar" }));
        assert_eq!(as_held(vec![holder.clone()]), vec![pod.clone()]);
        let both = vec![holder.clone(), pod.clone()];
        assert_eq!(as_held(both.clone()), both);

        // Whoever may annotate a Pod makes nobody create another one.
        for (place, value) in [
            ("/metadata/namespace", json!("kube-system")),
            ("/metadata/name", json!("q")),
            ("/kind", json!("Job")),
            ("/spec/containers/0/image", json!("evil")),
            ("/spec/containers/0/securityContext", json!({ "privileged": true })),
            ("/spec/serviceAccountName", json!("admin")),
            ("/spec/containers/1", json!({ "name": "more", "image": "evil" })),
        ] {
            let mut forged = pod.clone();
            if let Some(at) = forged.pointer_mut(place) {
                *at = value;
            } else {
                let (parent, last) = place.rsplit_once('/').unwrap();
                match forged.pointer_mut(parent).unwrap() {
                    Value::Array(items) => items.push(value),
                    parent => parent[last] = value,
                }
            }
            let mut holder = holder.clone();
            holder["metadata"]["annotations"][HOLDS] = forged.to_string().into();
            assert_eq!(as_held(vec![holder.clone()]), [holder], "{place}");
        }
    }

    #[test]
    fn each_name_has_a_holder_of_its_own() {
        assert_eq!(holder_name("x"), "x-diyadm");
        let whole = "a".repeat(56);
        assert_eq!(holder_name(&whole), format!("{whole}-diyadm"));
        for alike in [whole, format!("{}.-{}", "a".repeat(46), "b".repeat(200))] {
            let names = [format!("{alike}1"), format!("{alike}2")].map(|name| holder_name(&name));
            assert_ne!(names[0], names[1]);
            for name in names {
                assert!(name.len() <= 63 && !name.contains(".-"), "{name}");
            }
        }
    }

    #[test]
    fn a_pod_keeps_the_node_that_its_user_wrote() {
        let mut pod = json!({ "kind": "Pod", "metadata": {}, "spec": { "nodeName": "a" } });
        assert_eq!(fresh(&pod)["spec"], json!({}));
        pod["metadata"]["managedFields"] =
            json!([{ "fieldsV1": { "f:spec": { "f:nodeName": {} } } }]);
        assert_eq!(fresh(&pod)["spec"]["nodeName"], "a");
        assert_eq!(holder(&fresh(&pod))["spec"].get("nodeName"), None);
    }
}
