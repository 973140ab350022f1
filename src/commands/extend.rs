//! `diyadm extend`.

use anyhow::Result;

use super::inside::block;
use crate::{
    cli::{Global, dev::Extend},
    dev::{
        follow::nothing,
        session::Session,
        table::span,
        target::{EXEC, demand},
    },
    exit::Code,
    kubernetes::Cluster,
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::{Answer, Request};

pub(super) fn run(global: &Global, args: &Extend) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &[]).await?;
        let is_extended = session.extend_workload(args.time).await?;
        match in_container(&session, args).await {
            // There may be no application, or no Pod.
            Err(_) if is_extended => Ok(Code::Done),
            outcome => outcome,
        }
    })
}

/// Extends the lease of the user's applications in the container.
async fn in_container(session: &Session<'_>, args: &Extend) -> Result<Code> {
    let namespace = session.cluster.namespace_of(args.at.inside.namespace.as_deref());
    demand(session.cluster, namespace, &EXEC).await?;
    let pick = session.pick().await?;
    let Some(mut agent) = session.existing_agent(&pick).await? else {
        return Err(nothing(session, &pick).await);
    };
    session.require_leases(&agent).await?;
    let request = Request::Extend { for_ms: args.time };
    match session.ask_by(&mut agent, request).await? {
        Answer::Apps(_) => {
            let left = span(args.time);
            session.terminal.done(&format!("{} is yours for {left} from now", pick.shown()), None);
            Ok(Code::Done)
        }
        other => Err(session.unexpected(&other)),
    }
}
