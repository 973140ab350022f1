//! A view of a workload: the parts that emptying reads, from one pass over its JSON text.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
};

use jsonptr::PointerBuf;

use super::members::{
    Container, METADATA, Metadata, Odd, Owner, Presence, SPEC, Spec, Template, object_plan, open,
    string,
};
use crate::{
    json::{Node, ParsePlan},
    kinds::{self, Kind},
};

/// The plan for parsing an object's text for [`Object::from_node`].
pub(crate) static OBJECT: ParsePlan =
    ParsePlan::Members(&[("metadata", &METADATA), ("spec", &SPEC)], &["apiVersion", "kind"]);

/// An object that has a kind, a version and metadata.
pub(super) struct Object<'a> {
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    metadata: Metadata<'a>,
    spec: Option<Spec<'a>>,
    /// The pod template of a kind that has it at a path of its own.
    template: Option<Template<'a>>,
}

/// The pod of a workload, and the path of its spec.
pub(super) struct Pod<'o, 'a> {
    steps: &'static [&'static str],
    metadata: Option<&'o Metadata<'a>>,
    spec: &'o Spec<'a>,
}

/// Maximum bytes of ports: a larger Service does not fit into etcd.
const LONGEST_PORTS: usize = 1 << 20;

/// A Service's spec.
pub(super) struct Service<'o, 'a>(&'o Spec<'a>);

/// Whether [`OBJECT`] does not keep the pod template of such a kind: see [`plan`].
fn is_elsewhere(kind: &&'static Kind) -> bool {
    !kinds::WORKLOADS.iter().any(|known| known.pod == kind.pod)
}

/// What is kept of an object for [`Object::from_node`] where [`OBJECT`] leaves its pod template out.
pub(super) fn plan(api_version: &str, kind: &str) -> Option<&'static ParsePlan> {
    static PLANS: Mutex<Vec<(&'static Kind, &'static ParsePlan)>> = Mutex::new(Vec::new());
    let kind = kinds::find(api_version, kind).filter(is_elsewhere)?;
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, plan)) = plans.iter().find(|(known, _)| *known == kind) {
        return Some(plan);
    }
    let (_, steps) = kind.pod.split_last()?;
    let plan: &'static ParsePlan = Box::leak(Box::new(object_plan(steps)));
    plans.push((kind, plan));
    Some(plan)
}

fn template_at<'a>(mut node: Node<'_, 'a>, steps: &[&str]) -> Result<Option<Template<'a>>, Odd> {
    for step in steps {
        let Some(next) = open(node.get(step))? else { return Ok(None) };
        node = next;
    }
    Template::from_node(node).map(Some)
}

impl<'a> Object<'a> {
    /// The view of a text parsed with [`OBJECT`]; fails for an invalid object.
    pub(super) fn from_node(object: Node<'_, 'a>) -> Result<Self, Odd> {
        let text = |name| string(object.get(name))?.ok_or("apiVersion or kind is missing");
        let metadata = open(object.get("metadata"))?.ok_or("metadata is missing")?;
        let metadata = Metadata::from_node(metadata)?;
        if let Some(odd) = metadata.annotations_odd {
            return Err(odd);
        }
        let spec = open(object.get("spec"))?.map(Spec::from_node).transpose()?;
        let elsewhere = kinds::find(&text("apiVersion")?, &text("kind")?).filter(is_elsewhere);
        let template = match elsewhere.and_then(|kind| kind.pod.split_last()) {
            Some((_, steps)) => template_at(object, steps)?,
            None => None,
        };
        Ok(Self { api_version: text("apiVersion")?, kind: text("kind")?, metadata, spec, template })
    }

    /// `metadata.name`
    pub(super) fn name(&self) -> Option<&str> {
        self.metadata.name.as_deref()
    }

    /// The prefix of a name that the API server generates.
    pub(super) fn generate_name(&self) -> Option<&str> {
        self.metadata.generate_name.as_deref()
    }

    /// `metadata.namespace`
    pub(super) fn namespace(&self) -> Option<&str> {
        self.metadata.namespace.as_deref()
    }

    /// A label of the workload.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.get(key)
    }

    /// Every label of the workload.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.labels.all()
    }

    /// An annotation of the workload.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.get(key)
    }

    /// Every annotation of the workload.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.annotations.all()
    }

    /// The key of every annotation of the workload.
    pub(super) fn annotation_keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.annotations.keys()
    }

    /// Upper bound of the bytes of all annotations.
    pub(super) fn annotations_size(&self) -> usize {
        self.metadata.annotations.size()
    }

    /// Whether `metadata.annotations` exists.
    pub(super) fn annotations_presence(&self) -> Presence {
        self.metadata.annotations_presence
    }

    /// `kind`
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// The spec of a Service whose ports are a list or absent.
    pub(super) fn service(&self) -> Option<Service<'_, 'a>> {
        if self.kind != "Service" || self.api_version != "v1" {
            return None;
        }
        let spec = self.spec.as_ref()?;
        let is_odd = |ports: &str| {
            (!ports.starts_with('[') && ports != "null") || ports.len() > LONGEST_PORTS
        };
        let odd = spec.field("ports").is_some_and(is_odd);
        (!odd).then_some(Service(spec))
    }

    /// Its workload kind.
    pub(super) fn workload(&self) -> Option<&'static Kind> {
        kinds::find(&self.api_version, &self.kind)
    }

    /// The pod of a workload of a known kind.
    pub(super) fn pod(&self) -> Option<Pod<'_, 'a>> {
        let kind = self.workload()?;
        if is_elsewhere(&kind) {
            let template = self.template.as_ref()?;
            let (metadata, spec) = (template.metadata.as_ref(), template.spec.as_ref()?);
            return Some(Pod { steps: kind.pod, metadata, spec });
        }
        let (mut metadata, mut spec) = (Some(&self.metadata), self.spec.as_ref()?);
        for step in kind.pod {
            let template = match *step {
                "template" => spec.template.as_ref()?,
                "jobTemplate" => spec.job_template.as_ref()?,
                _ => continue,
            };
            (metadata, spec) = (template.metadata.as_ref(), template.spec.as_ref()?);
        }
        Some(Pod { steps: kind.pod, metadata, spec })
    }

    /// A field of the workload's own spec, as JSON text.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        self.spec.as_ref()?.field(name)
    }

    /// Its controller: a ReplicaSet's Deployment, a Pod's ReplicaSet.
    pub(super) fn controller(&self) -> Option<&Owner<'a>> {
        self.metadata.owners.iter().find(|owner| owner.controller)
    }

    /// `metadata.managedFields`, as JSON text.
    pub(super) fn managed_fields(&self) -> Option<&'a str> {
        self.metadata.managed_fields
    }
}

impl<'o, 'a> Pod<'o, 'a> {
    /// The path of the pod's spec in the object.
    pub(super) fn pointer(&self) -> PointerBuf {
        PointerBuf::from_tokens(self.steps.iter().copied())
    }

    /// Its containers; empty if the list is absent or null.
    pub(super) fn containers(&self) -> &'o [Container<'a>] {
        &self.spec.containers
    }

    /// A label of the pod template.
    pub(super) fn label(&self, key: &str) -> Option<&'o str> {
        self.metadata?.labels.get(key)
    }

    /// An annotation of the pod template.
    pub(super) fn annotation(&self, key: &str) -> Option<&'o str> {
        self.metadata?.annotations.get(key)
    }

    /// A field of the pod's spec, as JSON text.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        self.spec.field(name)
    }
}

impl Service<'_, '_> {
    /// The state of the list, and its content.
    pub(super) fn ports(&self) -> (Presence, Vec<serde_json::Value>) {
        match self.0.field("ports").map(serde_json::from_str) {
            None => (Presence::Absent, Vec::new()),
            Some(Ok(serde_json::Value::Array(ports))) => (Presence::Present, ports),
            Some(_) => (Presence::Null, Vec::new()),
        }
    }

    /// JSON text; `None` if it is absent.
    pub(super) fn r#type(&self) -> Option<&str> {
        self.0.field("type")
    }

    /// Whether it is headless.
    pub(super) fn is_headless(&self) -> bool {
        self.0.field("clusterIP") == Some("\"None\"")
    }
}
