//! `diyadm forward`.

use anyhow::Result;

use super::{
    inside::block,
    terminal::{Terminal, print},
};
use crate::{
    cli::{
        Global,
        dev::{At, Forward, Inside},
    },
    cluster::Cluster,
    dev::{
        forward::{self, Bound, FORWARD},
        ports,
        run::interrupted,
        session::Session,
    },
    exit::{Code, Failure},
};

pub(super) fn run(global: &Global, args: &Forward) -> Result<Code> {
    let terminal = Terminal::new(global);
    let wanted: Vec<_> =
        args.ports.iter().map(|text| ports::parse(text)).collect::<Result<_, _>>()?;
    let Forward { workload, container, namespace, .. } = args.clone();
    // No agent is needed there.
    let at = At { workload, inside: Inside { container, namespace, ..Inside::default() } };
    block(async {
        let cluster = Cluster::connect(global).await?;
        let session = Session::open(&cluster, &terminal, &at, &FORWARD).await?;
        let pick = session.target.pick(&cluster).await?;
        let mut all = Vec::new();
        for ports in &wanted {
            all.push(Bound::new(ports).await?);
        }
        for bound in &all {
            // Also for scripts, which read the port that was picked.
            print(&format!("{} -> {}:{}\n", bound.shown(), pick.pod, bound.remote()))?;
        }
        let forward = forward::Forward::new(&session, pick);
        tokio::select! {
            () = forward.serve(all) => Ok(Code::Done),
            () = interrupted() => Err(Failure::interrupted("").into()),
        }
    })
}
