//! `diyadm check`.

use std::path::PathBuf;

use clap::Args;

use super::{DryRunFlag, EmptyImageFlags, render::Mode};
use crate::{operations::webhook_names::WebhookNames, report::ReportFormat};

/// Flags of `check`.
#[derive(Args, Debug)]
#[command(mut_arg("dry_run", |dry_run| {
    dry_run.requires("fix").help("With --fix: print what would change")
}))]
pub struct CheckArgs {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// Image of empty containers
    #[command(flatten)]
    pub image: EmptyImageFlags,
    /// Who empties
    #[arg(long, value_enum, default_value_t, value_name = "MODE", conflicts_with_all = ["probe", "manifest"])]
    pub mode: Mode,
    /// Find out why the webhook fails when failurePolicy Ignore hides it: create a configuration
    /// with policy Fail that matches one dry-run object only, and delete it
    #[arg(long)]
    pub probe: bool,
    /// Check the API server's static Pod instead, usually
    /// /etc/kubernetes/manifests/kube-apiserver.yaml; - is the standard input. Values of a repeated
    /// plugin flag add up, as in the API server
    #[arg(long, value_name = "FILE|-", conflicts_with = "probe")]
    pub manifest: Option<PathBuf>,
    /// With --manifest: add the webhook plugins to its flags, and change nothing else
    #[arg(long, requires = "manifest")]
    pub fix: bool,
    /// With --fix: folder for the old file [default: diyadm-backup next to the file's folder]
    #[arg(long, value_name = "DIR", requires = "fix")]
    pub backup: Option<PathBuf>,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: ReportFormat,
}
