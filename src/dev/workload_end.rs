//! When an empty workload expires, and `diyadm extend`.

use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use super::{
    session::Session,
    table::span,
    target::{ResolvedTarget, Which},
};
use crate::{
    kubernetes::{Right, WriteMode, targets::LiveObject},
    workload::{self, ParsedObject},
};

/// When a workload expires; `None` without an end, and if it is not empty.
fn end(object: &ParsedObject) -> Option<Timestamp> {
    object.subject()?.expires()?.parse().ok()
}

impl ResolvedTarget {
    /// The workload.
    fn found(&self) -> Option<&LiveObject> {
        match &self.which {
            Which::Workload(found) => Some(found),
            Which::Labels { .. } => None,
        }
    }
}

impl Session<'_> {
    /// How long the workload stays empty, as it was found.
    pub(super) fn known_left(&self) -> Option<Duration> {
        self.left_of(&self.target.found()?.object)
    }

    /// How long the workload stays empty now.
    ///
    /// # Errors
    /// The API server does not answer.
    pub(super) async fn workload_left(&self) -> Result<Option<Duration>> {
        let now = self.target.workload(self.cluster).await?;
        Ok(now.and_then(|object| self.left_of(&object)))
    }

    /// How long a workload in this form stays empty; zero if it has expired.
    pub(super) fn left_of(&self, object: &ParsedObject) -> Option<Duration> {
        let left = end(object)?.duration_since(self.cluster.now());
        Some(Duration::try_from(left).unwrap_or_default())
    }

    /// Whether the workload has expired, and the user may restore it.
    pub(crate) async fn may_restore(&self) -> bool {
        let Some(found) = self.target.found() else { return false };
        let right = Right {
            verb: "patch",
            kind: found.kind,
            namespace: &found.namespace,
            name: &found.name,
        };
        self.workload_left().await.is_ok_and(|left| left == Some(Duration::ZERO))
            && self.cluster.missing(&[right]).await.is_ok_and(|missing| missing.is_empty())
    }

    /// [`Session::may_restore`], after an application ended with its lease.
    pub(crate) async fn has_expired_with_lease(&self) -> bool {
        self.claim.lease_ended.get() && self.may_restore().await
    }

    /// Sets the end of the workload to `ms` milliseconds from now; returns whether it has one.
    ///
    /// # Errors
    /// What the API server says, in particular a missing right to patch the workload.
    pub(crate) async fn extend_workload(&self, ms: u64) -> Result<bool> {
        let found = self.target.found().filter(|found| end(&found.object).is_some());
        let Some(found) = found else { return Ok(false) };
        let time = SignedDuration::from_millis(ms.cast_signed());
        let until = workload::expiry(self.cluster.now(), time);
        let at = (found.kind, found.namespace.as_str(), found.name.as_str());
        let plan = |object: &ParsedObject| {
            let change = object.try_subject()?.extend(&until);
            Ok((!change.is_empty()).then(|| serde_json::from_str(&change.patch)).transpose()?)
        };
        let known = Some(found.object.clone());
        let changed = self.cluster.change(at, known, WriteMode::Persist, plan).await?;
        let shown = found.shown();
        if changed.object.is_emptied() {
            let what = format!("{shown} stays empty for {} from now: {until}", span(ms));
            self.terminal.done(&what, None);
        } else {
            self.terminal.warn(&format!("{shown} is not empty any more"));
        }
        Ok(true)
    }
}
