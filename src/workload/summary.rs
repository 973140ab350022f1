//! A summary of an emptied workload, from its original.

use std::collections::HashMap;

use super::{
    Idle, LABEL, LEVEL, ORIGINAL, REQUESTABLE_ANNOTATIONS, Stamp, Subject, assigned,
    emptied_fields::{AGENT_COMMAND, is_stand_in, same},
    original::{Original, Saved},
};

/// The summary of an emptied workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptiedSummary {
    /// When it was emptied, and by whom.
    pub stamp: Stamp,
    /// Who deployed the newest original, if that was after it was emptied.
    pub newer: Option<Stamp>,
    /// The emptied containers that still exist.
    pub containers: Vec<EmptyContainer>,
    /// Whether one of them no longer runs its emptied command.
    pub drifted: bool,
    /// Whether an update set fields and it was not emptied again since: restoring keeps those
    /// fields.
    pub overtaken: bool,
}

/// An emptied container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyContainer {
    /// Its name.
    pub name: String,
    /// Its current image.
    pub image: String,
    /// Its idle mode.
    pub idle: Idle,
    /// Whether the workload's own command runs while no other application does.
    pub stand_in: bool,
}

impl Subject<'_> {
    /// Its summary; `None` if it was not emptied, or is a Service.
    ///
    /// # Errors
    /// In a few words, why the original is not trusted.
    pub fn summary(&self) -> Option<Result<EmptiedSummary, String>> {
        let text = self.object.annotation(ORIGINAL).filter(|_| self.object.service().is_none())?;
        let pod = self.object.pod()?;
        Some(Original::open(text).map(|original| {
            let image = |at: usize| {
                let text = pod.containers()[at].field("image").unwrap_or("\"\"");
                serde_json::from_str(text).unwrap_or_default()
            };
            let assigned = assigned::assign(&original, &pod);
            let found = assigned.iter().enumerate().filter_map(|(at, e)| Some((at, (*e)?)));
            let containers = found.map(|(at, emptied)| EmptyContainer {
                name: emptied.name.clone(),
                image: image(at),
                idle: idle(&original, &emptied.saved),
                stand_in: pod.containers()[at].field("command").is_some_and(is_stand_in),
            });
            let containers = containers.collect();
            let held = assigned::holds(&original, &pod);
            let touched =
                |at: usize, saved: &Saved| !saved.stands(pod.containers()[at].field(saved.field));
            let overtaken = assigned.iter().enumerate().any(|(at, emptied)| {
                emptied.is_some_and(|e| e.saved.iter().any(|saved| touched(at, saved)))
            }) || original
                .pod
                .iter()
                .any(|saved| !saved.stands(pod.field(saved.field)))
                || original.spec.iter().any(|saved| !saved.stands(self.object.field(saved.field)));
            EmptiedSummary {
                stamp: original.stamp,
                newer: original.newer,
                containers,
                drifted: !held,
                overtaken,
            }
        }))
    }

    /// Annotations of the workload for emptying that its Pods lack, and that are therefore ignored
    /// at level pod. The level itself and an opt-out are read from the workload.
    pub fn unheard(&self) -> Vec<&'static str> {
        let pod = self.object.pod();
        let in_template = |key: &str| pod.as_ref().is_some_and(|pod| pod.annotation(key).is_some());
        let is_lost = |key: &&str| {
            self.object.annotation(key).is_some()
                && ![LABEL, LEVEL].contains(key)
                && !in_template(key)
        };
        REQUESTABLE_ANNOTATIONS.into_iter().filter(is_lost).collect()
    }

    /// Kind and name of its workload: a Pod's owner, else itself. A Job of a CronJob gives both,
    /// the CronJob first.
    pub fn stands_for(&self) -> Vec<(&str, &str)> {
        super::rule_input::names(&self.object)
    }
}

fn idle(original: &Original, saved: &[Saved]) -> Idle {
    let command = saved.iter().find(|saved| saved.field == "command");
    match command.and_then(|saved| saved.set.as_deref()) {
        Some(set) if same(Some(set), Some(AGENT_COMMAND)) || is_stand_in(set) => Idle::Agent,
        Some(_) => Idle::Shell,
        // An unchanged command is not saved; the agent is recognised by its elements.
        None if original.added.is_some() => Idle::Agent,
        None => Idle::Entrypoint,
    }
}

/// Whether `new` saves values that the user has set since `old`, rather than results of other
/// rules.
pub(super) fn is_newer(old: &Original, new: &Original) -> bool {
    // A stand-in keeps fields that emptying otherwise removes.
    let same_fields = old.has_stand_in() == new.has_stand_in();
    let differs = |old: &[Saved], new: &[Saved]| {
        let of = |all: &[Saved], field: &str| all.iter().find(|s| s.field == field).cloned();
        let fields = old.iter().chain(new).map(|saved| saved.field);
        fields.into_iter().any(|field| match (of(old, field), of(new, field)) {
            (Some(old), Some(new)) => !same(old.was.as_deref(), new.was.as_deref()),
            // Rules that change between keeping and emptying such a field set it; a removed field
            // is always removed.
            (Some(only), None) | (None, Some(only)) => same_fields && only.set.is_none(),
            (None, None) => false,
        })
    };
    let both = |saved: &[Saved], other: &[Saved]| {
        saved.iter().any(|one| {
            let other = other.iter().find(|other| other.field == one.field);
            other.is_some_and(|other| !same(one.was.as_deref(), other.was.as_deref()))
        })
    };
    let all = || old.containers.iter().rev();
    let here: HashMap<_, _> = all().map(|e| ((e.name.as_str(), e.index), e)).collect();
    let first: HashMap<_, _> = all().map(|e| (e.name.as_str(), e)).collect();
    new.containers.iter().any(|container| {
        // Among several with one name, the one at this index.
        let name = container.name.as_str();
        let before = here.get(&(name, container.index)).or_else(|| first.get(name));
        before.is_some_and(|before| differs(&before.saved, &container.saved))
    }) || both(&old.pod, &new.pod)
        || both(&old.spec, &new.spec)
}
