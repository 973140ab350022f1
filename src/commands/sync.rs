//! `diyadm sync`.

use anyhow::Result;

use super::inside::block;
use crate::{
    cli::{Global, dev::Sync},
    dev::{
        agent_start::AgentUpload,
        claim::UserClaim,
        events::Events,
        flags::ContainerTarget,
        pods::LiveContainers,
        run::interrupted,
        session::Session,
        sync::{self, Options, PodCount, Receiver, SyncSource},
        sync_pods::{self, sync_once, watch},
        target::{self, EXEC},
    },
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &Sync) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    if !args.source.exists()
        && let Some(refusal) = sync::copy_out(args.source.as_os_str(), &args.destination)
    {
        return Err(refusal.into());
    }
    let (workload, to) = sync::destination(&args.destination)?;
    if workload.is_empty() != args.selector.is_some() {
        let hint = "Use deploy/web:/PATH for a workload, or -l SELECTOR and :/PATH for Pods.";
        return Err(
            Failure::usage(Topic::CommandLine, "No workload or Pods are given.", hint).into()
        );
    }
    let options = Options {
        delete: args.delete,
        checksum: args.checksum,
        dry_run: args.dry_run,
        exclude: args.exclude.clone(),
        ignore_files: !args.no_ignore,
    };
    let several = args.all || args.selector.is_some();
    let count = if several { PodCount::All } else { PodCount::One };
    block(async {
        let source = SyncSource::new(&args.source, &to, options, count)?;
        source.ahead();
        let cluster = Cluster::connect(&global.connection).await?;
        let work = async {
            let session = session(&cluster, &terminal, args, workload).await?;
            let picks = sync_pods::choose(&session, count).await?;
            if args.watch {
                return watch::watch(&session, &source, count, picks).await;
            }
            let receivers = picks.into_iter().map(|pick| Receiver::new(&session, pick)).collect();
            let here = source.scan().await?;
            sync_once(&session, &source, &here, receivers).await
        };
        tokio::select! {
            outcome = work => outcome,
            () = interrupted() => {
                let hint = if args.watch { "" } else { "Files that have arrived are not sent \
                                                        again." };
                Err(Failure::interrupted(hint).into())
            }
        }
    })
}

async fn session<'a>(
    cluster: &'a Cluster,
    terminal: &'a Terminal,
    args: &Sync,
    workload: String,
) -> Result<Session<'a>> {
    let inside = args.inside.clone();
    if let Some(selector) = &args.selector {
        let target = target::select(cluster, &inside, selector).await?;
        let (how, events) = (AgentUpload::from_flags(&args.bring), Events::new(args.events.output));
        Ok(Session {
            cluster,
            terminal,
            target,
            how,
            live: LiveContainers::from_flag(inside.live),
            events,
            claim: UserClaim::default(),
        })
    } else {
        let session =
            Session::open(cluster, terminal, &ContainerTarget { workload, inside }, &EXEC).await?;
        Ok(session.bringing(&args.bring).reporting(args.events))
    }
}
