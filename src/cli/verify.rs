//! `diyadm verify`.

use std::path::PathBuf;

use clap::Args;

use super::{Report, init::Certificates, render::Mode};
use crate::operations::{
    flags::{DryRunFlag, Level},
    webhook_names::WebhookNames,
};
use crate::workload::image_name;

/// Flags of `verify`.
#[derive(Args, Debug)]
#[command(mut_arg("dry_run", |dry_run| {
    dry_run
        .conflicts_with("offline")
        .help("`server`: leave no trace, the API server goes through everything but storing")
}))]
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
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
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
