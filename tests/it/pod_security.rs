//! The webhook's own Pods under the restricted Pod Security profile, enforced by a real API server.

use serde_json::{Value, json};

use super::{
    rig::{cluster, diyadm, wait_until},
    serve::certificates,
};

#[test]
fn the_rendered_pod_is_admitted_as_restricted() {
    let Some(cluster) = cluster() else { return };
    let name = "restricted";
    let _namespace = cluster.namespace(name);
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
