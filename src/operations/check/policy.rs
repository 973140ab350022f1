//! Gathers the observations for `checks::policy`.

use anyhow::Result;
use serde_json::Value;

use super::{
    laps::Laps,
    observe::{may_not_create, observed, unseen},
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{Cluster, NAMESPACE, POLICY, POLICY_BINDING, WriteMode, error},
    operations::intercept::REGISTRATION,
    ui::text::capital,
    webhook::{
        checks::{CheckSubject, Finding, policy},
        manifests,
    },
};

const BETA: &str = "/apis/admissionregistration.k8s.io/v1beta1";

/// Reads everything that a policy needs.
pub(crate) async fn findings(cluster: &Cluster, subject: &CheckSubject) -> Result<Vec<Finding>> {
    let CheckSubject { namespace, service, .. } = subject;
    let mut laps = Laps::default();
    let info = observed(laps.measure("version", cluster.version_info()).await)?;
    let registration = observed(laps.measure("registration", cluster.raw(REGISTRATION)).await)?;
    let beta = match &registration {
        Ok(registration) if !policy::is_served(registration.as_ref()) => beta(cluster).await,
        _ => None,
    };
    let nothing = Value::Null;
    let without =
        policy::Without::from_versions("", info.as_ref().unwrap_or(&nothing), beta.as_ref());
    let observed = policy::Observed {
        emulated: without.emulated,
        beta: without.beta,
        version: info.map(|info| info["gitVersion"].as_str().unwrap_or_default().to_owned()),
        registration,
        namespace: observed(
            laps.measure("namespace", cluster.get(&NAMESPACE, "", namespace)).await,
        )?,
        policy: observed(laps.measure("policy", cluster.get(&POLICY, "", service)).await)?,
        binding: observed(
            laps.measure("binding", cluster.get(&POLICY_BINDING, "", service)).await,
        )?,
        dry_create: match laps.measure("dry-run", dry_create(cluster, namespace)).await {
            Ok(pod) => Ok(Ok(pod)),
            Err(error) => match error::status(&error) {
                Some(status) if may_not_create(status) => Err(unseen(status)),
                Some(status) => Ok(Err(status.message.clone())),
                None => Err(format!("{error:#}").into()),
            },
        },
    };
    let mut findings = policy::findings(&observed, subject);
    laps.hand_out(&mut findings);
    Ok(findings)
}

/// The resources of v1beta1; `None` also if they may not be read.
async fn beta(cluster: &Cluster) -> Option<Value> {
    cluster.raw(BETA).await.ok().flatten()
}

/// The result of creating the Pod of templates/test.yaml in a dry run.
pub(crate) async fn dry_create(cluster: &Cluster, namespace: &str) -> Result<Value> {
    let mut object = manifests::test_pod(namespace)?;
    // A unique name, so that existing objects do not interfere.
    object["metadata"]["name"] = "diyadm-check".into();
    cluster.create(&object, WriteMode::DryRun).await
}

/// Fails if the API server has no policies, and names a version that has.
pub(crate) async fn demand(cluster: &Cluster, flags: &str) -> Result<()> {
    if policy::is_served(cluster.raw(REGISTRATION).await?.as_ref()) {
        return Ok(());
    }
    let info = cluster.version_info().await?;
    let version = info["gitVersion"].as_str().unwrap_or("version unknown");
    let beta = beta(cluster).await;
    let without = policy::Without::from_versions(version, &info, beta.as_ref());
    let (what, hint) = policy::lacking(without, flags);
    Err(Failure::no(Topic::Installation, capital(&what) + ".", hint).into())
}
