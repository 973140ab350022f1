//! The laws of the pure core, as properties over generated and real manifests.

use diyadm::{
    webhook::admission,
    workload::{self, Context, Rules, Settled, Subject},
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

use super::{
    corpus,
    generated::{
        all_kinds, anything, cases, emptied, object, pod, requested_annotations, restored, rules,
        sealed, torn, wished,
    },
};

const NOW: &str = "2026-11-24T22:05:35Z";

/// A review of `object`.
fn review(object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "kind": { "group": "apps", "version": "v1", "kind": object["kind"] },
            "namespace": "n",
            "name": "x",
            "operation": "CREATE",
            "object": object,
        },
    })
}

/// A place, and a field that emptying never touches there, or what it never makes of one.
fn forged() -> impl Strategy<Value = (&'static str, (&'static str, Value))> {
    let of = |all: &[(&'static str, Value)]| prop::sample::select(all.to_vec());
    let containers = [
        ("replicas", json!(1)),
        ("terminationGracePeriodSeconds", json!("1")),
        ("env", json!(null)),
        ("securityContext", json!(null)),
        ("image", json!(null)),
        ("imagePullPolicy", json!("Always")),
        ("command", json!(["sh"])),
        ("args", json!(["x"])),
        ("resources", json!([])),
        ("envFrom", json!({})),
        ("volumeMounts", json!([])),
        ("livenessProbe", json!({})),
        ("readinessProbe", json!({ "exec": { "command": ["sh", "-c", "agent ready"] } })),
    ];
    let pod = [
        ("image", json!("x")),
        ("command", json!(null)),
        ("replicas", json!(1)),
        ("hostNetwork", json!(false)),
        ("serviceAccountName", json!(null)),
        ("nodeSelector", json!([])),
        ("volumes", json!([])),
        ("imagePullSecrets", json!([])),
        ("imagePullSecrets", json!(["x"])),
        ("terminationGracePeriodSeconds", json!(30)),
    ];
    let spec = [
        ("command", json!(null)),
        ("terminationGracePeriodSeconds", json!(1)),
        ("paused", json!(false)),
        ("replicas", json!("1")),
        ("strategy", json!({ "type": "RollingUpdate" })),
        ("updateStrategy", json!({ "type": "OnDelete" })),
    ];
    prop_oneof![
        (Just("containers"), of(&containers)),
        (Just("pod"), of(&pod)),
        (Just("spec"), of(&spec)),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn restore_returns_every_value_that_emptying_took(object in object(), rules in rules()) {
        prop_assert_eq!(restored(&emptied(&object, &rules)), object);
    }

    #[test]
    fn empties_and_restores_objects_with_missing_parents(object in torn(), rules in rules()) {
        let emptied = emptied(&object, &rules);
        prop_assert!(workload::empty(&rules, &emptied.to_string()).is_empty());
        prop_assert_eq!(restored(&emptied), object);
    }

    #[test]
    fn restore_removes_requested_annotations(
        object in object(),
        rules in rules(),
        first in requested_annotations(),
        second in requested_annotations(),
    ) {
        let emptied = wished(&wished(&object, &rules, &first), &rules, &second);
        prop_assert_eq!(restored(&emptied), object);
    }

    #[test]
    fn emptying_is_idempotent(object in object(), rules in rules()) {
        let once = emptied(&object, &rules);
        let twice = workload::empty(&rules, &once.to_string());
        prop_assert!(twice.is_empty(), "{:?}", twice);
    }

    #[test]
    fn patch_always_applies_and_changes_only_its_fields(object in object(), rules in rules()) {
        let mut found = emptied(&object, &rules);
        let mut wanted = object.clone();
        let ours = |list: &mut Value| {
            if let Some(list) = list.as_array_mut() {
                let is_ours = |item: &Value| {
                    item["name"].as_str().is_some_and(|name| {
                        name == "diyadm-agent" || name.starts_with("diyadm-cache-")
                    })
                };
                list.retain(|item| !is_ours(item));
            }
            if list.as_array().is_some_and(Vec::is_empty) {
                *list = Value::Null;
            }
        };
        for side in [&mut found, &mut wanted] {
            side["metadata"]["annotations"] = Value::Null;
            for field in ["replicas", "strategy", "updateStrategy"] {
                side["spec"][field] = Value::Null;
            }
            let pod = pod(side);
            pod["terminationGracePeriodSeconds"] = Value::Null;
            pod["imagePullSecrets"] = Value::Null;
            for field in workload::SHAPED_IN_POD {
                pod[field] = Value::Null;
            }
            ours(&mut pod["volumes"]);
            ours(&mut pod["initContainers"]);
            for container in pod["containers"].as_array_mut().into_iter().flatten() {
                ours(&mut container["volumeMounts"]);
                let container = container.as_object_mut().unwrap();
                let stays = ["name", "un/kn~own", "volumeMounts"];
                container.retain(|key, _| stays.contains(&key.as_str()));
            }
        }
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn damaged_original_is_never_applied(
        object in object(),
        rules in rules(),
        at in any::<prop::sample::Index>(),
        other in option::of(any::<char>()),
    ) {
        let mut emptied = emptied(&object, &rules);
        let pointer = format!("/metadata/annotations/{}", workload::ORIGINAL.replace('/', "~1"));
        if let Some(Value::String(original)) = emptied.pointer_mut(&pointer) {
            let at = at.index(original.len());
            let at = (0..=at).rev().find(|i| original.is_char_boundary(*i)).unwrap();
            let rest = original.split_off(at);
            // Cut there, or another character in place of one.
            if let Some(other) = other {
                let mut rest = rest.chars();
                prop_assume!(rest.next() != Some(other));
                original.push(other);
                original.push_str(rest.as_str());
            }
            let change = workload::restore(&emptied.to_string());
            prop_assert!(change.is_empty() && change.warnings.len() == 1, "{:?}", change);
        }
    }

    /// The checksum is no signature: one that sets what emptying never touches at that place is
    /// refused whole, though it is right.
    #[test]
    fn forged_original_is_refused_as_a_whole(
        object in object(),
        rules in rules(),
        (at, (field, set)) in forged(),
    ) {
        let mut emptied = emptied(&object, &rules);
        let pointer = format!("/metadata/annotations/{}", workload::ORIGINAL.replace('/', "~1"));
        let original = emptied.pointer(&pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        prop_assume!(original.is_some());
        let mut body = serde_json::from_str::<Value>(&original.unwrap()).unwrap()["body"].take();
        emptied.pointer_mut(&pointer).unwrap().clone_from(&sealed(&body).into());
        prop_assert_eq!(restored(&emptied), object);
        // What is there now, so that it would be set.
        let values = json!({ "was": "evil", "set": set });
        match at {
            "containers" => body["containers"][0]["fields"][field] = values,
            at => body[at] = json!({ field: values }),
        }
        emptied.pointer_mut(&pointer).unwrap().clone_from(&sealed(&body).into());
        let change = workload::restore(&emptied.to_string());
        prop_assert!(change.is_empty(), "{:?}", change);
        prop_assert!(change.warnings.len() == 1 && change.warnings[0].message().contains("not trusted: it "));
    }

    /// A ReplicaSet carries its Deployment's annotations, and is the Deployment's to change.
    #[test]
    fn objects_of_a_controller_are_left_alone(
        object in object().prop_filter("a Pod is emptied itself", |object| object["kind"] != "Pod"),
        rules in rules(),
        old in any::<bool>(),
    ) {
        let mut made = emptied(&object, &Rules::default());
        made["metadata"]["ownerReferences"] = json!([{ "kind": "X", "name": "x", "controller": true }]);
        let text = made.to_string();
        let context = Context { old: old.then_some(&*text), ..Context::default() };
        let (settled, change) = Subject::parse(&text).unwrap().settle(&rules, &context);
        prop_assert!(settled == Settled::Unchanged && change.is_empty(), "{:?}", change);
    }

    #[test]
    fn any_bytes_get_a_valid_review_answer(
        object in object(),
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut body = review(&object).to_string().into_bytes();
        let answer = admission::review(&body, &Rules::default(), NOW);
        prop_assert_eq!(answer.status, 200);
        let at = cut.index(body.len());
        body[at] = byte;
        let answer = admission::review(&body, &Rules::default(), NOW);
        prop_assert!(matches!(answer.status, 200 | 400));
        prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
        body.truncate(at);
        prop_assert_eq!(admission::review(&body, &Rules::default(), NOW).status, 400);
    }
}

#[test]
fn corpus_workloads_are_emptied_and_restored() {
    for (file, object) in corpus::workloads() {
        let mut emptied = emptied(&object, &Rules::default());
        let containers = pod(&mut emptied)["containers"].as_array().unwrap();
        let empty = |container: &&Value| container["image"] == "empty-container:latest";
        assert_eq!(containers.iter().filter(empty).count(), 1, "{file}: {object}");
        assert_eq!(restored(&emptied), object, "{file}");
    }
}

#[test]
fn review_of_an_odd_object_of_a_declared_kind_is_answered() {
    all_kinds();
    let object = json!({
        "apiVersion": "laws.example/v2", "kind": "Gizmo", "metadata": { "name": "x" },
        "blueprint": { "spec": { "containers": [null] } },
    });
    let body = review(&object).to_string().into_bytes();
    let answer = admission::review(&body, &Rules::default(), NOW);
    assert_eq!(answer.status, 200);
}

/// The API server refuses a pod whose hook sleeps longer than its grace period.
#[test]
fn keeps_grace_period_where_another_container_has_a_pre_stop_hook() {
    let hook = json!({ "preStop": { "sleep": { "seconds": 5 } } });
    let app = json!({ "name": "app", "image": "app:1", "lifecycle": hook });
    let side = json!({ "name": "side", "image": "side:1", "lifecycle": hook });
    let sidecar =
        json!({ "name": "side", "image": "side:1", "restartPolicy": "Always", "lifecycle": hook });
    let without = json!({ "name": "side", "image": "side:1", "lifecycle": { "preStop": null } });
    let rows = [
        (json!([app, side]), json!([]), "app", Value::Null),
        (json!([app]), json!([sidecar]), "app", Value::Null),
        (json!([app, side]), json!([]), "*", json!(1)),
        (json!([app, without]), json!([]), "app", json!(1)),
    ];
    for (containers, init, chosen, grace) in rows {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "annotations": { "diyadm.io/containers": chosen } },
            "spec": { "template": { "spec": {
                "containers": containers, "initContainers": init,
            } } },
        });
        let mut emptied = emptied(&object, &Rules::default());
        assert_eq!(pod(&mut emptied)["terminationGracePeriodSeconds"], grace, "{object}");
        assert_eq!(restored(&emptied), object);
    }
}

#[test]
fn opted_out_workloads_are_left_alone() {
    let plain = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "x", "namespace": "n" },
        "spec": { "template": { "spec": { "containers": [{ "name": "a", "image": "b" }] } } },
    });
    let change = |object: &Value| workload::empty(&Rules::default(), &object.to_string());
    assert!(!change(&plain).is_empty());
    for place in ["labels", "annotations"] {
        for (value, stays) in [("enabled", false), ("disabled", true), ("", true), ("on", true)] {
            let mut object = plain.clone();
            object["metadata"][place] = json!({ workload::LABEL: value });
            assert_eq!(change(&object).is_empty(), stays, "{place} {value:?}");
        }
    }
    for (namespace, name) in [("kube-system", "x"), ("test", "diyadmissionwebhook")] {
        let mut object = plain.clone();
        object["metadata"] = json!({ "name": name, "namespace": namespace });
        assert!(change(&object).is_empty(), "{namespace}/{name}");
    }
    let mut large = plain;
    large["metadata"]["annotations"] = json!({ "a": "x".repeat(256 * 1024) });
    assert_eq!(change(&large).warnings.len(), 1);
}

#[test]
fn restore_keeps_unknown_newer_fields() {
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "x", "namespace": "n" },
        "spec": { "template": { "spec": { "containers": [
            { "name": "a", "image": "b:1", "command": ["run"], "livenessProbe": {} },
        ] } } },
    });
    let mut updated = emptied(&object, &Rules::default());
    updated["spec"]["template"]["spec"]["containers"][0]["image"] = "b:2".into();
    let mut wanted = object;
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "b:2".into();
    assert_eq!(restored(&updated), wanted);
}

proptest! {
    #![proptest_config(cases())]

    /// A review skips most of its body; it must not let pass what serde_json would refuse to read.
    #[test]
    fn review_body_is_valid_exactly_where_serde_json_accepts_it(
        parts in vec(prop_oneof![
            Just("1e999".to_owned()), Just("-1E+999".to_owned()), Just("1e308".to_owned()),
            Just("9".repeat(400)), Just("0.".to_owned() + &"9".repeat(400)), Just("01".to_owned()),
            Just("-".to_owned()), Just("1.".to_owned()), Just("1e".to_owned()), Just("+1".to_owned()),
            Just("\"\\ud800\"".to_owned()), Just("\"\\udc00\"".to_owned()),
            Just("\"\\ud83d\\ude00\"".to_owned()), Just("\"\\ud83d\\u0041\"".to_owned()),
            Just("\"\\uD83D\"".to_owned()), Just("\"\\ud83d\\\\ude00\"".to_owned()),
            Just("\"\\u12\"".to_owned()), Just("\"\\x\"".to_owned()), Just("\"\t\"".to_owned()),
            Just("\"\\\\\"".to_owned()), Just("\"\\\"[{\"".to_owned()), Just("nul".to_owned()),
            (100..130_usize).prop_map(|n| "[".repeat(n) + &"]".repeat(n)),
            Just("{}".to_owned()), Just("[1,]".to_owned()), Just("{\"a\":1,\"a\":2}".to_owned()),
            anything().prop_map(|v| v.to_string()),
            "[\\[\\]{}\":,0-9eE.+\\\\u -]{0,12}",
        ], 0..3),
        cut in option::of(any::<prop::sample::Index>()),
        flip in option::of((any::<prop::sample::Index>(), any::<u8>())),
        (shift, spaced, place) in (0..70_usize, any::<bool>(), 0..4_usize),
    ) {
        // A string in front moves all of it over the places where the scanner's blocks meet.
        let parts = [&[format!("\"{}\"", "x".repeat(shift))], &parts[..]].concat();
        let mut inner = format!("[{}]", parts.join(","));
        if spaced {
            inner = inner.replace(',', " ,\r\n\t");
        }
        let mut inner = inner.into_bytes();
        if let Some((at, byte)) = flip {
            let at = at.index(inner.len());
            inner[at] = byte;
        }
        if let Some(cut) = cut {
            inner.truncate(cut.index(inner.len()));
        }
        let head = b"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\
            \"request\":{\"uid\":\"u\",\"operation\":\"CREATE\",\"kind\":{\"kind\":\"X\"},\
            \"object\":{\"kind\":\"X\",\"metadata\":{},\"spec\":";
        // What is skipped, and what is looked into.
        let place = ["{\"x\":", "{\"template\":{\"spec\":{\"containers\":[{\"args\":",
            "{\"containers\":", "{\"template\":{\"metadata\":{\"labels\":"][place];
        let close: String = place.chars().rev().filter_map(|open| match open {
            '{' => Some('}'),
            '[' => Some(']'),
            _ => None,
        }).collect();
        let body = [&head[..], place.as_bytes(), &inner, close.as_bytes(), b"}}}"].concat();
        let valid = serde_json::from_slice::<Value>(&body).is_ok();
        // Bytes that end the object and go on with the envelope are another review.
        let whole = serde_json::from_slice::<Value>(&inner).is_ok();
        let status = admission::review(&body, &Rules::default(), NOW).status;
        if whole || !valid {
            prop_assert_eq!(status == 200, valid, "{}", String::from_utf8_lossy(&body));
        }
    }
}
