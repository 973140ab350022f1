//! `diyadm ui`.

use anyhow::Result;

use super::inside::block;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{flags::ui::UiArgs, screen},
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &UiArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        screen::show(&cluster, args, &terminal).await
    })
}
