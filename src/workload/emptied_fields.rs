//! The fields that emptying changes, and what it makes of each.

use super::{
    ready,
    rules::{EmptyingSettings, Idle, Image, Ready},
};
use crate::{json, kinds::Kind};

/// What the emptied container runs: [`MOUNTED`](diyadm_agent::MOUNTED).
pub(super) const AGENT_COMMAND: &str = "[\"/.diyadm/diyadm-agent\"]";

/// PID 1 of `--idle shell`: waits, reaps whatever is orphaned, and goes at SIGTERM. An image
/// without `sleep` ends it at once, so that it never spins.
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
/// The field of a pod that emptying changes.
pub const GRACE: &str = "terminationGracePeriodSeconds";
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
    /// The agent's probe, made of the user's own; how the container idles says where the agent is.
    AgentProbe(Idle),
}

/// What emptying that way makes of one of [`CONTAINER_FIELDS`], or of [`GRACE`].
pub fn target(field: &str, way: &EmptyingSettings) -> EmptiedValue {
    let set = |text: &str| EmptiedValue::Set(Some(text.to_owned()));
    match (field, &way.image, way.idle) {
        ("image", Image::Name(name), _) => {
            EmptiedValue::Set(Some(serde_json::Value::from(name.as_str()).to_string()))
        }
        ("imagePullPolicy", Image::Name(_), _) => set(PULL),
        ("image" | "imagePullPolicy", Image::Keep, _) => EmptiedValue::Leave,
        ("command", _, Idle::Shell) => set(SHELL),
        ("command", _, Idle::Agent) => set(AGENT_COMMAND),
        (GRACE, _, Idle::Entrypoint) => set(SHORT_GRACE),
        (GRACE, ..) => EmptiedValue::Leave,
        ("readinessProbe", ..) if way.ready == Ready::App => EmptiedValue::AgentProbe(way.idle),
        (STRATEGY, ..) if way.ready == Ready::App => set(ready::STRATEGY),
        (UPDATE_STRATEGY, ..) if way.ready == Ready::App => set(ready::UPDATE_STRATEGY),
        (SUSPEND, ..) if way.suspend => set("true"),
        (STRATEGY | UPDATE_STRATEGY | SUSPEND, ..) => EmptiedValue::Leave,
        (REPLICAS, ..) => {
            way.replicas.map_or(EmptiedValue::Leave, |n| EmptiedValue::Set(Some(n.to_string())))
        }
        _ => EmptiedValue::Set(None),
    }
}

/// Whether this is what [`target`] makes of the field, whichever way: no original says otherwise.
pub(super) fn makes(field: &str, set: Option<&str>) -> bool {
    match (field, set) {
        ("image", Some(set)) => set.starts_with('"'),
        ("imagePullPolicy", Some(set)) => set == PULL,
        ("command", Some(set)) => idle_commands().any(|idle| idle == set),
        (GRACE, Some(set)) => set == SHORT_GRACE,
        (REPLICAS, Some(set)) => set.parse::<u32>().is_ok(),
        ("readinessProbe", Some(set)) => ready::is_probe(set),
        (STRATEGY, Some(set)) => same(Some(set), Some(ready::STRATEGY)),
        (UPDATE_STRATEGY, Some(set)) => same(Some(set), Some(ready::UPDATE_STRATEGY)),
        (SUSPEND, Some(set)) => set == "true",
        (
            "image" | "imagePullPolicy" | GRACE | REPLICAS | STRATEGY | UPDATE_STRATEGY | SUSPEND,
            None,
        ) => false,
        (_, set) => set.is_none(),
    }
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

/// The commands of containers that idle.
pub(super) fn idle_commands() -> impl Iterator<Item = &'static str> {
    [SHELL, AGENT_COMMAND].into_iter()
}

/// Whether two JSON texts are one value: what the API server hands on it has written itself, with
/// its own escapes.
pub(super) fn same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => json::equal(one, other),
        (one, other) => one == other,
    }
}
