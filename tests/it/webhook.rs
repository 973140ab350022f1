//! The webhook on a real API server: Go verifies our certificate, and workloads are emptied and
//! restored.

use std::fs;

use serde_json::{Value, json};

use super::{
    rig::{Workspace, diyadm, reaching_cluster, wait_until},
    serve::{LocalWebhook, certificates},
};

#[test]
fn webhook_empties_and_restores_the_sample_workload() {
    let cluster = require!(reaching_cluster());
    let name = cluster.name("blog-there-and-back");
    let _namespace = cluster.namespace(name);
    let webhook = LocalWebhook::start(name, &[]);
    cluster.kubectl(&["apply", "-f", "-"], &webhook.render(&[]));

    let get = |what: &str| -> Value {
        let text = cluster.kubectl(&["-n", name, "get", what, "-o", "json"], "");
        serde_json::from_str(&text).unwrap()
    };
    let deployment = diyadm::webhook::manifests::test_deployment(name).unwrap();
    let mut stateful = deployment.clone();
    stateful["kind"] = "StatefulSet".into();
    stateful["spec"]["serviceName"] = "test".into();
    stateful["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["run", "/"]);

    // What the API server makes of them without a webhook.
    let mut twins = Vec::new();
    for object in [&deployment, &stateful] {
        let mut twin = object.clone();
        twin["metadata"]["annotations"] = json!({ "inject-empty-container": "disabled" });
        let made = cluster
            .kubectl(&["create", "-f", "-", "-o", "json", "--dry-run=server"], &twin.to_string());
        twins.push(serde_json::from_str::<Value>(&made).unwrap()["spec"].clone());
    }

    // A new webhook is known to every part of the API server after a moment.
    for (object, twin) in [&deployment, &stateful].into_iter().zip(twins) {
        let what = format!("{}/test", object["kind"].as_str().unwrap().to_lowercase());
        wait_until("the webhook empties it", || {
            cluster.kubectl(&["apply", "-f", "-"], &object.to_string());
            let image = &get(&what)["spec"]["template"]["spec"]["containers"][0]["image"];
            let emptied = image == "empty-container:latest";
            if !emptied {
                cluster.kubectl(&["-n", name, "delete", &what], "");
            }
            emptied
        });
        let disabled = "inject-empty-container=disabled";
        cluster.kubectl(&["-n", name, "annotate", &what, disabled], "");
        let back = get(&what);
        assert_eq!(back["spec"], twin, "{what}");
        assert!(back["metadata"]["annotations"].get("diyadm.io/original").is_none());
    }
}

#[test]
fn api_server_accepts_rendered_manifests() {
    let cluster = require!(Workspace::new("render-is-taken"));
    let (name, folder) = (cluster.name, cluster.folder());
    let certs = certificates(name, name);
    fs::copy(certs.path().join("ca.crt"), folder.join("ca.crt")).unwrap();
    let names = ["-n", name, "--service", name];
    for more in [
        &[][..],
        &["-o", "json"],
        &["--replicas", "1", "--service-type", "NodePort", "--failure-policy", "Fail"],
    ] {
        let render = [&["render", "--ca", "ca.crt"], &names[..], more].concat();
        let text = diyadm(folder, &render).code(0).stdout;
        let taken = cluster.kubectl(&["apply", "--dry-run=server", "-o", "name", "-f", "-"], &text);
        let objects = if more.contains(&"1") { 3 } else { 4 };
        assert_eq!(taken.lines().count(), objects, "{taken}");
    }
}
