//! Warns about Services that send requests to workloads while nothing answers there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decision::{EmptyMethod, EmptyRequest};
use crate::{
    kubernetes::{Cluster, SERVICE, targets::LiveObject},
    operations::autoscalers::ConflictingObjects,
    plan::{Decided, Does, plan},
    webhook::checks::Level,
    workload::Context,
};

/// The Services of each namespace; none where they may not be listed, which `diyadm plan` reports.
pub(super) struct Services(BTreeMap<String, Vec<Value>>);

impl Services {
    /// Lists those in the namespaces of these workloads.
    pub(super) async fn list(cluster: &Cluster, workloads: &[LiveObject]) -> Self {
        let listed = ConflictingObjects::list(cluster, workloads, &[&SERVICE]).await;
        let mut services = BTreeMap::new();
        for LiveObject { namespace, .. } in workloads {
            if !services.contains_key(namespace) {
                services.insert(namespace.clone(), listed.of_namespace(namespace));
            }
        }
        Self(services)
    }

    /// The warnings of `diyadm plan` about Services of a workload that is emptied by `method`.
    pub(super) fn warnings(
        &self,
        request: &EmptyRequest<'_>,
        found: &LiveObject,
        method: EmptyMethod,
    ) -> Vec<String> {
        let LiveObject { namespace, object, .. } = found;
        let services = self.0.get(namespace).map(Vec::as_slice).unwrap_or_default();
        let requested_annotations = &request.requested_annotations;
        let context = Context { namespace, requested_annotations, ..Context::default() };
        let does = if method == EmptyMethod::Pods { Does::Pods } else { Does::Template };
        let findings = plan(request.rules, object, &context, Decided::new(does), services).findings;
        let of_services =
            findings.into_iter().filter(|one| one.id == "service" && one.level == Level::Warning);
        of_services.map(|one| format!("{}. {}", one.seen, one.hint)).collect()
    }
}
