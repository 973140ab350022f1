//! The fields that server-side appliers own, from `metadata.managedFields`.

use std::collections::{HashMap, HashSet};

use super::emptied_fields::{At, SPEC_FIELDS, in_container, in_pod};
use crate::json::{self, Node, ParsePlan};

static ENTRIES: ParsePlan = ParsePlan::Items(&ENTRY);
static ENTRY: ParsePlan = ParsePlan::Members(&[("fieldsV1", &OBJECT)], &["manager", "operation"]);
static OBJECT: ParsePlan = ParsePlan::Members(&[("f:spec", &SPEC), ("f:metadata", &METADATA)], &[]);
static METADATA: ParsePlan = ParsePlan::Members(&[("f:annotations", &ALL)], &[]);
/// The fields of a workload's spec and of a pod's: that of a Pod is both.
const FIELDS: &[&str] = &[
    "f:terminationGracePeriodSeconds",
    "f:imagePullSecrets",
    "f:nodeSelector",
    "f:tolerations",
    "f:serviceAccountName",
    "f:serviceAccount",
    "f:replicas",
    "f:strategy",
    "f:updateStrategy",
];
static SPEC: ParsePlan = ParsePlan::Members(
    &[("f:template", &TEMPLATE), ("f:jobTemplate", &JOB_TEMPLATE), ("f:containers", &ALL)],
    FIELDS,
);
static JOB_TEMPLATE: ParsePlan = ParsePlan::Members(&[("f:spec", &JOB_SPEC)], &[]);
static JOB_SPEC: ParsePlan = ParsePlan::Members(&[("f:template", &TEMPLATE)], &[]);
static TEMPLATE: ParsePlan = ParsePlan::Members(&[("f:spec", &POD)], &[]);
static POD: ParsePlan = ParsePlan::Members(&[("f:containers", &ALL)], FIELDS);
static ALL: ParsePlan = ParsePlan::Members(&[], &[]);
/// The key of a container: `k:{"name":"app"}`.
static KEY: ParsePlan = ParsePlan::Members(&[], &["name"]);

/// Fields of containers, of the pod and of the workload's spec.
#[derive(Default)]
pub(super) struct OwnedFields {
    own: HashSet<(Part, &'static str)>,
}

#[derive(PartialEq, Eq, Hash)]
enum Part {
    Container(String),
    Pod,
    Spec,
}

impl OwnedFields {
    /// Fields that an applier owned in `before` and no longer owns in `after`; both are
    /// managedFields. `pod`: the path from the object to the pod's spec.
    pub(super) fn released(before: &str, after: &str, pod: &[&str]) -> Self {
        let mut still: HashMap<String, Vec<Self>> = HashMap::new();
        for (manager, fields) in appliers(after, pod) {
            still.entry(manager).or_default().push(fields);
        }
        let mut released = Self::default();
        for (manager, fields) in appliers(before, pod) {
            // An applier without fields has no entry.
            let still = still.get_mut(&manager).and_then(Vec::pop).unwrap_or_default();
            released.own.extend(fields.own.into_iter().filter(|field| !still.own.contains(field)));
        }
        released
    }

    pub(super) fn contain(&self, at: At<'_>, field: &'static str) -> bool {
        let place = || match at {
            At::Container(name) => Part::Container(name.to_owned()),
            At::Pod => Part::Pod,
            At::Spec => Part::Spec,
        };
        !self.own.is_empty() && self.own.contains(&(place(), field))
    }

    fn from_node<'t, 'a>(fields: Node<'t, 'a>, pod: &[&str]) -> Self {
        let step = |node: Node<'t, 'a>, name: &str| node.get(&format!("f:{name}"));
        let mut own = HashSet::new();
        if let Some(spec) = step(fields, "spec") {
            let fields = SPEC_FIELDS.into_iter().filter(|field| step(spec, field).is_some());
            own.extend(fields.map(|field| (Part::Spec, field)));
        }
        let Some(pod) = pod.iter().try_fold(fields, |node, name| step(node, name)) else {
            return Self { own };
        };
        let of_pod = in_pod().filter(|field| step(pod, field).is_some());
        own.extend(of_pod.map(|field| (Part::Pod, field)));
        for container in pod.get("f:containers").into_iter().flat_map(Node::children) {
            let Some(name) = name(container.key()) else { continue };
            let Ok(members) = json::parse(container.text(), &ALL) else { continue };
            for member in members.root().children() {
                let is_it = |field: &&str| member.key().strip_prefix("f:") == Some(field);
                let field = in_container().find(is_it);
                own.extend(field.map(|field| (Part::Container(name.clone()), field)));
            }
        }
        Self { own }
    }
}

/// The name in a container's key.
fn name(key: &str) -> Option<String> {
    let key = json::parse(key.strip_prefix("k:")?, &KEY).ok()?;
    Some(key.root().get("name")?.string()?.into_owned())
}

/// Each server-side applier by its name, with what it owns.
fn appliers(managed: &str, pod: &[&str]) -> Vec<(String, OwnedFields)> {
    let Ok(tree) = json::parse(managed, &ENTRIES) else { return Vec::new() };
    let read = |entry: Node<'_, '_>| {
        let text = |name| entry.get(name).and_then(Node::string).unwrap_or_default().into_owned();
        let fields = entry.get("fieldsV1").map(|fields| OwnedFields::from_node(fields, pod));
        (text("operation") == "Apply").then(|| (text("manager"), fields.unwrap_or_default()))
    };
    tree.root().children().filter_map(read).collect()
}

/// Whether a server-side applier owns the annotation `key` of the object.
pub(super) fn own_annotation(managed: &str, key: &str) -> bool {
    let Ok(tree) = json::parse(managed, &ENTRIES) else { return false };
    tree.root().children().any(|entry| {
        let is_applier =
            entry.get("operation").and_then(Node::string).is_some_and(|o| o == "Apply");
        let annotations = entry.get("fieldsV1").and_then(|fields| {
            fields.get("f:metadata")?.get("f:annotations")?.get(&format!("f:{key}"))
        });
        is_applier && annotations.is_some()
    })
}
