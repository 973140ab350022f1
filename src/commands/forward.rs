//! `diyadm forward`.

use anyhow::Result;

use super::inside::block;
use crate::{
    cli::{Global, dev::Forward},
    dev::{
        flags::{ContainerFlags, ContainerTarget},
        forward::{self, Bound, FORWARD},
        ports,
        run::interrupted,
        session::Session,
        target,
    },
    exit::{Code, Failure},
    kubernetes::Cluster,
    ui::terminal::{Terminal, print_text},
};

pub(super) fn run(global: &Global, args: &Forward) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let mut wanted: Vec<_> =
        args.ports.iter().map(|text| ports::parse(text)).collect::<Result<_, _>>()?;
    let Forward { workload, container, namespace, .. } = args.clone();
    // It needs no agent and changes nothing in the container, so a live container is allowed, as
    // for `kubectl port-forward`.
    let inside = ContainerFlags { container, namespace, live: true };
    let at = ContainerTarget { workload, inside };
    block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let session = Session::open(&cluster, &terminal, &at, &FORWARD).await?;
        if let Some(name) = target::service_name(&at.workload) {
            let namespace = session.target.namespace();
            let service = target::service(&cluster, namespace, name).await?;
            let behind =
                |(text, ports): (&String, _)| ports::behind_service(text, &ports, &service);
            wanted = args.ports.iter().zip(wanted).map(behind).collect::<Result<_, _>>()?;
        }
        let pick = session.pick().await?;
        let mut all = Vec::new();
        for ports in &wanted {
            all.push(Bound::new(ports).await?);
        }
        for bound in &all {
            // Also for scripts, which read the chosen port.
            let line = format!("{} -> {}:{}\n", bound.shown(), pick.pod, bound.remote());
            // Ports are forwarded even if nobody reads this.
            let _ = print_text(&line);
        }
        let forward = forward::Forward::new(&session, pick);
        tokio::select! {
            () = forward.serve(all) => Ok(Code::Done),
            () = interrupted() => Err(Failure::interrupted("").into()),
            never = session.warn_of_any_end() => match never {},
        }
    })
}
