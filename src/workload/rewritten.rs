//! Images with other names that another admission plugin has substituted for the empty image:
//! detected in the write that empties a workload, and saved in its original.

use super::{
    Change, Context, ORIGINAL, Subject,
    annotation_edits::annotate,
    assigned,
    emptied_fields::IMAGE,
    old_object::OldObject,
    original::{Emptied, Original},
    patch::Patch,
    reference,
    view::{Object, Pod},
};

impl Subject<'_> {
    /// Saves another admission plugin's form of the empty image in the original; for the answer to
    /// the emptying write. `None` if the image is unchanged.
    pub fn note_rewritten(&self) -> Option<Change> {
        let mut original = Original::open(self.object.annotation(ORIGINAL)?).ok()?;
        if !note(&mut original, &self.object.pod()?) {
            return None;
        }
        let mut patch = Patch::default();
        let text = original.seal();
        annotate(&mut patch, &self.object, &[(ORIGINAL, Some(&text))], original.annotations)
            .then(|| Change { patch: patch.finish(), warnings: Vec::new() })
    }
}

/// Whether this request emptied the object: differences were set by another admission plugin.
pub(super) fn is_reinvoked(
    object: &Object<'_>,
    context: &Context<'_>,
    before: &OldObject<'_>,
) -> bool {
    let original = object.annotation(ORIGINAL);
    let of_old = || before.get().is_some_and(|old| old.object.annotation(ORIGINAL) != original);
    original.is_some() && (context.created || of_old())
}

/// Saves each image that another admission plugin has substituted for the empty one: everything
/// else in the container is as emptying set it, and the image is not the application's. Returns
/// whether there is one.
pub(super) fn note(original: &mut Original, pod: &Pod<'_, '_>) -> bool {
    let rewritten = |(at, emptied): (usize, Option<&Emptied>)| {
        let emptied = emptied?;
        let container = &pod.containers()[at];
        let now = container.field(IMAGE);
        let (image, others): (Vec<_>, Vec<_>) =
            emptied.saved.iter().partition(|saved| saved.field == IMAGE);
        let image = image.first()?;
        let is_idle = others.iter().all(|saved| {
            saved.field == "imagePullPolicy" || saved.stands(container.field(saved.field))
        });
        let is_other =
            !image.stands(now) && !reference::is_of_application(now, image.was.as_deref());
        let place = original.containers.iter().position(|one| std::ptr::eq(one, emptied))?;
        Some((place, now?.to_owned())).filter(|_| is_idle && is_other)
    };
    let found: Vec<_> =
        assigned::assign(original, pod).into_iter().enumerate().filter_map(rewritten).collect();
    for (place, image) in &found {
        let saved = &mut original.containers[*place].saved;
        for saved in saved.iter_mut().filter(|saved| saved.field == IMAGE) {
            saved.rewritten = Some(image.clone());
        }
    }
    !found.is_empty()
}
