//! A stand-in in real Pods: the application answers, a developer's one replaces it, it comes back,
//! and restoring returns the spec.

use serde_json::{Value, json};

use crate::rig::{node, wait_until};

/// Serves a word on port 8080.
pub(super) fn serve(word: &str) -> String {
    format!("mkdir -p /tmp/www; echo {word} > /tmp/www/up; exec httpd -f -p 8080 -h /tmp/www")
}

/// `deploy/shop`, which serves `own`.
pub(super) fn shop() -> Value {
    let probe = json!({ "httpGet": { "path": "/up", "port": "web" }, "periodSeconds": 1 });
    let mut liveness = probe.clone();
    liveness["failureThreshold"] = 1.into();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop" } },
                "spec": { "containers": [{
                    "name": "app", "image": "busybox:rig", "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c"], "args": [serve("$(WORD)")],
                    "env": [{ "name": "WORD", "value": "own" }],
                    "ports": [{ "name": "web", "containerPort": 8080 }],
                    "readinessProbe": probe, "startupProbe": probe, "livenessProbe": liveness,
                }] },
            },
        },
    })
}

/// Its spec has no command: the image's own would run, which the API does not show.
fn bare() -> Value {
    let mut bare = shop();
    bare["metadata"]["name"] = "bare".into();
    bare["spec"]["selector"]["matchLabels"]["app"] = "bare".into();
    bare["spec"]["template"]["metadata"]["labels"]["app"] = "bare".into();
    bare["spec"]["template"]["spec"]["containers"] = json!([{
        "name": "app", "image": "busybox:rig", "imagePullPolicy": "IfNotPresent",
        "args": ["sleep", "86399"],
    }]);
    bare
}

#[test]
fn developer_borrows_a_container_from_its_application() {
    let node = require!(node());
    let name = node.name("stand-in");
    let _namespace = node.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    node.load(&["busybox", "agent"]);
    node.create(name, &shop());
    node.create(name, &bare());
    // A command of the container follows the flags.
    let diyadm = |args: &[&str]| {
        let args = [&args[..1], &["-n", name], &args[1..]].concat();
        node.diyadm(folder.path(), &args)
    };
    let pod = |app: &str| {
        let pods = node.get(name, "pods");
        let lives = |pod: &&Value| {
            pod["metadata"]["deletionTimestamp"].is_null()
                && pod["metadata"]["labels"]["app"] == app
        };
        let pods: Vec<_> = pods["items"].as_array().unwrap().iter().filter(lives).collect();
        assert_eq!(pods.len(), 1, "{pods:#?}");
        pods[0].clone()
    };
    let is_ready = || pod("shop")["status"]["containerStatuses"][0]["ready"] == true;
    let answer = || {
        let get = ["wget", "-qO-", "http://127.0.0.1:8080/up"];
        let at = ["-n", name, "exec", "deploy/shop", "-c", "app", "--"];
        node.try_kubectl(&[&at[..], &get].concat(), "").stdout.trim().to_owned()
    };
    node.wait(name, "deployment/shop", "condition=Available");
    node.wait(name, "deployment/bare", "condition=Available");
    let before =
        ["shop", "bare"].map(|app| node.get(name, &format!("deploy/{app}"))["spec"].clone());

    diyadm(&["empty", "deploy/shop", "--stand-in"]).code(0).stderr_has("runs its own command");
    assert!(is_ready(), "a rollout waits for a stand-in as for the application");
    assert_eq!(answer(), "own");
    let status = diyadm(&["status"]).code(0).stdout;
    assert!(status.contains("stand-in"), "{status}");
    let first = pod("shop")["metadata"]["uid"].clone();
    let run = |script: &str| {
        diyadm(&["run", "deploy/shop", "--detach", "--replace", "--", "sh", "-c", script]).code(0);
    };
    // The port is the same.
    run(&serve("mine"));
    wait_until("the developer's application answers", || answer() == "mine");
    // Nothing answers the liveness probe, which may fail once, while the readiness probe may thrice.
    run("sleep 86400");
    wait_until("the Pod is not Ready", || !is_ready());
    diyadm(&["stop", "deploy/shop"]).code(0);
    wait_until("the stand-in answers again", || answer() == "own");
    wait_until("the Pod is Ready", is_ready);
    let same = pod("shop");
    assert_eq!(same["metadata"]["uid"], first);
    assert_eq!(same["status"]["containerStatuses"][0]["restartCount"], 0);
    // Its own probe restarts it when it really hangs: here the container has lost its content.
    let remove = ["-n", name, "exec", "deploy/shop", "-c", "app", "--", "rm", "/tmp/www/up"];
    node.kubectl(&remove, "");
    wait_until("the liveness probe restarts the container", || {
        pod("shop")["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0)
    });

    // The command of the other one is only in its container.
    let plan = diyadm(&["plan", "deploy/bare", "--stand-in"]).code(0).stdout;
    assert!(plan.contains("86399"), "{plan}");
    diyadm(&["empty", "deploy/bare", "--stand-in"]).code(0).stderr_has("its command was read");
    let emptied = node.get(name, "deploy/bare");
    let note = &emptied["metadata"]["annotations"]["diyadm.io/stand-in-command"];
    assert_eq!(*note, r#"["sleep","86399"]"#);
    let logs = diyadm(&["ps", "deploy/bare"]).code(0).stdout;
    assert!(logs.contains("stand-in"), "{logs}");

    diyadm(&["restore", "deploy/shop", "deploy/bare"]).code(0);
    for (app, before) in ["shop", "bare"].into_iter().zip(before) {
        let after = node.get(name, &format!("deploy/{app}"));
        assert_eq!(after["spec"].to_string(), before.to_string());
    }
    // No Pod shows it, so it must be given.
    node.kubectl(&["-n", name, "scale", "deploy/bare", "--replicas=0"], "");
    wait_until("there is no Pod", || {
        node.kubectl(&["-n", name, "get", "pods", "-l", "app=bare", "-o", "name"], "").is_empty()
    });
    let empty = ["empty", "deploy/bare", "--stand-in", "--wait=false"];
    diyadm(&empty)
        .code(1)
        .stderr_has("the spec of container app has no command")
        .stderr_has("--command");
    diyadm(&[&empty[..], &["--command", "sleep 7"]].concat()).code(0);
}
