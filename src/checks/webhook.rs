//! From what was seen of a cluster to findings about its webhook.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Finding, explain, webhook::select::matches};
use crate::{
    pki::{self, Fault},
    workload,
};

mod select;

/// What was seen, or why it could not be looked at.
pub type Look<T> = Result<T, String>;

/// Certificates with fewer days left are told of.
const SOON: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

/// Which webhook is meant, and what it should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of the webhook, and the one that is labelled.
    pub namespace: String,
    /// Name of Service, Deployment and configuration.
    pub service: String,
    /// Name of the Secret.
    pub secret: String,
    /// Key and value of the namespace's label.
    pub label: (String, String),
    /// That workloads are emptied to.
    pub image: String,
}

/// PEM as the Secret has it; what it lacks is empty. Has no Debug: one of them is a key.
pub struct Secret {
    /// One CA, or several while a rotation goes on.
    pub ca_crt: Vec<u8>,
    /// The leaf first.
    pub server_crt: Vec<u8>,
    /// The leaf's.
    pub server_key: Vec<u8>,
}

/// What a fresh TLS connection to the server came to.
pub enum Connection {
    /// Trusted, under the right name; where it went.
    Trusted(String),
    /// It answered, and was not trusted, or refused: where, and why.
    Refused(String, String),
    /// Its address is not reached from this machine: where, and why.
    NotFromHere(String, String),
}

/// What a dry-run create of templates/test.yaml came to.
pub enum DryCreate {
    /// The image that the container would get.
    Image(String),
    /// What the API server said.
    Refused(String),
}

/// Everything that was looked at.
pub struct Observed {
    /// `gitVersion`
    pub version: Look<String>,
    /// Whether admissionregistration.k8s.io/v1 is served.
    pub registration: Look<bool>,
    /// The Namespace.
    pub namespace: Look<Option<Value>>,
    /// The Secret.
    pub secret: Look<Option<Secret>>,
    /// Every MutatingWebhookConfiguration.
    pub configurations: Look<Vec<Value>>,
    /// The Service.
    pub service: Look<Option<Value>>,
    /// The Service's EndpointSlices.
    pub slices: Look<Vec<Value>>,
    /// `None` where there is nothing to connect to.
    pub connection: Look<Option<Connection>>,
    /// The dry run.
    pub dry_create: Look<DryCreate>,
    /// Deployments and StatefulSets of the namespace.
    pub workloads: Look<Vec<Value>>,
    /// Events of the namespace.
    pub events: Look<Vec<Value>>,
}

/// Every finding, in the order in which a request meets what they are about.
pub fn findings(observed: &Observed, subject: &Subject, now: i64) -> Vec<Finding> {
    let mut all = vec![version(observed), registration(observed), namespace(observed, subject)];
    all.extend(secret(observed, subject, now));
    all.extend(configuration(observed, subject, now));
    all.extend(service(observed, subject));
    all.extend(connection(observed, subject));
    all.push(dry_create(observed, subject));
    all.push(missed(observed, subject));
    all.extend(events(observed, subject));
    all
}

/// The configuration of this webhook among all.
fn own<'a>(observed: &'a Observed, subject: &Subject) -> Option<&'a Value> {
    let all = observed.configurations.as_ref().ok()?;
    all.iter().find(|c| c["metadata"]["name"] == subject.service.as_str())
}

fn webhooks(configuration: &Value) -> &[Value] {
    configuration["webhooks"].as_array().map_or(&[], Vec::as_slice)
}

fn unseen(id: &'static str, what: &str, why: &str) -> Finding {
    Finding::unknown(id, format!("{what} could not be looked at: {why}"), "")
}

fn version(observed: &Observed) -> Finding {
    match &observed.version {
        Ok(version) => Finding::ok("version", format!("the API server is {version}")),
        Err(why) => unseen("version", "the API server's version", why),
    }
}

fn registration(observed: &Observed) -> Finding {
    let id = "registration";
    match &observed.registration {
        Ok(true) => Finding::ok(id, "admissionregistration.k8s.io/v1 is served"),
        Ok(false) => Finding::failed(
            id,
            "admissionregistration.k8s.io/v1 is not served",
            "See the API server's flags: `diyadm check --manifest \
             /etc/kubernetes/manifests/kube-apiserver.yaml` on its machine.",
        ),
        Err(why) => unseen(id, "admissionregistration.k8s.io", why),
    }
}

fn namespace(observed: &Observed, subject: &Subject) -> Finding {
    let (id, Subject { namespace, label: (key, value), .. }) = ("namespace", subject);
    let hint = format!("Make and label it: `diyadm init -n {namespace}`.");
    match &observed.namespace {
        Ok(Some(found)) if found["metadata"]["labels"][key] == value.as_str() => {
            Finding::ok(id, format!("namespace {namespace} is labelled {key}={value}"))
        }
        Ok(Some(_)) => Finding::failed(
            id,
            format!("namespace {namespace} lacks the label {key}={value}"),
            hint,
        ),
        Ok(None) => Finding::failed(id, format!("there is no namespace {namespace}"), hint),
        Err(why) => unseen(id, "the namespace", why),
    }
}

/// The name that the API server asks the certificate for: the Service's, or the URL's host.
fn host(observed: &Observed, subject: &Subject) -> String {
    let url = own(observed, subject).and_then(|c| c["webhooks"][0]["clientConfig"]["url"].as_str());
    url.and_then(url_host)
        .unwrap_or_else(|| format!("{}.{}.svc", subject.service, subject.namespace))
}

/// The host of `https://HOST:PORT/PATH`, an IPv6 address without its brackets.
pub fn url_host(url: &str) -> Option<String> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().map(ToOwned::to_owned);
    }
    authority.split(':').next().map(ToOwned::to_owned)
}

fn secret(observed: &Observed, subject: &Subject, now: i64) -> Vec<Finding> {
    let Subject { namespace, secret, service, .. } = subject;
    let names = format!("-n {namespace} --service {service} --secret {secret}");
    let found = match &observed.secret {
        Ok(Some(found)) => found,
        Ok(None) => {
            return vec![Finding::failed(
                "secret",
                format!("there is no Secret {secret} in namespace {namespace}"),
                format!("Make it: `diyadm init {names}`."),
            )];
        }
        Err(why) => return vec![unseen("secret", "the Secret", why)],
    };
    let Secret { ca_crt, server_crt, server_key } = found;
    let host = host(observed, subject);
    let certificate = match pki::verify(ca_crt, server_crt, Some(server_key), &host, now) {
        Ok(facts) => {
            let days = (facts.not_after - now) / DAY;
            let title = format!("the certificate serves {host} for {days} more days");
            if days < SOON {
                let hint = format!("Renew it in good time: `diyadm init --rotate {names}`.");
                Finding::warning("certificate", title, hint)
            } else {
                Finding::ok("certificate", title)
            }
        }
        Err(fault) => {
            let hint = match fault {
                Fault::Expired => format!("Make a new one: `diyadm init --rotate {names}`."),
                _ => format!(
                    "Make a new one: `diyadm init --force {names}`, then `diyadm install {names}`."
                ),
            };
            Finding::failed("certificate", format!("in Secret {secret}: {fault}"), hint)
        }
    };
    vec![Finding::ok("secret", format!("Secret {secret} is there")), certificate]
}

fn configuration(observed: &Observed, subject: &Subject, now: i64) -> Vec<Finding> {
    let Subject { namespace, service, secret, label: (key, value), .. } = subject;
    let names = format!("-n {namespace} --service {service}");
    let all = match &observed.configurations {
        Ok(all) => all,
        Err(why) => return vec![unseen("configuration", "the webhook configurations", why)],
    };
    let Some(found) = own(observed, subject) else {
        return vec![Finding::failed(
            "configuration",
            format!("there is no MutatingWebhookConfiguration {service}"),
            format!("Install the webhook: `diyadm install {names}`."),
        )];
    };
    let first = &found["webhooks"][0];
    let title = format!(
        "the configuration is there: failurePolicy {}, {} s",
        first["failurePolicy"].as_str().unwrap_or("Fail"),
        first["timeoutSeconds"].as_i64().unwrap_or(10),
    );
    let mut findings = vec![Finding::ok("configuration", title)];

    let pem = STANDARD.decode(first["clientConfig"]["caBundle"].as_str().unwrap_or_default());
    let pem = pem.unwrap_or_default();
    let again = format!("Put the Secret's CA into it: `diyadm install {names}`.");
    findings.push(match (&observed.secret, pki::split(&pem).len()) {
        (_, 0) => Finding::failed("ca-bundle", "the caBundle holds no PEM certificate", again),
        (Ok(Some(secret)), cas) => {
            let host = host(observed, subject);
            match pki::verify(&pem, &secret.server_crt, None, &host, now) {
                Err(Fault::UnknownCa) => Finding::failed(
                    "ca-bundle",
                    "the caBundle does not hold the CA that signed the Secret's certificate",
                    again,
                ),
                _ if cas > 1 => Finding::warning(
                    "ca-bundle",
                    format!("the caBundle trusts {cas} CAs: a rotation is not finished"),
                    format!(
                        "End it: `diyadm init --rotate --finish {names} --secret {secret}`.",
                        secret = subject.secret
                    ),
                ),
                _ => Finding::ok("ca-bundle", "the caBundle trusts the Secret's certificate"),
            }
        }
        (_, _) => Finding::unknown(
            "ca-bundle",
            format!("the caBundle could not be held against Secret {secret}"),
            "",
        ),
    });

    let labels = observed.namespace.as_ref().ok().and_then(Option::as_ref);
    let labels = labels.map_or(&Value::Null, |namespace| &namespace["metadata"]["labels"]);
    let matching = |configuration: &Value| {
        webhooks(configuration).iter().any(|webhook| matches(webhook, labels, "deployments"))
    };
    findings.push(if matching(found) {
        Finding::ok("rules", format!("Deployments of namespace {namespace} reach the webhook"))
    } else {
        Finding::failed(
            "rules",
            format!(
                "no rule and namespaceSelector of the webhook matches Deployments of namespace \
                 {namespace} ({key}={value})"
            ),
            format!("Install it as it should be: `diyadm install {names}`."),
        )
    });
    for webhook in webhooks(found) {
        let name = webhook["name"].as_str().unwrap_or_default();
        if !["None", "NoneOnDryRun"].contains(&webhook["sideEffects"].as_str().unwrap_or_default())
        {
            findings.push(Finding::failed(
                "side-effects",
                format!("sideEffects of {name} make every dry run fail"),
                again_hint(&names),
            ));
        }
        if select::names_services_of_apps(webhook) {
            findings.push(Finding::warning(
                "rules-services",
                format!("{name} has a rule for apps/services, which matches nothing"),
                again_hint(&names),
            ));
        }
    }

    // The API server calls webhooks in the order of their configurations' names.
    let name = |c: &Value| c["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let others = all.iter().filter(|c| name(c) != *service && matching(c)).map(name);
    let (before, after): (Vec<_>, Vec<_>) = others.partition(|other| other < service);
    let words = [("before it", before), ("after it", after)];
    let words: Vec<_> = words
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(when, names)| format!("{when} {}", names.join(", ")))
        .collect();
    findings.push(if words.is_empty() {
        Finding::ok("other-webhooks", "no other webhook changes Deployments here")
    } else {
        Finding::warning(
            "other-webhooks",
            format!("other webhooks change Deployments here too: {}", words.join("; ")),
            "What they add is kept; see `kubectl get mutatingwebhookconfigurations`.",
        )
    });
    findings
}

fn again_hint(names: &str) -> String {
    format!("Install it as it should be: `diyadm install {names}`.")
}

fn service(observed: &Observed, subject: &Subject) -> Vec<Finding> {
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

fn connection(observed: &Observed, subject: &Subject) -> Option<Finding> {
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

fn dry_create(observed: &Observed, subject: &Subject) -> Finding {
    let id = "dry-run";
    let Subject { namespace, service, image, .. } = subject;
    match &observed.dry_create {
        Ok(DryCreate::Image(found)) if found == image => {
            Finding::ok(id, format!("a Deployment created here would get {image}"))
        }
        Ok(DryCreate::Image(found)) => Finding::failed(
            id,
            format!("a Deployment created here would keep {found} instead of {image}"),
            format!(
                "Under failurePolicy Ignore the API server tells no reason; ask it for one with \
                 `diyadm check --probe -n {namespace} --service {service}`."
            ),
        ),
        Ok(DryCreate::Refused(text)) => match explain(text, service, namespace) {
            Some(cause) => Finding::failed(cause.id, cause.what, cause.hint),
            None => {
                Finding::failed(id, format!("a Deployment created here is refused: {text}"), "")
            }
        },
        Err(why) => unseen(id, "a dry-run create", why),
    }
}

fn missed(observed: &Observed, subject: &Subject) -> Finding {
    let id = "missed";
    let workloads = match &observed.workloads {
        Ok(workloads) => workloads,
        Err(why) => return unseen(id, "the workloads", why),
    };
    let is_missed = |object: &&Value| {
        let text = object.to_string();
        object["metadata"]["name"] != subject.service.as_str()
            && !workload::is_emptied(&text)
            && !workload::declines(&text)
    };
    let names: Vec<_> = workloads
        .iter()
        .filter(is_missed)
        .map(|o| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{}/{}", text(&o["kind"]).to_lowercase(), text(&o["metadata"]["name"]))
        })
        .collect();
    if names.is_empty() {
        return Finding::ok(id, "every workload here is emptied, or asks not to be");
    }
    Finding::warning(
        id,
        format!("not emptied, they were here before: {}", names.join(", ")),
        format!(
            "Any write empties them: `kubectl -n {} rollout restart {}`.",
            subject.namespace, names[0]
        ),
    )
}

fn events(observed: &Observed, subject: &Subject) -> Vec<Finding> {
    let events = match &observed.events {
        Ok(events) => events,
        Err(why) => return vec![unseen("events", "the events", why)],
    };
    let mut found: Vec<Finding> = Vec::new();
    for event in events {
        let message = event["message"].as_str().unwrap_or_default();
        let Some(cause) = explain(message, &subject.service, &subject.namespace) else { continue };
        let about = &event["involvedObject"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let whose = format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
        let title = format!("an event of {whose}: {}", cause.what);
        // It may be over by now: what holds now the other findings tell.
        if found.iter().all(|f| f.title != title) {
            found.push(Finding::warning("events", title, cause.hint));
        }
    }
    if found.is_empty() {
        found.push(Finding::ok("events", "no event tells of a webhook that failed"));
    }
    found
}
