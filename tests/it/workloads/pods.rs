//! Level pod by the client: the workload stays unchanged, and its Pods are replaced.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use diyadm::workload::LABEL;
use serde_json::{Value, json};

use super::{
    result, stored,
    waiting::{count, play_kubelet, pods, ready, run, settle, two, with_kubelet},
    with_webhook::{WebhookNamespace, set_namespace_label},
    workload,
};
use crate::{
    proxy::{
        Fate::{Pass, Refuse},
        Proxy,
    },
    rig::{Cluster, TIMEOUT, cluster, wait_until},
};

const LEVEL: [&str; 2] = ["--level", "pod"];

/// A webhook of level pod, and two Pods of a Deployment that were there before it.
pub(super) fn before_the_webhook(cluster: &Cluster, name: &str) -> WebhookNamespace {
    let watched = WebhookNamespace::new(cluster, name, &LEVEL);
    set_namespace_label(cluster, name, false);
    cluster.create(name, &two("Deployment", "web"));
    settle(cluster, name, "deployment/web", "readyReplicas", 2);
    set_namespace_label(cluster, name, true);
    watched
}

pub(super) fn says_no(object: &Value) -> bool {
    let base = if object["kind"] == "CronJob" { "/spec/jobTemplate/spec" } else { "/spec" };
    let metadata = object.pointer(&format!("{base}/template/metadata"));
    metadata.is_some_and(|metadata| metadata["annotations"][LABEL] == "disabled")
}

/// Pods that cannot be looked at are neither empty nor not.
#[test]
fn level_pod_empties_and_restores_and_fails_where_pods_cannot_be_listed() {
    let cluster = require!(cluster());
    let name = "level-pod";
    let watched = before_the_webhook(&cluster, name);
    let folder = watched.folder.path();
    let before = stored(&cluster, name, "deployment/web");
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let list = format!("GET /api/v1/namespaces/{name}/pods?");
    let blind = |after: usize, args: &[&str]| {
        // Of the namespace, or of all.
        let lists = [list.clone(), "GET /api/v1/pods?".to_owned()];
        let is_list = move |request: &str| lists.iter().any(|list| request.starts_with(list));
        let looks = is_list.clone();
        let args = [args, &["-n", name]].concat();
        let seen_before = AtomicUsize::new(0);
        let refuse = move |_, request: &str| {
            if is_list(request) && seen_before.fetch_add(1, SeqCst) >= after {
                Refuse(400, None)
            } else {
                Pass
            }
        };
        let (run, requests) = proxy.run(folder, &args, refuse);
        assert!(requests.iter().any(|request| looks(request)), "{requests:?}");
        run
    };
    let empty = [&["empty", "deploy/web"][..], &LEVEL].concat();
    blind(0, &empty).code(1).stderr_has("its Pods could not be read");
    run(&cluster, folder, name, &empty, &ready).code(0).stderr_has("2 Pods were replaced");
    assert_eq!(count(&cluster, name), (2, 2));
    assert_eq!(stored(&cluster, name, "deployment/web"), before);

    for which in [&["deploy/web"][..], &["deploy", "--all"]] {
        let restore = [&["restore"][..], which].concat();
        blind(0, &restore).code(1).stderr_has("whether its Pods are empty");
    }
    // As workloads of their own they were seen.
    let own = format!("{name}=enabled");
    let uninstall = ["uninstall", "--dry-run=client", "--service", name, "--label", &own];
    blind(1, &uninstall).code(0).stderr_has("workloads that are empty at level pod are not named");
    run(&cluster, folder, name, &["restore", "deploy/web"], &ready).code(0);
    assert_eq!(count(&cluster, name), (2, 0));
    assert!(says_no(&stored(&cluster, name, "deployment/web")));
    run(&cluster, folder, name, &empty, &ready).code(0);
    assert_eq!(count(&cluster, name), (2, 2));
    assert_eq!(stored(&cluster, name, "deployment/web")["spec"], before["spec"]);
}

/// Pods that a disruption budget protects stay while the command waits, unless eviction is
/// disabled.
#[test]
fn disruption_budget_is_obeyed_unless_eviction_is_disabled() {
    let cluster = require!(cluster());
    let name = "guarded-pods";
    let watched = before_the_webhook(&cluster, name);
    let folder = watched.folder.path();
    let labels = &stored(&cluster, name, "deployment/web")["spec"]["selector"]["matchLabels"];
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
        "spec": { "maxUnavailable": 0, "selector": { "matchLabels": labels } },
    });
    cluster.create(name, &budget);
    let planned = ["plan", "deploy/web", "-n", name, "--level", "pod"];
    let planned = cluster.diyadm(folder, &planned).code(0);
    assert!(planned.stdout.contains("--disable-eviction"), "{}", planned.stdout);
    let empty = [&["empty", "deploy/web"][..], &LEVEL].concat();
    for (command, empty_before, empty_after) in
        [(&empty[..], 0, 2), (&["restore", "deploy/web"], 2, 0)]
    {
        // Once nothing would empty them, it is diyadm that replaces them there and back.
        set_namespace_label(&cluster, name, empty_before == 0);
        let guarded = [command, &["-n", name, "--timeout", "15"]].concat();
        with_kubelet(&cluster, name, &ready, || cluster.diyadm(folder, &guarded))
            .code(1)
            .stderr_has("0 of 2 Pods are replaced in time: The disruption budget web needs 2")
            .stderr_has("--disable-eviction");
        assert_eq!(count(&cluster, name), (2, empty_before));
        let unasked = [command, &["--disable-eviction"]].concat();
        run(&cluster, folder, name, &unasked, &ready).code(0).stderr_has("2 Pods were replaced");
        assert_eq!(count(&cluster, name), (2, empty_after));
    }
}

/// The API server knows of a removed label after a moment: a Pod that is replaced before that comes
/// back empty, and is replaced once more.
#[test]
fn uninstall_replaces_pods_again_while_the_label_is_cached() {
    let cluster = require!(cluster());
    let name = "label-lag";
    let watched = before_the_webhook(&cluster, name);
    let folder = watched.folder.path();
    let empty = [&["empty", "deploy/web"][..], &LEVEL].concat();
    run(&cluster, folder, name, &empty, &ready).code(0);
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let own = format!("{name}=enabled");
    let args = [
        "uninstall",
        "--restore",
        "-n",
        name,
        "--service",
        name,
        "--label",
        &own,
        "--timeout",
        TIMEOUT,
    ];
    let label = {
        let kubeconfig = cluster.kubeconfig().to_owned();
        let kubectl = cluster.kubectl_command(&[]).get_program().to_owned();
        move |label: &str| {
            let mut kubectl = std::process::Command::new(&kubectl);
            kubectl.arg("--kubeconfig").arg(&kubeconfig).args(["label", "namespace", name, label]);
            assert!(kubectl.output().unwrap().status.success());
        }
    };
    // The label goes, and is back until a Pod has been replaced in vain.
    let evictions = AtomicUsize::new(0);
    let unlabelled = AtomicUsize::new(0);
    let unlabel = format!("PATCH /api/v1/namespaces/{name}?");
    let lags = move |_, request: &str| {
        if request.starts_with(&unlabel) {
            unlabelled.fetch_add(1, SeqCst);
        } else if unlabelled.swap(0, SeqCst) > 0 {
            label(&format!("{name}=enabled"));
        }
        if request.contains("/eviction") && evictions.fetch_add(1, SeqCst) == 1 {
            label(&format!("{name}-"));
        }
        Pass
    };
    let (run, requests) = with_kubelet(&cluster, name, &ready, || proxy.run(folder, &args, lags));
    run.code(0).stderr_has("2 Pods were replaced and run the original");
    assert!(requests.iter().filter(|request| request.contains("/eviction")).count() > 2);
    assert_eq!(count(&cluster, name), (2, 0));
    assert!(!says_no(&stored(&cluster, name, "deployment/web")), "nothing is left on it");
}

/// A CronJob's Pods are its Jobs', and there may be none to tell by, as of what has no replicas.
#[test]
fn level_pod_restores_workloads_without_pods() {
    let cluster = require!(cluster());
    let name = "no-own-pods";
    let watched = WebhookNamespace::new(&cluster, name, &LEVEL);
    let run = |args: &[&str]| {
        let more = ["-n", name, "--timeout", TIMEOUT];
        cluster.diyadm(watched.folder.path(), &[args, &more].concat())
    };
    let create = |object: &Value| {
        cluster.create(name, object);
    };
    create(&workload("CronJob", "nightly"));
    let before = stored(&cluster, name, "cronjob/nightly");
    let owner = cluster.get(name, "cronjob/nightly");
    let mut job = workload("Job", "nightly-29000000");
    job["spec"]["suspend"] = false.into();
    job["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
    job["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "controller": true,
        "uid": owner["metadata"]["uid"],
    }]);
    create(&job);
    wait_until("its Pod is there", || pods(&cluster, name).len() == 1);
    assert_eq!(count(&cluster, name), (1, 1));
    let status = ["status", "-n", name, "-o", "json"];
    let board = result(&cluster.diyadm(watched.folder.path(), &status).code(0));
    assert_eq!((&board[0]["name"], &board[0]["state"]), (&json!("nightly"), &json!("pods")));

    // By its Pod, and then by the webhook alone.
    let empty = [&["empty", "cronjob/nightly"][..], &LEVEL].concat();
    run(&["restore", "--all"]).code(0).stderr_has("its pod template is now opted out");
    assert!(says_no(&stored(&cluster, name, "cronjob/nightly")));
    run(&empty).code(0).stderr_has("its new Pods are empty from now on");
    assert_eq!(stored(&cluster, name, "cronjob/nightly")["spec"], before["spec"]);
    cluster.kubectl(&["-n", name, "delete", "job/nightly-29000000", "--wait=false"], "");
    wait_until("its Pod is gone", || {
        play_kubelet(&cluster, name, &ready);
        pods(&cluster, name).is_empty()
    });
    create(&workload("Deployment", "web"));
    for what in ["cronjob/nightly", "deployment/web"] {
        run(&["restore", what]).code(0).stderr_has("its pod template is now opted out");
        assert!(says_no(&stored(&cluster, name, what)));
        run(&["restore", what]).code(1).stderr_has("it is not empty");
    }
    run(&["restore", "--all"]).code(0).stderr_has("Nothing to restore");

    // Where the label is gone, only what runs already is left.
    run(&empty).code(0);
    create(&job);
    wait_until("its Pod is there", || pods(&cluster, name).len() == 1);
    set_namespace_label(&cluster, name, false);
    let told = run(&["restore", "cronjob/nightly"]).code(0);
    told.stderr_has(&format!("`kubectl -n {name} delete job nightly-29000000`"));
    assert!(!says_no(&stored(&cluster, name, "cronjob/nightly")));
}
