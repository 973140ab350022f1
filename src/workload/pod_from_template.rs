//! workload → the expected Pod of its template, for checks before any Pod exists.

use serde_json::{Map, Value, json};

use crate::{
    kinds::{self, Controller, JOB, REPLICA_SET},
    workload::LABEL,
};

/// Placeholder for the hash of a template, which only the controller knows.
const HASH: &str = "0000000000";
/// Placeholder for the scheduled minute of a CronJob's Job; see [`crate::workload::cron_job`].
const MINUTE: &str = "29000000";

/// The Pod of a workload's template, with its controller, without an opt-out of the template. A Pod
/// is its own; other objects have none.
pub fn pod(workload: &Value) -> Option<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let known = kinds::of_object(workload)?;
    if known.controller == Controller::Itself {
        return Some(workload.clone());
    }
    let template = workload.pointer(&known.template())?;
    let map = |field: &str| template["metadata"][field].as_object().cloned().unwrap_or_default();
    let mut labels = map("labels");
    let annotations = map("annotations").into_iter().filter(|(key, _)| key != LABEL);
    let meta = &workload["metadata"];
    let name = text(&meta["name"]);
    let (controller, owner) = match known.controller {
        Controller::ReplicaSets(hash) => {
            labels.insert(hash.to_owned(), HASH.into());
            (&REPLICA_SET, format!("{name}-{HASH}"))
        }
        Controller::Jobs => (&JOB, format!("{name}-{MINUTE}")),
        Controller::Itself | Controller::Workload => (known, name),
    };
    Some(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("{owner}-"),
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": annotations.collect::<Map<_, _>>(),
            "ownerReferences": [{
                "apiVersion": controller.api_version(), "kind": controller.kind, "name": owner,
                "controller": true,
                // It has one as soon as it exists.
                "uid": meta["uid"].as_str().unwrap_or("none"),
            }],
        },
        "spec": template["spec"],
    }))
}

/// A Pod that can be checked alone: with the volumes that its StatefulSet would claim.
pub fn with_claims(workload: &Value, mut pod: Value) -> Value {
    let claims = workload["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    for name in claims.map(|claim| &claim["metadata"]["name"]) {
        let volume = json!({ "name": name, "emptyDir": {} });
        match pod["spec"]["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => pod["spec"]["volumes"] = vec![volume].into(),
        }
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kinds::Kind,
        workload::{Context, Rules, Subject, parse_rules},
    };

    fn template() -> Value {
        let spec = json!({ "containers": [{ "name": "app", "image": "app:1" }] });
        let metadata = json!({ "labels": { "of": "pod" }, "annotations": { LABEL: "disabled" } });
        json!({ "metadata": metadata, "spec": spec })
    }

    /// A rule gets the same input for the Pod as for the workload, but the Pod's labels.
    #[test]
    fn pod_from_template_has_the_owner_for_rules() {
        let list = "rules: [{ match: { kinds: [KIND], names: [web], labels: { of: pod } }, \
                    empty: false }]";
        let all = kinds::workloads().filter(|kind| kind.controller != Controller::Itself);
        for Kind { kind, pod: path, .. } in all {
            let (_, steps) = path.split_last().unwrap();
            let spec = steps.iter().rfold(template(), |value, step| json!({ *step: value }));
            let known = kinds::named(kind).unwrap();
            let meta = json!({ "name": "web", "namespace": "x", "labels": { "of": "owner" } });
            let mut workload = json!({ "apiVersion": known.api_version(), "kind": kind });
            workload["metadata"] = meta;
            workload["spec"] = spec["spec"].clone();
            let list = parse_rules(&list.replace("KIND", &kind.to_lowercase())).unwrap();
            let rules = Rules { list, ..Rules::default() };
            let empties = |object: &Value| {
                let text = object.to_string();
                let subject = Subject::parse(&text).unwrap();
                subject.decide(&rules, &Context::default()).unwrap().way.empty
            };
            assert!(empties(&workload), "{kind}");
            let pod = pod(&workload).unwrap();
            assert!(!empties(&pod), "{kind}: {pod}");
            assert_eq!(pod["metadata"]["annotations"], json!({}), "{kind}");
        }
    }
}
