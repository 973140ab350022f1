//! Suspends an autoscaler while its workload is empty: an idle container uses nothing, so scaling
//! by its use would be wrong.
//!
//! Each kind is suspended with a minimal change: a HorizontalPodAutoscaler by `behavior` that
//! allows no step up or down, a ScaledObject of KEDA by its `paused` annotation, a
//! VerticalPodAutoscaler by `updateMode: Off`. The previous value is saved in [`ORIGINAL`], as for
//! a workload.

use jsonptr::PointerBuf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ORIGINAL, original};

const PAUSED: &str = "autoscaling.keda.sh/paused";

/// The previous value; absent if there was none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Value>,
}

/// Whether the object is an autoscaler of the workload of this kind (`Deployment`) and name. An
/// autoscaler created by KEDA is not: its ScaledObject is.
pub fn scales(object: &Value, kind: &str, name: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let made = owners.is_some_and(|owners| owners.iter().any(|o| o["kind"] == "ScaledObject"));
    !made && meant(object) == Some((kind, name))
}

/// The target of an autoscaler: `deployment/web`.
pub fn target(object: &Value) -> String {
    let (kind, name) = meant(object).unwrap_or_default();
    format!("{}/{name}", kind.to_lowercase())
}

fn meant(object: &Value) -> Option<(&str, &str)> {
    let target = match object["kind"].as_str()? {
        "HorizontalPodAutoscaler" | "ScaledObject" => &object["spec"]["scaleTargetRef"],
        "VerticalPodAutoscaler" => &object["spec"]["targetRef"],
        _ => return None,
    };
    // KEDA's default kind is Deployment.
    Some((target["kind"].as_str().unwrap_or("Deployment"), target["name"].as_str()?))
}

/// Whether diyadm has suspended it.
pub fn is_held(object: &Value) -> bool {
    object["metadata"]["annotations"].get(ORIGINAL).is_some()
}

/// JSON Patch operations that suspend it; `None` if it is already suspended, by diyadm or by
/// itself.
pub fn hold(object: &Value) -> Option<Vec<Value>> {
    if is_held(object) || still(object) {
        return None;
    }
    let (was, mut operations) = match object["kind"].as_str()? {
        "HorizontalPodAutoscaler" => {
            let stop = json!({ "selectPolicy": "Disabled" });
            let behavior = json!({ "scaleUp": stop, "scaleDown": stop });
            let set = json!({ "op": "add", "path": "/spec/behavior", "value": behavior });
            (object["spec"].get("behavior").cloned(), vec![set])
        }
        "VerticalPodAutoscaler" => {
            let was = object["spec"].get("updatePolicy").cloned();
            let mut policy = was.clone().unwrap_or_default();
            policy["updateMode"] = "Off".into();
            let set = json!({ "op": "add", "path": "/spec/updatePolicy", "value": policy });
            (was, vec![set])
        }
        "ScaledObject" => (object["metadata"]["annotations"].get(PAUSED).cloned(), Vec::new()),
        _ => return None,
    };
    let sealed = original::seal(&Held { was });
    let mut edits = vec![(ORIGINAL, Some(sealed.into()))];
    if object["kind"] == "ScaledObject" {
        edits.push((PAUSED, Some("true".into())));
    }
    operations.extend(annotations(object, &edits));
    Some(operations)
}

/// Operations that resume it; `None` if diyadm has not suspended it. Later changes by others are
/// kept.
///
/// # Errors
/// In a few words, why what was there before is not trusted.
pub fn release(object: &Value) -> Option<Result<Vec<Value>, String>> {
    let text = object["metadata"]["annotations"][ORIGINAL].as_str()?;
    let Held { was } = match original::open(text) {
        Ok(held) => held,
        Err(why) => return Some(Err(why)),
    };
    let mut operations = Vec::new();
    let mut edits = vec![(ORIGINAL, None)];
    if still(object) {
        let path = match object["kind"].as_str()? {
            "HorizontalPodAutoscaler" => "/spec/behavior",
            "VerticalPodAutoscaler" => "/spec/updatePolicy",
            _ => {
                edits.push((PAUSED, was.clone()));
                ""
            }
        };
        if !path.is_empty() {
            operations.push(match was {
                Some(was) => json!({ "op": "replace", "path": path, "value": was }),
                None => json!({ "op": "remove", "path": path }),
            });
        }
    }
    operations.extend(annotations(object, &edits));
    Some(Ok(operations))
}

/// Whether it is inactive.
fn still(object: &Value) -> bool {
    let spec = &object["spec"];
    match object["kind"].as_str() {
        Some("HorizontalPodAutoscaler") => ["scaleUp", "scaleDown"]
            .iter()
            .all(|way| spec["behavior"][way]["selectPolicy"] == "Disabled"),
        Some("VerticalPodAutoscaler") => spec["updatePolicy"]["updateMode"] == "Off",
        _ => object["metadata"]["annotations"][PAUSED] == "true",
    }
}

fn annotations(object: &Value, edits: &[(&str, Option<Value>)]) -> Vec<Value> {
    let now = object["metadata"]["annotations"].as_object();
    let Some(now) = now else {
        let set = edits.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)));
        let map: Map<_, _> = set.collect();
        return vec![json!({ "op": "add", "path": "/metadata/annotations", "value": map })];
    };
    let operations = edits.iter().filter_map(|(key, value)| {
        let path = PointerBuf::from_tokens(["metadata", "annotations", *key]);
        match value {
            Some(value) => Some(json!({ "op": "add", "path": path, "value": value })),
            None if now.contains_key(*key) => Some(json!({ "op": "remove", "path": path })),
            None => None,
        }
    });
    operations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(object: &Value, operations: Vec<Value>) -> Value {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_value(operations.into()).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    #[test]
    fn suspended_and_resumed_autoscaler_is_unchanged() {
        let hpa = |spec: Value| json!({ "kind": "HorizontalPodAutoscaler", "metadata": {}, "spec": spec });
        let vpa =
            |spec: Value| json!({ "kind": "VerticalPodAutoscaler", "metadata": {}, "spec": spec });
        let keda = |annotations: Value| json!({ "kind": "ScaledObject", "metadata": { "annotations": annotations } });
        for object in [
            hpa(json!({ "minReplicas": 2 })),
            hpa(json!({ "behavior": { "scaleDown": { "selectPolicy": "Min" } } })),
            vpa(json!({})),
            vpa(json!({ "updatePolicy": { "updateMode": "Auto", "minReplicas": 2 } })),
            keda(json!({ "k": "v" })),
            keda(json!({ PAUSED: "false" })),
        ] {
            let held = played(&object, hold(&object).unwrap());
            assert!(is_held(&held) && still(&held), "{held}");
            assert_eq!(hold(&held), None);
            let mut back = played(&held, release(&held).unwrap().unwrap());
            assert_eq!(release(&back), None);
            let meta = back["metadata"].as_object_mut().unwrap();
            if meta["annotations"] == json!({}) {
                meta.shift_remove("annotations");
            }
            assert_eq!(back, object);
        }
    }

    #[test]
    fn resuming_keeps_values_set_meanwhile() {
        let object = json!({ "kind": "HorizontalPodAutoscaler", "metadata": {}, "spec": {} });
        let mut held = played(&object, hold(&object).unwrap());
        held["spec"]["behavior"]["scaleUp"]["selectPolicy"] = "Max".into();
        let back = played(&held, release(&held).unwrap().unwrap());
        assert_eq!(back["spec"], held["spec"]);
        held["metadata"]["annotations"][ORIGINAL] = "{}".into();
        assert!(release(&held).unwrap().is_err());
    }

    #[test]
    fn autoscaler_is_matched_to_its_workload() {
        let object = json!({
            "kind": "HorizontalPodAutoscaler",
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "web" } },
        });
        assert!(scales(&object, "Deployment", "web"));
        assert!(!scales(&object, "StatefulSet", "web") && !scales(&object, "Deployment", "x"));
        let mut made = object;
        made["metadata"]["ownerReferences"] = json!([{ "kind": "ScaledObject" }]);
        assert!(!scales(&made, "Deployment", "web"));
    }
}
