//! `diyadm rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    kubernetes::targets::Targets,
    operations::flags::{EmptyingFlags, ManifestFlags},
};

/// `diyadm rules …`
#[derive(Subcommand, Debug)]
pub enum Rules {
    /// Check a rules.yaml for mistakes
    Check {
        /// rules.yaml; - is the standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Show which rule decides how a workload is emptied, and why
    Explain(Box<Explain>),
    /// List the labels and annotations that diyadm reads or writes
    Annotations,
}

/// Flags of `rules explain`.
#[derive(Args, Debug)]
#[command(mut_arg("filename", |filename| filename.help(ManifestFlags::OFFLINE)))]
pub struct Explain {
    /// Webhook whose rules apply to workloads of a cluster, from the flags of its server and its
    /// rules.yaml; flags given here override them [default: the one that serves the workload's
    /// namespace, else test/diyadmissionwebhook]
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        conflicts_with_all = EmptyingFlags::IDS,
        conflicts_with = "filename"
    )]
    pub webhook: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
    /// Which workloads; by default, all of the namespace
    #[command(flatten)]
    pub targets: Targets,
    /// The same in manifests
    #[command(flatten)]
    pub manifests: ManifestFlags,
    /// How workloads are emptied
    #[command(flatten)]
    pub ways: EmptyingFlags,
}

/// Formats of a report.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people
    Text,
    /// JSON
    Json,
    /// YAML
    Yaml,
}
