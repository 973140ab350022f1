//! `diyadm empty`: parses the flags and empties workloads of a cluster.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::{Code, Failure, Topic},
    kubernetes::{Cluster, targets::Unnamed},
    operations::{Operation, empty, emptying_flags, flags::EmptyArgs},
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &EmptyArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let left = "Each workload is emptied completely or not at all: `diyadm status` shows which \
                are empty. Run the same command again to continue, or `diyadm restore` to undo it.";
    if args.manifests.filename.is_empty() {
        args.targets.require(Unnamed::Refused)?;
    }
    empty::requested::check(&args.ways, args.scale, args.time)?;
    empty::copy::check(args)?;
    if args.rollback && !args.work.pods.wait {
        let what = "--rollback restores workloads that do not start, and --wait=false does not \
                    wait for that.";
        return Err(Failure::usage(Topic::CommandLine, what, "Omit one of them.").into());
    }
    let rules = emptying_flags::rules(&args.ways, None)?;
    runtime::run_interruptible(left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        let operation = Operation {
            terminal: &terminal,
            cluster: &cluster,
            targets: &args.targets,
            work: &args.work,
        };
        empty::empty(&operation, args, &rules).await
    })
}
