//! Owners of objects: an owned object changes with its owner.

use crate::{kinds, workload::Subject};

/// The owner of an object.
pub(crate) struct Owned {
    /// `deployment/web`, or both if two are possible.
    pub(crate) by: String,
    /// The name for a command line; `None` if it is not a workload but an operator's kind.
    pub(crate) typed: Option<String>,
}

/// The owner of the object, if it has one.
pub(crate) fn owned(subject: &Subject<'_>) -> Option<Owned> {
    if !subject.is_controlled() {
        return None;
    }
    let owners = subject.stands_for();
    let shown = |(kind, name): &(&str, &str)| format!("{}/{name}", kind.to_lowercase());
    let typed = owners.iter().find(|(kind, _)| kinds::named(kind).is_some());
    Some(Owned {
        by: owners.iter().map(shown).collect::<Vec<_>>().join(" or "),
        typed: typed.map(shown),
    })
}
