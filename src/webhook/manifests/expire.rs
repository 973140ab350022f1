//! The CronJob that runs `diyadm expire`, with a ServiceAccount that has no more rights than that needs:
//! in some namespaces, or in all of them.

use serde_json::{Value, json};

use super::Settings;
use crate::{
    roles::{self, Audience, Names, RBAC, Rights},
    workload::{DISABLED, LABEL},
};

/// Maximum length of a CronJob's name: the names of its Jobs are longer.
const LONGEST: usize = 52;
/// The argument that names the namespaces, before their names.
const NAMESPACES: &str = "--namespaces=";
const ALL_NAMESPACES: &str = "--all-namespaces";

/// Where `diyadm expire` restores workloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpireScope {
    /// In these namespaces.
    Namespaces(Vec<String>),
    /// In every namespace.
    All,
}

impl ExpireScope {
    /// The argument of `diyadm expire`.
    fn argument(&self) -> String {
        match self {
            Self::Namespaces(names) => format!("{NAMESPACES}{}", names.join(",")),
            Self::All => ALL_NAMESPACES.to_owned(),
        }
    }

    /// That of an existing CronJob of the webhook `service`; `None` if it is another program's.
    pub fn of_cron_job(job: &Value, service: &str) -> Option<Self> {
        let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
        let args: Vec<_> = container["args"].as_array()?.iter().filter_map(Value::as_str).collect();
        if job["metadata"]["labels"]["app"] != service || args.first() != Some(&"expire") {
            return None;
        }
        if args.contains(&ALL_NAMESPACES) {
            return Some(Self::All);
        }
        let names = args.iter().find_map(|arg| arg.strip_prefix(NAMESPACES))?;
        Some(Self::Namespaces(names.split(',').map(ToOwned::to_owned).collect()))
    }
}

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
pub fn expire(settings: &Settings, name: &str, schedule: &str, scope: &ExpireScope) -> Vec<Value> {
    let Settings { namespace, service, secret, .. } = settings;
    let mut objects = expire_rights(&Names { namespace, service, secret }, name, scope);
    objects.push(cron_job(settings, name, schedule, scope));
    objects
}

/// The ServiceAccount of the CronJob and its rights. A RoleBinding in each namespace gives it the
/// rights of a ClusterRole there and nowhere else.
pub fn expire_rights(names: &Names<'_>, name: &str, scope: &ExpireScope) -> Vec<Value> {
    let &Names { namespace, service, .. } = names;
    let labels = json!({ "app": service });
    let version = format!("{RBAC}/v1");
    let [in_namespaces, of_cluster] = names.expire_roles();
    let role = |name: &str, rules: Vec<Value>| {
        json!({
            "apiVersion": version, "kind": "ClusterRole",
            "metadata": { "name": name, "labels": labels },
            "rules": rules,
        })
    };
    let binding = |kind: &str, metadata: Value, role: &str| {
        json!({
            "apiVersion": version, "kind": kind, "metadata": metadata,
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
        })
    };
    let everywhere =
        |name: &str| binding("ClusterRoleBinding", json!({ "name": name, "labels": labels }), name);
    let Rights { namespaced, cluster } = roles::rights(Audience::Expire, names);
    let mut objects = vec![
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": name, "namespace": namespace, "labels": labels },
            "automountServiceAccountToken": false,
        }),
        role(&in_namespaces, roles::rules(&namespaced)),
    ];
    match scope {
        ExpireScope::All => objects.push(everywhere(&in_namespaces)),
        ExpireScope::Namespaces(all) => objects.extend(all.iter().map(|namespace| {
            let metadata = json!({ "name": name, "namespace": namespace, "labels": labels });
            binding("RoleBinding", metadata, &in_namespaces)
        })),
    }
    objects.push(role(&of_cluster, roles::rules(&cluster)));
    objects.push(everywhere(&of_cluster));
    objects
}

fn cron_job(settings: &Settings, name: &str, schedule: &str, scope: &ExpireScope) -> Value {
    let Settings { namespace, service, .. } = settings;
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
        "serviceAccountName": name,
        "automountServiceAccountToken": true,
        "restartPolicy": "Never",
        "securityContext": security,
        "containers": [{
            "name": "expire",
            "image": settings.webhook_image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["expire", scope.argument()],
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
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": { "app": service, LABEL: DISABLED },
        },
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
