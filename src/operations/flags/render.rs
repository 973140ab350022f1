//! `diyadm render`, and the flags that shape the webhook's manifests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::EmptyingFlags;
use crate::{
    operations::webhook_names::{self, WebhookNames},
    webhook::manifests::ExpireScope,
    workload::image_name,
};

/// Flags of `render`.
#[derive(Args, Debug)]
pub struct RenderArgs {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// The CA's certificate: a PEM file, -, or the folder of `init --out` [default: the Secret's]
    #[arg(long, value_name = "FILE|DIR|-")]
    pub ca: Option<PathBuf>,
    /// Also a CronJob that runs `diyadm expire`, with a ServiceAccount and its rights; without a
    /// schedule every five minutes
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "*/5 * * * *", value_name = "SCHEDULE")]
    pub expire: Option<String>,
    /// Namespaces in which the CronJob restores workloads, or `*` for all [default: the webhook's]
    #[arg(long, value_delimiter = ',', requires = "expire", value_name = "NAMES", value_parser = expire_namespace)]
    pub expire_namespaces: Vec<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml", value_name = "FORMAT")]
    pub output: RenderFormat,
    /// With -o kustomize: folder to write the base to
    #[arg(long, value_name = "DIR", required_if_eq("output", "kustomize"))]
    pub out: Option<PathBuf>,
    /// Flags for the manifests
    #[command(flatten)]
    pub webhook: WebhookFlags,
}

/// A namespace's name, or `*`.
fn expire_namespace(text: &str) -> Result<String, String> {
    if text == ALL || webhook_names::is_namespace(text) {
        return Ok(text.to_owned());
    }
    Err("it is neither the name of a namespace nor `*`".to_owned())
}

/// Every namespace.
const ALL: &str = "*";

impl RenderArgs {
    /// Where `diyadm expire` restores workloads; `home`: the webhook's namespace.
    pub(crate) fn expire_scope(&self, home: &str) -> ExpireScope {
        if self.expire_namespaces.iter().any(|name| name == ALL) {
            return ExpireScope::All;
        }
        let mut names = self.expire_namespaces.clone();
        if names.is_empty() {
            names.push(home.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        ExpireScope::Namespaces(names)
    }
}

/// Formats of `render`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderFormat {
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// A base for kustomize, written to --out DIR
    Kustomize,
}

/// Flags for the webhook's manifests.
#[derive(Args, Debug, Clone)]
pub struct WebhookFlags {
    /// Who empties
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub mode: Mode,
    /// Image of the webhook's server [default: admissionwebhook:latest]
    #[arg(long, value_name = "IMAGE", value_parser = image_name)]
    pub webhook_image: Option<String>,
    /// User of the server, or `none` to leave it to the cluster, as OpenShift needs it [default:
    /// 65532; with `install`, none where the namespace has a range of OpenShift]
    #[arg(long, value_name = "UID|none", value_parser = run_as_user)]
    pub run_as_user: Option<RunAsUser>,
    /// Replicas of the server; more than one adds a PodDisruptionBudget
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub replicas: u32,
    /// What the API server does when the webhook does not answer
    #[arg(long, value_enum, default_value = "Ignore", value_name = "POLICY")]
    pub failure_policy: FailurePolicy,
    /// Type of the webhook's Service
    #[arg(long, value_enum, default_value = "ClusterIP", value_name = "TYPE")]
    pub service_type: ServiceType,
    /// Port of the webhook's Service
    #[arg(long, default_value_t = 80, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Port that the server listens on in its container
    #[arg(long, default_value_t = 8443, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub container_port: u16,
    /// Seconds that the API server waits for an answer
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(1..=30))]
    pub timeout_seconds: i32,
    /// Folder in the container where the Secret is mounted
    #[arg(long, default_value = "/etc/webhook/certs", value_name = "DIR")]
    pub cert_dir: String,
    /// URL at which the API server calls the webhook, instead of the Service; only the
    /// configuration is rendered. The certificate must contain the URL's host, as a subjectAltName
    /// of --csr-conf
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// How workloads are emptied; --rules goes into a ConfigMap, which the server reloads when it
    /// changes
    #[command(flatten)]
    pub ways: EmptyingFlags,
}

/// `runAsUser` of the webhook's Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAsUser {
    /// The image's user, or the one that the cluster assigns.
    None,
    /// This one.
    Uid(i64),
}

fn run_as_user(text: &str) -> Result<RunAsUser, String> {
    if text == "none" {
        return Ok(RunAsUser::None);
    }
    // The Pods have runAsNonRoot.
    let uid = text.parse().ok().filter(|uid| (1..=i64::from(i32::MAX)).contains(uid));
    uid.map(RunAsUser::Uid).ok_or_else(|| "it is not `none` or a user ID from 1".to_owned())
}

/// What empties workloads on a cluster.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A server that the API server calls (Kubernetes 1.16 or newer)
    #[default]
    Webhook,
    /// The API server itself, by a MutatingAdmissionPolicy (Kubernetes 1.36): Pods only, as with
    /// --level pod; no server, no certificates
    Policy,
}

/// `failurePolicy` of a webhook.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The workload is created unchanged
    #[value(name = "Ignore")]
    Ignore,
    /// The workload is rejected
    #[value(name = "Fail")]
    Fail,
}

/// `type` of the webhook's Service.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// Inside the cluster only
    #[value(name = "ClusterIP")]
    ClusterIp,
    /// On a port of each node
    #[value(name = "NodePort")]
    NodePort,
}

impl Default for WebhookFlags {
    /// The default flags.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            webhook: WebhookFlags,
        }
        <Flags as clap::Parser>::parse_from(["webhook"]).webhook
    }
}
