//! `--stand-in`: while no developer's application runs in an emptied container, the agent runs the
//! workload's own command there.

use std::fs;

use diyadm::{
    webhook::admission,
    workload::{
        self, Choice, Context, Rules, STAND_IN, STAND_IN_COMMAND, Settled, Subject, Warning,
    },
};
use serde_json::{Value, json};

use super::{
    generated::{applied, emptied, restored},
    rig::diyadm,
};

mod copy;
mod on_node;

fn rules() -> Rules {
    Rules { flags: Choice { stand_in: Some(true), ..Choice::default() }, ..Rules::default() }
}

fn workload(container: &Value) -> Value {
    let mut app = json!({ "name": "app", "image": "shop:1", "ports": [
        { "name": "web", "containerPort": 8080 },
    ] });
    app.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "shop", "namespace": "n" },
        "spec": { "template": { "spec": { "containers": [app] } } },
    })
}

fn container(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"][0]
}

/// Its own command with everything that belongs to it.
fn own() -> Value {
    json!({
        "command": ["serve", "$(PORT)"], "args": ["--fast"],
        "env": [{ "name": "PORT", "value": "8080" }],
        "livenessProbe": { "httpGet": { "path": "/up", "port": "web" }, "initialDelaySeconds": 9 },
        "startupProbe": { "tcpSocket": { "port": "web" }, "failureThreshold": 6 },
        "readinessProbe": { "httpGet": { "path": "/up", "port": "web" } },
        "lifecycle": { "preStop": { "exec": { "command": ["bye"] } } },
    })
}

fn with_annotation(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["annotations"][key] = value.into();
    object
}

#[test]
fn stand_in_keeps_what_belongs_to_the_command() {
    let live = workload(&own());
    let empty = emptied(&live, &rules());
    let (before, after) = (container(&live), container(&empty));
    let command = json!(["/.diyadm/diyadm-agent", "--stand-in", "--", "serve", "$(PORT)"]);
    assert_eq!(after["command"], command);
    for field in ["image", "args", "env", "ports", "readinessProbe", "lifecycle"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let alive = |probe: &str| {
        assert_eq!(after[probe]["exec"]["command"][1], "alive", "{after}");
        let own = after[probe]["exec"]["command"][3].as_str().unwrap();
        serde_json::from_str::<Value>(own).unwrap()
    };
    // Its own delay, and as long as the startup probe may take.
    let liveness = json!({ "httpGet": { "path": "/up", "port": 8080 }, "initialDelaySeconds": 69 });
    assert_eq!(alive("livenessProbe"), liveness);
    assert_eq!(alive("startupProbe"), json!({ "tcpSocket": { "port": 8080 } }));
    let spec = &empty["spec"]["template"]["spec"];
    assert_eq!(spec["initContainers"][0]["name"], "diyadm-agent");
    assert!(spec.get("terminationGracePeriodSeconds").is_none());

    assert!(workload::empty(&rules(), &empty.to_string()).is_empty());
    let pod =
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" }, "spec": spec });
    assert!(Subject::parse(&pod.to_string()).unwrap().is_empty_container("app", &[]));
    assert_eq!(restored(&empty), live);
    // The other ways to idle can follow it, and it them.
    let idle = emptied(&empty, &Rules::default());
    assert_eq!(container(&idle)["image"], "empty-container:latest");
    assert_eq!(emptied(&idle, &rules())["spec"], empty["spec"]);
    assert_eq!(restored(&idle), live);
}

#[test]
fn command_that_nothing_says_leaves_the_application_running() {
    let live = workload(&json!({ "args": ["--fast"] }));
    let change = workload::empty(&rules(), &live.to_string());
    assert!(change.is_empty());
    assert_eq!(change.warnings, [Warning::NoStandInCommand("app".to_owned())]);
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "namespace": "n", "name": "shop", "operation": "CREATE", "object": live,
        },
    });
    let answer = admission::review(review.to_string().as_bytes(), &rules(), "2026-11-24T22:05:35Z");
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    assert!(answer["response"]["patch"].is_null(), "{answer}");
    let warning = answer["response"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains(STAND_IN_COMMAND) && warning.ends_with("container app"), "{warning}");

    let mut works = review;
    works["request"]["object"] = workload(&own());
    let answer = admission::review(works.to_string().as_bytes(), &rules(), "2026-11-24T22:05:35Z");
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let warning = answer["response"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("deployment/shop starts with a stand-in"), "{warning}");

    let given = with_annotation(live, STAND_IN_COMMAND, r#"["serve","a b"]"#);
    let empty = emptied(&given, &rules());
    let command = json!(["/.diyadm/diyadm-agent", "--stand-in", "--", "serve", "a b"]);
    assert_eq!(container(&empty)["command"], command);
    assert!(container(&empty).get("args").is_none());
    assert_eq!(restored(&empty), given);
    for odd in ["serve", "[]", "[\"\"]", "[1]", "{}"] {
        let odd = with_annotation(given.clone(), STAND_IN_COMMAND, odd);
        let change = workload::empty(&rules(), &odd.to_string());
        assert!(change.is_empty() && change.warnings.len() == 1, "{odd}: {change:?}");
    }
    // One command line is not that of two containers.
    let mut two = given;
    let containers = two["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    containers.push(json!({ "name": "b", "image": "b:1" }));
    two["metadata"]["annotations"]["diyadm.io/containers"] = "*".into();
    let change = workload::empty(&rules(), &two.to_string());
    assert_eq!(change.warnings, [Warning::NoStandInCommand("b".to_owned())]);
}

/// An update of `old` to `new`, as the webhook settles it.
fn updated(old: &Value, new: &Value) -> (Settled, Value) {
    let (before, text) = (old.to_string(), new.to_string());
    let context = Context { old: Some(&before), ..Context::default() };
    let (settled, change) = Subject::parse(&text).unwrap().settle(&rules(), &context);
    (settled, applied(new, &change))
}

#[test]
fn stand_in_follows_updates_of_its_command() {
    let live = workload(&own());
    let empty = emptied(&live, &rules());
    let mut update = empty.clone();
    update["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["serve", "2"]);
    let (settled, newer) = updated(&empty, &update);
    assert_eq!(settled, Settled::Emptied);
    assert_eq!(container(&newer)["command"][4], "2", "{newer}");
    assert_eq!(container(&restored(&newer))["command"], json!(["serve", "2"]));

    // Without a command the image's own starts, with its own probes.
    update["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("command");
    let (_, without) = updated(&empty, &update);
    let mut wanted = live;
    wanted["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("command");
    assert_eq!(without, wanted);
}

/// Other rules save other fields: nothing was deployed meanwhile.
#[test]
fn switching_to_a_stand_in_and_back_is_not_a_newer_version() {
    let is_newer = |object: &Value| {
        let text = object.to_string();
        let summary = Subject::parse(&text).unwrap().summary().unwrap().unwrap();
        summary.newer.is_some()
    };
    let keep = Rules::with_image("keep");
    let mut object = workload(&own());
    for rules in [&keep, &rules(), &keep, &rules()] {
        let change = workload::empty(rules, &object.to_string());
        object = applied(&object, &change);
        assert!(!is_newer(&object), "{object}");
    }
    assert_eq!(restored(&object), workload(&own()));
}

#[test]
fn stand_in_with_another_image_or_idle_mode_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let live = workload(&own());
    fs::write(folder.path().join("shop.yaml"), live.to_string()).unwrap();
    let run = |more: &[&str]| {
        diyadm(
            folder.path(),
            &[&["mutate", "-f", "shop.yaml", "-o", "json", "--stand-in"], more].concat(),
        )
    };
    for more in [&["--image", "tools:1"][..], &["--idle", "shell"], &["--idle", "entrypoint"]] {
        run(more).stderr_has("use image keep and idle agent");
    }
    let same = run(&["--image", "keep", "--idle", "agent"]).code(0).stdout;
    assert_eq!(same, run(&[]).code(0).stdout);
    assert!(same.contains("--stand-in"), "{same}");
    // An annotation wins over the flag.
    let off = with_annotation(live.clone(), STAND_IN, "false");
    assert_eq!(container(&emptied(&off, &rules()))["image"], "empty-container:latest");
    let on = with_annotation(live, STAND_IN, "true");
    let default = emptied(&on, &Rules::default());
    assert_eq!(container(&default)["command"][1], "--stand-in");
}
