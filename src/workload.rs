//! The heart: what emptying does to a workload, and what restoring gives back.
//!
//! Everything that changes a workload goes through [`empty`] and [`restore`]. Both look at a
//! borrowed view of the manifest's JSON text and answer with a JSON Patch; neither reads a file,
//! asks a cluster or knows what time it is.

mod original;
mod patch;
mod view;

use original::{Original, Saved};
use patch::{Patch, Pointer};
use view::{Container, Object, Pod};

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
/// kubectl's own annotation of a pod template, which names the container that people mean.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// All annotations of an object together: 256 KiB (`TotalAnnotationSizeLimitB` of
/// k8s.io/apimachinery, keys and values counted).
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// `tail -f /dev/null` as PID 1 ignores SIGTERM, so a longer grace is only a longer wait.
const GRACE_SECONDS: &str = "1";

/// Container fields that emptying takes away.
const REMOVED: [&str; 6] =
    ["command", "args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];

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

/// Whether `object` (JSON text) carries an original, that is, was emptied.
pub fn is_emptied(object: &str) -> bool {
    view::parse(object).is_some_and(|o| o.annotation(ORIGINAL).is_some())
}

/// Whether the workload itself says no: [`LABEL`] as its label or annotation with any value but
/// [`ENABLED`].
pub fn declines(object: &str) -> bool {
    view::parse(object).is_some_and(|o| says_no(&o))
}

fn says_no(object: &Object<'_>) -> bool {
    [object.annotation(LABEL), object.label(LABEL)].into_iter().flatten().any(|v| v != ENABLED)
}

/// Empties the workload whose JSON text is `object`.
///
/// An object that is no workload, is emptied already, says no, or has no container gives an
/// empty change, with a warning where the user would expect another outcome.
pub fn empty(rules: &Rules, object: &str) -> Change {
    let Some(object) = view::parse(object) else { return Change::none() };
    let Some(pod) = object.pod() else { return Change::none() };
    if object.annotation(ORIGINAL).is_some() || says_no(&object) || is_own(rules, &object) {
        return Change::none();
    }
    let chosen = match choose(&object, &pod) {
        Ok(chosen) => chosen,
        Err(warning) => return Change::warned(warning),
    };
    if chosen.is_empty() {
        return Change::none();
    }

    let mut patch = Patch::default();
    let image = serde_json::Value::from(rules.image.as_str()).to_string();
    let mut original = Original { image: image.clone(), ..Original::default() };
    for (index, container) in chosen {
        let at = pod.pointer().join("containers").join(&index.to_string());
        let mut saved = Vec::new();
        let mut put = |patch: &mut Patch, field: &'static str, to: Option<&str>| {
            let was = container.field(field);
            if was == to {
                return;
            }
            saved.push(Saved::new(field, was));
            patch.put(&at.join(field), was.is_some(), to);
        };
        put(&mut patch, "image", Some(&image));
        put(&mut patch, "imagePullPolicy", Some("\"IfNotPresent\""));
        for field in REMOVED {
            put(&mut patch, field, None);
        }
        original.containers.push((index, container.name().to_owned(), saved));
    }
    let grace = pod.field("terminationGracePeriodSeconds");
    if grace != Some(GRACE_SECONDS) {
        original.pod.push(Saved::new("terminationGracePeriodSeconds", grace));
        let at = pod.pointer().join("terminationGracePeriodSeconds");
        patch.put(&at, grace.is_some(), Some(GRACE_SECONDS));
    }

    original.annotations = object.annotations_state();
    let text = original.seal();
    if object.annotations_size() + ORIGINAL.len() + text.len() > ANNOTATIONS_LIMIT {
        return Change::warned(
            "diyadm: not emptied: what must be kept does not fit the 256 KiB of all annotations",
        );
    }
    let text = serde_json::Value::from(text).to_string();
    let annotations = Pointer::root().join("metadata").join("annotations");
    match original.annotations {
        original::Annotations::Present => {
            patch.put(&annotations.join(ORIGINAL), false, Some(&text));
        }
        state => patch.put(
            &annotations,
            state == original::Annotations::Null,
            Some(&format!("{{\"{ORIGINAL}\":{text}}}")),
        ),
    }
    Change { patch: patch.finish(), warnings: Vec::new() }
}

/// Gives back what [`empty`] took, for the workload whose JSON text is `object`.
///
/// A field that no longer has the emptied form was set by a newer update and stays as it is
/// (law 5). An original that is forged, cut or foreign is not trusted: a warning, no patch.
pub fn restore(object: &str) -> Change {
    let Some(object) = view::parse(object) else { return Change::none() };
    let (Some(pod), Some(text)) = (object.pod(), object.annotation(ORIGINAL)) else {
        return Change::none();
    };
    let original = match Original::open(text) {
        Ok(original) => original,
        Err(why) => return Change::warned(format!("diyadm: {ORIGINAL} is not trusted: {why}")),
    };
    let mut patch = Patch::default();
    for (index, name, saved) in &original.containers {
        let Some((index, container)) = pod.find_container(*index, name) else { continue };
        let at = pod.pointer().join("containers").join(&index.to_string());
        for field in saved {
            give_back(&mut patch, &at, field, container.field(field.name()), &original.image);
        }
    }
    for field in &original.pod {
        give_back(&mut patch, pod.pointer(), field, pod.field(field.name()), &original.image);
    }
    let annotations = Pointer::root().join("metadata").join("annotations");
    match (object.annotations_len(), original.annotations) {
        (1, original::Annotations::Absent) => patch.put(&annotations, true, None),
        (1, original::Annotations::Null) => patch.put(&annotations, true, Some("null")),
        _ => patch.put(&annotations.join(ORIGINAL), true, None),
    }
    Change { patch: patch.finish(), warnings: Vec::new() }
}

/// Puts one saved field back, unless a newer update has set it meanwhile.
fn give_back(patch: &mut Patch, at: &Pointer, saved: &Saved, now: Option<&str>, image: &str) {
    let emptied = match saved.name() {
        name if REMOVED.contains(&name) => now.is_none(),
        "imagePullPolicy" => now == Some("\"IfNotPresent\""),
        "terminationGracePeriodSeconds" => now == Some(GRACE_SECONDS),
        _ => now == Some(image),
    };
    if emptied && now != saved.text() {
        patch.put(&at.join(saved.name()), now.is_some(), saved.text());
    }
}

fn is_own(rules: &Rules, object: &Object<'_>) -> bool {
    let namespace = object.namespace();
    namespace == Some("kube-system")
        || (object.name() == Some(rules.own.1.as_str())
            && namespace.is_none_or(|n| n == rules.own.0))
}

/// The containers to empty, by index, or the warning why none is.
fn choose<'p, 'a>(
    object: &Object<'_>,
    pod: &'p Pod<'a>,
) -> Result<Vec<(usize, &'p Container<'a>)>, String> {
    let all = || pod.containers().iter().enumerate();
    match object.annotation(CONTAINERS) {
        Some("*") => Ok(all().collect()),
        Some(names) => names
            .split(',')
            .map(str::trim)
            .map(|name| {
                all()
                    .find(|(_, c)| c.name() == name)
                    .ok_or_else(|| format!("diyadm: {CONTAINERS} names no container: {name}"))
            })
            .collect(),
        None => {
            let default = pod.annotation(DEFAULT_CONTAINER);
            let named = default.and_then(|name| all().find(|(_, c)| c.name() == name));
            Ok(named.or_else(|| all().next()).into_iter().collect())
        }
    }
}
