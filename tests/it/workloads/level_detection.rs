//! A namespace with a webhook of level pod or a policy: commands without `--level`, and workloads
//! whose template was emptied nevertheless.

use std::fs;

use diyadm::workload::is_emptied;
use serde_json::{Value, json};

use super::{
    pod_of,
    pods::{before_the_webhook, says_no},
    stored,
    waiting::{count, play_kubelet, pods, ready, run},
    with_webhook::set_namespace_label,
    workload,
};
use crate::rig::{Cluster, Run, cluster, cluster_with_policies, wait_until};

/// Its Pods are emptied whatever its template says: that is left as it is written, and what was
/// written into it is given back so that they are not.
#[test]
fn commands_detect_level_pod_of_webhook_and_policy() {
    let cluster = require!(cluster());
    let name = "level-unsaid";
    let watched = before_the_webhook(&cluster, name);
    let folder = watched.folder.path();
    let before = stored(&cluster, name, "deployment/web");
    let run =
        |args: &[&str]| run(&cluster, folder, name, &[args, &["deploy/web"]].concat(), &ready);
    let refused = run(&["empty", "--image", "tools:1"]).code(1);
    refused
        .stderr_has(&format!("webhook {name} empties the Pods of this workload with its own rules"))
        .stderr_has("--level workload");
    let planned = cluster.diyadm(folder, &["plan", "deploy/web", "-n", name]).code(0);
    assert!(planned.stdout.contains("its Pods would be replaced"), "{}", planned.stdout);
    run(&["empty"]).code(0).stderr_has("2 Pods were replaced and are empty");
    assert_eq!(count(&cluster, name), (2, 2));
    assert_eq!(stored(&cluster, name, "deployment/web"), before);
    run(&["restore"]).code(0);
    assert_eq!(count(&cluster, name), (2, 0));
    run(&["empty"]).code(0).stderr_has("is not opted out any more");
    assert_eq!(count(&cluster, name), (2, 2));

    run(&["empty", "--level", "workload", "--image", "tools:1"]).code(0);
    assert!(is_emptied(&stored(&cluster, name, "deployment/web").to_string()));
    let back = run(&["restore"]).code(0).stderr_has("restored");
    back.stderr_has("its pod template is now opted out");
    assert_eq!(count(&cluster, name), (2, 0));
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!(pod_of(&after), pod_of(&before));
    assert!(says_no(&after));
}

/// A policy's rules are CEL, which only the API server reads: it is asked.
#[test]
fn policy_that_leaves_a_workload_alone_is_not_blamed() {
    let cluster = require!(cluster_with_policies());
    let name = "level-by-policy";
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("rules.yaml"),
        "rules: [{ match: { names: [db] }, empty: false }]",
    )
    .unwrap();
    let diyadm = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &["-n", name]].concat());
    let label = format!("{name}=enabled");
    let names = ["--service", name, "--label", &label, "--rules", "rules.yaml"];
    diyadm(&[&["install", "--mode", "policy"], &names[..]].concat()).code(0);
    let both = ["web", "db"].map(|name| workload("Deployment", name));
    for object in &both {
        cluster.create(name, object);
    }
    let now = |what: &str| stored(&cluster, name, &format!("deployment/{what}"));
    let run = |args: &[&str], what: &str| {
        diyadm(&[args, &[&format!("deploy/{what}"), "--wait=false"]].concat()).code(0)
    };
    let before = ["web", "db"].map(now);
    run(&["empty"], "db").stderr_has("container app idles");
    run(&["restore"], "db").stderr_has("restored");
    assert_eq!(now("db"), before[1]);
    run(&["empty"], "web").stderr_has("its Pods are already empty");
    assert_eq!(now("web"), before[0]);
    run(&["empty", "--level", "workload"], "web").stderr_has("container app idles");
    run(&["restore"], "web").stderr_has("its pod template is now opted out");
    assert!(says_no(&now("web")));
    diyadm(&["uninstall", "--service", name, "--label", &label]).code(0);
}

/// To the controller a Pod of a Job that is deleted has failed: the Job is made anew or left.
#[test]
fn pods_of_a_job_are_not_replaced() {
    let cluster = require!(cluster());
    let name = "level-of-jobs";
    let watched = before_the_webhook(&cluster, name);
    let folder = watched.folder.path();
    cluster.kubectl(&["-n", name, "delete", "deploy/web", "--wait=false"], "");
    wait_until("its Pods are gone", || {
        play_kubelet(&cluster, name, &ready);
        pods(&cluster, name).is_empty()
    });
    let mut job = workload("Job", "report");
    job["spec"]["suspend"] = false.into();
    job["spec"]["backoffLimit"] = 0.into();
    job["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
    cluster.create(name, &job);
    wait_until("its Pod is there", || count(&cluster, name) == (1, 1));
    set_namespace_label(&cluster, name, false);
    let before = pods(&cluster, name);
    let run = |args: &[&str]| run(&cluster, folder, name, args, &running);
    for args in [&["restore", "job/report"][..], &["restore", "--all"]] {
        run(args).code(1).stderr_has("cannot be replaced").stderr_has("--recreate");
    }
    uninstalled(&cluster, folder, name).stderr_has("job/report");
    assert_eq!(pods(&cluster, name)[0]["metadata"]["uid"], before[0]["metadata"]["uid"]);
    run(&["restore", "job/report", "--recreate"]).code(0).stderr_has("recreated and restored");
    assert_eq!(count(&cluster, name), (1, 0));
}

/// A Job counts Pods as ready that its kubelet says are.
fn running(pod: &Value) -> Value {
    let mut status = ready(pod);
    status["containerStatuses"] = json!([]);
    status
}

fn uninstalled(cluster: &Cluster, folder: &std::path::Path, name: &str) -> Run {
    let own = format!("{name}=enabled");
    let args = ["uninstall", "--restore", "-n", name, "--service", name, "--label", &own];
    cluster.diyadm(folder, &args).code(0)
}
