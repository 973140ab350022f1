//! `diyadm empty` and `diyadm restore`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{DryRun, targets::Targets, ways::Ways};

/// Flags of `empty`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Empty {
    /// Which workloads
    #[command(flatten)]
    pub targets: Targets,
    /// The workloads that these manifests name, as `kubectl delete -f` takes them (a folder is not
    /// read recursively; - is the standard input)
    #[arg(
        short,
        long,
        value_name = "FILE|DIR|-",
        conflicts_with_all = ["workloads", "selector", "field_selector", "all", "all_namespaces"]
    )]
    pub filename: Vec<PathBuf>,
    /// How they are emptied; --image, --idle and --containers are written on the workload as
    /// annotations, so that a webhook does the same, and restoring takes them back
    #[command(flatten)]
    pub ways: Ways,
    /// Replicas of each while it is empty (default: as many as it has); written on it as well; what
    /// has no such number, like a DaemonSet, is left alone
    #[arg(long, value_name = "N", help_heading = "How workloads are emptied")]
    pub replicas: Option<u32>,
    /// Suspend CronJobs while they are empty, so that they start no Jobs; restoring sets `suspend`
    /// back
    #[arg(long, help_heading = "How workloads are emptied")]
    pub suspend_cronjobs: bool,
    /// Hold the HorizontalPodAutoscalers, KEDA ScaledObjects and VerticalPodAutoscalers of a
    /// workload while it is empty; restoring lets them go
    #[arg(long)]
    pub hold_autoscalers: bool,
    /// Delete a Pod or Job and create it again, emptied: nothing but its image can be changed
    #[arg(long)]
    pub recreate: bool,
    /// Restore a workload whose emptied Pods cannot start
    #[arg(long, conflicts_with = "dry_run")]
    pub rollback: bool,
    /// How it is done
    #[command(flatten)]
    pub work: Work,
}

/// Flags of `restore`.
#[derive(Args, Debug)]
pub struct Restore {
    /// Which workloads; with --all, -l or -A those that are not empty are passed over
    #[command(flatten)]
    pub targets: Targets,
    /// The workloads that these manifests name, as `kubectl delete -f` takes them (a folder is not
    /// read recursively; - is the standard input)
    #[arg(
        short,
        long,
        value_name = "FILE|DIR|-",
        conflicts_with_all = ["workloads", "selector", "field_selector", "all", "all_namespaces"]
    )]
    pub filename: Vec<PathBuf>,
    /// Where the original is not to be trusted: take the fields that emptying touches from this
    /// manifest of the workload instead
    #[arg(long, value_name = "FILE")]
    pub force_from: Option<PathBuf>,
    /// Delete a Pod or Job and create it again, as it was: nothing but its image can be changed
    #[arg(long)]
    pub recreate: bool,
    /// With --recreate: run what the annotation diyadm.io/original says; anyone who may patch the
    /// Pod or Job can write that annotation
    #[arg(long, requires = "recreate")]
    pub trust_original: bool,
    /// How it is done
    #[command(flatten)]
    pub work: Work,
}

/// How workloads are changed.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "How it is done")]
pub struct Work {
    /// Change workloads that are not named one by one (--all, -A, -l) without a question; without a
    /// terminal none is asked
    #[arg(short, long)]
    pub yes: bool,
    /// Wait until the Pods are replaced and ready
    #[arg(
        long,
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_name = "BOOL"
    )]
    pub wait: bool,
    /// Seconds to wait for the Pods
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub timeout: u64,
    /// Delete the Pods that diyadm replaces itself (at level pod, of ReplicaSets, and with the
    /// strategy OnDelete) instead of evicting them: no PodDisruptionBudget is asked
    #[arg(long)]
    pub disable_eviction: bool,
    /// Requests that are on their way to the API server at once; there is no other limit on this
    /// side, and one that the API server sets (429) is obeyed
    #[arg(long, default_value_t = Work::CONCURRENCY, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Change nothing: `client` only tells, `server` lets the API server judge it
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        value_name = "WHERE"
    )]
    pub dry_run: Option<DryRun>,
    /// Print what was changed: its name, the object as it is then, or the JSON Patch
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,
}

impl Work {
    /// The API server's own limits are for hundreds at once; one user takes few of them.
    pub const CONCURRENCY: u16 = 8;
}

/// What is printed of a workload.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `deployment.apps/web`
    Name,
    /// The object; a List where there are several
    Json,
    /// The object; a List where there are several
    Yaml,
    /// A JSON Patch a line
    Patch,
}
