//! The Service, what is behind it, and a fresh connection to that.

use serde_json::Value;

use super::{Connection, DryCreate, Finding, Observed, Subject, again_hint, own, unseen};

pub(super) fn findings(observed: &Observed, subject: &Subject) -> Vec<Finding> {
    let Subject { namespace, service, .. } = subject;
    let client = own(observed, subject).map(|c| &c["webhooks"][0]["clientConfig"]);
    if client.is_some_and(|client| client["url"].is_string()) {
        return Vec::new();
    }
    let names = format!("-n {namespace} --service {service}");
    let found = match &observed.service {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Finding::failed(
                "service",
                format!("there is no Service {service} in namespace {namespace}"),
                format!("Install the webhook: `diyadm install {names}`."),
            )];
        }
        Err(why) => return vec![unseen("service", "the Service", why)],
    };
    let wanted = client.map(|client| client["service"]["port"].as_i64().unwrap_or(443));
    let ports = found["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let mut findings = vec![match wanted {
        Some(port) if !ports.iter().any(|p| p["port"] == port) => Finding::failed(
            "service",
            format!("Service {service} lacks the port {port} that the configuration names"),
            again_hint(&names),
        ),
        _ => Finding::ok("service", format!("Service {service} is there")),
    }];
    findings.push(match &observed.slices {
        Ok(slices) => match ready(slices).len() {
            0 => Finding::failed(
                "endpoints",
                "no Pod of the webhook is ready behind its Service",
                format!("See why: `kubectl -n {namespace} describe pods -l app={service}`."),
            ),
            n => Finding::ok("endpoints", format!("{n} ready behind Service {service}")),
        },
        Err(why) => unseen("endpoints", "the Service's endpoints", why),
    });
    findings
}

/// Address and port of every ready endpoint.
pub fn ready(slices: &[Value]) -> Vec<(String, u16)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for slice in slices {
        let ports = list(&slice["ports"]);
        let port = ports.iter().find_map(|p| u16::try_from(p["port"].as_u64()?).ok());
        for endpoint in list(&slice["endpoints"]) {
            // Absent means ready (discovery.k8s.io/v1, EndpointConditions).
            let ready = endpoint["conditions"]["ready"].as_bool().unwrap_or(true);
            let addresses = list(&endpoint["addresses"]);
            if let (true, Some(port)) = (ready, port) {
                found.extend(addresses.iter().filter_map(|a| Some((a.as_str()?.to_owned(), port))));
            }
        }
    }
    found
}

pub(super) fn connection(observed: &Observed, subject: &Subject) -> Option<Finding> {
    let id = "connection";
    let emptied =
        matches!(&observed.dry_create, Ok(DryCreate::Image(image)) if *image == subject.image);
    match &observed.connection {
        Ok(None) => None,
        Ok(Some(Connection::Trusted(address))) => {
            Some(Finding::ok(id, format!("a fresh TLS connection to {address} is trusted")))
        }
        Ok(Some(Connection::Refused(address, why))) => Some(Finding::failed(
            id,
            format!("a fresh TLS connection to {address} failed: {why}"),
            format!(
                "See what its Pods do: `kubectl -n {} logs -l app={}`.",
                subject.namespace, subject.service
            ),
        )),
        // Inside the cluster's network: the API server's own way there has been tried instead.
        Ok(Some(Connection::NotFromHere(address, _))) if emptied => Some(Finding::ok(
            id,
            format!("{address} is not reached from here; the API server reaches it"),
        )),
        Ok(Some(Connection::NotFromHere(address, why))) => Some(Finding::warning(
            id,
            format!("{address} is not reached from here: {why}"),
            "Type `diyadm check` where Pods can be reached, on a node for example.",
        )),
        Err(why) => Some(unseen(id, "a fresh TLS connection", why)),
    }
}
