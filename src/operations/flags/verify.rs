//! `diyadm verify`.

use std::path::PathBuf;

use clap::Args;

use super::{DryRunFlag, EmptyImageFlags, Level, init::CertificateFlags, render::Mode};
use crate::{operations::webhook_names::WebhookNames, report::ReportFormat};

/// Flags of `verify`.
#[derive(Args, Debug)]
#[command(mut_arg("dry_run", |dry_run| {
    dry_run
        .conflicts_with("offline")
        .help("`server`: store nothing; the API server processes the request without storing it")
}))]
pub struct VerifyArgs {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// How the certificates are made
    #[command(flatten)]
    pub certificates: CertificateFlags,
    /// Test on this machine alone: no cluster, no kubeconfig, no network
    #[arg(long)]
    pub offline: bool,
    /// With --offline: test with the workloads of these manifests (folders are not read
    /// recursively; - is the standard input)
    #[arg(short, long, value_name = "FILE|DIR|-", requires = "offline")]
    pub filename: Vec<PathBuf>,
    /// Keep the objects that were created
    #[arg(long, conflicts_with_all = ["offline", "dry_run"])]
    pub keep: bool,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// What empties workloads; with `policy` a Pod is created instead of a Deployment
    #[arg(long, value_enum, default_value_t, value_name = "MODE", conflicts_with = "offline")]
    pub mode: Mode,
    /// Level at which the webhook empties; with `pod` a Pod is created instead of a Deployment
    #[arg(long, value_enum, value_name = "LEVEL", conflicts_with = "offline")]
    pub level: Option<Level>,
    /// Image of empty containers
    #[command(flatten)]
    pub image: EmptyImageFlags,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: ReportFormat,
}
