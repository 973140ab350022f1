//! A hundred workloads at once on the real API server: two writes each (the change, then the
//! ownership of its fields), a bounded number of requests at a time, no answer 429, and progress is
//! printed.

use diyadm::workload;
use serde_json::{Value, json};

use super::rig::{Cluster, Workspace};

const WORKLOADS: usize = 100;

fn fill(cluster: &Cluster, name: &str) {
    let one = |number: usize| {
        let name = format!("d{number}");
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": {
                "replicas": 0,
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": { "app": name } },
                    "spec": { "containers": [
                        { "name": "app", "image": format!("app:{number}"), "command": ["run"] },
                    ] },
                },
            },
        })
    };
    let items: Vec<_> = (0..WORKLOADS).map(one).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    cluster.create(name, &list);
}

fn specs(cluster: &Cluster, name: &str) -> Vec<Value> {
    let mut list = cluster.get(name, "deployments");
    list["items"].as_array_mut().unwrap().iter_mut().map(|object| object["spec"].take()).collect()
}

fn emptied(cluster: &Cluster, name: &str) -> usize {
    let list = cluster.get(name, "deployments");
    let items = list["items"].as_array().unwrap();
    items.iter().filter(|object| workload::is_emptied(&object.to_string())).count()
}

/// Requests that `--verbose` tells of: all of them, and those that change something.
fn requests(stderr: &str) -> [usize; 2] {
    let lines = || stderr.lines().filter(|line| line.contains(" /api"));
    [lines().count(), lines().filter(|line| line.contains("PATCH /apis/apps/")).count()]
}

#[test]
fn empties_and_restores_a_hundred_workloads_with_two_writes_each() {
    let cluster = require!(Workspace::new("many"));
    let (name, folder) = (cluster.name, cluster.folder());
    fill(&cluster, name);
    let before = specs(&cluster, name);
    let run = |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name, "-v"]].concat());

    let run_empty = run(&["empty", "deployments", "--all", "--wait=false"]).code(0);
    let stderr = &run_empty.stderr;
    assert!(stderr.contains("emptied: 10 of 100\n") && stderr.contains("emptied: 100 of 100\n"));
    assert_eq!(emptied(&cluster, name), WORKLOADS);
    let [all, writes] = requests(stderr);
    // The controllers write at the same time, and some of what they meet is older than that.
    assert!((WORKLOADS * 2..WORKLOADS * 4).contains(&writes), "{writes} writes: {stderr}");
    assert!(all < writes * 2 + 50, "{all} requests: {stderr}");
    assert!(!stderr.contains(" 429"), "{stderr}");

    let run_restore = run(&["restore", "--all", "--concurrency", "3"]).code(0);
    let stderr = &run_restore.stderr;
    assert!(stderr.contains("restored: 10 of 100\n") && stderr.contains("restored: 100 of 100\n"));
    assert_eq!(emptied(&cluster, name), 0);
    assert_eq!(specs(&cluster, name), before);
    assert!(!stderr.contains(" 429"), "{stderr}");
    run(&["restore", "--all", "--concurrency", "0"]).code(2);
}
