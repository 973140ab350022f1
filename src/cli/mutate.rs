//! `diyadm mutate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::operations::flags::EmptyingFlags;

/// Flags of `mutate`.
#[derive(Args, Debug)]
#[command(after_help = "\
A document that does not change is written exactly as it was read. One that changes is formatted
again: its values and the order of its keys stay, comments inside it are lost (comments before its
first line stay). To keep every comment, use `-o patch` and apply the patches.

Exit codes: 0; 1 if something would change with --diff, or if --containers names a container that no
workload has (the documents are passed on unchanged); 2 if a file is invalid.")]
pub struct Mutate {
    /// Manifests, YAML or JSON; - is the standard input
    #[arg(short, long, required = true, value_name = "FILE|DIR|-")]
    pub filename: Vec<PathBuf>,
    /// Read folders recursively
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Restore instead of empty
    #[arg(long, conflicts_with_all = EmptyingFlags::IDS, conflicts_with = "replicas")]
    pub restore: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml", value_name = "FORMAT")]
    pub output: Output,
    /// Print the changes as a unified diff, with both sides formatted by diyadm; exit 1 if there
    /// are any
    #[arg(long, conflicts_with = "output")]
    pub diff: bool,
    /// Namespace of objects without one
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Replicas of each empty workload [default: unchanged]
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
    /// One line of JSON for each changed object, with its JSON Patch
    Patch,
}
