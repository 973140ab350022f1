//! The laws of giving back, over writes as the API server counts them.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

/// What a manager may own.
const PATHS: [&str; 12] = [
    "f:metadata/f:annotations/.",
    "f:metadata/f:annotations/f:a",
    "f:metadata/f:annotations/f:diyadm.io~1original",
    "f:metadata/f:labels/f:app",
    "f:spec/f:replicas",
    "f:spec/f:template/f:metadata/f:annotations/f:a",
    "f:spec/f:template/f:spec/f:containers/k:{\"name\":\"app\"}/.",
    "f:spec/f:template/f:spec/f:containers/k:{\"name\":\"app\"}/f:image",
    "f:spec/f:template/f:spec/f:containers/k:{\"name\":\"app\"}/f:livenessProbe/.",
    "f:spec/f:template/f:spec/f:containers/k:{\"name\":\"app\"}/f:livenessProbe/f:exec",
    "f:spec/f:jobTemplate/f:spec/f:template/f:metadata/f:annotations/f:a",
    "f:status/f:replicas",
];

fn set(paths: &[&str]) -> FieldSet {
    let mut all = FieldSet::default();
    for path in paths {
        let keys: Vec<_> = path.split('/').collect();
        let mut fields = FieldSet { itself: true, below: BTreeMap::new() };
        for key in keys.iter().rev().filter(|key| **key != ".") {
            fields = FieldSet { itself: false, below: [((*key).to_owned(), fields)].into() };
        }
        all = all.with(&fields);
    }
    all
}

fn some() -> impl Strategy<Value = FieldSet> {
    vec(select(&PATHS[..]), 0..8).prop_map(|paths| set(&paths))
}

fn object(entries: &[Value]) -> Value {
    json!({ "metadata": { "uid": "u", "managedFields": entries } })
}

fn entry(manager: &str, operation: &str, fields: &FieldSet) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "t",
        "fieldsType": "FieldsV1", "fieldsV1": fields.write(),
    })
}

/// The managers but for one, with what each owns.
fn owners(object: &Value, but: &str) -> Vec<(String, FieldSet)> {
    let entries = ManagedFieldsEntry::all(object);
    let others = entries.iter().filter(|entry| entry.manager != but && !entry.fields.is_empty());
    let mut owners: Vec<_> =
        others.map(|entry| (entry.manager.to_owned(), entry.fields.clone())).collect();
    owners.sort_by(|a, b| a.0.cmp(&b.0));
    owners
}

/// What the API server makes of it when `manager` changes `fields`.
fn taken(object: &Value, manager: &str, fields: &FieldSet) -> Value {
    let mut all: Vec<Value> = Vec::new();
    let mut own = fields.clone();
    for entry in ManagedFieldsEntry::all(object) {
        if entry.manager == manager {
            own = own.with(&entry.fields);
            continue;
        }
        let left = entry.fields.without(fields);
        if !left.is_empty() {
            all.push(entry.holding(&left));
        }
    }
    if !own.is_empty() {
        all.push(entry(manager, "Update", &own));
    }
    self::object(&all)
}

fn given(before: &Value, after: &Value, now: &Value) -> Value {
    let operations = give_back(before, after, now, "diyadm");
    let patch: json_patch::Patch = serde_json::from_value(operations.into()).unwrap();
    let mut object = now.clone();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

proptest! {
    #[test]
    fn field_sets_support_union_and_difference(a in some(), b in some(), c in some()) {
        prop_assert_eq!(FieldSet::parse(&a.write()), a.clone());
        prop_assert_eq!(a.with(&b), b.with(&a));
        prop_assert_eq!(a.with(&b).with(&c), a.with(&b.with(&c)));
        prop_assert_eq!(a.without(&b).with(&b), a.with(&b));
        prop_assert_eq!(a.with(&b).without(&b), a.without(&b));
        prop_assert!(a.without(&a).is_empty());
    }

    #[test]
    fn ownership_taken_by_emptying_is_returned(
        others in vec((some(), any::<bool>()), 0..4), own in some(), first in some(),
        second in some(),
    ) {
        let managers = ["a", "b", "c", "d"];
        let entries = others.iter().zip(managers).filter(|((fields, _), _)| !fields.is_empty());
        let mut entries: Vec<_> = entries.map(|((fields, applies), manager)| {
            entry(manager, if *applies { "Apply" } else { "Update" }, fields)
        }).collect();
        let own = own.but_spec();
        if !own.is_empty() {
            entries.push(entry("diyadm", "Update", &own));
        }
        let before = object(&entries);
        let mut now = before.clone();
        // There, and back.
        for fields in [first, second] {
            let was = now.clone();
            let after = taken(&was, "diyadm", &fields);
            now = given(&was, &after, &after);
            let is_of_spec = fields != fields.but_spec()
                || owners(&was, "diyadm").iter().any(|(_, theirs)| {
                    let lost = theirs.without(&theirs.without(&fields));
                    lost.below.contains_key("f:spec")
                });
            if is_of_spec {
                prop_assert_eq!(owners(&now, "diyadm"), owners(&was, "diyadm"));
            } else {
                prop_assert_eq!(&now, &after, "nothing of the spec has changed hands");
            }
            for entry in ManagedFieldsEntry::all(&now).iter().filter(|entry| entry.manager == "diyadm") {
                prop_assert_eq!(entry.fields.but_spec(), entry.fields.clone());
            }
            prop_assert!(give_back(&was, &after, &now, "diyadm").is_empty(), "once is enough");
            prop_assert!(give_back(&now, &now, &now, "diyadm").is_empty(), "nothing is ours");
        }
    }

    /// Someone else writes between our two writes.
    #[test]
    fn manager_that_wrote_meanwhile_keeps_its_fields(
        others in vec(some(), 1..3), ours in some(), theirs in some(),
    ) {
        let entries = others.iter().zip(["a", "b"]).filter(|(fields, _)| !fields.is_empty());
        let entries: Vec<_> =
            entries.map(|(fields, manager)| entry(manager, "Update", fields)).collect();
        let before = object(&entries);
        let after = taken(&before, "diyadm", &ours);
        let meanwhile = taken(&after, "z", &theirs);
        let now = given(&before, &after, &meanwhile);
        let names: Vec<_> = owners(&now, "diyadm").into_iter().map(|(name, _)| name).collect();
        prop_assert!(names.iter().all(|name| ["a", "b", "z"].contains(&name.as_str())));
        for (name, fields) in owners(&now, "diyadm") {
            if name == "z" {
                prop_assert_eq!(fields, theirs.clone());
            } else {
                let both = fields.without(&fields.without(&theirs));
                prop_assert!(both.is_empty(), "{:?}", both);
            }
        }
    }
}

#[test]
fn manager_that_applied_again_keeps_its_new_fields() {
    let image = PATHS[7];
    let [both, one] = [set(&[image, PATHS[4]]), set(&[PATHS[4]])];
    let before = object(&[entry("a", "Apply", &both)]);
    let after = taken(&before, "diyadm", &set(&[image, PATHS[9]]));
    // He has given up the replicas, and has nothing any more.
    let now = object(&[entry("diyadm", "Update", &set(&[image, PATHS[9]]))]);
    assert_eq!(owners(&given(&before, &after, &now), "diyadm"), []);
    assert_eq!(owners(&given(&before, &after, &after), "diyadm"), [("a".to_owned(), both)]);
    assert_eq!(owners(&after, "diyadm"), [("a".to_owned(), one)]);
}

#[test]
fn unowned_change_leaves_one_empty_managed_fields_entry() {
    let before = object(&[]);
    let after = object(&[entry("diyadm", "Update", &set(&[PATHS[4]]))]);
    assert_eq!(given(&before, &after, &after)["metadata"]["managedFields"], json!([{}]));
}

/// A Pod that was deleted and created again is of those who had it.
#[test]
fn recreated_object_keeps_its_field_managers() {
    let theirs = set(&[PATHS[1], PATHS[3], PATHS[7]]);
    let mut status = entry("kubelet", "Update", &set(&[PATHS[11]]));
    status["subresource"] = "status".into();
    let before = object(&[entry("a", "Apply", &theirs), status]);
    let mut after = object(&[entry(
        "diyadm",
        "Update",
        &theirs.with(&set(&[PATHS[0], PATHS[2], PATHS[4], "f:metadata/f:labels/."])),
    )]);
    after["metadata"]["uid"] = "another".into();
    let now = given(&before, &after, &after);
    assert_eq!(
        owners(&now, ""),
        [("a".to_owned(), theirs), ("diyadm".to_owned(), set(&[PATHS[2]])),]
    );
}
