//! `diyadm empty`: parses the flags and empties workloads of a cluster.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::{Code, Failure},
    kubernetes::Cluster,
    operations::{Operation, empty, emptying_flags, flags::EmptyArgs},
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &EmptyArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let left = "Each workload is emptied as a whole or not at all: `diyadm status` tells which \
                are, the same command goes on, `diyadm restore` takes it back.";
    empty::decision::check(&args.ways, args.scale)?;
    if args.rollback && !args.work.pods.wait {
        let what = "--rollback restores what does not start, and --wait=false does not look.";
        return Err(Failure::usage(what, "Leave one of them.").into());
    }
    let rules = emptying_flags::rules(&args.ways, None)?;
    runtime::run(left, async {
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
