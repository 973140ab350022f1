//! A copy of a workload: a Deployment with one replica and the same pod template, whose Pods no
//! selector of the namespace matches.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{COPY, COPY_OF, LABEL, LEVEL, REPLICAS, REQUESTABLE_ANNOTATIONS, SUSPEND};
use crate::kinds::{self, Controller, DEPLOYMENT};

mod environment;

pub use environment::registries;

/// The longest name that fits into a label of its Pods.
const LONGEST_NAME: usize = 63;

/// Labels that a controller adds to a pod template, in addition to those of its selector.
const OF_CONTROLLERS: [&str; 5] = [
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "pod-template-hash",
];

/// What a copy takes over from its original.
#[derive(Clone, Copy, Debug)]
pub struct CopySpec<'a> {
    /// The name after the original's: `me` for `shop-me`.
    pub name: &'a str,
    /// The keys of labels that selectors of the namespace use. `None` if they are unknown: then the
    /// copy keeps no label.
    pub selected: Option<&'a BTreeSet<String>>,
    /// Its PersistentVolumeClaims.
    pub claims: Claims,
}

/// What becomes of volumes of PersistentVolumeClaims in a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// The copy uses the same volumes.
    Shared,
    /// It gets an emptyDir for each.
    Empty,
}

/// The name of a copy.
///
/// # Errors
/// A sentence: it is too long.
pub fn name(original: &str, copy: &str) -> Result<String, String> {
    let name = format!("{original}-{copy}");
    if name.len() <= LONGEST_NAME {
        return Ok(name);
    }
    let length = name.len();
    Err(format!("the name {name} has {length} characters, and a copy's at most {LONGEST_NAME}"))
}

/// Whether a Deployment is a copy. Its selector shows it, since nobody can change that.
pub fn is_copy(object: &Value) -> bool {
    let labels = &object["spec"]["selector"]["matchLabels"];
    kinds::of_object(object) == Some(&DEPLOYMENT)
        && [COPY, COPY_OF].iter().all(|key| labels[key].is_string())
}

/// `deployment/shop`, the original of a copy; `None` for other objects.
pub fn original(object: &Value) -> Option<String> {
    if !is_copy(object) {
        return None;
    }
    let meta = &object["metadata"];
    let noted = meta["annotations"][COPY_OF].as_str();
    let label = object["spec"]["selector"]["matchLabels"][COPY_OF].as_str();
    noted.or(label).map(ToOwned::to_owned)
}

/// Whether `object` is a copy of exactly this workload, not of an earlier one of its name.
pub fn is_copy_of(object: &Value, original: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let uid = &original["metadata"]["uid"];
    is_copy(object) && owners.into_iter().flatten().any(|owner| owner["uid"] == *uid)
}

/// The keys of labels that the selector of a Service, a PodDisruptionBudget or a workload uses.
pub fn selector_keys(object: &Value) -> BTreeSet<String> {
    let selector = &object["spec"]["selector"];
    // That of a Service has the labels themselves.
    let labels = if object["kind"] == kinds::SERVICE.kind {
        selector.as_object()
    } else {
        selector["matchLabels"].as_object()
    };
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let expressions = expressions.filter_map(|one| one["key"].as_str());
    let labels = labels.into_iter().flat_map(Map::keys).map(String::as_str);
    labels.chain(expressions).map(ToOwned::to_owned).collect()
}

/// The names of the volumes of PersistentVolumeClaims: those of a StatefulSet's
/// `volumeClaimTemplates`, and those of the pod template.
pub fn claims(original: &Value) -> (Vec<&str>, Vec<&str>) {
    let templates = original["spec"]["volumeClaimTemplates"].as_array();
    let templates = templates.into_iter().flatten().map(|claim| &claim["metadata"]["name"]);
    let kind = kinds::of_object(original);
    let volumes = kind.and_then(|kind| original.pointer(&kind.template()));
    let volumes = volumes.and_then(|template| template["spec"]["volumes"].as_array());
    let volumes = volumes.into_iter().flatten();
    let volumes = volumes.filter(|volume| volume["persistentVolumeClaim"].is_object());
    let volumes = volumes.map(|volume| &volume["name"]);
    (templates.filter_map(Value::as_str).collect(), volumes.filter_map(Value::as_str).collect())
}

/// The copy of a workload in its original form, before it is emptied; `None` for an object without
/// a pod template of its own.
pub fn build(original: &Value, spec: &CopySpec<'_>) -> Option<Value> {
    let kind = kinds::of_object(original)?;
    let meta = &original["metadata"];
    let own_name = meta["name"].as_str()?;
    let template = original.pointer(&kind.template())?;
    if kind.controller == Controller::Itself || !template["spec"].is_object() {
        return None;
    }
    let marks = json!({ COPY: spec.name, COPY_OF: own_name });
    let own_keys = selector_keys(original);
    let is_kept = |key: &str| {
        spec.selected.is_some_and(|selected| !selected.contains(key))
            && !own_keys.contains(key)
            && key != LABEL
            && !OF_CONTROLLERS.contains(&key)
    };
    let members = |value: &Value, is_kept: &dyn Fn(&str) -> bool| {
        let all = value.as_object().cloned().unwrap_or_default();
        all.into_iter().filter(|(key, _)| is_kept(key)).collect::<Map<_, _>>()
    };
    let mut labels = members(&template["metadata"]["labels"], &is_kept);
    labels.extend(marks.as_object().cloned().unwrap_or_default());
    // The copy is not opted out, and is emptied by its own pod template.
    let is_requested = |key: &str| {
        REQUESTABLE_ANNOTATIONS.contains(&key) && ![LABEL, LEVEL, REPLICAS, SUSPEND].contains(&key)
    };
    let mut annotations = members(&meta["annotations"], &is_requested);
    annotations.insert(COPY_OF.to_owned(), format!("{}/{own_name}", kind.singular()).into());
    // No rule gives it another number.
    annotations.insert(REPLICAS.to_owned(), "1".into());
    let of_pod =
        members(&template["metadata"]["annotations"], &|key| ![LABEL, LEVEL].contains(&key));
    let mut pod_meta = json!({ "labels": labels });
    if !of_pod.is_empty() {
        pod_meta["annotations"] = of_pod.into();
    }
    Some(json!({
        "apiVersion": DEPLOYMENT.api_version(),
        "kind": DEPLOYMENT.kind,
        "metadata": {
            "name": format!("{own_name}-{}", spec.name),
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": annotations,
            // Without `controller`: the original's controller does not manage it.
            "ownerReferences": [{
                "apiVersion": original["apiVersion"], "kind": original["kind"],
                "name": own_name, "uid": meta["uid"],
            }],
        },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": marks },
            "template": { "metadata": pod_meta, "spec": pod(original, &template["spec"], spec.claims) },
        },
    }))
}

/// The pod spec of a copy: that of the template, but for volumes of claims and what a Deployment's
/// Pods cannot have.
fn pod(original: &Value, spec: &Value, claims: Claims) -> Value {
    let mut pod = spec.clone();
    let Some(members) = pod.as_object_mut() else { return pod };
    // Of a Job.
    if members.get("restartPolicy").is_some_and(|policy| policy != "Always") {
        members.insert("restartPolicy".to_owned(), "Always".into());
    }
    members.shift_remove("activeDeadlineSeconds");
    if claims == Claims::Shared {
        return pod;
    }
    let (templates, volumes) = self::claims(original);
    let names: BTreeSet<_> = templates.into_iter().chain(volumes).collect();
    let mut all: Vec<_> = spec["volumes"].as_array().cloned().unwrap_or_default();
    all.retain(|volume| !volume["name"].as_str().is_some_and(|name| names.contains(name)));
    all.extend(names.iter().map(|name| json!({ "name": name, "emptyDir": {} })));
    if !names.is_empty() {
        members.insert("volumes".to_owned(), all.into());
    }
    pod
}

/// Whether a stored pod template has everything that `wanted` has: the API server and webhooks add
/// defaults, containers and volumes.
pub fn covers(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => wanted.iter().all(|(key, value)| {
            stored.get(key).map_or(is_nothing(value), |stored| covers(stored, value))
        }),
        (Value::Array(stored), Value::Array(wanted)) => {
            wanted.iter().enumerate().all(|(at, one)| {
                let name = &one["name"];
                let same = stored.iter().find(|other| name.is_string() && other["name"] == *name);
                same.or(stored.get(at)).is_some_and(|stored| covers(stored, one))
            })
        }
        _ => stored == wanted,
    }
}

/// Whether the API server omits the value.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
