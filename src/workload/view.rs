//! A borrowed view of a workload's JSON text: only what emptying touches is looked into.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    kinds::{self, Kind},
    original::Presence,
    patch::Pointer,
};

/// Present, whatever it is, `null` too; serde's own `Option` would take `null` for absent.
pub(super) fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

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
/// types before a webhook sees it, so one struct can stand for a workload's spec, a pod's and a
/// Service's, read in one pass.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpec<'a> {
    #[serde(borrow, default)]
    template: Option<Box<RawTemplate<'a>>>,
    #[serde(borrow, default)]
    job_template: Option<Box<RawTemplate<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    replicas: Option<&'a RawValue>,
    #[serde(borrow, default)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    init_containers: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    volumes: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    security_context: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    os: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    termination_grace_period_seconds: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    ports: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "clusterIP")]
    cluster_ip: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawMetadata<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    generate_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<Owner<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    managed_fields: Option<&'a RawValue>,
}

/// An entry of `ownerReferences`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner<'a> {
    #[serde(borrow, default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) name: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Deserialize)]
struct RawTemplate<'a> {
    #[serde(borrow, default)]
    metadata: Option<RawMetadata<'a>>,
    #[serde(borrow, default)]
    spec: Option<RawSpec<'a>>,
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
    #[serde(borrow, default, deserialize_with = "present")]
    volume_mounts: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    security_context: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    resources: Option<&'a RawValue>,
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
            "volumeMounts" => self.volume_mounts,
            "securityContext" => self.security_context,
            "resources" => self.resources,
            _ => None,
        }
        .map(RawValue::get)
    }
}

/// The pod that a workload starts, and where its spec is.
pub(super) struct Pod<'o, 'a> {
    pointer: Pointer,
    metadata: Option<&'o RawMetadata<'a>>,
    annotations: BTreeMap<String, String>,
    raw: &'o RawSpec<'a>,
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

    /// A label of the pod template.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.metadata?.labels.as_ref()?.get(key).map(AsRef::as_ref)
    }

    /// Every annotation of the pod template.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// An annotation of the pod template.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// A field of the pod's spec, as JSON text.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        match name {
            "terminationGracePeriodSeconds" => self.raw.termination_grace_period_seconds,
            "initContainers" => self.raw.init_containers,
            "volumes" => self.raw.volumes,
            "securityContext" => self.raw.security_context,
            "os" => self.raw.os,
            _ => None,
        }
        .map(RawValue::get)
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

/// Reads the view; fails for what no API server would take for an object.
pub(super) fn parse(text: &str) -> serde_json::Result<Object<'_>> {
    let raw: RawObject<'_> = serde_json::from_str(text)?;
    let annotations = match raw.metadata.annotations {
        Some(annotations) if annotations.get() != "null" => {
            Some(serde_json::from_str(annotations.get())?)
        }
        _ => None,
    };
    Ok(Object { raw, annotations })
}

fn strings(map: &RawValue) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(map.get()).ok()
}

impl<'a> Object<'a> {
    /// `metadata.name`
    pub(super) fn name(&self) -> Option<&str> {
        self.raw.metadata.name.as_deref()
    }

    /// What its name will begin with, where the API server makes it up.
    pub(super) fn generate_name(&self) -> Option<&str> {
        self.raw.metadata.generate_name.as_deref()
    }

    /// `metadata.namespace`
    pub(super) fn namespace(&self) -> Option<&str> {
        self.raw.metadata.namespace.as_deref()
    }

    /// A label of the workload.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.raw.metadata.labels.as_ref()?.get(key).map(AsRef::as_ref)
    }

    /// Every label of the workload.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.raw.metadata.labels.iter().flatten();
        labels.map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// An annotation of the workload.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Every annotation of the workload.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.annotations.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
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

    /// The kind of workload that it is.
    pub(super) fn workload(&self) -> Option<&'static Kind> {
        kinds::of(&self.raw.api_version, &self.raw.kind)
    }

    /// The pod of a workload whose kind diyadm knows.
    pub(super) fn pod(&self) -> Option<Pod<'_, 'a>> {
        let kind = self.workload()?;
        let (mut metadata, mut spec) = (Some(&self.raw.metadata), self.raw.spec.as_ref()?);
        for step in kind.pod {
            let template = match *step {
                "template" => spec.template.as_ref()?,
                "jobTemplate" => spec.job_template.as_ref()?,
                _ => continue,
            };
            (metadata, spec) = (template.metadata.as_ref(), template.spec.as_ref()?);
        }
        let annotations = metadata.and_then(|m| m.annotations).and_then(strings);
        Some(Pod {
            pointer: kind.pod.iter().fold(Pointer::root(), |at, step| at.join(step)),
            metadata,
            annotations: annotations.unwrap_or_default(),
            raw: spec,
        })
    }

    /// A field of the workload's own spec, as JSON text.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        let spec = self.raw.spec.as_ref()?;
        let found = if name == "replicas" { spec.replicas } else { None };
        found.map(RawValue::get)
    }

    /// What controls it: a ReplicaSet's Deployment, a Pod's ReplicaSet.
    pub(super) fn controller(&self) -> Option<&Owner<'a>> {
        let owners = self.raw.metadata.owner_references.as_ref()?;
        owners.iter().find(|owner| owner.controller == Some(true))
    }

    /// `metadata.managedFields`, as JSON text.
    pub(super) fn managed_fields(&self) -> Option<&'a str> {
        self.raw.metadata.managed_fields.map(RawValue::get)
    }
}
