//! One field with three values: the current one, the user's last intended one, and the emptied one.

use jsonptr::PointerBuf;

use super::{
    emptied_fields::{At, EmptiedValue, IMAGE, same, stand_in, with_pull_secrets, words},
    merge,
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
    /// The user's own values of other fields, for a container with a stand-in.
    pub(super) own: Own<'p>,
}

/// The user's own values of some fields of a container, as JSON text.
#[derive(Clone, Copy, Default)]
pub(super) struct Own<'a> {
    pub(super) command: Option<&'a str>,
    pub(super) startup: Option<&'a str>,
}

impl Field<'_, '_> {
    /// The user's last intended value. `saved`: the saved values of the container or pod.
    pub(super) fn meant<'a>(
        &self,
        place: At<'_>,
        now: Now<'a>,
        saved: Option<&'a [Saved]>,
    ) -> Option<&'a str> {
        match saved.and_then(|all| all.iter().find(|saved| saved.field == now.field)) {
            // A form of the empty image is never the user's intended image.
            Some(saved) if !self.newer.speaks_of(place, saved) || saved.is_rewritten(now.text) => {
                saved.meant(now.text)
            }
            _ => now.text,
        }
    }

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
        let meant = self.meant(place, now, saved);
        let saved = saved.and_then(|all| all.iter().find(|saved| saved.field == field));
        let rest;
        let meant = match saved {
            Some(saved) if saved.is_mixed(text) => {
                rest = merge::unmerged(text, saved.was.as_deref(), saved.set.as_deref());
                rest.as_deref()
            }
            _ => meant,
        };
        let before = saved.map(|saved| saved.number);
        let stays = match target {
            EmptiedValue::Leave => true,
            EmptiedValue::AliveProbe => meant.is_none_or(|text| text == "null"),
            EmptiedValue::StandInArgs => words(self.own.command).is_some(),
            _ => false,
        };
        if stays {
            self.make(at, now, meant, before.flatten());
            return None;
        }
        let set = match target {
            EmptiedValue::Leave => return None,
            EmptiedValue::Set(set) => set,
            EmptiedValue::Merge(ours) => merge::merged(meant, &ours),
            EmptiedValue::PullSecrets(names) => with_pull_secrets(meant, &names),
            EmptiedValue::AgentProbe(idle) => Some(ready::probe(idle, meant, self.ports)),
            EmptiedValue::AliveProbe if field == "startupProbe" => {
                Some(ready::startup(meant, self.ports))
            }
            EmptiedValue::AliveProbe => Some(ready::liveness(meant, self.own.startup, self.ports)),
            EmptiedValue::StandIn(given) => {
                words(meant).or(given).map(|command| stand_in(&command))
            }
            EmptiedValue::StandInArgs => None,
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
