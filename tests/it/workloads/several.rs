//! More workloads than are read one by one: each is waited for, and for each the reason is printed
//! why it does not start.

use serde_json::{Value, json};

use super::{
    stored,
    waiting::{play_kubelet, ready, run, two, unpulled},
};
use crate::rig::{Cluster, Workspace, wait_until};

const SEVERAL: usize = 6;

/// Several of a kind, of one Pod each; their names.
fn create(cluster: &Cluster, namespace: &str, kind: &str) -> Vec<String> {
    let one = |number: usize| {
        let mut object = two(kind, &format!("web-{number}"));
        object["spec"]["replicas"] = 1.into();
        object
    };
    let items: Vec<_> = (0..SEVERAL).map(one).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    cluster.create(namespace, &list);
    (0..SEVERAL).map(|number| format!("{}/web-{number}", kind.to_lowercase())).collect()
}

fn all_ready(cluster: &Cluster, namespace: &str, kind: &str) {
    wait_until(&format!("every {kind} is ready"), || {
        play_kubelet(cluster, namespace, &ready);
        let list = cluster.get(namespace, kind);
        list["items"].as_array().unwrap().iter().all(|one| one["status"]["readyReplicas"] == 1)
    });
}

#[test]
fn many_workloads_without_controller_become_ready() {
    let cluster = require!(Workspace::new("several-sets"));
    let (name, folder) = (cluster.name, cluster.folder());
    let names = create(&cluster, name, "ReplicaSet");
    all_ready(&cluster, name, "replicasets");
    let before: Vec<_> = names.iter().map(|what| stored(&cluster, name, what)).collect();
    for command in ["empty", "restore"] {
        let run = run(&cluster, folder, name, &[command, "rs", "--all"], &ready).code(0);
        for what in &names {
            let told = format!("{what}: 1 of 1 Pods are ready");
            assert!(run.stderr.contains(&told), "{told:?}: {}", run.stderr);
        }
    }
    let after: Vec<_> = names.iter().map(|what| stored(&cluster, name, what)).collect();
    assert_eq!(after, before);
}

/// `WHAT: WHY` is printed for each.
fn each_is_told(names: &[String], stderr: &str, why: &str) {
    for what in names {
        let is_told = |line: &str| line.contains(what) && line.contains(why);
        assert!(stderr.lines().any(is_told), "{what}: {why}: {stderr}");
    }
}

#[test]
fn many_workloads_that_cannot_start_each_get_a_reason() {
    let cluster = require!(Workspace::new("several-stuck"));
    let (name, folder) = (cluster.name, cluster.folder());
    let names = create(&cluster, name, "Deployment");
    all_ready(&cluster, name, "deployments");
    let args = ["empty", "deploy", "--all", "--image", "typo:1"];
    let stuck = run(&cluster, folder, name, &args, &unpulled).code(1);
    each_is_told(&names, &stuck.stderr, "image typo:1 cannot be pulled: not found");
}

/// Only events tell it of a StatefulSet. However many there are, a look lists them once.
#[test]
fn many_workloads_that_are_not_admitted_get_reasons_by_one_list() {
    let cluster = require!(Workspace::new("several-not-admitted"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.kubectl(&["-n", name, "create", "quota", "none", "--hard=pods=0"], "");
    wait_until("the quota is known", || {
        cluster.get(name, "quota/none")["status"]["used"]["pods"] == "0"
    });
    let names = create(&cluster, name, "StatefulSet");
    let args = ["empty", "sts", "--all", "-n", name, "--timeout", "30", "-v"];
    let stuck = cluster.diyadm(folder, &args).code(1);
    each_is_told(&names, &stuck.stderr, "a quota does not allow the Pod: exceeded quota: none");
    let count = |what: &str| {
        let path = format!("LIST {what} ");
        stuck.stderr.lines().filter(|line| line.starts_with(&path)).count()
    };
    let looks = count(&format!("/apis/apps/v1/namespaces/{name}/statefulsets"));
    let pods = count(&format!("/api/v1/namespaces/{name}/pods"));
    let events = count(&format!("/api/v1/namespaces/{name}/events"));
    assert!(looks > 0 && pods <= looks && events <= looks + 2, "{looks} {pods} {events}");
    let is_written = |object: &Value| diyadm::workload::is_emptied(&object.to_string());
    assert!(names.iter().all(|what| is_written(&cluster.get(name, what))));
}
