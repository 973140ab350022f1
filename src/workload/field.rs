//! One field of three values: what it is now, what the user last meant it to be, and the emptied one.

use jsonptr::PointerBuf;

use super::{
    emptied_fields::{At, IMAGE, Target, same},
    newer::Newer,
    original::Saved,
    patch::Patch,
    ready, reference,
};

/// A field as it is.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) field: &'static str,
    /// Its JSON text; `None` where it is absent.
    pub(super) text: Option<&'a str>,
    /// How many members come before it, where that is to be kept.
    pub(super) number: Option<usize>,
}

/// Makes a field what it should be, and says what to save of it.
pub(super) struct Field<'p, 'o> {
    pub(super) patch: &'p mut Patch,
    pub(super) newer: &'p Newer<'o>,
    /// The ports of the container that is looked at, as JSON text.
    pub(super) ports: Option<&'p str>,
}

impl Field<'_, '_> {
    /// `saved`: what is saved of this place; `None` where it was not empty before.
    pub(super) fn settle(
        &mut self,
        (at, place): (&PointerBuf, At<'_>),
        now: Now<'_>,
        saved: Option<&[Saved]>,
        target: Target,
    ) -> Option<Saved> {
        let Now { field, text, number } = now;
        let was_empty = saved.is_some();
        let saved = saved.and_then(|all| all.iter().find(|saved| saved.field == field));
        let meant = match saved {
            // No form of the empty image is what the user means, whoever says so.
            Some(saved) if !self.newer.speaks_of(place, saved) || saved.is_rewritten(text) => {
                saved.meant(text)
            }
            _ => text,
        };
        let before = saved.map(|saved| saved.number);
        let set = match target {
            Target::Leave => {
                self.make(at, now, meant, before.flatten());
                return None;
            }
            Target::Set(set) => set,
            Target::AgentProbe(idle) => Some(ready::probe(idle, meant, self.ports)),
        };
        // What another admission plugin has made of the empty image is left to it, unless another
        // image is wanted by now.
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
