//! Flags of `empty` and `restore` for the workload of `diyadm dev`, from its diyadm.yaml.

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    dev::{
        flags::ContainerTarget,
        project::{FILE, Project},
    },
    exit::{Failure, Topic},
    kubernetes::targets::Targets,
    operations::flags::{
        EmptyArgs, EmptyingFlags, ExpireArgs, Idle, PullSecretFlags, RegistryFlag, RestoreArgs,
        ScaleFlags, ShapeFlags,
    },
    workload::image_name,
};

/// The workload and its namespace.
fn targets(at: &ContainerTarget) -> Targets {
    let namespace = at.inside.namespace.clone();
    Targets { workloads: vec![at.workload.clone()], namespace, ..Targets::default() }
}

/// How to empty the workload, from the command line and the project file.
pub(crate) fn empty_args(
    registry: Option<String>,
    mut pull_secrets: PullSecretFlags,
    at: &ContainerTarget,
    project: &Project,
) -> Result<EmptyArgs> {
    let image = project.empty.image.as_deref().map(image_name).transpose().map_err(|why| {
        Failure::usage(
            Topic::ProjectFile,
            format!("{FILE}: empty.image: {why}."),
            "Fix the file at that place.",
        )
    })?;
    let idle = project.empty.idle().and_then(|idle| Idle::from_str(idle, true).ok());
    let containers = at.inside.container.clone();
    let registry = registry.or_else(|| project.empty.registry());
    let registry = RegistryFlag { registry };
    if pull_secrets.image_pull_secrets.is_empty() {
        pull_secrets.image_pull_secrets = project.empty.image_pull_secrets();
    }
    let base = EmptyingFlags::default();
    let shape = ShapeFlags { file: project.empty.shape(), ..ShapeFlags::default() };
    let stand_in = project.empty.stand_in;
    let flags =
        EmptyingFlags { image, idle, containers, stand_in, registry, pull_secrets, shape, ..base };
    let scale = ScaleFlags { replicas: project.empty.replicas, ..ScaleFlags::default() };
    Ok(EmptyArgs { targets: targets(at), ways: flags, scale, ..EmptyArgs::default() })
}

/// How to restore the workload if it has expired.
pub(crate) fn expire_args(at: &ContainerTarget) -> ExpireArgs {
    ExpireArgs { targets: targets(at), ..ExpireArgs::default() }
}

/// How to restore the workload.
pub(crate) fn restore_args(at: &ContainerTarget) -> RestoreArgs {
    RestoreArgs { targets: targets(at), ..RestoreArgs::default() }
}
