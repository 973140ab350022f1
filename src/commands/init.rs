//! `diyadm init`: creates certificates on a cluster or, with `--out`, in files; and inspects them.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::{Global, init::Init},
    exit::Code,
    kubernetes::Cluster,
    operations::webhook_names,
    ui::terminal::Terminal,
};

pub(super) mod cluster;
mod files;
mod inspect;
mod rotate;

pub(super) fn run(global: &Global, args: &Init) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    match (&args.inspect, &args.out) {
        (Some(what), _) => inspect::run(global, args, what),
        (None, Some(dir)) => files::write(&terminal, args, dir),
        (None, None) => {
            // Flags are validated before the cluster is contacted.
            webhook_names::check_labelled(&args.names)?;
            let left = "What was applied stays; run the same command again to continue.";
            runtime::run(left, async {
                let cluster = Cluster::connect(&global.connection).await?;
                if args.rotate {
                    rotate::run(&terminal, &cluster, args).await
                } else {
                    cluster::run(&terminal, &cluster, args).await
                }
            })?;
            Ok(Code::Done)
        }
    }
}
