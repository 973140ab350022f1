//! Boards of workloads that the heart itself has emptied.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::workload::{Choice, Context, Image, LABEL, Rules};

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "shop", "uid": name },
        "spec": { "replicas": 2, "template": { "spec": { "containers": [
            { "name": "app", "image": "app:1", "livenessProbe": { "x": 1 } },
        ] } } },
        "status": { "readyReplicas": 1 },
    })
}

fn emptied(object: &Value) -> Value {
    emptied_by(object, &Rules::default())
}

fn emptied_by(object: &Value, rules: &Rules) -> Value {
    let text = object.to_string();
    let stamp = Stamp { at: "2026-11-24T22:05:35Z".into(), by: "ada".into() };
    let context = Context { stamp: Some(&stamp), ..Context::default() };
    let change = Subject::parse(&text).unwrap().empty(rules, &context);
    let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[test]
fn wide_status_lines_up_with_chinese_names() {
    let objects = [emptied(&deployment("shop")), emptied(&deployment("web"))];
    let mut rows = rows(&objects, &[], |_| None);
    rows[1].by = "王芳（开发）".to_owned();
    let columns = Columns { wide: true, titles: true, ..Columns::default() };
    let text = table(&rows, columns, 0);
    let before = |line: &str, cell: &str| line.split(cell).next().unwrap().width();
    let lines: Vec<_> = text.lines().collect();
    let expected = before(lines[0], "CONTAINERS");
    assert!(lines[2].contains("王芳（开发）"), "{text}");
    assert_eq!([before(lines[1], "app="), before(lines[2], "app=")], [expected; 2], "{text}");
}

#[test]
fn status_names_the_original_of_a_copy() {
    let original = deployment("shop");
    let selected = std::collections::BTreeSet::new();
    let claims = copy::Claims::Shared;
    let spec = copy::CopySpec { name: "me", selected: Some(&selected), claims };
    let mut bare = copy::build(&original, &spec).unwrap();
    bare["metadata"]["uid"] = "copy".into();
    let made = emptied(&bare);
    let row_of = |objects: &[Value], name: &str| {
        let rows = rows(objects, &[], |_| None);
        rows.into_iter().find(|row| row.name == name).unwrap()
    };
    let row = row_of(&[original.clone(), made.clone()], "shop-me");
    assert_eq!((row.state, row.copy_of.as_deref()), (State::Empty, Some("deployment/shop")));
    assert_eq!(row.note, "a copy of deployment/shop, which is not empty");
    assert_eq!(serde_json::to_value(&row).unwrap()["copyOf"], "deployment/shop");
    let columns = Columns { titles: false, ..Columns::default() };
    let text = table(&[row], columns, 0);
    assert!(text.contains(" copy "), "{text}");

    let both = [emptied(&original), made];
    assert_eq!(row_of(&both, "shop-me").note, "a copy of deployment/shop");
    assert_eq!(row_of(&both, "shop").copy_of, None);
    let row = row_of(&[bare], "shop-me");
    assert_eq!(row.state, State::Drifted);
    assert!(row.note.contains("not empty any more"), "{}", row.note);
}

#[test]
fn status_derives_every_state_from_objects() {
    let empty = emptied(&deployment("empty"));
    let mut drifted = emptied(&deployment("drifted"));
    *drifted.pointer_mut(IMAGE).unwrap() = "app:2".into();
    let mut overtaken = emptied(&deployment("overtaken"));
    overtaken.pointer_mut("/spec/template/spec/containers/0").unwrap()["livenessProbe"] =
        json!({ "x": 2 });
    let mut forged = emptied(&deployment("forged"));
    forged["metadata"]["annotations"]["diyadm.io/original"] = "{}".into();
    let mut declines = deployment("declines");
    declines["metadata"]["labels"] = json!({ LABEL: "disabled" });
    let at_pod_level = deployment("at-pod-level");
    let pod = emptied(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "at-pod-level-abc-x", "namespace": "shop",
            "labels": { "pod-template-hash": "abc" },
        },
        "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
    }));
    let mut controlled = pod.clone();
    controlled["metadata"]["ownerReferences"] =
        json!([{ "kind": "ReplicaSet", "name": "at-pod-level-abc", "controller": true }]);
    let all = [
        empty,
        drifted,
        overtaken,
        forged,
        deployment("missed"),
        deployment("unwatched"),
        deployment("no-pods"),
        declines,
        at_pod_level,
    ];
    let watched = |object: &Value| match object["metadata"]["name"].as_str() {
        Some("unwatched") => None,
        Some("no-pods") => Some(Level::Pod),
        _ => Some(Level::Workload),
    };
    let rows = rows(&all, &[controlled], watched);
    let found: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.state, row.newer)).collect();
    assert_eq!(
        found,
        [
            ("empty", State::Empty, false),
            ("drifted", State::Drifted, true),
            ("overtaken", State::Empty, true),
            ("forged", State::Untrusted, false),
            ("missed", State::Missed, false),
            ("at-pod-level", State::Pods, false),
        ]
    );
    assert_eq!((rows[0].since.as_str(), rows[0].by.as_str()), ("2026-11-24T22:05:35Z", "ada"));
    assert_eq!((rows[0].ready.as_str(), rows[0].level.as_str()), ("1/2", "workload"));
    assert_eq!(rows[5].level, "pod");

    let columns = Columns { wide: true, titles: true, ..Columns::default() };
    let text = table(&rows[..1], columns, 1_795_559_735);
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("WORKLOAD           STATE   SINCE"), "{text}");
    let line = lines.next().unwrap();
    assert!(line.contains("app=empty-container:latest"), "{line}");
    assert!(line.contains("empty   30m "), "{line}");
}

/// The same manifest in two namespaces gives ReplicaSets of one name.
#[test]
fn status_distinguishes_workloads_of_one_name_in_two_namespaces() {
    let cron = |mut object: Value| {
        object["kind"] = "CronJob".into();
        object["apiVersion"] = "batch/v1".into();
        object
    };
    let pod_of = |owner: &str, name: &str| {
        let mut pod = emptied(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{name}-x"), "namespace": "shop",
                "labels": { "pod-template-hash": "abc" },
            },
            "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
        }));
        pod["metadata"]["ownerReferences"] =
            json!([{ "kind": owner, "name": name, "controller": true }]);
        pod
    };
    let here = [deployment("web"), cron(deployment("nightly"))];
    let elsewhere = here.clone().map(|mut object| {
        object["metadata"]["namespace"] = "prod".into();
        object
    });
    let pods = [pod_of("ReplicaSet", "web-abc"), pod_of("Job", "nightly-29000000")];
    let rows = rows(&[here, elsewhere].concat(), &pods, |_| None);
    let found: Vec<_> =
        rows.iter().map(|row| (row.name.as_str(), row.namespace.as_str())).collect();
    assert_eq!(found, [("web", "shop"), ("nightly", "shop")]);
}

/// What an operator owns is none of the workloads that are looked at.
#[test]
fn status_shows_empty_pods_by_their_owner() {
    let pod_of = |name: &str, kind: &str, owner: &str| {
        let mut pod = emptied(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "shop", "labels": { "pod-template-hash": "abc" },
            },
            "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
        }));
        pod["metadata"]["ownerReferences"] =
            json!([{ "kind": kind, "name": owner, "uid": owner, "controller": true }]);
        pod
    };
    let mut over = pod_of("over", "StrimziPodSet", "kafka");
    over["status"]["phase"] = "Failed".into();
    let mut ready = pod_of("kafka-1", "StrimziPodSet", "kafka");
    ready["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
    let pods = [
        pod_of("kafka-0", "StrimziPodSet", "kafka"),
        pod_of("api-abc-x", "ReplicaSet", "api-abc"),
        pod_of("web-abc-x", "ReplicaSet", "web-abc"),
        ready,
        over,
    ];
    let rows = of_others(&[deployment("web")], &pods, " --context c");
    let found: Vec<_> =
        rows.iter().map(|r| (&*r.kind, &*r.name, r.state, &*r.level, &*r.ready)).collect();
    assert_eq!(
        found,
        [
            ("Deployment", "api", State::Pods, "pod", "0/1"),
            ("StrimziPodSet", "kafka", State::Pods, "pod", "1/2"),
        ]
    );
    let has = |row: &Row, text: &str| assert!(row.note.contains(text), "{}", row.note);
    has(&rows[0], "`diyadm restore deployment/api -n shop --context c`");
    has(&rows[1], "`kubectl -n shop delete pod kafka-0 kafka-1`");
}

/// Pods of an emptied template say nothing of that themselves; those of an older one, which nobody
/// replaces either, are not taken for them.
#[test]
fn status_shows_a_restored_workload_while_its_pods_are_empty() {
    let idles = |image, idle| {
        let flags = Choice { image, idle: Some(idle), ..Choice::default() };
        Rules { flags, ..Rules::default() }
    };
    let set = |name: &str, image: &str| {
        let mut object = deployment(name);
        object["kind"] = "ReplicaSet".into();
        object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
        object
    };
    let pod_of = |object: &Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "x", "namespace": "shop",
                "ownerReferences": [{ "uid": object["metadata"]["uid"], "controller": true }],
            },
            "spec": object["spec"]["template"]["spec"],
        })
    };
    let mut plain = set("plain", "app:0");
    plain["spec"]["template"]["spec"]["containers"][0]["livenessProbe"].take();
    let pods = [
        emptied(&set("blog", "app:1")),
        emptied_by(&set("image", "app:1"), &Rules::with_image("tools:1")),
        emptied_by(&set("shell", "app:1"), &idles(Some(Image::Keep), Idle::Shell)),
        emptied_by(&set("agent", "app:1"), &idles(Some(Image::Keep), Idle::Agent)),
        set("older", "app:0"),
        plain,
    ];
    let pods = pods.each_ref().map(pod_of);
    let now = ["blog", "image", "shell", "agent", "older", "plain"].map(|name| set(name, "app:1"));
    let mut rows = rows(&now, &pods, |_| None);
    let found =
        rows.iter().map(|r| (&*r.name, r.state, &*r.containers[0].image, r.containers[0].idle));
    let returning = State::Returning;
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("blog", returning, "empty-container:latest", "entrypoint"),
            ("image", returning, "tools:1", "entrypoint"),
            ("shell", returning, "app:1", "shell"),
            ("agent", returning, "app:1", "agent"),
        ]
    );
    assert!(rows[0].note.contains("1 of its Pods is still empty"), "{}", rows[0].note);
    // While it is empty they are as they should be.
    rows = super::rows(&[emptied(&now[0])], &pods, |_| None);
    assert_eq!(rows[0].state, State::Empty);
}

/// An update that the webhook sees counts as a newer original, a change of rules is not.
#[test]
fn status_shows_a_newer_original() {
    let before = emptied(&deployment("x"));
    let mut update = before.clone();
    *update.pointer_mut(IMAGE).unwrap() = "app:2".into();
    let again = |object: &Value, rules: &Rules| {
        let (text, old) = (object.to_string(), before.to_string());
        let stamp = Stamp { at: "2026-11-25T00:00:00Z".into(), by: "bob".into() };
        let context = Context { stamp: Some(&stamp), old: Some(&old), ..Context::default() };
        let change = Subject::parse(&text).unwrap().empty(rules, &context);
        let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
        let mut object = object.clone();
        json_patch::patch(&mut object, &patch).unwrap();
        rows(&[object], &[], |_| None).remove(0)
    };
    let row = again(&update, &Rules::default());
    assert_eq!((row.state, row.newer), (State::Empty, true));
    assert_eq!(row.newer_by.as_deref(), Some("bob"));
    assert_eq!(row.by, "ada", "who emptied it first stays");
    let row = again(&before, &Rules::with_image("other:1"));
    assert!(!row.newer, "{row:?}");
}
