//! The warning of the write that empties a workload, as `kubectl apply` shows it.

use diyadm::{
    kinds,
    webhook::admission,
    workload::{Choice, LABEL, Level, Rules},
};
use serde_json::{Value, json};

use super::{
    generated::workload,
    rig::cluster,
    workloads::{with_webhook::WebhookNamespace, workload as of_kind},
};

/// The warnings of a review.
fn warnings(rules: &Rules, old: Option<&Value>, object: &Value) -> Vec<String> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": { "kind": object["kind"] }, "namespace": "team",
            "name": object["metadata"]["name"], "userInfo": { "username": "jane" },
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "object": object, "oldObject": old,
        },
    });
    let answer = admission::review(review.to_string().as_bytes(), rules, "2026-11-24T22:05:35Z");
    assert!(!answer.record.reason.contains("starts empty"), "it is no reason");
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let all = answer["response"]["warnings"].as_array().cloned().unwrap_or_default();
    all.iter().map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

fn object(kind: &str, image: &str) -> Value {
    let kind = kinds::named(kind).unwrap();
    let mut object =
        workload(kind, json!({ "containers": [{ "name": "a", "image": image }] }), None);
    object["metadata"] = json!({ "name": "shop", "namespace": "team" });
    object
}

fn emptied(object: &Value) -> Value {
    super::generated::emptied(object, &Rules::default())
}

fn controlled(kind: &str, owner: &str) -> Value {
    let mut object = object(kind, "app:1");
    object["metadata"]["ownerReferences"] =
        json!([{ "kind": owner, "name": "x", "controller": true }]);
    object
}

#[test]
fn warning_names_what_the_write_emptied() {
    let rules = Rules::default();
    let [deployment, newer] = ["app:1", "app:2"].map(|image| object("Deployment", image));
    let shown =
        "diyadm: deployment/shop starts empty; `diyadm status deployment/shop -n team` shows it";
    let opt_out = "diyadm: to opt out: `kubectl annotate deployment/shop -n team inject-empty-container=disabled`";
    assert_eq!(warnings(&rules, None, &deployment), [shown, opt_out]);
    assert_eq!(warnings(&rules, Some(&deployment), &newer), [shown, opt_out]);
    for kind in ["Pod", "Job"] {
        let found = warnings(&rules, None, &object(kind, "app:1"));
        let opt_out =
            "diyadm: to opt out, create it with the annotation inject-empty-container: disabled";
        assert!(found[0].contains("/shop starts empty"), "{found:?}");
        assert_eq!(found[1], opt_out);
    }

    // Once: not for what leaves it empty, nor for what a controller makes of it.
    let empty = emptied(&deployment);
    let mut updated = empty.clone();
    updated["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
    let mut declined = deployment.clone();
    declined["metadata"]["annotations"] = json!({ LABEL: "disabled" });
    for (old, new) in [
        (None, &empty),
        (Some(&empty), &empty),
        (Some(&empty), &updated),
        (Some(&empty), &newer),
        (None, &declined),
        (None, &controlled("ReplicaSet", "Deployment")),
        (None, &controlled("Pod", "ReplicaSet")),
        (None, &controlled("Job", "CronJob")),
    ] {
        assert_eq!(warnings(&rules, old, new), [""; 0], "{new}");
    }
    assert_eq!(warnings(&rules, Some(&declined), &deployment).len(), 2);
}

#[test]
fn level_pod_warning_reaches_the_owner_of_the_pods() {
    let flags = Choice { level: Some(Level::Pod), ..Choice::default() };
    let rules = Rules { flags, ..Rules::default() };
    let deployment = object("Deployment", "app:1");
    let found = warnings(&rules, None, &deployment);
    assert_eq!(
        found[0],
        "diyadm: what deployment/shop starts is empty; `diyadm status deployment/shop -n team` shows it"
    );
    assert_eq!(found.len(), 2);
    assert_eq!(warnings(&rules, Some(&deployment), &object("Deployment", "app:2")), [""; 0]);
    assert_eq!(warnings(&Rules::default(), None, &controlled("Pod", "ReplicaSet")), [""; 0]);
    assert_eq!(warnings(&rules, None, &controlled("Pod", "ReplicaSet")), [""; 0]);
    assert!(warnings(&rules, None, &object("Pod", "app:1"))[0].contains("pod/shop starts empty"));
}

#[test]
fn warning_has_at_most_120_characters_and_escapes_names() {
    for name in ["a".repeat(60), "b".repeat(253), "\u{1b}[31m".to_owned(), "x`y".to_owned()] {
        let mut deployment = object("Deployment", "app:1");
        deployment["metadata"]["name"] = name.as_str().into();
        let found = warnings(&Rules::default(), None, &deployment);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|warning| warning.chars().count() <= 120), "{found:?}");
        assert!(!found.concat().contains('\u{1b}') && !found.concat().contains("x`y"), "{found:?}");
        assert!(found[0].contains("empty"), "{found:?}");
    }
}

#[test]
fn kubectl_prints_the_warning_of_emptying() {
    let cluster = require!(cluster());
    let name = "announced";
    let _watched = WebhookNamespace::new(&cluster, name, &[]);
    let apply = |object: &Value| {
        let run = cluster.try_kubectl(&["-n", name, "apply", "-f", "-"], &object.to_string());
        run.code(0).stderr
    };
    let mut web = of_kind("Deployment", "web");
    let said = apply(&web);
    assert!(said.contains("Warning: diyadm: deployment/web starts empty"), "{said}");
    assert!(said.contains("inject-empty-container=disabled"), "{said}");
    web["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2".into();
    assert_eq!(apply(&web), "", "it was empty before");
    // What the warning says is what to do.
    let commands: Vec<_> = said.split('`').skip(1).step_by(2).collect();
    let words =
        |command: &str| command.split(' ').skip(1).map(ToOwned::to_owned).collect::<Vec<_>>();
    let status = words(commands[0]);
    let status: Vec<_> = status.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    assert!(cluster.diyadm(folder.path(), &status).code(0).stdout.contains("web"));
    let annotate = words(commands[1]);
    let annotate: Vec<_> = annotate.iter().map(String::as_str).collect();
    cluster.kubectl(&annotate, "");
    let restored = cluster.get(name, "deployment/web");
    assert_eq!(restored["spec"]["template"]["spec"]["containers"][0]["image"], "app:2");
}
