//! Findings about the webhook, from observations of a cluster.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Denial, Finding, version::unsupported};
use crate::workload::Level;

mod certificate;
mod configuration;
mod objects;
pub mod owner;
pub(super) mod select;
mod service;
#[cfg(test)]
pub(super) mod tests;

pub use objects::{image_of, is_emptied_by_policy, is_emptied_to};
pub use select::selects;
pub use service::{port_name, ready};

/// An observation, or why it could not be made.
pub type Look<T> = Result<T, Unseen>;

/// Why something could not be read: a sentence of the API server or of diyadm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// A right is missing.
    #[error("{0}")]
    Forbidden(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Unseen {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl From<&str> for Unseen {
    fn from(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

/// The webhook to check, and its expected behavior.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSubject {
    /// The labelled namespace, whose workloads are emptied.
    pub namespace: String,
    /// The namespace of the webhook's server.
    pub webhook_namespace: String,
    /// Whether the server can be changed from here: it is in `namespace`, or its namespace was
    /// given.
    pub is_own: bool,
    /// Whether the object of this name belongs to another program, or calls another Service.
    pub is_foreign: bool,
    /// Name of Service, Deployment and configuration.
    pub service: String,
    /// Name of the Secret.
    pub secret: String,
    /// Key and value of the namespace's label.
    pub label: (String, String),
    /// Image of empty containers.
    pub image: String,
    /// The flags for all this on a command line, each after a blank; empty for the defaults.
    pub flags: String,
    /// The flags of a command that only labels the namespace if another namespace's webhook serves
    /// it.
    pub label_flags: String,
}

/// The image of the blog, and the default of `--image`.
const DEFAULT_IMAGE: &str = "empty-container:latest";

/// Reminder for `install`, which resets the webhook to its flags.
pub(super) const AS_BEFORE: &str = "with the flags of the previous install";

impl CheckSubject {
    /// `diyadm install` with `more` and the flags for this webhook.
    pub(super) fn install(&self, more: &str) -> String {
        format!("diyadm install{more}{}{}", self.flags, self.image_flag())
    }

    /// A hint with `diyadm install` and `more`, for problems of the server or its configuration. A
    /// server of another namespace is not changed from here.
    pub(super) fn install_hint(&self, what: &str, more: &str) -> String {
        self.owner_hint("", || format!("{what}: `{}`, {AS_BEFORE}.", self.install(more)))
    }

    /// `hint`, if the server, or the policy of `mode`, can be changed from here; else a hint for
    /// its owner.
    pub(super) fn owner_hint(&self, mode: &str, hint: impl FnOnce() -> String) -> String {
        if self.is_foreign {
            return format!(
                "The object named {0} belongs to another webhook: `kubectl get \
                 mutatingwebhookconfigurations {0} -o yaml`. Use another name for your own: \
                 `diyadm install{mode} -n {1} --service NAME`.",
                self.service, self.namespace
            );
        }
        if self.is_own {
            return hint();
        }
        format!(
            "It is installed from namespace {}; its owner can run `diyadm check{mode}{}` to see \
             what to do.",
            self.webhook_namespace, self.flags
        )
    }

    /// ` --image NAME`, unless it is the default.
    pub fn image_flag(&self) -> String {
        match self.image.as_str() {
            image if image == DEFAULT_IMAGE => String::new(),
            image => format!(" --image {image}"),
        }
    }

    /// The name that the API server requires in the certificate.
    fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.webhook_namespace)
    }

    /// Whether a webhook of this name belongs to this configuration: names consist of the Service's
    /// name, with or without a prefix.
    pub(super) fn is_named_after(&self, webhook: &str) -> bool {
        let word = webhook.strip_suffix(&self.host());
        word.is_some_and(|word| word.is_empty() || word.ends_with('.'))
    }
}

/// PEM from the Secret; missing parts are empty. Has no Debug, since one of them is a key.
#[derive(Clone)]
pub struct Secret {
    /// One CA, or several during a rotation.
    pub ca_crt: Vec<u8>,
    /// The leaf first.
    pub server_crt: Vec<u8>,
    /// The leaf's.
    pub server_key: Vec<u8>,
}

impl Secret {
    /// The content of an object of kind Secret.
    pub fn from_object(object: &Value) -> Self {
        let data = |key: &str| {
            let text = object["data"][key].as_str().unwrap_or_default();
            STANDARD.decode(text).unwrap_or_default()
        };
        let [ca_crt, server_crt, server_key] = ["ca.crt", "server.crt", "server.key"].map(data);
        Self { ca_crt, server_crt, server_key }
    }
}

/// The result of a fresh TLS connection to the server.
pub enum Connection {
    /// Trusted, with the right name; its address.
    Trusted(String),
    /// It failed or was not trusted: the address and the reason.
    Refused(String, String),
    /// Its address is not reachable from this machine: the address and the reason.
    NotFromHere(String, String),
}

/// The result of a dry-run create of templates/test.yaml; at level pod, of its Pod.
pub enum DryCreate {
    /// The object as it would be stored.
    Created(Value),
    /// The API server's error.
    Refused(String),
    /// A policy of the cluster denies it or its Pods; `anyway`: even if it is not emptied.
    Denied {
        /// The policy, and the reason.
        denial: Denial,
        /// See above.
        anyway: bool,
    },
}

/// The level of a webhook by its rules: only Pods, or other kinds; without any rules, that of the
/// blog.
pub fn level(configuration: &Value) -> Level {
    let rules = webhooks(configuration)
        .iter()
        .flat_map(|webhook| webhook["rules"].as_array().map_or(&[][..], Vec::as_slice));
    let resources = rules
        .flat_map(|rule| rule["resources"].as_array().map_or(&[][..], Vec::as_slice))
        .filter(|resource| *resource != "services");
    let (pods, others): (Vec<_>, Vec<_>) = resources.partition(|resource| *resource == "pods");
    if !pods.is_empty() && others.is_empty() { Level::Pod } else { Level::Workload }
}

/// All observations.
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
    /// One for each server that the configuration calls; may be empty.
    pub connections: Look<Vec<Connection>>,
    /// The dry run.
    pub dry_create: Look<DryCreate>,
    /// Deployments and StatefulSets of the namespace; at level pod its Pods.
    pub workloads: Look<Vec<Value>>,
    /// Events of the namespace.
    pub events: Look<Vec<Value>>,
}

/// All findings, in the order of a request's path.
pub fn findings(observed: &Observed, subject: &CheckSubject, now: i64) -> Vec<Finding> {
    let mut all = vec![
        version(&observed.version),
        registration(observed),
        namespace(&observed.namespace, subject),
    ];
    all.extend(certificate::findings(observed, subject, now));
    all.extend(configuration::findings(observed, subject, now));
    all.extend(service::findings(observed, subject));
    all.extend(service::connections(observed, subject));
    all.push(objects::dry_create(observed, subject));
    all.push(objects::missed(observed, subject));
    all.extend(objects::events(observed, subject));
    all
}

/// The configuration of this webhook.
fn own<'a>(observed: &'a Observed, subject: &CheckSubject) -> Option<&'a Value> {
    let all = observed.configurations.as_ref().ok()?;
    all.iter().find(|c| c["metadata"]["name"] == subject.service.as_str())
}

fn webhooks(configuration: &Value) -> &[Value] {
    configuration["webhooks"].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn unseen(id: &'static str, what: &str, why: &Unseen) -> Finding {
    let hint = if matches!(why, Unseen::Forbidden(_)) {
        "Ask for this right, or ask who installed the webhook to run `diyadm check`; `kubectl auth \
         can-i --list` shows your rights."
    } else {
        "Run `diyadm check -v` with the same flags to see the requests to the API server."
    };
    Finding::unknown(id, format!("{what} could not be checked: {why}"), hint)
}

/// A hint for a dry-run create that was rejected for other reasons than a webhook.
pub(super) fn refused_hint(namespace: &Look<Option<Value>>, subject: &CheckSubject) -> String {
    let CheckSubject { namespace: name, label_flags, .. } = subject;
    match namespace {
        Ok(None) => format!("Create the namespace: `diyadm init{label_flags}`."),
        _ => format!(
            "See what forbids it: `kubectl -n {name} get resourcequotas,limitranges` and \
             `kubectl get validatingwebhookconfigurations,validatingadmissionpolicies`."
        ),
    }
}

pub(super) fn version(version: &Look<String>) -> Finding {
    match version {
        Ok(version) => match unsupported(version) {
            Some((what, hint)) => Finding::failed("version", what, hint),
            None => Finding::ok("version", format!("the API server is {version}")),
        },
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

pub(super) fn namespace(found: &Look<Option<Value>>, subject: &CheckSubject) -> Finding {
    let (id, CheckSubject { namespace, label: (key, value), label_flags, .. }) =
        ("namespace", subject);
    let hint = format!("Create and label it: `diyadm init{label_flags}`.");
    match found {
        // Somebody set another value: only --force overrides it.
        Ok(Some(found))
            if found["metadata"]["labels"][key].as_str().is_some_and(|v| v != value) =>
        {
            Finding::failed(
                id,
                format!(
                    "namespace {namespace} is labelled {key}={}, not {value}",
                    found["metadata"]["labels"][key].as_str().unwrap_or_default()
                ),
                format!("Label it again: `diyadm init --force{label_flags}`."),
            )
        }
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

/// The name that the API server requires in the certificate: the Service's name, or the URL's host.
fn host(client: &Value, subject: &CheckSubject) -> String {
    client["url"].as_str().and_then(url_host).unwrap_or_else(|| subject.host())
}

/// The host of `https://HOST:PORT/PATH`, an IPv6 address without its brackets.
pub fn url_host(url: &str) -> Option<String> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().map(ToOwned::to_owned);
    }
    authority.split(':').next().map(ToOwned::to_owned)
}

/// A hint for objects of `install` that somebody else has changed.
fn again_hint(subject: &CheckSubject) -> String {
    subject.install_hint("Install it as it should be", " --force")
}
