//! One field with three values: the current one, the user's last intended one, and the emptied one.

use jsonptr::PointerBuf;

use super::{
    emptied_fields::{At, EmptiedValue, IMAGE, same, with_pull_secrets},
    newer::Newer,
    original::Saved,
    patch::Patch,
    ready, reference,
};

/// A field as it is.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) field: &'static str,
    /// Its JSON text; `None` if it is absent.
    pub(super) text: Option<&'a str>,
    /// Its index among the members, if that is kept.
    pub(super) number: Option<usize>,
}

/// Sets a field to its new value, and returns what to save of it.
pub(super) struct Field<'p, 'o> {
    pub(super) patch: &'p mut Patch,
    pub(super) newer: &'p Newer<'o>,
    /// The container's ports, as JSON text.
    pub(super) ports: Option<&'p str>,
}

impl Field<'_, '_> {
    /// `saved`: the saved value of this field; `None` if it was not empty before.
    pub(super) fn settle(
        &mut self,
        (at, place): (&PointerBuf, At<'_>),
        now: Now<'_>,
        saved: Option<&[Saved]>,
        target: EmptiedValue,
    ) -> Option<Saved> {
        let Now { field, text, number } = now;
        let was_empty = saved.is_some();
        let saved = saved.and_then(|all| all.iter().find(|saved| saved.field == field));
        let meant = match saved {
            // A form of the empty image is never the user's intended image.
            Some(saved) if !self.newer.speaks_of(place, saved) || saved.is_rewritten(text) => {
                saved.meant(text)
            }
            _ => text,
        };
        let before = saved.map(|saved| saved.number);
        let set = match target {
            EmptiedValue::Leave => {
                self.make(at, now, meant, before.flatten());
                return None;
            }
            EmptiedValue::Set(set) => set,
            EmptiedValue::PullSecrets(names) => with_pull_secrets(meant, &names),
            EmptiedValue::AgentProbe(idle) => Some(ready::probe(idle, meant, self.ports)),
        };
        // Another admission plugin's form of the empty image is kept, unless another image is
        // wanted.
        let is_form = field == IMAGE
            && was_empty
            && reference::is_form(text, set.as_deref(), saved.and_then(|s| s.was.as_deref()));
        let is_rewritten = (is_form || saved.is_some_and(|saved| saved.is_rewritten(text)))
            && saved.is_none_or(|saved| same(saved.set.as_deref(), set.as_deref()));
        if !is_rewritten {
            self.make(at, now, set.as_deref(), before.flatten());
        }
        let unchanged = (is_rewritten && saved.is_none()) || same(meant, set.as_deref());
        (!unchanged).then(|| {
            let applied = self.newer.otherwise(place, field, set.as_deref());
            let number = before.unwrap_or_else(|| number.filter(|_| set.is_none()));
            let rewritten = saved.and_then(|saved| saved.rewritten.clone());
            let rewritten = rewritten.filter(|_| is_rewritten && !is_form);
            Saved { field, was: meant.map(ToOwned::to_owned), set, applied, number, rewritten }
        })
    }

    fn make(&mut self, at: &PointerBuf, now: Now<'_>, to: Option<&str>, number: Option<usize>) {
        if !same(now.text, to) {
            self.patch.put_at(&at.with_trailing_token(now.field), now.text.is_some(), to, number);
        }
    }
}
