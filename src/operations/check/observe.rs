//! Gathers the observations for `checks`. Unreadable objects become findings as well.

use anyhow::{Error, Result};
use kube::core::Status;
use serde_json::{Value, json};

use super::{connection, laps::Laps};
use crate::{
    exit::{Code, Failure},
    kubernetes::{
        CONFIGURATION, Cluster, DEPLOYMENT, ENDPOINT_SLICE, EVENT, Kind, NAMESPACE, POD, SECRET,
        SERVICE, STATEFUL_SET, WriteMode, error,
    },
    webhook::{
        checks::{CheckSubject, Denial, DryCreate, Look, Observed, Secret, Unseen, level},
        manifests,
    },
    workload::{DISABLED, LABEL, Level, pod_from_template},
};

/// Reads everything from the API server.
///
/// # Errors
/// Only where nothing can be asked at all: not reached, or not known to it.
pub(super) async fn observe(cluster: &Cluster, subject: &CheckSubject) -> Result<(Observed, Laps)> {
    let CheckSubject { namespace, webhook_namespace, service, secret, .. } = subject;
    // An API server that is unreachable or rejects the credentials will not answer other requests
    // either.
    let mut laps = Laps::default();
    let version = observed(laps.measure("version", cluster.version()).await)?;
    let registration = cluster.raw("/apis/admissionregistration.k8s.io/v1");
    let registration = observed(laps.measure("registration", registration).await)?;
    let slices_of = format!("kubernetes.io/service-name={service}");
    let configurations = cluster.list(&CONFIGURATION, "", "");
    let configurations = observed(laps.measure("configuration", configurations).await)?;
    let slices = cluster.list(&ENDPOINT_SLICE, webhook_namespace, &slices_of);
    let slices = observed(laps.measure("endpoints", slices).await)?;
    let own = configurations
        .as_ref()
        .ok()
        .and_then(|all| all.iter().find(|c| c["metadata"]["name"] == service.as_str()).cloned());
    let service_found = cluster.get(&SERVICE, webhook_namespace, service);
    let service_found = observed(laps.measure("service", service_found).await)?;
    let connections = match &own {
        None => Ok(Vec::new()),
        Some(own) => {
            let connections = connection::try_all(own, subject, &service_found, &slices);
            laps.measure("connection", connections).await
        }
    };
    let level = own.as_ref().map_or(Level::Workload, level);
    let kinds: &[&Kind] = match level {
        Level::Workload => &[&DEPLOYMENT, &STATEFUL_SET],
        Level::Pod => &[&POD],
    };
    let mut workloads = Ok(Vec::new());
    for kind in kinds {
        let list = laps.measure("missed", cluster.list(kind, namespace, "")).await;
        match (observed(list)?, &mut workloads) {
            (Ok(more), Ok(all)) => all.extend(more),
            (Err(why), Ok(_)) => workloads = Err(why),
            (_, Err(_)) => {}
        }
    }
    let observed = Observed {
        version,
        registration: registration.map(|found| {
            let resources = found.map(|found| found["resources"].to_string());
            resources.is_some_and(|r| r.contains(CONFIGURATION.plural))
        }),
        namespace: observed(
            laps.measure("namespace", cluster.get(&NAMESPACE, "", namespace)).await,
        )?,
        secret: observed(
            laps.measure("secret", cluster.get(&SECRET, webhook_namespace, secret)).await,
        )?
        .map(|found| found.as_ref().map(Secret::from_object)),
        configurations,
        service: service_found,
        slices,
        connections,
        dry_create: laps.measure("dry-run", dry_create(cluster, namespace, level)).await,
        workloads,
        events: observed(laps.measure("events", cluster.list(&EVENT, namespace, "")).await)?,
    };
    Ok((observed, laps))
}

/// A rejection is an observation; no answer, or 401, ends the check.
pub(super) fn observed<T>(outcome: Result<T>) -> Result<Look<T>> {
    match outcome {
        Ok(seen) => Ok(Ok(seen)),
        Err(error) => match error::status(&error) {
            Some(status) if status.code != 401 => Ok(Err(unseen(status))),
            _ => Err(blind(error)),
        },
    }
}

pub(super) fn unseen(status: &Status) -> Unseen {
    let why = status.message.clone();
    if status.is_forbidden() { Unseen::Forbidden(why) } else { Unseen::Other(why) }
}

/// Whether the right to create is missing, which is not a problem of webhooks and policies.
pub(super) fn may_not_create(status: &Status) -> bool {
    status.code == 403 && status.message.contains("cannot create")
}

/// `check` exits with 2 if it could not read the cluster.
pub(crate) fn blind(error: Error) -> Error {
    match error.downcast::<Failure>() {
        Ok(failure) => Failure { code: Code::Usage, ..failure }.into(),
        Err(error) => error,
    }
}

async fn dry_create(cluster: &Cluster, namespace: &str, level: Level) -> Look<DryCreate> {
    let mut object = manifests::test_object(namespace, level).map_err(|e| e.to_string())?;
    // A unique name, so that existing objects do not interfere.
    object["metadata"]["name"] = "diyadm-check".into();
    let created = cluster.create(&object, WriteMode::DryRun).await;
    if let Some(denial) = denial(cluster, &created).await {
        object["metadata"]["annotations"] = json!({ LABEL: DISABLED });
        let anyway = self::denial(cluster, &cluster.create(&object, WriteMode::DryRun).await)
            .await
            .is_some();
        return Ok(DryCreate::Denied { denial, anyway });
    }
    match created {
        Ok(object) => Ok(DryCreate::Created(object)),
        Err(error) => match error::status(&error) {
            Some(status) if may_not_create(status) => Err(unseen(status)),
            Some(status) => Ok(DryCreate::Refused(status.message.clone())),
            None => Err(format!("{error:#}").into()),
        },
    }
}

/// The policy that denies an object or its Pods.
async fn denial(cluster: &Cluster, created: &Result<Value>) -> Option<Denial> {
    let of = |error: &Error| Denial::parse(&error::status(error)?.message);
    let object = match created {
        Ok(object) => object,
        Err(error) => return of(error),
    };
    let pod = pod_from_template::pod(object).filter(|_| object["kind"] != "Pod")?;
    of(&cluster.create(&pod, WriteMode::DryRun).await.err()?)
}
