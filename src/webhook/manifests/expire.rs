//! The CronJob that runs `diyadm expire` in the webhook's namespace, with a ServiceAccount that has no
//! more rights than that needs.

use serde_json::{Value, json};

use super::Settings;
use crate::{
    roles::{self, Audience, Names},
    workload::{DISABLED, LABEL},
};

/// Maximum length of a CronJob's name: the names of its Jobs are longer.
const LONGEST: usize = 52;

/// The name of the CronJob and of what belongs to it.
///
/// # Errors
/// It is too long, with the longest possible name of the webhook.
pub fn expire_name(service: &str) -> Result<String, String> {
    let name = format!("{service}-expire");
    if name.len() <= LONGEST {
        return Ok(name);
    }
    let most = LONGEST - (name.len() - service.len());
    Err(format!(
        "the CronJob {name} would have a name of more than {LONGEST} characters; {most} are left for the webhook's"
    ))
}

/// The objects in the order in which they are applied, the CronJob last. `name`: of [`expire_name`].
pub fn expire(settings: &Settings, name: &str, schedule: &str) -> Vec<Value> {
    let Settings { namespace, service, secret, .. } = settings;
    let meta = json!({ "name": name, "namespace": namespace, "labels": { "app": service } });
    let cluster_name = format!("{name}-{namespace}");
    let group = "rbac.authorization.k8s.io";
    let subjects = json!([{ "kind": "ServiceAccount", "name": name, "namespace": namespace }]);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta,
        "automountServiceAccountToken": false,
    });
    let [mut role, mut cluster_role] =
        roles::objects(Audience::Expire, &Names { namespace, service, secret });
    role["metadata"] = meta.clone();
    cluster_role["metadata"] = json!({ "name": cluster_name, "labels": { "app": service } });
    let binding = |kind: &str, role: &Value| {
        json!({
            "apiVersion": role["apiVersion"], "kind": format!("{kind}Binding"),
            "metadata": role["metadata"],
            "roleRef": { "apiGroup": group, "kind": kind, "name": role["metadata"]["name"] },
            "subjects": subjects,
        })
    };
    let bindings = [binding("Role", &role), binding("ClusterRole", &cluster_role)];
    let [of_role, of_cluster_role] = bindings;
    let job = cron_job(settings, &meta, schedule);
    vec![account, role, of_role, cluster_role, of_cluster_role, job]
}

fn cron_job(settings: &Settings, meta: &Value, schedule: &str) -> Value {
    // Not the label of the webhook's Pods, which its Service selects.
    let labels = json!({ "labels": { LABEL: DISABLED } });
    let mut security = json!({
        "runAsNonRoot": true,
        "runAsUser": settings.run_as_user,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    if settings.run_as_user.is_none()
        && let Some(security) = security.as_object_mut()
    {
        security.remove("runAsUser");
    }
    let mut pod = json!({
        "serviceAccountName": meta["name"],
        "automountServiceAccountToken": true,
        "restartPolicy": "Never",
        "securityContext": security,
        "containers": [{
            "name": "expire",
            "image": settings.webhook_image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["expire", format!("--namespace={}", settings.namespace)],
            "resources": {
                "requests": { "cpu": "10m", "memory": "32Mi" },
                "limits": { "memory": "256Mi" },
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        }],
    });
    if !settings.pull_secrets.is_empty() {
        let named = settings.pull_secrets.iter().map(|name| json!({ "name": name }));
        pod["imagePullSecrets"] = named.collect();
    }
    let mut meta = meta.clone();
    meta["labels"][LABEL] = DISABLED.into();
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta,
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 300,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": labels,
                // The next run tries again.
                "spec": { "backoffLimit": 0, "template": { "metadata": labels, "spec": pod } },
            },
        },
    })
}
