//! Workloads whose Pods no controller replaces, cut off between their own restoring and that of
//! their Pods.

use serde_json::json;

use super::super::{
    result, stored,
    waiting::{play_kubelet, pods, ready, run, settle, two, with_kubelet},
};
use crate::{
    proxy::{
        Fate::{Kill, Pass},
        Proxy,
    },
    rig::{Workspace, wait_until},
};

/// `status` still shows them, and the same command finishes, also for a user who may not read
/// revisions, which a ReplicaSet does not have.
#[test]
fn restore_finishes_pods_left_empty_by_a_cut_off_restore() {
    let cluster = require!(Workspace::new("cut-by-hand"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut on_delete = two("StatefulSet", "web");
    on_delete["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    for object in [two("ReplicaSet", "web"), on_delete] {
        let what = format!("{}/web", object["kind"].as_str().unwrap().to_lowercase());
        cluster.create(name, &object);
        settle(&cluster, name, &what, "readyReplicas", 2);
        let before = stored(&cluster, name, &what);
        let board =
            || result(&cluster.diyadm(folder, &["status", "-n", name, "-o", "json"]).code(0));
        for all in [false, true] {
            run(&cluster, folder, name, &["empty", &what], &ready).code(0);
            let proxy = Proxy::start(cluster.kubeconfig(), folder);
            let args = ["restore", what.as_str(), "-n", name];
            let (cut, requests) = with_kubelet(&cluster, name, &ready, || {
                proxy.run(
                    folder,
                    &args,
                    |_, request| {
                        if request.starts_with("PATCH") { Kill } else { Pass }
                    },
                )
            });
            assert_eq!(cut.code, None, "{requests:?}: {}", cut.stderr);
            assert!(!diyadm::workload::is_emptied(&cluster.get(name, &what).to_string()));
            let now = board();
            assert_eq!(now[0]["state"], "returning", "{now}");
            assert!(now[0]["note"].as_str().unwrap().contains("2 of its Pods are still empty"));

            // It says so too where it is not to wait.
            let short = ["restore", what.as_str(), "-n", name, "--wait=false"];
            let told = format!("stay empty until `diyadm restore {what} -n {name}");
            if what.starts_with("replicaset") {
                cluster.diyadm(folder, &short).code(0).stderr_has(&told);
            }
            let again = if all { &["restore", "--all"][..] } else { &args[..2] };
            run(&cluster, folder, name, again, &ready).code(0);
            assert_eq!(stored(&cluster, name, &what), before);
            for pod in pods(&cluster, name) {
                let image = &pod["spec"]["containers"][0]["image"];
                assert!(image == "app:1" || pod["metadata"]["deletionTimestamp"].is_string());
            }
            assert_eq!(board(), json!([]));
            run(&cluster, folder, name, &args[..2], &ready).code(1).stderr_has("it is not empty");
        }
        cluster.kubectl(&["-n", name, "delete", &what], "");
        wait_until("its Pods are gone", || {
            play_kubelet(&cluster, name, &ready);
            pods(&cluster, name).is_empty()
        });
    }
}
