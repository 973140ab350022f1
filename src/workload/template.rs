//! Emptying and restoring a pod template.
//!
//! Every field has three values: what it is now, what the user last meant it to be, and the
//! emptied one. Emptying computes the second from the first and the saved original, and makes the
//! first the third; so a first emptying, a second one that changes nothing, and one after a newer
//! update are the same code.

use serde_json::Value;

use super::{
    Kind,
    agent::{self, Lists},
    choose::choose,
    members::Container,
    newer::{At, Newer},
    original::{Emptied, Original, Saved, same},
    patch::{Patch, Pointer},
    ready,
    rules::{EMPTY_IMAGE, Idle, Image, Ready, Way},
    view::{Object, Pod},
};

/// PID 1 of `--idle shell`: waits, reaps whatever is orphaned, and goes at SIGTERM. An image
/// without `sleep` ends it at once, so that it never spins.
const SHELL: &str = r#"["sh","-c","trap 'kill $! 2>/dev/null; exit 0' TERM INT; while :; do sleep 2147483647 & wait $! || exit 1; done"]"#;

/// Of an image that has another name than the application's.
const PULL: &str = "\"IfNotPresent\"";

/// `tail -f /dev/null` as PID 1 ignores SIGTERM, so a longer grace is only a longer wait. See
/// [`needs_grace`].
const SHORT_GRACE: &str = "1";

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
/// Those that say what a container runs.
pub const PROGRAM: [&str; 2] = ["image", "command"];
/// The field of a pod that emptying changes.
pub const GRACE: &str = "terminationGracePeriodSeconds";
pub(super) const REPLICAS: &str = "replicas";
const STRATEGY: &str = "strategy";
const UPDATE_STRATEGY: &str = "updateStrategy";
/// The fields of a workload's own spec that emptying changes, of any kind.
pub(super) const SPEC_FIELDS: [&str; 3] = [REPLICAS, STRATEGY, UPDATE_STRATEGY];

/// Those of [`SPEC_FIELDS`] that emptying changes in this kind.
pub(super) fn spec_fields(kind: Option<&Kind>) -> &'static [&'static str] {
    match kind {
        Some(kind) if kind.kind == "Deployment" => &[REPLICAS, STRATEGY],
        Some(kind) if kind.kind == "DaemonSet" => &[UPDATE_STRATEGY],
        Some(kind) if kind.replicas => &[REPLICAS],
        _ => &[],
    }
}

/// What emptying makes of a field; JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It stays as the user means it.
    Leave,
    /// This; `None` is absent.
    Set(Option<String>),
    /// The agent's probe, made of the user's own; how the container idles says where the agent is.
    AgentProbe(Idle),
}

/// What emptying that way makes of one of [`CONTAINER_FIELDS`], or of [`GRACE`].
pub fn target(field: &str, way: &Way) -> Target {
    let set = |text: &str| Target::Set(Some(text.to_owned()));
    match (field, &way.image, way.idle) {
        ("image", Image::Name(name), _) => {
            Target::Set(Some(serde_json::Value::from(name.as_str()).to_string()))
        }
        ("imagePullPolicy", Image::Name(_), _) => set(PULL),
        ("image" | "imagePullPolicy", Image::Keep, _) => Target::Leave,
        ("command", _, Idle::Shell) => set(SHELL),
        ("command", _, Idle::Agent) => set(agent::COMMAND),
        (GRACE, _, Idle::Entrypoint) => set(SHORT_GRACE),
        (GRACE, ..) => Target::Leave,
        ("readinessProbe", ..) if way.ready == Ready::App => Target::AgentProbe(way.idle),
        (STRATEGY, ..) if way.ready == Ready::App => set(ready::STRATEGY),
        (UPDATE_STRATEGY, ..) if way.ready == Ready::App => set(ready::UPDATE_STRATEGY),
        (STRATEGY | UPDATE_STRATEGY, ..) => Target::Leave,
        (REPLICAS, ..) => way.replicas.map_or(Target::Leave, |n| Target::Set(Some(n.to_string()))),
        _ => Target::Set(None),
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
        ("image" | "imagePullPolicy" | GRACE | REPLICAS | STRATEGY | UPDATE_STRATEGY, None) => {
            false
        }
        (_, set) => set.is_none(),
    }
}

/// Makes a field what it should be, and says what to save of it.
struct Field<'p, 'o> {
    patch: &'p mut Patch,
    newer: &'p Newer<'o>,
    /// The ports of the container that is looked at, as JSON text.
    ports: Option<&'p str>,
}

impl Field<'_, '_> {
    fn settle(
        &mut self,
        field: &'static str,
        (at, place): (&Pointer, At<'_>),
        now: Option<&str>,
        saved: &[Saved],
        target: Target,
    ) -> Option<Saved> {
        let saved = saved.iter().find(|saved| saved.field == field);
        let meant = match saved {
            Some(saved) if !self.newer.speaks_of(place, saved) => saved.meant(now),
            _ => now,
        };
        let set = match target {
            Target::Leave => {
                self.make(at, field, now, meant);
                return None;
            }
            Target::Set(set) => set,
            Target::AgentProbe(idle) => Some(ready::probe(idle, meant, self.ports)),
        };
        self.make(at, field, now, set.as_deref());
        let changed = !same(meant, set.as_deref());
        changed.then(|| {
            let applied = self.newer.otherwise(place, field, set.as_deref());
            Saved { field, was: meant.map(ToOwned::to_owned), set, applied }
        })
    }

    fn make(&mut self, at: &Pointer, field: &str, now: Option<&str>, to: Option<&str>) {
        if !same(now, to) {
            self.patch.put(&at.join(field), now.is_some(), to);
        }
    }
}

/// What emptying does to the pod and the workload's spec: operations go to `patch`, what must be
/// kept is returned; `Ok(None)` where there is nothing to empty, `Err` a warning.
pub(super) fn empty(
    object: &Object<'_>,
    pod: &Pod<'_, '_>,
    way: &Way,
    agent_image: &str,
    old: Option<&Original>,
    newer: &Newer<'_>,
    patch: &mut Patch,
) -> Result<Option<Original>, String> {
    let chosen = choose(way.containers.as_deref(), pod)?;
    let Some(first) = chosen.first() else { return Ok(None) };
    let wants_agent = way.idle == Idle::Agent;
    let had_agent = old.and_then(|old| old.added);
    let lists = if wants_agent || had_agent.is_some() {
        let lists = Lists::read(pod).ok_or("diyadm: volumes or initContainers are no lists")?;
        if had_agent.is_none() && lists.has_ours() {
            return Err("diyadm: not emptied: the name diyadm-agent is taken in this pod".into());
        }
        Some(lists)
    } else {
        None
    };

    let mut new = Original::default();
    let saved = old.map_or_else(Vec::new, |old| assign(old, pod));
    let mut field = Field { patch, newer, ports: None };
    for (index, container) in pod.containers().iter().enumerate() {
        let old = saved.get(index).copied().flatten();
        let is_chosen = chosen.contains(&index);
        let at = pod.pointer().join("containers").join(&index.to_string());
        let place = (&at, At::Container(container.name()));
        let mut emptied =
            Emptied { index, name: container.name().to_owned(), ..Emptied::default() };
        field.ports = container.field("ports");
        for name in CONTAINER_FIELDS {
            // One that is not chosen any more is given back.
            let target = if is_chosen { target(name, way) } else { Target::Leave };
            let saved = old.map_or(&[][..], |old| &old.saved);
            emptied.saved.extend(field.settle(name, place, container.field(name), saved, target));
        }
        let mounted = old.and_then(|old| old.mounts);
        match (&lists, mounted) {
            (Some(lists), _) if wants_agent && is_chosen => {
                emptied.mounts = Some(lists.mount(field.patch, index, mounted));
            }
            (Some(lists), Some(before)) => lists.unmount(field.patch, index, before),
            _ => {}
        }
        if is_chosen {
            new.containers.push(emptied);
        }
    }
    let saved = old.map_or(&[][..], |old| &old.pod);
    let at = pod.pointer();
    let place = (&at, At::Pod);
    let grace = if needs_grace(pod, &chosen) { Target::Leave } else { target(GRACE, way) };
    new.pod.extend(field.settle(GRACE, place, pod.field(GRACE), saved, grace));
    let saved = old.map_or(&[][..], |old| &old.spec);
    let spec = Pointer::root().join("spec");
    for name in spec_fields(object.workload()) {
        let (now, target) = (object.field(name), target(name, way));
        new.spec.extend(field.settle(name, (&spec, At::Spec), now, saved, target));
    }
    match lists {
        Some(lists) if wants_agent => {
            let like = &pod.containers()[*first];
            new.added = Some(lists.add(patch, agent_image, like, had_agent));
        }
        Some(lists) => {
            if let Some(before) = had_agent {
                lists.remove(patch, before);
            }
        }
        None => {}
    }
    Ok(Some(new))
}

/// Gives back what `original` saved.
pub(super) fn restore(
    object: &Object<'_>,
    pod: &Pod<'_, '_>,
    original: &Original,
    newer: &Newer<'_>,
    patch: &mut Patch,
) {
    let lists = original.added.and_then(|added| Some((Lists::read(pod)?, added)));
    let mut field = Field { patch, newer, ports: None };
    for (index, emptied) in assign(original, pod).into_iter().enumerate() {
        let Some(emptied) = emptied else { continue };
        let container = &pod.containers()[index];
        let at = pod.pointer().join("containers").join(&index.to_string());
        let place = (&at, At::Container(container.name()));
        for saved in &emptied.saved {
            let now = container.field(saved.field);
            field.settle(saved.field, place, now, &emptied.saved, Target::Leave);
        }
        if let (Some((lists, _)), Some(before)) = (&lists, emptied.mounts) {
            lists.unmount(field.patch, index, before);
        }
    }
    for saved in &original.pod {
        let at = pod.pointer();
        let place = (&at, At::Pod);
        field.settle(saved.field, place, pod.field(saved.field), &original.pod, Target::Leave);
    }
    let spec = Pointer::root().join("spec");
    let own = spec_fields(object.workload());
    for saved in original.spec.iter().filter(|saved| own.contains(&saved.field)) {
        let place = (&spec, At::Spec);
        field.settle(saved.field, place, object.field(saved.field), &original.spec, Target::Leave);
    }
    if let Some((lists, added)) = lists {
        lists.remove(patch, added);
    }
}

/// Whether the pod still runs what emptying made it run, in every container that was emptied.
pub(super) fn holds(original: &Original, pod: &Pod<'_, '_>) -> bool {
    let assigned = assign(original, pod);
    assigned.iter().flatten().count() == original.containers.len()
        && !original.containers.is_empty()
        && assigned.iter().enumerate().all(|(index, emptied)| {
            let mut saved = emptied.iter().flat_map(|e| &e.saved);
            let runs = |s: &Saved| same(pod.containers()[index].field(s.field), s.set.as_deref());
            saved.all(|saved| !PROGRAM.contains(&saved.field) || runs(saved))
        })
}

/// Whether a container that was emptied runs something else by now of which `said` tells that the
/// user has said so: by its name, the field, and the field's value.
pub(super) fn runs_anew(
    original: &Original,
    pod: &Pod<'_, '_>,
    said: impl Fn(&str, &str, &str) -> bool,
) -> bool {
    assign(original, pod).iter().enumerate().any(|(index, emptied)| {
        let container = &pod.containers()[index];
        let mut saved = emptied.iter().flat_map(|e| &e.saved);
        saved.any(|saved| {
            let now = container.field(saved.field).filter(|_| PROGRAM.contains(&saved.field));
            let is_other = |now: &&str| !same(Some(now), saved.set.as_deref());
            now.filter(is_other).is_some_and(|now| said(container.name(), saved.field, now))
        })
    })
}

/// Whether a container that stays as it is has a preStop hook. It needs the pod's grace period, and
/// the API server refuses a pod whose hook sleeps longer than that.
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

/// The commands of containers that idle.
pub(super) fn idle_commands() -> impl Iterator<Item = &'static str> {
    [SHELL, agent::COMMAND].into_iter()
}

/// Whether container `at` has every field, and its pod the grace period, as emptying by the image's
/// own entrypoint makes it. The image itself may be any.
pub(super) fn idles_by_entrypoint(pod: &Pod<'_, '_>, at: usize) -> bool {
    let container = &pod.containers()[at];
    let mut fields = CONTAINER_FIELDS.into_iter().filter(|field| *field != "image");
    (pod.field(GRACE) == Some(SHORT_GRACE) || needs_grace(pod, &[at]))
        && fields.all(|field| match field {
            "imagePullPolicy" => container.field(field) == Some(PULL),
            _ => container.field(field).is_none(),
        })
}

/// Whether a chosen container already runs what `way` would make it run.
pub(super) fn looks_emptied(pod: &Pod<'_, '_>, way: &Way) -> bool {
    let has = |container: &Container<'_>, field| match target(field, way) {
        // No container is told apart by its probe.
        Target::Leave | Target::AgentProbe(_) => true,
        Target::Set(set) => same(container.field(field), set.as_deref()),
    };
    let chosen = choose(way.containers.as_deref(), pod).unwrap_or_default();
    let mut containers = chosen.iter().map(|at| &pod.containers()[*at]);
    containers.any(|container| PROGRAM.iter().all(|field| has(container, field)))
}

/// Whether a container has the emptied form, whichever way, with this image or the blog's.
pub(super) fn idles(container: &Container<'_>, image: Option<&Image>) -> bool {
    let has = |field: &str| makes(field, container.field(field));
    let program = container.field("command").is_some() || has_empty_image(container, image);
    let rest = ["command", "args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];
    program && rest.into_iter().all(has)
}

/// Whether a container has that image, or the blog's from wherever, and is pulled as emptying has
/// it: nobody who writes `latest` by hand gets that.
pub(super) fn has_empty_image(container: &Container<'_>, image: Option<&Image>) -> bool {
    let name = container.field("image").and_then(|text| serde_json::from_str::<String>(text).ok());
    let base = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or_default();
        last.split([':', '@']).next().unwrap_or_default().to_owned()
    };
    container.field("imagePullPolicy") == Some(PULL)
        && name.is_some_and(|name| {
            base(&name) == base(EMPTY_IMAGE)
                || matches!(image, Some(Image::Name(image)) if *image == name)
        })
}

/// What is saved of each container of `pod`, by its index now: the container that was saved is
/// the one of the same index and name, else, where others came before it since, of the same name.
pub(super) fn assign<'o>(original: &'o Original, pod: &Pod<'_, '_>) -> Vec<Option<&'o Emptied>> {
    let containers: &[Container<'_>] = pod.containers();
    let mut assigned = vec![None; containers.len()];
    let is = |index: usize, name: &str| containers.get(index).is_some_and(|c| c.name() == name);
    let (still, moved): (Vec<_>, Vec<_>) =
        original.containers.iter().partition(|emptied| is(emptied.index, &emptied.name));
    for emptied in still {
        assigned[emptied.index] = Some(emptied);
    }
    for emptied in moved {
        let free = |at: &usize| assigned[*at].is_none() && is(*at, &emptied.name);
        if let Some(at) = (0..containers.len()).find(free) {
            assigned[at] = Some(emptied);
        }
    }
    assigned
}
