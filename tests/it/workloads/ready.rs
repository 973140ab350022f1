//! `--ready app`: an emptied Pod is in its Services only while an application runs in it and the
//! workload's own readiness probe succeeds.

use serde_json::{Value, json};

use crate::rig::{Node, Run, node, wait_until};

/// Serves /up on port 8080, once there is such a file.
const SERVE: &str = "mkdir -p /tmp/www && exec httpd -f -p 8080 -h /tmp/www";

fn workload(kind: &str, spec: &Value) -> Value {
    let container = json!({
        "name": "app",
        "image": "busybox:rig",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", format!("mkdir -p /tmp/www; echo up > /tmp/www/up; {SERVE}")],
        "ports": [{ "name": "web", "containerPort": 8080 }],
        "readinessProbe": { "httpGet": { "path": "/up", "port": "web" }, "periodSeconds": 1 },
    });
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": "shop" },
        "spec": {
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop" } },
                "spec": { "containers": [container], "terminationGracePeriodSeconds": 1 },
            },
        },
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

struct Shop<'a> {
    node: &'a Node,
    namespace: &'a str,
    kind: &'a str,
    folder: tempfile::TempDir,
}

impl Shop<'_> {
    fn diyadm(&self, verb: &str, more: &[&str]) -> Run {
        let target = format!("{}/shop", self.kind);
        let args = [&[verb, "-n", self.namespace, &target], more].concat();
        self.node.diyadm(self.folder.path(), &args)
    }

    fn object(&self) -> Value {
        self.node.get(self.namespace, &format!("{}/shop", self.kind))
    }

    /// The one Pod that is not being deleted.
    fn pod(&self) -> Value {
        let pods = self.node.get(self.namespace, "pods");
        let lives = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let pods: Vec<_> = pods["items"].as_array().unwrap().iter().filter(lives).collect();
        assert_eq!(pods.len(), 1, "{pods:#?}");
        pods[0].clone()
    }

    fn is_ready(&self) -> bool {
        self.pod()["status"]["containerStatuses"][0]["ready"] == true
    }

    /// Whether the Service has an address that requests go to.
    fn is_served(&self) -> bool {
        let slices = self.node.get(self.namespace, "endpointslices");
        let mut endpoints = slices["items"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
        endpoints.any(|endpoint| endpoint["conditions"]["ready"] == true)
    }
}

/// Empties `object` from the client, runs an application in it, stops that, and restores.
fn goes_in_and_out(kind: &str, object: &Value, namespace: &str) {
    let node = require!(node());
    let name = node.name(namespace);
    let _namespace = node.namespace(name);
    node.load(&["busybox", "agent"]);
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "shop" },
        "spec": { "selector": { "app": "shop" }, "ports": [{ "port": 80, "targetPort": "web" }] },
    });
    node.create(name, object);
    node.create(name, &service);
    let shop = Shop { node: &node, namespace: name, kind, folder: tempfile::tempdir().unwrap() };
    wait_until("the application serves", || shop.is_served());
    let before = shop.object();

    // The rollout ends although the new Pod is not Ready, and no old Pod stays.
    let empty = shop.diyadm("empty", &["--image", "keep", "--ready", "app"]).code(0);
    empty.stderr_has("1 of 1 Pods run; 1 is not ready, and not called by Services");
    let pod = shop.pod();
    assert!(pod["status"]["containerStatuses"][0]["state"]["running"].is_object());
    assert!(!shop.is_ready());
    wait_until("the Service has no address", || !shop.is_served());

    // An application that does not answer the workload's probe does not make it Ready.
    let run = |script: &str| {
        shop.diyadm("run", &["--detach", "--replace", "--", "sh", "-c", script]).code(0);
    };
    run(SERVE);
    let event = || node.kubectl(&["-n", name, "get", "events"], "");
    wait_until("the probe reports 404", || event().contains("answered 404"));
    assert!(!shop.is_ready());
    run(&format!("mkdir -p /tmp/www; echo up > /tmp/www/up; {SERVE}"));
    wait_until("the Pod is Ready", || shop.is_ready() && shop.is_served());
    shop.diyadm("stop", &[]).code(0);
    wait_until("the Pod is not Ready any more", || !shop.is_ready() && !shop.is_served());
    assert!(event().contains("No application runs"), "{}", event());
    assert_eq!(shop.pod()["status"]["containerStatuses"][0]["restartCount"], 0);

    shop.diyadm("restore", &[]).code(0);
    let after = shop.object();
    assert_eq!(after["spec"], before["spec"]);
    wait_until("the application serves again", || shop.is_served());
}

#[test]
fn deployment_is_ready_only_while_its_application_answers() {
    goes_in_and_out("deploy", &workload("Deployment", &json!({ "replicas": 1 })), "ready-deploy");
}

#[test]
fn daemon_set_is_ready_only_while_its_application_answers() {
    let mut object = workload("DaemonSet", &json!({}));
    // Its controller knows nothing of the namespace's default tolerations.
    object["spec"]["template"]["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
    goes_in_and_out("ds", &object, "ready-ds");
}

#[test]
fn stateful_set_is_ready_only_while_its_application_answers() {
    let spec = json!({ "replicas": 1, "serviceName": "shop" });
    goes_in_and_out("sts", &workload("StatefulSet", &spec), "ready-sts");
}
