//! `diyadm check`.

use std::path::PathBuf;

use clap::Args;

use super::{Report, render::Mode};
use crate::operations::{flags::DryRunFlag, webhook_names::WebhookNames};
use crate::workload::image_name;

/// Flags of `check`.
#[derive(Args, Debug)]
#[command(mut_arg("dry_run", |dry_run| {
    dry_run.requires("fix").help("With --fix: print what would change")
}))]
pub struct Check {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// Image that workloads are emptied to, or `keep` for their own
    #[arg(long, default_value = "empty-container:latest", value_name = "IMAGE|keep", value_parser = image_name)]
    pub image: String,
    /// Who empties
    #[arg(long, value_enum, default_value_t, value_name = "MODE", conflicts_with_all = ["probe", "manifest"])]
    pub mode: Mode,
    /// Ask the API server why the webhook fails where failurePolicy Ignore hides it: creates, and
    /// deletes again, a configuration with policy Fail that matches one dry-run object only
    #[arg(long)]
    pub probe: bool,
    /// Look at the API server's static Pod instead, usually
    /// /etc/kubernetes/manifests/kube-apiserver.yaml; - is the standard input. Plugins of a flag
    /// that is there several times add up, as the API server has it
    #[arg(long, value_name = "FILE|-", conflicts_with = "probe")]
    pub manifest: Option<PathBuf>,
    /// With --manifest: name the webhook plugins in its flags, changing that line only
    #[arg(long, requires = "manifest")]
    pub fix: bool,
    /// With --fix: where the old file is kept (default: diyadm-backup beside the file's folder)
    #[arg(long, value_name = "DIR", requires = "fix")]
    pub backup: Option<PathBuf>,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Report,
}
