//! Law 5: whatever updates come while a workload is empty, restoring gives back the newest form.
//! The reference is a twin, the same workload without diyadm.

use diyadm::workload::{self, Rules};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::laws::{applied, cases};

const POD: &str = "/spec/template/spec";

/// What a user does to a workload. None of the values has the emptied form: a field that is taken
/// away while it is away already cannot be told from one that nobody touched.
#[derive(Clone, Debug)]
enum Update {
    /// `kubectl set image`, `kubectl apply` with a new field, …
    Field(&'static str, &'static str, Value),
    Grace(u32),
    /// A sidecar, in front or behind.
    Add(&'static str, bool),
    Reverse,
    /// Another rule of the server.
    Image(&'static str),
    /// Another choice of containers.
    Choose(&'static str),
}

fn update() -> impl Strategy<Value = Update> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    let policy = prop_oneof![Just("Always"), Just("Never")];
    let list = prop_oneof![Just("command"), Just("args"), Just("livenessProbe"), Just("lifecycle")];
    let field = prop_oneof![
        "[a-z]{1,4}:[0-9]".prop_map(|value| ("image", Value::from(value))),
        policy.prop_map(|value| ("imagePullPolicy", Value::from(value))),
        (list, 0..3_u8).prop_map(|(field, value)| (field, json!([value]))),
        (0..3_u8).prop_map(|value| ("resources", json!({ "x": value }))),
    ];
    prop_oneof![
        6 => (name, field).prop_map(|(name, (field, value))| Update::Field(name, field, value)),
        1 => (2..60_u32).prop_map(Update::Grace),
        1 => (prop_oneof![Just("c"), Just("d")], any::<bool>()).prop_map(|(n, f)| Update::Add(n, f)),
        1 => Just(Update::Reverse),
        1 => prop_oneof![Just("empty-container:latest"), Just("other:empty")].prop_map(Update::Image),
        1 => prop_oneof![Just("a"), Just("b"), Just("*"), Just("a, b"), Just("none")]
            .prop_map(Update::Choose),
    ]
}

fn apply(update: &Update, object: &mut Value) {
    let pod = object.pointer_mut(POD).unwrap();
    let containers = pod["containers"].as_array_mut().unwrap();
    match update {
        Update::Field(name, field, value) => {
            if let Some(container) = containers.iter_mut().find(|c| c["name"] == *name) {
                container[*field] = value.clone();
            }
        }
        Update::Grace(seconds) => pod["terminationGracePeriodSeconds"] = (*seconds).into(),
        Update::Add(name, front) if containers.iter().all(|c| c["name"] != *name) => {
            let at = if *front { 0 } else { containers.len() };
            containers.insert(at, json!({ "name": name, "image": "side:1" }));
        }
        Update::Reverse => containers.reverse(),
        Update::Choose(names) => {
            object["metadata"]["annotations"][workload::CONTAINERS] = (*names).into();
        }
        Update::Add(..) | Update::Image(_) => {}
    }
}

fn start() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "x", "namespace": "n", "annotations": { "k": "v" } },
        "spec": { "template": { "spec": { "containers": [
            { "name": "a", "image": "app:1", "command": ["run"], "livenessProbe": { "p": 1 } },
            { "name": "b", "image": "side:1" },
        ] } } },
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn restoring_gives_back_the_newest_form(updates in vec(update(), 0..12)) {
        let mut rules = Rules::default();
        let review = |rules: &Rules, object: &Value| {
            applied(object, &workload::empty(rules, &object.to_string()))
        };
        let mut twin = start();
        let mut live = review(&rules, &twin);
        for update in &updates {
            if let Update::Image(image) = update {
                rules.image = (*image).to_owned();
            }
            apply(update, &mut twin);
            apply(update, &mut live);
            live = review(&rules, &live);
            let again = workload::empty(&rules, &live.to_string());
            prop_assert_eq!(&again.patch, "[]", "twice is once");
            let names = twin["metadata"]["annotations"][workload::CONTAINERS].as_str();
            for container in live.pointer(POD).unwrap()["containers"].as_array().unwrap() {
                let name = container["name"].as_str().unwrap();
                let chosen = match names {
                    None | Some("none") => continue,
                    Some("*") => true,
                    Some(names) => names.split(", ").any(|n| n == name),
                };
                prop_assert_eq!(container["image"] == rules.image.as_str(), chosen, "{}", name);
            }
        }
        let restored = applied(&live, &workload::restore(&live.to_string()));
        prop_assert_eq!(restored, twin);
    }
}

/// A forged or cut original is told of, and nothing is done.
#[test]
fn an_untrusted_original_is_left_alone() {
    let mut object = start();
    object["metadata"]["annotations"][workload::ORIGINAL] = "{\"v\":1}".into();
    for change in [
        workload::empty(&Rules::default(), &object.to_string()),
        workload::restore(&object.to_string()),
    ] {
        assert!(change.is_empty());
        assert!(change.warnings[0].contains("not trusted"), "{:?}", change.warnings);
    }
}
