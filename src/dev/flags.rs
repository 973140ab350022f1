//! Flags that select a container, and how an agent gets into it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::workload;

/// Flags that select a workload and a container.
#[derive(Args, Debug, Clone)]
pub struct ContainerTarget {
    /// The workload, as kubectl names it: deploy/web, sts/db, job/report; a bare name is a Pod's
    #[arg(value_name = "KIND/NAME")]
    pub workload: String,
    /// Flags for any way to select it
    #[command(flatten)]
    pub inside: ContainerFlags,
}

/// Flags that select a container.
#[derive(Args, Debug, Clone, Default)]
pub struct ContainerFlags {
    /// The container [default: the emptied one]
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Namespace of the workloads [default: the context's]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Work in a live container: one that diyadm did not empty
    #[arg(long)]
    pub live: bool,
}

/// Flags for the agent, for commands that need one.
#[derive(Args, Debug, Clone, Default)]
pub struct AgentFlags {
    /// Upload this diyadm's agent into the container, even if there is one
    #[arg(long)]
    pub upload_agent: bool,
    /// Static program to upload as the agent [default: the one inside diyadm, else
    /// diyadm-agent-ARCH in its folder]
    #[arg(long, value_name = "FILE", env = "DIYADM_AGENT_PROGRAM")]
    pub agent_program: Option<PathBuf>,
}

/// Flags for a container that another person may have.
#[derive(Args, Debug, Clone, Default)]
pub struct LeaseFlags {
    /// Take the container over from another person
    #[arg(long)]
    pub take_over: bool,
    /// Run in the same container as the applications of another person
    #[arg(long, conflicts_with = "take_over")]
    pub share: bool,
    /// Stop it after this time: 30m, 8h [default: never]
    #[arg(long = "for", value_name = "TIME", value_parser = lease_time)]
    pub time: Option<u64>,
}

/// A positive duration, in milliseconds.
pub fn lease_time(text: &str) -> Result<u64, String> {
    let time = workload::lease_time(text)?;
    u64::try_from(time.as_millis()).map_err(|error| error.to_string())
}

/// How a command prints what happens while it runs.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct EventFlags {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<EventFormat>,
}

/// Formats of events.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFormat {
    /// One JSON object for each event and line (schema `events`); messages go to stderr
    Json,
}
