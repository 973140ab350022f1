//! Ownership of fields: what the client takes by emptying and restoring it returns, so that a
//! server-side apply works as at the twin, without force.

use diyadm::kinds::WORKLOADS;
use diyadm::workload::{LABEL, is_emptied};
use serde_json::{Value, json};

use super::{pod_of, stored, updates::Pair, user, with_webhook::WebhookNamespace, workload};
use crate::rig::{Cluster, Workspace, cluster, diyadm};

const APPLY: [&str; 5] = ["apply", "--server-side", "--field-manager=pipeline", "-f", "-"];

/// managedFields without what has its own pace: times, and what controllers write.
pub(super) fn owners(cluster: &Cluster, namespace: &str, what: &str) -> Value {
    let get = ["-n", namespace, "get", what, "-o", "json", "--show-managed-fields"];
    let object: Value = serde_json::from_str(&cluster.kubectl(&get, "")).unwrap();
    let mut entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries.retain(|entry| entry["manager"] != "kube-controller-manager");
    entries.iter_mut().for_each(|entry| drop(entry.as_object_mut().unwrap().remove("time")));
    entries.sort_by_key(ToString::to_string);
    entries.into()
}

fn container(object: &mut Value) -> &mut Value {
    match object["kind"].as_str().unwrap() {
        "Pod" => &mut object["spec"]["containers"][0],
        "CronJob" => {
            let job = &mut object["spec"]["jobTemplate"]["spec"];
            &mut job["template"]["spec"]["containers"][0]
        }
        _ => &mut object["spec"]["template"]["spec"]["containers"][0],
    }
}

/// Two appliers and two who wrote otherwise, each kind and way, with nothing but `get` and `patch`.
#[test]
fn every_field_manager_keeps_its_fields() {
    let cluster = require!(Workspace::new("owners"));
    let (name, folder) = (cluster.name, cluster.folder());
    let rules = json!([{
        "apiGroups": ["apps", "batch"],
        "resources": ["deployments", "statefulsets", "daemonsets", "replicasets", "cronjobs"],
        "resourceNames": ["web"], "verbs": ["get", "patch"],
    }]);
    let narrow = user(&cluster, folder, name, &rules);
    let run = |args: &[&str]| {
        let more = ["--wait=false", "-n", name, "--kubeconfig", &narrow];
        diyadm(folder, &[args, &more].concat()).code(0)
    };
    let ways: [&[&str]; 3] = [
        &[],
        &["--idle", "shell", "--image", "tools:1"],
        &["--image", "keep", "--idle", "agent", "--containers", "*"],
    ];
    for kind in WORKLOADS.into_iter().filter(|kind| kind.mutable) {
        let what = format!("{}/web", kind.kind.to_lowercase());
        let k = |args: &[&str], stdin: &Value| {
            cluster.kubectl(&[&["-n", name], args].concat(), &stdin.to_string());
        };
        let object = workload(kind.kind, "web");
        k(&APPLY, &object);
        // What another owns too, and what another alone does.
        let mut other = object.clone();
        container(&mut other)["command"] = json!(["serve"]);
        k(&["apply", "--server-side", "--field-manager=other", "-f", "-"], &other);
        k(&["set", "image", &what, "side=side:2"], &Value::Null);
        let (before, owned) = (stored(&cluster, name, &what), owners(&cluster, name, &what));
        for way in ways {
            run(&[&["empty", &what, "--dry-run=server"], way].concat());
            assert_eq!(owners(&cluster, name, &what), owned, "{what} {way:?}");
            run(&[&["empty", &what], way].concat());
            let mut while_empty = owners(&cluster, name, &what);
            let entries = while_empty.as_array_mut().unwrap();
            // Of us there is the note alone.
            let ours = entries.iter().position(|entry| entry["manager"] == "diyadm");
            let ours = entries.remove(ours.unwrap());
            assert_eq!(ours["fieldsV1"].get("f:spec"), None, "{ours}");
            assert_eq!(while_empty, owned, "{what} {way:?}");
            run(&["restore", &what]);
            assert_eq!(stored(&cluster, name, &what), before, "{what} {way:?}");
            assert_eq!(owners(&cluster, name, &what), owned, "{what} {way:?}");
        }
    }
}

/// The team's pipeline never meets us: neither while it is empty nor afterwards.
#[test]
fn server_side_apply_pipeline_meets_no_conflict() {
    let cluster = require!(cluster());
    let places = ["pipeline", "pipeline-twin"];
    let _namespaces = places.map(|place| cluster.namespace(place));
    let folder = tempfile::tempdir().unwrap();
    let [here, twin] = places;
    let what = "deployment/web";
    let both = |object: &Value| {
        for place in places {
            cluster.kubectl(&[&["-n", place], &APPLY[..]].concat(), &object.to_string());
        }
    };
    let run = |args: &[&str]| {
        cluster.diyadm(folder.path(), &[args, &[what, "--wait=false", "-n", here]].concat()).code(0)
    };
    let spec = |place| stored(&cluster, place, what)["spec"].clone();
    let scale = ["empty", "--replicas", "3", "--idle", "agent"];
    let manifest = folder.path().join("web.json");
    for (empty, forced) in [(&["empty"][..], false), (&scale, false), (&["empty"], true)] {
        let mut object = workload("Deployment", "web");
        both(&object);
        run(empty);
        assert!(is_emptied(&stored(&cluster, here, what).to_string()));
        let mut newest = object.clone();
        container(&mut newest)["image"] = "app:2".into();
        both(&newest);
        assert_eq!(pod_of(&stored(&cluster, here, what))["containers"][0]["image"], "app:2");
        if forced {
            std::fs::write(&manifest, newest.to_string()).unwrap();
            run(&["restore", "--force-from", manifest.to_str().unwrap()]);
        } else {
            run(&["restore"]);
        }
        assert_eq!(spec(here), spec(twin), "{empty:?}");
        assert_eq!(owners(&cluster, here, what), owners(&cluster, twin, what), "{empty:?}");
        // Another value, then what he drops, which goes as his own does.
        container(&mut newest)["image"] = "app:3".into();
        container(&mut newest)["args"] = json!(["--port", "81"]);
        both(&newest);
        assert_eq!(spec(here), spec(twin), "{empty:?}");
        for field in ["livenessProbe", "lifecycle", "command"] {
            container(&mut newest).as_object_mut().unwrap().remove(field);
        }
        object = newest;
        both(&object);
        assert_eq!(spec(here), spec(twin), "{empty:?}");
        assert_eq!(pod_of(&stored(&cluster, here, what))["containers"][0].get("command"), None);
        assert_eq!(owners(&cluster, here, what), owners(&cluster, twin, what), "{empty:?}");
        let delete = ["delete", what, "--cascade=foreground"];
        places.iter().for_each(|place| {
            cluster.kubectl(&[&["-n", place], &delete[..]].concat(), "");
        });
    }
}

/// Where a webhook empties too, another way of emptying is no word of the pipeline's.
#[test]
fn webhook_does_not_take_client_writes_for_the_owners() {
    let cluster = require!(cluster());
    let places = ["owners-hook", "owners-hook-twin"];
    let watched = WebhookNamespace::new(&cluster, places[0], &[]);
    let _twins = cluster.namespace(places[1]);
    let what = "deployment/web".to_owned();
    let pair = Pair { cluster: &cluster, watched: &watched, places, what };
    let mut object = workload("Deployment", "web");
    pair.renew(&APPLY, &object);
    for way in [&["--image", "tools:1", "--idle", "shell"][..], &["--image", "tools:2"], &[]] {
        pair.diyadm(&[&["empty"], way].concat());
        assert!(is_emptied(&pair.here().to_string()));
    }
    pair.settle();
    let twins = owners(&cluster, places[1], &pair.what);
    let mut ours = owners(&cluster, places[0], &pair.what);
    // Of us there is its refusal alone.
    let entries = ours.as_array_mut().unwrap();
    let at = entries.iter().position(|entry| entry["manager"] == "diyadm").unwrap();
    let refusal = entries.remove(at);
    assert!(refusal["fieldsV1"]["f:metadata"].to_string().contains(LABEL), "{refusal}");
    assert_eq!(refusal["fieldsV1"].get("f:spec"), None, "{refusal}");
    assert_eq!(ours, twins);
    container(&mut object)["image"] = "app:2".into();
    pair.both(&APPLY, &object.to_string());
    pair.equal();
}

/// A Pod that was created again has its previous field managers.
#[test]
fn recreated_pod_keeps_its_field_managers() {
    let cluster = require!(Workspace::new("owners-again"));
    let (name, folder) = (cluster.name, cluster.folder());
    for kind in ["Pod", "Job"] {
        let mut object = workload(kind, "x");
        object["metadata"]["labels"] = json!({ "a": "b" });
        object["metadata"]["annotations"] = json!({ "note": "kept" });
        cluster.kubectl(&[&["-n", name], &APPLY[..]].concat(), &object.to_string());
        let what = format!("{}/x", kind.to_lowercase());
        let owned = owners(&cluster, name, &what);
        for command in ["empty", "restore"] {
            let args = [command, &what, "--recreate", "--wait=false", "-n", name];
            let trust: &[_] = if command == "restore" { &["--trust-original"] } else { &[] };
            cluster.diyadm(folder, &[&args[..], trust].concat()).code(0);
            let mut now = owners(&cluster, name, &what);
            if command == "empty" {
                now.as_array_mut().unwrap().retain(|entry| entry["manager"] != "diyadm");
            }
            assert_eq!(now, owned, "{command} {what}");
        }
    }
}
