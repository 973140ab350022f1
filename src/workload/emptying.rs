//! Empties one workload: its pod, the requested annotations of a client, and the original.

use super::{
    Change, Context, EmptyingSettings, ORIGINAL, Rules, STAND_IN, STAND_IN_COMMAND, Warning,
    annotation_edits::{annotate, note},
    assigned,
    emptied_fields::At,
    expiry,
    newer::Newer,
    old_object::OldObject,
    original::{Original, Saved},
    patch::Patch,
    rewritten, rollout_undo, summary,
    template::{self, EmptyingSpec},
    untrusted,
    view::{Object, Pod},
};

/// Empties the pod of an object.
pub(super) fn empty(
    (object, pod): (&Object<'_>, &Pod<'_, '_>),
    way: &EmptyingSettings,
    rules: &Rules,
    context: &Context<'_>,
    before: &OldObject<'_>,
) -> Change {
    let mut old = match object.annotation(ORIGINAL).map(Original::open) {
        Some(Ok(original)) => Some(original),
        Some(Err(why)) => return untrusted(&why),
        // An original that an update dropped is still used while the pod is emptied.
        None => before
            .emptied()
            .and_then(|old| Original::open(old.object.annotation(ORIGINAL)?).ok())
            .filter(|original| assigned::holds(original, pod)),
    };
    if let Some(original) = &mut old
        && rewritten::is_reinvoked(object, context, before)
    {
        rewritten::note(original, pod);
    }
    if old.is_none() && template::looks_emptied(pod, way) {
        // It may be a revision of the emptied form that replaces a restored one.
        let before = before.get().and_then(|before| before.object.pod());
        let lost = before.and_then(|before| rollout_undo::lost(&before, pod, Some(way)));
        let Some(lost) = lost else {
            return Change::warned(Warning::AlreadyEmpty);
        };
        let stamp = context.stamp.cloned().unwrap_or_default();
        old = Some(Original { stamp, annotations: object.annotations_presence(), ..lost });
    }
    // Only previously emptied fields can have newer values.
    let is_emptied = object.annotation(ORIGINAL).is_some();
    let newer = is_emptied.then(|| before.get()).flatten();
    let newer = Newer::compare(newer.map(|old| &old.object), object, old.as_ref());
    let mut patch = Patch::default();
    let agent_image = rules.agent_image.as_str();
    let spec = EmptyingSpec { way, agent_image, keeps_order: context.keeps_order };
    let mut new = match template::empty(object, pod, &spec, old.as_ref(), &newer, &mut patch) {
        Ok(Some(new)) if new.is_too_large() => {
            return refused(object, before, Warning::TooLarge);
        }
        Ok(Some(new)) => new,
        Ok(None) => return Change::none(),
        Err(warning) => return refused(object, before, warning),
    };
    let stamp = context.stamp.cloned().unwrap_or_default();
    new.newer = match &old {
        Some(old) if summary::is_newer(old, &new) => Some(stamp.clone()),
        Some(old) => old.newer.clone(),
        None => None,
    };
    let old = old.unwrap_or_else(|| Original {
        stamp,
        annotations: object.annotations_presence(),
        ..Original::default()
    });
    (new.stamp, new.annotations, new.notes) = (old.stamp, old.annotations, old.notes);
    let expiry = expiry::added(object, way, context, before);
    let requested_annotations = || context.requested_annotations.iter().chain(&expiry);
    requested_annotations().for_each(|wish| note(&mut new.notes, object, wish));
    let text = new.seal();
    let mut edits: Vec<_> =
        requested_annotations().map(|wish| (wish.key, wish.value.as_deref())).collect();
    edits.push((ORIGINAL, Some(&text)));
    if !annotate(&mut patch, object, &edits, new.annotations) {
        return refused(object, before, Warning::TooLarge);
    }
    Change { patch: patch.finish(), warnings: Vec::new() }
}

/// Restores the pod, and the annotations that emptying changed but those of `kept`; `set` is one more.
pub(super) fn restore(
    (object, pod): (&Object<'_>, &Pod<'_, '_>),
    original: &Original,
    old: Option<&Object<'_>>,
    kept: &[&str],
    set: Option<(&str, Option<&str>)>,
) -> Patch {
    let newer = Newer::compare(old, object, Some(original));
    let mut patch = Patch::default();
    template::restore(object, pod, original, &newer, &mut patch);
    let mut edits: Vec<(&str, Option<&str>)> = vec![(ORIGINAL, None)];
    for note in original.notes.iter().filter(|note| !kept.contains(&note.key.as_str())) {
        let now = object.annotation(&note.key);
        let meant = if now == note.set.as_deref() { note.was.as_deref() } else { now };
        edits.push((&note.key, meant));
    }
    edits.extend(set);
    annotate(&mut patch, object, &edits, original.annotations);
    patch
}

/// Leaves the pod as it is, with a warning. If it was already empty, fields set by this update now
/// belong to the user: restoring must not bring back fields that the user removed.
///
/// If the update took the command of a stand-in, it is restored: the image's own command runs again.
/// The annotations that asked for a stand-in stay, so that nothing empties it otherwise.
pub(super) fn refused(object: &Object<'_>, before: &OldObject<'_>, warning: Warning) -> Change {
    let is_command_gone = matches!(warning, Warning::NoStandInCommand(_));
    let mut change = Change::warned(warning);
    let original = object.annotation(ORIGINAL).and_then(|text| Original::open(text).ok());
    let (Some(mut original), Some(old)) = (original, before.get()) else { return change };
    if is_command_gone
        && original.has_stand_in()
        && let Some(pod) = object.pod()
    {
        let (old, kept) = (Some(&old.object), [STAND_IN, STAND_IN_COMMAND]);
        let patch = restore((object, &pod), &original, old, &kept, None);
        change.patch = patch.finish();
        return change;
    }
    let newer = Newer::compare(Some(&old.object), object, None);
    let pod = object.pod();
    for emptied in &mut original.containers {
        let containers = pod.as_ref().map_or(&[][..], |pod| pod.containers());
        let container = containers.iter().find(|container| container.name() == emptied.name);
        let now = |field: &str| container.and_then(|container| container.field(field));
        let at = At::Container(&emptied.name);
        let stays = |saved: &Saved| !newer.speaks_of(at, saved) || saved.is_mixed(now(saved.field));
        emptied.saved.retain(stays);
    }
    let now = |field: &str| pod.as_ref().and_then(|pod| pod.field(field));
    original
        .pod
        .retain(|saved| !newer.speaks_of(At::Pod, saved) || saved.is_mixed(now(saved.field)));
    original.spec.retain(|saved| !newer.speaks_of(At::Spec, saved));
    let text = original.seal();
    if object.annotation(ORIGINAL) != Some(&text) {
        let mut patch = Patch::default();
        annotate(&mut patch, object, &[(ORIGINAL, Some(&text))], original.annotations);
        change.patch = patch.finish();
    }
    change
}
