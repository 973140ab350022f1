//! How workloads are restored.

use jiff::Timestamp;

use super::from_manifest::Manifests;
use crate::{operations::WorkloadOutcome, workload::Subject};

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
    /// Only what is over at this time; an end that was put off meanwhile counts.
    pub(super) over: Option<Timestamp>,
}

impl RestoreOptions<'_> {
    /// Options for workloads whose time is over.
    pub(crate) fn over(now: Timestamp) -> Self {
        Self { over: Some(now), ..Self::default() }
    }

    /// Whether another client has put off the end.
    pub(super) fn is_put_off(&self, subject: &Subject<'_>) -> bool {
        let is_over = |now| subject.is_over(now) == Some(Ok(true));
        self.over.is_some_and(|now| subject.is_emptied() && !is_over(now))
    }

    /// The outcome for a workload whose end was put off.
    pub(super) fn put_off() -> WorkloadOutcome {
        WorkloadOutcome::PassedOver("its time was extended meanwhile".to_owned())
    }

    /// Options after the namespace's label was removed.
    pub(crate) fn unlabelled() -> Self {
        Self { unlabelled: true, ..Self::default() }
    }
}
