//! `cargo xtask chart`: writes the files of the Helm chart that are made from templates/.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{paths, process};

/// The test that holds these files writes them, so that they are made in one place.
pub(crate) fn run() -> Result<ExitCode> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet", "--test", "it"]);
    cargo.args(["chart::generated_chart_files_match_the_templates"]);
    cargo.current_dir(paths::root()).env("DIYADM_UPDATE_CHART", "1");
    process::aloud("the chart", &mut cargo)?;
    Ok(ExitCode::SUCCESS)
}
