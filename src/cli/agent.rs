//! `diyadm idle` and `diyadm agent`: what runs in the container.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use super::{Cli, Command, Global};

/// Flags of `idle`.
#[derive(Args, Debug, Clone)]
pub struct Idle {
    /// Seconds from SIGTERM to SIGKILL for the applications, when the container ends
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    pub grace: u64,
    /// The socket for `diyadm agent` (default: beside this program, else in $TMPDIR, /tmp,
    /// /dev/shm, /run or /var/tmp)
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// KiB of output that are kept for each application
    #[arg(long, default_value_t = 1024, value_name = "KIB")]
    pub ring: usize,
    /// Supervise in a container whose PID 1 is another program
    #[arg(long, hide = true)]
    pub adopt: bool,
}

/// `idle` as a program of its own.
#[derive(Parser, Debug)]
struct Alone {
    #[command(flatten)]
    idle: Idle,
}

impl Idle {
    /// `diyadm idle …`, read without the tree of all commands: PID 1 stays for the container's
    /// life, and what it touched at the start stays in memory with it. `None` for anything else,
    /// which is read as ever: another command, a wrong flag, `--help`.
    pub fn alone(mut args: impl Iterator<Item = OsString>) -> Option<Cli> {
        let _program = args.next()?;
        // The first word takes the program's place in what is read.
        let idle = args.next().filter(|first| first == "idle")?;
        let Alone { idle } = Alone::try_parse_from(std::iter::once(idle).chain(args)).ok()?;
        Some(Cli { global: Global::default(), command: Command::Idle(idle) })
    }
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
}
