//! The webhook's own Pods, and those that idle by the agent, under the restricted Pod Security profile,
//! enforced by a real API server.

use serde_json::{Value, json};

use super::{
    rig::{Workspace, diyadm, processes, wait_until},
    serve::certificates,
};

#[test]
fn rendered_server_pod_is_admitted_as_restricted() {
    let cluster = require!(Workspace::new("restricted"));
    let name = cluster.name;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    let version = "pod-security.kubernetes.io/enforce-version=latest";
    cluster.kubectl(&["label", "namespace", name, enforce, version], "");
    wait_until("the controllers have made the service account", || {
        let account = ["-n", name, "get", "serviceaccount", "default", "--ignore-not-found"];
        !cluster.kubectl(&account, "").is_empty()
    });
    let certs = certificates(name, name);
    let names = ["-n", name, "--service", name, "--ca", "ca.crt", "-o", "json"];
    let list = diyadm(certs.path(), &[&["render"], &names[..]].concat()).code(0).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array().unwrap();
    let deployment = items.iter().find(|item| item["kind"] == "Deployment").unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "webhook".into();
    pod["metadata"]["namespace"] = name.into();
    // Not a dry run: stored, and so by all of admission.
    cluster.kubectl(&["create", "-f", "-"], &pod.to_string());
    let stored = cluster.get(name, "pod/webhook");
    assert_eq!(stored["spec"]["automountServiceAccountToken"], false);
    let text = stored.to_string();
    assert!(!text.contains("kube-api-access"), "no token in it: {text}");

    // That this says something: each of these is refused.
    for (pointer, value) in [
        ("/spec/securityContext/runAsNonRoot", json!(false)),
        ("/spec/securityContext/seccompProfile", Value::Null),
        ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/spec/containers/0/securityContext/capabilities", Value::Null),
    ] {
        let mut lax = pod.clone();
        *lax.pointer_mut(pointer).expect("the template sets it") = value;
        lax["metadata"]["name"] = "lax".into();
        let run = cluster.try_kubectl(&["create", "-f", "-"], &lax.to_string());
        run.code(1).stderr_has("violates PodSecurity \"restricted:latest\"");
    }
}

/// The application's image names a user by number, and so does the agent's, so that the Pod needs not.
#[test]
fn pod_emptied_with_the_agent_is_restricted_without_run_as_user() {
    let node = require!(Workspace::on_node("restricted-agent"));
    let (name, folder) = (node.name, node.folder());
    node.load(&["agent"]);
    let level = "pod-security.kubernetes.io/enforce=restricted";
    node.kubectl(&["label", "namespace", name, level], "");
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "terminationGracePeriodSeconds": 1, "containers": [{
                    "name": "web",
                    "image": "diyadm-agent:latest",
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["--grace", "1"],
                    "securityContext": {
                        "runAsNonRoot": true,
                        "allowPrivilegeEscalation": false,
                        "capabilities": { "drop": ["ALL"] },
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                }] },
            },
        },
    });
    node.create(name, &deployment);
    node.wait(name, "deployment/web", "condition=Available");
    // OpenShift assigns a user of the namespace's own range.
    let mut assigned = deployment.clone();
    assigned["metadata"]["name"] = "assigned".into();
    for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        *assigned.pointer_mut(labels).unwrap() = json!({ "app": "assigned" });
    }
    let container = assigned.pointer_mut("/spec/template/spec/containers/0").unwrap();
    container["securityContext"]["runAsUser"] = 1_000_680_000.into();
    node.create(name, &assigned);
    let agent = ["empty", "deploy/assigned", "--image", "keep", "--idle", "agent", "-n", name];
    node.diyadm(folder, &agent).code(0);
    let run = ["run", "deploy/assigned", "-n", name, "--", "/.diyadm/diyadm-agent", "--version"];
    node.diyadm(folder, &run).code(0);
    let ways = ["deploy/web", "--image", "keep", "--idle", "agent"];
    let plan = [&["plan"], &ways[..], &["-n", name]].concat();
    let plan = node.diyadm(folder, &plan).code(0);
    assert!(!plan.stdout.contains("must not run as root"), "{}", plan.stdout);
    node.diyadm(folder, &[&["empty"], &ways[..], &["-n", name]].concat()).code(0);
    let pods = ["-n", name, "get", "pods", "-l", "app=web", "-o", "name"];
    let mut pod = String::new();
    wait_until("the emptied Pod is the only one", || {
        pod = node.kubectl(&pods, "").trim().to_owned();
        !pod.contains('\n') && node.get(name, &pod)["spec"]["initContainers"].is_array()
    });
    node.wait(name, &pod, "condition=Ready");
    let pod = node.get(name, &pod);
    assert_eq!(pod["spec"]["initContainers"][0]["image"], "diyadm-agent:latest");
    assert_eq!(processes(&pod)[0].line, "/.diyadm/diyadm-agent");
    let run = ["run", "deploy/web", "-n", name, "--", "/.diyadm/diyadm-agent", "--version"];
    let run = node.diyadm(folder, &run).code(0);
    assert!(run.stdout.starts_with("diyadm-agent "), "{}", run.stdout);
}
