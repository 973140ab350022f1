//! Limits of production end a process; those of the empty container do not, and restoring returns
//! the spec.

use serde_json::{Value, json};

use crate::rig::{Workspace, wait_until};

/// Needs 64 MiB of memory.
const COMPILER: &str = "dd if=/dev/zero of=/dev/null bs=64M count=1";

fn shop() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop" } },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "app", "image": "busybox:rig", "imagePullPolicy": "IfNotPresent",
                        "command": ["sleep", "86400"],
                        "env": [{ "name": "WORD", "value": "own" }],
                        "resources": { "limits": { "memory": "32Mi" } },
                    }],
                },
            },
        },
    })
}

#[test]
fn production_limits_do_not_end_what_developers_run() {
    let node = require!(Workspace::on_node("shape-node"));
    let name = node.name;
    node.load(&["busybox", "agent"]);
    node.create(name, &shop());
    node.wait(name, "deployment/shop", "condition=Available");
    // A command of the container follows the flags.
    let diyadm = |args: &[&str]| {
        node.diyadm(node.folder(), &[&args[..1], &["-n", name], &args[1..]].concat())
    };
    let spec = || node.get(name, "deploy/shop")["spec"].to_string();
    let before = spec();
    let exec = |script: &str| {
        let exec = ["-n", name, "exec", "deploy/shop", "-c", "app", "--", "sh", "-c", script];
        node.try_kubectl(&exec, "")
    };
    assert_ne!(exec(COMPILER).code, Some(0), "the limit of production ends it");

    let empty = ["empty", "deploy/shop", "--stand-in", "--limits", "memory=256Mi"];
    let more = ["--env", "WORD=mine", "--cache", "/cache"];
    diyadm(&[&empty[..], &more].concat()).code(0).stderr_has("runs its own command");
    let script = format!("{COMPILER} && echo $WORD > /cache/word; sleep 86400");
    let run = ["run", "deploy/shop", "--detach", "--", "sh", "-c", &script];
    diyadm(&run).code(0);
    wait_until("the application has its memory, its variable and its cache", || {
        exec("cat /cache/word").stdout == "mine\n"
    });
    let pods = node.get(name, "pods");
    let lives = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let pod = pods["items"].as_array().unwrap().iter().find(lives).unwrap();
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
    diyadm(&["stop", "deploy/shop"]).code(0);
    diyadm(&["restore", "deploy/shop"]).code(0);
    assert_eq!(spec(), before, "byte for byte");
}
