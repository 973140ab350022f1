//! The core: emptying and restoring a workload.
//!
//! Everything that changes a workload goes through [`empty`], [`restore`], or [`Subject::settle`],
//! which chooses between the two. They read a borrowed view of the manifest's JSON text and return
//! a JSON Patch; none reads a file, contacts a cluster or reads the clock.

use serde::de::Error as _;
use serde_json::Error;

mod agent;
mod annotation_edits;
mod annotations;
mod announce;
mod appliers;
mod applies;
mod assigned;
pub mod autoscaler;
mod change;
mod checksum;
mod choose;
pub mod copy;
mod emptied_fields;
mod empty_container;
mod emptying;
mod expiry;
mod field;
mod lease_time;
mod lists;
mod members;
mod merge;
mod newer;
mod old_object;
mod original;
pub mod ownership;
mod parsed_object;
mod patch;
pub mod pod_from_template;
pub mod pods;
mod quantity;
mod ready;
pub mod recreation;
mod reference;
mod refusal;
mod restore_from_manifest;
mod rewritten;
mod rollout_undo;
mod rule_input;
mod rules;
mod service;
pub(crate) mod shape;
mod summary;
mod template;
mod text;
mod trust;
mod view;
mod volumes;
mod warning;
mod windows;

pub use agent::{AGENT, AGENT_LIKE, agent_init_container, agent_mount, agent_volume};
pub use annotation_edits::RequestedAnnotation;
pub use annotations::{
    ANNOTATIONS, Annotation, BY_POLICY, CONTAINERS, COPY, COPY_OF, DEBUG_PORT, DISABLED,
    EMPTIED_BY, ENABLED, EXPIRES, FIELD_MANAGER, HOLDS, IDLE, IMAGE, LABEL, LEVEL, ORIGINAL, READY,
    REPLICAS, REQUESTABLE_ANNOTATIONS, SERVICE_TYPE, SHAPE, STAND_IN, STAND_IN_COMMAND, SUSPEND,
    WEBHOOK_NAMESPACE,
};
pub use choose::{DEFAULT_CONTAINER, HELPERS, INJECTED};
pub use emptied_fields::{
    CONTAINER_FIELDS, EmptiedValue, GRACE, PROGRAM, STAND_IN_PREFIX, is_stand_in, target,
};
pub use original::Stamp;
pub use parsed_object::ParsedObject;
pub use ready::{
    AgentProbe, LONGEST_DELAY, TIMES as AGENT_PROBE_TIMES, is_probe as is_agent_probe,
};
pub use reference::EMPTY_IMAGE;
pub use refusal::{OptOut, Refusal};
pub use rules::{
    AGENT_IMAGE, Choice, DecidedBy, Decision, EmptyingSettings, File as RulesFile, Idle, Image,
    KEEP, Kinds as KindsFile, LONGEST_IMAGE, Level, MATCHES, MEMBERS, Match, Member, NOT_IN_IMAGE,
    Ready, Rule, RuleInput, Rules, StandIn, image_name, lint as lint_rules, parse as parse_rules,
    parse_kinds, registry, secret_name, stand_in_command,
};
pub use shape::{Resources, SHAPED_IN_CONTAINER, SHAPED_IN_POD, Shape};
pub use summary::{EmptiedSummary, EmptyContainer};
pub use text::{declines, empty, is_emptied, is_emptied_pod, restore};
pub use trust::FromOriginal;
pub use warning::{ContainerFault, NamedBy, WARNING_PREFIX, Warning};
pub use windows::{OS_LABELS, is_windows_spec};
pub use {change::Change, expiry::expiry, lease_time::lease_time, rule_input::cron_job};

use annotation_edits::annotate;
use old_object::OldObject;
use original::Original;
use rule_input::rule_input;
use view::Object;

use crate::{
    json::{self, Tree},
    kinds::{Controller, Kind},
};
pub(crate) use {members::TOO_LONG, view::OBJECT};

/// Information besides the object itself.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// The namespace, if the object has none.
    pub namespace: &'a str,
    /// The object before an update, as JSON text; parsed on demand.
    pub old: Option<&'a str>,
    /// Who empties it, and when.
    pub stamp: Option<&'a Stamp>,
    /// Annotations that a client changes together with emptying.
    pub requested_annotations: &'a [RequestedAnnotation],
    /// Whether it is being created.
    pub created: bool,
    /// Whether restoring keeps the order of members, for files that people read.
    pub keeps_order: bool,
}

/// The result for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Left as it is.
    Unchanged,
    /// Emptied.
    Emptied,
    /// Restored.
    Restored,
}

/// An object of any kind: parsed once, with many queries.
pub struct Subject<'a> {
    tree: Tree<'a>,
    root: usize,
    object: Object<'a>,
}

impl<'a> Subject<'a> {
    /// Parses the relevant parts of an object (JSON text).
    ///
    /// # Errors
    /// What no API server would take for an object.
    pub fn try_parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let tree = json::parse(text, &OBJECT).map_err(|broken| {
            let (line, column) = broken.place(text);
            Error::custom(format!("{} at line {line} column {column}", broken.fault))
        })?;
        Self::from_tree(tree, 0).map_err(|(odd, _)| Error::custom(odd))
    }

    /// The object at `root` of a tree that was parsed with [`OBJECT`].
    ///
    /// # Errors
    /// What is odd about it.
    pub(crate) fn from_tree(tree: Tree<'a>, root: usize) -> Result<Self, (&'static str, Tree<'a>)> {
        let node = tree.node(root);
        let word = |name| node.get(name).and_then(json::Node::string).unwrap_or_default();
        // Of a kind that has its pod template where no other has one.
        let own = view::plan(&word("apiVersion"), &word("kind"));
        let Ok(own) = own.map(|plan| json::parse(node.text(), plan)).transpose() else {
            return Err(("it has two members of one name", tree));
        };
        match (Object::from_node(own.as_ref().map_or(node, Tree::root)), own) {
            (Err(odd), _) => Err((odd, tree)),
            (Ok(object), Some(own)) => Ok(Self { tree: own, root: 0, object }),
            (Ok(object), None) => Ok(Self { tree, root, object }),
        }
    }

    /// [`Subject::read`] without the reason of a failure.
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::try_parse(text).ok()
    }

    /// `kind`
    pub fn kind(&self) -> &str {
        self.object.kind()
    }

    /// Its workload kind.
    pub fn workload(&self) -> Option<&'static Kind> {
        self.object.workload()
    }

    /// Whether it has a controller: a ReplicaSet of a Deployment, a Pod of a ReplicaSet.
    pub fn is_controlled(&self) -> bool {
        self.object.controller().is_some()
    }

    /// Whether it has an original, that is, was emptied.
    pub fn is_emptied(&self) -> bool {
        self.object.annotation(ORIGINAL).is_some()
    }

    /// Whether it is a Pod that a policy emptied without an original.
    pub fn is_by_policy(&self) -> bool {
        self.object.annotation(EMPTIED_BY).is_some()
    }

    /// Since when it is empty, and by whom.
    ///
    /// # Errors
    /// In a few words, why the original is not trusted.
    pub fn stamp(&self) -> Option<Result<Stamp, String>> {
        let text = self.object.annotation(ORIGINAL)?;
        Some(if self.object.service().is_some() {
            Ok(Stamp::default())
        } else {
            Original::open(text).map(|original| original.stamp)
        })
    }

    /// Whether the pod still runs the emptied command; `None` if it was not emptied.
    pub fn holds(&self) -> Option<bool> {
        let original = Original::open(self.object.annotation(ORIGINAL)?).ok()?;
        Some(assigned::holds(&original, &self.object.pod()?))
    }

    /// Whether it has opted out: [`LABEL`] as a label or annotation, its own or its pod template's,
    /// with any value except [`ENABLED`].
    pub fn declines(&self) -> bool {
        let object = &self.object;
        let own = [object.annotation(LABEL), object.label(LABEL)];
        let pod = object.pod();
        let template = pod.as_ref().map(|pod| [pod.annotation(LABEL), pod.label(LABEL)]);
        let mut all = own.into_iter().chain(template.into_iter().flatten()).flatten();
        all.any(|value| value != ENABLED)
    }

    /// The decision of the rules, and its sources.
    ///
    /// # Errors
    /// A sentence: see [`Rules::decide`].
    pub fn decide(&self, rules: &Rules, context: &Context<'_>) -> Result<Decision, String> {
        let pod = self.object.pod();
        rules.decide(&rule_input(&self.object, pod.as_ref(), context))
    }

    /// The rules before the matching one, with the list that does not match: `namespaces`, `kinds`,
    /// `names`, `labels`.
    pub fn passed(&self, rules: &Rules, context: &Context<'_>) -> Vec<(usize, &'static str)> {
        let pod = self.object.pod();
        rules.passed(&rule_input(&self.object, pod.as_ref(), context))
    }

    /// Changes the object by the rules: empties it or, if it has opted out, restores it.
    pub fn settle(&self, rules: &Rules, context: &Context<'_>) -> (Settled, Change) {
        let object = &self.object;
        if is_own(rules, object, context.namespace) {
            return (Settled::Unchanged, Change::none());
        }
        // A ReplicaSet also has its owner's annotations; if changed, the Deployment would not
        // recognise it.
        if self.workload().is_some_and(|kind| kind.controller != Controller::Itself)
            && self.is_controlled()
        {
            return (Settled::Unchanged, Change::none());
        }
        let before = OldObject::new(context.old);
        if self.is_emptied() && before.get().is_some_and(|old| self.comes_back_to(old)) {
            let mut change = self.restore(OptOut::Set, before.get());
            change.warnings.push(Warning::Restored);
            return (Settled::Restored, change);
        }
        if let Some(old) = before.declining() {
            let forgets = self.forgets_refusal(old);
            if forgets || self.declines() {
                if let Some(change) = self.keep(old, forgets, rules, context) {
                    return (Settled::Restored, change);
                }
                if forgets {
                    return (Settled::Unchanged, self.decline());
                }
            }
        }
        let goes_back = self.is_emptied() && (self.declines() || self.pod_says_no(rules, context));
        if context.old.is_some() && self.workload().is_some_and(|kind| !kind.mutable) {
            let change =
                if goes_back { Change::warned(Warning::Immutable) } else { Change::none() };
            return (Settled::Unchanged, change);
        }
        if goes_back {
            (Settled::Restored, self.restore(OptOut::Leave, before.get()))
        } else {
            (Settled::Emptied, self.emptied(rules, context, &before))
        }
    }

    /// Whether the rules restore the workload.
    fn pod_says_no(&self, rules: &Rules, context: &Context<'_>) -> bool {
        let decision = self.decide(rules, context);
        self.workload().is_some_and(|kind| {
            decision.is_ok_and(|Decision { way, .. }| {
                !way.empty || (way.level == Level::Pod && kind.controller != Controller::Itself)
            })
        })
    }

    /// See [`empty`].
    pub fn empty(&self, rules: &Rules, context: &Context<'_>) -> Change {
        self.emptied(rules, context, &OldObject::new(context.old))
    }

    fn emptied(&self, rules: &Rules, context: &Context<'_>, before: &OldObject<'_>) -> Change {
        let object = &self.object;
        let declines =
            self.declines() && !context.requested_annotations.iter().any(|one| one.key == LABEL);
        if is_own(rules, object, context.namespace) || declines {
            return Change::none();
        }
        if let Some(service) = object.service() {
            return service::open(object, &service);
        }
        let Some(pod) = object.pod() else { return Change::none() };
        let Decision { way, sources, .. } =
            match rules.decide(&rule_input(object, Some(&pod), context)) {
                Ok(decision) => decision,
                Err(why) => {
                    return emptying::refused(object, before, Warning::NotEmptied(why));
                }
            };
        let is_pod = object.kind() == "Pod";
        if is_pod && self.is_of_copy() {
            return Change::none();
        }
        // An object with a controller is emptied with its owner or, at level pod, as a Pod.
        let wanted = match (way.level, self.is_controlled()) {
            (Level::Workload, controlled) => !controlled,
            (Level::Pod, _) => is_pod,
        };
        if !way.empty || !wanted {
            return Change::none();
        }
        if windows::is_for_windows(&pod) {
            return Change::warned(Warning::Windows);
        }
        let mut change = emptying::empty((object, &pod), &way, rules, context, before);
        let is_requested =
            context.requested_annotations.iter().any(|w| w.key == CONTAINERS && w.value.is_some());
        let by = sources.iter().find(|(name, _)| *name == "containers").map(|(_, by)| *by);
        let by = match by {
            Some(DecidedBy::Rule(number)) => NamedBy::Rule(number),
            Some(DecidedBy::Flag) => NamedBy::Flag,
            Some(DecidedBy::Annotation) if is_requested => NamedBy::Flag,
            _ => NamedBy::Annotation,
        };
        for warning in &mut change.warnings {
            if let Warning::Containers { named_by, .. } = warning {
                *named_by = by;
            }
        }
        change
    }

    /// Whether it is a Pod of a copy, whose own pod template is empty by its own flags.
    fn is_of_copy(&self) -> bool {
        self.is_controlled() && [COPY, COPY_OF].iter().all(|key| self.object.label(key).is_some())
    }

    /// See [`restore`]. `old` is the object before an update.
    pub fn restore(&self, opt_out: OptOut, old: Option<&Subject<'_>>) -> Change {
        let object = &self.object;
        let Some(text) = object.annotation(ORIGINAL) else { return Change::none() };
        if let Some(service) = object.service() {
            return service::close(object, &service, text);
        }
        let Some(pod) = object.pod() else { return Change::none() };
        let original = match Original::open(text) {
            Ok(original) => original,
            Err(why) => return untrusted(&why),
        };
        let (kept, set): (&[_], _) = match opt_out {
            OptOut::Set => (&[LABEL], Some((LABEL, Some(DISABLED)))),
            OptOut::Leave => (&[], None),
        };
        let old = old.map(|old| &old.object);
        let patch = emptying::restore((object, &pod), &original, old, kept, set);
        Change { patch: patch.finish(), warnings: Vec::new() }
    }

    /// Whether a change applies to the object: the patch is tested on its parsed parts.
    pub fn takes(&self, change: &Change) -> bool {
        change.is_empty() || applies::applies(self.tree.node(self.root), &change.patch)
    }
}

fn untrusted(why: &str) -> Change {
    Change::warned(Warning::Untrusted(why.to_owned()))
}

/// kube-system's objects and the webhook's own.
fn is_own(rules: &Rules, object: &Object<'_>, namespace: &str) -> bool {
    let namespace = object.namespace().or(Some(namespace).filter(|n| !n.is_empty()));
    namespace == Some("kube-system")
        || (object.name() == Some(rules.own.1.as_str())
            && namespace.is_none_or(|n| n == rules.own.0))
}
