//! The saved original, which any user who may patch the workload can forge: restoring applies, and
//! changes only fields that emptying changes.

use openssl::sha::sha256;
use serde_json::{Value, json};

use super::{Target, behaviour, files};
use crate::{
    kinds::{self, Kind},
    workload::{
        CONTAINER_FIELDS, Context, GRACE, ORIGINAL, REQUESTABLE_ANNOTATIONS, Rules,
        SHAPED_IN_CONTAINER, SHAPED_IN_POD, Settled, Subject, parse_rules, restore,
    },
    yaml,
};

const WORDS: [&str; 29] = [
    "containers",
    "fields",
    "image",
    "command",
    "args",
    "was",
    "set",
    "applied",
    "index",
    "name",
    "mounts",
    "absent",
    "null",
    "present",
    "annotations",
    "notes",
    "key",
    "added",
    "initContainers",
    "volumes",
    "terminationGracePeriodSeconds",
    "replicas",
    "newer",
    "resources",
    "env",
    "caches",
    "diyadm-cache-0",
    "serviceAccountName",
    "empty-container:latest",
];

/// The body of an annotation with the workload that it is on: `{"object": …, "body": …}`.
fn seeds() -> Vec<Vec<u8>> {
    let agent =
        "rules:\n- idle: agent\n  image: keep\n  containers: '*'\n  replicas: 1\n  ready: app\n";
    let agent = Rules { list: parse_rules(agent).unwrap(), ..Rules::default() };
    let shaped = "rules:\n- {resources: {limits: {cpu: 9}}, env: {A: b}, cache: [/c, /d=claim], \
                  serviceAccountName: x, nodeSelector: {a: b}, tolerations: [a]}\n";
    let shaped = Rules { list: parse_rules(shaped).unwrap(), ..Rules::default() };
    let mut seeds = Vec::new();
    for file in files("tests/data/corpus/kinds").into_iter().chain(files("tests/data/corpus/apps"))
    {
        let text = String::from_utf8(file).unwrap();
        for document in yaml::objects(yaml::parse_documents("t", &text).unwrap()) {
            let text = document.value.to_string();
            for rules in [&Rules::default(), &agent, &shaped] {
                let Some(subject) = Subject::parse(&text) else { continue };
                let change = subject.empty(rules, &Context::default());
                let object = patched(&document.value, &change.patch);
                let original = object["metadata"]["annotations"][ORIGINAL].as_str();
                let Some(original) = original else { continue };
                let original: Value = serde_json::from_str(original).unwrap();
                seeds.push(
                    json!({ "object": object, "body": original["body"] }).to_string().into_bytes(),
                );
            }
        }
    }
    seeds
}

fn patched(object: &Value, patch: &str) -> Value {
    let patch: json_patch::Patch = serde_json::from_str(patch).expect("the patch is JSON");
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).expect("the patch applies");
    object
}

/// The annotation's value for a body, with a right checksum.
fn sealed(body: &Value) -> String {
    let body = body.to_string();
    let sum: String =
        sha256(body.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"v\":1,\"sum\":\"{sum}\",\"body\":{body}}}")
}

/// The object without what emptying and restoring may change.
fn rest(object: &Value) -> Value {
    let mut object = object.clone();
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let template = kinds::find(text("apiVersion"), text("kind")).map(Kind::template);
    without_own_annotations(&mut object);
    reduce(&mut object, "spec", |spec| {
        ["replicas", "strategy", "updateStrategy"].iter().for_each(|field| remove(spec, field));
    });
    let Some(template) = object.pointer_mut(&template.unwrap_or_default()) else { return object };
    without_own_annotations(template);
    reduce(template, "spec", |spec| {
        remove(spec, GRACE);
        SHAPED_IN_POD.iter().for_each(|field| remove(spec, field));
        for list in ["containers", "initContainers", "volumes"] {
            reduce(spec, list, without_agent);
        }
        let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let fields = CONTAINER_FIELDS.iter().chain(&SHAPED_IN_CONTAINER);
            fields.for_each(|field| remove(container, field));
            reduce(container, "volumeMounts", without_agent);
        }
    });
    object
}

fn remove(value: &mut Value, key: &str) {
    if let Some(members) = value.as_object_mut() {
        members.shift_remove(key);
    }
}

/// Changes a member. One that is null or empty then is as good as absent.
fn reduce(parent: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    let Some(members) = parent.as_object_mut() else { return };
    let Some(value) = members.get_mut(name) else { return };
    change(value);
    let is_empty = match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    if is_empty {
        members.shift_remove(name);
    }
}

/// Without list elements that have diyadm's own name.
fn without_agent(list: &mut Value) {
    if let Some(items) = list.as_array_mut() {
        items.retain(|item| {
            let name = item.get("name").and_then(Value::as_str);
            name.is_none_or(|name| name != "diyadm-agent" && !name.starts_with("diyadm-cache-"))
        });
    }
}

fn without_own_annotations(object: &mut Value) {
    reduce(object, "metadata", |meta| {
        reduce(meta, "annotations", |annotations| {
            if let Some(all) = annotations.as_object_mut() {
                all.retain(|key, _| {
                    !key.starts_with("diyadm.io/")
                        && !REQUESTABLE_ANNOTATIONS.contains(&key.as_str())
                });
            }
        });
    });
}

fn check(input: &[u8]) -> u64 {
    let Ok(Value::Object(mut input)) = serde_json::from_slice(input) else { return 0 };
    let mut part = |name: &str| input.shift_remove(name).unwrap_or_default();
    let (mut object, body) = (part("object"), part("body"));
    let is_known = kinds::workloads()
        .any(|kind| object["kind"] == kind.kind && object["apiVersion"] == kind.api_version());
    if !is_known || !object["metadata"]["annotations"].is_object() {
        return 1;
    }
    object["metadata"]["annotations"][ORIGINAL] = sealed(&body).into();
    let text = object.to_string();
    let change = restore(&text);
    let restored = patched(&object, &change.patch);
    assert_eq!(rest(&restored), rest(&object), "only what emptying touches is changed");
    assert!(change.patch.len() < 8 * text.len() + 16_384, "{} bytes", change.patch.len());
    // What empties it next, as an update or anew, applies too.
    let Some(subject) = Subject::parse(&text) else { return 2 };
    let mut settled = String::new();
    for old in [None, Some(text.as_str())] {
        let context = Context { old, ..Context::default() };
        let (how, next) = subject.settle(&Rules::default(), &context);
        let next = patched(&object, &next.patch);
        assert_eq!(rest(&next), rest(&object), "only what emptying touches is changed");
        settled.push_str(match how {
            Settled::Unchanged => "unchanged ",
            Settled::Emptied => "emptied ",
            Settled::Restored => "restored ",
        });
    }
    let changed = patch_shape(&change.patch);
    behaviour(&[&settled, &format!("{:?}", change.warnings), &changed])
}

/// Its operations and the last step of their paths.
fn patch_shape(patch: &str) -> String {
    let patch: Value = serde_json::from_str(patch).unwrap();
    let operations = patch.as_array().into_iter().flatten();
    let last = |operation: &Value| {
        let path = operation["path"].as_str().unwrap_or_default();
        format!("{} {} ", operation["op"], path.rsplit('/').next().unwrap_or_default())
    };
    operations.map(last).collect()
}

#[test]
fn forged_original_changes_only_fields_that_emptying_changes() {
    Target { name: "original", seeds: seeds(), words: &WORDS }.fuzz(check);
}
