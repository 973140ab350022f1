//! The fields that emptying changes, and what it makes of each.

use serde_json::{Value, json};

use super::{
    ready::{self, AgentProbe},
    rules::{EmptyingSettings, Idle, Image, Ready},
    shape::{self, SHAPED_IN_CONTAINER, SHAPED_IN_POD, Shaped},
};
use crate::{json, kinds::Kind};

/// What the emptied container runs: [`MOUNTED`](diyadm_agent::MOUNTED).
pub(super) const AGENT_COMMAND: &str = "[\"/.diyadm/diyadm-agent\"]";

/// What the command of a container with a stand-in begins with; the stand-in's own follows.
pub const STAND_IN_PREFIX: [&str; 3] = [diyadm_agent::MOUNTED, "--stand-in", "--"];

/// PID 1 of `--idle shell`: waits, reaps orphaned processes, and exits on SIGTERM. Without `sleep` in
/// the image it exits at once, so that it never spins.
const SHELL: &str = r#"["sh","-c","trap 'kill $! 2>/dev/null; exit 0' TERM INT; while :; do sleep 2147483647 & wait $! || exit 1; done"]"#;

/// Of an image that has another name than the application's.
pub(super) const PULL: &str = "\"IfNotPresent\"";

/// `tail -f /dev/null` as PID 1 ignores SIGTERM, so a longer grace is only a longer wait. See
/// [`needs_grace`].
pub(super) const SHORT_GRACE: &str = "1";

/// The fields of a container that emptying changes.
pub const CONTAINER_FIELDS: [&str; 8] = [
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
pub(super) const IMAGE: &str = CONTAINER_FIELDS[0];
/// Those that say what a container runs.
pub const PROGRAM: [&str; 2] = ["image", "command"];
/// The fields of a pod that emptying changes.
pub(super) const POD_FIELDS: [&str; 2] = [GRACE, PULL_SECRETS];
/// How long the pod's containers may take to stop.
pub const GRACE: &str = "terminationGracePeriodSeconds";
/// The Secrets that its images are pulled with.
pub(super) const PULL_SECRETS: &str = "imagePullSecrets";
pub(super) const REPLICAS: &str = "replicas";
const STRATEGY: &str = "strategy";
const UPDATE_STRATEGY: &str = "updateStrategy";
const SUSPEND: &str = "suspend";
/// The fields of a workload's own spec that emptying changes, of any kind.
pub(super) const SPEC_FIELDS: [&str; 4] = [REPLICAS, STRATEGY, UPDATE_STRATEGY, SUSPEND];

/// Those of [`SPEC_FIELDS`] that emptying changes in this kind.
pub(super) fn spec_fields(kind: Option<&Kind>) -> &'static [&'static str] {
    kind.map_or(&[], |kind| kind.own_fields)
}

/// What emptying makes of a field; JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmptiedValue {
    /// It stays as the user means it.
    Leave,
    /// This; `None` is absent.
    Set(Option<String>),
    /// The user's own list, with these Secrets.
    PullSecrets(Vec<String>),
    /// The user's own value, with the parts of this one.
    Merge(Value),
    /// The agent's probe, made of the user's own; how the container idles says where the agent is.
    AgentProbe(Idle),
    /// The same for a probe that restarts the container; none where the user has none.
    AliveProbe,
    /// [`STAND_IN_PREFIX`] with the user's own command or, if there is none, with this.
    StandIn(Option<Vec<String>>),
    /// They stay if the user's own command does, else they are removed.
    StandInArgs,
}

/// What emptying that way makes of one of [`CONTAINER_FIELDS`], or of a pod's fields.
pub fn target(field: &str, way: &EmptyingSettings) -> EmptiedValue {
    let set = |text: &str| EmptiedValue::Set(Some(text.to_owned()));
    if let Some(stand_in) = &way.stand_in {
        match field {
            "command" => return EmptiedValue::StandIn(stand_in.command.clone()),
            "args" => return EmptiedValue::StandInArgs,
            "livenessProbe" | "startupProbe" => return EmptiedValue::AliveProbe,
            "readinessProbe" if way.ready == Ready::Container => return EmptiedValue::Leave,
            // The Pods become Ready by themselves, so a rollout may wait for them.
            "lifecycle" | STRATEGY | UPDATE_STRATEGY => return EmptiedValue::Leave,
            _ => {}
        }
    }
    match (field, &way.image, way.idle) {
        ("image", Image::Name(name), _) => {
            EmptiedValue::Set(Some(Value::from(name.as_str()).to_string()))
        }
        ("imagePullPolicy", Image::Name(_), _) => set(PULL),
        ("image" | "imagePullPolicy", Image::Keep, _) => EmptiedValue::Leave,
        ("command", _, Idle::Shell) => set(SHELL),
        ("command", _, Idle::Agent) => set(AGENT_COMMAND),
        (GRACE, _, Idle::Entrypoint) => set(SHORT_GRACE),
        (PULL_SECRETS, Image::Name(_), _) | (PULL_SECRETS, _, Idle::Agent)
            if !way.pull_secrets.is_empty() =>
        {
            EmptiedValue::PullSecrets(way.pull_secrets.clone())
        }
        // With Secrets: nothing is pulled that the workload did not pull before.
        (GRACE | PULL_SECRETS, ..) => EmptiedValue::Leave,
        ("readinessProbe", ..) if way.ready == Ready::App => EmptiedValue::AgentProbe(way.idle),
        (STRATEGY, ..) if way.ready == Ready::App => set(ready::STRATEGY),
        (UPDATE_STRATEGY, ..) if way.ready == Ready::App => set(ready::UPDATE_STRATEGY),
        (SUSPEND, ..) if way.suspend => set("true"),
        (STRATEGY | UPDATE_STRATEGY | SUSPEND, ..) => EmptiedValue::Leave,
        (REPLICAS, ..) => {
            way.replicas.map_or(EmptiedValue::Leave, |n| EmptiedValue::Set(Some(n.to_string())))
        }
        _ if SHAPED_IN_CONTAINER.contains(&field) || SHAPED_IN_POD.contains(&field) => {
            match way.shape.target(field) {
                None => EmptiedValue::Leave,
                Some(Shaped::Set(set)) => EmptiedValue::Set(set),
                Some(Shaped::Merge(ours)) => EmptiedValue::Merge(ours),
            }
        }
        _ => EmptiedValue::Set(None),
    }
}

/// All fields of a container that emptying can change.
pub(super) fn in_container() -> impl Iterator<Item = &'static str> {
    CONTAINER_FIELDS.into_iter().chain(SHAPED_IN_CONTAINER)
}

/// All fields of a pod that emptying can change.
pub(super) fn in_pod() -> impl Iterator<Item = &'static str> {
    POD_FIELDS.into_iter().chain(SHAPED_IN_POD)
}

/// Whether [`target`] sets the field to this value in any idle mode.
pub(super) fn makes(field: &str, set: Option<&str>) -> bool {
    if let Some(makes) = shape::makes(field, set) {
        return makes;
    }
    match (field, set) {
        ("image", Some(set)) => set.starts_with('"'),
        ("imagePullPolicy", Some(set)) => set == PULL,
        ("command", Some(set)) => is_idle_command(set),
        (GRACE, Some(set)) => set == SHORT_GRACE,
        (PULL_SECRETS, Some(set)) => pull_secrets(set).is_some_and(|secrets| !secrets.is_empty()),
        (REPLICAS, Some(set)) => set.parse::<u32>().is_ok(),
        ("readinessProbe", Some(set)) => ready::is_probe(set, AgentProbe::Ready),
        ("livenessProbe" | "startupProbe", Some(set)) => ready::is_probe(set, AgentProbe::Alive),
        (STRATEGY, Some(set)) => same(Some(set), Some(ready::STRATEGY)),
        (UPDATE_STRATEGY, Some(set)) => same(Some(set), Some(ready::UPDATE_STRATEGY)),
        (SUSPEND, Some(set)) => set == "true",
        (
            "image" | "imagePullPolicy" | GRACE | PULL_SECRETS | REPLICAS | STRATEGY
            | UPDATE_STRATEGY | SUSPEND,
            None,
        ) => false,
        (_, set) => set.is_none(),
    }
}

/// A list of references to Secrets; `None` for anything else.
fn pull_secrets(text: &str) -> Option<Vec<Value>> {
    let list: Vec<Value> = serde_json::from_str(text).ok()?;
    list.iter().all(Value::is_object).then_some(list)
}

/// The list `meant` with these Secrets after its own; as it is if it is no list of references.
pub(super) fn with_pull_secrets(meant: Option<&str>, names: &[String]) -> Option<String> {
    let meant = meant.filter(|text| *text != "null");
    let Some(mut list) = meant.map_or_else(|| Some(Vec::new()), pull_secrets) else {
        return meant.map(ToOwned::to_owned);
    };
    let before = list.len();
    for name in names {
        if !list.iter().any(|known| known["name"] == *name) {
            list.push(json!({ "name": name }));
        }
    }
    let unchanged = meant.filter(|_| list.len() == before).map(ToOwned::to_owned);
    unchanged.or_else(|| Some(Value::from(list).to_string()))
}

/// Where a field is.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// In the container of this name.
    Container(&'a str),
    /// In the pod's spec.
    Pod,
    /// In the workload's own spec.
    Spec,
}

/// Whether a command, as JSON text, is one of containers that idle.
pub(super) fn is_idle_command(text: &str) -> bool {
    [SHELL, AGENT_COMMAND].into_iter().any(|idle| same(Some(text), Some(idle))) || is_stand_in(text)
}

/// The words of a command or of arguments; `None` if there are none.
pub(super) fn words(text: Option<&str>) -> Option<Vec<String>> {
    serde_json::from_str::<Vec<String>>(text?).ok().filter(|words| !words.is_empty())
}

/// Whether a command, as JSON text, is that of a container with a stand-in.
pub fn is_stand_in(text: &str) -> bool {
    words(Some(text)).is_some_and(|words| {
        words.len() > STAND_IN_PREFIX.len()
            && words.iter().zip(STAND_IN_PREFIX).all(|(a, b)| a == b)
    })
}

/// The command of a container with this stand-in, as JSON text.
pub(super) fn stand_in(command: &[String]) -> String {
    let words = STAND_IN_PREFIX.into_iter().chain(command.iter().map(String::as_str));
    words.collect::<Value>().to_string()
}

/// Whether two JSON texts are the same value: the API server writes values anew, with its own
/// escapes.
pub(super) fn same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => json::equal(one, other),
        (one, other) => one == other,
    }
}
