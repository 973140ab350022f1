//! The flag that selects workloads by their manifests.

use std::path::PathBuf;

use clap::Args;

/// Workloads selected by manifests.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Workloads")]
pub struct ManifestFlags {
    /// Workloads in these manifests, as for `kubectl delete -f` (folders are not read recursively;
    /// - is the standard input)
    #[arg(
        short,
        long,
        value_name = "FILE|DIR|-",
        conflicts_with_all = ["workloads", "selector", "field_selector", "all", "all_namespaces"]
    )]
    pub filename: Vec<PathBuf>,
}

impl ManifestFlags {
    /// The help of `--filename` for commands without a cluster.
    pub const OFFLINE: &str =
        "Use the workloads in these manifests, without a cluster; - is the standard input";
}
