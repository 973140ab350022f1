//! What an update declares about a field in addition to the field's value.
//!
//! A field in the emptied form may be unchanged, or the user may have just set it to that value, or
//! removed it while it was absent. Two records distinguish these cases: kubectl's
//! last-applied-configuration, and the fields of server-side appliers. If no webhook intercepted
//! the update, only kubectl's record helps: the original saves its state at the time of emptying,
//! and a container that matches the current record was applied since.

use std::{cell::OnceCell, collections::HashMap};

use memchr::memmem;

use super::{
    ORIGINAL, Subject,
    appliers::OwnedFields,
    assigned::runs_anew,
    emptied_fields::{At, same},
    original::{Original, Saved},
    shape,
    view::Object,
};

/// kubectl's record of a client-side apply.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The records of an update, before and after it.
pub(super) struct Newer<'o> {
    /// kubectl's current record, and its content.
    record: Option<&'o str>,
    read: OnceCell<Option<Record<'o>>>,
    /// Whether that record belongs to an update that no webhook intercepted.
    unseen: bool,
    /// The whole object as the user wrote it before and after, if that differs.
    applied: Option<(Record<'o>, Record<'o>)>,
    /// Fields that server-side appliers no longer own.
    released: OwnedFields,
}

/// An object in kubectl's record.
struct Record<'o> {
    subject: Subject<'o>,
    /// The first container of each name.
    containers: HashMap<String, usize>,
}

impl<'o> Record<'o> {
    fn parse(text: &'o str) -> Option<Self> {
        let subject = Subject::parse(text)?;
        let pod = subject.object.pod();
        let containers = pod.as_ref().map_or(&[][..], |pod| pod.containers()).iter().enumerate();
        let containers = containers.rev().map(|(at, one)| (one.name().to_owned(), at)).collect();
        Some(Self { subject, containers })
    }

    /// The field's JSON text; `None` where it is absent.
    fn field(&self, at: At<'_>, field: &str) -> Option<&'o str> {
        let object = &self.subject.object;
        match at {
            At::Spec => object.field(field),
            At::Pod => object.pod()?.field(field),
            At::Container(name) => {
                object.pod()?.containers()[*self.containers.get(name)?].field(field)
            }
        }
    }

    /// Whether it has the parent of such a field.
    fn has(&self, at: At<'_>) -> bool {
        match at {
            At::Spec => true,
            At::Pod => self.subject.object.pod().is_some(),
            At::Container(name) => self.containers.contains_key(name),
        }
    }
}

/// What a record says about a field, besides a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// That value.
    So,
    Otherwise,
    /// It does not name the field, which had a value.
    Nothing,
}

/// Whether the emptied form was applied, which does not express the user's intention.
fn is_ours(record: &str) -> bool {
    memmem::find(record.as_bytes(), ORIGINAL.as_bytes()).is_some()
}

impl<'o> Newer<'o> {
    /// Parses the records if they differ; `old` is the object before the update, if it was
    /// available and empty, `original` its saved original.
    pub(super) fn compare(
        old: Option<&'o Object<'_>>,
        new: &'o Object<'_>,
        original: Option<&Original>,
    ) -> Self {
        let record = new.annotation(LAST_APPLIED).filter(|record| !is_ours(record));
        let mut newer = Self {
            record,
            read: OnceCell::new(),
            unseen: false,
            applied: old.and_then(|old| Self::applied(old, new)),
            released: old.map(|old| Self::released(old, new)).unwrap_or_default(),
        };
        newer.unseen = old.is_none()
            && original.zip(new.pod()).is_some_and(|(original, pod)| {
                runs_anew(original, &pod, |name, field, now| {
                    newer.declared(At::Container(name), field, Some(now)) == Some(Said::So)
                })
            });
        newer
    }

    fn applied(old: &'o Object<'_>, new: &'o Object<'_>) -> Option<(Record<'o>, Record<'o>)> {
        let (before, after) = (old.annotation(LAST_APPLIED)?, new.annotation(LAST_APPLIED)?);
        if before == after || [before, after].into_iter().any(is_ours) {
            return None;
        }
        Record::parse(before).zip(Record::parse(after))
    }

    fn released(old: &Object<'_>, new: &Object<'_>) -> OwnedFields {
        // A client that empties it in another mode also writes the original, and takes fields from
        // their owners until it returns them: these are not changes by the owners.
        let is_ours = old.annotation(ORIGINAL) != new.annotation(ORIGINAL);
        let (before, after) = (old.managed_fields(), new.managed_fields());
        if is_ours || before == after {
            return OwnedFields::default();
        }
        let pod = new.workload().map_or(&[][..], |kind| kind.pod);
        OwnedFields::released(before.unwrap_or_default(), after.unwrap_or_default(), pod)
    }

    /// What the record says if it does not say `set`: [`Saved::applied`].
    pub(super) fn otherwise(&self, at: At<'_>, field: &str, set: Option<&str>) -> Option<bool> {
        match self.declared(at, field, set)? {
            Said::So => None,
            Said::Otherwise => Some(true),
            Said::Nothing => Some(false),
        }
    }

    /// Whether the user has changed the declaration of the field, so that its value is used even if
    /// it is the emptied one.
    pub(super) fn speaks_of(&self, at: At<'_>, saved: &Saved) -> bool {
        let field = saved.field;
        // Where one of its two fields is dropped, the API server fills it with the other one.
        let is_refilled = shape::is_account(field);
        if self.unseen
            && let Some(named) = saved.applied
        {
            let said = self.declared(at, field, saved.set.as_deref());
            let is_dropped = named && !is_refilled && said == Some(Said::Nothing);
            return said == Some(Said::So) || is_dropped;
        }
        let applied = self.applied.as_ref().is_some_and(|(before, after)| {
            let of = |record: &Record<'o>| record.field(at, field);
            !same(of(before), of(after)) && (!is_refilled || of(after).is_some())
        });
        applied || (!is_refilled && self.released.contain(at, field))
    }

    /// What kubectl's record says about the field, besides `set`; `None` if it does not contain its
    /// parent.
    fn declared(&self, at: At<'_>, field: &str, set: Option<&str>) -> Option<Said> {
        let read = || Record::parse(self.record?);
        let record = self.read.get_or_init(read).as_ref().filter(|record| record.has(at))?;
        let said = record.field(at, field);
        Some(match said {
            _ if same(said, set) => Said::So,
            Some(_) => Said::Otherwise,
            None => Said::Nothing,
        })
    }
}
