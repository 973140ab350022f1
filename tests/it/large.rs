//! Reviews of up to 7 MiB whose every list is as long as it can be. How long they take is what
//! `cargo xtask bench large` measures, and holds to 100 ms.

use diyadm::{
    webhook::admission,
    workload::{self, OptOut, Rules, Subject},
};
use serde_json::{Value, json};

use super::generated::applied;

mod crafted;

use crafted::{LONGEST, crafted};

#[test]
fn largest_reviews_are_answered() {
    for (what, body) in crafted() {
        assert!(body.len() <= LONGEST, "{what}: {} bytes", body.len());
        let answer = admission::review(&body, &Rules::default(), "2026-11-24T22:05:35Z");
        assert_eq!(answer.status, 200, "{what}: {}", answer.record.reason);
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["response"]["allowed"], true, "{what}");
    }
}

/// What is refused by its length, and what is emptied all the same.
#[test]
fn costly_reviews_are_emptied_or_refused_with_a_reason() {
    let rules = Rules::default();
    let warnings = |body: &[u8]| {
        let answer = admission::review(body, &rules, "2026-11-24T22:05:35Z");
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        answer["response"]["warnings"].to_string()
    };
    let crafted = crafted();
    let of = |what: &str| &crafted.iter().find(|(name, _)| *name == what).unwrap().1;
    for (what, wanted) in [
        ("names of containers", "256 KiB"),
        ("unknown names of containers", "names no container: d7"),
        ("too many containers", "more than 4096 containers"),
        ("annotations", "more than 32768 elements"),
        ("labels", "more than 32768 elements"),
        ("an original that is too long", "longer than the limit of all annotations"),
        ("notes", "an annotation twice"),
        ("env", "starts empty"),
        ("members of a container", "starts empty"),
    ] {
        let found = warnings(of(what));
        assert!(found.contains(wanted), "{what}: {found}");
    }

    // Containers of one name are assigned in their order, wherever they are.
    let containers: Vec<_> =
        (0..500).map(|n| json!({ "name": "c", "image": n.to_string() })).collect();
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "x", "annotations": { workload::CONTAINERS: "*" } },
        "spec": { "template": { "spec": { "containers": containers } } },
    });
    let emptied = applied(&object, &workload::empty(&rules, &object.to_string()));
    let mut moved = emptied.clone();
    let list = moved.pointer_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap();
    list.insert(0, json!({ "name": "first", "image": "f" }));
    let text = moved.to_string();
    let restored = applied(&moved, &Subject::parse(&text).unwrap().restore(OptOut::Leave, None));
    let images: Vec<_> =
        restored.pointer("/spec/template/spec/containers").unwrap().as_array().unwrap()[1..]
            .iter()
            .map(|container| container["image"].clone())
            .collect();
    assert_eq!(images.len(), 500);
    // Those that are still where they were keep what was saved there; none gets another's name.
    assert!(images.iter().all(|image| image != "empty-container:latest"), "{images:?}");
}
