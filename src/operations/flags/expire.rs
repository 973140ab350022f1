//! `diyadm expire`.

use clap::Args;

use super::{DryRunFlag, ObjectFormat, OperationFlags, PodFlags};
use crate::kubernetes::targets::Targets;

/// Flags of `expire`.
#[derive(Args, Debug, Default)]
#[command(
    mut_arg("all", |all| all.hide(true)),
    after_help = "\
A workload expires by the API server's clock. The exit code is 0 if nothing has expired or everything \
that has expired was restored, 1 if a workload was not restored or its Pods are not ready, and 3 if the \
cluster cannot be reached or a right is missing."
)]
pub struct ExpireArgs {
    /// Which workloads [default: all of the namespace]
    #[command(flatten)]
    pub targets: Targets,
    /// Several namespaces
    #[arg(long, value_delimiter = ',', value_name = "NAMES", conflicts_with_all = ["namespace", "all_namespaces"])]
    pub namespaces: Vec<String>,
    /// How their Pods are replaced
    #[command(flatten)]
    pub pods: PodFlags,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<ObjectFormat>,
}

impl ExpireArgs {
    /// How restoring works. It asks for no confirmation: the person who emptied a workload set its
    /// end.
    pub(crate) fn work(&self) -> OperationFlags {
        let (pods, dry_run, output) = (self.pods, self.dry_run, self.output);
        OperationFlags { yes: true, pods, dry_run, output, ..OperationFlags::default() }
    }
}
