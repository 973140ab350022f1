//! `diyadm shell`, `run`, `stop`, `restart`, `extend`, `ps`, `logs`, `sync`, `diff`, `forward` and
//! `dev`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum, value_parser};

use crate::{
    dev::flags::{AgentFlags, ContainerFlags, ContainerTarget, EventFlags, LeaseFlags, lease_time},
    operations::flags::{PullSecretFlags, RegistryFlag},
};
use diyadm_agent::protocol::MOST_GRACE_S;

/// Flags of `shell`.
#[derive(Args, Debug)]
pub struct Shell {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// Pass the standard input on, as `kubectl exec -i` [default: if it is a terminal]
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Use a terminal, as `kubectl exec -t` [default: if standard input and output are terminals]
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Flags of `run`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Run {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// Name of the application
    #[arg(long, default_value = "app", value_name = "NAME")]
    pub name: String,
    /// Start it and exit, without following its output
    #[arg(long, conflicts_with = "stop_on_exit")]
    pub detach: bool,
    /// Stop an application of the same name first
    #[arg(long)]
    pub replace: bool,
    /// Stop it when this command ends, also on Ctrl-C
    #[arg(long)]
    pub stop_on_exit: bool,
    /// Set an environment variable, in addition to the container's
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Working directory in the container [default: the container's own]
    #[arg(long, value_name = "FOLDER")]
    pub workdir: Option<PathBuf>,
    /// Keep its standard input open, for a program that exits at the end of its input
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Events
    #[command(flatten)]
    pub events: EventFlags,
    /// Flags for stopping it
    #[command(flatten)]
    pub grace: Grace,
    /// Flags for the lease
    #[command(flatten)]
    pub lease: LeaseFlags,
    /// Flags for the agent
    #[command(flatten)]
    pub bring: AgentFlags,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// How an application is stopped.
#[derive(Args, Debug, Clone, Copy)]
pub struct Grace {
    /// Seconds from SIGTERM to SIGKILL
    #[arg(long, default_value_t = 20, value_name = "SECONDS",
        value_parser = value_parser!(u64).range(..=MOST_GRACE_S))]
    pub grace: u64,
}

/// Flags of `stop`.
#[derive(Args, Debug)]
pub struct Stop {
    /// The application
    #[command(flatten)]
    pub app: App,
    /// Also remove it and its output from `ps`
    #[arg(long)]
    pub rm: bool,
}

/// An application to stop. Flags of `restart`.
#[derive(Args, Debug)]
pub struct App {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// The application [default: the one that runs]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Take the container over from another person
    #[arg(long)]
    pub take_over: bool,
    /// Flags for stopping it
    #[command(flatten)]
    pub grace: Grace,
}

/// Flags of `extend`.
#[derive(Args, Debug)]
pub struct Extend {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// Time from now: 30m, 8h
    #[arg(value_name = "TIME", value_parser = lease_time)]
    pub time: u64,
}

/// Flags of `ps`.
#[derive(Args, Debug)]
pub struct Ps {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// Keep running, and follow changes
    #[arg(short, long)]
    pub watch: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Listing,
}

/// Formats of `ps`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// A table
    #[default]
    Table,
    /// A table with the revision, the lease, the working directory and the command
    Wide,
    /// JSON, and with --watch one object per line
    Json,
}

/// Flags of `logs`.
#[derive(Args, Debug)]
pub struct Logs {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// The application [default: the one that runs]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Follow the output
    #[arg(short, long)]
    pub follow: bool,
    /// Print only newer lines: 90s, 5m, 1h30m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Number of last lines to print
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Print the time before each line
    #[arg(long)]
    pub timestamps: bool,
    /// Events
    #[command(flatten)]
    pub events: EventFlags,
}

/// Flags of `sync`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Sync {
    /// A file, or a folder whose content is sent
    #[arg(value_name = "SOURCE")]
    pub source: PathBuf,
    /// Target: deploy/web:/app, or :/app with -l. A file goes into the target if that is a folder
    /// or ends with a slash
    #[arg(value_name = "KIND/NAME:PATH")]
    pub destination: OsString,
    /// Select by labels: `app=web`, `tier in (a,b)`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Send to all Pods of the workload
    #[arg(long)]
    pub all: bool,
    /// Keep running, and follow changes
    #[arg(short, long, conflicts_with = "dry_run")]
    pub watch: bool,
    /// Delete remote files that do not exist locally
    #[arg(long)]
    pub delete: bool,
    /// Exclude files that match PATTERN, as in a .gitignore; --delete keeps them in the container
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Also send .git and files that .gitignore and .diyadmignore exclude
    #[arg(long)]
    pub no_ignore: bool,
    /// Compare content instead of size and time
    #[arg(long)]
    pub checksum: bool,
    /// Change nothing, and print what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Events
    #[command(flatten)]
    pub events: EventFlags,
    /// Flags for any way to select Pods
    #[command(flatten)]
    pub inside: ContainerFlags,
    /// Flags for the agent
    #[command(flatten)]
    pub bring: AgentFlags,
}

/// Flags of `diff`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 if both are the same, 1 if they differ, more than 1 if they could not be compared.")]
pub struct Diff {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// The local file or folder
    #[arg(value_name = "LOCAL")]
    pub local: PathBuf,
    /// The path in the container [default: where LOCAL was sent]
    #[arg(value_name = "REMOTE")]
    pub remote: Option<PathBuf>,
    /// Do not compare files that match PATTERN, as in a .gitignore
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Also compare .git and files that .gitignore and .diyadmignore exclude
    #[arg(long)]
    pub no_ignore: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: DiffFormat,
}

/// Formats of `diff`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiffFormat {
    /// A table
    #[default]
    Table,
    /// JSON
    Json,
}

/// Flags of `forward`.
#[derive(Args, Debug, Clone)]
pub struct Forward {
    /// The workload, as kubectl names it: deploy/web, sts/db, job/report; a bare name is a Pod's
    #[arg(value_name = "KIND/NAME")]
    pub workload: String,
    /// The container [default: the emptied one]
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Namespace of the workloads [default: the context's]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Ports, each LOCAL:REMOTE, or one number for both; `:8080` picks a free local port
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    pub ports: Vec<String>,
}

/// Flags of `dev`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes with --once: 0 if the application was started; 1 if the build, the transfer or the start
failed; 2 if diyadm.yaml is invalid; 3 if the cluster could not be reached, or did not allow it.")]
pub struct Dev {
    /// The workload [default: `workload` in diyadm.yaml]
    #[arg(value_name = "KIND/NAME")]
    pub workload: Option<String>,
    /// Project file [default: diyadm.yaml in this folder]
    #[arg(short = 'f', long = "filename", alias = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write a first diyadm.yaml, guessed from the files in this folder
    #[arg(long)]
    pub init: bool,
    /// Run Java with an open debugger port, and forward that port
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true)]
    pub debug: Option<Option<u16>>,
    /// Do not empty the workload
    #[arg(long)]
    pub no_empty: bool,
    /// Where the images are pulled from
    #[command(flatten)]
    pub registry: RegistryFlag,
    /// The Secrets for that
    #[command(flatten)]
    pub pull_secrets: PullSecretFlags,
    /// Build, send and start once, without forwarding ports, and exit
    #[arg(long, conflicts_with = "init")]
    pub once: bool,
    /// Flags for the lease
    #[command(flatten)]
    pub lease: LeaseFlags,
    /// Events
    #[command(flatten)]
    pub events: EventFlags,
    /// Flags for any way to select it
    #[command(flatten)]
    pub inside: ContainerFlags,
    /// Flags for the agent
    #[command(flatten)]
    pub bring: AgentFlags,
}
