//! `diyadm version`.

use clap::Args;

use crate::operations::flags::MachineFormat;

/// Flags of `version`.
#[derive(Args, Debug)]
pub struct Version {
    /// This program's version only, which is what is printed in any case
    #[arg(long, hide = true)]
    pub client: bool,
    /// Format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}
