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
    exit::{self, Code, Topic},
    kubernetes::Cluster,
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::{Answer, Request};

pub(super) fn run(global: &Global, args: &Extend) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &args.at, &[]).await?;
        let is_extended = match session.extend_workload(args.time).await {
            // The applications may be extended without the right to patch the workload.
            Err(error) if exit::topic(&error) == Some(Topic::Forbidden) => {
                terminal.warn(&format!("the workload keeps its end: {error:#}"));
                false
            }
            outcome => outcome?,
        };
        match in_container(&session, args).await {
            Err(error) if is_extended && has_no_applications(&error) => Ok(Code::Done),
            outcome => outcome,
        }
    })
}

/// Whether the user has no applications that could be extended.
fn has_no_applications(error: &anyhow::Error) -> bool {
    let topics = [Topic::NoPods, Topic::Waiting, Topic::NothingStarted, Topic::Forbidden];
    exit::topic(error).is_some_and(|topic| topics.contains(&topic))
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
