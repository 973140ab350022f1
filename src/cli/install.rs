//! `diyadm install`.

use clap::Args;

use super::{init::Certificates, render::Webhook};
use crate::operations::{
    flags::{DryRunFlag, MachineFormat},
    webhook_names::WebhookNames,
};

/// Flags of `install`.
#[derive(Args, Debug)]
pub struct Install {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// Flags for new certificates
    #[command(flatten)]
    pub certificates: Certificates,
    /// Flags for the manifests
    #[command(flatten)]
    pub webhook: Webhook,
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
    /// Print the result for each object
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}
