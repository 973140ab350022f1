//! The time of an empty workload: set, shown, extended, over, and restored by `diyadm expire`.

use serde_json::{Value, json};

use super::{
    rig::{Workspace, diyadm, wait_until},
    workloads::{result, workload},
};

const EXPIRES: &str = "diyadm.io/expires";
const ORIGINAL: &str = "diyadm.io/original";

/// An object without what every write changes.
fn lasting(mut object: Value) -> Value {
    object["status"] = Value::Null;
    let meta = object["metadata"].as_object_mut().unwrap();
    for field in ["resourceVersion", "generation", "managedFields"] {
        meta.remove(field);
    }
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        if annotations.is_empty() {
            meta.remove("annotations");
        }
    }
    object
}

#[test]
fn workload_is_restored_when_its_time_is_over() {
    let cluster = require!(Workspace::new("expire"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    let get = |what: &str| cluster.get(name, what);
    for app in ["web", "db", "live"] {
        let mut object = workload("Deployment", app);
        object["metadata"]["annotations"] = json!({ "kept": app });
        cluster.create(name, &object);
    }
    cluster.create(name, &workload("StatefulSet", "web"));
    let before: Vec<_> =
        ["deploy/web", "deploy/db", "sts/web"].map(|what| lasting(get(what))).into();

    run(&["expire"]).code(0).stderr_has("No workload's time is over.");
    run(&["empty", "deploy/web", "sts/web", "--for", "8h", "--wait=false"])
        .code(0)
        .stderr_has(EXPIRES);
    run(&["empty", "deploy/db", "--wait=false"]).code(0);
    let rows = result(&run(&["status", "-o", "json"]).code(0));
    let expires: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["expires"]).collect();
    let end = |what: &str| get(what)["metadata"]["annotations"][EXPIRES].clone();
    assert_eq!(expires, [&Value::Null, &end("deploy/web"), &end("sts/web")], "{rows}");
    let table = run(&["status", "-o", "wide"]).code(0).stdout;
    let web = table.lines().find(|line| line.starts_with("deployment/web")).unwrap();
    assert!(web.contains("   7h   ") || web.contains("   8h   "), "{table}");
    run(&["expire"]).code(0).stderr_has("No workload's time is over.");
    assert_eq!(result(&run(&["expire", "-o", "json"]).code(0))["items"], json!([]));

    // Another end, and nothing else.
    let bare = |what: &str| {
        let mut object = lasting(get(what));
        let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| ![EXPIRES, ORIGINAL].contains(&key.as_str()));
        object
    };
    let (was, ended) = (bare("deploy/web"), end("deploy/web"));
    run(&["empty", "deploy/web", "--for", "24h", "--wait=false"]).code(0);
    assert_eq!(bare("deploy/web"), was);
    let later = end("deploy/web");
    assert!(later.as_str() > ended.as_str(), "{ended} {later}");
    run(&["extend", "deploy/web", "48h"]).code(0).stderr_has("deployment/web stays empty for 2d");
    assert!(end("deploy/web").as_str() > later.as_str());
    assert_eq!(bare("deploy/web"), was);
    // One without an end gets none, and nothing runs in it.
    run(&["extend", "deploy/db", "1h"]).code(1);
    assert_eq!(end("deploy/db"), Value::Null);

    // A copy, which is deleted.
    run(&["empty", "deploy/live", "--copy", "me", "--for", "1ms", "--wait=false"]).code(0);
    for what in ["deploy/web", "sts/web"] {
        run(&["empty", what, "--for", "1ms", "--wait=false"]).code(0);
    }
    run(&["expire", "--dry-run"]).code(0).stderr_has("deployment/web would be restored");
    run(&["expire", "--dry-run=server"]).code(0).stderr_has("statefulset/web would be restored");
    let names = run(&["expire", "-o", "name", "--wait=false"]).code(0);
    let mut names: Vec<_> = names.stdout.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["deployment.apps/live-me", "deployment.apps/web", "statefulset.apps/web"]);
    run(&["expire"]).code(0).stderr_has("No workload's time is over.");
    let gone = ["-n", name, "get", "deploy/live-me", "--ignore-not-found", "-o", "name"];
    assert_eq!(cluster.kubectl(&gone, ""), "");
    run(&["restore", "deploy/db", "--wait=false"]).code(0);
    let after: Vec<_> =
        ["deploy/web", "deploy/db", "sts/web"].map(|what| lasting(get(what))).into();
    assert_eq!(after, before);

    // What has no end: a Pod and a Job cannot be restored in place, and an end must be a time.
    cluster.create(name, &workload("Job", "once"));
    let job = ["empty", "job/once", "--recreate", "--for", "1h", "--wait=false"];
    run(&job).code(1).stderr_has("a Job cannot be restored in place at the end");
    run(&["empty", "deploy/db", "--wait=false", "--level", "pod", "--for", "1h"]).code(2);
    run(&["empty", "deploy/db", "--for", "soon"]).code(2).stderr_has("use 30m, 8h or 1h30m");
    run(&["empty", "deploy/db", "--wait=false"]).code(0);
    let soon = format!("{EXPIRES}=soon");
    cluster.kubectl(&["-n", name, "annotate", "deploy/db", &soon], "");
    run(&["expire"]).code(0).stderr_has("diyadm.io/expires is not a time: soon");
    // Its user's own annotation stays when it is restored.
    run(&["restore", "deploy/db", "--wait=false"]).code(0);
    assert_eq!(end("deploy/db"), "soon");
}

/// The objects of `render --expire` but for the webhook's, on the API server. Returns the name of the
/// ClusterRole and its binding.
fn apply_cron_job(cluster: &Workspace) -> String {
    let (name, folder) = (cluster.name, cluster.folder());
    diyadm(folder, &["init", "--out", "certs", "-n", name]).code(0);
    let render =
        ["render", "-n", name, "--service", name, "--ca", "certs", "--expire", "-o", "json"];
    let mut list = result(&diyadm(folder, &render).code(0));
    let items = list["items"].as_array_mut().unwrap();
    let own =
        ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "CronJob"];
    items.retain(|item| own.iter().any(|kind| item["kind"] == *kind));
    assert_eq!(items.len(), own.len(), "{list}");
    cluster.kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string());
    format!("{name}-expire-{name}")
}

#[test]
fn rights_of_the_cron_job_are_enough() {
    let cluster = require!(Workspace::new("expire-rights"));
    let (name, folder) = (cluster.name, cluster.folder());
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "CronJob"] {
        cluster.create(name, &workload(kind, "web"));
    }
    let of_cluster = apply_cron_job(&cluster);
    let account = format!("{name}-expire");
    let token = cluster.kubectl(&["-n", name, "create", "token", &account], "");
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"] = json!({ "token": token.trim() });
    std::fs::write(folder.join("expire.kubeconfig"), config.to_string()).unwrap();

    // As its container does, but for the kubeconfig. Its Pod would pass restricted Pod Security.
    let job = cluster.get(name, &format!("cronjob/{account}"));
    let template = &job["spec"]["jobTemplate"]["spec"]["template"];
    let mut pod = template.clone();
    pod["metadata"]["name"] = "expire".into();
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    let create = ["-n", name, "create", "--dry-run=server", "-f", "-"];
    let level = |word: &str| {
        let label = format!("pod-security.kubernetes.io/enforce{word}");
        cluster.kubectl(&["label", "namespace", name, &label], "");
    };
    level("=restricted");
    cluster.kubectl(&create, &pod.to_string());
    // The workloads of the test are not restricted.
    level("-");
    let args = template["spec"]["containers"][0]["args"].as_array().unwrap();
    let mut args: Vec<_> = args.iter().filter_map(Value::as_str).collect();
    assert_eq!(args, ["expire", &format!("--namespace={name}")]);
    args.extend(["--kubeconfig", "expire.kubeconfig", "--timeout", "60"]);
    let expire = || {
        let run = diyadm(folder, &args).code(0);
        for word in ["may not", "You lack", "(403)", "not allowed", "warning"] {
            assert!(!run.stderr.contains(word), "{word}: {}", run.stderr);
        }
        run
    };
    // An authorizer knows of new roles after a moment.
    wait_until("the roles are known", || {
        let run = diyadm(folder, &args);
        run.code == Some(0) && !run.stderr.contains("may not")
    });
    expire().stderr_has("No workload's time is over.");
    let empty = ["deploy/web", "sts/web", "ds/web", "cj/web", "--wait=false"];
    let empty = [&["empty"], &empty[..], &["--for", "1ms", "--hold-autoscalers"]].concat();
    cluster.run(&empty).code(0);
    cluster.run(&["empty", "deploy/web", "--copy", "me", "--for", "1ms", "--wait=false"]).code(0);
    let run = expire().stderr_has("deployment/web-me deleted");
    for what in ["deployment/web", "statefulset/web", "daemonset/web", "cronjob/web"] {
        assert!(run.stderr.contains(&format!("{what} restored")), "{what}: {}", run.stderr);
    }
    // And nothing else.
    for (verb, resource) in [
        ("create", "deployments.apps"),
        ("create", "pods"),
        ("get", "secrets"),
        ("create", "pods/exec"),
        ("patch", "jobs.batch"),
        ("delete", "statefulsets.apps"),
    ] {
        let user = format!("system:serviceaccount:{name}:{account}");
        let can = ["auth", "can-i", verb, resource, "-n", name, "--as", &user];
        assert_eq!(cluster.try_kubectl(&can, "").stdout.trim(), "no", "{verb} {resource}");
    }
    for kind in ["clusterrole", "clusterrolebinding"] {
        cluster.kubectl(&["delete", kind, &of_cluster], "");
    }
}
