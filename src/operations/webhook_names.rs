//! Resolves `-n`, `--webhook-namespace`, `--service`, `--secret` and `--label` on a cluster, and
//! prints them as flags.

use anyhow::{Error, Result};
use clap::{Args, Parser};
use serde_json::Value;

use crate::{
    exit::{Failure, Topic, quoted},
    kubernetes::{Cluster, Kind, NAMESPACE, error},
    webhook::checks::{
        CheckSubject,
        owner::{self, Foreign},
    },
    workload::{ENABLED, LABEL},
};

/// A name; an empty one counts as absent, as for kubectl.
fn given(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

/// The webhook's names: the blog's by default.
#[derive(Args, Debug, Clone)]
pub struct WebhookNames {
    /// Namespace whose workloads are emptied; it gets the label [default: test; if that has no
    /// label, `check` and `verify` use a namespace that has it]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Namespace of the webhook's server; for a webhook that was installed from another namespace,
    /// give that namespace to change its server [default: the installed webhook's, else that of -n]
    #[arg(long, value_name = "NAMESPACE")]
    pub webhook_namespace: Option<String>,
    /// Name of the webhook's Service, Deployment and MutatingWebhookConfiguration; each server of a
    /// cluster needs its own name
    #[arg(long, default_value = SERVICE, value_name = "NAME")]
    pub service: String,
    /// Name of the Secret with ca.crt, server.crt and server.key
    #[arg(long, default_value = "webhook-secret", value_name = "NAME")]
    pub secret: String,
    /// Label of the namespaces that are emptied [default: the installed webhook's, else
    /// inject-empty-container=enabled, and inject-empty-container=NAME with --service NAME]
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Option<String>,
}

/// The blog's.
pub const SERVICE: &str = "diyadmissionwebhook";

impl Default for WebhookNames {
    /// The default flags.
    fn default() -> Self {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            names: WebhookNames,
        }
        Flags::parse_from(["names"]).names
    }
}

impl WebhookNames {
    /// The blog's.
    pub const NAMESPACE: &str = "test";

    /// The namespace whose workloads are emptied.
    pub fn namespace(&self) -> &str {
        given(self.namespace.as_deref()).unwrap_or(Self::NAMESPACE)
    }

    /// Why a configuration with another CA than the Secret's is not changed.
    pub(crate) fn trusts_another_ca(&self) -> String {
        let namespace = self.webhook_namespace();
        format!("its caBundle is not that of Secret {} in namespace {namespace}", self.secret)
    }

    /// The namespace of the webhook's server.
    pub fn webhook_namespace(&self) -> &str {
        given(self.webhook_namespace.as_deref()).unwrap_or(self.namespace())
    }

    /// `KEY=VALUE`. One key has one value, so that two servers never select the same namespace.
    pub fn label(&self) -> String {
        self.label.clone().unwrap_or_else(|| {
            let value = if self.service == SERVICE { ENABLED } else { &self.service };
            format!("{LABEL}={value}")
        })
    }

    /// The DNS name that the API server requires in the certificate.
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.webhook_namespace())
    }
}

/// The resolved names: the defaults come from the installed webhook or policy.
pub(crate) struct Resolved {
    pub(crate) names: WebhookNames,
    /// The MutatingWebhookConfiguration, or the MutatingAdmissionPolicy, of the name.
    pub(crate) installed: Option<Value>,
    /// Why its existence is unknown: it may not be read.
    pub(crate) hidden: Option<Error>,
    /// Whether a command with these flags changes the server or policy: it is in the emptied
    /// namespace, or its namespace was given.
    pub(crate) is_own: bool,
}

/// Resolves what the flags leave open.
///
/// # Errors
/// What the API server says, but for a 403.
pub(crate) async fn resolve(
    cluster: &Cluster,
    given: &WebhookNames,
    kind: &'static Kind,
) -> Result<Resolved> {
    let (installed, hidden) = match cluster.get(kind, "", &given.service).await {
        Ok(found) => (found, None),
        Err(error) if error::is_forbidden(&error) => (None, Some(error)),
        // An API server without policies answers 404.
        Err(error) if error::is_absent(&error) => (None, None),
        Err(error) => return Err(error),
    };
    let mut names = given.clone();
    if let Some(found) = installed.as_ref().filter(|found| owner::is_diyadm(found)) {
        let home = || owner::home(found).map(ToOwned::to_owned);
        names.webhook_namespace = names.webhook_namespace.or_else(home);
        names.label = names.label.or_else(|| owner::label(found));
    }
    let is_own =
        given.webhook_namespace.is_some() || names.webhook_namespace() == names.namespace();
    Ok(Resolved { names, installed, hidden, is_own })
}

/// [`resolve`] for a read-only command: if no namespace is given and `test` is not emptied, it uses
/// an emptied namespace, preferably the webhook's own.
///
/// # Errors
/// [`resolve`]'s.
pub(crate) async fn resolve_to_look(
    cluster: &Cluster,
    given: &WebhookNames,
    kind: &'static Kind,
) -> Result<Resolved> {
    let found = resolve(cluster, given, kind).await?;
    let installed = found.installed.as_ref().filter(|found| owner::is_diyadm(found));
    let (None, Some(installed)) = (&given.namespace, installed) else { return Ok(found) };
    let selected = selected(cluster, installed).await.unwrap_or_default();
    let home = owner::home(installed);
    let is_selected = |name: &&str| selected.iter().any(|one| one == name);
    let first = selected.first().map(String::as_str);
    let namespace = [Some(WebhookNames::NAMESPACE), home].into_iter().flatten().find(is_selected);
    let namespace = namespace.or(first).or(home).map(ToOwned::to_owned);
    resolve(cluster, &WebhookNames { namespace, ..given.clone() }, kind).await
}

/// The namespaces that an installed webhook or policy selects, except those being deleted.
///
/// # Errors
/// Where namespaces may not be listed.
pub(crate) async fn selected(cluster: &Cluster, installed: &Value) -> Result<Vec<String>> {
    let all = cluster.list(&NAMESPACE, "", "").await?;
    let selected = all.iter().filter(|namespace| {
        let meta = &namespace["metadata"];
        meta["deletionTimestamp"].is_null() && owner::selects_namespace(installed, &meta["labels"])
    });
    let name = |namespace: &Value| Some(namespace["metadata"]["name"].as_str()?.to_owned());
    Ok(selected.filter_map(name).collect())
}

/// Validates the names, without contacting a cluster.
///
/// # Errors
/// The flag, and how it is typed. They end up in paths of requests and in certificates.
pub(crate) fn check(names: &WebhookNames) -> Result<()> {
    label(names)?;
    for (flag, name, dots) in [
        ("--namespace", names.namespace(), false),
        ("--webhook-namespace", names.webhook_namespace(), false),
        ("--service", names.service.as_str(), false),
        ("--secret", names.secret.as_str(), true),
    ] {
        if !is_name(name, dots) {
            let what = format!("{flag} {name:?} is not a valid Kubernetes name.");
            let hint = "Use lower-case letters, digits and hyphens: `diyadmissionwebhook`.";
            return Err(Failure::usage(Topic::CommandLine, what, hint).into());
        }
    }
    Ok(())
}

/// Kubernetes' own namespaces, where nothing is ever emptied.
const KEPT: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// [`check`] for a command that labels the namespace.
///
/// # Errors
/// [`check`]'s, and a namespace of Kubernetes' own.
pub(crate) fn check_labelled(names: &WebhookNames) -> Result<()> {
    check(names)?;
    if KEPT.contains(&names.namespace()) {
        let what = format!("Namespace {} belongs to Kubernetes itself.", names.namespace());
        let hint = "Nothing is emptied there; use your own: `-n NAMESPACE`.";
        return Err(Failure::usage(Topic::CommandLine, what, hint).into());
    }
    Ok(())
}

/// Whether a namespace can have this name.
pub(crate) fn is_namespace(name: &str) -> bool {
    is_name(name, false)
}

/// Validates by RFC 1123, as Kubernetes does: a label, or with `dots` labels separated by dots.
fn is_name(name: &str, dots: bool) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(plain)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let longest = if dots { 253 } else { 63 };
    name.len() <= longest && (dots || !name.contains('.')) && name.split('.').all(label)
}

/// Key and value of `--label`.
pub(crate) fn label(names: &WebhookNames) -> Result<(String, String)> {
    let label = names.label();
    let pair = label.split_once('=').filter(|(key, _)| !key.is_empty());
    let Some((key, value)) = pair else {
        let what = format!("--label {label} is not KEY=VALUE.");
        let hint = "Write it like --label inject-empty-container=enabled.";
        return Err(Failure::usage(Topic::CommandLine, what, hint).into());
    };
    Ok((key.to_owned(), value.to_owned()))
}

/// The flags that differ from the defaults, each after a blank. Without them, a command in a hint
/// would refer to another webhook or cluster.
pub(crate) fn flags(cluster: &Cluster, names: &WebhookNames) -> String {
    let default = WebhookNames::default();
    let default_label = WebhookNames { label: None, ..names.clone() }.label();
    let all = [
        ("-n", names.namespace(), WebhookNames::NAMESPACE),
        ("--webhook-namespace", names.webhook_namespace(), names.namespace()),
        ("--service", &names.service, &default.service),
        ("--secret", &names.secret, &default.secret),
        ("--label", &names.label(), &default_label),
    ];
    let differ = all.into_iter().filter(|(_, value, default)| value != default);
    let words: String = differ.map(|(flag, v, _)| format!(" {flag} {}", quoted(v))).collect();
    format!("{words}{}", cluster.flags())
}

impl Resolved {
    /// The installation, if another namespace's webhook or policy of diyadm also serves this one.
    pub(crate) fn serving(&self) -> Option<&Value> {
        self.installed.as_ref().filter(|_| !self.is_own)
    }

    /// Fails if the installed object belongs to somebody else: another namespace or program, or if
    /// it trusts other CAs than `cas`, those of the Secret.
    pub(crate) fn refuse_foreign(&self, cluster: &Cluster, cas: Option<&[u8]>) -> Result<()> {
        let Some(found) = &self.installed else { return Ok(()) };
        let service = &self.names.service;
        let namespace = self.names.webhook_namespace();
        let kind = found["kind"].as_str().unwrap_or_default();
        let show = format!("`kubectl get {}/{service} -o yaml", kind.to_lowercase());
        let other_name = format!(
            "use another name for your own: `diyadm install -n {}{} --service NAME`",
            self.names.namespace(),
            cluster.flags()
        );
        let (why, hint) = if let Some(foreign) = owner::foreign(found, namespace, service) {
            let hint = match foreign {
                Foreign::Program => format!("See who owns it: {show}`; {other_name}."),
                Foreign::Service(_) | Foreign::Namespace(_) => format!(
                    "`diyadm install{}` lets it serve this namespace too; {other_name}.",
                    self.label_flags(cluster)
                ),
            };
            (foreign.to_string(), hint)
        } else if cas.is_some_and(|cas| !owner::trusts_ours(found, cas)) {
            let hint = format!(
                "See who wrote it: {show} --show-managed-fields`; --force puts the Secret's CA into \
                 it."
            );
            (self.names.trusts_another_ca(), hint)
        } else {
            return Ok(());
        };
        Err(Failure::no(
            Topic::Installation,
            format!("{kind} {service} was not changed: {why}."),
            hint,
        )
        .into())
    }

    /// The flags of a command that labels the namespace, and does not change another namespace's
    /// server.
    pub(crate) fn label_flags(&self, cluster: &Cluster) -> String {
        let mut names = self.names.clone();
        if self.installed.as_ref().and_then(owner::home).is_some() {
            // There it is found again.
            names.webhook_namespace = None;
        }
        flags(cluster, &names)
    }

    /// The names as parameters of the checks.
    pub(crate) fn subject(&self, cluster: &Cluster, image: &str) -> Result<CheckSubject> {
        let names = &self.names;
        let is_foreign = self.refuse_foreign(cluster, None).is_err();
        Ok(CheckSubject {
            namespace: names.namespace().to_owned(),
            webhook_namespace: names.webhook_namespace().to_owned(),
            is_own: self.is_own,
            is_foreign,
            service: names.service.clone(),
            secret: names.secret.clone(),
            label: label(names)?,
            image: image.to_owned(),
            flags: flags(cluster, names),
            label_flags: self.label_flags(cluster),
        })
    }
}
