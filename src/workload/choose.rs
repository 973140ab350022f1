//! Chooses the containers of a pod to empty.

use std::collections::{BTreeSet, HashMap};

use super::{
    CONTAINERS, ContainerFault, Context, Decision, NamedBy, ORIGINAL, Rules, Subject, Warning,
    members::Container, original::Original, reference, view::Pod,
};
use crate::json;

/// kubectl's annotation of a pod template that names the main container.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Containers that injectors of service meshes and secrets add; a Pod has no network without them.
pub const INJECTED: [&str; 6] =
    ["istio-proxy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane", "vault-agent", "daprd"];

/// Known sidecars, by their name or their image's: never chosen if there is another container. A
/// named one is emptied.
pub const HELPERS: [&str; 44] = [
    "alloy",
    "ambassador",
    "aws-otel-collector",
    "aws-xray-daemon",
    "azwi-proxy",
    "cloud-sql-proxy",
    "cloudflared",
    "cloudsql-proxy",
    "config-reloader",
    "datadog-agent",
    "envoy",
    "envoy-sidecar",
    "filebeat",
    "fluent-bit",
    "fluentd",
    "git-sync",
    "gke-gcsfuse-metadata-prefetch",
    "gke-gcsfuse-sidecar",
    "grafana-agent",
    "jaeger-agent",
    "k8s-sidecar",
    "kube-rbac-proxy",
    "mysqld-exporter",
    "nginx-prometheus-exporter",
    "oauth2-proxy",
    "opa-envoy",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
    "otc-container",
    "otel-collector",
    "pgbouncer",
    "postgres-exporter",
    "prometheus-config-reloader",
    "promtail",
    "proxyv2",
    "queue-proxy",
    "redis-exporter",
    "spiffe-helper",
    "splunk-otel-collector",
    "statsd-exporter",
    "telegraf",
    "vault-agent-init",
    "vector",
    "xray-daemon",
];

/// The containers to empty and, without an explicit choice, all candidates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// By index and in order.
    pub(super) chosen: Vec<usize>,
    /// By index; empty if an annotation, a rule or a flag names them.
    pub(super) candidates: Vec<usize>,
}

impl Subject<'_> {
    /// The main container: the first emptied one, or the one that emptying would choose.
    pub fn container(&self) -> Option<String> {
        let original = self.object.annotation(ORIGINAL).and_then(|text| Original::open(text).ok());
        if let Some(emptied) = original.and_then(|original| original.containers.into_iter().next())
        {
            return Some(emptied.name);
        }
        let pod = self.object.pod()?;
        let wanted = self.object.annotation(CONTAINERS).or(pod.annotation(CONTAINERS));
        let chosen = choose(wanted, &pod).ok()?.chosen;
        Some(pod.containers().get(*chosen.first()?)?.name().to_owned())
    }

    /// The names of the containers that would be emptied; none if the rules are invalid.
    pub fn chosen(&self, rules: &Rules, context: &Context<'_>) -> Vec<String> {
        let pod = self.object.pod();
        let (Some(pod), Ok(Decision { way, .. })) = (&pod, self.decide(rules, context)) else {
            return Vec::new();
        };
        let choice = choose(way.containers.as_deref(), pod);
        let chosen = choice.map(|choice| choice.chosen).unwrap_or_default();
        chosen.into_iter().map(|at| pod.containers()[at].name().to_owned()).collect()
    }

    /// The names of the candidates, without an explicit choice; fewer than two if there is no
    /// choice.
    pub fn candidates(&self, rules: &Rules, context: &Context<'_>) -> Vec<String> {
        let pod = self.object.pod();
        let (Some(pod), Ok(Decision { way, .. })) = (&pod, self.decide(rules, context)) else {
            return Vec::new();
        };
        let choice = choose(way.containers.as_deref(), pod);
        let candidates = choice.map(|choice| choice.candidates).unwrap_or_default();
        candidates.into_iter().map(|at| pod.containers()[at].name().to_owned()).collect()
    }
}

/// The containers to empty, or a warning. `wanted`: `a,b`, `*`, or `None` for the main container.
pub(super) fn choose(wanted: Option<&str>, pod: &Pod<'_, '_>) -> Result<Choice, Warning> {
    let injected = |name: &str| INJECTED.contains(&name);
    let all = || pod.containers().iter().enumerate();
    let own = || all().filter(|(_, container)| !injected(container.name()));
    let by_name = |chosen| Ok(Choice { chosen, candidates: Vec::new() });
    match wanted {
        Some("*") => by_name(own().map(|(at, _)| at).collect()),
        Some(names) => {
            // The first container of each name.
            let places: HashMap<_, _> = all().rev().map(|(at, c)| (c.name(), at)).collect();
            let mut chosen = BTreeSet::new();
            for name in names.split(',').map(str::trim) {
                let fault = |fault| Warning::Containers {
                    named_by: NamedBy::Annotation,
                    fault,
                    name: name.to_owned(),
                };
                if injected(name) {
                    return Err(fault(ContainerFault::Injected));
                }
                let at = places.get(name);
                let at = at.ok_or_else(|| fault(ContainerFault::Missing))?;
                chosen.insert(*at);
            }
            by_name(chosen.into_iter().collect())
        }
        None => {
            let default = pod.annotation(DEFAULT_CONTAINER).filter(|name| !injected(name));
            let named =
                default.and_then(|name| all().find(|(_, container)| container.name() == name));
            if let Some((at, _)) = named {
                return by_name(vec![at]);
            }
            let main = own().filter(|(_, container)| !is_helper(container));
            let mut candidates: Vec<_> = main.map(|(at, _)| at).collect();
            if candidates.is_empty() {
                candidates = own().map(|(at, _)| at).collect();
            }
            Ok(Choice { chosen: candidates.first().copied().into_iter().collect(), candidates })
        }
    }
}

/// Whether a container is one of [`HELPERS`].
fn is_helper(container: &Container<'_>) -> bool {
    let is = |name: &str| HELPERS.contains(&name);
    let image = || container.field("image").and_then(json::string);
    is(container.name()) || image().is_some_and(|image| is(reference::name(&image)))
}
