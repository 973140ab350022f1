//! `diyadm idle` and `diyadm agent`.

use std::time::Duration;

use anyhow::Result;

use crate::{
    agent::{
        idle::{self, Options},
        install, ready, relay, shell,
    },
    cli::{
        Global,
        agent::{Agent, AgentCommand, Idle},
    },
    exit::Code,
    ui::terminal::Terminal,
};

/// Runs `idle`: PID 1 of an emptied container.
pub(super) fn idle(args: Idle) -> Result<Code> {
    let Idle { grace, socket, ring, adopt } = args;
    let (grace, ring) = (Duration::from_secs(grace), ring.saturating_mul(1024));
    idle::run(&Options { grace, socket, ring, adopt })
}

/// Runs `agent`: the other end of `kubectl exec`, and two small things besides.
pub(super) fn agent(global: &Global, args: &Agent) -> Result<Code> {
    match &args.command {
        None => relay::run(args.socket.as_deref()),
        Some(AgentCommand::Shell) => shell::run(),
        Some(AgentCommand::Ready { probe }) => ready::run(args.socket.as_deref(), probe.as_deref()),
        Some(AgentCommand::Install { folder }) => {
            let target = install::run(folder)?;
            Terminal::new(&global.terminal)
                .done(&format!("{} is in place", target.display()), None);
            Ok(Code::Done)
        }
    }
}
