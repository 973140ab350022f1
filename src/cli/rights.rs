//! `diyadm rights`.

use clap::{Args, ValueEnum};

use super::rules::Format;

/// Flags of `rights`.
#[derive(Args, Debug)]
#[command(after_help = "\
No cluster is contacted. Give the output to an administrator who may create roles.")]
pub struct Rights {
    /// Who needs the rights
    #[arg(long = "for", value_enum, value_name = "WHO")]
    pub audience: Audience,
    /// Namespace of the workloads, or of the webhook [default: the context's; for an installer:
    /// test]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Name of the webhook's Service, Deployment and MutatingWebhookConfiguration; each server of a
    /// cluster needs its own name
    #[arg(long, default_value = "diyadmissionwebhook", value_name = "NAME")]
    pub service: String,
    /// Name of the Secret with ca.crt, server.crt and server.key
    #[arg(long, default_value = "webhook-secret", value_name = "NAME")]
    pub secret: String,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}

/// Who needs rights.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Empties and restores workloads of a namespace, and works in their containers
    Developer,
    /// Installs and removes the webhook or the policy
    Installer,
    /// Restores workloads that have expired, as the CronJob of `render --expire`
    Expire,
}
