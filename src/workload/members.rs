//! The relevant parts of an object, each with the plan that keeps its text.
//!
//! The API server has decoded an object into its types before it calls a webhook, so one struct can
//! represent the spec of a workload, a Pod and a Service.

use std::{borrow::Cow, sync::OnceLock};

use serde::{Deserialize, Serialize};

use crate::json::{self, Node, ParsePlan};

/// Why a value is not a valid object for an API server.
pub(crate) type Odd = &'static str;

/// Labels, annotations: every member is kept.
static MAP: ParsePlan = ParsePlan::Members(&[], &[]);
static OWNER: ParsePlan = ParsePlan::Members(&[], &["kind", "name", "controller"]);
static OWNERS: ParsePlan = ParsePlan::Items(&OWNER);
pub(super) static METADATA: ParsePlan = ParsePlan::Members(
    &[("labels", &MAP), ("annotations", &MAP), ("ownerReferences", &OWNERS)],
    &["name", "generateName", "namespace", "managedFields"],
);
/// The spec of any kind: a workload's, a Pod's, a Service's.
pub(super) static SPEC: ParsePlan = ParsePlan::Members(
    &[("template", &TEMPLATE), ("jobTemplate", &JOB_TEMPLATE), ("containers", &CONTAINERS)],
    &SPEC_FIELDS,
);
/// The plan of an object whose pod template is at `steps`, a path that [`SPEC`] does not contain. It
/// is never freed: there is one for each path.
pub(super) fn object_plan(steps: &'static [&'static str]) -> ParsePlan {
    let one = |name: &'static str, plan, others| -> &'static ParsePlan {
        Box::leak(Box::new(ParsePlan::Members(Vec::leak(vec![(name, plan)]), others)))
    };
    let below = |steps: &'static [&'static str]| {
        steps.iter().rev().fold(&TEMPLATE, |plan, step| one(step, plan, &[]))
    };
    let mut members = vec![("metadata", &METADATA)];
    match steps {
        // The spec's own fields are kept as of any kind.
        ["spec", step, rest @ ..] => members.push(("spec", one(step, below(rest), &SPEC_FIELDS))),
        [step, rest @ ..] => members.extend([("spec", &SPEC), (*step, below(rest))]),
        [] => {}
    }
    ParsePlan::Members(Vec::leak(members), &["apiVersion", "kind"])
}

static TEMPLATE: ParsePlan =
    ParsePlan::Members(&[("metadata", &METADATA), ("spec", &POD_SPEC)], &[]);
static POD_SPEC: ParsePlan = ParsePlan::Members(&[("containers", &CONTAINERS)], &SPEC_FIELDS);
static JOB_TEMPLATE: ParsePlan =
    ParsePlan::Members(&[("metadata", &METADATA), ("spec", &JOB_SPEC)], &[]);
static JOB_SPEC: ParsePlan = ParsePlan::Members(&[("template", &TEMPLATE)], &SPEC_FIELDS);
static CONTAINERS: ParsePlan = ParsePlan::Items(&CONTAINER);
static CONTAINER: ParsePlan = ParsePlan::Members(&[("name", &ParsePlan::Text)], &CONTAINER_FIELDS);

/// The relevant members of a spec besides templates and containers.
static SPEC_FIELDS: [&str; 19] = [
    "replicas",
    "strategy",
    "updateStrategy",
    "initContainers",
    "volumes",
    "securityContext",
    "os",
    "nodeSelector",
    "tolerations",
    "serviceAccountName",
    "serviceAccount",
    "affinity",
    "persistentVolumeClaimRetentionPolicy",
    "suspend",
    "terminationGracePeriodSeconds",
    "imagePullSecrets",
    "ports",
    "type",
    "clusterIP",
];
/// The relevant members of a container.
static CONTAINER_FIELDS: [&str; 14] = [
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "volumeMounts",
    "securityContext",
    "resources",
    "env",
    "envFrom",
];

/// All annotations of an object together: 256 KiB (`TotalAnnotationSizeLimitB` of
/// k8s.io/apimachinery, keys and values counted).
pub(super) const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// All annotations together have at most [`ANNOTATIONS_LIMIT`] bytes, and no escape is more than six times as
/// long as what it stands for.
const LONGEST_ANNOTATIONS: usize = 8 * ANNOTATIONS_LIMIT;

/// Maximum number of examined containers of a Pod. The original of so many does not fit into an
/// annotation, and a review of them takes less than 100 ms (`cargo xtask bench large`).
const MOST_CONTAINERS: usize = 4096;

/// The error for a list that is too long.
pub(crate) const TOO_LONG: Odd =
    "it has more than 4096 containers, or another list of more than 32768 elements";

/// How a map or list was before we put something into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Presence {
    /// A map or list, maybe an empty one.
    #[default]
    Present,
    /// Not there.
    Absent,
    /// `null`
    Null,
}

/// An object or an array: `None` if it is absent or null, an error for other types.
pub(super) fn open<'t, 'a>(node: Option<Node<'t, 'a>>) -> Result<Option<Node<'t, 'a>>, Odd> {
    match node.filter(|node| !node.is_null()) {
        Some(node) if node.is_open() => Ok(Some(node)),
        Some(node) if node.text().starts_with(['{', '[']) => Err(TOO_LONG),
        Some(_) => Err("a value has an unexpected type"),
        node => Ok(node),
    }
}

/// A string, likewise.
pub(super) fn string<'a>(node: Option<Node<'_, 'a>>) -> Result<Option<Cow<'a, str>>, Odd> {
    match node.filter(|node| !node.is_null()) {
        None => Ok(None),
        Some(node) => node.string().map(Some).ok_or("a value is not a string"),
    }
}

/// A string that is decoded once, on demand.
struct Text<'a> {
    json: &'a str,
    /// The decoded string, if it has escapes.
    decoded: OnceLock<String>,
}

impl Text<'_> {
    fn as_str(&self) -> &str {
        let decode = || json::string(self.json).unwrap_or_default().into_owned();
        let plain = self.json.get(1..self.json.len() - 1).filter(|text| !text.contains('\\'));
        plain.unwrap_or_else(|| self.decoded.get_or_init(decode))
    }
}

/// Labels or annotations.
#[derive(Default)]
pub(super) struct Map<'a>(Vec<(Cow<'a, str>, Text<'a>)>);

impl<'a> Map<'a> {
    fn from_node(map: Option<Node<'_, 'a>>) -> Result<Self, Odd> {
        let Some(map) = open(map)? else { return Ok(Self::default()) };
        let text = |value: Node<'_, 'a>| {
            let json = value.text();
            let text = Text { json, decoded: OnceLock::new() };
            json.starts_with('"').then(|| (value.key().clone(), text))
        };
        map.children().map(text).collect::<Option<_>>().map(Self).ok_or("a value is not a string")
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_str()))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_ref())
    }

    /// Upper bound of the bytes in keys and values: no escape is shorter than its character.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.json.len()).sum()
    }
}

/// An entry of `ownerReferences`.
pub(super) struct Owner<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) controller: bool,
}

/// The relevant members of metadata.
pub(super) struct Metadata<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) generate_name: Option<Cow<'a, str>>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) labels: Map<'a>,
    /// Empty if they are invalid.
    pub(super) annotations: Map<'a>,
    /// Why they are invalid, which matters for the object's own metadata.
    pub(super) annotations_odd: Option<Odd>,
    pub(super) annotations_presence: Presence,
    pub(super) owners: Vec<Owner<'a>>,
    pub(super) managed_fields: Option<&'a str>,
}

impl<'a> Metadata<'a> {
    pub(super) fn from_node(metadata: Node<'_, 'a>) -> Result<Self, Odd> {
        let text = |name| string(metadata.get(name));
        let node = metadata.get("annotations");
        let fits = node.is_none_or(|node| node.text().len() <= LONGEST_ANNOTATIONS);
        let annotations = if fits { Map::from_node(node) } else { Err(TOO_LONG) };
        let owner = |owner: Node<'_, 'a>| {
            let owner = open(Some(owner))?.ok_or("an owner is null")?;
            Ok(Owner {
                kind: string(owner.get("kind"))?.unwrap_or_default(),
                name: string(owner.get("name"))?.unwrap_or_default(),
                controller: owner.get("controller").is_some_and(|c| c.text() == "true"),
            })
        };
        let owners = open(metadata.get("ownerReferences"))?.map(|all| all.children().map(owner));
        Ok(Self {
            name: text("name")?,
            generate_name: text("generateName")?,
            namespace: text("namespace")?,
            labels: Map::from_node(metadata.get("labels"))?,
            annotations_odd: annotations.as_ref().err().copied(),
            annotations: annotations.unwrap_or_default(),
            annotations_presence: match node {
                None => Presence::Absent,
                Some(null) if null.is_null() => Presence::Null,
                Some(_) => Presence::Present,
            },
            owners: owners.into_iter().flatten().collect::<Result<_, Odd>>()?,
            managed_fields: metadata.get("managedFields").map(Node::text),
        })
    }
}

/// The texts of a fixed list of fields.
struct Members<'a, const N: usize> {
    names: &'static [&'static str; N],
    texts: [Option<&'a str>; N],
    /// The index of each among the members.
    numbers: [usize; N],
}

impl<'a, const N: usize> Members<'a, N> {
    fn from_node(names: &'static [&'static str; N], object: Node<'_, 'a>) -> Self {
        let (mut texts, mut numbers) = ([None; N], [0; N]);
        for member in object.children() {
            if let Some(at) = names.iter().position(|name| name == member.key()) {
                (texts[at], numbers[at]) = (Some(member.text()), member.number());
            }
        }
        Self { names, texts, numbers }
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.texts[self.at(name)?]
    }
}

/// A spec of any kind.
pub(super) struct Spec<'a> {
    pub(super) template: Option<Box<Template<'a>>>,
    pub(super) job_template: Option<Box<Template<'a>>>,
    pub(super) containers: Vec<Container<'a>>,
    fields: Members<'a, { SPEC_FIELDS.len() }>,
}

/// A template.
pub(super) struct Template<'a> {
    pub(super) metadata: Option<Metadata<'a>>,
    pub(super) spec: Option<Spec<'a>>,
}

impl<'a> Spec<'a> {
    pub(super) fn from_node(spec: Node<'_, 'a>) -> Result<Self, Odd> {
        let template = |name| {
            let template = open(spec.get(name))?.map(Template::from_node);
            template.transpose().map(|template| template.map(Box::new))
        };
        let containers = open(spec.get("containers"))?;
        if containers.is_some_and(|all| all.children().count() > MOST_CONTAINERS) {
            return Err(TOO_LONG);
        }
        Ok(Self {
            template: template("template")?,
            job_template: template("jobTemplate")?,
            containers: containers
                .into_iter()
                .flat_map(Node::children)
                .map(Container::from_node)
                .collect::<Result<_, Odd>>()?,
            fields: Members::from_node(&SPEC_FIELDS, spec),
        })
    }

    /// A field's JSON text; `None` if it is absent.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name)
    }
}

impl<'a> Template<'a> {
    pub(super) fn from_node(template: Node<'_, 'a>) -> Result<Self, Odd> {
        Ok(Self {
            metadata: open(template.get("metadata"))?.map(Metadata::from_node).transpose()?,
            spec: open(template.get("spec"))?.map(Spec::from_node).transpose()?,
        })
    }
}

/// The members of a container that emptying reads.
pub(super) struct Container<'a> {
    name: Option<Cow<'a, str>>,
    fields: Members<'a, { CONTAINER_FIELDS.len() }>,
}

impl<'a> Container<'a> {
    fn from_node(container: Node<'_, 'a>) -> Result<Self, Odd> {
        let container = open(Some(container))?.ok_or("a container is null")?;
        let name = string(container.get("name"))?;
        Ok(Self { name, fields: Members::from_node(&CONTAINER_FIELDS, container) })
    }

    /// Empty if there is none.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The field's JSON text; `None` where it is absent.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name)
    }

    /// The index of the field in the container, if it exists.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        let at = self.fields.at(name)?;
        self.fields.texts[at].map(|_| self.fields.numbers[at])
    }
}
