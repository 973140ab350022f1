//! `diyadm stop` and `diyadm restart`.

use anyhow::Result;

use super::{
    inside::{block, named},
    terminal::Terminal,
};
use crate::{
    agent::protocol::{Answer, Request},
    cli::{Global, dev::Stop},
    cluster::Cluster,
    dev::{
        follow::{only, said, started},
        session::{Session, millis},
        target::EXEC,
    },
    exit::Code,
};

/// Runs `stop`, or `restart` with `again`.
pub(super) fn run(global: &Global, args: &Stop, again: bool) -> Result<Code> {
    let terminal = Terminal::new(global);
    let named = args.name.as_deref().map(named).transpose()?;
    let grace_ms = millis(args.grace.grace);
    block(async {
        let cluster = Cluster::connect(global).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &EXEC).await?;
        let (pick, mut agent) = session.agent().await?;
        let name = only(&session, &mut agent, named).await?;
        let request = if again {
            Request::Restart { name, grace_ms }
        } else {
            Request::Stop { name, grace_ms }
        };
        match session.ask(&mut agent, &request).await? {
            Answer::Ended(app) => terminal.done(&said(&app), None),
            Answer::Started(app) => {
                terminal.done(&format!("{} in {}", started(&app), pick.shown()), None);
            }
            other => return Err(session.unexpected(&other)),
        }
        Ok(Code::Done)
    })
}
