//! Pods of every shape: which container is emptied, what stays, and which Pods are left alone.

use diyadm::kinds::{self, WORKLOADS};
use diyadm::workload::{
    self, Choice, Context, Idle, Image, Level, Rules, Settled, Subject, Warning,
};
use serde_json::{Value, json};

use super::generated::{applied, emptied, pod, restored, workload};

const EMPTY: &str = "empty-container:latest";

fn rules(choice: Choice) -> Rules {
    Rules { flags: choice, ..Rules::default() }
}

fn idle(idle: Idle) -> Rules {
    rules(Choice { idle: Some(idle), ..Choice::default() })
}

fn deployment(pod: Value) -> Value {
    workload(kinds::find("apps/v1", "Deployment").unwrap(), pod, None)
}

fn image(object: &Value, container: usize) -> String {
    pod(&mut object.clone())["containers"][container]["image"].as_str().unwrap().to_owned()
}

/// What the webhook decides.
fn settled(rules: &Rules, old: Option<&Value>, object: &Value) -> (Settled, Value, Vec<String>) {
    let (old, text) = (old.map(ToString::to_string), object.to_string());
    let context = Context { old: old.as_deref(), ..Context::default() };
    let (settled, change) = Subject::parse(&text).unwrap().settle(rules, &context);
    let warnings = change.warnings.iter().map(Warning::message).collect();
    (settled, applied(object, &change), warnings)
}

fn owned(object: &Value, kind: &str, name: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["ownerReferences"] = json!([{ "apiVersion": "x/v1", "kind": kind, "name": name, "uid": "u", "controller": true }]);
    object
}

#[test]
fn finds_the_pod_template_of_every_kind() {
    let spec = json!({ "containers": [{ "name": "a", "image": "app:1", "command": ["run"] }] });
    for kind in WORKLOADS {
        let object = workload(kind, spec.clone(), None);
        for way in [Idle::Entrypoint, Idle::Shell, Idle::Agent] {
            let emptied = emptied(&object, &idle(way));
            assert_eq!(image(&emptied, 0), EMPTY, "{} {way:?}", kind.kind);
            assert_eq!(restored(&emptied), object, "{} {way:?}", kind.kind);
        }
    }
}

#[test]
fn empties_the_main_container() {
    let pod = json!({ "containers": [
        { "name": "istio-proxy", "image": "istio:1" },
        { "name": "a", "image": "a:1" },
        { "name": "b", "image": "b:1" },
    ] });
    let deployment = kinds::find("apps/v1", "Deployment").unwrap();
    let cases: [(Value, [bool; 3]); 6] = [
        (json!({}), [false, true, false]),
        (json!({ "kubectl.kubernetes.io/default-container": "b" }), [false, false, true]),
        (json!({ "kubectl.kubernetes.io/default-container": "istio-proxy" }), [false, true, false]),
        (json!({ "diyadm.io/containers": "b" }), [false, false, true]),
        (json!({ "diyadm.io/containers": "*" }), [false, true, true]),
        (json!({ "diyadm.io/containers": "istio-proxy" }), [false, false, false]),
    ];
    for (annotations, wanted) in cases {
        let object = workload(deployment, pod.clone(), Some(annotations.clone()));
        let emptied = emptied(&object, &Rules::default());
        let found = [0, 1, 2].map(|at| image(&emptied, at) == EMPTY);
        assert_eq!(found, wanted, "{annotations}");
        assert_eq!(restored(&emptied), object, "{annotations}");
    }
}

/// Known helpers are not chosen, by their own name or their image's; kubectl's annotation and names
/// that were given win.
#[test]
fn known_helper_containers_are_not_chosen() {
    let helpers = [
        ("cloud-sql-proxy", "x:1"),
        ("proxy", "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14"),
        ("gke-gcsfuse-sidecar", "x:1"),
        ("otc-container", "x:1"),
        ("metrics", "quay.io/brancz/kube-rbac-proxy@sha256:aa"),
        ("envoy", "x:1"),
        ("linkerd-proxy", "x:1"),
        ("vault-agent", "x:1"),
    ];
    for (name, image_of) in helpers {
        let containers =
            json!([{ "name": name, "image": image_of }, { "name": "a", "image": "a:1" }]);
        let spec = json!({ "containers": containers });
        let object = deployment(spec.clone());
        let chosen = emptied(&object, &Rules::default());
        assert_eq!([image(&chosen, 0), image(&chosen, 1)], [image_of, EMPTY], "{name}");
        assert_eq!(restored(&chosen), object, "{name}");
        if ["linkerd-proxy", "vault-agent"].contains(&name) {
            continue;
        }
        for key in ["kubectl.kubernetes.io/default-container", "diyadm.io/containers"] {
            let kind = kinds::find("apps/v1", "Deployment").unwrap();
            let object = workload(kind, spec.clone(), Some(json!({ key: name })));
            assert_eq!(image(&emptied(&object, &Rules::default()), 0), EMPTY, "{name} {key}");
        }
        // It is the application where there is no other.
        let alone = deployment(json!({ "containers": [{ "name": name, "image": image_of }] }));
        assert_eq!(image(&emptied(&alone, &Rules::default()), 0), EMPTY, "{name}");
    }
}

#[test]
fn warns_which_of_several_containers_was_chosen() {
    let said = |containers: Value| {
        let text = deployment(json!({ "containers": containers })).to_string();
        let subject = Subject::parse(&text).unwrap();
        subject.choice(&Rules::default(), &Context::default()).map(|choice| choice.message())
    };
    let [a, b] = ["a", "b"].map(|name| json!({ "name": name, "image": "x:1" }));
    let envoy = json!({ "name": "envoy", "image": "envoy:1" });
    let choice = said(json!([envoy, a, b])).unwrap();
    assert_eq!(
        choice,
        "diyadm: container a is emptied, b not; annotation diyadm.io/containers chooses"
    );
    assert_eq!(said(json!([envoy, a])), None);
    let many: Vec<_> =
        (0..20).map(|at| json!({ "name": format!("container-{at}"), "image": "x" })).collect();
    let short = said(json!(many)).unwrap();
    assert!(short.contains("one of 20 containers") && short.len() <= 120, "{short}");
}

/// A number of replicas that would delete volumes is refused; the same number is not.
#[test]
fn refuses_replicas_that_would_delete_volumes() {
    let kind = kinds::find("apps/v1", "StatefulSet").unwrap();
    let spec = json!({ "containers": [{ "name": "a", "image": "a:1" }] });
    for (policy, replicas, is_refused) in [
        (json!({ "whenScaled": "Delete" }), 1, true),
        (json!({ "whenScaled": "Delete" }), 4, true),
        (json!({ "whenScaled": "Delete" }), 3, false),
        (json!({ "whenScaled": "Retain", "whenDeleted": "Delete" }), 1, false),
        (Value::Null, 1, false),
    ] {
        let mut object = workload(kind, spec.clone(), None);
        object["spec"]["replicas"] = 3.into();
        object["spec"]["persistentVolumeClaimRetentionPolicy"] = policy.clone();
        let rules = rules(Choice { replicas: Some(replicas), ..Choice::default() });
        let change = workload::empty(&rules, &object.to_string());
        assert_eq!(change.is_empty(), is_refused, "{policy} {replicas}: {change:?}");
        assert_eq!(!change.warnings.is_empty(), is_refused, "{policy} {replicas}");
    }
}

/// `suspend` is set by the annotation alone, and restored exactly.
#[test]
fn cron_job_is_suspended_only_by_annotation_and_restored() {
    let kind = kinds::find("batch/v1", "CronJob").unwrap();
    let spec = json!({ "containers": [{ "name": "a", "image": "a:1" }] });
    for suspend in [None, Some(json!(false)), Some(json!(true)), Some(Value::Null)] {
        for wish in [None, Some("true"), Some("false")] {
            let notes = wish.map(|wish| json!({ "diyadm.io/suspend": wish }));
            let mut object = workload(kind, spec.clone(), notes);
            if let Some(suspend) = &suspend {
                object["spec"]["suspend"] = suspend.clone();
            }
            let emptied = emptied(&object, &Rules::default());
            let wanted = if wish == Some("true") { Some(json!(true)) } else { suspend.clone() };
            assert_eq!(emptied["spec"].get("suspend"), wanted.as_ref(), "{suspend:?} {wish:?}");
            assert_eq!(restored(&emptied), object, "{suspend:?} {wish:?}");
        }
    }
}

#[test]
fn sidecars_and_init_containers_stay() {
    let object = deployment(json!({
        "hostNetwork": true,
        "securityContext": { "runAsNonRoot": true, "runAsUser": 1000 },
        "initContainers": [
            { "name": "migrate", "image": "app:1", "command": ["migrate"] },
            { "name": "log", "image": "log:1", "restartPolicy": "Always", "livenessProbe": {} },
        ],
        "volumes": [{ "name": "data", "emptyDir": {} }],
        "containers": [{
            "name": "a",
            "image": "app:1",
            "env": [{ "name": "A", "value": "b" }],
            "resources": { "limits": { "memory": "1Gi" } },
            "securityContext": { "readOnlyRootFilesystem": true },
            "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        }],
    }));
    let mut found = emptied(&object, &Rules::default());
    let (found, before) = (pod(&mut found).clone(), pod(&mut object.clone()).clone());
    for field in ["hostNetwork", "securityContext", "initContainers", "volumes"] {
        assert_eq!(found[field], before[field], "{field}");
    }
    for field in ["env", "resources", "securityContext", "volumeMounts"] {
        assert_eq!(found["containers"][0][field], before["containers"][0][field], "{field}");
    }

    // The agent's init container may what the application may, and takes no more than it.
    let mut found = emptied(&object, &idle(Idle::Agent));
    let found = pod(&mut found).clone();
    assert_eq!(found["initContainers"][0], before["initContainers"][0]);
    assert_eq!(found["initContainers"][1], before["initContainers"][1]);
    let init = &found["initContainers"][2];
    assert_eq!(init["securityContext"], json!({ "readOnlyRootFilesystem": true }));
    assert_eq!(init["resources"], json!({ "limits": { "memory": "1Gi" } }));
    assert_eq!(found["volumes"][1]["name"], init["volumeMounts"][0]["name"]);
    // Nobody but it writes to what every exec runs.
    let mut mount = init["volumeMounts"][0].clone();
    assert_eq!(mount, json!({ "name": "diyadm-agent", "mountPath": "/.diyadm" }));
    mount["readOnly"] = true.into();
    assert_eq!(found["containers"][0]["volumeMounts"][1], mount);
}

#[test]
fn image_keep_leaves_the_own_image() {
    let object = deployment(json!({ "terminationGracePeriodSeconds": 60, "containers": [
        { "name": "a", "image": "app:1", "imagePullPolicy": "Always", "args": ["x"] },
    ] }));
    let keep = |idle| rules(Choice { image: Some(Image::Keep), idle, ..Choice::default() });
    for way in [None, Some(Idle::Shell), Some(Idle::Agent)] {
        let mut emptied = emptied(&object, &keep(way));
        let pod = pod(&mut emptied);
        let container = &pod["containers"][0];
        assert_eq!(
            (&container["image"], &container["imagePullPolicy"]),
            (&json!("app:1"), &json!("Always"))
        );
        assert_eq!(
            container["command"][0],
            if way == Some(Idle::Agent) { "/.diyadm/diyadm-agent" } else { "sh" }
        );
        assert_eq!(container.get("args"), None);
        // PID 1 hears SIGTERM, and an application may need its time.
        assert_eq!(pod["terminationGracePeriodSeconds"], 60);
        assert_eq!(restored(&emptied), object);
    }
    let change = workload::empty(&keep(Some(Idle::Entrypoint)), &object.to_string());
    assert!(change.is_empty() && change.warnings[0].message().contains("keep"), "{change:?}");
}

#[test]
fn pods_that_cannot_be_emptied_are_left_alone() {
    let app = json!({ "name": "a", "image": "app:1" });
    let windows = deployment(json!({ "os": { "name": "windows" }, "containers": [app] }));
    let selector = json!({ "kubernetes.io/os": "windows" });
    let selected = deployment(json!({ "nodeSelector": selector, "containers": [app] }));
    let taken = deployment(json!({ "volumes": [{ "name": "diyadm-agent" }], "containers": [app] }));
    let foreign = deployment(json!({ "containers": [{ "name": "a", "image": EMPTY }] }));
    for (object, rules, word) in [
        (windows, Rules::default(), "Windows"),
        (selected, Rules::default(), "Windows"),
        (taken, idle(Idle::Agent), "already used"),
        (foreign, Rules::default(), "without an original"),
    ] {
        let (_, found, warnings) = settled(&rules, None, &object);
        assert_eq!(found, object, "{word}");
        assert!(warnings[0].contains(word), "{warnings:?}");
        assert!(warnings[0].chars().count() <= 120, "{warnings:?}");
    }
}

#[test]
fn level_empties_the_template_or_the_pods_never_both() {
    let spec = json!({ "containers": [{ "name": "a", "image": "app:1" }] });
    let make = |version: &str, kind: &str| {
        workload(kinds::find(version, kind).unwrap(), spec.clone(), None)
    };
    let mut pod = owned(&make("v1", "Pod"), "ReplicaSet", "shop-5d4f8");
    pod["metadata"]["labels"]["pod-template-hash"] = "5d4f8".into();
    let cases = [
        ("a Deployment", make("apps/v1", "Deployment"), [true, false]),
        (
            "its ReplicaSet",
            owned(&make("apps/v1", "ReplicaSet"), "Deployment", "shop"),
            [false, false],
        ),
        ("a ReplicaSet alone", make("apps/v1", "ReplicaSet"), [true, false]),
        ("its Pod", pod.clone(), [false, true]),
        ("a bare Pod", make("v1", "Pod"), [true, true]),
        ("a CronJob", make("batch/v1", "CronJob"), [true, false]),
        ("its Job", owned(&make("batch/v1", "Job"), "CronJob", "x"), [false, false]),
    ];
    for (what, object, wanted) in cases {
        for (level, wanted) in [Level::Workload, Level::Pod].into_iter().zip(wanted) {
            let rules = rules(Choice { level: Some(level), ..Choice::default() });
            let (_, found, _) = settled(&rules, None, &object);
            assert_eq!(found != object, wanted, "{what} at level {level:?}");
        }
    }
    // A rule about the Deployment is one about its Pods.
    let file = "rules:\n- match: {kinds: [deploy], names: [shop]}\n  level: pod\n";
    let list = workload::parse_rules(file).unwrap();
    let rules = Rules { list, ..Rules::default() };
    assert_eq!(settled(&rules, None, &pod).0, Settled::Emptied);
    let mut no = pod.clone();
    no["metadata"]["labels"]["inject-empty-container"] = "disabled".into();
    assert_eq!(settled(&rules, None, &no).1, no);
}

#[test]
fn immutable_objects_are_not_changed() {
    let spec = json!({ "containers": [{ "name": "a", "image": "app:1" }] });
    for (version, kind) in [("batch/v1", "Job"), ("v1", "Pod")] {
        let object = workload(kinds::find(version, kind).unwrap(), spec.clone(), None);
        let (settled_as, emptied, _) = settled(&Rules::default(), None, &object);
        assert_eq!(settled_as, Settled::Emptied);
        assert_eq!(settled(&Rules::default(), Some(&object), &object).1, object, "{kind}");
        let mut declined = emptied.clone();
        declined["metadata"]["annotations"][workload::LABEL] = "disabled".into();
        let (_, found, warnings) = settled(&Rules::default(), Some(&emptied), &declined);
        assert_eq!(found, declined, "{kind}");
        assert!(warnings[0].contains("create it again"), "{warnings:?}");
    }
}

#[test]
fn opt_out_rule_restores() {
    let object = deployment(json!({ "containers": [{ "name": "a", "image": "app:1" }] }));
    let (_, emptied, _) = settled(&Rules::default(), None, &object);
    for file in ["rules:\n- empty: false\n", "rules:\n- level: pod\n"] {
        let rules = Rules { list: workload::parse_rules(file).unwrap(), ..Rules::default() };
        let (settled_as, found, _) = settled(&rules, Some(&emptied), &emptied);
        assert_eq!((settled_as, found), (Settled::Restored, object.clone()), "{file}");
        assert_eq!(settled(&rules, None, &object).1, object, "{file}");
    }
}

#[test]
fn reduced_replicas_are_saved_and_restored() {
    let mut object = deployment(json!({ "containers": [{ "name": "a", "image": "app:1" }] }));
    object["spec"]["replicas"] = 3.into();
    let rules = rules(Choice { replicas: Some(1), ..Choice::default() });
    let mut emptied = emptied(&object, &rules);
    assert_eq!(emptied["spec"]["replicas"], 1);
    assert_eq!(restored(&emptied), object);
    // Scaled by somebody meanwhile: that is what is meant now.
    emptied["spec"]["replicas"] = 5.into();
    assert_eq!(restored(&emptied)["spec"]["replicas"], 5);
}
