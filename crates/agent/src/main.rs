//! The container's side of diyadm, one static program: PID 1, the supervisor of applications, the
//! relay that `kubectl exec` starts, and the receiver of files.
//!
//! It runs in other people's containers: it opens no port, adds no rights, and starts no async
//! runtime, TLS library or thread pool. Its messages to diyadm are in [`diyadm_agent::protocol`].

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use diyadm_agent::{chunks, path, protocol};

mod app;
mod arguments;
mod clock;
mod connection;
mod error;
mod idle;
mod install;
mod jvm;
mod lease;
mod leftover;
mod lines;
mod name;
mod output;
mod pipe;
mod probe;
mod proc;
mod ready;
mod receive;
mod relay;
mod ring;
mod shell;
mod sink;
mod socket;
mod spawn;
mod supervisor;
mod tls;
mod wire;
mod words;

fn main() -> ExitCode {
    error::report_panics();
    let ended = arguments::parse(std::env::args_os().skip(1)).and_then(run);
    ended.unwrap_or_else(|error| error::report(&error)).into()
}

fn run(command: arguments::Command) -> anyhow::Result<error::Code> {
    use arguments::Command;
    match command {
        Command::Idle(options) if options.adopt => {
            Ok(idle::run(&options).unwrap_or_else(|error| error::report_to_parent(&error)))
        }
        Command::Idle(options) => idle::run(&options),
        Command::Relay { socket } => relay::run(socket.as_deref()),
        Command::Install { folder } => install::run(&folder),
        Command::Shell => shell::run(),
        Command::Ready { socket, probe } => ready::ready(socket.as_deref(), probe.as_deref()),
        Command::Alive { socket, probe } => ready::alive(socket.as_deref(), probe.as_deref()),
        Command::Print(text) => Ok(output::print(&text).map(|()| error::Code::Done)?),
    }
}
