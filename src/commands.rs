//! One file a subcommand: gather, call the pure part, emit.

use anyhow::Result;
use clap::CommandFactory;

use crate::{
    cli::{Cli, Command},
    exit::Code,
};

mod agent;
mod certificates;
mod check;
mod client;
mod files;
mod init;
mod install;
mod render;
mod runtime;
mod serve;
pub mod terminal;
mod uninstall;
mod verify;
mod ways;

/// Runs what the command line asks for.
pub fn run(cli: Cli) -> Result<Code> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(args) => init::run(&global, &args),
        Command::Render(args) => render::run(&global, &args),
        Command::Serve(args) => serve::run(&global, &args),
        Command::Install(args) => install::run(&global, &args),
        Command::Uninstall(args) => uninstall::run(&global, &args),
        Command::Check(args) => check::run(&global, &args),
        Command::Verify(args) => verify::run(&global, &args),
        Command::Idle(args) => agent::idle(args),
        Command::Agent(args) => agent::agent(&global, &args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "diyadm", &mut std::io::stdout());
            Ok(Code::Done)
        }
    }
}
