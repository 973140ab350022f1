//! A borrowed view of a workload's JSON text: only what emptying touches is looked into.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{original::Presence, patch::Pointer};

/// Present, whatever it is, `null` too; serde's own `Option` would take `null` for absent.
pub(super) fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawObject<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metadata: RawMetadata<'a>,
    #[serde(borrow, default)]
    spec: Option<RawSpec<'a>>,
}

/// A spec of any kind, as far as it is looked at. The API server has decoded an object into its
/// types before a webhook sees it, so one struct can stand for all kinds, read in one pass.
#[derive(Deserialize)]
struct RawSpec<'a> {
    #[serde(borrow, default)]
    template: Option<RawTemplate<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    ports: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "clusterIP")]
    cluster_ip: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct RawMetadata<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawTemplate<'a> {
    #[serde(borrow, default)]
    metadata: Option<RawMetadata<'a>>,
    #[serde(borrow, default)]
    spec: Option<RawPod<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPod<'a> {
    #[serde(borrow, default)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    termination_grace_period_seconds: Option<&'a RawValue>,
}

/// What emptying looks at in a container.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    image: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    image_pull_policy: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    command: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    args: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    liveness_probe: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    readiness_probe: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    startup_probe: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    lifecycle: Option<&'a RawValue>,
}

impl<'a> Container<'a> {
    /// Empty where there is none.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The field's JSON text; `None` where it is absent.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        match name {
            "image" => self.image,
            "imagePullPolicy" => self.image_pull_policy,
            "command" => self.command,
            "args" => self.args,
            "livenessProbe" => self.liveness_probe,
            "readinessProbe" => self.readiness_probe,
            "startupProbe" => self.startup_probe,
            "lifecycle" => self.lifecycle,
            _ => None,
        }
        .map(RawValue::get)
    }
}

/// A pod template's spec, and where it is.
pub(super) struct Pod<'o, 'a> {
    pointer: Pointer,
    annotations: BTreeMap<String, String>,
    raw: &'o RawPod<'a>,
}

impl<'o, 'a> Pod<'o, 'a> {
    /// Where the pod's spec is in the object.
    pub(super) fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Its containers; none where the list is absent or null.
    pub(super) fn containers(&self) -> &'o [Container<'a>] {
        self.raw.containers.as_deref().unwrap_or_default()
    }

    /// An annotation of the pod template.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// A field of the pod's spec, as JSON text.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        match name {
            "terminationGracePeriodSeconds" => {
                self.raw.termination_grace_period_seconds.map(RawValue::get)
            }
            _ => None,
        }
    }
}

/// A Service's spec.
pub(super) struct Service<'o, 'a>(&'o RawSpec<'a>);

impl Service<'_, '_> {
    /// How they are there, and what they are.
    pub(super) fn ports(&self) -> (Presence, Vec<serde_json::Value>) {
        match self.0.ports.map(|ports| serde_json::from_str(ports.get())) {
            None => (Presence::Absent, Vec::new()),
            Some(Ok(serde_json::Value::Array(ports))) => (Presence::Present, ports),
            Some(_) => (Presence::Null, Vec::new()),
        }
    }

    /// JSON text; `None` where it is absent.
    pub(super) fn r#type(&self) -> Option<&str> {
        self.0.r#type.map(RawValue::get)
    }

    /// Without an address of its own.
    pub(super) fn is_headless(&self) -> bool {
        self.0.cluster_ip.as_deref() == Some("None")
    }
}

/// An object that has a kind, a version and metadata.
pub(super) struct Object<'a> {
    raw: RawObject<'a>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Reads the view; `None` for what no API server would take for a workload.
pub(super) fn parse(text: &str) -> Option<Object<'_>> {
    let raw: RawObject<'_> = serde_json::from_str(text).ok()?;
    let annotations = match raw.metadata.annotations {
        Some(annotations) if annotations.get() != "null" => Some(strings(annotations)?),
        _ => None,
    };
    Some(Object { raw, annotations })
}

fn strings(map: &RawValue) -> Option<BTreeMap<String, String>> {
    let members: Members<'_> = serde_json::from_str(map.get()).ok()?;
    let text = |value: &RawValue| serde_json::from_str(value.get()).ok();
    members.into_iter().map(|(k, v)| Some((k.into_owned(), text(v)?))).collect()
}

impl<'a> Object<'a> {
    /// `metadata.name`
    pub(super) fn name(&self) -> Option<&str> {
        self.raw.metadata.name.as_deref()
    }

    /// `metadata.namespace`
    pub(super) fn namespace(&self) -> Option<&str> {
        self.raw.metadata.namespace.as_deref()
    }

    /// A label of the workload.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.raw.metadata.labels.as_ref()?.get(key).map(AsRef::as_ref)
    }

    /// An annotation of the workload.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// How many annotations there are.
    pub(super) fn annotations_len(&self) -> usize {
        self.annotations.as_ref().map_or(0, BTreeMap::len)
    }

    /// Keys and values together, bytes, as the API server counts them.
    pub(super) fn annotations_size(&self) -> usize {
        self.annotations.iter().flatten().map(|(k, v)| k.len() + v.len()).sum()
    }

    /// Whether `metadata.annotations` is there.
    pub(super) fn annotations_presence(&self) -> Presence {
        match (&self.annotations, self.raw.metadata.annotations) {
            (Some(_), _) => Presence::Present,
            (None, Some(_)) => Presence::Null,
            (None, None) => Presence::Absent,
        }
    }

    /// `kind`
    pub(super) fn kind(&self) -> &str {
        &self.raw.kind
    }

    /// The spec of a Service whose ports are a list, or not there.
    pub(super) fn service(&self) -> Option<Service<'_, 'a>> {
        if self.raw.kind != "Service" || self.raw.api_version != "v1" {
            return None;
        }
        let spec = self.raw.spec.as_ref()?;
        let odd = spec.ports.is_some_and(|p| !p.get().starts_with('[') && p.get() != "null");
        (!odd).then_some(Service(spec))
    }

    /// The pod template of a workload whose kind diyadm knows.
    pub(super) fn pod(&self) -> Option<Pod<'_, 'a>> {
        let known = ["Deployment", "StatefulSet"].contains(&self.raw.kind.as_ref());
        if !known || self.raw.api_version != "apps/v1" {
            return None;
        }
        let template = self.raw.spec.as_ref()?.template.as_ref()?;
        let annotations = template.metadata.as_ref().and_then(|m| m.annotations).and_then(strings);
        Some(Pod {
            pointer: Pointer::root().join("spec").join("template").join("spec"),
            annotations: annotations.unwrap_or_default(),
            raw: template.spec.as_ref()?,
        })
    }
}
