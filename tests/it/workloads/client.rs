//! The client alone: several workloads at once, their status table, and the rights it needs. Every
//! kind is tested in `kinds`.

use serde_json::{Value, json};

use super::{pod_of, result, stored, user, workload};
use crate::rig::{Workspace, cluster, minor_version, wait_until};

/// Whether the API server says who asks (SelfSubjectReview).
fn says_who() -> bool {
    minor_version() >= 28
}

#[test]
fn empties_restores_and_lists_several_by_name_and_selector() {
    let cluster = require!(Workspace::new("several"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    for (kind, of) in [("Deployment", "a"), ("Deployment", "b"), ("StatefulSet", "c")] {
        let mut object = workload(kind, of);
        object["metadata"]["labels"] = json!({ "tier": if of == "b" { "back" } else { "front" } });
        cluster.create(name, &object);
    }
    assert_eq!(run(&["status"]).code(0).stderr_has("Nothing is empty").stdout, "");

    // A dry run of either kind changes nothing, and prints what would be.
    let before = stored(&cluster, name, "deployment/a");
    for dry in ["client", "server"] {
        let dry = format!("--dry-run={dry}");
        let planned = run(&["empty", "deploy/a", "sts/c", &dry, "-o", "json"]).code(0);
        let items = result(&planned)["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), 2);
        assert_eq!(pod_of(&items[0])["containers"][0]["image"], "empty-container:latest");
        assert_eq!(stored(&cluster, name, "deployment/a"), before);
    }
    let patch = run(&["empty", "deploy/a", "--dry-run=client", "-o", "patch"]).code(0);
    let patch = patch.stdout.lines().next().unwrap();
    let by_kubectl = ["-n", name, "patch", "deploy/a", "--type=json", "--dry-run=server", "-p"];
    cluster.kubectl(&[&by_kubectl[..], &[patch]].concat(), "");

    let named = run(&["empty", "-l", "tier=front", "--wait=false", "-o", "name"]).code(0);
    let mut lines: Vec<_> = named.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["deployment.apps/a", "statefulset.apps/c"]);
    run(&["empty", "deploy", "b", "nobody", "--wait=false"]).code(1).stderr_has("There is: a, b.");
    assert_eq!(stored(&cluster, name, "deployment/b")["metadata"].get("annotations"), None);
    let yaml = run(&["empty", "deployments.apps/b", "--wait=false", "-o", "yaml"]).code(0);
    assert!(yaml.stdout.contains("kind: Deployment\n"), "{}", yaml.stdout);

    let board = run(&["status", "-o", "json"]).code(0);
    let rows = result(&board);
    let rows: Vec<_> = rows.as_array().unwrap().iter().collect();
    assert_eq!(rows.len(), 3, "{}", board.stdout);
    for row in rows {
        assert_eq!((&row["state"], &row["level"]), (&json!("empty"), &json!("workload")));
        assert!(!row["since"].as_str().unwrap().is_empty(), "{row}");
        let by = if says_who() { "admin" } else { "unknown" };
        assert!(row["by"].as_str().unwrap().contains(by), "{row}");
        let idles = json!([{
            "name": "app", "image": "empty-container:latest", "idle": "entrypoint",
        }]);
        assert_eq!(row["containers"], idles);
    }
    let table = run(&["status", "deploy/a", "-o", "wide"]).code(0).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("WORKLOAD       STATE"), "{table}");
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[1].contains("app=empty-container:latest"), "{table}");
    let names = run(&["status", "-o", "name"]).code(0).stdout;
    assert_eq!(names.lines().count(), 3, "{names}");

    run(&["restore", "--all", "--wait=false"]).code(0);
    assert_eq!(stored(&cluster, name, "deployment/a"), before);
    assert_eq!(run(&["status", "-o", "name"]).code(0).stdout, "");
}

/// Two namespaces with workloads of one label, which no other test has: -A would see them all.
#[test]
fn all_namespaces_and_field_selectors_work_as_in_kubectl() {
    let cluster = require!(cluster());
    let names = [cluster.name("far"), cluster.name("near")];
    let _namespaces = names.map(|name| cluster.namespace(name));
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| cluster.diyadm(folder.path(), args);
    let tier = format!("tier={}", names[0]);
    for name in names {
        for of in ["a", "b"] {
            let mut object = workload("Deployment", of);
            object["metadata"]["labels"] = json!({ "tier": names[0] });
            cluster.create(name, &object);
        }
    }
    let board = || {
        let yaml = run(&["status", "-A", "-l", &tier, "-o", "yaml"]).code(0).stdout;
        let rows: Vec<serde_json::Value> = serde_yaml::from_str(&yaml).unwrap();
        let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap().to_owned();
        let place = |row| format!("{}/{}", text(row, "namespace"), text(row, "name"));
        rows.iter().map(place).collect::<Vec<_>>()
    };
    let here = |of: &[&str]| {
        let all = names.iter().flat_map(|name| of.iter().map(move |of| format!("{name}/{of}")));
        all.collect::<Vec<_>>()
    };

    let field = ["--field-selector", "metadata.name=a"];
    let near = [&["empty", "deploy", "-n", names[1], "--wait=false"], &field[..]].concat();
    run(&near).code(0).stderr_has("deployment/a emptied");
    assert_eq!(board(), [format!("{}/a", names[1])]);
    run(&["empty", "-A", "-l", &tier, "--wait=false"])
        .code(0)
        .stderr_has(&format!("deployment/b in {}", names[0]));
    assert_eq!(board(), here(&["a", "b"]));
    let table = run(&["status", "-A", "-l", &tier]).code(0).stdout;
    assert!(table.starts_with("NAMESPACE") && table.lines().count() == 5, "{table}");
    run(&[&["restore", "-A", "-l", &tier, "--wait=false"], &field[..]].concat()).code(0);
    assert_eq!(board(), here(&["b"]));
    run(&["restore", "-A", "-l", &tier, "--wait=false"]).code(0);
    assert!(board().is_empty());
    run(&["restore", "deploy/a", "-A"]).code(2).stderr_has("cannot be combined");
}

/// `get` and `patch` on the one workload are enough to empty and to restore it.
#[test]
fn get_and_patch_on_the_workload_are_enough() {
    let cluster = require!(Workspace::new("two-rights"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &workload("Deployment", "web"));
    let rules = json!([{
        "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"],
        "verbs": ["get", "patch"],
    }]);
    let narrow = user(&cluster, folder, name, &rules);
    let at = ["-n", name, "--kubeconfig", &narrow];
    let run = |args: &[&str]| crate::rig::diyadm(folder, &[args, &at].concat());
    let before = stored(&cluster, name, "deployment/web");
    run(&["empty", "deploy/web"]).code(0).stderr_has("it has no Pods");
    assert!(diyadm::workload::is_emptied(&stored(&cluster, name, "deployment/web").to_string()));
    let by = result(&cluster.diyadm(folder, &["status", "-n", name, "-o", "json"]).code(0));
    let account = format!("system:serviceaccount:{name}:default");
    assert_eq!(by[0]["by"], if says_who() { &account } else { "unknown" });
    run(&["status", "deploy/web"]).code(0);
    run(&["empty", "deploy/other"]).code(3).stderr_has("403");
    run(&["empty", "deploy/web", "--hold-autoscalers"])
        .code(1)
        .stderr_has("may not be listed, so none can be suspended");
    let restored = run(&["restore", "deploy/web"]).code(0);
    restored.stderr_has("the right to list replicasets.apps");
    assert_eq!(stored(&cluster, name, "deployment/web"), before);
}

#[test]
fn namespace_defaults_to_the_context() {
    let cluster = require!(Workspace::new("of-context"));
    let (name, folder) = (cluster.name, cluster.folder());
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["contexts"][0]["context"]["namespace"] = name.into();
    let context = config["current-context"].take();
    let file = folder.join("context.kubeconfig").display().to_string();
    std::fs::write(&file, config.to_string()).unwrap();
    cluster.create(name, &workload("Deployment", "web"));
    let at = ["--kubeconfig", &file, "--context", context.as_str().unwrap()];
    let run = |args: &[&str]| crate::rig::diyadm(folder, &[args, &at].concat()).code(0);
    run(&["empty", "deploy/web", "--wait=false"]);
    let empty = |what| diyadm::workload::is_emptied(&stored(&cluster, name, what).to_string());
    assert!(empty("deployment/web"));
    assert_eq!(run(&["status", "-o", "name"]).stdout, "deployment.apps/web\n");
    run(&["restore", "--all", "--wait=false"]);
    assert!(!empty("deployment/web"));
}

/// What it runs cannot be changed in place, in no other way either.
#[test]
fn changes_idle_mode_of_a_pod_by_recreating_it() {
    let cluster = require!(Workspace::new("another-way"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run =
        |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name, "--wait=false"]].concat());
    for kind in ["Pod", "Job"] {
        cluster.create(name, &workload(kind, "x"));
        let what = format!("{}/x", kind.to_lowercase());
        let before = stored(&cluster, name, &what);
        let shell = ["empty", &what, "--idle", "shell"];
        run(&["empty", &what, "--recreate"]).code(0);
        run(&["empty", &what]).code(0).stderr_has("already empty");
        if kind == "Pod" {
            // That alone can be changed while it runs.
            let told = run(&["empty", &what, "--image", "other:1"]).code(0);
            told.stderr_has("idles in other:1");
        }
        run(&shell).code(1).stderr_has(&format!("`diyadm empty {what} -n {name}"));
        run(&[&shell[..], &["--recreate"]].concat()).code(0).stderr_has("recreated and emptied");
        let emptied = stored(&cluster, name, &what);
        assert_eq!(pod_of(&emptied)["containers"][0]["command"][0], "sh");
        run(&["restore", &what, "--recreate", "--trust-original"]).code(0);
        let after = stored(&cluster, name, &what);
        assert_eq!(pod_of(&after)["containers"], pod_of(&before)["containers"]);
        assert_eq!(after["metadata"].get("annotations"), before["metadata"].get("annotations"));
    }
}

/// An idle Job never ends, so one that a CronJob has started keeps the next from starting.
#[test]
fn restore_of_a_cron_job_lists_its_idle_jobs() {
    let cluster = require!(Workspace::new("idle-jobs"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run = |args: &[&str]| {
        cluster.diyadm(folder, &[args, &["cronjob/tick", "-n", name]].concat()).code(0)
    };
    let create = |object: &Value| {
        cluster.create(name, object);
    };
    let mut tick = workload("CronJob", "tick");
    tick["spec"]["concurrencyPolicy"] = "Forbid".into();
    create(&tick);
    // One that was started before runs on, and one that only looks like the CronJob's is nobody's.
    let start = |job: &str, controlled: bool| {
        let owner = cluster.get(name, "cronjob/tick");
        let mut spec = owner["spec"]["jobTemplate"]["spec"].clone();
        spec["suspend"] = false.into();
        spec["template"]["spec"]["schedulerName"] = "nobody".into();
        let mut object = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": job }, "spec": spec,
        });
        if controlled {
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "controller": true,
                "uid": owner["metadata"]["uid"],
            }]);
        }
        create(&object);
    };
    start("tick-29000000", true);
    run(&["empty", "--wait=false"])
        .stderr_has("the next Job waits for that (concurrencyPolicy Forbid)");
    start("tick-29000001", true);
    start("tick-20261128", false);
    wait_until("their Pods are there", || {
        let list = cluster.kubectl(&["-n", name, "get", "pods", "-o", "name"], "");
        list.lines().count() == 3
    });
    run(&["restore", "--wait=false"])
        .stderr_has("with concurrencyPolicy Forbid no other Job starts")
        .stderr_has(&format!("`kubectl -n {name} delete job tick-29000001`"));

    // What an update has given something to run works.
    run(&["empty", "--wait=false"]);
    cluster.kubectl(&["-n", name, "set", "image", "cronjob/tick", "app=app:2"], "");
    start("tick-29000002", true);
    wait_until("its Pod is there", || {
        let list = cluster.kubectl(&["-n", name, "get", "pods", "-o", "name"], "");
        list.lines().count() == 4
    });
    let told = run(&["restore", "--wait=false"]).stderr;
    assert!(!told.contains("tick-29000002"), "{told}");
}
