//! What an update says of a field beside the field's own value.
//!
//! A field that has the emptied form may be one that nobody touched, or one that the user has just
//! set to that, or taken away while it was away. Two records tell them apart: kubectl's
//! last-applied-configuration, and the fields that a server-side applier owns. Where no webhook saw
//! the update, only kubectl's tells: the original notes what it said when the workload was emptied,
//! and a container that runs what the record says by now shows that it was applied since.

use std::cell::OnceCell;

use memchr::memmem;
use serde_json::Value;

use super::{
    ORIGINAL, Subject,
    original::{Original, Saved, same},
    template,
    view::Object,
};

/// kubectl's record of a client-side apply.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An update's records, before and after.
pub(super) struct Newer<'o> {
    /// kubectl's record as it is now, and what it says.
    record: Option<&'o str>,
    read: OnceCell<Option<Subject<'o>>>,
    /// Whether that record is of an update that nobody saw.
    unseen: bool,
    /// The whole object as the user wrote it, where that differs.
    applied: Option<Pair>,
    /// `fieldsV1` of each server-side applier that was there before.
    owned: Vec<Pair>,
    /// From the object to the pod's spec.
    pod: &'static [&'static str],
}

/// What a record says of a field, beside a value that it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// That value.
    So,
    Otherwise,
    /// It does not name the field, and the value is another than none.
    Nothing,
}

/// Whether it is the empty form that was applied: what it says is not the user's word.
fn is_ours(record: &str) -> bool {
    memmem::find(record.as_bytes(), ORIGINAL.as_bytes()).is_some()
}

/// Before and after.
type Pair = (Value, Value);

/// Where a field is.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// In the container of this name.
    Container(&'a str),
    /// In the pod's spec.
    Pod,
    /// In the workload's own spec.
    Spec,
}

impl<'o> Newer<'o> {
    /// Reads the records where they differ; `old` is the object before the update, where that was
    /// seen and was empty, `original` what is saved of it.
    pub(super) fn of(
        old: Option<&Object<'_>>,
        new: &'o Object<'_>,
        original: Option<&Original>,
    ) -> Self {
        let pod = new.workload().map_or(&[][..], |kind| kind.pod);
        let (applied, owned) = old.map_or_else(Default::default, |old| Self::compare(old, new));
        let record = new.annotation(LAST_APPLIED).filter(|record| !is_ours(record));
        let mut newer = Self { record, read: OnceCell::new(), unseen: false, applied, owned, pod };
        newer.unseen = old.is_none()
            && original.zip(new.pod()).is_some_and(|(original, pod)| {
                template::runs_anew(original, &pod, |name, field, now| {
                    newer.says(At::Container(name), field, Some(now)) == Some(Said::So)
                })
            });
        newer
    }

    fn compare(old: &Object<'_>, new: &Object<'_>) -> (Option<Pair>, Vec<Pair>) {
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let (before, after) = (old.annotation(LAST_APPLIED), new.annotation(LAST_APPLIED));
        let applied = match (before, after) {
            (Some(before), Some(after))
                if before != after && ![before, after].into_iter().any(is_ours) =>
            {
                read(before).zip(read(after))
            }
            _ => None,
        };
        let appliers = |object: &Object<'_>| {
            let entries = object.managed_fields().and_then(read);
            let mut entries = match entries {
                Some(Value::Array(entries)) => entries,
                _ => Vec::new(),
            };
            entries.retain(|entry| entry["operation"] == "Apply");
            entries
        };
        // A client that empties it in another way writes the original too, and takes fields from
        // their owners until it has given them back: that is not their word.
        let is_ours = old.annotation(ORIGINAL) != new.annotation(ORIGINAL);
        let owned = if is_ours || old.managed_fields() == new.managed_fields() {
            Vec::new()
        } else {
            let mut after = appliers(new);
            let mut pair = |mut before: Value| {
                let same = |entry: &Value| entry["manager"] == before["manager"];
                // An applier that owns nothing any more has no entry.
                let found = after.iter().position(same).map(|at| after.swap_remove(at));
                let fields = |entry: &mut Value| entry["fieldsV1"].take();
                (fields(&mut before), found.map_or(Value::Null, |mut entry| fields(&mut entry)))
            };
            appliers(old).into_iter().map(&mut pair).collect()
        };
        (applied, owned)
    }

    /// What the record says where it does not say `set`: [`Saved::applied`].
    pub(super) fn otherwise(&self, at: At<'_>, field: &str, set: Option<&str>) -> Option<bool> {
        match self.says(at, field, set)? {
            Said::So => None,
            Said::Otherwise => Some(true),
            Said::Nothing => Some(false),
        }
    }

    /// Whether the user's own word about the field has changed, so that its value counts even
    /// where it is the emptied one.
    pub(super) fn speaks_of(&self, at: At<'_>, saved: &Saved) -> bool {
        let field = saved.field;
        if self.unseen
            && let Some(named) = saved.applied
        {
            let said = self.says(at, field, saved.set.as_deref());
            return said == Some(Said::So) || (named && said == Some(Said::Nothing));
        }
        let applied = self.applied.as_ref().is_some_and(|(before, after)| {
            self.value(before, at, field) != self.value(after, at, field)
        });
        applied
            || self
                .owned
                .iter()
                .any(|(before, after)| self.owns(before, at, field) && !self.owns(after, at, field))
    }

    /// What kubectl's record says of the field, beside `set`; `None` where it is silent of its
    /// place.
    fn says(&self, at: At<'_>, field: &str, set: Option<&str>) -> Option<Said> {
        let read = || Subject::parse(self.record?);
        let object = &self.read.get_or_init(read).as_ref()?.object;
        let said = match at {
            At::Spec => object.field(field),
            At::Pod => object.pod()?.field(field),
            At::Container(name) => {
                let pod = object.pod()?;
                pod.containers().iter().find(|one| one.name() == name)?.field(field)
            }
        };
        Some(match said {
            _ if same(said, set) => Said::So,
            Some(_) => Said::Otherwise,
            None => Said::Nothing,
        })
    }

    fn value<'v>(&self, object: &'v Value, at: At<'_>, field: &str) -> Option<&'v Value> {
        let pod = || self.pod.iter().try_fold(object, |value, step| value.get(step));
        let parent = match at {
            At::Spec => object.get("spec"),
            At::Pod => pod(),
            At::Container(name) => {
                let containers = pod().and_then(|pod| pod["containers"].as_array());
                containers.and_then(|all| all.iter().find(|c| c["name"] == name))
            }
        };
        parent?.get(field)
    }

    fn owns(&self, fields: &Value, at: At<'_>, field: &str) -> bool {
        fn step<'v>(value: Option<&'v Value>, key: &str) -> Option<&'v Value> {
            value?.get(format!("f:{key}"))
        }
        let pod = || self.pod.iter().try_fold(fields, |value, key| step(Some(value), key));
        let parent = match at {
            At::Spec => step(Some(fields), "spec"),
            At::Pod => pod(),
            At::Container(name) => {
                let key = format!("k:{}", serde_json::json!({ "name": name }));
                step(pod(), "containers").and_then(|containers| containers.get(key))
            }
        };
        step(parent, field).is_some()
    }
}
