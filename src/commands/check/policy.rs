//! Gathers what `checks::policy` judges.

use anyhow::Result;
use serde_json::Value;

use super::{laps::Laps, observe::look};
use crate::{
    checks::{Finding, Subject, policy},
    cluster::{Cluster, NAMESPACE, POLICY, POLICY_BINDING, error},
    exit::Failure,
    manifests,
};

/// Where the API server says which kinds it has.
const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

/// Looks at everything that a policy needs.
pub(in crate::commands) async fn findings(
    cluster: &Cluster,
    subject: &Subject,
) -> Result<Vec<Finding>> {
    let Subject { namespace, service, .. } = subject;
    let mut laps = Laps::default();
    let observed = policy::Observed {
        version: look(laps.of("version", cluster.version()).await)?,
        registration: look(laps.of("registration", cluster.raw(REGISTRATION)).await)?,
        namespace: look(laps.of("namespace", cluster.get(&NAMESPACE, "", namespace)).await)?,
        policy: look(laps.of("policy", cluster.get(&POLICY, "", service)).await)?,
        binding: look(laps.of("binding", cluster.get(&POLICY_BINDING, "", service)).await)?,
        dry_create: match laps.of("dry-run", dry_create(cluster, namespace)).await {
            Ok(pod) => Ok(Ok(pod)),
            Err(error) => match error::status(&error) {
                // Not allowed to create is no word about the policy.
                Some(status) if status.code == 403 && status.message.contains("cannot create") => {
                    Err(status.message.clone())
                }
                Some(status) => Ok(Err(status.message.clone())),
                None => Err(format!("{error:#}")),
            },
        },
    };
    let mut findings = policy::findings(&observed, subject);
    laps.hand_out(&mut findings);
    Ok(findings)
}

/// What would become of the Pod of templates/test.yaml.
pub(in crate::commands) async fn dry_create(cluster: &Cluster, namespace: &str) -> Result<Value> {
    let mut object = manifests::test_pod(namespace)?;
    // A name of its own, so that one that is there does not stand in the way.
    object["metadata"]["name"] = "diyadm-check".into();
    cluster.create(&object, true).await
}

/// Fails where the API server has no policies, and says which version has.
pub(in crate::commands) async fn demand(cluster: &Cluster, flags: &str) -> Result<()> {
    if policy::is_served(cluster.raw(REGISTRATION).await?.as_ref()) {
        return Ok(());
    }
    let (what, hint) = policy::lacking(&cluster.version().await?, flags);
    let mut what = what;
    // A sentence begins with a capital letter.
    what.replace_range(..1, "T");
    Err(Failure::no(what + ".", hint).into())
}
