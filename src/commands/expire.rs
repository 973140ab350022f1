//! `diyadm expire`: restores the workloads of a cluster that have expired.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{Operation, flags::ExpireArgs, restore},
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &ExpireArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let left = "Each workload is restored completely or not at all: `diyadm status` shows which \
                are still empty. Run the same command again to continue.";
    runtime::run_interruptible(left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        let work = args.work();
        let operation = Operation {
            terminal: &terminal,
            cluster: &cluster,
            targets: &args.targets,
            work: &work,
        };
        restore::expire(&operation, &args.namespaces).await
    })
}
