//! After any sequence of updates, emptyings, restores and changes of rules, restoring returns the
//! newest form. The reference is a twin: the same workload without diyadm.

use diyadm::kinds::{DEPLOYMENT, Kind, WORKLOADS};
use diyadm::workload::{
    self, Choice, Context, DISABLED, LABEL, OptOut, RequestedAnnotation, Resources, Rule, Rules,
    Settled, Shape, Subject,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

mod rollout_undo;

use super::generated::{LAST_APPLIED, applied, cases, choice, pod, restored, workload as around};

/// What happens to a workload. None of the values has the emptied form: that cannot be told from
/// a field that nobody touched.
#[derive(Clone, Debug)]
enum Step {
    /// `kubectl set image`, `kubectl apply` with a new field, …
    Field(&'static str, &'static str, Value),
    /// A field that the next `kubectl apply` does not name any more.
    Drop(&'static str, &'static str),
    Grace(u32),
    Replicas(u32),
    /// A sidecar, in front or behind.
    Add(&'static str, bool),
    /// Something else in the lists that the agent uses.
    Volume(&'static str),
    Reverse,
    /// Other flags of the server, and perhaps a rules.yaml.
    Rules(Box<(Choice, Option<Choice>)>),
    /// Another choice of containers.
    Choose(&'static str),
    /// `diyadm restore`: restored and opted out.
    Restore,
    /// `diyadm empty`: back again, with a wish or without.
    Empty(Option<&'static str>),
}

/// Fewer replicas than any update wants. Resources are not removed: an update may do that too.
fn rule() -> impl Strategy<Value = Choice> {
    choice().prop_map(|mut choice| {
        choice.shape.resources = choice.shape.resources.filter(|all| *all != Resources::None);
        Choice { replicas: choice.replicas.map(|n| n % 2), ..choice }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    let gone = select(&["args", "livenessProbe", "lifecycle", "resources"][..]);
    let policy = prop_oneof![Just("Always"), Just("Never")];
    let list = prop_oneof![Just("command"), Just("args"), Just("livenessProbe"), Just("lifecycle")];
    let field = prop_oneof![
        "[a-z]{1,4}:[0-9]".prop_map(|value| ("image", Value::from(value))),
        policy.prop_map(|value| ("imagePullPolicy", Value::from(value))),
        (list, 0..3_u8).prop_map(|(field, value)| (field, json!([value]))),
        (0..3_u8).prop_map(|value| ("resources", json!({ "x": value }))),
        ("[A-C]", "[12]").prop_map(|(n, v)| ("env", json!([{ "name": n, "value": v }]))),
        Just(("volumeMounts", json!([{ "name": "data", "mountPath": "/data" }]))),
    ];
    prop_oneof![
        6 => (name(), field).prop_map(|(name, (field, value))| Step::Field(name, field, value)),
        1 => (name(), gone).prop_map(|(name, field)| Step::Drop(name, field)),
        1 => (2..60_u32).prop_map(Step::Grace),
        1 => (2..9_u32).prop_map(Step::Replicas),
        1 => (prop_oneof![Just("c"), Just("d")], any::<bool>()).prop_map(|(n, f)| Step::Add(n, f)),
        1 => prop_oneof![Just("volumes"), Just("initContainers")].prop_map(Step::Volume),
        1 => Just(Step::Reverse),
        2 => (rule(), option::of(rule()))
            .prop_map(|choices| Step::Rules(Box::new(choices))),
        1 => prop_oneof![Just("a"), Just("b"), Just("*"), Just("a, b"), Just("none")]
            .prop_map(Step::Choose),
        1 => Just(Step::Restore),
        1 => option::of(select(&["shell", "agent"][..])).prop_map(Step::Empty),
    ]
}

/// What an update does to the object, whoever looks after it.
fn update(step: &Step, object: &mut Value) {
    let pod = pod(object);
    let containers = pod["containers"].as_array_mut().unwrap();
    match step {
        Step::Field(name, field, value) => {
            if let Some(container) = containers.iter_mut().find(|c| c["name"] == *name) {
                if ["volumeMounts", "env"].contains(field) {
                    // A strategic merge keeps what others have put into the list.
                    push(container, field, &value[0]);
                } else {
                    container[*field] = value.clone();
                }
            }
        }
        Step::Drop(name, field) => {
            if let Some(container) = containers.iter_mut().find(|c| c["name"] == *name) {
                container.as_object_mut().unwrap().shift_remove(*field);
            }
        }
        Step::Grace(seconds) => pod["terminationGracePeriodSeconds"] = (*seconds).into(),
        Step::Replicas(replicas) => object["spec"]["replicas"] = (*replicas).into(),
        Step::Add(name, front) if containers.iter().all(|c| c["name"] != *name) => {
            let at = if *front { 0 } else { containers.len() };
            containers.insert(at, json!({ "name": name, "image": "side:1" }));
        }
        Step::Volume(list) => push(pod, list, &json!({ "name": "data" })),
        Step::Reverse => containers.reverse(),
        Step::Choose(names) => {
            object["metadata"]["annotations"][workload::CONTAINERS] = (*names).into();
        }
        Step::Add(..) | Step::Rules(..) | Step::Restore | Step::Empty(_) => {}
    }
}

fn is_update(step: &Step) -> bool {
    !matches!(step, Step::Rules(..) | Step::Restore | Step::Empty(_))
}

/// `kubectl apply` of the whole manifest, which the twin has already: it sets what that names.
fn apply(twin: &Value, live: &mut Value) {
    let mut twin = twin.clone();
    if let Some(replicas) = twin["spec"].get("replicas") {
        live["spec"]["replicas"] = replicas.clone();
    }
    let (from, to) = (pod(&mut twin), pod(live));
    if let Some(grace) = from.get("terminationGracePeriodSeconds") {
        to["terminationGracePeriodSeconds"] = grace.clone();
    }
    for to in to["containers"].as_array_mut().unwrap() {
        let mut from = from["containers"].as_array().unwrap().iter();
        let named = from.find(|from| from["name"] == to["name"]).and_then(Value::as_object);
        for (field, value) in named.into_iter().flatten().filter(|(f, _)| *f != "volumeMounts") {
            to[field] = value.clone();
        }
    }
}

fn push(parent: &mut Value, list: &str, item: &Value) {
    if parent[list].is_null() {
        parent[list] = json!([]);
    }
    let list = parent[list].as_array_mut().unwrap();
    list.retain(|other| other["name"] != item["name"]);
    list.push(item.clone());
}

fn start() -> Value {
    of_kind(&DEPLOYMENT)
}

fn of_kind(kind: &Kind) -> Value {
    let pod = json!({ "containers": [
        { "name": "a", "image": "app:1", "command": ["run"], "livenessProbe": { "p": 1 } },
        { "name": "b", "image": "side:1" },
    ] });
    let mut object = around(kind, pod, None);
    object["metadata"]["annotations"] = json!({ "k": "v" });
    object["spec"]["replicas"] = 3.into();
    object
}

/// What `kubectl apply` would write down of it.
fn record(twin: &Value) -> Value {
    let mut config = twin.clone();
    config["metadata"]["annotations"].as_object_mut().unwrap().shift_remove(LAST_APPLIED);
    config.to_string().into()
}

/// What the webhook makes of an update from `old` to `new`.
fn reviewed(rules: &Rules, old: Option<&Value>, new: &Value) -> (Settled, Value) {
    let (old, text) = (old.map(ToString::to_string), new.to_string());
    let context = Context { old: old.as_deref(), ..Context::default() };
    let (settled, change) = Subject::parse(&text).unwrap().settle(rules, &context);
    (settled, applied(new, &change))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn restore_returns_the_newest_form(
        // What cannot change is not updated.
        kind in select(WORKLOADS.into_iter().filter(|kind| kind.mutable).collect::<Vec<_>>()),
        // Whether a webhook sees each step, or a client has emptied it and nobody looks after it.
        hooked in any::<bool>(),
        applies in any::<bool>(),
        steps in vec(step(), 0..12),
    ) {
        let mut rules = Rules::default();
        let mut twin = of_kind(kind);
        if applies {
            twin["metadata"]["annotations"][LAST_APPLIED] = record(&twin);
        }
        let mut live = if hooked {
            reviewed(&rules, None, &twin).1
        } else {
            applied(&twin, &workload::empty(&rules, &twin.to_string()))
        };
        let mut given_back = false;
        for step in &steps {
            let before = live.clone();
            if let Step::Rules(choices) = step {
                rules.flags = choices.0.clone();
                let rule = choices.1.clone().map(|choice| Rule { choice, ..Rule::default() });
                rules.list = rule.into_iter().collect();
            }
            // Without a record that says so, nobody can tell that a field is gone that was away.
            if applies || !matches!(step, Step::Drop(_, field) if *field != "resources") {
                update(step, &mut twin);
                update(step, &mut live);
            }
            if applies {
                // Where a webhook looks on, a patch with such a record is as good.
                if !hooked && is_update(step) {
                    apply(&twin, &mut live);
                }
                let record = record(&twin);
                for side in [&mut twin, &mut live] {
                    side["metadata"]["annotations"][LAST_APPLIED] = record.clone();
                }
            }
            let text = live.to_string();
            let subject = Subject::parse(&text).unwrap();
            match step {
                Step::Restore => {
                    live = applied(&live, &subject.restore(OptOut::Set, None));
                    given_back |= !workload::is_emptied(&live.to_string()) && workload::declines(&live.to_string());
                }
                Step::Empty(idle) => {
                    let wish = |key, value| RequestedAnnotation { key, value, forget: key == LABEL };
                    let mut requested_annotations = vec![wish(LABEL, None)];
                    requested_annotations.extend(idle.map(|idle| wish(workload::IDLE, Some(idle.to_owned()))));
                    let context = Context { requested_annotations: &requested_annotations, ..Context::default() };
                    live = applied(&live, &subject.empty(&rules, &context));
                    given_back &= workload::declines(&live.to_string());
                }
                _ => {}
            }
            if hooked {
                live = reviewed(&rules, Some(&before), &live).1;
                let (_, again) = reviewed(&rules, Some(&live), &live);
                prop_assert_eq!(&again, &live, "twice is once");
            }
            prop_assert_eq!(workload::declines(&live.to_string()), given_back);
        }
        let mut restored = restored(&live);
        if let Some(annotations) = restored["metadata"]["annotations"].as_object_mut()
            && given_back
        {
            prop_assert_eq!(annotations.shift_remove(LABEL), Some(json!(DISABLED)));
        }
        prop_assert_eq!(restored, twin);
    }
}

/// The webhook leaves a workload with wrong annotations as it is, also where the shape has added a
/// variable to those of the update.
#[test]
fn update_of_merged_variables_with_wrong_annotations_is_restored() {
    let env = Some([("B".to_owned(), "9".to_owned())].into());
    let shape = Shape { env, ..Shape::default() };
    let rules = Rules { flags: Choice { shape, ..Choice::default() }, ..Rules::default() };
    let mut twin = start();
    twin["metadata"]["annotations"][LAST_APPLIED] = record(&twin);
    let mut live = reviewed(&rules, None, &twin).1;
    let variable = json!([{ "name": "A", "value": "1" }]);
    for step in [Step::Choose("none"), Step::Field("a", "env", variable)] {
        let before = live.clone();
        update(&step, &mut twin);
        update(&step, &mut live);
        let record = record(&twin);
        for side in [&mut twin, &mut live] {
            side["metadata"]["annotations"][LAST_APPLIED] = record.clone();
        }
        live = reviewed(&rules, Some(&before), &live).1;
    }
    assert_eq!(pod(&mut live)["containers"][0]["env"].as_array().unwrap().len(), 2);
    assert_eq!(restored(&live), twin);
}

/// A forged or cut original is reported and not applied.
#[test]
fn untrusted_original_is_reported_and_not_applied() {
    let mut object = start();
    object["metadata"]["annotations"][workload::ORIGINAL] = "{\"v\":1}".into();
    for change in [
        workload::empty(&Rules::default(), &object.to_string()),
        workload::restore(&object.to_string()),
    ] {
        assert!(change.is_empty());
        assert!(change.warnings[0].message().contains("not trusted"), "{:?}", change.warnings);
    }
}

/// A field that an update takes away while emptying has taken it away already: the records of
/// client-side and server-side apply tell.
#[test]
fn fields_that_an_update_removes_stay_removed() {
    let applied_by_kubectl = |object: &mut Value, config: &Value| {
        object["metadata"]["annotations"][LAST_APPLIED] = config.to_string().into();
    };
    let owned = |object: &mut Value, fields: Value| {
        object["metadata"]["managedFields"] = json!([
            { "manager": "x", "operation": "Apply", "fieldsV1": { "f:spec": { "f:template": {
                "f:spec": { "f:containers": { "k:{\"name\":\"a\"}": fields } },
            } } } },
        ]);
    };
    let first = start();
    let mut second = start();
    second["spec"]["template"]["spec"]["containers"][0]
        .as_object_mut()
        .unwrap()
        .remove("livenessProbe");
    for server_side in [false, true] {
        let mut object = first.clone();
        let update = |object: &mut Value, config: &Value, fields: Value| {
            if server_side {
                owned(object, fields);
            } else {
                applied_by_kubectl(object, config);
            }
        };
        update(&mut object, &first, json!({ "f:livenessProbe": {}, "f:image": {} }));
        let live = reviewed(&Rules::default(), None, &object).1;
        let mut updated = live.clone();
        update(&mut updated, &second, json!({ "f:image": {} }));
        let live = reviewed(&Rules::default(), Some(&live), &updated).1;
        let found = restored(&live);
        let container = &found["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "app:1");
        assert_eq!(container.get("livenessProbe"), None, "server-side: {server_side}");
    }
}

/// An update that drops the annotation while the pod is the emptied one does not lose it; one that
/// brings the whole workload again is a new beginning.
#[test]
fn keeps_a_dropped_original_and_treats_a_replaced_workload_as_new() {
    let rules = Rules::default();
    let emptied = reviewed(&rules, None, &start()).1;
    let mut dropped = emptied.clone();
    dropped["metadata"].as_object_mut().unwrap().remove("annotations");
    let live = reviewed(&rules, Some(&emptied), &dropped).1;
    let mut wanted = start();
    wanted["metadata"]["annotations"] = json!({});
    assert_eq!(restored(&live), wanted);

    let mut replaced = start();
    let container = &mut replaced["spec"]["template"]["spec"]["containers"][0];
    *container = json!({ "name": "a", "image": "app:2" });
    let live = reviewed(&rules, Some(&emptied), &replaced).1;
    assert_eq!(restored(&live), replaced);
}

/// Without a webhook kubectl's record alone tells of an update, and only where it is of what runs.
#[test]
fn last_applied_record_counts_only_for_the_running_form() {
    let recorded = |mut object: Value, config: &Value| {
        object["metadata"]["annotations"][LAST_APPLIED] = config.to_string().into();
        object
    };
    let container = "/spec/template/spec/containers/0";
    let mut first = start();
    first.pointer_mut(container).unwrap()["imagePullPolicy"] = "Always".into();
    let first = recorded(first.clone(), &first);
    let emptied = applied(&first, &workload::empty(&Rules::default(), &first.to_string()));
    let mut second = start();
    let fewer = second.pointer_mut(container).unwrap().as_object_mut().unwrap();
    fewer.remove("livenessProbe");
    fewer["image"] = "app:2".into();

    // What it dropped stays away, and what it left to its default is that, though both look empty.
    let mut updated = recorded(emptied.clone(), &second);
    apply(&second, &mut updated);
    let found = restored(&updated);
    let found = found.pointer(container).unwrap();
    assert_eq!((&found["image"], found.get("livenessProbe")), (&json!("app:2"), None));
    assert_eq!(found["imagePullPolicy"], "IfNotPresent");

    // An undone rollout brings template and annotations back, and never the record.
    let undone = recorded(emptied.clone(), &second);
    let mut wanted = first.clone();
    wanted["metadata"]["annotations"][LAST_APPLIED] = second.to_string().into();
    assert_eq!(restored(&undone), wanted);

    // Nor is what was read from the cluster and applied again the user's word.
    let again = recorded(emptied.clone(), &emptied);
    assert_eq!(restored(&again)["spec"], first["spec"]);
    let reviewed = reviewed(&Rules::default(), Some(&emptied), &again).1;
    assert_eq!(restored(&reviewed)["spec"], first["spec"]);
}
