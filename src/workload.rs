//! The heart: what emptying does to a workload, and what restoring gives back.
//!
//! Everything that changes a workload goes through [`empty`] and [`restore`]. Both look at a
//! borrowed view of the manifest's JSON text and answer with a JSON Patch; neither reads a file,
//! asks a cluster or knows what time it is.

mod applies;
mod choose;
mod original;
mod patch;
mod service;
mod template;
mod view;

use original::Presence;
use patch::{Patch, Pointer};
use view::Object;

/// What emptying does. The defaults are the blog's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Image that the chosen container gets.
    pub image: String,
    /// Namespace and name of the webhook itself, which is never emptied.
    pub own: (String, String),
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            image: "empty-container:latest".to_owned(),
            own: ("test".to_owned(), "diyadmissionwebhook".to_owned()),
        }
    }
}

/// The label of a namespace that turns emptying on, and the label or annotation of a workload
/// that turns it off.
pub const LABEL: &str = "inject-empty-container";
/// The value of [`LABEL`] that means yes. Any other, the empty one too, means no.
pub const ENABLED: &str = "enabled";
/// The annotation that keeps what emptying changed.
pub const ORIGINAL: &str = "diyadm.io/original";
/// The annotation of a workload that names the containers to empty: `a,b`, or `*` for all.
pub const CONTAINERS: &str = "diyadm.io/containers";
/// The annotation of a Service that asks for a port of this number, named `debug`.
pub const DEBUG_PORT: &str = "diyadm.io/debug-port";
/// The annotation of a Service that asks for another type.
pub const SERVICE_TYPE: &str = "diyadm.io/service-type";

/// All annotations of an object together: 256 KiB (`TotalAnnotationSizeLimitB` of
/// k8s.io/apimachinery, keys and values counted).
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// A change to an object: JSON Patch operations in order, and what the user should be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The RFC 6902 patch as JSON text: an array of operations, `[]` where nothing changes.
    pub patch: String,
    /// Sentences of at most 120 characters each, the length that the API server passes on.
    pub warnings: Vec<String>,
}

impl Change {
    /// Whether the object stays as it is.
    pub fn is_empty(&self) -> bool {
        self.patch.is_empty() || self.patch == "[]"
    }

    fn none() -> Self {
        Self { patch: "[]".to_owned(), warnings: Vec::new() }
    }

    fn warned(warning: impl Into<String>) -> Self {
        Self { warnings: vec![shorten(warning.into())], ..Self::none() }
    }
}

/// Cuts a warning to the 120 characters that the API server asks for.
fn shorten(mut warning: String) -> String {
    if let Some((at, _)) = warning.char_indices().nth(120) {
        warning.truncate(at);
    }
    warning
}

/// An object of a kind that emptying knows, or any other: read once, asked many things.
pub struct Subject<'a> {
    text: &'a str,
    object: Object<'a>,
}

impl<'a> Subject<'a> {
    /// Reads the parts of an object (JSON text) that matter here; `None` for what no API server
    /// would take for an object.
    pub fn parse(text: &'a str) -> Option<Self> {
        Some(Self { text, object: view::parse(text)? })
    }

    /// `kind`
    pub fn kind(&self) -> &str {
        self.object.kind()
    }

    /// Whether it carries an original, that is, was emptied.
    pub fn is_emptied(&self) -> bool {
        self.object.annotation(ORIGINAL).is_some()
    }

    /// Whether it says no itself: [`LABEL`] as its label or annotation with any value but
    /// [`ENABLED`].
    pub fn declines(&self) -> bool {
        says_no(&self.object)
    }

    /// See [`empty`].
    pub fn empty(&self, rules: &Rules) -> Change {
        let object = &self.object;
        if is_own(rules, object) || self.declines() {
            return Change::none();
        }
        if let Some(service) = object.service() {
            return service::open(object, &service);
        }
        match object.pod() {
            Some(pod) => template::empty(rules, object, &pod),
            None => Change::none(),
        }
    }

    /// See [`restore`].
    pub fn restore(&self) -> Change {
        let object = &self.object;
        let Some(text) = object.annotation(ORIGINAL) else { return Change::none() };
        if let Some(service) = object.service() {
            return service::close(object, &service, text);
        }
        match object.pod() {
            Some(pod) => template::restore(object, &pod, text),
            None => Change::none(),
        }
    }

    /// Whether a change applies to the object: the patch is played against its text.
    pub fn takes(&self, change: &Change) -> bool {
        change.is_empty() || applies::applies(self.text, &change.patch)
    }
}

/// Whether `object` (JSON text) carries an original, that is, was emptied.
pub fn is_emptied(object: &str) -> bool {
    Subject::parse(object).is_some_and(|subject| subject.is_emptied())
}

/// Whether `object` (JSON text) says no itself.
pub fn declines(object: &str) -> bool {
    Subject::parse(object).is_some_and(|subject| subject.declines())
}

fn says_no(object: &Object<'_>) -> bool {
    [object.annotation(LABEL), object.label(LABEL)].into_iter().flatten().any(|v| v != ENABLED)
}

/// Empties the workload whose JSON text is `object`, or opens the Service that asks for it.
///
/// One that is emptied already keeps its original, and newer values in it are saved and emptied
/// too, field by field (law 5). An object that is none of the kinds here, says no, or has no
/// container gives an empty change, with a warning where the user would expect another outcome.
pub fn empty(rules: &Rules, object: &str) -> Change {
    Subject::parse(object).map_or_else(Change::none, |subject| subject.empty(rules))
}

/// Gives back what [`empty`] took, for the object whose JSON text is `object`.
///
/// A field that no longer has the emptied form was set by a newer update and stays as it is
/// (law 5). An original that is forged, cut or foreign is not trusted: a warning, no patch.
pub fn restore(object: &str) -> Change {
    Subject::parse(object).map_or_else(Change::none, |subject| subject.restore())
}

fn untrusted(why: &str) -> Change {
    Change::warned(format!("diyadm: {ORIGINAL} is not trusted: {why}"))
}

/// Keeps `text` as the original; whether it fits the limit of all annotations.
fn keep_original(patch: &mut Patch, object: &Object<'_>, text: &str) -> bool {
    let now = object.annotation(ORIGINAL);
    if now == Some(text) {
        return true;
    }
    let others = object.annotations_size() - now.map_or(0, |now| ORIGINAL.len() + now.len());
    if others + ORIGINAL.len() + text.len() > ANNOTATIONS_LIMIT {
        return false;
    }
    let value = serde_json::Value::from(text).to_string();
    let annotations = Pointer::root().join("metadata").join("annotations");
    match object.annotations_presence() {
        Presence::Present => patch.put(&annotations.join(ORIGINAL), now.is_some(), Some(&value)),
        presence => {
            let map = format!("{{\"{ORIGINAL}\":{value}}}");
            patch.put(&annotations, presence == Presence::Null, Some(&map));
        }
    }
    true
}

/// Takes the original away, and the map with it where there was none before.
fn drop_original(patch: &mut Patch, object: &Object<'_>, before: Presence) {
    let annotations = Pointer::root().join("metadata").join("annotations");
    match (object.annotations_len(), before) {
        (1, Presence::Absent) => patch.put(&annotations, true, None),
        (1, Presence::Null) => patch.put(&annotations, true, Some("null")),
        _ => patch.put(&annotations.join(ORIGINAL), true, None),
    }
}

fn is_own(rules: &Rules, object: &Object<'_>) -> bool {
    let namespace = object.namespace();
    namespace == Some("kube-system")
        || (object.name() == Some(rules.own.1.as_str())
            && namespace.is_none_or(|n| n == rules.own.0))
}
