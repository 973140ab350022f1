//! `diyadm install`.

use clap::Args;

use super::{DryRunFlag, MachineFormat, init::CertificateFlags, render::WebhookFlags};
use crate::operations::webhook_names::WebhookNames;

/// Flags of `install`.
#[derive(Args, Debug)]
pub struct InstallArgs {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// Flags for new certificates
    #[command(flatten)]
    pub certificates: CertificateFlags,
    /// Take over fields that another manager owns, and the configuration of another webhook; replace
    /// certificates as `init --force` does
    #[arg(long)]
    pub force: bool,
    /// Seconds to wait for the webhook
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    pub timeout: u64,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
    /// Flags for the manifests
    #[command(flatten)]
    pub webhook: WebhookFlags,
}
