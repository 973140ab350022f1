//! `empty --copy`: an empty Deployment beside a workload, which stays as it is.

use std::fs;

use diyadm::workload::{COPY, COPY_OF, ORIGINAL};
use serde_json::{Value, json};

use super::{
    pod_of, result, stored, user,
    waiting::{pods, ready, run, settle, two, unpulled},
    with_webhook::WebhookNamespace,
    workload,
};
use crate::{
    proxy::{
        Fate::{Lose, Pass},
        Proxy,
    },
    rig::{Cluster, Run, Workspace, cluster, wait_until},
};

fn is_there(cluster: &Cluster, namespace: &str, what: &str) -> bool {
    let get = ["-n", namespace, "get", what, "--ignore-not-found", "-o", "name"];
    !cluster.kubectl(&get, "").is_empty()
}

/// A Deployment with labels that a Service uses and one that none uses, and a variable of Nacos.
fn shop() -> Value {
    let mut object = two("Deployment", "shop");
    object["spec"]["template"]["metadata"]["labels"] =
        json!({ "app": "shop", "tier": "web", "team": "a" });
    let env = json!([
        { "name": "A", "value": "1" }, { "name": "SPRING_NACOS_ADDR", "value": "nacos:8848" },
    ]);
    object["spec"]["template"]["spec"]["containers"][0]["env"] = env;
    object
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop" },
        "spec": { "selector": { "tier": "web" }, "ports": [{ "port": 80 }] },
    })
}

#[test]
fn copy_leaves_the_original_alone_and_is_deleted_by_restore() {
    let cluster = require!(Workspace::new("copy"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run = |args: &[&str]| run(&cluster, folder, name, args, &ready);
    let get = |what: &str| cluster.get(name, what);
    cluster.create(name, &service());
    cluster.create(name, &shop());
    settle(&cluster, name, "deployment/shop", "readyReplicas", 2);
    let before = get("deployment/shop");

    // Dry runs create nothing.
    let dry = run(&["empty", "deploy/shop", "--copy", "me", "--dry-run=client", "-o", "yaml"]);
    let dry = dry.code(0).stderr_has("deployment/shop-me would be created, a copy of");
    assert!(dry.stdout.contains("name: shop-me\n"), "{}", dry.stdout);
    let dry = run(&["empty", "deploy/shop", "--copy", "me", "--dry-run=server", "-o", "json"]);
    assert_eq!(result(&dry.code(0))["spec"]["progressDeadlineSeconds"], 600, "by the API server");
    assert!(!is_there(&cluster, name, "deployment/shop-me"));

    let create = ["empty", "deploy/shop", "--copy", "me"];
    let made = run(&create).code(0);
    let made =
        made.stderr_has("deployment/shop-me created, a copy of deployment/shop: container app");
    let made = made.stderr_has("lacks these labels, which selectors use here: app, tier");
    let made = made.stderr_has("SPRING_NACOS_ADDR of Nacos").stderr_has("1 of 1 Pods are ready");
    assert!(!made.stderr.contains("annotations"), "{}", made.stderr);
    assert_eq!(get("deployment/shop")["metadata"], before["metadata"], "nothing was written to it");
    let copy = get("deployment/shop-me");
    let container = &pod_of(&copy)["containers"][0];
    assert_eq!(container["image"], "empty-container:latest");
    assert_eq!(container["env"], pod_of(&before)["containers"][0]["env"]);
    assert_eq!(copy["metadata"]["ownerReferences"][0]["uid"], before["metadata"]["uid"]);
    let names = |selector: &str| {
        let get = ["-n", name, "get", "pods", "-l", selector, "-o", "name"];
        cluster.kubectl(&get, "").lines().filter(|pod| pod.contains("shop-me-")).count()
    };
    assert_eq!(["app=shop", "tier=web", "team=a"].map(names), [0, 0, 1]);

    // Once more: nothing changes, and a difference is named.
    let again = run(&create).code(0).stderr_has("deployment/shop-me is already there, a copy of");
    assert!(!again.stderr.contains("differs"), "{}", again.stderr);
    let other = ["empty", "deploy/shop", "--copy", "me", "--image", "other:1"];
    run(&other).code(0).stderr_has("stays as it is, and differs from what this command creates");
    run(&["empty", "deploy/shop-me"]).code(0).stderr_has("already empty");
    assert_eq!(get("deployment/shop-me")["metadata"]["uid"], copy["metadata"]["uid"]);
    run(&["empty", "deploy/shop-me", "--copy", "x"]).code(1).stderr_has("it is a copy itself");

    let rows = result(&cluster.run(&["status", "-o", "json"]).code(0));
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(
        (&rows[0]["name"], &rows[0]["copyOf"]),
        (&json!("shop-me"), &json!("deployment/shop"))
    );
    assert!(cluster.run(&["status"]).code(0).stdout.contains(" copy "));

    // The original is emptied meanwhile: another copy is made of its original, and both stay where
    // it is restored.
    run(&["empty", "deploy/shop", "--image", "other:1", "--wait=false"]).code(0);
    run(&["empty", "deploy/shop", "--copy", "two", "--wait=false"]).code(0);
    let [one, two] = ["deployment/shop-me", "deployment/shop-two"].map(get);
    assert_eq!(pod_of(&two)["containers"][0]["image"], "empty-container:latest");
    let original = diyadm::workload::restore(&two.to_string()).patch;
    assert!(original.contains("app:1") && !original.contains("other:1"), "{original}");
    run(&["restore", "deploy/shop", "--wait=false"]).code(0);
    assert_eq!(get("deployment/shop-me")["metadata"]["uid"], one["metadata"]["uid"]);
    assert!(diyadm::workload::is_emptied(&get("deployment/shop-two").to_string()));

    let dry = run(&["restore", "deploy/shop-me", "--dry-run=server"]).code(0);
    dry.stderr_has(
        "deployment/shop-me would be deleted, a copy of deployment/shop (server dry run)",
    );
    let gone = run(&["restore", "deploy/shop-me"]).code(0);
    gone.stderr_has("deployment/shop-me deleted, a copy of deployment/shop");
    assert!(!is_there(&cluster, name, "deployment/shop-me"));
    let is_of = |pod: &Value, label: &str| pod["metadata"]["labels"][COPY] == label;
    assert!(!pods(&cluster, name).iter().any(|pod| is_of(pod, "me")), "it waits for them");
    run(&["restore", "--all"]).code(0).stderr_has("deployment/shop-two deleted");
    assert!(!is_there(&cluster, name, "deployment/shop-two"));
    assert!(is_there(&cluster, name, "deployment/shop"));

    // Nothing stays behind the original.
    run(&["empty", "deploy/shop", "--copy", "me", "--wait=false"]).code(0);
    cluster.kubectl(&["-n", name, "delete", "deployment/shop"], "");
    wait_until("its copy goes, too", || !is_there(&cluster, name, "deployment/shop-me"));
    run(&["restore", "deploy/shop-me"]).code(1).stderr_has("There is no deployment shop-me");
}

#[test]
fn every_refused_copy_has_a_reason_and_leaves_nothing() {
    let cluster = require!(Workspace::new("copy-refused"));
    let (name, folder) = (cluster.name, cluster.folder());
    let copy = |what: &str, more: &[&str]| -> Run {
        cluster.run(&[&["empty", what, "--wait=false", "--copy"], more].concat())
    };
    for kind in ["Deployment", "CronJob", "DaemonSet", "Pod"] {
        cluster.create(name, &workload(kind, &format!("web-{}", kind.to_lowercase())));
    }
    let mut store = workload("StatefulSet", "store");
    store["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{ "name": "data", "mountPath": "/data" }]);
    store["spec"]["volumeClaimTemplates"] = json!([{
        "metadata": { "name": "data" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } },
        },
    }]);
    cluster.create(name, &store);

    // Names and flags.
    copy("deploy/web-deployment", &["Me"]).code(2).stderr_has("lower-case letters");
    let long = "a".repeat(49);
    copy("deploy/web-deployment", &[&long]).code(1).stderr_has("has 64 characters");
    for flags in [
        &["empty", "deploy/web-deployment", "--fresh-volumes"][..],
        &["empty", "--all", "--copy", "me"],
        &["empty", "deploy/web-deployment", "--copy", "me", "--level", "pod"],
        &["empty", "deploy/web-deployment", "--copy", "me", "-o", "patch"],
        &["empty", "deploy/web-deployment", "--copy", "me", "--replicas", "2"],
    ] {
        cluster.run(flags).code(2);
    }

    // Kinds and volumes.
    copy("pod/web-pod", &["me"]).code(1).stderr_has("a Pod has no pod template");
    let refused = copy("sts/store", &["me"]).code(1).stderr_has("volumes of its own (data)");
    refused.stderr_has("--fresh-volumes");
    copy("sts/store", &["me", "--fresh-volumes"]).code(0);
    let volumes = pod_of(&stored(&cluster, name, "deployment/store-me"))["volumes"].clone();
    assert_eq!(volumes, json!([{ "name": "data", "emptyDir": {} }]));
    copy("cronjob/web-cronjob", &["me"]).code(0).stderr_has("a copy of cronjob/web-cronjob");
    let job = stored(&cluster, name, "deployment/web-cronjob-me");
    assert_eq!(pod_of(&job)["restartPolicy"], "Always");
    copy("ds/web-daemonset", &["me"]).code(0).stderr_has("a copy of daemonset/web-daemonset");

    // A Deployment of that name that is another one's.
    cluster.create(name, &workload("Deployment", "web-deployment-me"));
    let foreign = stored(&cluster, name, "deployment/web-deployment-me");
    let refused = copy("deploy/web-deployment", &["me"]).code(1);
    refused.stderr_has("is there already, and is no copy of deployment/web-deployment");
    // Labels alone make no copy of it, which a restore would delete.
    for key in [COPY, COPY_OF] {
        let label = format!("{key}=x");
        cluster.kubectl(&["-n", name, "label", "deploy/web-deployment-me", &label], "");
    }
    cluster.run(&["restore", "--all", "--wait=false"]).code(0).stderr_has("store-me deleted");
    let now = stored(&cluster, name, "deployment/web-deployment-me");
    assert_eq!(now["spec"], foreign["spec"]);

    // Its original was deleted without its dependents, and created again.
    copy("sts/store", &["me", "--fresh-volumes"]).code(0);
    cluster.kubectl(&["-n", name, "delete", "sts/store", "--cascade=orphan"], "");
    cluster.create(name, &store);
    let refused = copy("sts/store", &["me", "--fresh-volumes"]).code(1);
    refused.stderr_has("deployment/store-me is a copy of an earlier statefulset/store");
    cluster.run(&["restore", "deploy/store-me", "--wait=false"]).code(0);

    // Rules that leave it alone.
    fs::write(folder.join("rules.yaml"), "rules: [{match: {names: [\"web-*\"]}, empty: false}]\n")
        .unwrap();
    let refused = copy("deploy/web-deployment", &["you", "--rules", "rules.yaml"]).code(1);
    refused.stderr_has("rule 1 of --rules opts it out");
    assert!(!is_there(&cluster, name, "deployment/web-deployment-you"));
}

#[test]
fn copies_that_the_cluster_refuses_are_explained_and_deleted() {
    let cluster = require!(Workspace::new("copy-quota"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &workload("Deployment", "web"));
    let empty = ["empty", "deploy/web", "--copy", "me"];
    let is_gone = || !is_there(&cluster, name, "deployment/web-me");

    // Without the right to create it.
    let rules = json!([{
        "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "patch"],
    }]);
    let narrow = user(&cluster, folder, name, &rules);
    let denied = cluster.run(&[&empty[..], &["--kubeconfig", &narrow]].concat()).code(3);
    let denied = denied.stderr_has("You may not create deployments.apps in namespace");
    denied.stderr_has(&format!("`diyadm rights --for developer -n {name} -o yaml`"));

    // Its Pod does not start.
    let mut pulled = workload("Deployment", "pulled");
    pulled["spec"]["template"]["spec"]["schedulerName"] = "nobody".into();
    cluster.create(name, &pulled);
    let args = ["empty", "deploy/pulled", "--copy", "me"];
    let stuck = run(&cluster, folder, name, &args, &unpulled).code(1);
    stuck.stderr_has("cannot be pulled").stderr_has("Delete it with `diyadm restore deployment/");
    run(&cluster, folder, name, &["restore", "deploy/pulled-me"], &unpulled).code(0);
    let args = [&args[..], &["--rollback"]].concat();
    let rolled = run(&cluster, folder, name, &args, &unpulled).code(1);
    rolled.stderr_has("cannot be pulled").stderr_has("It was deleted.");
    assert!(!is_there(&cluster, name, "deployment/pulled-me"));

    // Quotas for its Pod, and for itself.
    let quota = |quota: &str, resource: &str, used: &str| {
        let hard = format!("--hard={resource}=0");
        cluster.kubectl(&["-n", name, "create", "quota", quota, &hard], "");
        wait_until("the quota is known", || {
            cluster.get(name, &format!("quota/{quota}"))["status"]["used"][resource] == used
        });
    };
    quota("pods", "pods", "0");
    let refused = cluster.run(&empty).code(1).stderr_has("a quota does not allow the Pod");
    refused.stderr_has("It was deleted.");
    assert!(is_gone());
    cluster.kubectl(&["-n", name, "delete", "quota", "pods"], "");
    quota("deployments", "count/deployments.apps", "2");
    cluster.run(&empty).code(1).stderr_has("A quota does not allow it (403)");
    assert!(is_gone());
}

/// The original goes away between the first request and the last one.
#[test]
fn copy_outlives_a_lost_answer_and_not_its_original() {
    let cluster = require!(Workspace::new("copy-faults"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &workload("Deployment", "web"));
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let create = format!("POST /apis/apps/v1/namespaces/{name}/deployments");
    let args = ["empty", "deploy/web", "--wait=false", "-n", name, "--copy"];
    let post = create.clone();
    let lost = move |_, request: &str| if request.starts_with(&post) { Lose } else { Pass };
    let (made, _) = proxy.run(folder, &[&args[..], &["lost"]].concat(), lost);
    made.code(0).stderr_has("deployment/web-lost created, a copy of deployment/web");

    let mut delete = cluster.kubectl_command(&["-n", name, "delete", "deployment/web"]);
    delete.arg("--cascade=orphan");
    let delete = std::sync::Mutex::new(delete);
    let deleted = move |_, request: &str| {
        if request.starts_with(&create) {
            assert!(delete.lock().unwrap().output().unwrap().status.success());
        }
        Pass
    };
    let (late, _) = proxy.run(folder, &[&args[..], &["late"]].concat(), deleted);
    late.code(1)
        .stderr_has("deployment/web was deleted meanwhile, and deployment/web-late with it");
    assert!(!is_there(&cluster, name, "deployment/web-late"));
}

/// In a labelled namespace the copy is empty already, and stays as it is.
#[test]
fn webhook_leaves_a_copy_as_it_is() {
    let cluster = require!(cluster());
    let name = "copy-webhook";
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let run = |args: &[&str]| {
        cluster.diyadm(watched.folder.path(), &[args, &["-n", name, "--wait=false"]].concat())
    };
    cluster.create(name, &workload("Deployment", "web"));
    assert!(diyadm::workload::is_emptied(&cluster.get(name, "deployment/web").to_string()));
    let made = run(&["empty", "deploy/web", "--copy", "me", "--image", "keep", "-o", "json"]);
    let made = made.code(0).stderr_has("deployment/web-me created, a copy of deployment/web");
    assert!(!made.stderr.contains("warning") && !made.stderr.contains("! "), "{}", made.stderr);
    let copy = result(&made);
    assert_eq!(pod_of(&copy)["containers"][0]["image"], "app:1");
    let original = copy["metadata"]["annotations"][ORIGINAL].clone();
    // A later update of it stays empty, too.
    cluster.kubectl(&["-n", name, "rollout", "restart", "deploy/web-me"], "");
    let now = cluster.get(name, "deployment/web-me");
    assert_eq!(now["metadata"]["annotations"][ORIGINAL], original);
    assert_eq!(pod_of(&now), pod_of(&copy));
    run(&["restore", "deploy/web-me"]).code(0).stderr_has("deployment/web-me deleted");
    assert!(!is_there(&cluster, name, "deployment/web-me"));
    assert!(diyadm::workload::is_emptied(&cluster.get(name, "deployment/web").to_string()));
}
