//! Finds Pods of an emptied template that their workload no longer has. They have no mark, and are
//! recognised by their command.

use serde_json::Value;

use super::pods::template;
use crate::workload::{
    AgentProbe, CONTAINER_FIELDS, EMPTY_IMAGE, EmptiedValue, EmptyContainer, EmptyingSettings,
    GRACE, Idle, Image, Level, PROGRAM, Ready, Shape, StandIn, is_agent_probe, is_stand_in, target,
};

/// Whether a container of the Pod may still be empty, regardless of its workload.
pub fn looks_empty(pod: &Value) -> bool {
    containers(&pod["spec"]).iter().any(|container| form(pod, container).is_some())
}

/// The containers of a workload's Pod that idle although its template runs something else.
pub fn left_empty(workload: &Value, pod: &Value) -> Vec<EmptyContainer> {
    let (meant, running) = (template(workload), &pod["spec"]);
    let left = containers(running).iter().filter_map(|container| {
        let wanted = containers(meant).iter().find(|wanted| wanted["name"] == container["name"])?;
        let (idle, stand_in) = form(pod, container)?;
        let is_other = PROGRAM.iter().any(|field| container[field] != wanted[field]);
        // With an arbitrary image, it is recognised by the short grace period that only emptying
        // sets.
        let is_sure = idle != Idle::Entrypoint
            || container["image"] == EMPTY_IMAGE
            || running[GRACE] != meant[GRACE];
        let text = |field: &str| container[field].as_str().unwrap_or_default().to_owned();
        (is_other && is_sure).then(|| EmptyContainer {
            name: text("name"),
            image: text("image"),
            idle,
            stand_in,
        })
    });
    left.collect()
}

fn containers(spec: &Value) -> &[Value] {
    spec["containers"].as_array().map_or(&[], Vec::as_slice)
}

/// How the container idles and whether it has a stand-in, if all its fields are as emptying sets
/// them.
fn form(pod: &Value, container: &Value) -> Option<(Idle, bool)> {
    let idles = [Idle::Entrypoint, Idle::Shell, Idle::Agent].map(|idle| (idle, false));
    idles.into_iter().chain([(Idle::Agent, true)]).find(|(idle, stand_in)| {
        let way = EmptyingSettings {
            empty: true,
            containers: None,
            image: Image::Keep,
            idle: *idle,
            level: Level::Workload,
            replicas: None,
            ready: Ready::Container,
            stand_in: stand_in.then(StandIn::default),
            suspend: false,
            time: None,
            shape: Shape::default(),
            pull_secrets: Vec::new(),
        };
        let has = |now: &Value, field: &str| match target(field, &way) {
            EmptiedValue::Leave
            | EmptiedValue::AgentProbe(_)
            | EmptiedValue::StandInArgs
            | EmptiedValue::PullSecrets(_)
            | EmptiedValue::Merge(_) => true,
            EmptiedValue::StandIn(_) => is_stand_in(&now[field].to_string()),
            EmptiedValue::AliveProbe => {
                now[field].is_null() || is_agent_probe(&now[field].to_string(), AgentProbe::Alive)
            }
            EmptiedValue::Set(None) if field == "readinessProbe" => {
                now[field].is_null() || is_agent_probe(&now[field].to_string(), AgentProbe::Ready)
            }
            EmptiedValue::Set(None) => now[field].is_null(),
            EmptiedValue::Set(Some(set)) => {
                serde_json::from_str::<Value>(&set).is_ok_and(|set| set == now[field])
            }
        };
        has(&pod["spec"], GRACE) && CONTAINER_FIELDS.iter().all(|field| has(container, field))
    })
}
