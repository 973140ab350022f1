//! `sync` as a user who may write to folders of another user, on the node.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Value, json};

use crate::rig::{Node, Run, Workspace};

/// A Pod as OpenShift runs it: any user id, group 0. One of its containers can take an agent.
fn pod(node: &Node, namespace: &str, folder: &Path) {
    node.load(&["busybox"]);
    let container = |name: &str, read_only: bool| {
        json!({
            "name": name,
            "image": "busybox:rig",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/busybox", "tail", "-f", "/dev/null"],
            "securityContext": {
                "runAsUser": 1234, "runAsGroup": 0, "readOnlyRootFilesystem": read_only,
            },
            "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        })
    };
    let pod: Value = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "web", "namespace": namespace },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container("agent", false), container("plain", true)],
            "volumes": [{ "name": "data", "hostPath": { "path": folder } }],
        },
    });
    node.kubectl(&["create", "-f", "-"], &pod.to_string());
    node.wait(namespace, "pod/web", "condition=Ready");
}

#[test]
fn sync_reports_unset_modes_and_skipped_links_once() {
    let node = require!(Workspace::on_node("dev-unset"));
    let (name, folder) = (node.name, node.folder());
    let (from, data) = (folder.join("from"), folder.join("data"));
    fs::create_dir_all(from.join("lib")).unwrap();
    fs::create_dir_all(from.join(".venv/bin")).unwrap();
    fs::create_dir(&data).unwrap();
    symlink("/usr/bin/python3", from.join(".venv/bin/python")).unwrap();
    fs::write(from.join("same"), "same").unwrap();
    pod(&node, name, &data);
    for container in ["agent", "plain"] {
        let there = data.join(container);
        fs::create_dir_all(there.join("lib")).unwrap();
        fs::write(there.join("same"), "same").unwrap();
        fs::write(there.join("lib/old"), "old").unwrap();
        for path in [&data, &there, &there.join("lib")] {
            fs::set_permissions(path, Permissions::from_mode(0o775)).unwrap();
        }
        let sync = || {
            let to = format!("web:/data/{container}");
            let mut sync = node.program(folder);
            sync.args(["sync", "--live", "from", &to, "-n", name, "-c", container, "--delete"]);
            Run::of(&mut sync, "")
        };
        for content in ["one", "two"] {
            fs::write(from.join("lib/app.py"), content).unwrap();
            let run = sync().code(0);
            let said = &run.stderr;
            assert_eq!(said.matches("may not set the mode or time of").count(), 1, "{said}");
            let link = "is not sent: .venv/bin/python -> /usr/bin/python3";
            assert_eq!(said.matches(link).count(), 1, "{said}");
            assert_eq!(fs::read_to_string(there.join("lib/app.py")).unwrap(), content);
        }
        assert!(!there.join("lib/old").exists() && !there.join(".venv/bin/python").is_symlink());
        let owned = fs::metadata(there.join("lib")).unwrap().permissions().mode() & 0o777;
        assert_eq!(owned, 0o775, "it is another user's, and stays as it is");
    }
}
