//! `uninstall --restore` on the real API server: every workload is restored before the webhook is
//! deleted.

use diyadm::kinds::{STATEFUL_SET, WORKLOADS};
use diyadm::workload::{self, ORIGINAL};
use serde_json::{Value, json};

use super::{
    kinds::{Pair, object, what},
    rig::diyadm,
    workloads::user,
};

/// Every kind, emptied by the webhook; without Pods that would be waited for.
fn scene() -> Option<Pair> {
    let pair = Pair::hooked("uninstall-restore")?;
    for kind in WORKLOADS {
        let mut object = object(kind);
        if object["spec"].get("replicas").is_some() || kind.kind == "StatefulSet" {
            object["spec"]["replicas"] = 0.into();
        }
        let (made, _) = pair.create(&object);
        assert!(workload::is_emptied(&made.to_string()));
    }
    Some(pair)
}

fn is_empty(pair: &Pair, what: &str) -> bool {
    workload::is_emptied(&pair.get(what).to_string())
}

/// After that, a user who may read and patch the workload can restore it.
#[test]
fn uninstall_lists_workloads_that_stay_empty_and_restore_works_without_webhook() {
    let pair = require!(Pair::hooked("uninstall-plain"));
    let name = pair.name;
    let object = object(&STATEFUL_SET);
    pair.create(&object);
    let label = format!("{name}=enabled");
    let uninstall = ["uninstall", "--service", name, "--label", &label];
    // The configuration was every namespace's.
    let far = pair.cluster.name("uninstall-far");
    let _far = pair.cluster.namespace(far);
    let elsewhere = tempfile::tempdir().unwrap();
    pair.cluster.create(far, &object);
    let empty = ["empty", "sts/x", "-n", far, "--wait=false"];
    pair.cluster.diyadm(elsewhere.path(), &empty).code(0);
    pair.run(&uninstall)
        .code(0)
        .stderr_has(&format!("still empty in namespace {name}: "))
        .stderr_has(&format!("still empty in namespace {far}: statefulset/x"))
        .stderr_has(&format!("`diyadm restore --all -n {far}"));
    assert!(is_empty(&pair, "statefulset/x"));

    let rules = json!([{
        "apiGroups": ["apps"], "resources": ["statefulsets"], "resourceNames": ["x"],
        "verbs": ["get", "patch"],
    }]);
    let narrow = user(&pair.cluster, elsewhere.path(), name, &rules);
    let restore = ["restore", "sts/x", "-n", name, "--wait=false", "--kubeconfig", &narrow];
    diyadm(elsewhere.path(), &restore).code(0);
    pair.same("statefulset/x", &[]);
}

#[test]
fn uninstall_restores_workloads_before_it_deletes_the_webhook() {
    let pair = require!(scene());
    let name = pair.name;
    let label = format!("{name}=enabled");
    let run = |more: &[&str]| {
        let uninstall = ["uninstall", "--restore", "--service", name, "--label", &label];
        pair.run(&[&uninstall, more].concat())
    };
    let configuration = || {
        let get =
            ["get", "mutatingwebhookconfigurations", name, "--ignore-not-found", "-o", "name"];
        pair.kubectl(&get)
    };
    let labels = || pair.get(&format!("namespace/{name}"))["metadata"]["labels"].clone();
    let left = format!("still empty in namespace {name}: job/x, pod/x");
    pair.run(&["empty", "deploy/x", "--copy", "me", "--wait=false"]).code(0);

    for dry_run in ["--dry-run=client", "--dry-run=server"] {
        let run = run(&[dry_run]).code(0).stderr_has("unlabelled (").stderr_has(&left);
        let run = run
            .stderr_has("deployment/x would be restored (")
            .stderr_has("deployment/x-me would be deleted, a copy of deployment/x (")
            .stderr_has("cronjob/x would be restored (");
        assert!(!run.stderr.contains("would empty it again"), "{}", run.stderr);
        assert!(WORKLOADS.iter().all(|kind| is_empty(&pair, &what(kind))), "{dry_run}");
        assert_eq!(labels()[name], "enabled", "{dry_run}");
    }

    // One that cannot be restored stops it before anything is gone.
    let original = pair.get("cronjob/x")["metadata"]["annotations"][ORIGINAL].clone();
    let forge = |text: &str| {
        pair.kubectl(&["annotate", "--overwrite", "cronjob/x", &format!("{ORIGINAL}={text}")]);
    };
    forge("{}");
    run(&[])
        .code(1)
        .stderr_has("its original is not trusted")
        .stderr_has("nothing of the webhook was deleted");
    assert_ne!(configuration(), "");
    assert!(is_empty(&pair, "cronjob/x") && !is_empty(&pair, "deployment/x"));
    let copies = ["get", "deploy/x-me", "--ignore-not-found", "-o", "name"];
    assert_eq!(pair.kubectl(&copies), "");

    forge(original.as_str().unwrap());
    let done = run(&["-o", "json"]).code(0).stderr_has(&left);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let objects = report["objects"].as_array().unwrap();
    let outcome = |kind: &str| &objects.iter().find(|o| o["kind"] == kind).unwrap()["outcome"];
    assert_eq!(outcome("Namespace"), "unchanged", "its label went the first time");
    assert_eq!(outcome("CronJob"), "restored");
    assert_eq!(outcome("MutatingWebhookConfiguration"), "deleted");
    assert_eq!(configuration(), "");
    assert!(labels().get(name).is_none());
    for kind in WORKLOADS {
        if kind.mutable {
            // Nothing of diyadm's is left on them: no refusal either.
            pair.same(&what(kind), &[]);
        } else {
            assert!(is_empty(&pair, &what(kind)), "{}", kind.kind);
        }
    }
    run(&[]).code(0).stderr_has("Nothing to restore");
}
