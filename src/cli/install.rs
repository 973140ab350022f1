//! `diyadm install` and `diyadm uninstall`.

use clap::{ArgAction, Args};

use super::{
    DryRun, Names,
    init::{Certificates, Output},
    render::Webhook,
};

/// Flags of `install`.
#[derive(Args, Debug)]
pub struct Install {
    /// The names
    #[command(flatten)]
    pub names: Names,
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
    pub output: Option<Output>,
}

/// Flags of `uninstall`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Args, Debug)]
pub struct Uninstall {
    /// The names
    #[command(flatten)]
    pub names: Names,
    /// With the server delete the Secret too
    #[arg(long)]
    pub all: bool,
    /// Delete the server although other namespaces are emptied by it, or although it was installed
    /// from another namespace or by somebody else
    #[arg(long)]
    pub force: bool,
    /// Restore the workloads of the namespace once its label is taken away, before anything else;
    /// one that cannot be restored stops it. Pods and Jobs stay: they would have to be made anew
    #[arg(long)]
    pub restore: bool,
    /// With --restore: wait until the Pods are replaced and ready
    #[arg(
        long,
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        requires = "restore",
        value_name = "BOOL"
    )]
    pub wait: bool,
    /// With --restore: seconds to wait for the Pods
    #[arg(long, default_value_t = 300, requires = "restore", value_name = "SECONDS")]
    pub timeout: u64,
    /// With --restore: delete Pods instead of evicting them: no PodDisruptionBudget is asked
    #[arg(long, requires = "restore")]
    pub disable_eviction: bool,
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
    pub output: Option<Output>,
}
