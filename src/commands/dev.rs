//! `diyadm dev`: the developer's loop.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{empty, expire, inside::block, restore};
use crate::{
    cli::{Global, dev::Dev, schema::SchemaName, schemas},
    dev::{
        dev_loop::Loop,
        flags::{ContainerFlags, ContainerTarget},
        forward::{Bound, FORWARD},
        iteration::start_of,
        leave::{Leave, what_remains},
        ports::Ports,
        project::{FILE, Project},
        session::Session,
        sources::{self, Sources},
        target::EXEC,
    },
    exit::{Code, Failure, Topic},
    kubernetes::Cluster,
    operations::{
        first_project,
        project_flags::{empty_args, expire_args, restore_args},
    },
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &Dev) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if args.init {
        let schema = schemas::text(SchemaName::Project)?;
        first_project::write(&terminal, &file, args.workload.as_deref(), &schema)?;
        return Ok(Code::Done);
    }
    let project = block(sources::read_project(&file))?;
    let at = at(args, &project)?;
    if !args.no_empty && !args.inside.live && !block(is_emptied(global, &terminal, &at))? {
        let (registry, secrets) = (args.registry.registry.clone(), args.pull_secrets.clone());
        let code = empty::run(global, &empty_args(registry, secrets, &at, &project)?)?;
        if code != Code::Done {
            return Ok(code);
        }
    }
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let debug = args.debug.map(|port| port.unwrap_or(project.debug_port));
    let (left, remains) = block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let rights = [EXEC, FORWARD].concat();
        let session = Session::open(&cluster, &terminal, &at, &rights).await?;
        let session = session.bringing(&args.bring).reporting(args.events).claiming(&args.lease);
        let mut ports = project.forward();
        ports.extend(debug.map(|port| Ports { local: port, remote: project.debugger(port) }));
        let mut bound = Vec::new();
        for ports in ports.iter().filter(|_| !args.once) {
            bound.push(Bound::new(ports).await?);
        }
        let sources = Sources::new(folder, &project)?;
        let (start, restart) = (start_of(&project, debug), project.run.restart);
        let started = RefCell::default();
        let all = Loop { session: &session, sources, start, restart, bound, started };
        let (left, runs) = if args.once {
            Box::pin(all.run_once()).await.map(|()| (Leave::Running, true))?
        } else {
            Box::pin(all.repeat()).await?
        };
        Ok((left, what_remains(&session, &project, runs)))
    })?;
    match left {
        Leave::Running => {
            terminal.say(&remains);
            Ok(Code::Done)
        }
        Leave::Interrupted => Err(Failure::interrupted(remains).into()),
        Leave::Restore => restore::run(global, &restore_args(&at)),
        // It may have been extended meanwhile.
        Leave::Expired => expire::run(global, &expire_args(&at)),
    }
}

/// The workload from the command line, else from the file.
fn at(args: &Dev, project: &Project) -> Result<ContainerTarget> {
    let workload = args.workload.clone().or_else(|| project.workload.clone()).ok_or_else(|| {
        let what = format!("Neither the command line nor {FILE} names a workload.");
        Failure::usage(
            Topic::ProjectFile,
            what,
            "Run `diyadm dev deploy/NAME`, or set `workload: deploy/NAME` there.",
        )
    })?;
    let ContainerFlags { namespace, container, .. } = args.inside.clone();
    let namespace = namespace.or_else(|| project.namespace.clone());
    let container = container.or_else(|| project.container.clone());
    Ok(ContainerTarget {
        workload,
        inside: ContainerFlags { container, namespace, ..args.inside.clone() },
    })
}

/// Whether the workload is empty, or its Pods are.
async fn is_emptied(global: &Global, terminal: &Terminal, at: &ContainerTarget) -> Result<bool> {
    let cluster = Cluster::connect(&global.connection).await?;
    let session = Session::open(&cluster, terminal, at, &EXEC).await?;
    session.target.is_emptied(&cluster).await
}
