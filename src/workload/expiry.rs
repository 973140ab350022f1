//! Until when a workload stays empty: a time of the API server's clock, in an annotation. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{
    Change, Context, EmptyingSettings, RequestedAnnotation, Stamp, Subject, Warning,
    annotation_edits::{annotate, note},
    annotations::{EXPIRES, ORIGINAL},
    old_object::OldObject,
    original::Original,
    patch::Patch,
    untrusted,
    view::Object,
};

/// The value of [`EXPIRES`] for a workload that stays empty for `time` from `now` on.
pub fn expiry(now: Timestamp, time: SignedDuration) -> String {
    format!("{:.0}", now.checked_add(time).unwrap_or(Timestamp::MAX))
}

/// The annotation that emptying adds by itself: the time of a rule where the workload was not empty
/// before, and the known one where an update dropped everything that emptying had set.
pub(super) fn added(
    object: &Object<'_>,
    way: &EmptyingSettings,
    context: &Context<'_>,
    before: &OldObject<'_>,
) -> Option<RequestedAnnotation> {
    let asked = context.requested_annotations.iter().any(|one| one.key == EXPIRES);
    let mutable = object.workload().is_some_and(|kind| kind.mutable);
    if asked || !mutable || object.annotation(EXPIRES).is_some() {
        return None;
    }
    let value = match before.emptied().filter(|old| old.is_emptied()) {
        Some(_) if object.annotation(ORIGINAL).is_some() => None,
        Some(old) => old.object.annotation(EXPIRES).map(ToOwned::to_owned),
        // It is created empty.
        None if before.get().is_none() && object.annotation(ORIGINAL).is_some() => None,
        None => way.time.and_then(|time| from_stamp(context.stamp?, time)),
    };
    value.map(|value| RequestedAnnotation { key: EXPIRES, value: Some(value), forget: false })
}

fn from_stamp(stamp: &Stamp, time: SignedDuration) -> Option<String> {
    Some(expiry(stamp.at.parse().ok()?, time))
}

impl Subject<'_> {
    /// Until when it stays empty, as it is written; `None` without an end, and if it is not empty.
    pub fn expires(&self) -> Option<&str> {
        self.object.annotation(EXPIRES).filter(|_| self.is_emptied())
    }

    /// Whether it has expired; `None` without an end.
    ///
    /// # Errors
    /// The annotation's value, which is not a time.
    pub fn has_expired(&self, now: Timestamp) -> Option<Result<bool, String>> {
        let text = self.expires()?;
        Some(text.parse().map(|until: Timestamp| until <= now).map_err(|_| text.to_owned()))
    }

    /// Changes until when it stays empty, and nothing else.
    pub fn extend(&self, until: &str) -> Change {
        let Some(text) = self.object.annotation(ORIGINAL) else { return Change::none() };
        let mut original = match Original::open(text) {
            Ok(original) => original,
            Err(why) => return untrusted(&why),
        };
        let requested =
            RequestedAnnotation { key: EXPIRES, value: Some(until.to_owned()), forget: false };
        note(&mut original.notes, &self.object, &requested);
        let text = original.seal();
        let edits = [(EXPIRES, Some(until)), (ORIGINAL, Some(text.as_str()))];
        let mut patch = Patch::default();
        if !annotate(&mut patch, &self.object, &edits, original.annotations) {
            return Change::warned(Warning::TooLarge);
        }
        Change { patch: patch.finish(), warnings: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::{Rules, parse_rules, restore};

    const NOW: &str = "2026-11-30T21:00:00Z";
    const END: &str = "2026-12-01T05:00:00Z";

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
            "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } } },
        })
    }

    fn played(object: &Value, change: &Change) -> Value {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    /// What the rules make of an update.
    fn emptied(object: &Value, old: Option<&Value>) -> Value {
        let list = parse_rules("rules:\n- for: 8h\n").unwrap();
        let rules = Rules { list, ..Rules::default() };
        let stamp = Stamp { at: NOW.to_owned(), by: "ann".to_owned() };
        let old = old.map(Value::to_string);
        let old = old.as_deref();
        let context = Context { stamp: Some(&stamp), old, ..Context::default() };
        let text = object.to_string();
        played(object, &Subject::parse(&text).unwrap().empty(&rules, &context))
    }

    fn end(object: &Value) -> &Value {
        &object["metadata"]["annotations"][EXPIRES]
    }

    #[test]
    fn rule_sets_an_end_once_and_an_update_keeps_it() {
        let live = deployment();
        let empty = emptied(&live, None);
        assert_eq!(end(&empty), END);
        // Its user, or an applied manifest, may take the end away.
        let mut endless = empty.clone();
        endless["metadata"]["annotations"].as_object_mut().unwrap().remove(EXPIRES);
        assert_eq!(end(&emptied(&endless, Some(&empty))), &Value::Null);
        // `kubectl replace` takes everything away.
        let mut later = empty.clone();
        later["metadata"]["annotations"][EXPIRES] = "2027-01-01T00:00:00Z".into();
        assert_eq!(end(&emptied(&live, Some(&later))), "2027-01-01T00:00:00Z");
        // A client has emptied it, without an end.
        assert_eq!(end(&emptied(&endless, Some(&live))), END);
        // A Pod cannot be restored in place.
        let spec = &live["spec"]["template"]["spec"];
        let meta = json!({ "name": "web", "annotations": {} });
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec });
        let pod = emptied(&pod, None);
        assert!(pod["metadata"]["annotations"][ORIGINAL].is_string());
        assert_eq!(end(&pod), &Value::Null);
    }

    #[test]
    fn extending_changes_only_the_end_and_restoring_removes_it() {
        let mut live = deployment();
        live["metadata"]["annotations"] = json!({ "a": "b" });
        let bare = |mut object: Value| {
            let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.retain(|key, _| key != ORIGINAL && key != EXPIRES);
            object
        };
        for empty in [emptied(&live, None), emptied(&live, Some(&live))] {
            for until in ["2027-01-01T00:00:00Z", END, "2028-01-01T00:00:00Z"] {
                let text = empty.to_string();
                let extended = played(&empty, &Subject::parse(&text).unwrap().extend(until));
                assert_eq!(end(&extended), until);
                assert_eq!(played(&extended, &restore(&extended.to_string())), live);
                assert_eq!(bare(extended), bare(empty.clone()));
            }
        }
        assert!(Subject::parse(&live.to_string()).unwrap().extend(END).is_empty());
    }

    #[test]
    fn workload_has_expired_from_its_end_on() {
        let expired = |value: &str, now: &str| {
            let mut empty = emptied(&deployment(), None);
            empty["metadata"]["annotations"][EXPIRES] = value.into();
            Subject::parse(&empty.to_string()).unwrap().has_expired(now.parse().unwrap())
        };
        assert_eq!(expired(END, NOW), Some(Ok(false)));
        assert_eq!(expired(END, END), Some(Ok(true)));
        assert_eq!(expired("2026-11-30T23:00:00+02:00", NOW), Some(Ok(true)));
        assert_eq!(expired("soon", NOW), Some(Err("soon".to_owned())));
        let live = deployment().to_string();
        assert_eq!(Subject::parse(&live).unwrap().has_expired(NOW.parse().unwrap()), None);
    }
}
