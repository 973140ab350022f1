//! Generated workloads of every kind, and every way to empty them.

use diyadm::kinds::{self, Kind};
use diyadm::workload::{
    self, Change, Choice, Context, Idle, Image, Level, Match, Ready, RequestedAnnotation, Rule,
    Rules, Stamp, Subject,
};
use jiff::SignedDuration;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

mod shape;

use shape::{amounts, env, shape, shaped, shaped_pod};

/// What `kubectl apply` writes down.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(crate) fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    // In CI nobody may ask for fewer.
    let least = if std::env::var("CI").as_deref() == Ok("true") { 10_000 } else { 0 };
    let cases = cases.unwrap_or(10_000).max(least);
    ProptestConfig {
        failure_persistence: None,
        // A property may not apply to most of what is generated.
        max_global_rejects: 1_000_000,
        ..ProptestConfig::with_cases(cases)
    }
}

/// Any JSON, as it stands in fields that diyadm has never heard of.
pub(crate) fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é/\"\\\\]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[a-z~/é.]{0,4}", inner), 0..3)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// Absent, `null`, empty, or a few things with names.
fn list() -> impl Strategy<Value = Option<Value>> {
    let named = "[a-c]".prop_map(|name| json!({ "name": name, "x": 1 }));
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        vec(named, 0..3).prop_map(|list| Some(list.into())),
    ]
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[key] = value;
    }
}

fn container() -> impl Strategy<Value = Value> {
    let words = || vec("[a-z $()]{1,6}", 1..3).prop_map(Value::from);
    let field = || option::of(prop_oneof![2 => anything(), 1 => words()]);
    (
        option::of("[ab]|istio-proxy"),
        option::of("[a-z]{1,6}(:[0-9])?"),
        [field(), field(), field(), field(), field(), field(), field(), field()],
        list(),
        option::of(Just(json!({ "runAsUser": 1000 }))),
        [shaped(env()), shaped(amounts())],
    )
        .prop_map(|(name, image, fields, mounts, security, [env, resources])| {
            let mut container = json!({});
            let names = [
                "imagePullPolicy",
                "command",
                "args",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
                "lifecycle",
                "un/kn~own",
            ];
            set(&mut container, "name", name.map(Value::from));
            set(&mut container, "image", image.map(Value::from));
            for (key, value) in names.into_iter().zip(fields) {
                set(&mut container, key, value);
            }
            set(&mut container, "volumeMounts", mounts);
            set(&mut container, "securityContext", security);
            set(&mut container, "env", env);
            set(&mut container, "resources", resources);
            container
        })
}

fn annotations() -> impl Strategy<Value = Option<Value>> {
    let wish = prop_oneof![
        "[*]|[ab]|a,b".prop_map(|v| (workload::CONTAINERS, v)),
        "keep|other:[0-9]".prop_map(|v| (workload::IMAGE, v)),
        "entrypoint|shell|agent|sleep".prop_map(|v| (workload::IDLE, v)),
        "workload|pod".prop_map(|v| (workload::LEVEL, v)),
        Just((workload::LABEL, "disabled".to_owned())),
        "[0-3]|x".prop_map(|v| (workload::REPLICAS, v)),
        "true|false".prop_map(|v| (workload::STAND_IN, v)),
        Just((workload::STAND_IN_COMMAND, r#"["serve","a b"]"#.to_owned())),
        "2026-12-01T18:00:00Z|soon".prop_map(|v| (workload::EXPIRES, v)),
    ];
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        2 => vec(("[a-z~/.]{1,5}", "[ -~é]{0,5}"), 0..3)
            .prop_map(|m| Some(m.into_iter().map(|(k, v)| (k, Value::from(v))).collect())),
        2 => vec(wish, 1..3).prop_map(|m| {
            Some(m.into_iter().map(|(k, v)| (k.to_owned(), Value::from(v))).collect())
        }),
    ]
}

/// A workload of any kind.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    let few = vec(container(), 0..5);
    let many = vec(container(), 200..201);
    let containers = prop_oneof![
        200 => few.prop_map(Value::from),
        8 => Just(Value::Null),
        1 => many.prop_map(Value::from),
    ];
    let number = || option::of(prop_oneof![Just(Value::Null), (0..60).prop_map(Value::from)]);
    (
        select(all_kinds()),
        (annotations(), annotations()),
        (option::of(containers), list(), list(), list(), shaped_pod()),
        (number(), number()),
        (anything(), any::<bool>(), 0..8_u8),
    )
        .prop_map(
            |(
                kind,
                notes,
                (containers, init, volumes, secrets, shaped),
                numbers,
                (unknown, bare, record),
            )| {
                let (grace, replicas) = numbers;
                let mut pod = json!({ "x~/y": unknown });
                for (field, value) in shaped {
                    set(&mut pod, field, value);
                }
                set(&mut pod, "containers", containers);
                set(&mut pod, "initContainers", init);
                set(&mut pod, "volumes", volumes);
                set(&mut pod, "imagePullSecrets", secrets);
                set(&mut pod, "terminationGracePeriodSeconds", grace);
                let mut object = workload(kind, pod, notes.1.filter(|_| !bare));
                set(&mut object["spec"], "x~/y", Some(unknown));
                set(&mut object["spec"], "replicas", replicas);
                set(&mut object["metadata"], "annotations", notes.0);
                let record = match record {
                    // All of it, its containers' names alone, or what nobody can read.
                    0 => Some(object.to_string()),
                    1 => {
                        let mut bare = object.clone();
                        let containers = self::pod(&mut bare)["containers"].as_array_mut();
                        for container in containers.into_iter().flatten() {
                            *container = json!({ "name": container["name"] });
                        }
                        Some(bare.to_string())
                    }
                    2 => Some("{".to_owned()),
                    _ => None,
                };
                let annotations = object["metadata"].get_mut("annotations");
                if let Some(annotations) = annotations.and_then(Value::as_object_mut)
                    && let Some(record) = record
                {
                    annotations.insert(LAST_APPLIED.to_owned(), record.into());
                }
                object
            },
        )
}

/// A workload that lacks something on the way to its pod, or has `null` there.
pub(crate) fn torn() -> impl Strategy<Value = Value> {
    let places = &[
        "/spec",
        "/spec/template",
        "/spec/template/spec",
        "/spec/template/metadata",
        "/spec/jobTemplate",
        "/spec/jobTemplate/spec",
        "/spec/jobTemplate/spec/template",
        "/metadata/labels",
        "/metadata",
    ][..];
    (object(), select(places), any::<bool>()).prop_map(|(mut object, place, null)| {
        let (parent, key) = place.rsplit_once('/').unwrap_or_default();
        if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut)
            && parent.contains_key(key)
        {
            if null {
                parent[key] = Value::Null;
            } else {
                parent.shift_remove(key);
            }
        }
        object
    })
}

/// An object of `kind` around the spec of its pod, with the pod template's annotations.
pub(crate) fn workload(kind: &Kind, pod: Value, annotations: Option<Value>) -> Value {
    let mut metadata = json!({});
    set(&mut metadata, "annotations", annotations);
    let (_, steps) = kind.pod.split_last().unwrap();
    let mut template = if steps.is_empty() { json!({}) } else { json!({ "metadata": metadata }) };
    template["spec"] = pod;
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "metadata": { "name": "x", "namespace": "n", "labels": { "a": "b" } },
        "spec": {},
    });
    let nested = steps.iter().rfold(template, |value, step| json!({ *step: value }));
    object.as_object_mut().unwrap().extend(nested.as_object().unwrap().clone());
    object
}

/// The spec of an object's pod.
pub(crate) fn pod(object: &mut Value) -> &mut Value {
    let steps = kinds::of_object(object).unwrap().pod;
    steps.iter().fold(object, |value, step| value.get_mut(*step).unwrap())
}

/// Kinds that the program does not know: their pod templates are where no other kind has one.
const DECLARED: &str = "kinds: [
    { group: laws.example, version: v1, kind: Widget, podTemplate: .spec.work.template,
      replicas: .spec.replicas },
    { group: laws.example, version: v2, kind: Gizmo, podTemplate: .blueprint },
    { group: laws.example, version: v1, kind: Fixed, mutable: false },
]";

/// Every kind of workload: Kubernetes' own, the custom ones that are built in, and some that are
/// declared.
pub(crate) fn all_kinds() -> Vec<&'static Kind> {
    workload::parse_kinds(DECLARED).unwrap();
    kinds::workloads().collect()
}

/// How long a workload stays empty.
fn time() -> impl Strategy<Value = SignedDuration> {
    (1..100_i64).prop_map(SignedDuration::from_hours)
}

/// What a flag or a rule may say.
pub(crate) fn choice() -> impl Strategy<Value = Choice> {
    let image = prop_oneof![Just(Image::Keep), Just(Image::Name("other:empty".to_owned()))];
    (
        option::weighted(0.2, prop::bool::weighted(0.8)),
        option::of("[*]|[ab]|a, b"),
        option::of(image),
        option::of(select(&[Idle::Entrypoint, Idle::Shell, Idle::Agent][..])),
        option::weighted(0.2, select(&[Level::Workload, Level::Pod][..])),
        option::of(0..3_u32),
        option::weighted(0.3, select(&[Ready::Container, Ready::App][..])),
        (option::weighted(0.3, any::<bool>()), option::weighted(0.3, time()), shape()),
    )
        .prop_map(
            |(empty, containers, image, idle, level, replicas, ready, (stand_in, time, shape))| {
                Choice {
                    empty,
                    containers,
                    image,
                    idle,
                    level,
                    replicas,
                    ready,
                    stand_in,
                    time,
                    shape,
                }
            },
        )
}

/// A rule of rules.yaml, about some of the objects here or none of them.
fn rule() -> impl Strategy<Value = Rule> {
    let list = |fits: &'static [&str]| vec(select(fits).prop_map(ToOwned::to_owned), 0..2);
    let label = select(&["b", "*", "c"][..]).prop_map(|v| [("a".to_owned(), v.to_owned())].into());
    (
        list(&["n", "n*", "other"]),
        list(&["deploy", "StatefulSet", "pods", "cj", "job", "ds"]),
        list(&["x", "?", "*y"]),
        option::of(label),
        choice(),
    )
        .prop_map(|(namespaces, kinds, names, labels, choice)| {
            let labels = labels.unwrap_or_default();
            Rule { r#match: Match { namespaces, kinds, names, labels }, choice }
        })
}

/// Any flags, and any rules.yaml.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let list = prop_oneof![2 => Just(Vec::new()), 1 => vec(rule(), 1..3)];
    let secrets = prop_oneof![2 => Just([].as_slice()), 1 => Just(["b", "pull"].as_slice())];
    (choice(), list, secrets).prop_map(|(flags, list, secrets)| {
        let pull_secrets = secrets.iter().map(|name| (*name).to_owned()).collect();
        Rules { flags, list, pull_secrets, ..Rules::default() }
    })
}

/// What a client may set or take away along with emptying.
pub(crate) fn requested_annotations() -> impl Strategy<Value = Vec<RequestedAnnotation>> {
    let wish = prop_oneof![
        Just((workload::LABEL, None)),
        Just((workload::IDLE, Some("shell".to_owned()))),
        Just((workload::IMAGE, Some("keep".to_owned()))),
        Just((workload::REPLICAS, Some("1".to_owned()))),
        Just((workload::STAND_IN, Some("true".to_owned()))),
        Just((workload::STAND_IN_COMMAND, Some(r#"["serve"]"#.to_owned()))),
        "2026-12-0[12]T18:00:00Z".prop_map(|v| (workload::EXPIRES, Some(v))),
    ];
    vec(wish, 0..3).prop_map(|mut requested_annotations| {
        requested_annotations.sort();
        requested_annotations.dedup_by_key(|(key, _)| *key);
        let wish = |(key, value)| RequestedAnnotation { key, value, forget: false };
        requested_annotations.into_iter().map(wish).collect()
    })
}

/// The object with the patch applied, by an implementation that is not ours.
pub(crate) fn applied(object: &Value, change: &Change) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

/// What emptying makes of it.
pub(crate) fn emptied(object: &Value, rules: &Rules) -> Value {
    wished(object, rules, &[])
}

/// What emptying makes of it for a client with wishes.
pub(crate) fn wished(
    object: &Value,
    rules: &Rules,
    requested_annotations: &[RequestedAnnotation],
) -> Value {
    let text = object.to_string();
    let stamp = Stamp { at: "2026-11-24T22:05:35Z".to_owned(), by: "ann".to_owned() };
    let context = Context { requested_annotations, stamp: Some(&stamp), ..Context::default() };
    // An object without what every object has is left alone.
    let Some(subject) = Subject::parse(&text) else { return object.clone() };
    applied(object, &subject.empty(rules, &context))
}

/// What restoring makes of it.
pub(crate) fn restored(object: &Value) -> Value {
    applied(object, &workload::restore(&object.to_string()))
}

/// The annotation's value for a body, with a right checksum.
pub(crate) fn sealed(body: &Value) -> String {
    let body = body.to_string();
    let sum = &openssl::sha::sha256(body.as_bytes())[..8];
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"v\":1,\"sum\":\"{sum}\",\"body\":{body}}}")
}
