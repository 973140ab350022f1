//! The flags of `empty`, `restore` and `uninstall`, and those that say how workloads are emptied.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use jiff::SignedDuration;

use super::webhook_names::WebhookNames;
use crate::{
    kubernetes::{DryRun, targets::Targets},
    workload::{image_name, lease_time},
};

pub mod check;
mod copy;
mod expire;
mod images;
pub mod init;
pub mod install;
mod manifests;
pub mod render;
mod shape;
mod stand_in;
pub mod status;
pub mod ui;
pub mod verify;

pub use copy::CopyFlags;
pub use expire::ExpireArgs;
pub use images::{EmptyImageFlags, PullSecretFlags, RegistryFlag};
pub use manifests::ManifestFlags;
pub use shape::ShapeFlags;
pub use stand_in::StandInFlags;

/// Flags of `empty`.
#[derive(Args, Debug, Default)]
pub struct EmptyArgs {
    /// Suspend the HorizontalPodAutoscalers, KEDA ScaledObjects and VerticalPodAutoscalers of a
    /// workload while it is empty; restoring resumes them
    #[arg(long)]
    pub hold_autoscalers: bool,
    /// Delete a Pod or Job and create it again, as only its image can be changed in place
    #[arg(long)]
    pub recreate: bool,
    /// Restore workloads whose emptied Pods cannot start
    #[arg(long, conflicts_with = "dry_run")]
    pub rollback: bool,
    /// Which workloads
    #[command(flatten)]
    pub targets: Targets,
    /// The same in manifests
    #[command(flatten)]
    pub manifests: ManifestFlags,
    /// How they are emptied; these flags are also written to the workload as annotations, so that a
    /// webhook does the same; restoring removes them
    #[command(flatten)]
    pub ways: EmptyingFlags,
    /// Note on the workload that it is restored after this time: 30m, 8h; `diyadm expire` does it
    #[arg(long = "for", value_name = "TIME", value_parser = lease_time)]
    pub time: Option<SignedDuration>,
    /// What a stand-in runs
    #[command(flatten)]
    pub stand_in: StandInFlags,
    /// A copy instead
    #[command(flatten)]
    pub copy: CopyFlags,
    /// Their scale while empty
    #[command(flatten)]
    pub scale: ScaleFlags,
    /// How it is done
    #[command(flatten)]
    pub work: OperationFlags,
}

/// Flags of `restore`.
#[derive(Args, Debug, Default)]
pub struct RestoreArgs {
    /// For an untrusted original: take the fields that emptying changes from this manifest of the
    /// workload instead
    #[arg(long, value_name = "FILE")]
    pub force_from: Option<PathBuf>,
    /// Delete a Pod or Job and create it again, as only its image can be changed in place
    #[arg(long)]
    pub recreate: bool,
    /// With --recreate: trust the annotation diyadm.io/original, which anyone who may patch the Pod
    /// or Job can write
    #[arg(long, requires = "recreate")]
    pub trust_original: bool,
    /// Which workloads; with --all, -l or -A those that are not empty are skipped
    #[command(flatten)]
    pub targets: Targets,
    /// The same in manifests
    #[command(flatten)]
    pub manifests: ManifestFlags,
    /// How it is done
    #[command(flatten)]
    pub work: OperationFlags,
}

/// How workloads are changed.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "How it is done")]
pub struct OperationFlags {
    /// Do not ask for confirmation when workloads are selected by --all, -A or -l; without a
    /// terminal diyadm never asks
    #[arg(short, long)]
    pub yes: bool,
    /// How their Pods are replaced
    #[command(flatten)]
    pub pods: PodFlags,
    /// Maximum number of concurrent requests to the API server; diyadm has no other limit, and
    /// respects the API server's (429)
    #[arg(long, default_value_t = OperationFlags::CONCURRENCY, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<ObjectFormat>,
}

impl OperationFlags {
    /// The API server's own limits allow hundreds of concurrent requests; one user takes few of
    /// them.
    pub const CONCURRENCY: u16 = 8;
}

impl Default for OperationFlags {
    /// The defaults.
    fn default() -> Self {
        Self {
            yes: false,
            pods: PodFlags::default(),
            concurrency: Self::CONCURRENCY,
            dry_run: DryRunFlag::default(),
            output: None,
        }
    }
}

/// The scale of an emptied workload.
#[derive(Args, Debug, Clone, Copy, Default)]
#[command(next_help_heading = "How workloads are emptied")]
pub struct ScaleFlags {
    /// Replicas of each empty workload, also written to it as an annotation; workloads without
    /// replicas, like DaemonSets, stay as they are [default: unchanged]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,
    /// Suspend CronJobs while they are empty, so that they start no Jobs; restoring resets
    /// `suspend`
    #[arg(long)]
    pub suspend_cronjobs: bool,
}

/// How Pods are replaced.
#[derive(Args, Debug, Clone, Copy)]
pub struct PodFlags {
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
    #[arg(long, default_value_t = PodFlags::TIMEOUT, value_name = "SECONDS")]
    pub timeout: u64,
    /// Delete Pods instead of evicting them, which ignores PodDisruptionBudgets
    #[arg(long)]
    pub disable_eviction: bool,
}

impl PodFlags {
    /// Seconds in which most images are pulled and most applications start.
    pub const TIMEOUT: u64 = 300;
}

impl Default for PodFlags {
    /// The defaults.
    fn default() -> Self {
        Self { wait: true, timeout: Self::TIMEOUT, disable_eviction: false }
    }
}

/// Whether anything is changed.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct DryRunFlag {
    /// Change nothing: `client` only prints the change, `server` has the API server validate it
    #[arg(
        id = "dry_run",
        long = "dry-run",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        value_name = "WHERE"
    )]
    pub mode: Option<DryRun>,
}

/// Output formats for a workload.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFormat {
    /// `deployment.apps/web`
    Name,
    /// The changed object; a List if there are several
    Json,
    /// The changed object; a List if there are several
    Yaml,
    /// JSON Patches, one per line
    Patch,
}

/// Flags of `uninstall`.
#[derive(Args, Debug)]
#[command(
    mut_arg("wait", |wait| {
        wait.requires("restore").help("With --restore: wait until the Pods are replaced and ready")
    }),
    mut_arg("timeout", |timeout| {
        timeout.requires("restore").help("With --restore: seconds to wait for the Pods")
    }),
    mut_arg("disable_eviction", |disable| {
        disable.requires("restore").help(
            "With --restore: delete Pods instead of evicting them, which ignores \
             PodDisruptionBudgets",
        )
    })
)]
pub struct UninstallArgs {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// Delete the Secret together with the server
    #[arg(long)]
    pub all: bool,
    /// Delete the server even if it serves other namespaces, or was installed from another
    /// namespace or by another user
    #[arg(long)]
    pub force: bool,
    /// Restore the workloads of the namespace after its label is removed and before anything is
    /// deleted; a failure stops the command. Pods and Jobs stay, since they would have to be
    /// created again
    #[arg(long)]
    pub restore: bool,
    /// How the Pods of restored workloads are replaced
    #[command(flatten)]
    pub pods: PodFlags,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}

/// How workloads are emptied. An annotation of the workload overrides a rule of --rules, which
/// overrides these flags.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
#[command(next_help_heading = "How workloads are emptied")]
pub struct EmptyingFlags {
    /// Image of empty containers, or `keep` for the workload's own [default:
    /// empty-container:latest]
    #[arg(long, value_name = "IMAGE|keep", value_parser = image_name)]
    pub image: Option<String>,
    /// What the empty container runs [default: entrypoint; with --image keep: shell]
    #[arg(long, value_enum, value_name = "HOW")]
    pub idle: Option<Idle>,
    /// Containers to empty: `a,b`, or `*` for all [default: the one that
    /// kubectl.kubernetes.io/default-container names, else the first that is not a known sidecar]
    #[arg(long, value_name = "NAMES")]
    pub containers: Option<String>,
    /// Whether the workload's own spec changes, or only its Pods [default: workload]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub level: Option<Level>,
    /// When the Pods of an empty workload are Ready: as soon as the container runs, or only while
    /// an application runs in it and the workload's own readiness probe succeeds [default:
    /// container]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub ready: Option<Ready>,
    /// Run the workload's own command while no application of a developer runs in the container;
    /// implies --image keep and --idle agent [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub stand_in: Option<bool>,
    /// Image that contains the agent for `--idle agent` [default: diyadm-agent:latest]
    #[arg(long, value_name = "IMAGE", value_parser = image_name)]
    pub agent_image: Option<String>,
    /// Where their images are pulled from
    #[command(flatten)]
    pub registry: RegistryFlag,
    /// The Secrets for that
    #[command(flatten)]
    pub pull_secrets: PullSecretFlags,
    /// rules.yaml, which sets which workloads are emptied and how; - is the standard input, except
    /// for `serve`
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The shape of their Pods
    #[command(flatten)]
    pub shape: ShapeFlags,
}

impl EmptyingFlags {
    /// What clap calls these flags, for flags that exclude all of them. clap leaves the group of a
    /// struct empty if that flattens another one; and it names the one that was given only if each is
    /// listed.
    pub const IDS: [&str; 20] = [
        "image",
        "idle",
        "containers",
        "level",
        "ready",
        "stand_in",
        "agent_image",
        "registry",
        "image_pull_secrets",
        "rules",
        "resources",
        "requests",
        "limits",
        "env",
        "env_from",
        "cache",
        "node_selector",
        "toleration",
        "service_account",
        "security_context",
    ];
}

/// What an empty container runs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The image's own ENTRYPOINT
    Entrypoint,
    /// A shell loop, for any image with sh and sleep; stops on SIGTERM
    Shell,
    /// The agent, copied by an init container; needs no shell
    Agent,
}

/// When an emptied Pod is Ready.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// As soon as the container runs; Services send requests to it
    Container,
    /// While an application runs; needs the agent (--idle agent, or an image that has it)
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

/// Machine-readable formats.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineFormat {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{Command, Parser};

    use super::*;

    #[test]
    fn ids_of_emptying_flags_are_complete() {
        let command = EmptyingFlags::augment_args(Command::new("x"));
        let flags: Vec<_> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        assert_eq!(EmptyingFlags::IDS.as_slice(), flags);
    }

    #[test]
    fn flag_defaults_match_the_command_line() {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            flags: OperationFlags,
        }
        let parsed = Flags::parse_from(["empty"]).flags;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", OperationFlags::default()));
    }
}
