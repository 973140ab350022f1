//! `diyadm status`.

use clap::{Args, ValueEnum};

use crate::kubernetes::targets::Targets;

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Which workloads (default: all of the namespace)
    #[command(flatten)]
    pub targets: Targets,
    /// Keep running, and print each line again when it changes
    #[arg(short, long)]
    pub watch: bool,
    /// Format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// How the board is printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A table
    Wide,
    /// JSON: a list, and with --watch an object a line
    Json,
    /// YAML
    Yaml,
    /// `deployment.apps/web`
    Name,
}
