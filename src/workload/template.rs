//! Emptying and restoring a pod template.
//!
//! Every field has three values: the current one, the user's last intended one, and the emptied
//! one. Emptying computes the second from the first and the saved original, and sets the first to
//! the third; so emptying first, again without changes, and after a newer update are the same code.

use jsonptr::PointerBuf;
use serde_json::Value;

use super::{
    Warning,
    agent::AGENT_LIKE,
    assigned::assign,
    choose::choose,
    emptied_fields::{
        At, CONTAINER_FIELDS, EmptiedValue, GRACE, IMAGE, PROGRAM, PULL, SHORT_GRACE, in_container,
        in_pod, is_stand_in, makes, same, spec_fields, target, words,
    },
    field::{Field, Now, Own},
    lists::{Additions, Lists},
    members::Container,
    newer::Newer,
    original::{Emptied, Original},
    patch::Patch,
    reference::{self, EMPTY_IMAGE},
    rules::{EmptyingSettings, Idle, Image},
    view::{Object, Pod},
    volumes,
};
use crate::json;

/// How a pod is emptied.
pub(super) struct EmptyingSpec<'a> {
    pub(super) way: &'a EmptyingSettings,
    /// The image that has the agent.
    pub(super) agent_image: &'a str,
    /// Whether the original keeps the order of members.
    pub(super) keeps_order: bool,
}

/// Empties the pod and the workload's spec: operations go to `patch`, and the original is returned;
/// `Ok(None)` if there is nothing to empty, `Err` is a warning.
pub(super) fn empty(
    object: &Object<'_>,
    pod: &Pod<'_, '_>,
    &EmptyingSpec { way, agent_image, keeps_order }: &EmptyingSpec<'_>,
    old: Option<&Original>,
    newer: &Newer<'_>,
    patch: &mut Patch,
) -> Result<Option<Original>, Warning> {
    let chosen = choose(way.containers.as_deref(), pod)?.chosen;
    let Some(first) = chosen.first() else { return Ok(None) };
    if way.replicas.is_some_and(|replicas| volumes::are_lost(object, replicas)) {
        return Err(Warning::NotEmptied(volumes::LOST.to_owned()));
    }
    let additions = Additions {
        agent: (way.idle == Idle::Agent).then(|| agent_image.to_owned()),
        caches: way.shape.caches(),
    };
    let had_additions = old.is_some_and(|old| old.added.is_some() || old.caches.is_some());
    let lists = if had_additions || !additions.is_empty() {
        let lists = Lists::from_pod(pod).ok_or(Warning::NoLists)?;
        if !had_additions && lists.has_ours() {
            let name = if lists.has_agent() { "diyadm-agent" } else { "diyadm-cache" };
            let why = format!("the name {name} is already used in this pod");
            return Err(Warning::NotEmptied(why));
        }
        Some(lists)
    } else {
        None
    };

    let mut new = Original::default();
    let saved = old.map_or_else(Vec::new, |old| assign(old, pod));
    let mut field = Field { patch, newer, ports: None, own: Own::default() };
    let mut commandless = Vec::new();
    let mut next = chosen.iter().peekable();
    let mut like = Vec::new();
    for (index, container) in pod.containers().iter().enumerate() {
        let old = saved.get(index).copied().flatten();
        // They are sorted.
        let is_chosen = next.next_if_eq(&&index).is_some();
        let at = pod.pointer().with_trailing_token("containers").with_trailing_token(index);
        let place = (&at, At::Container(container.name()));
        let mut emptied =
            Emptied { index, name: container.name().to_owned(), ..Emptied::default() };
        field.ports = container.field("ports");
        let saved = old.map(|old| &old.saved[..]);
        let own = |name: &'static str| {
            let now = Now { field: name, text: container.field(name), number: None };
            field.meant(At::Container(container.name()), now, saved)
        };
        field.own = Own { command: own("command"), startup: own("startupProbe") };
        if is_chosen && way.stand_in.is_some() && words(field.own.command).is_none() {
            commandless.push(container.name());
        }
        for name in in_container() {
            // A container that is no longer chosen is restored.
            let target = if is_chosen { target(name, way) } else { EmptiedValue::Leave };
            let number = container.number(name).filter(|_| keeps_order);
            let now = Now { field: name, text: container.field(name), number };
            emptied.saved.extend(field.settle(place, now, saved, target));
        }
        if let Some(lists) = &lists {
            let none = Additions::default();
            let wanted = if is_chosen { &additions } else { &none };
            let before = old.and_then(|old| old.mounts);
            emptied.mounts = lists.mount(field.patch, index, wanted, before);
        }
        if index == *first {
            let new = |name: &str| {
                let saved = emptied.saved.iter().find(|saved| saved.field == name);
                let now = || container.field(name).map(ToOwned::to_owned);
                saved.map_or_else(now, |saved| saved.set.clone())
            };
            like = AGENT_LIKE.map(|name| (name, new(name))).to_vec();
        }
        if is_chosen {
            new.containers.push(emptied);
        }
    }
    let is_given = way.stand_in.as_ref().is_some_and(|stand_in| stand_in.command.is_some());
    match commandless[..] {
        [name] if !is_given => return Err(Warning::NoStandInCommand(name.to_owned())),
        // The annotation is the command line of one container.
        [_, name, ..] => return Err(Warning::NoStandInCommand(name.to_owned())),
        _ => {}
    }
    let at = pod.pointer();
    for name in in_pod() {
        let now = Now { field: name, text: pod.field(name), number: None };
        let needed = name == GRACE && needs_grace(pod, &chosen);
        let target = if needed { EmptiedValue::Leave } else { target(name, way) };
        let saved = old.map(|old| &old.pod[..]);
        new.pod.extend(field.settle((&at, At::Pod), now, saved, target));
    }
    let spec = PointerBuf::from_tokens(["spec"]);
    for name in spec_fields(object.workload()) {
        let now = Now { field: name, text: object.field(name), number: None };
        let saved = old.map(|old| &old.spec[..]);
        new.spec.extend(field.settle((&spec, At::Spec), now, saved, target(name, way)));
    }
    if let Some(lists) = lists {
        let like = |name: &str| like.iter().find(|(known, _)| *known == name)?.1.as_deref();
        lists.settle(patch, &additions, like, old, &mut new);
    }
    Ok(Some(new))
}

/// Restores the values in `original`.
pub(super) fn restore(
    object: &Object<'_>,
    pod: &Pod<'_, '_>,
    original: &Original,
    newer: &Newer<'_>,
    patch: &mut Patch,
) {
    let none = Additions::default();
    let had_additions = original.added.is_some() || original.caches.is_some();
    let lists = Lists::from_pod(pod).filter(|_| had_additions);
    let mut field = Field { patch, newer, ports: None, own: Own::default() };
    for (index, emptied) in assign(original, pod).into_iter().enumerate() {
        let Some(emptied) = emptied else { continue };
        let container = &pod.containers()[index];
        let at = pod.pointer().with_trailing_token("containers").with_trailing_token(index);
        let place = (&at, At::Container(container.name()));
        // Each returns to its index before the later ones.
        let mut all: Vec<_> = emptied.saved.iter().collect();
        all.sort_by_key(|saved| saved.number);
        for saved in all {
            let text = container.field(saved.field);
            let now = Now { field: saved.field, text, number: None };
            field.settle(place, now, Some(&emptied.saved), EmptiedValue::Leave);
        }
        if let Some(lists) = &lists {
            lists.mount(field.patch, index, &none, emptied.mounts);
        }
    }
    for saved in &original.pod {
        let at = pod.pointer();
        let now = Now { field: saved.field, text: pod.field(saved.field), number: None };
        field.settle((&at, At::Pod), now, Some(&original.pod), EmptiedValue::Leave);
    }
    let spec = PointerBuf::from_tokens(["spec"]);
    let own = spec_fields(object.workload());
    for saved in original.spec.iter().filter(|saved| own.contains(&saved.field)) {
        let now = Now { field: saved.field, text: object.field(saved.field), number: None };
        field.settle((&spec, At::Spec), now, Some(&original.spec), EmptiedValue::Leave);
    }
    if let Some(lists) = lists {
        lists.settle(patch, &none, |_| None, Some(original), &mut Original::default());
    }
}

/// Whether an unchanged container has a preStop hook. It needs the pod's grace period, and the API
/// server rejects a pod whose hook sleeps longer than that.
fn needs_grace(pod: &Pod<'_, '_>, chosen: &[usize]) -> bool {
    let has_hook = |lifecycle: Option<&Value>| {
        lifecycle.and_then(|hooks| hooks.get("preStop")).is_some_and(|hook| !hook.is_null())
    };
    let mut others = pod.containers().iter().enumerate().filter(|(at, _)| !chosen.contains(at));
    let init = || {
        let containers = pod.field("initContainers")?;
        serde_json::from_str::<Vec<Value>>(containers).ok()
    };
    others.any(|(_, container)| {
        let lifecycle = container.field("lifecycle");
        has_hook(lifecycle.and_then(|text| serde_json::from_str(text).ok()).as_ref())
    }) || init().is_some_and(|all| all.iter().any(|one| has_hook(one.get("lifecycle"))))
}

/// Whether container `at` has all fields, and its pod the grace period, as set by emptying with the
/// image's own entrypoint. The image may be any.
pub(super) fn idles_by_entrypoint(pod: &Pod<'_, '_>, at: usize) -> bool {
    let container = &pod.containers()[at];
    let mut fields = CONTAINER_FIELDS.into_iter().filter(|field| *field != "image");
    (pod.field(GRACE) == Some(SHORT_GRACE) || needs_grace(pod, &[at]))
        && fields.all(|field| match field {
            "imagePullPolicy" => container.field(field) == Some(PULL),
            _ => container.field(field).is_none(),
        })
}

/// Whether a chosen container already runs its emptied command in `way`, possibly with an image in
/// another admission plugin's form.
pub(super) fn looks_emptied(pod: &Pod<'_, '_>, way: &EmptyingSettings) -> bool {
    let has = |container: &Container<'_>, field| {
        let now = container.field(field);
        match target(field, way) {
            // Probes do not distinguish containers.
            EmptiedValue::StandIn(_) => now.is_some_and(is_stand_in),
            EmptiedValue::Leave
            | EmptiedValue::AgentProbe(_)
            | EmptiedValue::AliveProbe
            | EmptiedValue::StandInArgs
            | EmptiedValue::PullSecrets(_)
            | EmptiedValue::Merge(_) => true,
            EmptiedValue::Set(set) if field == IMAGE => {
                let texts = now.and_then(json::string).zip(set.as_deref().and_then(json::string));
                let is_surely = texts.is_some_and(|(now, set)| reference::is_surely(&now, &set));
                // A user's own image with fields other than the emptied ones is not empty.
                same(now, set.as_deref()) || (is_surely && idles(container, Some(&way.image)))
            }
            EmptiedValue::Set(set) => same(now, set.as_deref()),
        }
    };
    let chosen = choose(way.containers.as_deref(), pod).map(|it| it.chosen).unwrap_or_default();
    let mut containers = chosen.iter().map(|at| &pod.containers()[*at]);
    containers.any(|container| PROGRAM.iter().all(|field| has(container, field)))
}

/// Whether a container has the emptied form in any mode, with this image or the blog's.
pub(super) fn idles(container: &Container<'_>, image: Option<&Image>) -> bool {
    // A stand-in keeps these.
    let own = ["args", "readinessProbe", "lifecycle"];
    let own = container.field("command").filter(|text| is_stand_in(text)).map(|_| own);
    let has = |field: &str| {
        makes(field, container.field(field)) || own.is_some_and(|own| own.contains(&field))
    };
    let program = container.field("command").is_some() || has_empty_image(container, image);
    let rest = ["command", "args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];
    program && rest.into_iter().all(has)
}

/// Whether a container has that image, or the blog's, from any registry, with the pull policy of
/// emptying: users who write `latest` by hand do not get that policy.
pub(super) fn has_empty_image(container: &Container<'_>, image: Option<&Image>) -> bool {
    let name = container.field(IMAGE).and_then(json::string);
    container.field("imagePullPolicy") == Some(PULL) && name.is_some_and(|name| {
        reference::name(&name) == reference::name(EMPTY_IMAGE)
            || matches!(image, Some(Image::Name(image)) if *image == name || reference::is_surely(&name, image))
    })
}
