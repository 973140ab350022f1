//! The effect of an empty workload on clients of its Services.

use serde_json::Value;

use crate::{
    kinds::{self, Kind},
    webhook::checks::Finding,
    workload::Ready,
};

/// A finding for each Service in `around` that sends requests to the workload's Pods and to one of
/// the `emptied` containers; an empty list means any container. `replicas`: the number while it is
/// empty, `None` for kinds without replicas. `ready`: when its emptied Pods are ready.
pub fn findings(
    workload: &Value,
    around: &[Value],
    emptied: &[String],
    replicas: Option<u64>,
    ready: Ready,
) -> Vec<Finding> {
    let of_it = around.iter().filter(|one| one["kind"] == "Service");
    of_it.filter_map(|service| finding(workload, service, emptied, replicas, ready)).collect()
}

fn finding(
    workload: &Value,
    service: &Value,
    emptied: &[String],
    replicas: Option<u64>,
    ready: Ready,
) -> Option<Finding> {
    let kind = kinds::find(workload["apiVersion"].as_str()?, workload["kind"].as_str()?)?;
    let selector = service["spec"]["selector"].as_object().filter(|labels| !labels.is_empty())?;
    let labels = workload.pointer(&format!("{}/metadata/labels", kind.template()))?;
    if !selector.iter().all(|(key, value)| labels[key] == *value) {
        return None;
    }
    let ports = service["spec"]["ports"].as_array()?;
    let unanswered = ports.iter().filter(|port| is_of(workload, kind, port, emptied));
    let unanswered: Vec<_> =
        unanswered.filter_map(|port| Some(port["port"].as_u64()?.to_string())).collect();
    if unanswered.is_empty() {
        return None;
    }
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let port = if unanswered.len() == 1 { "port" } else { "ports" };
    let (pods, stay, are) = match replicas {
        Some(0) => return None,
        Some(1) => ("its replica".to_owned(), "stays", "is"),
        Some(count) => (format!("its {count} replicas"), "stay", "are"),
        None => ("its Pods".to_owned(), "stay", "are"),
    };
    if ready == Ready::App {
        let seen = format!(
            "Service {name} sends no requests to it: {pods} {are} not ready until an application \
             is started there"
        );
        return Some(Finding::ok("service", seen));
    }
    let seen = format!(
        "Service {name} sends requests to it: {pods} {stay} ready, and connections to {port} {} \
         are refused until an application is started there",
        unanswered.join(", ")
    );
    Some(Finding::warning(
        "service",
        seen,
        "`diyadm empty … --ready app` keeps idle Pods out of Services; or start one with `diyadm run`.",
    ))
}

/// Whether a port of a Service leads to one of these containers, by the containers' declared ports:
/// a port number that no container declares may belong to any.
fn is_of(workload: &Value, kind: &Kind, port: &Value, emptied: &[String]) -> bool {
    let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
    let pointer = format!("{}/spec/containers", kind.template());
    let containers = workload.pointer(&pointer).and_then(Value::as_array);
    let declares = |container: &&Value| {
        let ports = container["ports"].as_array();
        ports
            .into_iter()
            .flatten()
            .any(|own| own["containerPort"] == *target || own["name"] == *target)
    };
    let owner = containers.into_iter().flatten().find(declares);
    let Some(owner) = owner.and_then(|owner| owner["name"].as_str()) else { return true };
    emptied.is_empty() || emptied.iter().any(|name| name == owner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
            "spec": { "template": {
                "metadata": { "labels": { "app": "web", "tier": "front" } },
                "spec": { "containers": [
                    { "name": "app", "ports": [{ "containerPort": 8080, "name": "http" }] },
                    { "name": "side", "ports": [{ "containerPort": 9090 }] },
                ] },
            } },
        })
    }

    fn service(selector: &Value, ports: &Value) -> Value {
        json!({
            "kind": "Service", "metadata": { "name": "web" },
            "spec": { "selector": selector, "ports": ports },
        })
    }

    #[test]
    fn services_of_a_workload_are_found_by_labels_and_ports() {
        let app = json!({ "app": "web" });
        let http = json!([{ "port": 80, "targetPort": "http" }]);
        for (selector, ports, expected) in [
            (&app, &http, Some("port 80 ")),
            (&app, &json!([{ "port": 8080 }]), Some("port 8080 ")),
            // It may belong to any container.
            (&app, &json!([{ "port": 7, "targetPort": 7777 }]), Some("port 7 ")),
            (&app, &json!([{ "port": 9, "targetPort": 9090 }]), None),
            (
                &app,
                &json!([{ "port": 80, "targetPort": 8080 }, { "port": 443, "targetPort": "http" }]),
                Some("ports 80, 443 "),
            ),
            (&json!({ "app": "web", "tier": "back" }), &http, None),
            (&json!({}), &http, None),
            (&Value::Null, &http, None),
        ] {
            let around = [service(selector, ports)];
            let found =
                findings(&workload(), &around, &["app".to_owned()], Some(3), Ready::Container);
            let seen = found.first().map(|finding| finding.seen.as_str());
            assert_eq!(seen.is_some(), expected.is_some(), "{selector} {ports}");
            assert!(
                seen.is_none_or(|seen| seen.contains(expected.unwrap_or_default())),
                "{seen:?}"
            );
        }
        let around = [service(&app, &http)];
        let seen = |replicas, ready| {
            let found = findings(&workload(), &around, &[], replicas, ready);
            found.first().map(|finding| finding.seen.clone())
        };
        let idle = Ready::Container;
        assert!(seen(Some(3), idle).unwrap().contains("its 3 replicas stay ready"));
        assert!(seen(Some(1), idle).unwrap().contains("its replica stays ready"));
        assert!(seen(Some(1), Ready::App).unwrap().contains("its replica is not ready"));
        assert_eq!(seen(Some(0), idle), None, "nobody is called");
    }
}
