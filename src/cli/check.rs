//! `diyadm check`.

use clap::Args;

use super::{Names, Report};

/// Flags of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The names
    #[command(flatten)]
    pub names: Names,
    /// Image that workloads are emptied to
    #[arg(long, default_value = "empty-container:latest", value_name = "IMAGE")]
    pub image: String,
    /// Ask the API server why the webhook fails where failurePolicy Ignore hides it: creates, and
    /// deletes again, a configuration with policy Fail that matches one dry-run object only
    #[arg(long)]
    pub probe: bool,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Report,
}
