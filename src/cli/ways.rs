//! How workloads are emptied, as flags: of the webhook's server, and of whatever empties without
//! one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::workload::image_name;

/// How workloads are emptied. An annotation of the workload wins over a rule of --rules, a rule
/// over these flags.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
#[command(next_help_heading = "How workloads are emptied")]
pub struct Ways {
    /// Image that workloads are emptied to, or `keep` for their own (default:
    /// empty-container:latest)
    #[arg(long, value_name = "IMAGE|keep", value_parser = image_name)]
    pub image: Option<String>,
    /// What the empty container runs (default: entrypoint; with --image keep: shell)
    #[arg(long, value_enum, value_name = "HOW")]
    pub idle: Option<Idle>,
    /// Containers to empty: `a,b`, or `*` for all (default: the one that
    /// kubectl.kubernetes.io/default-container names, else the first that is no known helper)
    #[arg(long, value_name = "NAMES")]
    pub containers: Option<String>,
    /// Whether the workload's own spec changes, or only its Pods (default: workload)
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub level: Option<Level>,
    /// When the Pods of an empty workload are Ready: as soon as the container runs, or only while
    /// an application runs in it and the workload's own readiness probe succeeds (default:
    /// container)
    #[arg(long, value_enum, value_name = "WHEN")]
    pub ready: Option<Ready>,
    /// Image with diyadm in it, which brings the agent along for `--idle agent` (default:
    /// empty-container:latest)
    #[arg(long, value_name = "IMAGE", value_parser = image_name)]
    pub agent_image: Option<String>,
    /// rules.yaml: which workloads are emptied how; - is the standard input, but for `serve`
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

/// What an empty container runs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The image's own ENTRYPOINT
    Entrypoint,
    /// A loop for any image with sh and sleep; hears SIGTERM
    Shell,
    /// `diyadm idle`, brought by an init container; works without a shell too
    Agent,
}

/// When an emptied Pod is Ready.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// As soon as the container runs; Services send requests to it
    Container,
    /// While an application runs; takes the agent (--idle agent, or an image that has it)
    App,
}

/// Where emptying happens.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The workload's own spec
    Workload,
    /// Its Pods, as they are created
    Pod,
}
