//! The rights that users of diyadm need, as a Role and a ClusterRole for an administrator. Pure.

use serde_json::{Value, json};

use crate::{kinds, ui::text};

/// Who needs the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Empties and restores workloads of one namespace, and works in their containers.
    Developer,
    /// Installs and removes the webhook, or the policy.
    Installer,
    /// The CronJob that restores workloads that have expired (`diyadm expire`).
    Expire,
}

impl Audience {
    /// `diyadm-developer`, the name of the roles.
    pub fn role(self) -> &'static str {
        match self {
            Self::Developer => "diyadm-developer",
            Self::Installer => "diyadm-installer",
            Self::Expire => "diyadm-expire",
        }
    }
}

/// The names of the webhook's objects.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The namespace of the rights.
    pub namespace: &'a str,
    /// Service, Deployment and configuration of the webhook.
    pub service: &'a str,
    /// Its Secret.
    pub secret: &'a str,
}

impl Names<'_> {
    /// The CronJob of `diyadm expire`, its ServiceAccount and its RoleBindings.
    pub fn expire(&self) -> String {
        format!("{}-expire", self.service)
    }

    /// The ClusterRoles of that ServiceAccount: the rights on workloads, which are given in some
    /// namespaces or in all, and the rights that are needed in the whole cluster.
    pub fn expire_roles(&self) -> [String; 2] {
        let of_cluster = format!("{}-{}", self.expire(), self.namespace);
        [format!("{of_cluster}:workloads"), of_cluster]
    }
}

/// Verbs on resources of one API group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Empty for the core group.
    pub group: &'static str,
    /// `deployments`, `pods/exec`
    pub resources: Vec<&'static str>,
    /// `get`, `patch`
    pub verbs: Vec<&'static str>,
    /// Names of objects; empty means any.
    pub names: Vec<String>,
}

impl Rule {
    fn any(group: &'static str, resources: &[&'static str], verbs: &[&'static str]) -> Self {
        Self { group, resources: resources.into(), verbs: verbs.into(), names: Vec::new() }
    }

    fn named(self, names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }
}

/// The needed rights.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Rights in the namespace.
    pub namespaced: Vec<Rule>,
    /// Cluster-scoped rights.
    pub cluster: Vec<Rule>,
}

const WATCHED: [&str; 4] = ["get", "list", "watch", "patch"];
const OWNED: [&str; 3] = ["get", "patch", "delete"];
/// The API group of roles.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
const REGISTRATION: &str = "admissionregistration.k8s.io";
const CONFIGURATIONS: &str = "mutatingwebhookconfigurations";
const POLICIES: [&str; 2] = ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];

/// The rights of `audience`.
pub fn rights(audience: Audience, names: &Names<'_>) -> Rights {
    match audience {
        Audience::Developer => developer(names),
        Audience::Installer => installer(names),
        Audience::Expire => expire(),
    }
}

/// Rights for emptying and restoring workloads.
fn workloads() -> Vec<Rule> {
    let any = Rule::any;
    let mut watched: Vec<Rule> = Vec::new();
    for kind in kinds::workloads() {
        match watched.iter_mut().find(|rule| rule.group == kind.group) {
            Some(rule) => rule.resources.push(kind.plural),
            None => watched.push(any(kind.group, &[kind.plural], &WATCHED)),
        }
    }
    let others = [
        // Pods and Jobs are recreated (--recreate), and Pods are replaced at level pod.
        any("", &["pods"], &["create", "delete"]),
        any("batch", &["jobs"], &["create", "delete"]),
        any("", &["pods/eviction"], &["create"]),
        any("", &["events", "services"], &["list"]),
        // Revisions of the emptied form are deleted after a restore.
        any("apps", &["replicasets"], &["delete"]),
        any("apps", &["controllerrevisions"], &["get", "list", "delete"]),
        any("autoscaling", &["horizontalpodautoscalers"], &["get", "list", "patch"]),
        any("autoscaling.k8s.io", &["verticalpodautoscalers"], &["get", "list", "patch"]),
        any("keda.sh", &["scaledobjects"], &["get", "list", "patch"]),
        any("policy", &["poddisruptionbudgets"], &["list"]),
    ];
    watched.into_iter().chain(others).collect()
}

fn developer(names: &Names<'_>) -> Rights {
    let any = Rule::any;
    let mut namespaced = workloads();
    // A copy of a workload is a Deployment (`empty --copy`).
    namespaced.push(any("apps", &["deployments"], &["create", "delete"]));
    namespaced.push(any("", &["pods/exec", "pods/portforward"], &["get", "create"]));
    namespaced.push(any("", &["pods/log"], &["get"]));
    let cluster = vec![
        any("", &["namespaces"], &["get"]).named(&[names.namespace]),
        any(REGISTRATION, &[CONFIGURATIONS, POLICIES[0], POLICIES[1]], &["list"]),
    ];
    Rights { namespaced, cluster }
}

fn installer(names: &Names<'_>) -> Rights {
    let Names { namespace, service, secret } = names;
    let any = Rule::any;
    let rules = format!("{service}-rules");
    // The objects of `render --expire`, which `uninstall` deletes.
    let (expire, [in_namespaces, of_cluster]) = (names.expire(), names.expire_roles());
    let removed = &["get", "delete"];
    // `uninstall --restore` restores.
    let mut namespaced = workloads();
    namespaced.extend([
        any("", &["secrets"], &OWNED).named(&[secret]),
        any("apps", &["deployments"], &OWNED).named(&[service]),
        any("", &["services"], &OWNED).named(&[service]),
        any("policy", &["poddisruptionbudgets"], &OWNED).named(&[service]),
        any("", &["configmaps"], &OWNED).named(&[&rules]),
        any("", &["serviceaccounts"], removed).named(&[&expire]),
        any("batch", &["cronjobs"], removed).named(&[&expire]),
        any(RBAC, &["rolebindings"], removed).named(&[&expire]),
        // RBAC cannot restrict create by name.
        any("", &["secrets", "services", "configmaps"], &["create"]),
        any("apps", &["deployments"], &["create"]),
        any("policy", &["poddisruptionbudgets"], &["create"]),
        // The workload that `verify` creates.
        any("apps", &["deployments"], &["delete"]).named(&["test"]),
        any("discovery.k8s.io", &["endpointslices"], &["list"]),
        // `version` asks a Pod of the server for its own.
        any("", &["pods/proxy"], &["get"]),
    ]);
    let cluster = vec![
        any("", &["namespaces"], &["get", "patch"]).named(&[namespace]),
        // The namespaces that a webhook serves are found by their labels.
        any("", &["namespaces"], &["create", "list"]),
        any(RBAC, &["clusterroles", "clusterrolebindings"], removed)
            .named(&[&in_namespaces, &of_cluster]),
        any(REGISTRATION, &[CONFIGURATIONS], &OWNED).named(&[service]),
        any(REGISTRATION, &POLICIES, &OWNED).named(&[service]),
        any(REGISTRATION, &[CONFIGURATIONS, POLICIES[0], POLICIES[1]], &["list", "create"]),
    ];
    Rights { namespaced, cluster }
}

/// Rights for restoring what can be restored in place, and for deleting copies. It runs unattended, so
/// it has none that only makes messages better.
fn expire() -> Rights {
    let any = Rule::any;
    let mut namespaced: Vec<Rule> = Vec::new();
    for kind in kinds::workloads() {
        let verbs = if kind.mutable { &["get", "list", "patch"][..] } else { &["get", "list"] };
        let is_alike = |rule: &&mut Rule| rule.group == kind.group && rule.verbs == verbs;
        match namespaced.iter_mut().find(is_alike) {
            Some(rule) => rule.resources.push(kind.plural),
            None => namespaced.push(any(kind.group, &[kind.plural], verbs)),
        }
    }
    namespaced.extend([
        // Some controllers replace no Pods, or wait for one that does not start.
        any("", &["pods/eviction"], &["create"]),
        any("", &["pods"], &["delete"]),
        any("", &["events"], &["list"]),
        // Copies, and revisions of the emptied form.
        any("apps", &["deployments", "replicasets"], &["delete"]),
        any("apps", &["controllerrevisions"], &["get", "list", "delete"]),
        any("autoscaling", &["horizontalpodautoscalers"], &["get", "list", "patch"]),
        any("autoscaling.k8s.io", &["verticalpodautoscalers"], &["get", "list", "patch"]),
        any("keda.sh", &["scaledobjects"], &["get", "list", "patch"]),
        // A Role of a namespace is enough for that namespace itself.
        any("", &["namespaces"], &["get"]),
    ]);
    let cluster = vec![
        // What empties a workload again is what it is opted out from.
        any(REGISTRATION, &[CONFIGURATIONS, POLICIES[0], POLICIES[1]], &["list"]),
    ];
    Rights { namespaced, cluster }
}

/// The `rules` of a Role or ClusterRole.
pub fn rules(all: &[Rule]) -> Vec<Value> {
    let rule = |rule: &Rule| {
        let mut value = json!({
            "apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs,
        });
        if !rule.names.is_empty() {
            value["resourceNames"] = rule.names.clone().into();
        }
        value
    };
    all.iter().map(rule).collect()
}

/// A Role and a ClusterRole.
pub fn objects(audience: Audience, names: &Names<'_>) -> [Value; 2] {
    let Rights { namespaced, cluster } = rights(audience, names);
    let version = "rbac.authorization.k8s.io/v1";
    let name = audience.role();
    let role = json!({
        "apiVersion": version, "kind": "Role",
        "metadata": { "name": name, "namespace": names.namespace },
        "rules": rules(&namespaced),
    });
    // One for each namespace, since its rules contain the namespace.
    let cluster_name = cluster_role(audience, names);
    let cluster_role = json!({
        "apiVersion": version, "kind": "ClusterRole",
        "metadata": { "name": cluster_name },
        "rules": rules(&cluster),
    });
    [role, cluster_role]
}

fn cluster_role(audience: Audience, names: &Names<'_>) -> String {
    format!("{}-{}", audience.role(), names.namespace)
}

/// The rights as a text table.
pub fn table(rights: &Rights) -> String {
    let head = ["SCOPE", "RESOURCE", "NAMES", "VERBS"].map(ToOwned::to_owned);
    let mut lines = vec![head.to_vec()];
    for (scope, rules) in [("namespace", &rights.namespaced), ("cluster", &rights.cluster)] {
        for rule in rules {
            let names = if rule.names.is_empty() { "*".to_owned() } else { rule.names.join(",") };
            for resource in &rule.resources {
                let dot = if rule.group.is_empty() { "" } else { "." };
                let resource = format!("{resource}{dot}{}", rule.group);
                lines.push(vec![scope.to_owned(), resource, names.clone(), rule.verbs.join(",")]);
            }
        }
    }
    text::columns(&lines)
}

/// The commands that bind the roles to a user.
pub fn bindings(audience: Audience, names: &Names<'_>) -> [String; 2] {
    let (role, namespace) = (audience.role(), names.namespace);
    let cluster = cluster_role(audience, names);
    [
        format!("kubectl -n {namespace} create rolebinding {role} --role={role} --user=NAME"),
        format!("kubectl create clusterrolebinding {cluster} --clusterrole={cluster} --user=NAME"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_restrict_no_create_or_list_by_name() {
        let names = Names { namespace: "shop", service: "hook", secret: "tls" };
        for audience in [Audience::Developer, Audience::Installer, Audience::Expire] {
            let Rights { namespaced, cluster } = rights(audience, &names);
            for rule in namespaced.iter().chain(&cluster).filter(|rule| !rule.names.is_empty()) {
                let is_wide = |verb: &&str| ["create", "list", "watch"].contains(verb);
                assert!(!rule.verbs.iter().any(is_wide), "RBAC never grants these: {rule:?}");
            }
        }
    }
}
