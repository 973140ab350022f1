//! How workloads are restored.

use jiff::Timestamp;

use super::from_manifest::Manifests;
use crate::{
    kubernetes::targets::LiveObject,
    operations::{Operation, WorkloadOutcome},
    workload::Subject,
};

/// How workloads are restored.
#[derive(Clone, Copy, Default)]
pub(crate) struct RestoreOptions<'a> {
    /// `--force-from`
    pub(super) manifests: Option<&'a Manifests>,
    pub(super) recreate: bool,
    /// `--trust-original`
    pub(super) trust_original: bool,
    /// Whether the namespace's label was just removed, or would be in a dry run.
    pub(super) unlabelled: bool,
    /// Only what has expired at this time. Another client may extend it until it is restored.
    pub(super) expired_at: Option<Timestamp>,
}

impl RestoreOptions<'_> {
    /// Options for workloads that have expired.
    pub(crate) fn expired(now: Timestamp) -> Self {
        Self { expired_at: Some(now), ..Self::default() }
    }

    /// Whether another client has extended it.
    pub(super) fn is_extended(&self, subject: &Subject<'_>) -> bool {
        let has_expired = |now| subject.has_expired(now) == Some(Ok(true));
        self.expired_at.is_some_and(|now| subject.is_emptied() && !has_expired(now))
    }

    /// Options after the namespace's label was removed.
    pub(crate) fn unlabelled() -> Self {
        Self { unlabelled: true, ..Self::default() }
    }
}

/// Reports a workload that was extended meanwhile, and returns its outcome.
pub(super) fn extended(operation: &Operation<'_>, found: &LiveObject) -> WorkloadOutcome {
    let what = "it was extended meanwhile";
    operation.terminal.warn(&format!("{} stays empty: {what}", operation.shown(found)));
    WorkloadOutcome::PassedOver(what.to_owned())
}
