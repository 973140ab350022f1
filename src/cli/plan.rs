//! `diyadm plan`.

use std::path::PathBuf;

use clap::Args;

use super::rules::Format;
use crate::{kubernetes::targets::Targets, operations::flags::EmptyingFlags};

/// Flags of `plan`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0; 1 where a workload that was named would stay as it is; 2 where a file makes no sense; \
3 where the cluster is not reached.")]
pub struct Plan {
    /// Which workloads; where nothing is named, all of the namespace
    #[command(flatten)]
    pub targets: Targets,
    /// Workloads in manifests instead, without a cluster; - is the standard input
    #[arg(
        short,
        long,
        value_name = "FILE|DIR|-",
        conflicts_with_all = ["workloads", "selector", "field_selector", "all", "all_namespaces"]
    )]
    pub filename: Vec<PathBuf>,
    /// How they would be emptied
    #[command(flatten)]
    pub ways: EmptyingFlags,
    /// Replicas of each while it is empty (default: as many as it has)
    #[arg(long, value_name = "N", help_heading = "How workloads are emptied")]
    pub replicas: Option<u32>,
    /// Suspend CronJobs while they are empty, so that they start no Jobs
    #[arg(long, help_heading = "How workloads are emptied")]
    pub suspend_cronjobs: bool,
    /// Format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}
