//! `diyadm install`.

use clap::Args;

use super::{init::Certificates, render::Webhook};
use crate::{
    kubernetes::DryRun,
    operations::{flags::MachineFormat, webhook_names::WebhookNames},
};

/// Flags of `install`.
#[derive(Args, Debug)]
pub struct Install {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// How the certificates are made, where there are none yet
    #[command(flatten)]
    pub certificates: Certificates,
    /// The shape of the webhook
    #[command(flatten)]
    pub webhook: Webhook,
    /// Take over fields that another manager owns, and the configuration of another webhook; replace
    /// certificates as `init --force` does
    #[arg(long)]
    pub force: bool,
    /// Seconds to wait for the webhook
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    pub timeout: u64,
    /// Change nothing: `client` only tells, `server` lets the API server judge it
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        value_name = "WHERE"
    )]
    pub dry_run: Option<DryRun>,
    /// Print what became of each object
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}
