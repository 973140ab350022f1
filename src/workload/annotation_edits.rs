//! Edits of an object's annotations.

use jsonptr::PointerBuf;

use super::{
    LABEL,
    members::{ANNOTATIONS_LIMIT, Presence},
    original::Note,
    patch::Patch,
    view::Object,
};
use crate::json;

/// An annotation that a client sets or removes together with emptying, so that the webhook does the
/// same; restoring undoes that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedAnnotation {
    /// One of [`super::REQUESTABLE_ANNOTATIONS`].
    pub key: &'static str,
    /// `None` removes it.
    pub value: Option<String>,
    /// Whether restoring need not restore its value: an opt-out that a restore has left.
    pub forget: bool,
}

/// Sets and removes annotations of the object; an empty map that did not exist `before` is removed
/// as well. Returns whether they fit the limit of all annotations.
pub(super) fn annotate(
    patch: &mut Patch,
    object: &Object<'_>,
    edits: &[(&str, Option<&str>)],
    before: Presence,
) -> bool {
    let added = edits.iter().filter_map(|(key, value)| Some(key.len() + (*value)?.len()));
    let added: usize = added.sum();
    if added > 0
        && object.annotations_size() + added > ANNOTATIONS_LIMIT
        && size(object, edits) > ANNOTATIONS_LIMIT
    {
        return false;
    }
    let stays = |key: &str| edits.iter().all(|(edited, _)| *edited != key);
    let is_empty =
        edits.iter().all(|(_, value)| value.is_none()) && !object.annotation_keys().any(stays);
    let map = PointerBuf::from_tokens(["metadata", "annotations"]);
    match (object.annotations_presence(), before) {
        (Presence::Present, Presence::Absent) if is_empty => patch.put(&map, true, None),
        (Presence::Present, Presence::Null) if is_empty => {
            patch.put(&map, true, Some("null"));
        }
        (Presence::Present, _) => {
            for (key, value) in edits {
                let now = object.annotation(key);
                if now != *value {
                    patch.put(
                        &map.with_trailing_token(*key),
                        now.is_some(),
                        value.map(text).as_deref(),
                    );
                }
            }
        }
        (_, _) if is_empty => {}
        (presence, _) => {
            let mut whole = String::new();
            for (key, value) in edits.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
                whole.push(if whole.is_empty() { '{' } else { ',' });
                json::quote(key, &mut whole);
                whole.push(':');
                json::quote(value, &mut whole);
            }
            whole.push('}');
            patch.put(&map, presence == Presence::Null, Some(&whole));
        }
    }
    true
}

/// Notes what an annotation was before, so that restoring undoes the change.
pub(super) fn note(notes: &mut Vec<Note>, object: &Object<'_>, wish: &RequestedAnnotation) {
    let RequestedAnnotation { key, value, forget } = wish;
    let now = object.annotation(key);
    let at = notes.iter().position(|note| note.key == *key);
    let old = at.map(|at| notes.remove(at));
    let was = match &old {
        _ if *forget => None,
        Some(note) if now == note.set.as_deref() => note.was.as_deref(),
        _ => now,
    };
    // A removed opt-out is saved as well: it distinguishes this from an undone restore.
    if was != value.as_deref() || (*key == LABEL && now != value.as_deref()) {
        let (was, set) = (was.map(ToOwned::to_owned), value.clone());
        notes.push(Note { key: (*key).to_owned(), was, set });
    }
}

fn text(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    json::quote(value, &mut text);
    text
}

/// Bytes of all annotations after the edits.
fn size(object: &Object<'_>, edits: &[(&str, Option<&str>)]) -> usize {
    let stays = |key: &str| edits.iter().all(|(edited, _)| *edited != key);
    let kept = object.annotations().filter(|(key, _)| stays(key));
    let new = edits.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
    kept.chain(new).map(|(key, value)| key.len() + value.len()).sum()
}
