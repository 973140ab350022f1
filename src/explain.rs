//! Explains which rule decided how a workload is emptied, and the source of each part.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    kinds,
    ui::text,
    workload::{
        Context, DISABLED, DecidedBy, Decision, Idle, Image, LABEL, Level, Ready,
        RequestedAnnotation, Rules, SHAPE, STAND_IN, Shape, Subject, pod_from_template,
    },
};

/// One part of how a workload is emptied.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// `empty`, `containers`, `image`, `idle`, `level`, `replicas`, `ready`, `standIn`
    pub part: &'static str,
    /// Its value, as written in a rule; empty if it is unchanged.
    pub value: String,
    /// `default`, `flag`, `rule 2`, `annotation`
    pub decided_by: String,
}

/// The decision of the rules about one workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// `Deployment`
    pub kind: String,
    /// Empty if unknown.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The number of the first matching rule, from 1.
    pub rule: Option<usize>,
    /// Why each earlier rule does not match: it is for other `namespaces`, `kinds`, …
    pub passed: Vec<Passed>,
    /// Whether the workload has opted out, regardless of the rules.
    pub declines: bool,
    /// The source of each part; empty if the annotations are invalid.
    pub parts: Vec<Part>,
    /// Why the annotations are invalid, so that the workload stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A rule that does not match.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Passed {
    /// From 1.
    pub rule: usize,
    /// `namespaces`, `kinds`, `names` or `labels`
    pub about_other: &'static str,
}

/// The decision of `rules` about a workload called `name`.
pub fn explain(
    rules: &Rules,
    subject: &Subject<'_>,
    context: &Context<'_>,
    name: &str,
) -> Explained {
    let decided = subject.decide(rules, context);
    let passed = subject.passed(rules, context);
    let mut parts = decided.as_ref().map(parts).unwrap_or_default();
    for part in parts.iter_mut().filter(|part| part.decided_by == "annotation") {
        // A client's flags become annotations only when they are written.
        let key = |one: &RequestedAnnotation| match part.part {
            "standIn" => one.key == STAND_IN,
            part if Shape::has(part) => one.key == SHAPE,
            part => one.key.strip_prefix("diyadm.io/") == Some(part),
        };
        if context.requested_annotations.iter().any(|one| one.value.is_some() && key(one)) {
            part.decided_by = "flag".to_owned();
        }
    }
    let rule = Some(passed.len() + 1).filter(|rule| *rule <= rules.list.len());
    Explained {
        kind: subject.kind().to_owned(),
        namespace: context.namespace.to_owned(),
        name: name.to_owned(),
        rule,
        passed: passed
            .into_iter()
            .map(|(rule, about_other)| Passed { rule, about_other })
            .collect(),
        declines: subject.declines(),
        parts,
        error: decided.err(),
    }
}

/// [`explain`] for a whole object: at level pod, for the Pods of its controller, since only these
/// reach the webhook. `None` if it is not a workload.
pub fn explain_object(
    rules: &Rules,
    object: &Value,
    context: &Context<'_>,
    name: &str,
) -> Option<Explained> {
    let text = object.to_string();
    let subject = Subject::parse(&text)?;
    let explained = explain(rules, &subject, context, name);
    let is_of_pods = subject.decide(rules, context).is_ok_and(|d| d.way.level == Level::Pod);
    if !is_of_pods {
        return Some(explained);
    }
    let pod = pod_from_template::pod(object)?.to_string();
    let Explained { rule, passed, parts, error, .. } =
        explain(rules, &Subject::parse(&pod)?, context, name);
    Some(Explained { rule, passed, parts, error, ..explained })
}

/// Each part of a decision, and its source.
pub fn parts(decision: &Decision) -> Vec<Part> {
    let Decision { way, sources, shaped, .. } = decision;
    let shape = way.shape.parts();
    let shape = |part: &str| {
        let part = shape.iter().find(|(name, _)| *name == part);
        part.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
    };
    let value = |part: &str| match part {
        "empty" => way.empty.to_string(),
        "containers" => way.containers.clone().unwrap_or_default(),
        "image" => match &way.image {
            Image::Keep => "keep".to_owned(),
            Image::Name(name) => name.clone(),
        },
        "idle" => idle(way.idle).to_owned(),
        "level" => level(way.level).to_owned(),
        "ready" => ready(way.ready).to_owned(),
        "standIn" => way.stand_in.is_some().to_string(),
        "for" => way.time.map(|time| format!("{time:#}")).unwrap_or_default(),
        "replicas" => way.replicas.map(|n| n.to_string()).unwrap_or_default(),
        part => shape(part).unwrap_or_default(),
    };
    let part = |(part, source): &(&'static str, DecidedBy)| Part {
        part,
        value: value(part),
        decided_by: match source {
            DecidedBy::Default => "default".to_owned(),
            DecidedBy::Flag => "flag".to_owned(),
            DecidedBy::Rule(number) => format!("rule {number}"),
            DecidedBy::Annotation => "annotation".to_owned(),
        },
    };
    sources.iter().chain(shaped).map(part).collect()
}

/// Its name in flags and rules.
pub fn idle(idle: Idle) -> &'static str {
    match idle {
        Idle::Entrypoint => "entrypoint",
        Idle::Shell => "shell",
        Idle::Agent => "agent",
    }
}

/// Its name in flags and rules.
pub fn ready(ready: Ready) -> &'static str {
    match ready {
        Ready::Container => "container",
        Ready::App => "app",
    }
}

/// Its name in flags and rules.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Workload => "workload",
        Level::Pod => "pod",
    }
}

impl Explained {
    /// `deployment/web in namespace shop`
    pub fn shown(&self) -> String {
        let Self { kind, namespace, name, .. } = self;
        let place = if namespace.is_empty() { "" } else { " in namespace " };
        format!("{}/{name}{place}{namespace}", kind.to_lowercase())
    }

    /// For people.
    pub fn text(&self) -> String {
        text::lines(std::iter::once(self.shown()).chain(self.details()))
    }

    /// For people: the examined rules, and the source of each part.
    pub fn details(&self) -> Vec<String> {
        let passed = self.passed.iter();
        let mut lines: Vec<_> = passed
            .map(|Passed { rule, about_other }| format!("  rule {rule} is for other {about_other}"))
            .collect();
        lines.push(match self.rule {
            Some(rule) => format!("  rule {rule} matches"),
            None => "  no rule matches".to_owned(),
        });
        if self.declines {
            lines.push(format!("  it is opted out: {LABEL} is {DISABLED}"));
        }
        if let Some(error) = &self.error {
            lines.push(format!("  it stays as it is: {error}"));
        }
        for Part { part, value, decided_by } in &self.parts {
            let value = match (*part, value.as_str()) {
                ("containers", "") => "the main container",
                ("replicas", "") => "as they are",
                (_, value) => value,
            };
            lines.push(format!("  {part:<11} {value:<26} {decided_by}"));
        }
        lines
    }
}

/// Whether an object of this kind can be emptied at all.
pub fn is_workload(object: &serde_json::Value) -> bool {
    let word = |key: &str| object[key].as_str().unwrap_or_default();
    kinds::find(word("apiVersion"), word("kind")).is_some()
}
