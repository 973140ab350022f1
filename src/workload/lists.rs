//! The lists of a pod to which emptying adds elements: init containers, volumes, and the mounts of
//! each container.
//!
//! The elements have diyadm's own names, so that restoring finds them even if an update has moved
//! them.

use std::collections::HashSet;

use jsonptr::PointerBuf;
use serde_json::Value;

use super::{
    agent::{AGENT, AGENT_LIKE, agent_init_container, agent_mount, agent_volume},
    members::Presence,
    original::{Added, Original},
    patch::Patch,
    reference,
    shape::{CACHE, Cache},
    view::Pod,
};
use crate::json::{Node, ParsePlan, parse};

/// A list of things with names.
static LIST: ParsePlan = ParsePlan::Items(&NAMED);
static NAMED: ParsePlan = ParsePlan::Members(&[], &["name", "image", "mountPath"]);

/// An element of a list that diyadm added.
struct Ours {
    at: usize,
    name: String,
    /// Empty if it has none.
    image: String,
}

/// An element to add.
struct Element {
    name: String,
    /// Empty if it has none.
    image: String,
    /// JSON text.
    text: String,
}

impl Element {
    fn new(name: &str, value: &Value) -> Self {
        Self { name: name.to_owned(), image: String::new(), text: value.to_string() }
    }
}

/// A list of things with names.
struct List {
    pointer: PointerBuf,
    presence: Presence,
    length: usize,
    /// diyadm's elements, in order.
    ours: Vec<Ours>,
    /// The paths of other mounts.
    paths: HashSet<String>,
}

impl List {
    /// `text`: the list as JSON text; `None` if it is absent.
    fn from_field(pointer: PointerBuf, text: Option<&str>) -> Option<Self> {
        let presence = match text {
            None => Presence::Absent,
            Some("null") => Presence::Null,
            Some(_) => Presence::Present,
        };
        let (ours, paths) = (Vec::new(), HashSet::new());
        let mut list = Self { pointer, presence, length: 0, ours, paths };
        if presence != Presence::Present {
            return Some(list);
        }
        let tree = parse(text?, &LIST).ok().filter(|tree| tree.root().is_open())?;
        let mut seen = HashSet::new();
        for (at, item) in tree.root().children().enumerate() {
            let name = item.get("name").map_or(Some("".into()), Node::string)?.into_owned();
            // A container has a string, a volume an object.
            let text = |member| item.get(member).and_then(Node::string).unwrap_or_default();
            if !item.is_open() {
                return None;
            }
            let is_ours = name == AGENT || name.starts_with(CACHE);
            if is_ours && seen.insert(name.clone()) {
                list.ours.push(Ours { at, name, image: text("image").into_owned() });
            } else {
                list.paths.insert(text("mountPath").trim_end_matches('/').to_owned());
            }
            list.length += 1;
        }
        Some(list)
    }

    /// Whether it has one of diyadm's elements.
    fn has(&self, is: impl Fn(&str) -> bool) -> bool {
        self.ours.iter().any(|ours| is(&ours.name))
    }

    /// Makes diyadm's elements those that are `wanted`. `before` is the list's state before the
    /// first was added; returns that state.
    fn settle(&self, patch: &mut Patch, wanted: &[Element], before: Option<Presence>) -> Presence {
        let before = match before {
            Some(before) if self.length == self.ours.len() && self.length > 0 => before,
            _ => self.presence,
        };
        let find = |name: &str| wanted.iter().find(|element| element.name == name);
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.ours.iter().partition(|ours| find(&ours.name).is_some());
        let is_kept = |element: &&Element| kept.iter().any(|ours| ours.name == element.name);
        let new: Vec<_> = wanted.iter().filter(|element| !is_kept(element)).collect();
        let is_emptied = self.length == gone.len() && !gone.is_empty() && new.is_empty();
        match before {
            Presence::Absent if is_emptied => {
                patch.put(&self.pointer, true, None);
                return before;
            }
            Presence::Null if is_emptied => {
                patch.put(&self.pointer, true, Some("null"));
                return before;
            }
            _ => {}
        }
        for ours in kept {
            let Some(element) = find(&ours.name) else { continue };
            // Changes by another admission plugin are kept.
            if ours.image != element.image && !reference::is_extended(&ours.image, &element.image) {
                let at = self.pointer.with_trailing_token(ours.at);
                patch.put(&at, true, Some(&element.text));
            }
        }
        for ours in gone.into_iter().rev() {
            patch.put(&self.pointer.with_trailing_token(ours.at), true, None);
        }
        if self.presence == Presence::Present {
            let end = self.pointer.with_trailing_token("-");
            new.iter().for_each(|element| patch.put(&end, false, Some(&element.text)));
        } else if !new.is_empty() {
            let texts: Vec<_> = new.iter().map(|element| element.text.as_str()).collect();
            let list = format!("[{}]", texts.join(","));
            patch.put(&self.pointer, self.presence == Presence::Null, Some(&list));
        }
        before
    }
}

/// What is added to a pod.
#[derive(Default)]
pub(super) struct Additions {
    /// The image that has the agent.
    pub(super) agent: Option<String>,
    pub(super) caches: Vec<Cache>,
}

impl Additions {
    pub(super) fn is_empty(&self) -> bool {
        self.agent.is_none() && self.caches.is_empty()
    }

    /// The init container; `like` returns a field of the first emptied container, for
    /// [`AGENT_LIKE`].
    fn init_container<'l>(&self, like: impl Fn(&str) -> Option<&'l str>) -> Vec<Element> {
        let container = |image: &String| {
            let mut text = agent_init_container(image).to_string();
            for field in AGENT_LIKE {
                if let Some(value) = like(field).filter(|text| text.starts_with('{')) {
                    text.truncate(text.len() - 1);
                    text.extend([",\"", field, "\":", value, "}"]);
                }
            }
            Element { name: AGENT.to_owned(), image: image.clone(), text }
        };
        self.agent.iter().map(container).collect()
    }

    fn volumes(&self) -> Vec<Element> {
        let agent = self.agent.iter().map(|_| Element::new(AGENT, &agent_volume()));
        let caches = self.caches.iter().map(|cache| Element::new(&cache.name, &cache.volume()));
        agent.chain(caches).collect()
    }

    /// The mounts of a container that has others at these paths.
    fn mounts(&self, taken: &HashSet<String>) -> Vec<Element> {
        let agent = self.agent.iter().map(|_| Element::new(AGENT, &agent_mount()));
        let caches = self.caches.iter().filter(|cache| !taken.contains(&cache.path));
        let caches = caches.map(|cache| Element::new(&cache.name, &cache.mount()));
        agent.chain(caches).collect()
    }
}

/// The pod's two lists and every container's mounts.
pub(super) struct Lists {
    init_containers: List,
    volumes: List,
    mounts: Vec<List>,
}

impl Lists {
    /// `None` if one of them is not a list of named elements: then nothing can be added.
    pub(super) fn from_pod(pod: &Pod<'_, '_>) -> Option<Self> {
        let list = |field: &str| {
            List::from_field(pod.pointer().with_trailing_token(field), pod.field(field))
        };
        let containers = pod.pointer().with_trailing_token("containers");
        let mounts = pod.containers().iter().enumerate().map(|(at, container)| {
            let pointer = containers.with_trailing_token(at).with_trailing_token("volumeMounts");
            List::from_field(pointer, container.field("volumeMounts"))
        });
        Some(Self {
            init_containers: list("initContainers")?,
            volumes: list("volumes")?,
            mounts: mounts.collect::<Option<_>>()?,
        })
    }

    /// Whether an element with diyadm's name exists.
    pub(super) fn has_ours(&self) -> bool {
        self.has(|_| true)
    }

    /// Whether an element of the agent exists.
    pub(super) fn has_agent(&self) -> bool {
        self.has(|name| name == AGENT)
    }

    /// Whether an element of a cache exists.
    pub(super) fn has_caches(&self) -> bool {
        self.has(|name| name != AGENT)
    }

    /// Makes the pod's elements those of `additions`, and saves the states of its lists in `new`. The
    /// init container gets the fields of `like`.
    pub(super) fn settle<'l>(
        &self,
        patch: &mut Patch,
        additions: &Additions,
        like: impl Fn(&str) -> Option<&'l str>,
        old: Option<&Original>,
        new: &mut Original,
    ) {
        let had_agent = old.and_then(|old| old.added);
        let had_caches = old.and_then(|old| old.caches);
        let wants_agent = additions.agent.is_some();
        let mut added = Added::default();
        if wants_agent || had_agent.is_some() {
            let before = had_agent.map(|added| added.init_containers);
            let wanted = additions.init_container(like);
            added.init_containers = self.init_containers.settle(patch, &wanted, before);
        }
        let before = had_agent.map(|added| added.volumes).or(had_caches);
        if !additions.is_empty() || before.is_some() {
            added.volumes = self.volumes.settle(patch, &additions.volumes(), before);
        }
        new.added = wants_agent.then_some(added);
        new.caches = (!additions.caches.is_empty()).then_some(added.volumes);
    }

    /// The same for the mounts of the container of this index. `before`: their state before the first
    /// was added; returns it, `None` if none is wanted.
    pub(super) fn mount(
        &self,
        patch: &mut Patch,
        index: usize,
        additions: &Additions,
        before: Option<Presence>,
    ) -> Option<Presence> {
        let list = &self.mounts[index];
        let wanted = additions.mounts(&list.paths);
        if wanted.is_empty() && before.is_none() {
            return None;
        }
        let before = list.settle(patch, &wanted, before);
        (!wanted.is_empty()).then_some(before)
    }

    /// Removes everything that is diyadm's, where no original says what was there before.
    pub(super) fn remove(&self, patch: &mut Patch) {
        let absent = Some(Presence::Absent);
        for list in [&self.init_containers, &self.volumes].into_iter().chain(&self.mounts) {
            list.settle(patch, &[], absent);
        }
    }

    fn has(&self, is: impl Fn(&str) -> bool) -> bool {
        let lists = [&self.init_containers, &self.volumes];
        lists.into_iter().chain(&self.mounts).any(|list| list.has(&is))
    }
}
