//! Reviews and the patches that they get: pairs of files in tests/data/review.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::{
    webhook::admission,
    workload::{self, Rules},
};
use serde_json::{Value, json};

use super::{Golden, data, hold, pretty};

const NOW: &str = "2026-11-24T22:05:35Z";

/// The patch that a review gets.
fn patch(review: &Value) -> Value {
    let answer = admission::review(review.to_string().as_bytes(), &Rules::default(), NOW);
    assert_eq!(answer.status, 200);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let patch = answer["response"]["patch"].as_str();
    patch.map_or(json!([]), |patch| {
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
    })
}

/// `object` with a patch, by an implementation that is not ours.
fn applied(object: &Value, patch: &Value) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

/// A review that follows on another: an update that starts from what came of that.
fn next(review: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut next = review.clone();
    let old = applied(&review["request"]["object"], &patch(review));
    let request = &mut next["request"];
    request["operation"] = "UPDATE".into();
    request["oldObject"] = old.clone();
    request["object"] = old;
    change(&mut request["object"]);
    next
}

#[test]
fn reviews_match_golden_patches() {
    let mut reviews = Golden::new();
    // These are written by hand; those that follow on them are made here, for their originals
    // carry a sum.
    let follow = ["blog-again", "blog-newer-image", "blog-restored"];
    for file in fs::read_dir(data().join("review")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".json").filter(|name| !name.contains('.')) else {
            continue;
        };
        if !follow.contains(&name) {
            let text = fs::read_to_string(data().join(format!("review/{name}.json"))).unwrap();
            reviews.insert(name.to_owned(), text);
        }
    }
    let mut reviews: Vec<(String, Value)> = reviews
        .into_iter()
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect();
    assert!(reviews.len() >= 5, "{}", reviews.len());

    let mut made = Golden::new();
    for (name, review) in &reviews {
        let object = &review["request"]["object"];
        let emptied = applied(object, &patch(review));
        assert_ne!(emptied, *object, "{name}");
        let back = workload::restore(&emptied.to_string());
        assert_eq!(
            applied(&emptied, &serde_json::from_str(&back.patch).unwrap()),
            *object,
            "{name}"
        );
    }
    let blog = reviews.iter().find(|(name, _)| name == "blog").unwrap().1.clone();
    let image = "/spec/template/spec/containers/0/image";
    let set = |value: &'static str| {
        move |object: &mut Value| *object.pointer_mut(image).unwrap() = value.into()
    };
    let disable = |object: &mut Value| {
        object["metadata"]["annotations"][workload::LABEL] = "disabled".into();
    };
    for (name, review) in follow.into_iter().zip([
        next(&blog, |_| ()),
        next(&blog, set("knative:2")),
        next(&blog, disable),
    ]) {
        reviews.push((name.to_owned(), review));
    }
    for (name, review) in reviews {
        made.insert(format!("{name}.json"), pretty(&review));
        made.insert(format!("{name}.patch.json"), pretty(&patch(&review)));
    }
    assert_eq!(made["blog-again.patch.json"], "[]\n", "emptied already");
    hold("review", &made);
}
