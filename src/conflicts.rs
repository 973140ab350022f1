//! Finds objects that conflict with an empty workload: autoscalers, disruption budgets and GitOps
//! owners.
//!
//! Pure: objects are passed in and findings are returned; no cluster is contacted.

use serde_json::Value;

use crate::{
    kinds::{self, Kind},
    webhook::checks::{Finding, selects},
    workload::{Level, autoscaler},
};

mod services;

pub use services::findings as services;

/// The intended change of the workload.
#[derive(Clone, Copy, Debug)]
pub struct Meant {
    /// The level at which it is emptied.
    pub level: Level,
    /// Its new replicas; `None` keeps them.
    pub replicas: Option<u32>,
}

/// Findings about `workload` from the objects in `around`: autoscalers and PodDisruptionBudgets of
/// its namespace, and from the workload itself.
pub fn findings(workload: &Value, around: &[Value], meant: Meant) -> Vec<Finding> {
    let mut all: Vec<_> = around.iter().filter_map(|one| scaler(workload, one, meant)).collect();
    all.extend(around.iter().filter_map(|one| budget(workload, one, meant)));
    all.extend(keeper(workload).map(|keeper| kept(&keeper, meant)));
    all
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn scaler(workload: &Value, object: &Value, meant: Meant) -> Option<Finding> {
    let (kind, name) = (text(workload, "/kind"), text(workload, "/metadata/name"));
    if !autoscaler::scales(object, kind, name) {
        return None;
    }
    let scaler = format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"));
    let id = match text(object, "/kind") {
        "VerticalPodAutoscaler" => "vertical-autoscaler",
        "ScaledObject" => "scaled-object",
        _ => "autoscaler",
    };
    if let Some(replicas) = meant.replicas.filter(|_| id != "vertical-autoscaler") {
        // A suspended autoscaler still has a minimum.
        let seen = format!("{scaler} sets the replicas and would undo {replicas}: this is refused");
        let hint = "Omit --replicas; --hold-autoscalers keeps the number of replicas.";
        return Some(Finding::failed(id, seen, hint));
    }
    if autoscaler::hold(object).is_none() {
        return Some(Finding::ok(id, format!("{scaler} is suspended or inactive")));
    }
    if id == "vertical-autoscaler" {
        // `Initial` and `Off` do not change running Pods; the default is Auto.
        let mode = object.pointer("/spec/updatePolicy/updateMode").and_then(Value::as_str);
        let mode = mode.unwrap_or("Auto");
        if mode == "Initial" {
            return Some(Finding::ok(
                id,
                format!("{scaler} does not change running Pods ({mode})"),
            ));
        }
        let seen = format!("{scaler} ({mode}) would set resources by what an idle container uses");
        return Some(Finding::warning(id, seen, HOLD));
    }
    let seen = format!("{scaler} scales it by metrics, which an idle container makes useless");
    Some(Finding::warning(id, seen, HOLD))
}

const HOLD: &str = "`diyadm empty … --hold-autoscalers` suspends it while the workload is empty.";

fn budget(workload: &Value, object: &Value, meant: Meant) -> Option<Finding> {
    let kind = kinds::find(text(workload, "/apiVersion"), text(workload, "/kind"))?;
    let selector = &object["spec"]["selector"];
    let labels = workload.pointer(&format!("{}/metadata/labels", kind.template()));
    let of_it = object["kind"] == "PodDisruptionBudget"
        && !selector.is_null()
        && selects(selector, labels.unwrap_or(&Value::Null));
    if !of_it {
        return None;
    }
    let id = "budget";
    let name = text(object, "/metadata/name");
    let replicas = meant.replicas.map(u64::from).or_else(|| replicas(workload, kind));
    if let Some(replicas) = replicas.filter(|replicas| guards_all(&object["spec"], *replicas)) {
        let seen = format!(
            "PodDisruptionBudget {name} allows no eviction of the {replicas} Pods, empty or not: \
             draining a node waits"
        );
        let hint = match meant.level {
            Level::Workload => "An empty Pod can be deleted by hand, which ignores the budget.",
            Level::Pod => {
                "It also keeps diyadm from replacing Pods: `diyadm empty … --disable-eviction` \
                 deletes them."
            }
        };
        return Some(Finding::warning(id, seen, hint));
    }
    let seen = format!("PodDisruptionBudget {name} counts empty Pods as available");
    Some(Finding::warning(id, seen, "When a node is drained, they count as Pods that serve."))
}

/// Whether no Pod may be evicted when all of this number of Pods are available. Percentages are
/// rounded up, as in the disruption controller.
fn guards_all(spec: &Value, replicas: u64) -> bool {
    let number = |field: &str| match &spec[field] {
        Value::String(share) => {
            let percent: u64 = share.strip_suffix('%')?.parse().ok()?;
            Some(percent.saturating_mul(replicas).div_ceil(100))
        }
        other => other.as_u64(),
    };
    let least = number("minAvailable").is_some_and(|least| replicas <= least);
    replicas > 0 && (least || number("maxUnavailable") == Some(0))
}

/// Number of replicas of a workload; `None` for kinds without replicas.
pub fn replicas(workload: &Value, kind: &Kind) -> Option<u64> {
    let replicas = kind.wanted(workload).filter(|_| kind.replicas)?;
    u64::try_from(replicas).ok()
}

/// The GitOps tool that syncs a workload from a repository: `Argo CD (shop)`.
pub fn keeper(workload: &Value) -> Option<String> {
    let meta = &workload["metadata"];
    let label = |key: &str| meta["labels"][key].as_str();
    let managers = meta["managedFields"].as_array().into_iter().flatten();
    let managers: Vec<_> = managers.filter_map(|entry| entry["manager"].as_str()).collect();
    let manages = |name: &str| managers.iter().any(|manager| manager.starts_with(name));
    if let Some(id) = meta["annotations"]["argocd.argoproj.io/tracking-id"].as_str() {
        // APPLICATION:GROUP/KIND:NAMESPACE/NAME
        return Some(format!("Argo CD ({})", id.split(':').next().unwrap_or(id)));
    }
    if let Some(name) = label("argocd.argoproj.io/instance") {
        return Some(format!("Argo CD ({name})"));
    }
    // Helm sets that label too, but does not sync.
    if let Some(name) = label("app.kubernetes.io/instance").filter(|_| manages("argocd-")) {
        return Some(format!("Argo CD ({name})"));
    }
    for (key, manager) in [
        ("kustomize.toolkit.fluxcd.io/name", "kustomize-controller"),
        ("helm.toolkit.fluxcd.io/name", "helm-controller"),
    ] {
        if let Some(name) = label(key) {
            return Some(format!("Flux ({manager}, {name})"));
        }
    }
    None
}

fn kept(keeper: &str, meant: Meant) -> Finding {
    let id = "keeper";
    match meant.level {
        Level::Pod => {
            let seen =
                format!("{keeper} sees no drift: at level pod the workload itself does not change");
            Finding::ok(id, seen)
        }
        Level::Workload => Finding::warning(
            id,
            format!("{keeper} syncs it from a repository, and may undo emptying"),
            "At level pod only its Pods change: `diyadm install --level pod` or `--mode policy`, \
             then `diyadm empty … --level pod`.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload() -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "web", "labels": {}, "annotations": {} },
            "spec": { "replicas": 3, "template": { "metadata": { "labels": { "app": "web" } } } },
        })
    }

    fn ids(workload: &Value, around: &[Value], meant: Meant) -> Vec<String> {
        let found = findings(workload, around, meant);
        found.iter().map(|f| format!("{} {:?}", f.id, f.level).to_lowercase()).collect()
    }

    const PLAIN: Meant = Meant { level: Level::Workload, replicas: None };
    const NONE: Meant = Meant { level: Level::Workload, replicas: Some(0) };
    const ONE: Meant = Meant { level: Level::Workload, replicas: Some(1) };

    #[test]
    fn autoscalers_of_a_workload_are_found() {
        let of = |kind: &str, spec: Value| json!({ "kind": kind, "metadata": { "name": "x" }, "spec": spec });
        let target = json!({ "kind": "Deployment", "name": "web" });
        let hpa = of("HorizontalPodAutoscaler", json!({ "scaleTargetRef": target }));
        let other = of(
            "HorizontalPodAutoscaler",
            json!({ "scaleTargetRef": { "kind": "Deployment", "name": "db" } }),
        );
        let keda = of("ScaledObject", json!({ "scaleTargetRef": { "name": "web" } }));
        let vpa = |mode: Value| {
            of("VerticalPodAutoscaler", json!({ "targetRef": target, "updatePolicy": mode }))
        };
        let disabled = json!({ "selectPolicy": "Disabled" });
        let mut held = hpa.clone();
        held["spec"]["behavior"] = json!({ "scaleUp": disabled, "scaleDown": disabled });
        for (object, meant, expected) in [
            (&hpa, PLAIN, vec!["autoscaler warning"]),
            (&hpa, ONE, vec!["autoscaler failed"]),
            (&held, PLAIN, vec!["autoscaler ok"]),
            (&held, ONE, vec!["autoscaler failed"]),
            (&other, ONE, vec![]),
            (&keda, PLAIN, vec!["scaled-object warning"]),
            (&vpa(Value::Null), ONE, vec!["vertical-autoscaler warning"]),
            (&vpa(json!({ "updateMode": "Off" })), PLAIN, vec!["vertical-autoscaler ok"]),
            (&vpa(json!({ "updateMode": "Initial" })), PLAIN, vec!["vertical-autoscaler ok"]),
        ] {
            let found = ids(&workload(), std::slice::from_ref(object), meant);
            assert_eq!(found, expected, "{object}");
        }
    }

    #[test]
    fn disruption_budgets_of_a_workload_are_found() {
        let budget = |spec: Value| json!({ "kind": "PodDisruptionBudget", "metadata": { "name": "b" }, "spec": spec });
        let app = json!({ "matchLabels": { "app": "web" } });
        for (spec, meant, waits) in [
            (json!({ "selector": app, "minAvailable": 1 }), PLAIN, Some(false)),
            (json!({ "selector": app, "minAvailable": 1 }), ONE, Some(true)),
            (json!({ "selector": app, "minAvailable": "50%" }), ONE, Some(true)),
            (json!({ "selector": app, "minAvailable": "50%" }), PLAIN, Some(false)),
            (json!({ "selector": app, "minAvailable": 1 }), NONE, Some(false)),
            (json!({ "selector": app, "maxUnavailable": 1 }), ONE, Some(false)),
            (json!({ "selector": app, "maxUnavailable": "1%" }), ONE, Some(false)),
            (json!({ "selector": app, "maxUnavailable": "0%" }), PLAIN, Some(true)),
            (json!({ "selector": {}, "minAvailable": 3 }), PLAIN, Some(true)),
            (json!({ "selector": { "matchLabels": { "app": "db" } } }), PLAIN, None),
            (json!({ "minAvailable": 1 }), PLAIN, None),
        ] {
            let found = findings(&workload(), &[budget(spec.clone())], meant);
            let waits_here = found.first().map(|finding| finding.seen.contains("waits"));
            assert_eq!(waits_here, waits, "{spec}");
        }
    }

    #[test]
    fn gitops_owners_of_a_workload_are_found() {
        let with = |place: &str, key: &str, value: Value| {
            let mut object = workload();
            object["metadata"][place][key] = value;
            object
        };
        let tracked = json!("shop:apps/Deployment:n/web");
        let helm = with("labels", "app.kubernetes.io/instance", json!("shop"));
        let mut applied = helm.clone();
        applied["metadata"]["managedFields"] = json!([{ "manager": "argocd-controller" }]);
        for (object, keeper) in [
            (with("annotations", "argocd.argoproj.io/tracking-id", tracked), "Argo CD (shop)"),
            (with("labels", "argocd.argoproj.io/instance", json!("shop")), "Argo CD (shop)"),
            (applied, "Argo CD (shop)"),
            (
                with("labels", "kustomize.toolkit.fluxcd.io/name", json!("shop")),
                "Flux (kustomize-controller, shop)",
            ),
            (
                with("labels", "helm.toolkit.fluxcd.io/name", json!("shop")),
                "Flux (helm-controller, shop)",
            ),
        ] {
            assert_eq!(super::keeper(&object).as_deref(), Some(keeper), "{object}");
            assert_eq!(ids(&object, &[], PLAIN), ["keeper warning"]);
            let pods = Meant { level: Level::Pod, replicas: None };
            assert_eq!(ids(&object, &[], pods), ["keeper ok"]);
        }
        assert_eq!(super::keeper(&helm), None);
    }
}
