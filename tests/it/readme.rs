//! The steps of the blog with diyadm's commands, then every block of the README and the book, on a
//! cluster whose API server is a static Pod.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{
    docs::{Reader, pages},
    rig::{Held, Run, helm, java, node, wait_until},
};

const PLUGINS: &str = "NodeRestriction,MutatingAdmissionWebhook,ValidatingAdmissionWebhook";

#[test]
fn readme_and_book_work_word_for_word() {
    let beside = require!(node());
    require!(java());
    let helm = require!(helm());
    let cluster = Held::up(&beside, &["--static-apiserver"]);
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| cluster.diyadm(folder.path(), args);
    cluster.load(&["webhook", "empty-container", "agent", "jre"]);

    // vim /etc/kubernetes/manifests/kube-apiserver.yaml
    let manifest = cluster.folder().join("node/manifests/kube-apiserver.yaml");
    let manifest = manifest.to_str().unwrap();
    let check = ["check", "--manifest", manifest];
    let found = run(&check).code(0);
    assert!(found.stderr.contains("! MutatingAdmissionWebhook is not named"), "{}", found.stderr);
    let text = fs::read_to_string(manifest).unwrap();
    let address = text.lines().find(|line| line.contains("--bind-address=")).unwrap();
    let address = address.trim_start_matches([' ', '-']).trim();
    run(&[&check[..], &["--fix"]].concat()).code(0);
    let found = run(&check).code(0);
    assert!(found.stderr.contains("✓ MutatingAdmissionWebhook is enabled by name"));
    // The kubelet restarts it, as the blog sees with `kubectl get pods -n kube-system`.
    let named = format!("--enable-admission-plugins={PLUGINS}");
    wait_until("the API server's restart", || apiserver_has(address, &named));
    wait_until("the API server", || {
        cluster.try_kubectl(&["get", "--raw=/readyz"], "").code == Some(0)
    });

    // predeploy.sh, webhook.yaml and its caBundle, kubectl apply; then test.yaml and its image.
    run(&["install"]).code(0).stderr_has("start empty");
    run(&["verify"]).code(0);
    run(&["check"]).code(0);

    // What is created there starts empty: to the blog's image, or in its own.
    let twins = cluster.unmade("twins");
    cluster.kubectl(&["create", "namespace", "twins"], "");
    let objects = [shop(), store()];
    for object in &objects {
        for namespace in ["test", "twins"] {
            cluster.create(namespace, object);
        }
    }
    cluster.kubectl(&["-n", "twins", "scale", "--replicas=0", "deploy/shop", "sts/store"], "");
    cluster.wait("test", "deployment/shop", "condition=Available");
    cluster.wait("test", "statefulset/store", "jsonpath={.status.readyReplicas}=1");
    let image = |what: &str| cluster.get("test", what)["spec"]["template"]["spec"].clone();
    assert_eq!(image("deploy/shop")["containers"][0]["image"], "empty-container:latest");
    assert_eq!(image("sts/store")["containers"][0]["image"], "empty-container:latest");

    // A shell comes from outside.
    let shell = ["shell", "-n", "test", "sts/store", "--", "sh", "-c", "echo in $HOSTNAME"];
    assert_eq!(run(&shell).code(0).stdout, "in store-0\n");

    // And back.
    run(&["restore", "-n", "test", "deploy/shop", "sts/store", "--wait=false"]).code(0);
    cluster.kubectl(&["-n", "test", "scale", "--replicas=0", "deploy/shop", "sts/store"], "");
    for what in ["deploy/shop", "sts/store"] {
        let specs = ["test", "twins"].map(|namespace| cluster.get(namespace, what)["spec"].clone());
        assert_eq!(specs[0], specs[1], "{what}");
    }
    run(&["uninstall", "--all"]).code(0);
    let left = cluster.kubectl(&["get", "mutatingwebhookconfigurations", "-o", "name"], "");
    assert_eq!(left, "");
    let left = cluster.get("", "namespace/test");
    assert_eq!(left["metadata"]["labels"]["inject-empty-container"], json!(null));
    drop(twins);

    // The README and the pages of the book, each from its beginning.
    let mut problems = Vec::new();
    for page in pages() {
        problems.extend(read_page(&cluster, &helm, &page));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Runs a page's blocks in namespace `test`, with the workloads that every page has.
fn read_page(cluster: &Held, helm: &str, page: &Path) -> Vec<String> {
    if !Reader::has_work(page) {
        return Vec::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let reader = Reader::new(cluster, helm, folder.path(), "test");
    let namespaces = || cluster.kubectl(&["get", "namespaces", "-o", "name"], "");
    let before = namespaces();
    let everything = ["-n", "test", "delete", "deploy,sts,pods,svc,cm,secret", "--all"];
    cluster.kubectl(&everything, "");
    let mut live_store = store();
    live_store["spec"]["template"]["spec"] = shop()["spec"]["template"]["spec"].clone();
    live_store["spec"]["template"]["spec"]["containers"][0]["name"] = "store".into();
    for object in [shop(), live_store, service()] {
        cluster.create("test", &object);
    }
    jar(reader.folder());
    cluster.wait("test", "deployment/shop", "condition=Available");
    cluster.wait("test", "statefulset/store", "jsonpath={.status.readyReplicas}=1");
    let mut problems = reader.run(page);
    let webhooks = cluster.kubectl(&["get", "mutatingwebhookconfigurations", "-o", "name"], "");
    if !webhooks.is_empty() {
        problems.push(format!("{} leaves a webhook", page.display()));
        cluster.diyadm(folder.path(), &["uninstall", "--all"]).code(0);
    }
    for namespace in namespaces().lines().filter(|name| !before.contains(name)) {
        cluster.kubectl(&["delete", namespace], "");
    }
    problems
}

/// Whether the API server that listens at `address` runs with a flag.
fn apiserver_has(address: &str, flag: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let mut lines = processes.filter_map(|process| fs::read(process.join("cmdline")).ok());
    lines.any(|line| {
        let has =
            |wanted: &str| line.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes());
        has(&format!("--{address}")) && has(flag)
    })
}

/// A service whose image has a Java runtime. What is deployed in it need not be Java.
fn shop() -> Value {
    let mut shop = workload("Deployment", "shop", "jre:rig");
    let serve = "echo deployed > /tmp/index.html; exec httpd -f -p 8080 -h /tmp";
    shop["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["sh", "-c", serve]);
    shop
}

/// What nobody has a word to say about, as the blog's.
fn store() -> Value {
    let mut store = workload("StatefulSet", "store", "knative:latest");
    store["spec"]["serviceName"] = "store".into();
    store
}

/// What clients of the shop call.
fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "shop" },
        "spec": { "selector": { "app": "shop" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    })
}

fn workload(kind: &str, name: &str, image: &str) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": name,
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{ "containerPort": 8080 }],
                        "readinessProbe": { "httpGet": { "path": "/", "port": 8080 } },
                    }],
                },
            },
        },
    })
}

/// app.jar, as a build makes it.
fn jar(folder: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/java/Hello.java");
    let jar = folder.join("app.jar").display().to_string();
    let classes = folder.join("classes").display().to_string();
    Run::of(Command::new("javac").args(["-d", &classes, source]), "").code(0);
    let make = ["--create", "--file", &jar, "--main-class", "Hello", "-C", &classes, "."];
    Run::of(Command::new("jar").args(make), "").code(0);
}
