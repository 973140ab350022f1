//! `diyadm idle` and `diyadm agent`: what runs in the container.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::RangedU64ValueParser, value_parser};

use crate::agent::protocol::MOST_GRACE_S;

/// Seconds that [`Idle::grace`] has by default.
pub const GRACE: u64 = 20;
/// KiB that [`Idle::ring`] has by default.
pub const RING: usize = 1024;
/// KiB that it has at the most: a GiB for each application.
pub(super) const MOST_RING: u64 = 1 << 20;

/// Flags of `idle`.
#[derive(Args, Debug, Clone)]
pub struct Idle {
    /// Seconds from SIGTERM to SIGKILL for the applications, when the container ends
    #[arg(long, default_value_t = GRACE, value_name = "SECONDS",
        value_parser = value_parser!(u64).range(..=MOST_GRACE_S))]
    pub grace: u64,
    /// The socket for `diyadm agent` (default: beside this program, else in $TMPDIR, /tmp,
    /// /dev/shm, /run or /var/tmp)
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// KiB of output that are kept for each application
    #[arg(long, default_value_t = RING, value_name = "KIB",
        value_parser = RangedU64ValueParser::<usize>::new().range(..=MOST_RING))]
    pub ring: usize,
    /// Supervise in a container whose PID 1 is another program
    #[arg(long, hide = true)]
    pub adopt: bool,
}

/// Flags of `agent`.
#[derive(Args, Debug, Clone)]
pub struct Agent {
    /// The socket of `diyadm idle`, where that was told one
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// What to do; speaks diyadm's protocol over stdin and stdout without one
    #[command(subcommand)]
    pub command: Option<AgentCommand>,
}

/// What `agent` can do besides.
#[derive(Subcommand, Debug, Clone)]
pub enum AgentCommand {
    /// Copy this program into a folder, as `diyadm`
    Install {
        /// The folder; made where it is missing
        folder: PathBuf,
    },
    /// A small shell, for images without one
    Shell,
    /// Succeed while an application runs and its readiness probe succeeds
    Ready {
        /// The workload's own readiness probe, with ports as numbers
        #[arg(long, value_name = "JSON")]
        probe: Option<String>,
    },
}
