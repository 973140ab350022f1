//! `status` of emptied Pods that do not start, and `restore` of restored ones.

use serde_json::{Value, json};

use super::{
    result,
    waiting::{play_kubelet, ready, run, settle, two},
};
use crate::rig::{Cluster, Workspace, wait_until};

/// A Deployment of one Pod, which runs and is ready.
fn one(cluster: &Cluster, namespace: &str, kind: &str, name: &str) -> String {
    let mut object = two(kind, name);
    object["spec"]["replicas"] = 1.into();
    cluster.create(namespace, &object);
    let what = format!("{}/{name}", kind.to_lowercase());
    settle(cluster, namespace, &what, "readyReplicas", 1);
    what
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    json!({ "phase": "Pending", "containerStatuses": [{
        "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": state,
        "lastState": { "terminated": {
            "exitCode": 3, "containerID": "x", "startedAt": null, "finishedAt": null,
        } },
    }] })
}

/// As a kubelet and containerd say it.
const PULL: &str = "Back-off pulling image \"typo:1\": ErrImagePull: failed to pull and unpack \
                    image \"docker.io/library/typo:1\": failed to resolve reference \
                    \"docker.io/library/typo:1\": docker.io/library/typo:1: not found";

#[test]
fn status_shows_emptied_pods_that_do_not_start() {
    let cluster = require!(Workspace::new("status-stuck"));
    let name = cluster.name;
    let no_node = json!({ "phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    }] });
    for (deployment, status, why) in [
        (
            "pull",
            waiting("ImagePullBackOff", PULL),
            "container app: image typo:1 cannot be pulled: not found",
        ),
        ("crash", waiting("CrashLoopBackOff", "back-off"), "container app exits at once with 3"),
        ("node", no_node, "0/3 nodes are available: 3 Insufficient memory"),
    ] {
        let what = one(&cluster, name, "Deployment", deployment);
        let run = |args: &[&str]| cluster.run(args);
        let row = || {
            let rows = result(&run(&["status", &what, "-o", "json"]).code(0));
            rows[0].clone()
        };
        run(&["empty", &what, "--image", "typo:1", "--wait=false"]).code(0);
        let kubelet = |pod: &Value| {
            if pod["spec"]["containers"][0]["image"] == "app:1" {
                ready(pod)
            } else {
                status.clone()
            }
        };
        wait_until("its emptied Pod is seen", || {
            play_kubelet(&cluster, name, &kubelet);
            row()["state"] == "stuck"
        });
        let row = row();
        assert_eq!(row["ready"], "0/1", "the old Pod does not count: {row}");
        assert!(row["note"].as_str().unwrap().contains(why), "{row}");
        let table = run(&["status", &what]).code(0);
        assert!(table.stdout.contains("stuck") && table.stdout.contains("0/1"), "{}", table.stdout);
        table.stderr_has(why);
        let wide = run(&["status", &what, "-o", "wide"]).code(0).stdout;
        assert!(wide.contains(why), "{wide}");
        let back = run(&["restore", &what, "--wait=false"]);
        back.code(0);
        cluster.kubectl(&["-n", name, "delete", &what], "");
    }
}

/// Neither a Pod nor its controller says of a StatefulSet that a quota refuses its Pods: only
/// events do.
#[test]
fn status_shows_a_quota_that_refuses_emptied_pods() {
    let cluster = require!(Workspace::new("status-quota"));
    let (name, folder) = (cluster.name, cluster.folder());
    let all = ["Deployment", "StatefulSet"].map(|kind| one(&cluster, name, kind, "web"));
    cluster.kubectl(&["-n", name, "create", "quota", "tight", "--hard=pods=1"], "");
    wait_until("the quota is known", || {
        cluster.get(name, "quota/tight")["status"]["used"]["pods"] == "2"
    });
    for what in &all {
        cluster.diyadm(folder, &["empty", what, "-n", name, "--wait=false"]).code(0);
    }
    wait_until("both are refused", || {
        play_kubelet(&cluster, name, &ready);
        let status = cluster.diyadm(folder, &["status", "-n", name, "-o", "json"]).code(0);
        let rows = result(&status);
        let is_told = |row: &Value| {
            let note = row["note"].as_str().unwrap_or_default();
            row["state"] == "stuck"
                && row["ready"] == "0/1"
                && note.contains("a quota does not allow the Pod: exceeded quota: tight")
        };
        rows.as_array().unwrap().iter().filter(|row| is_told(row)).count() == 2
    });
}

/// Two of three cannot be pulled any more: all were restored, which the last line, the exit code
/// and `-o` agree on.
#[test]
fn unready_restored_pods_are_reported_apart_from_failed_restores() {
    let cluster = require!(Workspace::new("restored-stuck"));
    let (name, folder) = (cluster.name, cluster.folder());
    let all = ["a", "b", "c"].map(|one_of| one(&cluster, name, "Deployment", one_of));
    run(&cluster, folder, name, &["empty", "--all"], &ready).code(0);
    let kubelet = |pod: &Value| {
        let is_well = pod["metadata"]["labels"]["app"] == "a";
        let is_old = pod["spec"]["containers"][0]["image"] != "app:1";
        let gone = "Back-off pulling image \"app:1\": ErrImagePull: app:1: not found";
        if is_well || is_old { ready(pod) } else { waiting("ImagePullBackOff", gone) }
    };
    let args = ["restore", "--all", "-o", "json"];
    let back = run(&cluster, folder, name, &args, &kubelet).code(1);
    let printed = result(&back);
    assert_eq!(printed["items"].as_array().map(Vec::len), Some(3), "all are restored");
    let back = back.stderr_has("2 of 3 workloads were restored, but their Pods are not ready.");
    for what in ["deployment/b", "deployment/c"] {
        let told = format!(
            "{what} is restored, and its Pods are not ready: container app: image app:1 cannot be \
             pulled: not found."
        );
        assert!(back.stderr.contains(&told), "{told}: {}", back.stderr);
        assert!(!back.stderr.contains(&format!("{what}: {what}")), "{}", back.stderr);
    }
    for advice in ["--image", "--idle", "not restored"] {
        assert!(!back.stderr.contains(advice), "{advice}: {}", back.stderr);
    }
    let one = run(&cluster, folder, name, &["restore", &all[1]], &kubelet);
    assert!(!one.stderr.contains("--image"), "{}", one.stderr);
}

/// A Service that selects its Pods, which stay ready while they idle.
#[test]
fn plan_says_what_clients_of_a_service_get() {
    let cluster = require!(Workspace::new("plan-service"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut web = super::workload("Deployment", "web");
    web["spec"]["replicas"] = 2.into();
    web["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
    cluster.create(name, &web);
    cluster.kubectl(&["-n", name, "expose", "deploy/web", "--port=80"], "");
    let plan = |more: &[&str]| {
        cluster.diyadm(folder, &[&["plan", "deploy/web", "-n", name], more].concat()).code(0).stdout
    };
    let idle = plan(&[]);
    let seen = "! Service web sends requests to it: its 2 replicas stay ready, and connections to \
                port 80 are refused";
    assert!(idle.contains(seen), "{idle}");
    let none = plan(&["--replicas", "0"]);
    assert!(!none.contains("Service web"), "{none}");
    let app = plan(&["--ready", "app"]);
    assert!(
        app.contains("✓ Service web sends no requests to it: its 2 replicas are not ready"),
        "{app}"
    );
}

/// What was deployed while it was empty is what it is restored to.
#[test]
fn restore_reports_that_a_newer_version_stays() {
    let cluster = require!(Workspace::new("restored-later"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run = |args: &[&str]| {
        cluster.diyadm(folder, &[args, &["deploy/web", "-n", name, "--wait=false"]].concat())
    };
    let web = super::workload("Deployment", "web").to_string();
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &web);
    run(&["empty"]).code(0);
    run(&["restore"]).code(0).stderr_has("deployment/web restored");
    run(&["empty"]).code(0);
    cluster.kubectl(&["-n", name, "set", "image", "deploy/web", "app=app:2"], "");
    let back = run(&["restore"]).code(0);
    let back =
        back.stderr_has("deployment/web restored; what was deployed since it was emptied stays");
    assert!(!back.stderr.contains("deployment/web restored\n"), "{}", back.stderr);
    let image =
        &cluster.get(name, "deploy/web")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "app:2");
}
