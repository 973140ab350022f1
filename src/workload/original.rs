//! The original: the previous texts of the fields that emptying changed, in one annotation.
//!
//! `{"v":1,"sum":"<16 hex digits of SHA-256 of body's text>","body":{…}}`. The checksum detects a
//! truncated or edited annotation; it is not a signature. A forged original is limited: it can only
//! change fields that emptying changes at that place and that still have their emptied values, or
//! parts of one, and list elements with diyadm's own names.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    annotations::REQUESTABLE_ANNOTATIONS,
    checksum::checksum,
    emptied_fields::{CONTAINER_FIELDS, IMAGE, POD_FIELDS, SPEC_FIELDS, is_stand_in, makes, same},
    members::{ANNOTATIONS_LIMIT, Presence},
    reference,
    shape::{self, SHAPED_IN_CONTAINER, SHAPED_IN_POD},
};

/// The format's version. Values that emptying has ever set stay known to [`makes`], or this is
/// increased.
const VERSION: u32 = 1;

/// A field: its previous and its emptied value. JSON texts; `None` is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) field: &'static str,
    pub(super) was: Option<String>,
    pub(super) set: Option<String>,
    /// If kubectl's record did not say `set` then: whether it named the field at all.
    pub(super) applied: Option<bool>,
    /// For a field that emptying removes from a file: its index among the members.
    pub(super) number: Option<usize>,
    /// For an image: the form that another admission plugin made of `set`, if its name does not
    /// show that.
    pub(super) rewritten: Option<String>,
}

impl Saved {
    /// The user's last intended value: the saved one while the field has its emptied value, else
    /// the value of a newer update.
    pub(super) fn meant<'a>(&'a self, now: Option<&'a str>) -> Option<&'a str> {
        if self.stands(now) { self.was.as_deref() } else { now }
    }

    /// Whether the field has a newer value, which may still have parts of the emptied one.
    pub(super) fn is_mixed(&self, now: Option<&str>) -> bool {
        self.set.is_some() && shape::is_merged(self.field) && !self.stands(now)
    }

    /// Whether the field has its emptied value, or another admission plugin's form of it.
    pub(super) fn stands(&self, now: Option<&str>) -> bool {
        same(now, self.set.as_deref()) || self.is_rewritten(now)
    }

    /// Whether it is the empty image in another admission plugin's form.
    pub(super) fn is_rewritten(&self, now: Option<&str>) -> bool {
        self.field == IMAGE
            && (reference::is_form(now, self.set.as_deref(), self.was.as_deref())
                || reference::share_repository(now, self.rewritten.as_deref()))
    }
}

/// When something was first emptied, and by whom. Empty if unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `2026-11-24T22:05:35Z`
    pub at: String,
    /// The user's name from the API server.
    pub by: String,
}

/// A container that was emptied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Emptied {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) saved: Vec<Saved>,
    /// The state of its volumeMounts, if a mount was added.
    pub(super) mounts: Option<Presence>,
}

/// The state of the lists where the agent's init container and volume were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Added {
    pub(super) init_containers: Presence,
    pub(super) volumes: Presence,
}

/// An annotation that a client changed together with emptying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    pub(super) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) set: Option<String>,
}

/// Everything that restoring needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) stamp: Stamp,
    /// The update that brought a newer original, if any.
    pub(super) newer: Option<Stamp>,
    pub(super) annotations: Presence,
    pub(super) notes: Vec<Note>,
    pub(super) containers: Vec<Emptied>,
    /// Fields of the pod's spec.
    pub(super) pod: Vec<Saved>,
    /// Fields of the workload's own spec.
    pub(super) spec: Vec<Saved>,
    pub(super) added: Option<Added>,
    /// The state of the volumes, if some for caches were added.
    pub(super) caches: Option<Presence>,
}

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    v: u32,
    #[serde(borrow)]
    sum: Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    at: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newer: Option<Stamp>,
    annotations: Presence,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
    containers: Vec<ContainerBody>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pod: OriginalFields,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spec: OriginalFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    caches: Option<Presence>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContainerBody {
    index: usize,
    name: String,
    fields: OriginalFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mounts: Option<Presence>,
}

type OriginalFields = BTreeMap<String, Values>;

/// Absent members are absent fields; `null` is a value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    was: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    set: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rewritten: Option<Box<RawValue>>,
}

fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(d).map(Some)
}

fn pack(saved: &[Saved]) -> OriginalFields {
    let raw = |text: &Option<String>| text.clone().and_then(|t| RawValue::from_string(t).ok());
    let values = |s: &Saved| Values {
        was: raw(&s.was),
        set: raw(&s.set),
        applied: s.applied,
        number: s.number,
        rewritten: raw(&s.rewritten),
    };
    saved.iter().map(|saved| (saved.field.to_owned(), values(saved))).collect()
}

/// `own`: the fields that emptying changes at this place, always and where it is asked for.
fn unpack(fields: OriginalFields, own: [&[&'static str]; 2]) -> Result<Vec<Saved>, String> {
    let text = |raw: Option<Box<RawValue>>| raw.map(|raw| raw.get().to_owned());
    let saved =
        fields.into_iter().map(|(name, Values { was, set, applied, number, rewritten })| {
            let known = own.into_iter().flatten().find(|known| **known == name);
            let field = *known.ok_or("it contains a field that emptying never changes there")?;
            let set = text(set);
            if !makes(field, set.as_deref()) {
                return Err(format!("it contains a value of {field} that emptying never sets"));
            }
            let rewritten = text(rewritten).filter(|_| field == IMAGE);
            Ok(Saved { field, was: text(was), set, applied, number, rewritten })
        });
    saved.collect()
}

impl Original {
    /// The annotation's value.
    pub(super) fn seal(&self) -> String {
        let container = |emptied: &Emptied| ContainerBody {
            index: emptied.index,
            name: emptied.name.clone(),
            fields: pack(&emptied.saved),
            mounts: emptied.mounts,
        };
        seal(&Body {
            at: self.stamp.at.clone(),
            by: self.stamp.by.clone(),
            newer: self.newer.clone(),
            annotations: self.annotations,
            notes: self.notes.clone(),
            containers: self.containers.iter().map(container).collect(),
            pod: pack(&self.pod),
            spec: pack(&self.spec),
            added: self.added,
            caches: self.caches,
        })
    }

    /// Whether its content alone is too long for an annotation.
    pub(super) fn is_too_large(&self) -> bool {
        let fields = self.containers.iter().flat_map(|emptied| &emptied.saved);
        let was = fields.chain(&self.pod).chain(&self.spec).filter_map(|saved| saved.was.as_ref());
        was.map(String::len).sum::<usize>() > ANNOTATIONS_LIMIT
    }

    /// Whether one of its containers runs a stand-in.
    pub(super) fn has_stand_in(&self) -> bool {
        let saved = self.containers.iter().flat_map(|emptied| &emptied.saved);
        saved.filter_map(|saved| saved.set.as_deref()).any(is_stand_in)
    }

    /// Parses an annotation's value; the error is a short reason why it is not trusted.
    pub(super) fn open(text: &str) -> Result<Self, String> {
        let body: Body = open(text)?;
        let mut keys = BTreeSet::new();
        if body.notes.iter().any(|note| !REQUESTABLE_ANNOTATIONS.contains(&note.key.as_str())) {
            return Err("it contains an annotation that emptying never changes".to_owned());
        }
        if !body.notes.iter().all(|note| keys.insert(note.key.as_str())) {
            return Err("it contains an annotation twice".to_owned());
        }
        let own: [&[_]; 2] = [&CONTAINER_FIELDS, &SHAPED_IN_CONTAINER];
        let container = |ContainerBody { index, name, fields, mounts }| {
            Ok(Emptied { index, name, saved: unpack(fields, own)?, mounts })
        };
        Ok(Self {
            stamp: Stamp { at: body.at, by: body.by },
            newer: body.newer,
            annotations: body.annotations,
            notes: body.notes,
            containers: body
                .containers
                .into_iter()
                .map(container)
                .collect::<Result<_, String>>()?,
            pod: unpack(body.pod, [&POD_FIELDS, &SHAPED_IN_POD])?,
            spec: unpack(body.spec, [&SPEC_FIELDS, &[]])?,
            added: body.added,
            caches: body.caches,
        })
    }
}

/// The annotation's value for `body`.
pub(super) fn seal(body: &impl Serialize) -> String {
    // Structs with string keys and raw JSON cannot fail to serialise.
    let body = serde_json::to_string(body).unwrap_or_default();
    format!("{{\"v\":{VERSION},\"sum\":\"{}\",\"body\":{body}}}", checksum(&body))
}

/// Parses the output of [`seal`]; the error is a short reason why it is not trusted.
pub(super) fn open<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > ANNOTATIONS_LIMIT {
        return Err("it is longer than the limit of all annotations".to_owned());
    }
    let sealed: Sealed<'_> = serde_json::from_str(text)
        .map_err(|_| "it is truncated, or was not written by diyadm".to_owned())?;
    if sealed.v != VERSION {
        return Err(format!("it has format {}, this diyadm reads {VERSION}", sealed.v));
    }
    if sealed.sum != checksum(sealed.body.get()) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_str(sealed.body.get())
        .map_err(|_| "it contains values that diyadm never writes".to_owned())
}
