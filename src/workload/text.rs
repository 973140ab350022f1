//! Emptying and restoring for callers that only have an object's JSON text.

use super::{Change, Context, OptOut, Rules, Subject};

/// Whether `object` (JSON text) has an original, that is, was emptied.
pub fn is_emptied(object: &str) -> bool {
    Subject::parse(object).is_some_and(|subject| subject.is_emptied())
}

/// Whether a Pod (JSON text) was emptied when it was created: by a webhook, which saves its
/// original in it, or by a policy, which saves none.
pub fn is_emptied_pod(pod: &str) -> bool {
    Subject::parse(pod).is_some_and(|subject| subject.is_emptied() || subject.is_by_policy())
}

/// Whether `object` (JSON text) has opted out.
pub fn declines(object: &str) -> bool {
    Subject::parse(object).is_some_and(|subject| subject.declines())
}

/// Empties the workload in the JSON text `object`, or changes a Service that requests it.
///
/// An already emptied workload keeps its original; newer values are saved and emptied field by
/// field. An object of another kind, opted out or without containers gives an empty change, with a
/// warning if the user would expect another result.
pub fn empty(rules: &Rules, object: &str) -> Change {
    let subject = Subject::parse(object);
    subject.map_or_else(Change::none, |subject| subject.empty(rules, &Context::default()))
}

/// Restores the changes of [`empty`] in the JSON text `object`.
///
/// A field that no longer has its emptied value was set by a newer update and stays. An original
/// that is forged, truncated or foreign is not trusted: a warning, no patch.
pub fn restore(object: &str) -> Change {
    Subject::parse(object).map_or_else(Change::none, |subject| subject.restore(OptOut::Leave, None))
}
