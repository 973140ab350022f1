//! Volumes that a StatefulSet deletes together with its Pods.

use serde_json::Value;

use super::{Subject, emptied_fields::REPLICAS, view::Object};
use crate::kinds::Kind;

impl Subject<'_> {
    /// Whether changing the replicas would delete volumes of a StatefulSet, now or after restoring.
    pub fn loses_volumes(&self, replicas: u32) -> bool {
        are_lost(&self.object, replicas)
    }
}

/// Why the replicas do not change.
pub(super) const LOST: &str = "whenScaled: Delete deletes volumes with another number of replicas";

/// Whether a StatefulSet deletes the volumes of Pods that are removed by changing the replicas, now
/// or after restoring.
pub(super) fn are_lost(object: &Object<'_>, replicas: u32) -> bool {
    let policy = object.field("persistentVolumeClaimRetentionPolicy");
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let now = object.field(REPLICAS).and_then(|text| text.parse().ok()).unwrap_or(1_u32);
    object.workload().is_some_and(Kind::is_ordered)
        && now != replicas
        && policy.is_some_and(|policy| policy["whenScaled"] == "Delete")
}
