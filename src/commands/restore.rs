//! `diyadm restore`: parses the flags and restores workloads of a cluster.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::{Cluster, targets::Unnamed},
    operations::{
        Operation,
        flags::RestoreArgs,
        restore::{self, Manifests},
    },
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &RestoreArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let left = "Each workload is restored completely or not at all: `diyadm status` shows which \
                are still empty. Run the same command again to continue.";
    if args.manifests.filename.is_empty() {
        args.targets.require(Unnamed::WithAll)?;
    }
    let manifests = args.force_from.as_deref().map(Manifests::load).transpose()?;
    runtime::run_interruptible(left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        let operation = Operation {
            terminal: &terminal,
            cluster: &cluster,
            targets: &args.targets,
            work: &args.work,
        };
        restore::restore(&operation, args, manifests.as_ref()).await
    })
}
