//! Which container of a pod each saved container is now, and whether it still runs what emptying
//! gave it: an update may have moved, added or removed containers.

use std::collections::{HashMap, VecDeque};

use super::{
    emptied_fields::PROGRAM,
    members::Container,
    original::{Emptied, Original, Saved},
    view::Pod,
};

/// The saved fields of each container of `pod`, by its current index. They belong to the container
/// of the same index and name or, if containers were inserted before it, of the same name.
pub(super) fn assign<'o>(original: &'o Original, pod: &Pod<'_, '_>) -> Vec<Option<&'o Emptied>> {
    let containers: &[Container<'_>] = pod.containers();
    let mut assigned = vec![None; containers.len()];
    let is = |index: usize, name: &str| containers.get(index).is_some_and(|c| c.name() == name);
    let (still, moved): (Vec<_>, Vec<_>) =
        original.containers.iter().partition(|emptied| is(emptied.index, &emptied.name));
    for emptied in still {
        assigned[emptied.index] = Some(emptied);
    }
    if moved.is_empty() {
        return assigned;
    }
    let mut free: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (at, container) in containers.iter().enumerate().filter(|(at, _)| assigned[*at].is_none()) {
        free.entry(container.name()).or_default().push_back(at);
    }
    for emptied in moved {
        if let Some(at) = free.get_mut(emptied.name.as_str()).and_then(VecDeque::pop_front) {
            assigned[at] = Some(emptied);
        }
    }
    assigned
}

/// Whether the pod still runs what emptying made it run, in every container that was emptied.
pub(super) fn holds(original: &Original, pod: &Pod<'_, '_>) -> bool {
    let assigned = assign(original, pod);
    assigned.iter().flatten().count() == original.containers.len()
        && !original.containers.is_empty()
        && assigned.iter().enumerate().all(|(index, emptied)| {
            let mut saved = emptied.iter().flat_map(|e| &e.saved);
            let runs = |s: &Saved| s.stands(pod.containers()[index].field(s.field));
            saved.all(|saved| !PROGRAM.contains(&saved.field) || runs(saved))
        })
}

/// Whether an emptied container now has a program that the user set, as `said` judges by the
/// container's name, the field, and the field's value.
pub(super) fn runs_anew(
    original: &Original,
    pod: &Pod<'_, '_>,
    said: impl Fn(&str, &str, &str) -> bool,
) -> bool {
    assign(original, pod).iter().enumerate().any(|(index, emptied)| {
        let container = &pod.containers()[index];
        let mut saved = emptied.iter().flat_map(|e| &e.saved);
        saved.any(|saved| {
            let now = container.field(saved.field).filter(|_| PROGRAM.contains(&saved.field));
            let is_other = |now: &&str| !saved.stands(Some(now));
            now.filter(is_other).is_some_and(|now| said(container.name(), saved.field, now))
        })
    })
}
