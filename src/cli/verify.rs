//! `diyadm verify`.

use std::path::PathBuf;

use clap::Args;

use super::{Report, init::Certificates, render::Mode};
use crate::workload::image_name;
use crate::{
    kubernetes::DryRun,
    operations::{flags::Level, webhook_names::WebhookNames},
};

/// Flags of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// How the certificates are made
    #[command(flatten)]
    pub certificates: Certificates,
    /// Prove it on this machine alone: no cluster, no kubeconfig, no network
    #[arg(long)]
    pub offline: bool,
    /// With --offline: prove it for the workloads of these manifests (a folder is not read
    /// recursively; - is the standard input)
    #[arg(short, long, value_name = "FILE|DIR|-", requires = "offline")]
    pub filename: Vec<PathBuf>,
    /// Leave what was created in the namespace
    #[arg(long, conflicts_with_all = ["offline", "dry_run"])]
    pub keep: bool,
    /// `server`: leave no trace, the API server goes through everything but storing
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        value_name = "WHERE",
        conflicts_with = "offline"
    )]
    pub dry_run: Option<DryRun>,
    /// Who empties; with `policy` a Pod is created, and no Deployment
    #[arg(long, value_enum, default_value_t, value_name = "MODE", conflicts_with = "offline")]
    pub mode: Mode,
    /// Where the webhook empties; with `pod` a Pod is created, and no Deployment
    #[arg(long, value_enum, value_name = "LEVEL", conflicts_with = "offline")]
    pub level: Option<Level>,
    /// Image that workloads are emptied to, or `keep` for their own
    #[arg(long, default_value = "empty-container:latest", value_name = "IMAGE|keep", value_parser = image_name)]
    pub image: String,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Report,
}
