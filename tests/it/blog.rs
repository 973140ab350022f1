//! The blog, in its order, with diyadm's commands in place of each of its steps, on a cluster whose
//! API server is a static Pod.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use super::rig::{Held, Run, java, node, wait_until};

const PLUGINS: &str = "NodeRestriction,MutatingAdmissionWebhook,ValidatingAdmissionWebhook";

#[test]
fn the_whole_blog() {
    let Some(beside) = node() else { return };
    if !java() {
        return;
    }
    let cluster = Held::up(&beside, &["--static-apiserver"]);
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| cluster.diyadm(folder.path(), args);
    cluster.load(&["webhook", "empty-container", "jre"]);

    // vim /etc/kubernetes/manifests/kube-apiserver.yaml
    let manifest = cluster.folder().join("node/manifests/kube-apiserver.yaml");
    let manifest = manifest.to_str().unwrap();
    let check = ["check", "--manifest", manifest];
    let found = run(&check).code(0);
    assert!(found.stdout.contains("! MutatingAdmissionWebhook is not named"), "{}", found.stdout);
    let before = apiserver(&cluster);
    run(&[&check[..], &["--fix"]].concat()).code(0);
    let found = run(&check).code(0);
    assert!(!found.stdout.contains('!'), "{}", found.stdout);
    // The kubelet restarts it, as the blog sees with `kubectl get pods -n kube-system`.
    wait_until("the API server's restart", || apiserver(&cluster) != before);
    wait_until("the API server", || {
        cluster.try_kubectl(&["get", "--raw=/readyz"], "").code == Some(0)
    });
    let flags = apiserver(&cluster);
    assert!(flags.contains(&format!("--enable-admission-plugins={PLUGINS}\0")), "{flags:?}");

    // predeploy.sh, webhook.yaml and its caBundle, kubectl apply; then test.yaml and its image.
    run(&["install"]).code(0).stderr_has("start empty");
    run(&["verify"]).code(0);
    let checked = run(&["check", "-o", "json"]).code(0);
    assert!(!checked.stdout.contains("\"failed\""), "{}", checked.stdout);

    // What is created there starts empty: to the blog's image, or in its own.
    let twins = cluster.unmade("twins");
    cluster.kubectl(&["create", "namespace", "twins"], "");
    let objects = [shop(), store()];
    for object in &objects {
        for namespace in ["test", "twins"] {
            cluster.kubectl(&["-n", namespace, "create", "-f", "-"], &object.to_string());
        }
    }
    cluster.kubectl(&["-n", "twins", "scale", "--replicas=0", "deploy/shop", "sts/store"], "");
    cluster.wait("test", "deployment/shop", "condition=Available");
    cluster.wait("test", "statefulset/store", "jsonpath={.status.readyReplicas}=1");
    let image = |what: &str| cluster.get("test", what)["spec"]["template"]["spec"].clone();
    assert_eq!(image("deploy/shop")["containers"][0]["image"], "jre:rig");
    assert_eq!(image("sts/store")["containers"][0]["image"], "empty-container:latest");

    // A small Linux: java -jar, stop, start, as often as one likes.
    let jar = jar(folder.path());
    run(&["-n", "test", "sync", &jar, "deploy/shop:/tmp/"]).code(0);
    let java =
        ["run", "-n", "test", "deploy/shop", "--detach", "--", "java", "-jar", "/tmp/hello.jar"];
    run(&java).code(0);
    let pod = cluster.get("test", "pods")["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pod| pod["metadata"]["labels"]["app"] == "shop")
        .unwrap()
        .clone();
    let address = format!("{}:8080", pod["status"]["podIP"].as_str().unwrap());
    let says_hello = || get(&address).is_ok_and(|answer| answer.ends_with("hello\n"));
    wait_until("hello", says_hello);
    run(&["stop", "-n", "test", "deploy/shop"]).code(0);
    assert!(TcpStream::connect(&address).is_err(), "stopped is stopped");
    run(&java).code(0);
    wait_until("hello again", says_hello);
    run(&["restart", "-n", "test", "deploy/shop"]).code(0);
    wait_until("hello once more", says_hello);
    // Its first process is no child of anything in it: `shell` comes from outside and goes again.
    let shell = ["shell", "-n", "test", "sts/store", "--", "sh", "-c", "echo in $HOSTNAME"];
    assert_eq!(run(&shell).code(0).stdout, "in store-0\n");
    let pods = cluster.get("test", "pods");
    for pod in pods["items"].as_array().unwrap() {
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod}");
    }
    let logs = cluster.kubectl(&["-n", "test", "logs", "deploy/shop"], "");
    assert_eq!(logs.matches("hello is listening\n").count(), 3, "{logs}");

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
}

/// The command line of the running API server.
fn apiserver(cluster: &Held) -> String {
    let folder = cluster.folder().display().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let lines = processes.filter_map(|process| {
        let line = String::from_utf8(fs::read(process.join("cmdline")).ok()?).ok()?;
        Some(format!("{} {line}", process.display()))
    });
    let mut lines =
        lines.filter(|line| line.contains("kube-apiserver\0") && line.contains(&folder));
    lines.next().unwrap_or_default()
}

/// A Java service: its image has what `java -jar` takes, so it is kept.
fn shop() -> Value {
    let mut shop = workload("Deployment", "shop", "jre:rig");
    shop["metadata"]["annotations"] =
        json!({ "diyadm.io/image": "keep", "diyadm.io/idle": "agent" });
    shop
}

/// What nobody has a word to say about, as the blog's.
fn store() -> Value {
    let mut store = workload("StatefulSet", "store", "knative:latest");
    store["spec"]["serviceName"] = "store".into();
    store
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

/// hello.jar, as a build makes it.
fn jar(folder: &Path) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/java/Hello.java");
    let jar = folder.join("hello.jar").display().to_string();
    let classes = folder.join("classes").display().to_string();
    Run::of(Command::new("javac").args(["-d", &classes, source]), "").code(0);
    let make = ["--create", "--file", &jar, "--main-class", "Hello", "-C", &classes, "."];
    Run::of(Command::new("jar").args(make), "").code(0);
    jar
}

/// The answer to a GET of `/`.
fn get(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
