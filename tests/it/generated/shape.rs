//! Generated shapes of Pods, and values of the fields that they change.

use diyadm::workload::{Resources, Shape};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{anything, set};

/// A field that a shape changes: absent, `null`, as it should be, or something else.
pub(super) fn shaped(usual: BoxedStrategy<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        4 => usual.prop_map(Some),
        1 => anything().prop_map(Some),
    ]
}

/// Environment variables, some of them those of a shape.
pub(super) fn env() -> BoxedStrategy<Value> {
    let one = ("[A-C]", "[0-2]").prop_map(|(name, value)| json!({ "name": name, "value": value }));
    vec(one, 0..4).prop_map(Value::from).boxed()
}

/// Requests and limits, some of them those of a shape.
pub(super) fn amounts() -> BoxedStrategy<Value> {
    let all = || option::of(vec((select(&["cpu", "memory"][..]), 1..3_u8), 0..3));
    let map = |all: Vec<(&str, u8)>| -> Value {
        all.into_iter().map(|(name, n)| (name.to_owned(), Value::from(n.to_string()))).collect()
    };
    let both = move |(requests, limits): (Option<Vec<_>>, Option<Vec<_>>)| {
        let mut both = json!({});
        set(&mut both, "requests", requests.map(map));
        set(&mut both, "limits", limits.map(map));
        both
    };
    (all(), all()).prop_map(both).boxed()
}

/// What changes besides the program, in flags, rules and the annotation.
pub(super) fn shape() -> impl Strategy<Value = Shape> {
    let pairs = |all: &[(&str, &str)]| {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let some = |requests, limits| Resources::Some { requests, limits };
    let resources = prop_oneof![
        Just(Resources::None),
        Just(some(pairs(&[]), pairs(&[("memory", "9")]))),
        Just(some(pairs(&[("cpu", "9")]), pairs(&[("cpu", "9")]))),
    ];
    let caches = [words(&["/cache"]), words(&["/data", "/cache=claim"]), words(&[])];
    let security = json!({ "runAsUser": 0, "privileged": true }).as_object().cloned();
    let some = (
        option::of(resources),
        option::of(select(vec![pairs(&[("B", "9")]), pairs(&[("B", "9"), ("X", "")])])),
        option::of(select(caches.to_vec())),
        option::of(Just(words(&["configmap/x"]))),
        option::of(Just(pairs(&[("disk", "ssd")]))),
        option::of(Just(words(&["a=b:NoSchedule", "c"]))),
        option::of(Just("builder".to_owned())),
        option::of(Just(security.unwrap())),
    );
    let some =
        some.prop_map(|(resources, env, cache, env_from, nodes, taints, account, security)| {
            Shape {
                resources,
                env,
                env_from,
                cache,
                node_selector: nodes,
                tolerations: taints,
                service_account_name: account,
                security_context: security,
            }
        });
    prop_oneof![2 => Just(Shape::default()), 1 => some]
}

/// The fields of a pod that a shape changes.
pub(super) fn shaped_pod() -> impl Strategy<Value = Vec<(&'static str, Option<Value>)>> {
    let account = || shaped(select(&["x", "builder"][..]).prop_map(Value::from).boxed());
    let taint = select(&["c", "d"][..]).prop_map(|key| json!({ "key": key, "operator": "Exists" }));
    let nodes = select(&["ssd", "hdd"][..]).prop_map(|disk| json!({ "disk": disk, "os": "x" }));
    let all = (
        shaped(nodes.boxed()),
        shaped(vec(taint, 0..3).prop_map(Value::from).boxed()),
        account(),
        account(),
    );
    all.prop_map(|(nodes, taints, name, alias)| {
        vec![
            ("nodeSelector", nodes),
            ("tolerations", taints),
            ("serviceAccountName", name),
            ("serviceAccount", alias),
        ]
    })
}
