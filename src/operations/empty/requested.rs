//! What the flags of `empty` ask for, as annotations of the workload.

use anyhow::Result;
use jiff::SignedDuration;

use crate::{
    exit::{Failure, Topic},
    operations::flags::{self, EmptyingFlags, ScaleFlags},
    workload::{
        CONTAINERS, EXPIRES, IDLE, IMAGE, KEEP, READY, REPLICAS, RequestedAnnotation, SHAPE,
        STAND_IN, STAND_IN_COMMAND, SUSPEND,
    },
};

/// Flags that cannot be combined.
pub(crate) fn check(
    ways: &EmptyingFlags,
    scale: ScaleFlags,
    time: Option<SignedDuration>,
) -> Result<()> {
    let EmptyingFlags { level, image, idle, containers, ready, stand_in, shape, .. } = ways;
    let shape = shape.shape();
    if let Err(why) = shape.annotation() {
        let what = format!("The flags about the Pods of empty workloads cannot be kept: {why}.");
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Use rules.yaml for them: `--rules FILE`.",
        )
        .into());
    }
    let said = stand_in.is_some()
        || image.is_some()
        || idle.is_some()
        || containers.is_some()
        || scale.replicas.is_some()
        || scale.suspend_cronjobs
        || ready.is_some()
        || time.is_some()
        || !shape.is_empty();
    if *level == Some(flags::Level::Pod) && said {
        let what = "At level pod the workload itself does not change, so it cannot get \
                    annotations.";
        let hint = "Use --image, --idle, --containers and --ready with `diyadm install --level \
                    pod`, or write rules.yaml for it.";
        return Err(Failure::usage(Topic::CommandLine, what, hint).into());
    }
    Ok(())
}

/// The flags as annotations, so that a webhook that intercepts the workload does the same. `until`:
/// the end of its time, RFC 3339.
pub(crate) fn annotations(
    ways: &EmptyingFlags,
    scale: ScaleFlags,
    command: Option<&str>,
    until: Option<String>,
) -> Vec<RequestedAnnotation> {
    let EmptyingFlags { image, idle, containers, ready, stand_in, shape, .. } = ways;
    // So that a webhook's own defaults do not contradict the stand-in.
    let stands_in = *stand_in == Some(true);
    let image = image.clone().or_else(|| stands_in.then(|| KEEP.to_owned()));
    let idle = idle.or_else(|| stands_in.then_some(flags::Idle::Agent));
    let ready = ready.map(|ready| match ready {
        flags::Ready::Container => "container".to_owned(),
        flags::Ready::App => "app".to_owned(),
    });
    let idle = idle.map(|idle| match idle {
        flags::Idle::Entrypoint => "entrypoint".to_owned(),
        flags::Idle::Shell => "shell".to_owned(),
        flags::Idle::Agent => "agent".to_owned(),
    });
    let said = [
        (IMAGE, image),
        (IDLE, idle),
        (CONTAINERS, containers.clone()),
        (REPLICAS, scale.replicas.map(|replicas| replicas.to_string())),
        (READY, ready),
        (STAND_IN, stand_in.map(|stand_in| stand_in.to_string())),
        (STAND_IN_COMMAND, command.map(ToOwned::to_owned)),
        (SUSPEND, scale.suspend_cronjobs.then(|| "true".to_owned())),
        (SHAPE, shape.shape().annotation().ok().flatten()),
        (EXPIRES, until),
    ];
    let said = said.into_iter().filter(|(_, value)| value.is_some());
    said.map(|(key, value)| RequestedAnnotation { key, value, forget: false }).collect()
}
