//! The original: what emptying changed, as the text it was, in one annotation.
//!
//! `{"v":1,"sum":"<16 hex digits of SHA-256 of body's text>","body":{…}}`. The checksum finds an
//! annotation that was cut or edited; it is no signature. What limits a forged one is that only
//! the fields of [`FIELDS`] are ever read from it.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The format's version.
const VERSION: u32 = 1;

/// The fields that emptying changes, and so the only ones that restoring may set.
const FIELDS: [&str; 9] = [
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "terminationGracePeriodSeconds",
];

/// A field as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saved(&'static str, Option<String>);

impl Saved {
    /// `was`: JSON text, `None` where the field was absent.
    pub(super) fn new(field: &'static str, was: Option<&str>) -> Self {
        Self(field, was.map(ToOwned::to_owned))
    }

    pub(super) fn name(&self) -> &'static str {
        self.0
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.1.as_deref()
    }
}

/// How a map or list was before we put something into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Presence {
    /// A map, maybe an empty one.
    #[default]
    Present,
    /// Not there.
    Absent,
    /// `null`
    Null,
}

/// Everything that restoring needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Original {
    /// The image that the containers were emptied to, as JSON text.
    pub(super) image: String,
    pub(super) annotations: Presence,
    /// Index, name, and the fields that changed.
    pub(super) containers: Vec<(usize, String, Vec<Saved>)>,
    pub(super) pod: Vec<Saved>,
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
    image: Box<RawValue>,
    annotations: Presence,
    containers: Vec<ContainerBody>,
    pod: Fields,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContainerBody {
    index: usize,
    name: String,
    fields: Fields,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    was: BTreeMap<String, Box<RawValue>>,
    absent: Vec<String>,
}

impl Fields {
    fn pack(saved: &[Saved]) -> Self {
        let mut fields = Self::default();
        for Saved(name, was) in saved {
            match was.clone().map(RawValue::from_string) {
                Some(Ok(raw)) => drop(fields.was.insert((*name).to_owned(), raw)),
                _ => fields.absent.push((*name).to_owned()),
            }
        }
        fields
    }

    fn unpack(self) -> Result<Vec<Saved>, String> {
        let known = |name: &str| {
            let found = FIELDS.into_iter().find(|f| *f == name);
            found.ok_or_else(|| "it holds a field that emptying never changes".to_owned())
        };
        let was = self.was.iter().map(|(n, raw)| Ok(Saved(known(n)?, Some(raw.get().to_owned()))));
        let absent = self.absent.iter().map(|n| Ok(Saved(known(n)?, None)));
        was.chain(absent).collect()
    }
}

impl Original {
    /// The annotation's value.
    pub(super) fn seal(&self) -> String {
        let container = |(index, name, saved): &(usize, String, Vec<Saved>)| ContainerBody {
            index: *index,
            name: name.clone(),
            fields: Fields::pack(saved),
        };
        let image = RawValue::from_string(self.image.clone());
        let body = Body {
            image: image.unwrap_or_else(|_| RawValue::NULL.to_owned()),
            annotations: self.annotations,
            containers: self.containers.iter().map(container).collect(),
            pod: Fields::pack(&self.pod),
        };
        seal(&body)
    }

    /// Reads an annotation's value; the error says in a few words why it is not trusted.
    pub(super) fn open(text: &str) -> Result<Self, String> {
        let body: Body = open(text)?;
        let containers = body.containers.into_iter();
        Ok(Self {
            image: body.image.get().to_owned(),
            annotations: body.annotations,
            containers: containers
                .map(|c| Ok((c.index, c.name, c.fields.unpack()?)))
                .collect::<Result<_, String>>()?,
            pod: body.pod.unpack()?,
        })
    }
}

/// The annotation's value for `body`.
pub(super) fn seal(body: &impl Serialize) -> String {
    // Structs with string keys and raw JSON: serialising them has no way to fail.
    let body = serde_json::to_string(body).unwrap_or_default();
    format!("{{\"v\":{VERSION},\"sum\":\"{}\",\"body\":{body}}}", checksum(&body))
}

/// Reads what [`seal`] wrote; the error says in a few words why it is not trusted.
pub(super) fn open<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let sealed: Sealed<'_> =
        serde_json::from_str(text).map_err(|_| "it is cut or not diyadm's".to_owned())?;
    if sealed.v != VERSION {
        return Err(format!("it has format {}, this diyadm reads {VERSION}", sealed.v));
    }
    if sealed.sum != checksum(sealed.body.get()) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_str(sealed.body.get())
        .map_err(|_| "it holds what diyadm never writes".to_owned())
}

fn checksum(text: &str) -> String {
    openssl::sha::sha256(text.as_bytes())[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
