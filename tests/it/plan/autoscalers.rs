//! Autoscalers of a workload: suspended while it is empty, and reported where they may not be read.

use serde_json::json;

use super::Scene;
use crate::{
    rig::{cluster, diyadm},
    workloads::user,
};

/// Each by its own means, and as it was afterwards; what somebody has held himself stays held.
#[test]
fn every_kind_of_autoscaler_is_suspended_and_resumed() {
    let cluster = require!(cluster());
    let name = cluster.name("plan-held");
    let scene = Scene::new(&cluster, name);
    let paused = "autoscaling.keda.sh/paused";
    for (workload, scaler, held) in [
        ("deploy/web", "hpa/web", ("/spec/behavior/scaleUp/selectPolicy", "Disabled")),
        ("sts/db", "verticalpodautoscaler/db", ("/spec/updatePolicy/updateMode", "Off")),
        (
            "deploy/worker",
            "scaledobject/worker",
            ("/metadata/annotations/autoscaling.keda.sh~1paused", "true"),
        ),
    ] {
        let look = || {
            let mut object = cluster.get(name, scaler);
            let meta = object["metadata"].as_object_mut().unwrap();
            meta.retain(|field, _| {
                !["managedFields", "resourceVersion", "generation"].contains(&&**field)
            });
            object.as_object_mut().unwrap().remove("status");
            object
        };
        let before = look();
        scene.diyadm(&["empty", workload, "--hold-autoscalers", "--wait=false"]).code(0);
        assert_eq!(look().pointer(held.0), Some(&json!(held.1)), "{scaler}");
        let restore = scene.diyadm(&["restore", workload, "--wait=false"]).code(0);
        restore.stderr_has("resumed");
        assert_eq!(look(), before, "{scaler}");
    }
    let pause = format!("{paused}=true");
    cluster.kubectl(&["-n", name, "annotate", "scaledobject/worker", &pause], "");
    scene.diyadm(&["empty", "deploy/worker", "--hold-autoscalers", "--wait=false"]).code(0);
    scene.diyadm(&["restore", "deploy/worker", "--wait=false"]).code(0);
    let annotations = &cluster.get(name, "scaledobject/worker")["metadata"]["annotations"];
    assert_eq!(annotations[paused], "true", "whose wish it was");
}

/// A user who may not read them gets a warning, where the cluster has them.
#[test]
fn plan_reports_autoscalers_it_may_not_read() {
    let cluster = require!(cluster());
    let name = cluster.name("plan-unseen");
    let scene = Scene::new(&cluster, name);
    let rules = json!([
        { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"] },
    ]);
    let narrow = user(&cluster, scene.folder.path(), name, &rules);
    let place = ["-n", name, "--wait=false", "--kubeconfig", &narrow];
    for command in ["empty", "restore"] {
        let run = diyadm(scene.folder.path(), &[&[command, "deploy/worker"], &place[..]].concat());
        let run = run.code(0);
        for kind in ["HorizontalPodAutoscaler", "ScaledObject", "VerticalPodAutoscaler"] {
            let told =
                format!("diyadm cannot tell whether a {kind} scales workloads of namespace {name}");
            assert!(run.stderr.contains(&told), "{}", run.stderr);
        }
    }
}
