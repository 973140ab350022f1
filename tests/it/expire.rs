//! Workloads that expire: their end is set, shown and extended, and `diyadm expire` restores them.

use serde_json::{Value, json};

use super::{
    proxy::{Fate, Proxy},
    rig::{Run, Workspace, diyadm, wait_until},
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
fn expired_workloads_are_restored() {
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

    run(&["expire"]).code(0).stderr_has("No workload has expired.");
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
    run(&["expire"]).code(0).stderr_has("No workload has expired.");
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
    run(&["expire"]).code(0).stderr_has("No workload has expired.");
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

/// The objects of `render --expire` with these flags, but for the webhook's, on the API server: each as
/// kind, namespace and name.
fn apply_cron_job(cluster: &Workspace, flags: &[&str]) -> Vec<[String; 3]> {
    let (name, folder) = (cluster.name, cluster.folder());
    let render =
        ["render", "-n", name, "--service", name, "--ca", "certs", "--expire", "-o", "json"];
    let mut list = result(&diyadm(folder, &[&render, flags].concat()).code(0));
    let items = list["items"].as_array_mut().unwrap();
    let own = ["ServiceAccount", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "CronJob"];
    items.retain(|item| own.iter().any(|kind| item["kind"] == *kind));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = items.iter().map(|item| {
        let metadata = &item["metadata"];
        [text(&item["kind"]), text(&metadata["namespace"]), text(&metadata["name"])]
    });
    let objects = objects.collect();
    cluster.kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string());
    objects
}

/// Removes the webhook, and looks whether one of the objects is left.
fn uninstall(cluster: &Workspace, objects: &[[String; 3]]) {
    let name = cluster.name;
    cluster.run(&["uninstall", "--service", name]).code(0);
    for [kind, namespace, of_it] in objects {
        let get = ["-n", namespace, "get", kind, of_it, "--ignore-not-found", "-o", "name"];
        assert_eq!(cluster.kubectl(&get, ""), "", "{kind} {of_it}");
    }
}

#[test]
fn rights_of_the_cron_job_are_enough_in_its_namespaces() {
    let cluster = require!(Workspace::new("expire-rights"));
    let (name, folder) = (cluster.name, cluster.folder());
    let other = cluster.name("expire-other");
    let _other = cluster.namespace(other);
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "CronJob"] {
        cluster.create(name, &workload(kind, "web"));
    }
    cluster.create(other, &workload("Deployment", "shop"));
    diyadm(folder, &["init", "--out", "certs", "-n", name]).code(0);
    let both = format!("{name},{other}");
    let objects = apply_cron_job(&cluster, &["--expire-namespaces", &both]);
    let count = |kind: &str| objects.iter().filter(|[of_it, ..]| of_it == kind).count();
    assert_eq!((count("RoleBinding"), count("ClusterRoleBinding")), (2, 1), "{objects:?}");
    let account = format!("{name}-expire");
    let token = cluster.kubectl(&["-n", name, "create", "token", &account], "");
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"] = json!({ "token": token.trim() });
    std::fs::write(folder.join("expire.kubeconfig"), config.to_string()).unwrap();

    // As its container does, but for the kubeconfig. Its Pod would pass restricted Pod Security.
    let template = || {
        let job = cluster.get(name, &format!("cronjob/{account}"));
        job["spec"]["jobTemplate"]["spec"]["template"].clone()
    };
    let mut pod = template();
    let args = pod["spec"]["containers"][0]["args"].clone();
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
    let mut names = [name, other];
    names.sort_unstable();
    assert_eq!(args, json!(["expire", format!("--namespaces={}", names.join(","))]));
    let args: Vec<_> = args.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let args = [&args[..], &["--kubeconfig", "expire.kubeconfig", "--timeout", "60"]].concat();
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
    expire().stderr_has("No workload has expired.");
    // A namespace without the rights is named once, and does not keep the others.
    let some = ["expire", "--kubeconfig", "expire.kubeconfig", "--namespaces"];
    let run = diyadm(folder, &[&some[..], &[&format!("default,{name},default")]].concat()).code(3);
    assert!(run.stderr.contains("error: 1 of 2 namespaces could not be read."), "{}", run.stderr);
    assert_eq!(run.stderr.matches("namespace default: ").count(), 1, "{}", run.stderr);
    let empty = ["deploy/web", "sts/web", "ds/web", "cj/web", "--wait=false"];
    let empty = [&["empty"], &empty[..], &["--for", "1ms", "--hold-autoscalers"]].concat();
    cluster.run(&empty).code(0);
    cluster.run(&["empty", "deploy/web", "--copy", "me", "--for", "1ms", "--wait=false"]).code(0);
    let empty = ["empty", "deploy/shop", "-n", other, "--for", "1ms", "--wait=false"];
    diyadm_on(&cluster, &empty).code(0);
    let run = expire().stderr_has("deployment/web-me deleted");
    for what in
        ["deployment/web", "statefulset/web", "daemonset/web", "cronjob/web", "deployment/shop"]
    {
        assert!(run.stderr.contains(&format!("{what} restored")), "{what}: {}", run.stderr);
    }
    // A namespace that is deleted does not keep the others.
    cluster.run(&["empty", "deploy/web", "--for", "1ms", "--wait=false"]).code(0);
    let gone = ["expire", "--namespaces", &format!("{name}-gone,{name}"), "--wait=false"];
    diyadm_on(&cluster, &gone)
        .code(1)
        .stderr_has(&format!("There is no namespace {name}-gone"))
        .stderr_has("deployment/web restored");

    // And nothing else.
    let user = format!("system:serviceaccount:{name}:{account}");
    let may = |verb: &str, resource: &str, namespace: &str| {
        let can = ["auth", "can-i", verb, resource, "-n", namespace, "--as", &user];
        cluster.try_kubectl(&can, "").stdout.trim() == "yes"
    };
    for (verb, resource) in [
        ("create", "deployments.apps"),
        ("create", "pods"),
        ("get", "secrets"),
        ("create", "pods/exec"),
        ("patch", "jobs.batch"),
        ("delete", "statefulsets.apps"),
    ] {
        assert!(!may(verb, resource, name), "{verb} {resource}");
    }
    let patch = |namespace| may("patch", "deployments.apps", namespace);
    assert_eq!([name, other, "default"].map(patch), [true, true, false]);
    uninstall(&cluster, &objects);

    // Everywhere, if asked for.
    let objects = apply_cron_job(&cluster, &["--expire-namespaces", "*"]);
    assert_eq!(template()["spec"]["containers"][0]["args"], json!(["expire", "--all-namespaces"]));
    wait_until("the new binding is known", || patch("default"));
    uninstall(&cluster, &objects);
    wait_until("the rights are gone", || !patch("default") && !patch(name));
}

/// The program in any namespace of the cluster.
fn diyadm_on(cluster: &Workspace, args: &[&str]) -> Run {
    cluster.diyadm(cluster.folder(), args)
}

#[test]
fn extending_during_expire_keeps_a_workload_and_a_copy_empty() {
    let cluster = require!(Workspace::new("expire-extended"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &workload("Deployment", "web"));
    cluster.run(&["empty", "deploy/web", "--copy", "me", "--for", "1ms", "--wait=false"]).code(0);
    cluster.run(&["empty", "deploy/web", "--for", "1ms", "--wait=false"]).code(0);
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let delete = format!("DELETE /apis/apps/v1/namespaces/{name}/deployments/web-me");
    let held = delete.clone();
    proxy.judge(move |_, request| if request.starts_with(&held) { Fate::Hold } else { Fate::Pass });
    let expire = proxy.spawn(folder, &["expire", "-n", name, "--wait=false"]);
    wait_until("the copy is about to be deleted", || proxy.seen(&delete) > 0);
    for what in ["deploy/web", "deploy/web-me"] {
        cluster.run(&["extend", what, "1h"]).code(0).stderr_has("stays empty for 1h");
    }
    proxy.judge(|_, _| Fate::Pass);
    let output = expire.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for what in ["deploy/web", "deploy/web-me"] {
        let shown = what.replace("deploy", "deployment");
        assert!(
            said.contains(&format!("{shown} stays empty: it was extended meanwhile")),
            "{said}"
        );
        let object = cluster.get(name, what).to_string();
        assert!(::diyadm::workload::is_emptied(&object), "{what}: {said}");
    }
}
