//! Emptying and restoring a pod template.
//!
//! Every field has three values: what it is now, what the user last meant it to be, and the
//! emptied one. Emptying computes the second from the first and the saved original, and makes the
//! first the third; so a first emptying, a second one that changes nothing, and one after a newer
//! update are the same code.

use super::{
    Change, Rules,
    choose::choose,
    drop_original, keep_original,
    original::{Original, Saved},
    patch::{Patch, Pointer},
    untrusted,
    view::{Container, Object, Pod},
};

/// `tail -f /dev/null` as PID 1 ignores SIGTERM, so a longer grace is only a longer wait.
const GRACE_SECONDS: &str = "1";

const GRACE: &str = "terminationGracePeriodSeconds";
const PULL_POLICY: &str = "\"IfNotPresent\"";

/// Container fields that emptying takes away.
const REMOVED: [&str; 6] =
    ["command", "args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];

/// The fields of a container that emptying changes.
fn fields() -> impl Iterator<Item = &'static str> {
    ["image", "imagePullPolicy"].into_iter().chain(REMOVED)
}

/// The emptied value of a field, where `image` (JSON text) is the one that is emptied to.
fn emptied<'i>(field: &str, image: &'i str) -> Option<&'i str> {
    match field {
        "image" => Some(image),
        "imagePullPolicy" => Some(PULL_POLICY),
        GRACE => Some(GRACE_SECONDS),
        _ => None,
    }
}

/// What the user last meant a field to be: the saved value while the field has the emptied form,
/// else what a newer update has set (law 5).
fn meant<'a>(
    field: &str,
    now: Option<&'a str>,
    saved: Option<&'a Saved>,
    image: &str,
) -> Option<&'a str> {
    match saved {
        Some(saved) if now == emptied(field, image) => saved.text(),
        _ => now,
    }
}

pub(super) fn empty(rules: &Rules, object: &Object<'_>, pod: &Pod<'_, '_>) -> Change {
    let old = match object.annotation(super::ORIGINAL).map(Original::open) {
        Some(Ok(original)) => Some(original),
        Some(Err(why)) => return untrusted(&why),
        None => None,
    };
    let chosen = match choose(object, pod) {
        Ok(chosen) => chosen,
        Err(warning) => return Change::warned(warning),
    };
    if chosen.is_empty() {
        return Change::none();
    }

    let image = serde_json::Value::from(rules.image.as_str()).to_string();
    let was_image = old.as_ref().map_or(image.as_str(), |old| old.image.as_str());
    let saved = old.as_ref().map_or_else(Vec::new, |old| assign(old, pod));
    let mut new = Original {
        image: image.clone(),
        annotations: old
            .as_ref()
            .map_or_else(|| object.annotations_presence(), |old| old.annotations),
        ..Original::default()
    };
    let mut patch = Patch::default();
    for (index, container) in pod.containers().iter().enumerate() {
        let saved = saved.get(index).copied().flatten().unwrap_or_default();
        let is_chosen = chosen.iter().any(|(chosen, _)| *chosen == index);
        let at = pod.pointer().join("containers").join(&index.to_string());
        let mut kept = Vec::new();
        for field in fields() {
            let now = container.field(field);
            let saved = saved.iter().find(|saved| saved.name() == field);
            let meant = meant(field, now, saved, was_image);
            // One that is not chosen any more is given back.
            let target = if is_chosen { emptied(field, &image) } else { meant };
            if now != target {
                patch.put(&at.join(field), now.is_some(), target);
            }
            if is_chosen && meant != target {
                kept.push(Saved::new(field, meant));
            }
        }
        if is_chosen {
            new.containers.push((index, container.name().to_owned(), kept));
        }
    }
    let now = pod.field(GRACE);
    let saved = old.as_ref().and_then(|old| old.pod.iter().find(|saved| saved.name() == GRACE));
    let meant = meant(GRACE, now, saved, was_image);
    if now != Some(GRACE_SECONDS) {
        patch.put(&pod.pointer().join(GRACE), now.is_some(), Some(GRACE_SECONDS));
    }
    if meant != Some(GRACE_SECONDS) {
        new.pod.push(Saved::new(GRACE, meant));
    }
    if !keep_original(&mut patch, object, &new.seal()) {
        return Change::warned(
            "diyadm: not emptied: what must be kept does not fit the 256 KiB of all annotations",
        );
    }
    Change { patch: patch.finish(), warnings: Vec::new() }
}

pub(super) fn restore(object: &Object<'_>, pod: &Pod<'_, '_>, text: &str) -> Change {
    let original = match Original::open(text) {
        Ok(original) => original,
        Err(why) => return untrusted(&why),
    };
    let image = original.image.as_str();
    let mut patch = Patch::default();
    let mut give_back = |at: &Pointer, saved: &Saved, now: Option<&str>| {
        let meant = meant(saved.name(), now, Some(saved), image);
        if now != meant {
            patch.put(&at.join(saved.name()), now.is_some(), meant);
        }
    };
    for (index, saved) in assign(&original, pod).into_iter().enumerate() {
        let (Some(saved), Some(container)) = (saved, pod.containers().get(index)) else { continue };
        let at = pod.pointer().join("containers").join(&index.to_string());
        saved.iter().for_each(|saved| give_back(&at, saved, container.field(saved.name())));
    }
    original.pod.iter().for_each(|saved| give_back(pod.pointer(), saved, pod.field(saved.name())));
    drop_original(&mut patch, object, original.annotations);
    Change { patch: patch.finish(), warnings: Vec::new() }
}

/// What is saved of each container of `pod`, by its index now: the container that was saved is
/// the one of the same index and name, else, where others came before it since, of the same name.
fn assign<'o>(original: &'o Original, pod: &Pod<'_, '_>) -> Vec<Option<&'o [Saved]>> {
    let containers: &[Container<'_>] = pod.containers();
    let mut assigned = vec![None; containers.len()];
    let is = |index: usize, name: &str| containers.get(index).is_some_and(|c| c.name() == name);
    for (index, _, saved) in original.containers.iter().filter(|(i, n, _)| is(*i, n)) {
        assigned[*index] = Some(saved.as_slice());
    }
    for (_, name, saved) in original.containers.iter().filter(|(i, n, _)| !is(*i, n)) {
        let free = (0..containers.len()).find(|at| assigned[*at].is_none() && is(*at, name));
        if let Some(at) = free {
            assigned[at] = Some(saved.as_slice());
        }
    }
    assigned
}
