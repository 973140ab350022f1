//! Which workloads are emptied, and how: annotation over file over flag, field by field.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    lease_time,
    reference::{self, EMPTY_IMAGE},
    shape::Shape,
};

mod annotated;
mod file;
mod image;
mod lint;
mod shaped;

pub use annotated::stand_in_command;
pub use file::{File, Kinds, MATCHES, MEMBERS, Member, parse, parse_kinds};
pub use image::{KEEP, LONGEST_IMAGE, NOT_IN_IMAGE, image_name, registry, secret_name};
pub use lint::lint;

/// The image that a container gets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Image {
    /// Its own: only its command is replaced.
    Keep,
    /// Another one.
    Name(String),
}

impl From<String> for Image {
    fn from(text: String) -> Self {
        if text == KEEP { Self::Keep } else { Self::Name(text) }
    }
}

/// The command of an empty container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// The image's own ENTRYPOINT, as in the blog.
    Entrypoint,
    /// A loop for any image with `sh` and `sleep`; stops on SIGTERM and reaps processes.
    Shell,
    /// The agent, copied by an init container.
    Agent,
}

/// The level of emptying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The workload's own pod template changes, as in the blog.
    Workload,
    /// Only the Pods change; their owner stays unchanged.
    Pod,
}

/// When an emptied Pod is Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// As soon as its containers run: Services send requests to it.
    Container,
    /// While an application runs in it and the workload's own readiness probe succeeds.
    App,
}

/// The settings of one source: a flag, a rule of the file, an annotation. `None` leaves it to the
/// next source.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Whether it is emptied at all.
    pub empty: Option<bool>,
    /// `a,b`, or `*` for all.
    pub containers: Option<String>,
    /// An image, or `keep` for their own.
    #[schemars(with = "Option<String>")]
    pub image: Option<Image>,
    /// What the empty container runs.
    pub idle: Option<Idle>,
    /// What changes.
    pub level: Option<Level>,
    /// Its replicas while it is empty.
    pub replicas: Option<u32>,
    /// When the Pods of an empty workload are Ready.
    pub ready: Option<Ready>,
    /// Whether the workload's own command runs while no other application does.
    #[serde(rename = "standIn")]
    pub stand_in: Option<bool>,
    /// How long they stay empty: `8h`.
    #[serde(rename = "for", deserialize_with = "lease_time::deserialize")]
    #[schemars(with = "Option<String>")]
    pub time: Option<SignedDuration>,
    /// The Pod's shape meanwhile.
    #[serde(flatten)]
    pub shape: Shape,
}

/// A rule of rules.yaml.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Rule {
    /// Which workloads it matches; an empty one matches all.
    pub r#match: Match,
    /// How they are emptied.
    #[serde(flatten)]
    pub choice: Choice,
}

/// What a rule matches: every non-empty list must have a matching pattern. `*` and `?` match any
/// text and any character.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Namespaces.
    pub namespaces: Vec<String>,
    /// `Deployment`, `deploy`, …
    pub kinds: Vec<String>,
    /// Names.
    pub names: Vec<String>,
    /// Labels of the workload, or of the Pod at level pod.
    pub labels: BTreeMap<String, String>,
}

/// The emptying rules. The defaults are the blog's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The settings of the flags.
    pub flags: Choice,
    /// The rules of rules.yaml; the first matching one is used.
    pub list: Vec<Rule>,
    /// The image of empty containers where no flag, rule or annotation names one.
    pub empty_image: String,
    /// The image that has the agent, for [`Idle::Agent`].
    pub agent_image: String,
    /// Names of the Secrets for pulling these images.
    pub pull_secrets: Vec<String>,
    /// Namespace and name of the webhook itself, which is never emptied.
    pub own: (String, String),
}

/// The default image with the agent. It runs as a non-root user.
pub const AGENT_IMAGE: &str = "diyadm-agent:latest";

impl Default for Rules {
    fn default() -> Self {
        Self {
            flags: Choice::default(),
            list: Vec::new(),
            empty_image: EMPTY_IMAGE.to_owned(),
            agent_image: AGENT_IMAGE.to_owned(),
            pull_secrets: Vec::new(),
            own: ("test".to_owned(), "diyadmissionwebhook".to_owned()),
        }
    }
}

impl Rules {
    /// The blog's, with another image.
    pub fn with_image(image: &str) -> Self {
        let image = Some(Image::from(image.to_owned()));
        Self { flags: Choice { image, ..Choice::default() }, ..Self::default() }
    }
}

/// The input of rules: the object to empty.
#[derive(Clone, Debug, Default)]
pub struct RuleInput<'a> {
    /// Its namespace; empty if unknown.
    pub namespace: &'a str,
    /// Kind and name; for a Pod those of its owner, with all possible owners.
    pub names: Vec<(&'a str, &'a str)>,
    /// Its labels.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// An annotation's value: a client's requested one, then its own, then its pod template's.
    pub annotations: Vec<(&'a str, &'a str)>,
}

/// How a workload is emptied: the resolved settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyingSettings {
    /// See [`Choice::empty`].
    pub empty: bool,
    /// See [`Choice::containers`]; `None` is the main container.
    pub containers: Option<String>,
    /// See [`Image`].
    pub image: Image,
    /// What the empty container runs.
    pub idle: Idle,
    /// What changes.
    pub level: Level,
    /// `None` leaves them as they are.
    pub replicas: Option<u32>,
    /// When the Pods of an empty workload are Ready.
    pub ready: Ready,
    /// The stand-in, if the workload's own command runs while no other application does.
    pub stand_in: Option<StandIn>,
    /// Whether a CronJob is suspended meanwhile.
    pub suspend: bool,
    /// How long it stays empty; `None` has no end.
    pub time: Option<SignedDuration>,
    /// The Pod's shape meanwhile.
    pub shape: Shape,
    /// Names of the Secrets for pulling diyadm's images.
    pub pull_secrets: Vec<String>,
}

/// The workload's own command, which the agent runs while no other application does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandIn {
    /// The command line for a container whose spec has no command, if it is known.
    pub command: Option<Vec<String>>,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// diyadm's default.
    Default,
    /// A flag.
    Flag,
    /// The rule of this number, from 1.
    Rule(usize),
    /// An annotation.
    Annotation,
}

/// The settings, and the source of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub way: EmptyingSettings,
    /// The number of the first matching rule, from 1.
    pub rule: Option<usize>,
    /// `empty`, `containers`, `image`, `idle`, `level`, `replicas`, `ready`, `standIn`, in this
    /// order.
    pub sources: [(&'static str, DecidedBy); 8],
    /// The same of each part of the Pod's shape that changes, and of `for` if it has a value.
    pub shaped: Vec<(&'static str, DecidedBy)>,
}

impl Rules {
    /// Resolves all settings for one workload.
    ///
    /// # Errors
    /// A sentence: what an annotation says that makes no sense, or wishes that do not go together.
    pub fn decide(&self, about: &RuleInput<'_>) -> Result<Decision, String> {
        let fits = self.list.iter().position(|rule| rule.r#match.fits(about));
        let none = Choice::default();
        let file = fits.map_or(&none, |at| &self.list[at].choice);
        let notes = annotated::choice(about)?;
        let sources = [
            (DecidedBy::Annotation, &notes),
            (DecidedBy::Rule(fits.map_or(0, |at| at + 1)), file),
            (DecidedBy::Flag, &self.flags),
        ];
        let empty = first(&sources, |c| c.empty);
        let containers = first(&sources, |c| c.containers.clone());
        let image = first(&sources, |c| c.image.clone());
        let idle = first(&sources, |c| c.idle);
        let level = first(&sources, |c| c.level);
        let replicas = first(&sources, |c| c.replicas);
        let ready = first(&sources, |c| c.ready);
        let stand_in = first(&sources, |c| c.stand_in);
        let stands_in = stand_in.0 == Some(true);
        let (shape, mut shaped) = shaped::decide(&sources);
        let time = first(&sources, |c| c.time);
        shaped.extend(time.0.map(|_| ("for", time.1)));
        let way = EmptyingSettings {
            empty: empty.0.unwrap_or(true),
            containers: containers.0,
            idle: idle.0.unwrap_or(match &image.0 {
                _ if stands_in => Idle::Agent,
                // The probe calls an agent, which other images may lack.
                Some(Image::Keep) if ready.0 == Some(Ready::App) => Idle::Agent,
                Some(Image::Name(name)) if ready.0 == Some(Ready::App) && !has_agent(name) => {
                    Idle::Agent
                }
                // Its own ENTRYPOINT runs the application.
                Some(Image::Keep) => Idle::Shell,
                _ => Idle::Entrypoint,
            }),
            image: image.0.unwrap_or_else(|| {
                if stands_in { Image::Keep } else { Image::Name(self.empty_image.clone()) }
            }),
            level: level.0.unwrap_or(Level::Workload),
            replicas: replicas.0,
            ready: ready.0.unwrap_or(Ready::Container),
            stand_in: stands_in.then(|| annotated::stand_in(about)).transpose()?,
            suspend: annotated::suspends(about)?,
            time: time.0,
            shape,
            pull_secrets: self.pull_secrets.clone(),
        };
        if stands_in && (way.image != Image::Keep || way.idle != Idle::Agent) {
            return Err(
                "a stand-in runs in the workload's own image, by the agent; use image keep \
                        and idle agent"
                    .to_owned(),
            );
        }
        if way.image == Image::Keep && way.idle == Idle::Entrypoint {
            return Err(
                "image keep with idle entrypoint runs the application itself; use idle shell or \
                 agent"
                    .to_owned(),
            );
        }
        if way.ready == Ready::App && way.idle == Idle::Shell {
            return Err(
                "ready app needs the agent, which idle shell lacks; use idle agent".to_owned()
            );
        }
        let sources = [
            ("empty", empty.1),
            ("containers", containers.1),
            ("image", image.1),
            ("idle", idle.1),
            ("level", level.1),
            ("replicas", replicas.1),
            ("ready", ready.1),
            ("standIn", stand_in.1),
        ];
        Ok(Decision { way, rule: fits.map(|at| at + 1), sources, shaped })
    }
}

impl Rules {
    /// The rules before the matching one, with the list that does not match.
    pub fn passed(&self, about: &RuleInput<'_>) -> Vec<(usize, &'static str)> {
        let misfits = self.list.iter().map_while(|rule| rule.r#match.misfit(about));
        (1..).zip(misfits).collect()
    }
}

/// Whether an image is diyadm's own, from any registry.
fn has_agent(image: &str) -> bool {
    reference::name(image) == reference::name(EMPTY_IMAGE)
}

/// The first source with a value.
fn first<'c, T>(
    sources: &[(DecidedBy, &'c Choice); 3],
    pick: impl Fn(&'c Choice) -> Option<T>,
) -> (Option<T>, DecidedBy) {
    let found = sources.iter().find_map(|(from, choice)| Some((pick(choice)?, *from)));
    found.map_or((None, DecidedBy::Default), |(value, from)| (Some(value), from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{IDLE, IMAGE};

    #[test]
    fn first_matching_rule_wins_and_annotations_override_it() {
        let list = parse(
            "rules:\n\
             - match: {kinds: [sts], names: [\"db-*\"]}\n  empty: false\n\
             - match: {labels: {app: api}}\n  image: keep\n  idle: agent\n  replicas: 1\n",
        )
        .unwrap();
        let rules = Rules { list, ..Rules::default() };
        let about = |kind, name, app, idle: &'static str| RuleInput {
            namespace: "n",
            names: vec![(kind, name)],
            labels: [("app", app)].into(),
            annotations: if idle.is_empty() { vec![] } else { vec![(IDLE, idle)] },
        };
        let way = |kind, name, app, idle| rules.decide(&about(kind, name, app, idle)).unwrap().way;
        assert!(!way("StatefulSet", "db-0", "api", "").empty);
        assert!(way("Deployment", "db-0", "x", "").empty);
        let kept = way("Deployment", "db-0", "api", "shell");
        assert_eq!((kept.image, kept.idle, kept.replicas), (Image::Keep, Idle::Shell, Some(1)));
        assert!(rules.decide(&about("Deployment", "x", "api", "entrypoint")).is_err());
        assert!(rules.decide(&about("Deployment", "x", "", "sleep")).is_err());
        let mut spaced = about("Deployment", "x", "api", "");
        spaced.annotations = vec![(IMAGE, "a b")];
        let why = rules.decide(&spaced).unwrap_err();
        assert_eq!(why, "annotation diyadm.io/image has the value \"a b\"");
        let decision = rules.decide(&about("Deployment", "x", "api", "shell")).unwrap();
        assert_eq!(decision.rule, Some(2));
        assert_eq!(decision.sources[3], ("idle", DecidedBy::Annotation));
        assert_eq!(decision.sources[2], ("image", DecidedBy::Rule(2)));
        assert_eq!(decision.sources[4], ("level", DecidedBy::Default));
    }
}
