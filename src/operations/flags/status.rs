//! `diyadm status`.

use clap::{Args, ValueEnum};

use crate::kubernetes::targets::Targets;

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Keep running, and follow changes
    #[arg(short, long)]
    pub watch: bool,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<StatusFormat>,
    /// Which workloads [default: all of the namespace]
    #[command(flatten)]
    pub targets: Targets,
}

/// Formats of the status table.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFormat {
    /// A table
    Wide,
    /// JSON: a list, and with --watch one object per line
    Json,
    /// YAML
    Yaml,
    /// `deployment.apps/web`
    Name,
}
