//! `diyadm uninstall`: parses the flags, and removes the namespace's label and the webhook.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{flags::UninstallArgs, uninstall, webhook_names},
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &UninstallArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let left = "What was not deleted yet stays; run the same command again to continue.";
    // Flags are validated before the cluster is contacted.
    webhook_names::check(&args.names)?;
    runtime::run_interruptible(left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        uninstall::uninstall(&terminal, &cluster, args).await
    })?;
    Ok(Code::Done)
}
