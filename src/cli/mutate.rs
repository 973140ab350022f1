//! `diyadm mutate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::operations::flags::EmptyingFlags;

/// Flags of `mutate`.
#[derive(Args, Debug)]
#[command(after_help = "\
A document that does not change is written as the very text that it was. One that changes is
written anew: its values and the order of its keys stay, the comments inside it do not (those
before its first line do). Who wants to keep every comment takes `-o patch`, and applies that.

Examples:
  kustomize build | diyadm mutate -f - | kubectl apply -f -
  diyadm mutate -f manifests -R --diff
  diyadm mutate -f app.yaml > empty.yaml; diyadm mutate -f empty.yaml --restore

Exit codes: 0; 1 where something would change with --diff, or where --containers names what no
workload has (the documents are passed on as they are); 2 where a file makes no sense.")]
pub struct Mutate {
    /// Manifests, YAML or JSON; - is the standard input
    #[arg(short, long, required = true, value_name = "FILE|DIR|-")]
    pub filename: Vec<PathBuf>,
    /// Folders with all that is in them
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Give back what was emptied
    #[arg(long, conflicts_with_all = ["EmptyingFlags", "replicas"])]
    pub restore: bool,
    /// Format; patch: a line of JSON for each object that changes, with its JSON Patch
    #[arg(short, long, value_enum, default_value = "yaml", value_name = "FORMAT")]
    pub output: Output,
    /// Print what would change as a unified diff, both sides written anew; exit 1 where something
    /// would
    #[arg(long, conflicts_with = "output")]
    pub diff: bool,
    /// Namespace of objects that name none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Replicas of an empty Deployment, StatefulSet or ReplicaSet (default: as many as it has)
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,
    /// How workloads are emptied
    #[command(flatten)]
    pub ways: EmptyingFlags,
}

/// What `mutate` writes.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// JSON Patches
    Patch,
}
