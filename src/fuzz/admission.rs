//! Admission reviews: every answer is one that the API server can read, and its patch applies.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Target, behaviour, files};
use crate::{
    kinds,
    webhook::admission::{Answer, ReviewOutcome, review},
    workload::{Rules, parse_rules},
    yaml,
};

const NOW: &str = "2026-11-24T22:05:35Z";

const WORDS: [&str; 22] = [
    "\"CREATE\"",
    "\"UPDATE\"",
    "\"DELETE\"",
    "CREATE",
    "UPDATE",
    "oldObject",
    "object",
    "request",
    "containers",
    "initContainers",
    "annotations",
    "inject-empty-container",
    "disabled",
    "enabled",
    "diyadm.io/original",
    "diyadm.io/containers",
    "diyadm.io/idle",
    "agent",
    "diyadm.io/image",
    "keep",
    "\"a\":1,\"a\":2",
    "livenessProbe",
];

/// A review of each object of the corpus, and the reviews that other tests have.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = files("tests/data/review");
    for file in files("tests/data/corpus/kinds").into_iter().chain(files("tests/data/corpus/apps"))
    {
        let text = String::from_utf8(file).unwrap();
        for document in yaml::objects(yaml::parse_documents("t", &text).unwrap()) {
            let object = document.value;
            let kind = object["kind"].as_str().is_some_and(|kind| kinds::named(kind).is_some());
            if kind || object["kind"] == "Service" {
                let body = review_of(&object, None);
                seeds.push(body.to_string().into_bytes());
            }
        }
    }
    // An update of each that is empty by now.
    for at in 0..seeds.len() {
        let Ok(body) = serde_json::from_slice::<Value>(&seeds[at]) else { continue };
        let answer = review(&seeds[at], &Rules::default(), NOW);
        if let Some(emptied) = patched(&body, &answer) {
            seeds.push(
                review_of(&emptied, Some(&body["request"]["object"])).to_string().into_bytes(),
            );
        }
    }
    seeds
}

fn review_of(object: &Value, old: Option<&Value>) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "apps", "version": "v1", "kind": object["kind"] },
            "namespace": "n",
            "name": object["metadata"]["name"],
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": { "username": "jane" },
            "object": object,
            "oldObject": old,
        },
    })
}

/// The object with the answer's patch, where it has one. Panics where that does not apply.
fn patched(body: &Value, answer: &Answer) -> Option<Value> {
    let answered: Value = serde_json::from_slice(&answer.body).expect("the answer is JSON");
    let response = &answered["response"];
    let Some(patch) = response["patch"].as_str() else {
        assert!(response["patchType"].is_null(), "{answered}");
        return None;
    };
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(patch).expect("the patch is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("the patch is JSON");
    let mut object = body["request"]["object"].clone();
    json_patch::patch(&mut object, &patch).expect("the patch applies");
    Some(object)
}

fn check(input: &[u8], rules: &Rules) -> u64 {
    let answer = review(input, rules, NOW);
    let answered: Value = serde_json::from_slice(&answer.body).expect("the answer is JSON");
    if answer.status != 200 {
        assert_eq!((answer.status, &answered["kind"]), (400, &json!("Status")));
        assert_eq!(answer.record.outcome, ReviewOutcome::Refused);
        assert!(answer.body.len() < 4_096, "{} bytes", answer.body.len());
        return behaviour(&[&answered["message"].as_str().unwrap_or_default()]);
    }
    let body: Value = serde_json::from_slice(input).expect("what is taken is JSON");
    let response = &answered["response"];
    assert_eq!(response["uid"], body["request"]["uid"]);
    assert_eq!(response["allowed"], true);
    // Each original is kept once, quoted within a patch within base64.
    assert!(answer.body.len() < 16 * input.len() + 16_384, "{} bytes", answer.body.len());
    assert!(!answer.record.reason.contains("a bug of diyadm"), "{}", answer.record.reason);
    if let Some(object) = patched(&body, &answer) {
        assert_ne!(object, body["request"]["object"], "an empty patch is none");
        let mut again = body.clone();
        again["request"]["object"] = object;
        let second = review(again.to_string().as_bytes(), rules, NOW);
        assert_eq!(second.record.outcome, ReviewOutcome::Unchanged, "{again}");
    }
    let warnings = response["warnings"].as_array();
    let warnings: Vec<_> = warnings.into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(warnings.len() < 200, "{} warnings", warnings.len());
    let outcome = answer.record.outcome.as_str();
    behaviour(&[&outcome, &warnings.join(";"), &answer.record.kind, &answer.record.reason])
}

#[test]
fn any_review_is_answered() {
    Target { name: "admission", seeds: seeds(), words: &WORDS }
        .fuzz(|input| check(input, &Rules::default()));
}

#[test]
fn any_review_is_answered_by_any_rules() {
    let text = "rules:\n- match: {kinds: [sts], labels: {app: '*'}}\n  idle: agent\n  image: keep\n  \
                containers: '*'\n- match: {names: ['*a*']}\n  level: pod\n- match: {kinds: [ds]}\n  \
                empty: false\n- idle: agent\n  ready: app\n  replicas: 1\n";
    let rules = Rules { list: parse_rules(text).unwrap(), ..Rules::default() };
    Target { name: "admission", seeds: seeds(), words: &WORDS }.fuzz(|input| check(input, &rules));
}
