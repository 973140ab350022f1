//! Checks the Service, its endpoints, and a fresh connection.

use serde_json::Value;

use super::{
    CheckSubject, Connection, DryCreate, Finding, Observed, again_hint, is_emptied_to, own, unseen,
    webhooks,
};

/// The API server's default (`WebhookClientConfig`).
const HTTPS: i64 = 443;

pub(super) fn findings(observed: &Observed, subject: &CheckSubject) -> Vec<Finding> {
    let CheckSubject { webhook_namespace: namespace, service, .. } = subject;
    let clients: Vec<_> = own(observed, subject)
        .into_iter()
        .flat_map(webhooks)
        .map(|webhook| &webhook["clientConfig"])
        .collect();
    if !clients.is_empty() && clients.iter().all(|client| client["url"].is_string()) {
        return Vec::new();
    }
    let found = match &observed.service {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Finding::failed(
                "service",
                format!("there is no Service {service} in namespace {namespace}"),
                subject
                    .owner_hint("", || format!("Install the webhook: `{}`.", subject.install(""))),
            )];
        }
        Err(why) => return vec![unseen("service", "the Service", why)],
    };
    let ports = found["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let lacks = |port: &i64| !ports.iter().any(|p| p["port"] == *port);
    let wanted = clients.iter().filter(|client| client["service"].is_object()).map(|c| port(c));
    let mut findings = vec![match wanted.into_iter().find(lacks) {
        Some(port) => Finding::failed(
            "service",
            format!("Service {service} lacks port {port} of the configuration"),
            again_hint(subject),
        ),
        None => Finding::ok("service", format!("Service {service} exists")),
    }];
    findings.push(match &observed.slices {
        Ok(slices) => match ready(slices, None).len() {
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

/// The Service's port that a `clientConfig` names.
fn port(client: &Value) -> i64 {
    client["service"]["port"].as_i64().unwrap_or(HTTPS)
}

/// The name of the Service's port that a `clientConfig` calls; slices use the same name.
pub fn port_name<'a>(service: &'a Value, client: &Value) -> Option<&'a str> {
    let ports = service["spec"]["ports"].as_array()?;
    let found = ports.iter().find(|p| p["port"] == port(client))?;
    Some(found["name"].as_str().unwrap_or_default())
}

/// Address and port of every ready endpoint: the port of that name, else the first.
pub fn ready(slices: &[Value], name: Option<&str>) -> Vec<(String, u16)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for slice in slices {
        let ports = list(&slice["ports"]);
        let named = ports.iter().find(|p| name == Some(p["name"].as_str().unwrap_or_default()));
        let port = named.or_else(|| ports.first());
        let port = port.and_then(|p| u16::try_from(p["port"].as_u64()?).ok());
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

pub(super) fn connections(observed: &Observed, subject: &CheckSubject) -> Vec<Finding> {
    match &observed.connections {
        Ok(all) => all.iter().map(|one| connection(one, observed, subject)).collect(),
        Err(why) => vec![unseen("connection", "a fresh TLS connection", why)],
    }
}

fn connection(one: &Connection, observed: &Observed, subject: &CheckSubject) -> Finding {
    let id = "connection";
    let emptied = matches!(&observed.dry_create, Ok(DryCreate::Created(created))
        if is_emptied_to(created, &subject.image));
    match one {
        Connection::Trusted(address) => {
            Finding::ok(id, format!("a fresh TLS connection to {address} is trusted"))
        }
        Connection::Refused(address, why) => Finding::failed(
            id,
            format!("a fresh TLS connection to {address} failed: {why}"),
            format!(
                "Check its Pods: `kubectl -n {} logs -l app={}`.",
                subject.webhook_namespace, subject.service
            ),
        ),
        // It is inside the cluster's network: the API server's own route was tried instead.
        Connection::NotFromHere(address, _) if emptied => Finding::ok(
            id,
            format!("{address} is not reachable from here; the API server reaches it"),
        ),
        Connection::NotFromHere(address, why) => Finding::warning(
            id,
            format!("{address} is not reachable from here: {why}"),
            "Run `diyadm check` where Pods are reachable, for example on a node.",
        ),
    }
}
