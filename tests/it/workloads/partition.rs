//! A StatefulSet with a partition, and `kubectl rollout undo` of it.

use serde_json::{Value, json};

use super::{
    pod_of, stored,
    waiting::{pods, ready, run, settle, two},
};
use crate::rig::{Cluster, Workspace};

/// Three replicas; from `partition` on they are updated.
fn set(partition: u32) -> Value {
    let mut object = two("StatefulSet", "web");
    object["spec"]["replicas"] = 3.into();
    object["spec"]["podManagementPolicy"] = "Parallel".into();
    object["spec"]["updateStrategy"] =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": partition } });
    object
}

/// Image and environment of the application of each Pod, by its ordinal.
fn run_now(cluster: &Cluster, namespace: &str) -> Vec<(String, Value)> {
    let mut pods = pods(cluster, namespace);
    pods.sort_by_key(|pod| pod["metadata"]["name"].to_string());
    let app = |pod: &Value| {
        let app = &pod_of(pod)["containers"][0];
        (app["image"].as_str().unwrap().to_owned(), app["env"].clone())
    };
    pods.iter().map(app).collect()
}

/// The names of its revisions of the empty form.
fn emptied(cluster: &Cluster, namespace: &str) -> usize {
    let revisions = cluster.get(namespace, "controllerrevisions");
    let revisions = revisions["items"].as_array().unwrap().clone();
    revisions.iter().filter(|one| one.to_string().contains("empty-container")).count()
}

/// Those below the partition have never seen the update that the others have, nor the emptying.
#[test]
fn pods_below_a_partition_stay_and_undo_skips_the_empty_revision() {
    let cluster = require!(Workspace::new("partition"));
    let (name, folder) = (cluster.name, cluster.folder());
    let what = "statefulset/web";
    let k = |args: &[&str]| cluster.kubectl(&[&["-n", name], args].concat(), "");
    cluster.create(name, &set(2));
    settle(&cluster, name, what, "readyReplicas", 3);
    let first = stored(&cluster, name, what);
    k(&["set", "env", what, "-c", "app", "A=2"]);
    settle(&cluster, name, what, "updatedReplicas", 1);
    settle(&cluster, name, what, "readyReplicas", 3);
    let (before, ran) = (stored(&cluster, name, what), run_now(&cluster, name));
    assert!(ran[0] == ran[1] && ran[1] != ran[2], "{ran:?}");

    let empty = run(&cluster, folder, name, &["empty", what], &ready);
    empty.code(0).stderr_has("those below stay as they are");
    let now = run_now(&cluster, name);
    assert_eq!(now[..2], ran[..2]);
    assert_eq!(now[2].0, "empty-container:latest");
    // One that was never empty and is just recovering is nobody's to delete.
    let recovering = |pod: &Value| {
        let mut status = ready(pod);
        if pod["metadata"]["name"] == "web-0" {
            status["conditions"][2]["status"] = "False".into();
            status["conditions"][3]["status"] = "False".into();
        }
        status
    };
    let uid = || cluster.get(name, "pod/web-0")["metadata"]["uid"].clone();
    let before_it = uid();
    run(&cluster, folder, name, &["restore", what], &recovering).code(0);
    assert_eq!(uid(), before_it);
    assert_eq!(stored(&cluster, name, what), before);
    assert_eq!(run_now(&cluster, name), ran);
    assert_eq!(emptied(&cluster, name), 0);

    // The revision before this one is the one from before it was emptied.
    k(&["rollout", "undo", what]);
    assert_eq!(stored(&cluster, name, what), first);
    settle(&cluster, name, what, "updatedReplicas", 3);
    let now = run_now(&cluster, name);
    assert!(now.iter().all(|one| *one == ran[0]), "{now:?}");
}

/// While it is empty an undo brings a template without its original: the one that is kept fits all
/// the same.
#[test]
fn rollout_undone_while_empty_is_restored_to_its_target() {
    let cluster = require!(Workspace::new("partition-undo"));
    let (name, folder) = (cluster.name, cluster.folder());
    let what = "statefulset/web";
    let k = |args: &[&str]| cluster.kubectl(&[&["-n", name], args].concat(), "");
    cluster.create(name, &set(0));
    settle(&cluster, name, what, "readyReplicas", 3);
    let before = stored(&cluster, name, what);
    run(&cluster, folder, name, &["empty", what], &ready).code(0);
    k(&["rollout", "undo", what]);
    run(&cluster, folder, name, &["restore", what], &ready).code(0);
    assert_eq!(stored(&cluster, name, what), before);
    assert_eq!(emptied(&cluster, name), 0);
    let undo = cluster.try_kubectl(&["-n", name, "rollout", "undo", what], "");
    assert!(undo.code != Some(0), "nothing is left to go back to: {}", undo.stdout);
}

/// A partition that came while all were empty keeps those below it so.
#[test]
fn pods_kept_empty_by_a_partition_are_listed_with_a_hint() {
    let cluster = require!(Workspace::new("partition-keeps"));
    let (name, folder) = (cluster.name, cluster.folder());
    let what = "statefulset/web";
    cluster.create(name, &set(0));
    settle(&cluster, name, what, "readyReplicas", 3);
    let ran = run_now(&cluster, name);
    run(&cluster, folder, name, &["empty", what], &ready).code(0);
    let to = |partition: u32| json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": partition } } } });
    cluster.kubectl(&["-n", name, "patch", what, "-p", &to(2).to_string()], "");

    // Said each time, as long as it is so.
    let mut patch = String::new();
    for _ in 0..2 {
        let restore = run(&cluster, folder, name, &["restore", what], &ready).code(1);
        let told = restore.stderr_has("its Pods below partition 2 are still empty").stderr;
        let now = run_now(&cluster, name);
        assert_eq!(now[0].0, "empty-container:latest");
        assert_eq!(now[2], ran[2]);
        let (_, typed) = told.split_once(&format!("`kubectl -n {name} patch {what} -p '")).unwrap();
        typed.split('\'').next().unwrap().clone_into(&mut patch);
    }
    cluster.kubectl(&["-n", name, "patch", what, "-p", &patch], "");
    run(&cluster, folder, name, &["restore", what], &ready)
        .code(0)
        .stderr_has("a revision of the emptied form, was deleted");
    assert_eq!(run_now(&cluster, name), ran);
    assert_eq!(emptied(&cluster, name), 0);
}
