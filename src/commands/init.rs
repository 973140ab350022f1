//! `diyadm init`: creates certificates on a cluster or, with `--out`, in files; and inspects them.

use std::path::Path;

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{
        certificates::{folder, inspect, rotate, secret},
        flags::init::InitArgs,
        outcomes, webhook_names,
    },
    ui::terminal::{self, Terminal},
};

pub(super) fn run(global: &Global, args: &InitArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    match (&args.inspect, &args.out) {
        (Some(path), _) => print_certificates(global, args, path)?,
        (None, Some(dir)) => folder::write(&terminal, args, dir)?,
        (None, None) => {
            // Flags are validated before the cluster is contacted.
            webhook_names::check_labelled(&args.names)?;
            let left = "What was applied stays; run the same command again to continue.";
            runtime::run_interruptible(left, async {
                let cluster = Cluster::connect(&global.connection).await?;
                if args.rotate {
                    rotate::rotate(&terminal, &cluster, args).await
                } else {
                    secret::create(&terminal, &cluster, args).await
                }
            })?;
        }
    }
    Ok(Code::Done)
}

fn print_certificates(global: &Global, args: &InitArgs, path: &Path) -> Result<()> {
    let facts = if path == Path::new("secret") {
        runtime::run_interruptible("", async {
            let cluster = Cluster::connect(&global.connection).await?;
            inspect::inspect_secret(&cluster, &args.names).await
        })?
    } else {
        inspect::inspect_path(path)?
    };
    match args.output {
        Some(output) => outcomes::print(output, &facts),
        None => terminal::print_text(&inspect::text(&facts)),
    }
}
