//! The keys of `diyadm ui` that need a container.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Person, ui};
use crate::rig::{Workspace, program, wait_until};

/// Returns to the screen after a command.
#[track_caller]
fn after(person: &mut Person, ended: &str) {
    let line = format!("[{ended}] Press any key to return to the screen.");
    wait_until(&format!("{line} is the last line of: {}", person.sees()), || {
        person.sees().trim_end().ends_with(&line)
    });
    person.types(" ");
    person.until("1 workload, 1 empty");
}

#[test]
fn keys_of_ui_work_in_a_container() {
    let node = require!(Workspace::on_node("ui-keys"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["busybox", "agent"]);
    node.create(
        name,
        &json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop" },
            "spec": {
                "selector": { "matchLabels": { "app": "shop" } },
                "template": {
                    "metadata": { "labels": { "app": "shop" } },
                    "spec": { "terminationGracePeriodSeconds": 1, "containers": [{
                        "name": "shop", "image": "busybox:rig", "imagePullPolicy": "IfNotPresent",
                        "command": ["sleep", "86400"],
                    }] },
                },
            },
        }),
    );
    let empty = ["empty", "-n", name, "deploy/shop", "--image", "keep", "--idle", "agent"];
    node.diyadm(folder, &empty).code(0);
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let config: Value = serde_json::from_str(&node.kubectl(&view, "")).unwrap();
    let [ann, ben] = ["ann", "ben"].map(|who| {
        let mut config = config.clone();
        config["users"][0]["user"]["as"] = json!(who);
        config["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
        let file = folder.join(who);
        fs::write(&file, config.to_string()).unwrap();
        file
    });
    let run = ["run", "-n", name, "deploy/shop", "--detach", "--", "sleep", "86400"];
    let started = program(folder).args(run).env("KUBECONFIG", &ann).output().unwrap();
    assert!(started.status.success(), "{started:?}");

    let mut person = ui(folder, Path::new(&ben), name);
    person.until_row("deployment/shop", "app");
    person.until_row("deployment/shop", "ann");
    let page = format!("deployment/shop -n {name}");
    person.types("x");
    person.until(&format!("$ diyadm run {page} -- "));
    person.types("true\r");
    person.until("ann has the container");
    after(&mut person, "exit code 1");
    person.types("t");
    person.until(&format!("$ diyadm run {page} --take-over -- "));
    person.types("sh -c 'echo over-$((40 + 2))'\r");
    person.until("over-42");
    after(&mut person, "done");
    person.types("x");
    person.until(&format!("$ diyadm run {page} -- "));
    // Ctrl-W removes the last word.
    person.types("\x17--detach -- sh -c 'echo up-$((40 + 2)); exec sleep 86400'\r");
    after(&mut person, "done");
    person.until_row("deployment/shop", "ben");
    person.types("l");
    person.until("up-42");
    person.types("\x03");
    after(&mut person, "exit code 130");
    person.types("+");
    person.until(&format!("$ diyadm extend {page} "));
    person.types("2h\r");
    person.until("is yours for 2h from now");
    after(&mut person, "done");
    person.types("f");
    person.until(&format!("$ diyadm forward {page} "));
    person.types(":8080\r");
    person.until(" -> ");
    person.types("\x03");
    after(&mut person, "exit code 130");
    person.types("s");
    person.until("# ");
    person.types("echo in-$((40 + 2))\r");
    person.until("in-42");
    // A shell that has been left needs no key.
    person.types("exit\r");
    person.until("1 workload, 1 empty");
    person.types("q");
    assert_eq!(person.leaves(), Some(0));
}
