//! An original that was forged by a user who may only patch a Pod or Job, and a restore by a user
//! who may do more.

use std::path::Path;

use diyadm::workload::{IMAGE, ORIGINAL};
use serde_json::{Value, json};

use super::{pod_of, stored, user, workload};
use crate::generated::sealed;
use crate::rig::{Cluster, Run, Workspace, cluster, diyadm};

/// Writes another command into the original, by the rights to patch alone.
fn forge(cluster: &Cluster, namespace: &str, kubeconfig: &str, what: &str) {
    let object = cluster.get(namespace, what);
    let original = object["metadata"]["annotations"][ORIGINAL].as_str().unwrap();
    let mut body = serde_json::from_str::<Value>(original).unwrap()["body"].take();
    body["containers"][0]["fields"]["command"]["was"] = json!(["steal", "\u{9b}31m"]);
    let patch = json!({ "metadata": { "annotations": { ORIGINAL: sealed(&body) } } });
    let args =
        ["--kubeconfig", kubeconfig, "-n", namespace, "patch", what, "-p", &patch.to_string()];
    cluster.try_kubectl(&args, "").code(0);
    // It could not set that itself.
    let spec = json!([{ "op": "add", "path": "/spec/containers/0/command", "value": ["steal"] }]);
    let spec = spec.to_string().replace(
        "/spec/containers",
        if what.starts_with("pod/") {
            "/spec/containers"
        } else {
            "/spec/template/spec/containers"
        },
    );
    let args =
        ["--kubeconfig", kubeconfig, "-n", namespace, "patch", what, "--type", "json", "-p", &spec];
    assert_ne!(cluster.try_kubectl(&args, "").code, Some(0));
}

#[test]
fn forged_original_is_shown_and_refused() {
    let cluster = require!(Workspace::new("forged"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run =
        |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name, "--wait=false"]].concat());
    let rules = json!([
        { "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"] },
        { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "patch"] },
    ]);
    let narrow = user(&cluster, folder, name, &rules);
    for kind in ["Pod", "Job"] {
        let manifest = workload(kind, "x");
        cluster.create(name, &manifest);
        let what = format!("{}/x", kind.to_lowercase());
        let before = stored(&cluster, name, &what);
        run(&["empty", &what, "--recreate"]).code(0);
        forge(&cluster, name, &narrow, &what);

        let uid = || cluster.get(name, &what)["metadata"]["uid"].clone();
        let emptied = uid();
        let refused = |run: Run| {
            run.code(1)
                .stderr_has("command: none -> [\"steal\",\"\\u{9b}31m\"]")
                .stderr_has("--trust-original")
        };
        refused(run(&["restore", &what]));
        refused(run(&["restore", &what, "--recreate"]));
        refused(run(&["restore", "--all", "--recreate"]));
        refused(run(&["restore", &what, "--recreate", "--dry-run=server"]));
        assert_eq!(uid(), emptied, "nothing was done");

        // The user's own manifest is what counts instead.
        restored_from(&cluster, folder, name, &what, &manifest);
        let after = stored(&cluster, name, &what);
        assert_eq!(pod_of(&after)["containers"], pod_of(&before)["containers"]);

        // Who has seen it may say so.
        run(&["empty", &what, "--recreate"]).code(0);
        run(&["restore", &what, "--recreate", "--trust-original"]).code(0);
        let after = stored(&cluster, name, &what);
        assert_eq!(pod_of(&after)["containers"], pod_of(&before)["containers"]);
        run(&["restore", &what, "--trust-original"]).code(2).stderr_has("--recreate");
    }
}

/// A Job's image cannot be patched, and its annotations can.
#[test]
fn annotated_image_of_a_job_is_refused_unless_a_flag_names_it() {
    let cluster = require!(cluster());
    let name = cluster.name("forged-image");
    let _namespace = cluster.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let args = ["empty", "job/x", "--recreate", "--wait=false", "-n", name];
        cluster.diyadm(folder.path(), &[&args, more].concat())
    };
    let mut manifest = workload("Job", "x");
    manifest["metadata"]["annotations"] = json!({ IMAGE: "evil.example/x:1" });
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &manifest.to_string());
    let before = cluster.get(name, "job/x");
    for more in [&[][..], &["--dry-run=server"], &["--idle", "shell"]] {
        run(more).code(1).stderr_has("evil.example/x:1").stderr_has("--image");
    }
    assert_eq!(cluster.get(name, "job/x")["metadata"]["uid"], before["metadata"]["uid"]);
    run(&["--image", "mine.example/x:2"]).code(0);
    let after = cluster.get(name, "job/x");
    assert_eq!(pod_of(&after)["containers"][0]["image"], "mine.example/x:2");
}

fn restored_from(cluster: &Cluster, folder: &Path, name: &str, what: &str, manifest: &Value) {
    std::fs::write(folder.join("x.json"), manifest.to_string()).unwrap();
    let args =
        ["restore", what, "--recreate", "--force-from", "x.json", "-n", name, "--wait=false"];
    cluster.diyadm(folder, &args).code(0);
}

/// A Pod's image is what a patch may set: it needs no word, nor does what runs nothing else.
#[test]
fn original_with_image_alone_is_restored_without_confirmation() {
    let cluster = require!(Workspace::new("forged-not"));
    let (name, folder) = (cluster.name, cluster.folder());
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" },
        "spec": { "containers": [{ "name": "a", "image": "app:latest" }] },
    });
    cluster.create(name, &pod);
    let before = stored(&cluster, name, "pod/x");
    for command in ["empty", "restore"] {
        let args = [command, "pod/x", "--recreate", "--wait=false", "-n", name];
        cluster.diyadm(folder, &args).code(0);
    }
    assert_eq!(stored(&cluster, name, "pod/x")["spec"], before["spec"]);
    let help = diyadm(folder, &["restore", "--help"]).code(0).stdout;
    assert!(help.contains("--trust-original"), "{help}");
}
