//! `diyadm shell`, `run`, `stop`, `restart`, `ps`, `logs`, `sync`, `forward` and `dev`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum, value_parser};

use crate::dev::flags::{AgentFlags, ContainerFlags, ContainerTarget};
use diyadm_agent::protocol::MOST_GRACE_S;

/// Flags of `shell`.
#[derive(Args, Debug)]
pub struct Shell {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// Hand the standard input on, as `kubectl exec -i` (default: where that is a terminal)
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Use a terminal, as `kubectl exec -t` (default: where standard input and output are one)
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Another command in place of a shell
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
    /// What the application is called
    #[arg(long, default_value = "app", value_name = "NAME")]
    pub name: String,
    /// Start it and come back, without following its output
    #[arg(long, conflicts_with = "stop_on_exit")]
    pub detach: bool,
    /// Stop one of the same name first
    #[arg(long)]
    pub replace: bool,
    /// Stop it when this command ends, at Ctrl-C too
    #[arg(long)]
    pub stop_on_exit: bool,
    /// Set a variable on top of the container's
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Folder in the container to start it in (default: the container's own)
    #[arg(short, long, value_name = "FOLDER")]
    pub workdir: Option<PathBuf>,
    /// Keep its standard input open, for a program that ends at the end of it
    #[arg(long)]
    pub stdin: bool,
    /// How it is stopped
    #[command(flatten)]
    pub grace: Grace,
    /// How an agent is to be had
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
    /// Which application
    #[command(flatten)]
    pub app: App,
    /// Remove it from `ps` too, with its output
    #[arg(long)]
    pub rm: bool,
}

/// An application to stop. Flags of `restart`.
#[derive(Args, Debug)]
pub struct App {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// The application (default: the one that runs)
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How it is stopped
    #[command(flatten)]
    pub grace: Grace,
}

/// Flags of `ps`.
#[derive(Args, Debug)]
pub struct Ps {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// Format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Listing,
}

/// Formats of `ps`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// A table
    #[default]
    Table,
    /// A table with the command and the working directory
    Wide,
    /// JSON
    Json,
}

/// Flags of `logs`.
#[derive(Args, Debug)]
pub struct Logs {
    /// Where
    #[command(flatten)]
    pub at: ContainerTarget,
    /// The application (default: the one that runs)
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub follow: bool,
    /// Only what is newer: 90s, 5m, 1h30m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only so many lines at the end
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Each line's time before it
    #[arg(long)]
    pub timestamps: bool,
}

/// Flags of `sync`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Sync {
    /// A file, or a folder, whose content is sent
    #[arg(value_name = "SOURCE")]
    pub source: PathBuf,
    /// Where: deploy/web:/app, or, with -l, :/app. A file goes into a folder that is there, and
    /// into a path that ends with a slash
    #[arg(value_name = "KIND/NAME:PATH")]
    pub destination: OsString,
    /// To all Pods with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// To all Pods of the workload
    #[arg(long)]
    pub all: bool,
    /// Go on, and send every change
    #[arg(short, long, conflicts_with = "dry_run")]
    pub watch: bool,
    /// Delete what is there and not here
    #[arg(long)]
    pub delete: bool,
    /// Leave out what fits, as in a .gitignore; what is there of it stays
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Send what .gitignore and .diyadmignore leave out, and .git
    #[arg(long)]
    pub no_ignore: bool,
    /// Compare content, and not length and time
    #[arg(long)]
    pub checksum: bool,
    /// Change nothing, and print what would be
    #[arg(long)]
    pub dry_run: bool,
    /// What holds for any way to name Pods
    #[command(flatten)]
    pub inside: ContainerFlags,
    /// How an agent is to be had
    #[command(flatten)]
    pub bring: AgentFlags,
}

/// Flags of `forward`.
#[derive(Args, Debug, Clone)]
pub struct Forward {
    /// The workload, as kubectl names it: deploy/web, sts/db, job/report; a bare name is a Pod's
    #[arg(value_name = "KIND/NAME")]
    pub workload: String,
    /// The container that must run (default: the emptied one)
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// The workload's namespace (default: the context's)
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Ports, each LOCAL:REMOTE, or one number for both; `:8080` picks a free one here
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    pub ports: Vec<String>,
}

/// Flags of `dev`.
#[derive(Args, Debug)]
pub struct Dev {
    /// The workload (default: what diyadm.yaml says)
    #[arg(value_name = "KIND/NAME")]
    pub workload: Option<String>,
    /// The project's file (default: diyadm.yaml here)
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write a first diyadm.yaml, guessed from what lies here
    #[arg(long)]
    pub init: bool,
    /// Run Java with its debugger's port open, and forward it
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true)]
    pub debug: Option<Option<u16>>,
    /// Do not empty the workload, whatever it runs
    #[arg(long)]
    pub no_empty: bool,
    /// What holds for any way to name it
    #[command(flatten)]
    pub inside: ContainerFlags,
    /// How an agent is to be had
    #[command(flatten)]
    pub bring: AgentFlags,
}
