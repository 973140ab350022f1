//! The CronJob of `diyadm expire`, and what belongs to it.

use anyhow::Result;
use serde_json::Value;

use crate::{
    kubernetes::{CRON_JOB, Cluster, error},
    operations::webhook_names::WebhookNames,
    roles::Names,
    webhook::manifests::{self, ExpireScope},
};

/// The objects of the webhook's CronJob, as they were rendered; the CronJob itself, which names their
/// namespaces, is the last one. Empty if it has none, or if that is unknown.
///
/// # Errors
/// What the API server says, but for a 403.
pub(super) async fn objects(cluster: &Cluster, names: &WebhookNames) -> Result<Vec<Value>> {
    let WebhookNames { service, secret, .. } = names;
    // A longer name was never rendered.
    let Ok(name) = manifests::expire_name(service) else { return Ok(Vec::new()) };
    let namespace = names.webhook_namespace();
    let job = match cluster.get(&CRON_JOB, namespace, &name).await {
        Err(error) if error::is_forbidden(&error) => None,
        job => job?,
    };
    let scope = job.as_ref().and_then(|job| ExpireScope::of_cron_job(job, service));
    let (Some(job), Some(scope)) = (job, scope) else { return Ok(Vec::new()) };
    let mut objects =
        manifests::expire_rights(&Names { namespace, service, secret }, &name, &scope);
    objects.push(job);
    Ok(objects)
}
