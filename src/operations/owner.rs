//! What belongs to another object changes with that.

use crate::{kinds, workload::Subject};

/// Whose an object is.
pub(crate) struct Owned {
    /// `deployment/web`, or, where two are possible, both.
    pub(crate) by: String,
    /// The one to type; `None` where it is no workload: an operator's own kind.
    pub(crate) typed: Option<String>,
}

/// Whose the object is, where something controls it.
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
