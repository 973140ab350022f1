//! `diyadm stop` and `diyadm restart`.

use anyhow::Result;

use super::inside::{block, named};
use crate::{
    cli::{
        Global,
        dev::{App, Stop},
    },
    dev::{
        flags::LeaseFlags,
        follow::{describe, nothing, only, started},
        session::{Session, millis},
        target::EXEC,
    },
    exit::Code,
    kubernetes::Cluster,
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::{Answer, Request};

/// The action on an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Stop,
    StopAndRemove,
    Restart,
}

pub(super) fn stop(global: &Global, args: &Stop) -> Result<Code> {
    run(global, &args.app, if args.rm { Action::StopAndRemove } else { Action::Stop })
}

pub(super) fn restart(global: &Global, args: &App) -> Result<Code> {
    run(global, args, Action::Restart)
}

fn run(global: &Global, args: &App, action: Action) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let named = args.name.as_deref().map(named).transpose()?;
    let grace_ms = millis(args.grace.grace);
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        let lease = LeaseFlags { take_over: args.take_over, ..LeaseFlags::default() };
        let session = session.claiming(&lease);
        let pick = session.pick().await?;
        let Some(mut agent) = session.existing_agent(&pick).await? else {
            return Err(nothing(&session, &pick).await);
        };
        let name = only(&session, &pick, &mut agent, named).await?;
        let request = if action == Action::Restart {
            Request::Restart { name: name.clone(), grace_ms }
        } else {
            Request::Stop { name: name.clone(), grace_ms }
        };
        match session.ask_by(&mut agent, request).await? {
            Answer::Ended(app) => terminal.done(&describe(&app), None),
            Answer::Started(app) => {
                terminal.done(&format!("{} in {}", started(&app), pick.shown()), None);
            }
            other => return Err(session.unexpected(&other)),
        }
        if action == Action::StopAndRemove {
            match session.ask_by(&mut agent, Request::Remove { name: name.clone() }).await? {
                Answer::Sent => terminal.done(&format!("{name} removed"), None),
                other => return Err(session.unexpected(&other)),
            }
        }
        Ok(Code::Done)
    })
}
