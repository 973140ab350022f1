//! A Pod or Job as it can be created again, and the one that holds its place meanwhile.

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
    let text = holder["metadata"]["annotations"][HOLDS].as_str()?;
    let held: Value = serde_json::from_str(text).ok()?;
    (held["metadata"]["name"] == name && held["kind"] == holder["kind"]).then_some(held)
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
