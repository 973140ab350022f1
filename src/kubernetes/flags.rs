//! Flags that select the cluster, and dry runs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags that select a cluster.
#[derive(Args, Debug, Clone, Default)]
pub struct ConnectionFlags {
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub context: Option<String>,
    /// Kubeconfig file [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub kubeconfig: Option<PathBuf>,
    /// File that declares custom kinds of workload (docs/en/kinds.md)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub kinds: Option<PathBuf>,
    /// Print each request to the API server, without its content
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
}

/// Modes of a dry run.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// Send nothing that changes anything
    Client,
    /// The API server processes the request without storing it
    Server,
}

/// How the API server handles a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It stores the object.
    Persist,
    /// It processes the request without storing it.
    DryRun,
}

impl From<Option<DryRun>> for WriteMode {
    fn from(dry_run: Option<DryRun>) -> Self {
        if dry_run.is_some() { Self::DryRun } else { Self::Persist }
    }
}
