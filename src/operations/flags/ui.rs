//! `diyadm ui`.

use clap::Args;

use crate::kubernetes::targets::Targets;

/// Flags of `ui`.
#[derive(Args, Debug)]
pub struct UiArgs {
    /// Print the screen as text, and exit
    #[arg(long)]
    pub once: bool,
    /// Which workloads [default: all of the namespace]
    #[command(flatten)]
    pub targets: Targets,
}
