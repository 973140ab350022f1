//! `diyadm man`: man pages, made from the command tree.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use crate::{cli::Cli, exit::Code};

/// Writes a page for each command into `folder`.
pub(super) fn run(folder: &Path) -> Result<Code> {
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| format!("cannot write man pages into {}", folder.display()))?;
    Ok(Code::Done)
}
