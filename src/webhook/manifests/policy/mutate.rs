//! Changes the chosen containers in CEL: the equivalent of [`target`] for each field.

use serde_json::Value;

use super::{cel, stand_in};
use crate::{
    explain,
    workload::{
        AGENT_LIKE, BY_POLICY, CONTAINER_FIELDS, EMPTIED_BY, EmptiedValue, EmptyingSettings, GRACE,
        Idle, Image, Level, Ready, Shape, StandIn, agent_init_container, agent_mount, agent_volume,
        target,
    },
};

/// The change of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It stays.
    Leave,
    /// It goes.
    Absent,
    /// Set to this CEL value.
    Value(String),
    /// The agent's command before the container's own.
    StandIn,
    /// It goes, unless the container has its own command.
    StandInArgs,
    /// The agent's probe, if there is one.
    Alive,
}

/// Placeholder for the Pod's new image.
const ANY: &str = "\u{0}";

/// All ways to empty a container; the last one has a stand-in.
fn ways() -> impl Iterator<Item = EmptyingSettings> {
    let way = |image, idle, stand_in| EmptyingSettings {
        empty: true,
        containers: None,
        image,
        idle,
        level: Level::Pod,
        replicas: None,
        ready: Ready::Container,
        stand_in,
        suspend: false,
        time: None,
        shape: Shape::default(),
        pull_secrets: Vec::new(),
    };
    let images = [Image::Keep, Image::Name(ANY.to_owned())];
    let plain = images.into_iter().flat_map(move |image| {
        let idles = [Idle::Entrypoint, Idle::Shell, Idle::Agent];
        idles.map(|idle| way(image.clone(), idle, None))
    });
    plain.chain([way(Image::Keep, Idle::Agent, Some(StandIn::default()))])
}

/// The changes of a field with their conditions, exactly one of which is true.
pub(super) fn cases(field: &str) -> Vec<(String, Form)> {
    let form = |way: &EmptyingSettings| match target(field, way) {
        // A policy with the agent's probe, with Secrets or with a shape is rejected earlier.
        EmptiedValue::Leave
        | EmptiedValue::AgentProbe(_)
        | EmptiedValue::PullSecrets(_)
        | EmptiedValue::Merge(_) => Form::Leave,
        EmptiedValue::AliveProbe => Form::Alive,
        EmptiedValue::StandIn(_) => Form::StandIn,
        EmptiedValue::StandInArgs => Form::StandInArgs,
        EmptiedValue::Set(None) => Form::Absent,
        EmptiedValue::Set(Some(value)) if value == cel::text(ANY) => {
            Form::Value("variables.image".to_owned())
        }
        EmptiedValue::Set(Some(value)) => {
            let value: Value = serde_json::from_str(&value).unwrap_or_default();
            Form::Value(cel::json(&value))
        }
    };
    let mut cases: Vec<(Vec<EmptyingSettings>, Form)> = Vec::new();
    for way in ways() {
        let form = form(&way);
        match cases.iter_mut().find(|(_, known)| *known == form) {
            Some((ways, _)) => ways.push(way),
            None => cases.push((vec![way], form)),
        }
    }
    cases.into_iter().map(|(ways, form)| (when(&ways), form)).collect()
}

/// The condition for emptying a Pod in one of these ways.
fn when(these: &[EmptyingSettings]) -> String {
    let (with, without): (Vec<_>, Vec<_>) =
        these.iter().cloned().partition(|way| way.stand_in.is_some());
    // With a stand-in the image is kept and the agent is used, so that its condition is true too.
    let is_alike = |way: &EmptyingSettings| (&way.image, way.idle) == (&Image::Keep, Idle::Agent);
    let is_met = without.iter().any(is_alike);
    match (with.is_empty(), without.is_empty()) {
        (false, true) => stand_in::WANTED.to_owned(),
        (false, false) if !is_met => format!("({} || {})", stand_in::WANTED, plain(&without)),
        (true, _) if without.len() == ways().count() - 1 => format!("!({})", stand_in::WANTED),
        (true, _) if is_met => format!("(!({}) && {})", stand_in::WANTED, plain(&without)),
        _ => plain(&without),
    }
}

/// The same without a stand-in.
fn plain(these: &[EmptyingSettings]) -> String {
    let ways = || ways().filter(|way| way.stand_in.is_none());
    let all = |holds: &dyn Fn(&EmptyingSettings) -> bool| {
        ways().filter(|way| holds(way)).eq(these.iter().cloned())
    };
    if all(&|_| true) {
        return "true".to_owned();
    }
    let keeps = |way: &EmptyingSettings| way.image == Image::Keep;
    if all(&keeps) {
        return "variables.image == \"keep\"".to_owned();
    }
    if all(&|way| !keeps(way)) {
        return "variables.image != \"keep\"".to_owned();
    }
    if all(&|way| these.iter().any(|one| one.idle == way.idle)) {
        let mut words: Vec<_> = these.iter().map(|way| explain::idle(way.idle)).collect();
        words.sort_unstable();
        words.dedup();
        return format!("variables.idle in {}", cel::list(words));
    }
    let one = |way: &EmptyingSettings| {
        let op = if keeps(way) { "==" } else { "!=" };
        let idle = cel::text(explain::idle(way.idle));
        format!("(variables.image {op} \"keep\" && variables.idle == {idle})")
    };
    format!("({})", these.iter().map(one).collect::<Vec<_>>().join(" || "))
}

/// The list of JSON Patch operations.
pub(super) fn expression(agent_image: &str) -> String {
    let mut parts = Vec::new();
    for field in CONTAINER_FIELDS {
        for (when, form) in cases(field) {
            let path = format!("\"/spec/containers/\" + string(i) + \"/{field}\"");
            let each = match form {
                Form::Leave => continue,
                Form::Absent => format!(
                    "variables.chosen.filter(i, \"{field}\" in variables.containers[i])\
                     .map(i, JSONPatch{{op: \"remove\", path: {path}}})"
                ),
                Form::Value(value) => format!(
                    "variables.chosen.map(i, JSONPatch{{op: \"add\", path: {path}, value: {value}}})"
                ),
                Form::StandIn => format!(
                    "variables.chosen.map(i, JSONPatch{{op: \"add\", path: {path}, value: {}}})",
                    stand_in::command()
                ),
                Form::StandInArgs => format!(
                    "variables.chosen.filter(i, \"{field}\" in variables.containers[i] && !{})\
                     .map(i, JSONPatch{{op: \"remove\", path: {path}}})",
                    stand_in::has_own()
                ),
                Form::Alive => stand_in::probe(field, &path),
            };
            parts.push(only(&when, &each));
        }
    }
    // A hook of an unchanged container needs the grace period.
    let others_hook = "lists.range(size(variables.containers)).exists(i, !(i in variables.chosen) \
                       && \"lifecycle\" in variables.containers[i] \
                       && \"preStop\" in variables.containers[i].lifecycle) \
                       || (\"initContainers\" in object.spec && object.spec.initContainers\
                       .exists(c, \"lifecycle\" in c && \"preStop\" in c.lifecycle))";
    for (when, form) in cases(GRACE) {
        let when = match (when.as_str(), &form) {
            (_, Form::Leave) => when,
            ("true", _) => format!("!({others_hook})"),
            _ => format!("{when} && !({others_hook})"),
        };
        let path = format!("\"/spec/{GRACE}\"");
        let one = match form {
            Form::Leave | Form::StandIn | Form::StandInArgs | Form::Alive => continue,
            Form::Absent => format!(
                "(\"{GRACE}\" in object.spec ? [JSONPatch{{op: \"remove\", path: {path}}}] : [])"
            ),
            Form::Value(value) => {
                format!("[JSONPatch{{op: \"add\", path: {path}, value: {value}}}]")
            }
        };
        parts.push(only(&when, &one));
    }
    parts.push(only("variables.idle == \"agent\"", &agent(agent_image)));
    let by = cel::text(EMPTIED_BY);
    // The image, because a Pod's image may be changed in place, and nothing else records it.
    let value = format!("{} + variables.image", cel::text(BY_POLICY));
    parts.push(format!(
        "(\"annotations\" in object.metadata ? \
         [JSONPatch{{op: \"add\", path: \"/metadata/annotations/\" + jsonpatch.escapeKey({by}), \
         value: {value}}}] : \
         [JSONPatch{{op: \"add\", path: \"/metadata/annotations\", value: {{{by}: {value}}}}}])"
    ));
    format!("size(variables.chosen) == 0 ? [] : {}", parts.join("\n+ "))
}

fn only(when: &str, operations: &str) -> String {
    if when == "true" { operations.to_owned() } else { format!("({when} ? {operations} : [])") }
}

/// The init container, its volume, and the mount of each chosen container.
fn agent(image: &str) -> String {
    let add = |holder: &str, field: &str, path: &str, element: &Value| {
        let element = cel::json(element);
        format!(
            "(\"{field}\" in {holder} ? \
             JSONPatch{{op: \"add\", path: {path} + \"/{field}/-\", value: {element}}} : \
             JSONPatch{{op: \"add\", path: {path} + \"/{field}\", value: [{element}]}})"
        )
    };
    let init = add("object.spec", "initContainers", "\"/spec\"", &agent_init_container(image));
    let volume = add("object.spec", "volumes", "\"/spec\"", &agent_volume());
    // Not as optional members of the init container: a map with a member of unknown type makes the
    // validator of cel-go 0.26, and with it the API server's request, panic.
    let like = AGENT_LIKE.map(|field| {
        let first = "variables.containers[variables.chosen[0]]";
        format!(
            "(\"{field}\" in {first} ? [JSONPatch{{op: \"add\", path: \"/spec/initContainers/\" + \
             string(size(object.spec[?\"initContainers\"].orValue(dyn([])))) + \"/{field}\", \
             value: {first}.{field}}}] : [])"
        )
    });
    let path = "\"/spec/containers/\" + string(i)";
    let mount = add("variables.containers[i]", "volumeMounts", path, &agent_mount());
    let like = like.join(" + ");
    format!("([{init}, {volume}] + {like} + variables.chosen.map(i, {mount}))")
}
