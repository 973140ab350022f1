//! `diyadm dev`: the developer's loop.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{empty, inside::block, restore, schema};
use crate::{
    cli::{Global, dev::Dev, schema::SchemaName},
    dev::{
        detect::{self, Files},
        dev_loop::Loop,
        flags::{ContainerFlags, ContainerTarget},
        forward::{Bound, FORWARD},
        iteration::start_of,
        leave::Leave,
        ports::Ports,
        project::{FILE, Project},
        session::Session,
        sources::{self, Sources},
        target::EXEC,
    },
    exit::{Code, Failure},
    kubernetes::{Cluster, targets::Targets},
    operations::{
        flags::{EmptyArgs, EmptyingFlags, Idle, RegistryFlag, RestoreArgs, ScaleFlags},
        staged_files,
    },
    ui::terminal::{Terminal, print},
    workload::image_name,
};

pub(super) fn run(global: &Global, args: &Dev) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if args.init {
        return init(&terminal, &file, args.workload.as_deref());
    }
    let project = block(sources::read_project(&file))?;
    let at = at(args, &project)?;
    if !args.no_empty && !args.inside.live && !block(is_emptied(global, &terminal, &at))? {
        let code = empty::run(global, &empty_args(args, &at, &project)?)?;
        if code != Code::Done {
            return Ok(code);
        }
    }
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let debug = args.debug.map(|port| port.unwrap_or(project.debug_port));
    let (left, runs) = block(async {
        let cluster = Cluster::connect(&global.connection).await?;
        let rights = [EXEC, FORWARD].concat();
        let session = Session::open(&cluster, &terminal, &at, &rights).await?;
        let session = session.bringing(&args.bring).reporting(args.events);
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
        if args.once {
            return Box::pin(all.run_once()).await.map(|()| (Leave::Running, true));
        }
        Box::pin(all.repeat()).await
    })?;
    match left {
        Leave::Running => {
            terminal.say(&goes_on(&at, &project, runs));
            Ok(Code::Done)
        }
        Leave::Interrupted => Err(Failure::interrupted(goes_on(&at, &project, runs)).into()),
        Leave::Restore => restore::run(global, &restore_args(&at)),
    }
}

/// What remains after the loop, with a hint.
fn goes_on(at: &ContainerTarget, project: &Project, runs: bool) -> String {
    let (shown, name) = (&at.workload, project.name());
    if !runs {
        return format!(
            "{name} does not run in {shown}: `diyadm dev` starts it, `diyadm restore {shown}` \
             restores the workload."
        );
    }
    format!(
        "{name} keeps running in {shown}: `diyadm dev` continues with it, `diyadm stop {shown} \
         {name}` stops it, `diyadm restore {shown}` restores the workload."
    )
}

/// The workload from the command line, else from the file.
fn at(args: &Dev, project: &Project) -> Result<ContainerTarget> {
    let workload = args.workload.clone().or_else(|| project.workload.clone()).ok_or_else(|| {
        let what = format!("Neither the command line nor {FILE} names a workload.");
        Failure::usage(what, "Run `diyadm dev deploy/NAME`, or set `workload: deploy/NAME` there.")
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

/// The workload and its namespace.
fn targets(at: &ContainerTarget) -> Targets {
    let namespace = at.inside.namespace.clone();
    Targets { workloads: vec![at.workload.clone()], namespace, ..Targets::default() }
}

/// How to empty the workload, from the command line and the project file.
fn empty_args(args: &Dev, at: &ContainerTarget, project: &Project) -> Result<EmptyArgs> {
    let image = project.empty.image.as_deref().map(image_name).transpose().map_err(|why| {
        Failure::usage(format!("{FILE}: empty.image: {why}."), "Fix the file at that place.")
    })?;
    let idle = project.empty.idle().and_then(|idle| Idle::from_str(idle, true).ok());
    let containers = at.inside.container.clone();
    let registry = args.registry.registry.clone().or_else(|| project.empty.registry());
    let registry = RegistryFlag { registry };
    let flags = EmptyingFlags { image, idle, containers, registry, ..EmptyingFlags::default() };
    let scale = ScaleFlags { replicas: project.empty.replicas, ..ScaleFlags::default() };
    Ok(EmptyArgs { targets: targets(at), ways: flags, scale, ..EmptyArgs::default() })
}

fn restore_args(at: &ContainerTarget) -> RestoreArgs {
    RestoreArgs { targets: targets(at), ..RestoreArgs::default() }
}

/// The file that a first diyadm.yaml names for editors, relative to its own folder, so that it works
/// without a network and for the next person too.
const SCHEMA: &str = "diyadm.schema.json";

/// Writes a first file and its schema, and never overwrites one.
fn init(terminal: &Terminal, file: &Path, workload: Option<&str>) -> Result<Code> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let names = fs::read_dir(&real)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect::<Vec<_>>();
    let own = real.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let read = |path: &str| fs::read_to_string(real.join(path)).ok();
    let text = detect::write(&Files { names: &names, folder: &own, read: &read }, workload)?;
    let text = format!("# yaml-language-server: $schema={SCHEMA}\n{text}");
    if file == Path::new("-") {
        print(&text)?;
        return Ok(Code::Done);
    }
    let shown = file.display();
    staged_files::create(file, &text, 0o666).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            let what = format!("{shown} already exists and was not changed.");
            let hint = "Use another file with -f FILE, or print what would be written: `diyadm \
                        dev --init -f -`.";
            return Failure::usage(what, hint);
        }
        staged_files::unwritable(file, &error, "-f FILE")
    })?;
    let schema = folder.join(SCHEMA);
    match staged_files::create(&schema, &schema::text(SchemaName::Project)?, 0o666) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            terminal.warn(&format!("{} cannot be written: {error}", schema.display()));
        }
        _ => {}
    }
    terminal.done(&format!("{shown} was written; check it, then run `diyadm dev`"), None);
    Ok(Code::Done)
}
