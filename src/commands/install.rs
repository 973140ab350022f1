//! `diyadm install`: installs everything that the webhook needs, and waits until it answers.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{
        flags::install::InstallArgs,
        install::{Installation, install},
    },
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &InstallArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let left = format!(
        "What was applied stays: run the same command again to continue, or `diyadm uninstall -n \
         {} --service {}` to remove it.",
        args.names.namespace(),
        args.names.service
    );
    let installation = Installation::from_flags(args)?;
    runtime::run_interruptible(&left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        install(&terminal, &cluster, args, installation).await
    })?;
    Ok(Code::Done)
}
