//! `diyadm rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ways::Ways;

/// `diyadm rules …`
#[derive(Subcommand, Debug)]
pub enum Rules {
    /// Say whether a rules.yaml is right
    Check {
        /// rules.yaml
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say which rule decides how a workload is emptied, and why
    Explain(Explain),
    /// Print every label and annotation that means something to diyadm
    Annotations,
}

/// Flags of `rules explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// Workloads in manifests; - is the standard input
    #[arg(short, long, required = true, value_name = "FILE|DIR|-")]
    pub filename: Vec<PathBuf>,
    /// Namespace of objects that name none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How workloads are emptied
    #[command(flatten)]
    pub ways: Ways,
    /// Format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}

/// Formats of what a command found.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people
    Text,
    /// JSON
    Json,
    /// YAML
    Yaml,
}
