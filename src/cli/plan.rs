//! `diyadm plan`.

use clap::Args;

use super::rules::Format;
use crate::{
    kubernetes::targets::Targets,
    operations::flags::{EmptyingFlags, ManifestFlags, ScaleFlags, StandInFlags},
};

/// Flags of `plan`.
#[derive(Args, Debug)]
#[command(
    after_help = "\
With -A there is one line for each workload.

Exit codes: 0; 1 if a named workload would stay as it is; 2 if a file is invalid; 3 if the \
cluster cannot be reached.",
    mut_arg("filename", |filename| filename.help(ManifestFlags::OFFLINE))
)]
pub struct Plan {
    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
    /// Which workloads; by default, all of the namespace
    #[command(flatten)]
    pub targets: Targets,
    /// The same in manifests
    #[command(flatten)]
    pub manifests: ManifestFlags,
    /// How they would be emptied
    #[command(flatten)]
    pub ways: EmptyingFlags,
    /// What a stand-in would run
    #[command(flatten)]
    pub stand_in: StandInFlags,
    /// Their scale while empty
    #[command(flatten)]
    pub scale: ScaleFlags,
}
