//! The parts of a pod for the agent: an init container that copies the program, a volume for it,
//! and a mount in each emptied container.
//!
//! The elements have diyadm's own names, so that restoring finds them even if an update has moved
//! them.

use jsonptr::PointerBuf;
use serde_json::{Value, json};

use super::{
    members::{Container, Presence},
    original::Added,
    patch::Patch,
    reference,
    view::Pod,
};
use crate::json::{Node, ParsePlan, parse};

/// Name of the init container and of the volume.
pub const AGENT: &str = "diyadm-agent";

/// The fields that the init container copies from the first emptied container, so that it passes
/// the same policies and quotas.
pub const AGENT_LIKE: [&str; 2] = ["securityContext", "resources"];

/// The init container, without [`AGENT_LIKE`].
pub fn agent_init_container(image: &str) -> Value {
    json!({
        "name": AGENT,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [diyadm_agent::IN_IMAGE, "install", diyadm_agent::FOLDER],
        "volumeMounts": [{ "name": AGENT, "mountPath": diyadm_agent::FOLDER }],
    })
}

/// The volume of the program.
pub fn agent_volume() -> Value {
    json!({ "name": AGENT, "emptyDir": {} })
}

/// The mount in each emptied container: read-only, since an emptyDir is writable for all, and every
/// exec runs its content.
pub fn agent_mount() -> Value {
    json!({ "name": AGENT, "mountPath": diyadm_agent::FOLDER, "readOnly": true })
}

/// A list of things with names.
static LIST: ParsePlan = ParsePlan::Items(&NAMED);
static NAMED: ParsePlan = ParsePlan::Members(&[], &["name", "image"]);

/// A list of things with names.
struct List {
    pointer: PointerBuf,
    presence: Presence,
    length: usize,
    /// The index of diyadm's element, and its image.
    ours: Option<(usize, String)>,
}

impl List {
    /// `text`: the list as JSON text; `None` if it is absent.
    fn from_field(pointer: PointerBuf, text: Option<&str>) -> Option<Self> {
        let presence = match text {
            None => Presence::Absent,
            Some("null") => Presence::Null,
            Some(_) => Presence::Present,
        };
        let mut list = Self { pointer, presence, length: 0, ours: None };
        if presence != Presence::Present {
            return Some(list);
        }
        let tree = parse(text?, &LIST).ok().filter(|tree| tree.root().is_open())?;
        for (at, item) in tree.root().children().enumerate() {
            let name = item.get("name").map_or(Some("".into()), Node::string)?;
            // A container has a string, a volume an object.
            let image = item.get("image").and_then(Node::string).unwrap_or_default();
            if !item.is_open() {
                return None;
            }
            if list.ours.is_none() && name == AGENT {
                list.ours = Some((at, image.into_owned()));
            }
            list.length += 1;
        }
        Some(list)
    }

    /// The list without diyadm's element; `before` is its state before the element was added.
    fn before(&self, before: Option<Presence>) -> Presence {
        match (&self.ours, before) {
            (Some(_), Some(before)) if self.length == 1 => before,
            _ => self.presence,
        }
    }

    /// `element`: JSON text, with the image `wanted`, which is empty if it has none.
    fn add(&self, patch: &mut Patch, element: &str, wanted: &str) {
        match (&self.ours, self.presence) {
            (Some((at, image)), _) => {
                // Changes by another admission plugin are kept.
                if image != wanted && !reference::is_extended(image, wanted) {
                    let at = self.pointer.with_trailing_token(*at);
                    patch.put(&at, true, Some(element));
                }
            }
            (None, Presence::Present) => {
                patch.put(&self.pointer.with_trailing_token("-"), false, Some(element));
            }
            (None, presence) => {
                let list = format!("[{element}]");
                patch.put(&self.pointer, presence == Presence::Null, Some(&list));
            }
        }
    }

    fn remove(&self, patch: &mut Patch, before: Presence) {
        let Some((at, _)) = &self.ours else { return };
        match (self.length, before) {
            (1, Presence::Absent) => patch.put(&self.pointer, true, None),
            (1, Presence::Null) => patch.put(&self.pointer, true, Some("null")),
            _ => patch.put(&self.pointer.with_trailing_token(*at), true, None),
        }
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
        let lists = [&self.init_containers, &self.volumes];
        lists.into_iter().chain(&self.mounts).any(|list| list.ours.is_some())
    }

    /// Adds missing elements; `like` is the container whose [`AGENT_LIKE`] fields the init
    /// container copies.
    pub(super) fn add(
        &self,
        patch: &mut Patch,
        image: &str,
        like: &Container<'_>,
        before: Option<Added>,
    ) -> Added {
        let mut init = agent_init_container(image).to_string();
        for field in AGENT_LIKE {
            let value = like.field(field).filter(|text| text.starts_with('{'));
            if let Some(value) = value {
                init.truncate(init.len() - 1);
                init.extend([",\"", field, "\":", value, "}"]);
            }
        }
        self.init_containers.add(patch, &init, image);
        self.volumes.add(patch, &agent_volume().to_string(), "");
        Added {
            init_containers: self.init_containers.before(before.map(|b| b.init_containers)),
            volumes: self.volumes.before(before.map(|b| b.volumes)),
        }
    }

    /// Adds the mount to the container of this index; returns the previous state of its mounts.
    pub(super) fn mount(
        &self,
        patch: &mut Patch,
        index: usize,
        before: Option<Presence>,
    ) -> Presence {
        self.mounts[index].add(patch, &agent_mount().to_string(), "");
        self.mounts[index].before(before)
    }

    /// Removes the pod's elements.
    pub(super) fn remove(&self, patch: &mut Patch, before: Added) {
        self.init_containers.remove(patch, before.init_containers);
        self.volumes.remove(patch, before.volumes);
    }

    /// Removes the mount of the container of this index.
    pub(super) fn unmount(&self, patch: &mut Patch, index: usize, before: Presence) {
        self.mounts[index].remove(patch, before);
    }
}
