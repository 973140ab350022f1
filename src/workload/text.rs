//! The heart's verbs for an object whose JSON text is all that is known of it.

use super::{Change, Context, OptOut, Rules, Subject};

/// Whether `object` (JSON text) carries an original, that is, was emptied.
pub fn is_emptied(object: &str) -> bool {
    Subject::parse(object).is_some_and(|subject| subject.is_emptied())
}

/// Whether a Pod (JSON text) was emptied itself as it was created: by a webhook, which leaves its
/// original there, or by a policy, which leaves none.
pub fn is_emptied_pod(pod: &str) -> bool {
    Subject::parse(pod).is_some_and(|subject| subject.is_emptied() || subject.is_by_policy())
}

/// Whether `object` (JSON text) says no itself.
pub fn declines(object: &str) -> bool {
    Subject::parse(object).is_some_and(|subject| subject.declines())
}

/// Empties the workload whose JSON text is `object`, or opens the Service that asks for it.
///
/// One that is emptied already keeps its original, and newer values in it are saved and emptied
/// too, field by field. An object that is none of the kinds here, says no, or has no
/// container gives an empty change, with a warning where the user would expect another outcome.
pub fn empty(rules: &Rules, object: &str) -> Change {
    let subject = Subject::parse(object);
    subject.map_or_else(Change::none, |subject| subject.empty(rules, &Context::default()))
}

/// Gives back what [`empty`] took, for the object whose JSON text is `object`.
///
/// A field that no longer has the emptied form was set by a newer update and stays as it is. An
/// original that is forged, cut or foreign is not trusted: a warning, no patch.
pub fn restore(object: &str) -> Change {
    Subject::parse(object).map_or_else(Change::none, |subject| subject.restore(OptOut::Leave, None))
}
