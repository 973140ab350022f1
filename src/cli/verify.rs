//! `diyadm verify`.

use clap::{Args, ValueEnum};

use super::{Names, init::Certificates};

/// Flags of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The names
    #[command(flatten)]
    pub names: Names,
    /// How the certificates are made
    #[command(flatten)]
    pub certificates: Certificates,
    /// Prove it on this machine alone: no cluster, no kubeconfig, no network (the only way so far)
    #[arg(long, required = true)]
    pub offline: bool,
    /// Image that workloads are emptied to
    #[arg(long, default_value = "empty-container:latest", value_name = "IMAGE")]
    pub image: String,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Report,
}

/// Formats of a report.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// One line a step, for people, on stderr
    #[default]
    Text,
    /// JSON
    Json,
    /// JUnit XML, for pipelines
    Junit,
}
