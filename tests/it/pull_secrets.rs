//! Images of a registry that wants a password, pulled by the node with `--image-pull-secret`.

use std::{
    fs::{self, File},
    path::Path,
    process::Child,
};

use serde_json::{Value, json};

use super::rig::{Node, Workspace, registry, wait_for, wait_until};

const USER: &str = "tester:secret";
/// The password of [`USER`] as `htpasswd -B` writes it.
const PASSWORDS: &str = "tester:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A registry in the network of the node, where it has a loopback address: containerd asks others
/// by https only.
struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`
    address: String,
}

impl Registry {
    #[track_caller]
    fn start(node: &Node, program: &str, folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        fs::write(file("htpasswd"), PASSWORDS).unwrap();
        let configuration = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": file("registry") } },
            "auth": { "htpasswd": { "realm": "tests", "path": file("htpasswd") } },
            "http": { "addr": "127.0.0.1:0", "secret": "of tests" },
        });
        fs::write(file("registry.yml"), configuration.to_string()).unwrap();
        let log = File::create(file("registry.log")).unwrap();
        let mut command = node.in_network(program);
        command.arg("serve").arg(file("registry.yml"));
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let address = || {
            let log = fs::read_to_string(file("registry.log")).unwrap();
            let (_, rest) = log.split_once("listening on ")?;
            rest.split_once('"').map(|(address, _)| address.to_owned())
        };
        let address = wait_for("the registry listens", address, Option::is_some);
        Self { child, address: address.unwrap() }
    }

    /// Pushes images that the node has.
    #[track_caller]
    fn push(&self, node: &Node, names: &[&str]) {
        for name in names {
            let (to, from) = (self.image(name), format!("docker.io/library/{name}"));
            node.ctr(&["image", "push", "--plain-http", "--user", USER, &to, &from]);
        }
    }

    fn image(&self, name: &str) -> String {
        format!("{}/team/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pod_of(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

#[test]
fn images_are_pulled_with_the_named_secret() {
    let node = require!(Workspace::on_node("pull-secrets"));
    let program = require!(registry());
    let (name, folder) = (node.name, node.folder());
    node.load(&["webhook", "empty-container", "agent"]);
    let registry = Registry::start(&node, &program, folder);
    let names = ["admissionwebhook:latest", "empty-container:latest", "diyadm-agent:latest"];
    registry.push(&node, &names);
    let from = format!("{}/team", registry.address);

    let container = json!({
        "name": "web", "image": "diyadm-agent:latest", "imagePullPolicy": "IfNotPresent",
        "args": ["--grace", "1"],
    });
    let own = json!([{ "name": "own" }]);
    let deployment = |name: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": {
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": { "app": name } },
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "imagePullSecrets": own,
                        "containers": [container],
                    },
                },
            },
        })
    };
    node.create(name, &deployment("web"));
    node.wait(name, "deployment/web", "condition=Available");
    let empty = ["empty", "deploy/web", "-n", name, "--idle", "agent", "--registry", &from];

    // The registry refuses a pull without the password.
    node.diyadm(folder, &[&empty[..], &["--wait=false"]].concat()).code(0);
    wait_until("the pull is refused", || {
        let pods = node.kubectl(&["-n", name, "get", "pods", "-l", "app=web", "-o", "json"], "");
        pods.contains("ErrImagePull") && pods.contains("no basic auth credentials")
            || pods.contains("401 Unauthorized")
    });

    let (user, password) = USER.split_once(':').unwrap();
    let server = format!("--docker-server={}", registry.address);
    let (user, password) =
        (format!("--docker-username={user}"), format!("--docker-password={password}"));
    let secret = ["-n", name, "create", "secret", "docker-registry", "pull"];
    node.kubectl(&[&secret[..], &[&server, &user, &password]].concat(), "");
    let with_secret = [&empty[..], &["--image-pull-secret", "pull"]].concat();
    node.diyadm(folder, &with_secret).code(0);
    let emptied = node.get(name, "deploy/web");
    assert_eq!(
        pod_of(&emptied)["imagePullSecrets"],
        json!([{ "name": "own" }, { "name": "pull" }])
    );
    assert_eq!(pod_of(&emptied)["containers"][0]["image"], registry.image(names[1]));
    assert_eq!(pod_of(&emptied)["initContainers"][0]["image"], registry.image(names[2]));
    node.diyadm(folder, &["restore", "deploy/web", "-n", name]).code(0);
    assert_eq!(pod_of(&node.get(name, "deploy/web"))["imagePullSecrets"], own);

    // The webhook's own image, and the Pods that it empties; in a namespace as of OpenShift.
    let range = "openshift.io/sa.scc.uid-range=1000680000/10000";
    node.kubectl(&["annotate", "namespace", name, range], "");
    let label = format!("{name}=enabled");
    let install = ["install", "-n", name, "--service", name, "--label", &label, "--replicas", "1"];
    let images = ["--registry", &from, "--image-pull-secret", "pull"];
    node.diyadm(folder, &[&install[..], &images].concat()).code(0).stderr_has("start empty");
    let server = node.get(name, &format!("deploy/{name}"));
    assert_eq!(pod_of(&server)["imagePullSecrets"], json!([{ "name": "pull" }]));
    let security = &pod_of(&server)["securityContext"];
    assert_eq!((security.get("runAsUser"), &security["runAsNonRoot"]), (None, &json!(true)));
    node.create(name, &deployment("new"));
    node.wait(name, "deployment/new", "condition=Available");
    let new = node.get(name, "deploy/new");
    assert_eq!(pod_of(&new)["containers"][0]["image"], registry.image(names[1]));
    assert_eq!(pod_of(&new)["imagePullSecrets"], json!([{ "name": "own" }, { "name": "pull" }]));
}
