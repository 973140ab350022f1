//! `diyadm version`.

use clap::Args;

use crate::operations::flags::MachineFormat;

/// Flags of `version`.
#[derive(Args, Debug)]
pub struct Version {
    /// Print the version of this program only; ask no cluster
    #[arg(long)]
    pub client: bool,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}
