//! Copies of workloads of every kind.

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::{Value, json};

use super::*;
use crate::workload::{Context, ORIGINAL, Rules, Subject};

fn workload(kind: &str, template: &Value) -> Value {
    let known = kinds::named(kind).unwrap();
    let (_, steps) = known.pod.split_last().unwrap();
    let mut object = steps.iter().rfold(template.clone(), |value, step| json!({ *step: value }));
    object["apiVersion"] = known.api_version().into();
    object["kind"] = kind.into();
    object["metadata"] = json!({ "name": "shop", "namespace": "x", "uid": "u" });
    if kind != "CronJob" {
        object["spec"]["selector"] = json!({ "matchLabels": { "app": "shop" } });
    }
    object
}

fn template() -> Value {
    json!({
        "metadata": {
            "labels": { "app": "shop", "tier": "web", "team": "a", LABEL: "disabled" },
            "annotations": { LABEL: "disabled", LEVEL: "pod", "mesh": "on" },
        },
        "spec": { "containers": [{ "name": "app", "image": "app:1", "livenessProbe": { "x": 1 } }] },
    })
}

fn spec(selected: &BTreeSet<String>) -> CopySpec<'_> {
    CopySpec { name: "me", selected: Some(selected), claims: Claims::Shared }
}

fn emptied(object: &Value) -> Value {
    let text = object.to_string();
    let change = Subject::parse(&text).unwrap().empty(&Rules::default(), &Context::default());
    let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

#[test]
fn copy_keeps_labels_that_no_selector_uses() {
    let selected = BTreeSet::from(["tier".to_owned()]);
    let mut original = workload("Deployment", &template());
    original["metadata"]["labels"] = json!({ "app.kubernetes.io/instance": "argo" });
    original["metadata"]["annotations"] = json!({
        "diyadm.io/image": "keep", LEVEL: "pod", REPLICAS: "3", "other": "x",
    });
    let copy = build(&original, &spec(&selected)).unwrap();
    let labels = json!({ "team": "a", COPY: "me", COPY_OF: "shop" });
    assert_eq!(copy["metadata"]["name"], "shop-me");
    assert_eq!(copy["metadata"]["labels"], labels);
    assert_eq!(
        copy["metadata"]["annotations"],
        json!({ "diyadm.io/image": "keep", COPY_OF: "deployment/shop", REPLICAS: "1" })
    );
    let owners = json!([
        { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "u" },
    ]);
    assert_eq!(copy["metadata"]["ownerReferences"], owners);
    let meta = &copy["spec"]["template"]["metadata"];
    assert_eq!(*meta, json!({ "labels": labels, "annotations": { "mesh": "on" } }));
    let none = CopySpec { selected: None, ..spec(&selected) };
    let marks = json!({ COPY: "me", COPY_OF: "shop" });
    assert_eq!(build(&original, &none).unwrap()["metadata"]["labels"], marks);

    assert!(is_copy(&copy) && !is_copy(&original));
    assert_eq!(super::original(&copy).as_deref(), Some("deployment/shop"));
    assert!(is_copy_of(&copy, &original));
    original["metadata"]["uid"] = "later".into();
    assert!(!is_copy_of(&copy, &original));
}

#[test]
fn every_kind_with_a_pod_template_gives_a_deployment() {
    let selected = BTreeSet::new();
    for kind in kinds::workloads().filter(|kind| kind.controller != Controller::Itself) {
        let mut template = template();
        template["spec"]["restartPolicy"] = "Never".into();
        template["spec"]["activeDeadlineSeconds"] = 5.into();
        template["metadata"]["labels"]["job-name"] = "shop".into();
        // Two kinds are called StatefulSet, and the first is meant.
        let copy = build(&workload(kind.kind, &template), &spec(&selected)).unwrap();
        assert_eq!((&copy["kind"], &copy["spec"]["replicas"]), (&json!("Deployment"), &json!(1)));
        let pod = &copy["spec"]["template"];
        assert_eq!(pod["spec"]["restartPolicy"], "Always");
        assert_eq!(pod["spec"].get("activeDeadlineSeconds"), None);
        assert_eq!(pod["metadata"]["labels"].get("job-name"), None);
    }
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" },
        "spec": template()["spec"],
    });
    assert_eq!(build(&pod, &spec(&selected)), None);
}

#[test]
fn fresh_volumes_replace_claims_only() {
    let selected = BTreeSet::new();
    let mut template = template();
    template["spec"]["volumes"] = json!([
        { "name": "files", "persistentVolumeClaim": { "claimName": "files" } },
        { "name": "data", "configMap": {} },
        { "name": "conf", "configMap": {} },
    ]);
    let mut original = workload("StatefulSet", &template);
    original["spec"]["volumeClaimTemplates"] = json!([{ "metadata": { "name": "data" } }]);
    assert_eq!(claims(&original), (vec!["data"], vec!["files"]));
    let fresh = CopySpec { claims: Claims::Empty, ..spec(&selected) };
    let copy = build(&original, &fresh).unwrap();
    let volumes = json!([
        { "name": "conf", "configMap": {} },
        { "name": "data", "emptyDir": {} },
        { "name": "files", "emptyDir": {} },
    ]);
    assert_eq!(copy["spec"]["template"]["spec"]["volumes"], volumes);
}

#[test]
fn selectors_of_services_budgets_and_workloads_have_keys() {
    let service = json!({ "kind": "Service", "spec": { "selector": { "a": "1", "b": "2" } } });
    assert_eq!(selector_keys(&service), ["a", "b"].map(ToOwned::to_owned).into());
    let budget = json!({ "kind": "PodDisruptionBudget", "spec": { "selector": {
        "matchLabels": { "a": "1" }, "matchExpressions": [{ "key": "c", "operator": "Exists" }],
    } } });
    assert_eq!(selector_keys(&budget), ["a", "c"].map(ToOwned::to_owned).into());
    assert!(selector_keys(&json!({ "kind": "Service", "spec": {} })).is_empty());
}

#[test]
fn names_of_copies_fit_into_a_label() {
    assert_eq!(name("shop", "me").as_deref(), Ok("shop-me"));
    let longest = "a".repeat(60);
    assert_eq!(name(&longest, "me").unwrap().len(), 63);
    let error = name(&longest, "you").unwrap_err();
    assert!(error.contains("64 characters"), "{error}");
}

#[test]
fn service_registries_are_found_in_chosen_containers() {
    let mut template = template();
    template["spec"]["containers"] = json!([
        { "name": "app", "env": [
            { "name": "SPRING_CLOUD_NACOS_ADDR", "value": "x" },
            { "name": "JAVA_OPTS", "value": "-Deureka.client.enabled=true" },
            { "name": "SECRET", "valueFrom": {} },
        ] },
        { "name": "side", "env": [{ "name": "CONSUL_HTTP_ADDR", "value": "x" }] },
    ]);
    let copy = build(&workload("Deployment", &template), &spec(&BTreeSet::new())).unwrap();
    let chosen = ["app".to_owned()];
    let of = |emptied: &Value| {
        registries(&copy, emptied, &chosen).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(of(&copy), ["Nacos", "Spring Cloud", "Eureka"]);
    let mut emptied = copy.clone();
    emptied.pointer_mut("/spec/template/spec/containers/0/env/0").unwrap()["value"] = "".into();
    assert_eq!(of(&emptied), ["Eureka"]);
}

#[test]
fn stored_template_may_have_more_than_the_wanted_one() {
    let wanted = json!({ "containers": [{ "name": "app", "env": [] }], "volumes": [] });
    let stored = json!({ "containers": [{ "name": "mesh" }, { "name": "app", "x": 1 }] });
    assert!(covers(&stored, &wanted));
    assert!(!covers(&wanted, &stored));
    assert!(!covers(&json!({ "a": 1 }), &json!({ "a": 2 })));
    assert!(!covers(&json!([]), &json!([1])));
}

proptest! {
    /// The pod spec of a copy is that of the emptied original.
    #[test]
    fn copy_runs_what_the_emptied_original_runs(
        own in vec("[a-z]{0,3}", 0..3), selected in subsequence(vec!["tier", "team"], 0..=2),
    ) {
        let mut template = template();
        template["metadata"] = json!({ "labels": { "app": "shop", "tier": "web", "team": "a" } });
        template["spec"]["containers"][0]["args"] = own.into();
        let original = workload("Deployment", &template);
        let selected = selected.into_iter().map(ToOwned::to_owned).collect();
        let copy = emptied(&build(&original, &spec(&selected)).unwrap());
        prop_assert!(copy["metadata"]["annotations"][ORIGINAL].is_string());
        let [copied, wanted] =
            [copy, emptied(&original)].map(|object| object["spec"]["template"].clone());
        prop_assert_eq!(&copied["spec"], &wanted["spec"]);
        let labels = copied["metadata"]["labels"].as_object().unwrap();
        prop_assert!(!labels.keys().any(|key| key == "app" || selected.contains(key)));
    }
}
