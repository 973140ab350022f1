//! A webhook that fails for a controller, where no user sees it: `check` reads the controller's
//! event.

use serde_json::{Value, json};

use super::configuration;
use crate::rig::{Workspace, wait_until};

#[test]
fn check_reads_the_event_of_a_failing_webhook() {
    let cluster = require!(Workspace::new("failing-events"));
    let (name, folder) = (cluster.name, cluster.folder());
    let label = format!("{name}=enabled");
    let names = ["-o", "json", "-n", name, "--service", name, "--label", &label];
    let event = |what: &str| {
        let run = cluster.diyadm(folder, &[&["check"], &names[..]].concat());
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let mut all = report["findings"].as_array().unwrap().iter();
        all.find(|f| f["id"] == "events" && f.to_string().contains(what)).cloned()
    };
    assert_eq!(event("no event reports").unwrap()["level"], "ok");

    // Nobody listens there: port 1 takes root, and no service of today has it.
    let client = json!({ "url": "https://127.0.0.1:1/mutating-pods" });
    let mut pods = configuration(name, "Fail", &client);
    let rule = &mut pods["webhooks"][0]["rules"][0];
    rule["apiGroups"] = json!([""]);
    rule["resources"] = json!(["pods"]);
    rule["operations"] = json!(["CREATE"]);
    cluster.kubectl(&["create", "-f", "-"], &pods.to_string());
    // The Deployment is taken as it is; its ReplicaSet gets no Pod, now and whenever it tries.
    let deployment = diyadm::webhook::manifests::test_deployment(name).unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = json!({ "name": "test", "namespace": name });
    wait_until("the API server calls the webhook", || {
        let create = ["create", "--dry-run=server", "-f", "-"];
        cluster.try_kubectl(&create, &pod.to_string()).stderr.contains("failed calling webhook")
    });
    cluster.kubectl(&["create", "-f", "-"], &deployment.to_string());
    let mut seen = Value::Null;
    wait_until("the controller's event is told of", || {
        seen = event("an event of replicaset/test-").unwrap_or_default();
        !seen.is_null()
    });
    assert_eq!(seen["level"], "warning", "it may be over by now");
    assert!(seen.to_string().contains("nothing listens at the webhook's address"), "{seen}");
    let hint = format!("`kubectl -n {name} ");
    assert!(seen["hint"].as_str().unwrap().contains(&hint), "{seen}");
    let raw = cluster.kubectl(&["-n", name, "get", "events", "-o", "json"], "");
    assert!(raw.contains("failed calling webhook"), "made by the controller itself: {raw}");

    // The same of a webhook that someone else put there: nothing of diyadm's mends that.
    let others = cluster.name("failing-others");
    pods["metadata"]["name"] = others.into();
    pods["webhooks"][0]["name"] = "others.example.org".into();
    let _others = cluster.unmade(others);
    cluster.kubectl(&["create", "-f", "-"], &pods.to_string());
    cluster.kubectl(&["delete", "mutatingwebhookconfigurations", name], "");
    cluster.kubectl(&["-n", name, "scale", "deployment", "test", "--replicas=3"], "");
    wait_until("the other webhook's event is told of", || {
        seen =
            event("another webhook, others.example.org, could not be called").unwrap_or_default();
        !seen.is_null()
    });
    assert!(!seen["hint"].as_str().unwrap().contains("diyadm"), "{seen}");
}
