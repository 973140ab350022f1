//! The workloads that `status` and `ui` show, and all Pods. Each is kept once, as text without what
//! no row is made of, and its row is made again only where something has changed: a namespace may
//! have thousands.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::{
    kinds::POD,
    kubernetes::ObjectChange,
    rollout,
    screen::Item,
    status::{self, Row},
    workload::{
        pods::{is_controlled, owner_keys, pods_key},
        recreation,
    },
};

/// A workload or Pod.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    namespace: String,
    name: String,
    text: Box<str>,
    is_controlled: bool,
    is_placeholder: bool,
    /// Of a Pod; see [`owner_keys`].
    owners: Box<[String]>,
    is_empty_pod: bool,
}

impl Kept {
    pub(super) fn new(mut object: Value) -> Self {
        let changed = rollout::changed_at(&object);
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // Up to half of an object. Of it only this time is read.
            metadata.shift_remove("managedFields");
            if !changed.is_empty() {
                let spec = json!({ "f:spec": {} });
                let entry = json!([{ "time": changed, "fieldsV1": spec }]);
                metadata.insert("managedFields".to_owned(), entry);
            }
        }
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let is_pod = object["kind"] == POD.kind && object["apiVersion"] == POD.version;
        Self {
            namespace: text("namespace"),
            name: text("name"),
            text: object.to_string().into(),
            is_controlled: is_controlled(&object),
            is_placeholder: recreation::is_placeholder(&object),
            owners: if is_pod { owner_keys(&object).into() } else { Box::default() },
            is_empty_pod: is_pod && status::is_empty_pod(&object),
        }
    }

    fn object(&self) -> Value {
        // It was written from a value.
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// The position of the kind, the namespace, the name.
type Place = (usize, String, String);

#[derive(Debug)]
struct Workload {
    kept: Kept,
    /// Its key among the owners of Pods.
    key: String,
    /// `None` where it must be made again.
    view: Option<View>,
}

/// What is shown of a workload.
#[derive(Debug)]
struct View {
    /// As long as it is live.
    item: Item,
    /// In the status table.
    row: Option<Row>,
}

impl Workload {
    fn new(kept: Kept) -> Self {
        let key = pods_key(&kept.object());
        Self { kept, key, view: None }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Watched {
    workloads: BTreeMap<Place, Workload>,
    pods: BTreeMap<(String, String), Kept>,
    /// Where workloads are selected by name: the position of the kind, the name, in the order of the
    /// command line.
    names: Option<Vec<(usize, String)>>,
    /// Placeholders are shown as the objects that they contain.
    opens_placeholders: bool,
}

impl Watched {
    pub(super) fn new(names: Option<Vec<(usize, String)>>, opens_placeholders: bool) -> Self {
        Self { names, opens_placeholders, ..Self::default() }
    }

    fn is_meant(&self, kind: usize, name: &str, is_controlled: bool) -> bool {
        match self.names {
            Some(_) => self.order(kind, name).is_some(),
            None => !is_controlled,
        }
    }

    /// Where the workload is on the command line.
    fn order(&self, kind: usize, name: &str) -> Option<usize> {
        self.names.as_ref()?.iter().position(|(of, named)| *of == kind && named == name)
    }

    fn counts(&self, kind: usize, kept: &Kept) -> bool {
        self.is_meant(kind, &kept.name, kept.is_controlled)
            || (self.opens_placeholders && kept.is_placeholder)
    }

    /// Takes what was seen of a kind of workload.
    pub(super) fn take(&mut self, kind: usize, change: ObjectChange<Kept>) {
        let place = |kept: &Kept| (kind, kept.namespace.clone(), kept.name.clone());
        match change {
            ObjectChange::Listed(all) => {
                self.workloads.retain(|place, _| place.0 != kind);
                for kept in all {
                    if self.counts(kind, &kept) {
                        self.workloads.insert(place(&kept), Workload::new(kept));
                    }
                }
            }
            ObjectChange::Stored(kept) if self.counts(kind, &kept) => {
                self.workloads.insert(place(&kept), Workload::new(kept));
            }
            ObjectChange::Stored(kept) | ObjectChange::Deleted(kept) => {
                self.workloads.remove(&place(&kept));
            }
        }
    }

    /// Takes what was seen of all Pods. `kind` is their position where they are selected too.
    pub(super) fn take_pods(&mut self, change: ObjectChange<Kept>, kind: Option<usize>) {
        if let Some(kind) = kind {
            let counts = |kept: &&Kept| self.counts(kind, kept);
            let copy = match &change {
                ObjectChange::Listed(all) => {
                    ObjectChange::Listed(all.iter().filter(counts).cloned().collect())
                }
                other => other.clone(),
            };
            self.take(kind, copy);
        }
        let place = |kept: &Kept| (kept.namespace.clone(), kept.name.clone());
        match change {
            ObjectChange::Listed(all) => {
                self.pods = all.into_iter().map(|kept| (place(&kept), kept)).collect();
                self.forget(|_| true);
            }
            ObjectChange::Stored(kept) => {
                self.forget_owners(&kept.owners);
                if let Some(old) = self.pods.insert(place(&kept), kept) {
                    self.forget_owners(&old.owners);
                }
            }
            ObjectChange::Deleted(kept) => {
                self.pods.remove(&place(&kept));
                self.forget_owners(&kept.owners);
            }
        }
    }

    fn forget_owners(&mut self, owners: &[String]) {
        let owned = |workload: &&mut Workload| owners.contains(&workload.key);
        self.workloads.values_mut().filter(owned).for_each(|workload| workload.view = None);
    }

    /// Makes these rows again; `None` is a live workload.
    pub(super) fn forget(&mut self, is_old: impl Fn(Option<&Row>) -> bool) {
        for workload in self.workloads.values_mut() {
            workload.view.take_if(|view| is_old(view.row.as_ref()));
        }
    }

    /// Makes the missing rows: `row` of a workload and its Pods.
    pub(super) fn refresh(&mut self, row: impl Fn(&Value, &[Value]) -> Option<Row>) {
        let mut opened = self.opened();
        let mut of_keys: HashMap<&str, Vec<&Kept>> = HashMap::new();
        if self.workloads.values().any(|workload| workload.view.is_none()) {
            for pod in self.pods.values() {
                pod.owners.iter().for_each(|key| of_keys.entry(key).or_default().push(pod));
            }
        }
        let missing = self.workloads.iter_mut().filter(|(_, workload)| workload.view.is_none());
        for (place, workload) in missing {
            let object = opened.remove(place).unwrap_or_else(|| workload.kept.object());
            let pods = of_keys.get(&*workload.key).into_iter().flatten();
            let pods: Vec<_> = pods.map(|pod| pod.object()).collect();
            let view = View { item: Item::live(&object), row: row(&object, &pods) };
            workload.view = Some(view);
        }
    }

    /// The objects that placeholders contain, by the places of these, which are to be made again:
    /// they depend on other objects.
    fn opened(&mut self) -> HashMap<Place, Value> {
        let mut opened = HashMap::new();
        if !self.opens_placeholders {
            return opened;
        }
        for (place, workload) in &self.workloads {
            let kept = &workload.kept;
            if !kept.is_placeholder {
                continue;
            }
            if let Some(held) = recreation::kept(&kept.object()) {
                let name = held["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let own = (place.0, place.1.clone(), name);
                if !self.workloads.contains_key(&own) {
                    opened.insert(place.clone(), held);
                }
            }
        }
        for workload in self.workloads.values_mut().filter(|one| one.kept.is_placeholder) {
            workload.view = None;
        }
        opened
    }

    fn views(&self) -> impl Iterator<Item = &View> {
        let views = self.workloads.iter().filter_map(|(place, workload)| {
            Some((place.0, workload.kept.is_controlled, workload.view.as_ref()?))
        });
        // A placeholder may be that of another object.
        let views = views.filter(|(kind, is_controlled, view)| {
            self.is_meant(*kind, &view.item.key.name, *is_controlled)
        });
        let mut views: Vec<_> = views.collect();
        views.sort_by_key(|(kind, _, view)| self.order(*kind, &view.item.key.name));
        views.into_iter().map(|(.., view)| view)
    }

    /// The selected workloads, live or not, in the order of their names on the command line, else of
    /// their kinds.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.views().map(|view| &view.item)
    }

    /// The number of selected workloads without a row.
    pub(crate) fn live(&self) -> usize {
        self.views().filter(|view| view.row.is_none()).count()
    }

    /// The rows of the status table that were made last.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.views().filter_map(|view| view.row.as_ref())
    }

    /// The empty Pods that belong to no selected workload.
    pub(super) fn orphans(&self) -> Vec<Value> {
        let keys: HashSet<_> = self.workloads.values().map(|one| one.key.as_str()).collect();
        let is_orphan = |pod: &&Kept| {
            pod.is_empty_pod && !pod.owners.iter().any(|key| keys.contains(key.as_str()))
        };
        self.pods.values().filter(is_orphan).map(Kept::object).collect()
    }

    /// The workloads of these rows, and their Pods.
    pub(crate) fn objects(&self, rows: &[Row]) -> (Vec<Value>, Vec<Value>) {
        let places: HashSet<_> =
            rows.iter().map(|row| (&*row.kind, &*row.namespace, &*row.name)).collect();
        let is_shown = |workload: &&Workload| {
            workload.view.as_ref().is_some_and(|View { item, .. }| {
                places.contains(&(&*item.key.kind, &*item.key.namespace, &*item.key.name))
            })
        };
        let shown: Vec<_> = self.workloads.values().filter(is_shown).collect();
        let keys: HashSet<_> = shown.iter().map(|workload| workload.key.as_str()).collect();
        let own = |pod: &&Kept| pod.owners.iter().any(|key| keys.contains(key.as_str()));
        let pods = self.pods.values().filter(own).map(Kept::object).collect();
        (shown.iter().map(|workload| workload.kept.object()).collect(), pods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, version: u32) -> Kept {
        let version_of = if kind == "Pod" { "v1" } else { "apps/v1" };
        Kept::new(json!({
            "apiVersion": version_of, "kind": kind,
            "metadata": {
                "namespace": "n", "name": name, "managedFields": [{ "manager": "x" }],
                "generation": version,
            },
        }))
    }

    fn names(watched: &Watched) -> Vec<String> {
        let object = |one: &Workload| one.kept.object();
        let name = |o: Value| format!("{}{}", o["metadata"]["name"], o["metadata"]["generation"]);
        let names = watched.workloads.values().map(object).map(name);
        names.map(|name| name.replace('"', "")).collect()
    }

    fn watched() -> Watched {
        Watched::new(None, true)
    }

    #[test]
    fn objects_stay_in_order_as_they_change() {
        let one = |name, version| object("Deployment", name, version);
        let mut watched = watched();
        watched.take(1, ObjectChange::Listed(vec![one("b", 1), one("a", 1)]));
        watched.take(0, ObjectChange::Listed(vec![one("z", 1)]));
        watched.take(2, ObjectChange::Stored(one("c", 1)));
        watched.take(1, ObjectChange::Stored(one("a", 2)));
        watched.take(0, ObjectChange::Stored(one("y", 1)));
        assert_eq!(names(&watched), ["y1", "z1", "a2", "b1", "c1"]);
        watched.take(1, ObjectChange::Deleted(one("b", 3)));
        watched.take(1, ObjectChange::Deleted(one("none", 3)));
        watched.take(0, ObjectChange::Listed(vec![one("x", 4)]));
        assert_eq!(names(&watched), ["x4", "a2", "c1"]);
    }

    #[test]
    fn object_that_no_longer_counts_is_gone() {
        let mut watched = Watched::new(Some([(0, "a".to_owned())].into()), false);
        watched.take(0, ObjectChange::Listed(["a", "b"].map(|name| object("Pod", name, 1)).into()));
        assert_eq!(names(&watched), ["a1"]);
        let kept = &watched.workloads.values().next().unwrap().kept;
        assert!(!kept.text.contains("managedFields"), "{}", kept.text);
        watched.names = Some(Vec::new());
        watched.take(0, ObjectChange::Stored(object("Pod", "a", 2)));
        assert_eq!(names(&watched), [""; 0]);
    }

    #[test]
    fn named_objects_are_in_the_order_of_the_command_line() {
        let named = [(1, "b"), (0, "z"), (1, "a")].map(|(kind, name)| (kind, name.to_owned()));
        let mut watched = Watched::new(Some(named.into()), false);
        watched.take(0, ObjectChange::Listed(vec![object("DaemonSet", "z", 1)]));
        let deployments = ["a", "b", "c"].map(|name| object("Deployment", name, 1));
        watched.take(1, ObjectChange::Listed(deployments.into()));
        watched.refresh(|_, _| None);
        let seen: Vec<_> = watched.items().map(|item| item.key.name.as_str()).collect();
        assert_eq!(seen, ["b", "z", "a"]);
    }

    #[test]
    fn only_rows_of_changed_workloads_are_made_again() {
        let pod = |name: &str, uid: &str| {
            Kept::new(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "namespace": "n", "name": name, "ownerReferences": [
                    { "kind": "StatefulSet", "name": "s", "uid": uid, "controller": true },
                ] },
            }))
        };
        let set = |name: &str| {
            Kept::new(json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": { "namespace": "n", "name": name, "uid": name },
            }))
        };
        let mut watched = watched();
        watched.take(0, ObjectChange::Listed(vec![set("a"), set("b")]));
        watched.take_pods(ObjectChange::Listed(vec![pod("a-0", "a"), pod("b-0", "b")]), None);
        let made = |watched: &mut Watched| {
            let made = std::cell::RefCell::new(Vec::new());
            watched.refresh(|object, pods| {
                let pods: Vec<_> = pods.iter().map(|pod| pod["metadata"]["name"].clone()).collect();
                made.borrow_mut().push(json!([object["metadata"]["name"], pods]).to_string());
                None
            });
            made.into_inner()
        };
        assert_eq!(made(&mut watched), [r#"["a",["a-0"]]"#, r#"["b",["b-0"]]"#]);
        assert_eq!(made(&mut watched), [""; 0]);
        watched.take_pods(ObjectChange::Stored(pod("b-1", "b")), None);
        assert_eq!(made(&mut watched), [r#"["b",["b-0","b-1"]]"#]);
        watched.take_pods(ObjectChange::Deleted(pod("a-0", "a")), None);
        watched.take(0, ObjectChange::Stored(set("c")));
        assert_eq!(made(&mut watched), [r#"["a",[]]"#, r#"["c",[]]"#]);
    }
}
