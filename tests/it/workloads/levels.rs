//! Level pod of kinds whose Pods keep their names, and of kinds that replace no Pod by themselves.

use std::fs;

use diyadm::workload::is_emptied;
use serde_json::{Value, json};

use super::{
    result, stored,
    waiting::{count, play_kubelet, pods, ready, run, settle, two},
    with_webhook::{WebhookNamespace, twin},
    workload,
};
use crate::{
    rig::{Cluster, Workspace, cluster, skip, wait_until},
    serve::certificates,
};

#[test]
fn level_pod_replaces_pods_of_every_kind() {
    let cluster = require!(cluster());
    let name = "pods-webhook";
    let watched = WebhookNamespace::new(&cluster, name, &["--level", "pod"]);
    let folder = watched.folder.path();
    let _elsewhere = cluster.namespace("pods-not");
    let nodes = Nodes::two(&cluster, name);
    for kind in ["StatefulSet", "ReplicaSet", "DaemonSet"] {
        let mut object = two(kind, "web");
        if kind == "DaemonSet" {
            let Some(nodes) = &nodes else { continue };
            object["spec"].as_object_mut().unwrap().remove("replicas");
            object["spec"]["template"]["spec"]["nodeSelector"] = nodes.selector();
            // No kubelet answers for these nodes: after a minute they are tainted as unreachable, and a
            // DaemonSet's controller makes no new Pods there.
            object["spec"]["template"]["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
        } else {
            // A Pod that no node takes would be stuck.
            object["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
        }
        let what = format!("{}/web", kind.to_lowercase());
        let spec = twin(&cluster, "pods-not", &object);
        let run = |args: &[&str]| run(&cluster, folder, name, &[args, &[&what]].concat(), &ready);
        let settle = |empty: usize| {
            wait_until(&format!("{empty} Pods of {what} are empty"), || {
                play_kubelet(&cluster, name, &ready);
                count(&cluster, name) == (2, empty)
            });
        };
        cluster.create(name, &object);
        settle(2);
        let written = || assert_eq!(stored(&cluster, name, &what)["spec"], spec, "{what}");
        written();
        let board = cluster.diyadm(folder, &["status", &what, "-n", name, "-o", "json"]);
        let row: &Value = &result(&board.code(0))[0];
        assert_eq!((&row["state"], &row["level"]), (&json!("pods"), &json!("pod")), "{row}");
        assert_eq!(row["containers"][0]["name"], "app");
        run(&["empty", "--level", "pod"]).code(0).stderr_has("are already empty");

        // The webhook would empty new ones too, so the template says no.
        run(&["restore"]).code(0).stderr_has("its pod template is now opted out");
        settle(0);
        run(&["empty", "--level", "pod"]).code(0).stderr_has("is not opted out any more");
        settle(2);
        written();

        // Where nothing empties Pods any more, they are replaced and nothing is written.
        cluster.kubectl(&["label", "namespace", name, &format!("{name}-")], "");
        run(&["restore"]).code(0).stderr_has("2 Pods were replaced and run the original");
        settle(0);
        written();
        cluster.kubectl(&["label", "namespace", name, &format!("{name}=enabled")], "");
        cluster.kubectl(&["-n", name, "delete", &what], "");
        wait_until("its Pods are gone", || {
            play_kubelet(&cluster, name, &ready);
            pods(&cluster, name).is_empty()
        });
    }
}

/// Two nodes that nothing runs on, for a DaemonSet has a Pod for each.
struct Nodes<'a> {
    cluster: &'a Cluster,
    name: &'a str,
}

impl<'a> Nodes<'a> {
    fn two(cluster: &'a Cluster, name: &'a str) -> Option<Self> {
        if std::env::var_os("DIYADM_TEST_CONTEXT").is_some() {
            skip("a user's cluster gets no nodes that are none");
            return None;
        }
        for node in ["a", "b"] {
            let metadata = json!({ "name": format!("{name}-{node}"), "labels": { name: "yes" } });
            // The scheduler puts nothing there, and a DaemonSet's controller minds it not.
            let spec = json!({ "unschedulable": true });
            let node = json!({
                "apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec,
            });
            cluster.kubectl(&["create", "-f", "-"], &node.to_string());
        }
        Some(Self { cluster, name })
    }

    fn selector(&self) -> Value {
        json!({ self.name: "yes" })
    }
}

impl Drop for Nodes<'_> {
    fn drop(&mut self) {
        // Whatever became of the test.
        self.cluster.try_kubectl(&["delete", "nodes", "-l", self.name], "");
    }
}

/// A rollout that nothing empties is no success.
#[test]
fn rollout_whose_pods_are_not_emptied_is_a_failure() {
    let cluster = require!(cluster());
    let name = "pods-judged";
    let rules = ["--rules", "rules.yaml"];
    let watched = WebhookNamespace::with(&cluster, name, &["--level", "pod"], &rules);
    let folder = watched.folder.path();
    cluster.create(name, &two("Deployment", "web"));
    settle(&cluster, name, "deployment/web", "readyReplicas", 2);
    let run =
        |args: &[&str]| run(&cluster, folder, name, &[args, &["deploy/web"]].concat(), &ready);
    run(&["restore"]).code(0);
    assert_eq!(count(&cluster, name), (2, 0));
    fs::write(folder.join("rules.yaml"), "rules: [{ empty: false }]\n").unwrap();
    wait_until("the rules are read", || {
        let create = ["-n", name, "create", "-f", "-", "--dry-run=server", "-o", "json"];
        !is_emptied(&cluster.kubectl(&create, &workload("Pod", "probe").to_string()))
    });
    run(&["empty", "--level", "pod"]).code(1).stderr_has("a new Pod is not emptied");
    assert_eq!(count(&cluster, name), (2, 0));
}

/// A webhook's rules are read where it is asked who would empty Pods: one that leaves the workload
/// alone is no reason to say no in its template.
#[test]
fn webhook_with_opt_out_rules_is_not_blamed_for_pods() {
    let cluster = require!(Workspace::new("pods-left"));
    let name = cluster.name;
    let folder = certificates(name, name);
    let folder = folder.path();
    cluster.kubectl(&["label", "namespace", name, &format!("{name}=enabled")], "");
    cluster.create(name, &workload("Deployment", "web"));
    fs::write(folder.join("rules.yaml"), "rules: [{ match: { names: [w*] }, empty: false }]\n")
        .unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label, "--ca", ".", "--level", "pod"];
    let restore = ["restore", "deploy/web", "-n", name, "--wait=false"];
    for (rules, code, told) in [
        (&["--rules", "rules.yaml"][..], 1, "it is not empty"),
        (&[], 0, "its pod template is now opted out"),
    ] {
        // Nobody serves it, and nothing but what is written of it is looked at.
        let yaml =
            cluster.diyadm(folder, &[&["render"], &names[..], rules].concat()).code(0).stdout;
        cluster.kubectl(&["apply", "-f", "-"], &yaml);
        if rules.is_empty() {
            cluster.kubectl(&["-n", name, "delete", "configmap", &format!("{name}-rules")], "");
        }
        cluster.diyadm(folder, &restore).code(code).stderr_has(told);
    }
    cluster.kubectl(&["delete", "mutatingwebhookconfigurations", name], "");
}

/// Pods that the rollout does not reach are reported, and no webhook is blamed for them.
#[test]
fn pods_below_a_partition_stay_empty_at_level_pod() {
    let cluster = require!(cluster());
    let name = "pods-below";
    let watched = WebhookNamespace::new(&cluster, name, &["--level", "pod"]);
    let mut object = two("StatefulSet", "web");
    object["spec"]["updateStrategy"] =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
    cluster.create(name, &object);
    settle(&cluster, name, "statefulset/web", "readyReplicas", 2);
    let run = |args: &[&str]| {
        run(&cluster, watched.folder.path(), name, &[args, &["sts/web"]].concat(), &ready)
    };
    let told = run(&["restore"]).code(1);
    told.stderr_has("its Pods below partition 1 are still empty").stderr_has("\"partition\":0");
    assert_eq!(count(&cluster, name), (2, 1));
}

/// What an operator makes is none of the workloads that `--all` is about: neither a Deployment that
/// it controls, nor Pods of a kind of its own.
#[test]
fn empty_pods_of_an_operator_are_listed_with_a_hint() {
    let cluster = require!(cluster());
    let name = "pods-operator";
    let watched = WebhookNamespace::new(&cluster, name, &["--level", "pod"]);
    let folder = watched.folder.path();
    cluster.kubectl(&["-n", name, "create", "configmap", "operator"], "");
    let owner = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "operator", "controller": true,
        "uid": cluster.get(name, "configmap/operator")["metadata"]["uid"],
    }]);
    let mut pod = workload("Pod", "own-0");
    pod["spec"]["schedulerName"] = "nobody".into();
    for mut object in [two("Deployment", "api"), pod] {
        object["metadata"]["ownerReferences"] = owner.clone();
        cluster.create(name, &object);
    }
    wait_until("all Pods are empty", || {
        play_kubelet(&cluster, name, &ready);
        count(&cluster, name) == (3, 3)
    });
    let board = || {
        let board = result(&cluster.diyadm(folder, &["status", "-n", name, "-o", "json"]).code(0));
        let row = |row: &Value| [&row["kind"], &row["name"], &row["state"]].map(Value::to_string);
        board.as_array().unwrap().iter().map(|one| row(one).join(" ")).collect::<Vec<_>>()
    };
    let own = r#""ConfigMap" "operator" "pods""#;
    assert_eq!(board(), [own, r#""Deployment" "api" "pods""#]);
    let by_name = format!("`diyadm restore deployment/api -n {name}");
    let by_hand = format!("`kubectl -n {name} delete pod own-0`");
    let label = format!("{name}=enabled");
    for args in [
        &["restore", "--all"][..],
        &["uninstall", "--dry-run=client", "--service", name, "--label", &label],
    ] {
        let run = cluster.diyadm(folder, &[args, &["-n", name]].concat()).code(0);
        run.stderr_has(&by_name).stderr_has(&by_hand);
    }
    assert_eq!(count(&cluster, name), (3, 3));
    run(&cluster, folder, name, &["restore", "deployment/api"], &ready).code(0);
    assert_eq!(board(), [own]);
}
