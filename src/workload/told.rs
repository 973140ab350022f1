//! What an original tells of its workload, for whoever asks how it stands.

use std::collections::HashMap;

use super::{
    Idle, LABEL, LEVEL, ORIGINAL, Stamp, Subject, WISHES, assigned,
    emptied_fields::{AGENT_COMMAND, same},
    original::{Original, Saved},
};

/// How an emptied workload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Since when it is empty, and by whom.
    pub stamp: Stamp,
    /// Who brought the newest original, where that came after it was emptied.
    pub newer: Option<Stamp>,
    /// The containers that were emptied and are still there.
    pub containers: Vec<EmptyContainer>,
    /// Whether one of them no longer runs what emptying made it run.
    pub drifted: bool,
    /// Whether an update set fields and nobody has emptied it again since: restoring keeps those.
    pub overtaken: bool,
}

/// A container that was emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyContainer {
    /// Its name.
    pub name: String,
    /// Its image now.
    pub image: String,
    /// What it runs.
    pub idle: Idle,
}

impl Subject<'_> {
    /// How it stands; `None` where it was not emptied, or is a Service.
    ///
    /// # Errors
    /// In a few words, why the original is not trusted.
    pub fn told(&self) -> Option<Result<Told, String>> {
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
            Told {
                stamp: original.stamp,
                newer: original.newer,
                containers,
                drifted: !held,
                overtaken,
            }
        }))
    }

    /// Annotations of the workload that say how it is emptied and that its Pods do not have, so
    /// that nobody hears of them at level pod. That level itself, and a refusal, are heard of the
    /// workload.
    pub fn unheard(&self) -> Vec<&'static str> {
        let pod = self.object.pod();
        let in_template = |key: &str| pod.as_ref().is_some_and(|pod| pod.annotation(key).is_some());
        let is_lost = |key: &&str| {
            self.object.annotation(key).is_some()
                && ![LABEL, LEVEL].contains(key)
                && !in_template(key)
        };
        WISHES.into_iter().filter(is_lost).collect()
    }

    /// Kind and name of what it stands for: a Pod's owner and the like, else itself. A Job of a
    /// CronJob is told as both, the CronJob first.
    pub fn stands_for(&self) -> Vec<(&str, &str)> {
        super::about::names(&self.object)
    }
}

fn idle(original: &Original, saved: &[Saved]) -> Idle {
    let command = saved.iter().find(|saved| saved.field == "command");
    match command.and_then(|saved| saved.set.as_deref()) {
        Some(set) if same(Some(set), Some(AGENT_COMMAND)) => Idle::Agent,
        Some(_) => Idle::Shell,
        // A command that was the same before is not saved; the agent shows by what it brings.
        None if original.added.is_some() => Idle::Agent,
        None => Idle::Entrypoint,
    }
}

/// Whether `new` keeps something that the user has set since `old` was kept, rather than what
/// other rules made of the same wish.
pub(super) fn is_newer(old: &Original, new: &Original) -> bool {
    let differs = |old: &[Saved], new: &[Saved]| {
        let of = |all: &[Saved], field: &str| all.iter().find(|s| s.field == field).cloned();
        let fields = old.iter().chain(new).map(|saved| saved.field);
        fields.into_iter().any(|field| match (of(old, field), of(new, field)) {
            (Some(old), Some(new)) => !same(old.was.as_deref(), new.was.as_deref()),
            // Rules that leave such a field alone one day and empty it the next do so to one that
            // they set; one that they take away is always taken away.
            (Some(only), None) | (None, Some(only)) => only.set.is_none(),
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
        // Of several with one name, the one that was at this place.
        let name = container.name.as_str();
        let before = here.get(&(name, container.index)).or_else(|| first.get(name));
        before.is_some_and(|before| differs(&before.saved, &container.saved))
    }) || both(&old.pod, &new.pod)
        || both(&old.spec, &new.spec)
}
