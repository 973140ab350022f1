//! Copies whose Pods run: beside a workload whose Pods a webhook empties, with a stand-in.

use diyadm::workload::{COPY, is_emptied_pod};
use serde_json::{Value, json};

use super::on_node::{serve, shop};
use crate::{
    rig::{node, wait_until},
    workloads::with_webhook::WebhookNamespace,
};

#[test]
fn copy_with_a_stand_in_gets_no_traffic_and_ends_with_its_original() {
    let node = require!(node());
    let name = node.name("stand-in-copy");
    node.load(&["busybox", "agent", "empty-container"]);
    let watched = WebhookNamespace::new(&node, name, &["--level", "pod"]);
    node.tolerate(name);
    let diyadm = |args: &[&str]| {
        let args = [&args[..1], &["-n", name], &args[1..]].concat();
        node.diyadm(watched.folder.path(), &args)
    };
    let pods = |is_of_copy: bool| {
        let pods = node.get(name, "pods")["items"].take();
        let mut pods = pods.as_array().unwrap().clone();
        pods.retain(|pod| {
            let metadata = &pod["metadata"];
            metadata["deletionTimestamp"].is_null()
                && metadata["labels"][COPY].is_string() == is_of_copy
        });
        pods
    };
    let addresses = || {
        let slices = node.get(name, "endpointslices");
        let endpoints = slices["items"].as_array().unwrap().iter();
        let endpoints =
            endpoints.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        endpoints.map(|endpoint| endpoint["addresses"][0].clone()).collect::<Vec<_>>()
    };
    let address = |pod: &Value| pod["status"]["podIP"].clone();
    let get = ["wget", "-qO-", "http://127.0.0.1:8080/up"];
    let answer = || {
        let exec = ["-n", name, "exec", "deploy/shop-me", "-c", "app", "--"];
        node.try_kubectl(&[&exec[..], &get].concat(), "").stdout.trim().to_owned()
    };
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop" },
        "spec": { "selector": { "app": "shop" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    node.create(name, &service);
    node.create(name, &shop());
    node.wait(name, "deployment/shop", "condition=Available");
    let original = node.get(name, "deployment/shop");
    assert!(pods(false).iter().all(|pod| is_emptied_pod(&pod.to_string())), "by the webhook");

    let made = diyadm(&["empty", "deploy/shop", "--copy", "me", "--stand-in"]).code(0);
    made.stderr_has("deployment/shop-me created, a copy of deployment/shop");
    assert_eq!(answer(), "own");
    let mine = "diyadm.io/copy=me";
    let ready = node.kubectl(&["-n", name, "get", "pods", "-l", mine, "-o", "name"], "");
    assert_eq!(ready.lines().count(), 1);
    wait_until("only the original has traffic", || {
        addresses() == pods(false).iter().map(address).collect::<Vec<_>>()
    });
    assert_eq!(
        node.get(name, "deployment/shop")["metadata"]["generation"],
        original["metadata"]["generation"]
    );

    // All commands take it, and the stand-in comes back.
    let script = serve("mine");
    diyadm(&["run", "deploy/shop-me", "--detach", "--", "sh", "-c", &script]).code(0);
    wait_until("the developer's application answers", || answer() == "mine");
    diyadm(&["stop", "deploy/shop-me"]).code(0);
    wait_until("the stand-in answers again", || answer() == "own");

    // The original's Pods are restored meanwhile.
    let copy = pods(true)[0]["metadata"]["uid"].clone();
    diyadm(&["restore", "deploy/shop"]).code(0);
    assert!(pods(false).iter().all(|pod| !is_emptied_pod(&pod.to_string())));
    wait_until("only the original has traffic", || {
        addresses() == pods(false).iter().map(address).collect::<Vec<_>>()
    });
    assert_eq!((answer(), &pods(true)[0]["metadata"]["uid"]), ("own".to_owned(), &copy));

    // Nothing stays behind the original.
    node.kubectl(&["-n", name, "delete", "deployment/shop", "--wait=false"], "");
    wait_until("the copy is gone with its Pod", || {
        node.kubectl(&["-n", name, "get", "deployments,pods", "-o", "name"], "").is_empty()
    });
    diyadm(&["run", "deploy/shop-me", "--", "true"]).code(1).stderr_has("no deployment shop-me");
}
