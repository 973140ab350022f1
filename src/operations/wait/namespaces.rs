//! The Pods and events of whole namespaces, listed once per check for any number of workloads.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::{
    kinds::{self, Controller, REPLICA_SET},
    kubernetes::{EVENT, POD},
    operations::{Deadline, Operation},
    workload::pods::{self, controller},
};

pub(super) struct NamespaceIndex {
    pods: Index,
    events: Index,
}

impl NamespaceIndex {
    /// Reads the namespaces of these workloads; unreadable parts are empty. Events about image
    /// pulls are only read after the deadline.
    pub(super) async fn list(
        operation: &Operation<'_>,
        workloads: &[&Value],
        time: Deadline,
    ) -> Self {
        let namespace =
            |object: &&Value| object["metadata"]["namespace"].as_str().map(str::to_owned);
        let namespaces: BTreeSet<_> = workloads.iter().filter_map(namespace).collect();
        let about: &[_] = if time == Deadline::Passed {
            &["type=Warning", "reason=Pulling", "reason=Pulled"]
        } else {
            &["type=Warning"]
        };
        let pods = namespaces.iter().map(|namespace| (&POD, namespace, None));
        let events = namespaces
            .iter()
            .flat_map(|namespace| about.iter().map(move |about| (&EVENT, namespace, Some(*about))));
        let found = RefCell::new((Vec::new(), Vec::new()));
        let looks = pods.chain(events).map(async |(kind, namespace, fields)| {
            let list = operation.cluster.list_where(kind, namespace, None, fields).await;
            let (pods, events) = &mut *found.borrow_mut();
            let all = if fields.is_none() { pods } else { events };
            all.extend(list.unwrap_or_default());
        });
        let looks = stream::iter(looks).buffer_unordered(operation.work.concurrency.into());
        looks.collect::<()>().await;
        let (pods, events) = found.into_inner();
        Self {
            pods: Index::new(pods, controller),
            events: Index::new(events, |event| Some(&event["involvedObject"])),
        }
    }

    /// The workload's Pods.
    pub(super) fn pods(&self, workload: &Value) -> Vec<Value> {
        if workload["kind"] == "Pod" {
            return vec![workload.clone()];
        }
        let names = names(workload);
        let pods = names.iter().flat_map(|name| self.pods.objects_about(name));
        pods.filter(|pod| pods::belongs_to(pod, workload)).cloned().collect()
    }

    /// Events about the workload and these Pods of it.
    pub(super) fn events(&self, workload: &Value, pods: &[Value]) -> Vec<Value> {
        let mut names = names(workload);
        names.extend(pods.iter().filter_map(|pod| uid(&pod["metadata"])));
        names.iter().flat_map(|name| self.events.objects_about(name)).cloned().collect()
    }
}

/// Objects grouped by their subject.
struct Index {
    all: Vec<Value>,
    by: HashMap<String, Vec<usize>>,
}

impl Index {
    /// `about`: a reference to an object, with its kind, name and uid.
    fn new(all: Vec<Value>, about: impl Fn(&Value) -> Option<&Value>) -> Self {
        let mut by: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, one) in all.iter().enumerate() {
            let Some(about) = about(one) else { continue };
            // A Deployment's ReplicaSets, which may be unreadable, are named NAME-HASH.
            let name = about["name"].as_str().filter(|_| about["kind"] == REPLICA_SET.kind);
            let name = name.and_then(|name| name.rsplit_once('-'));
            let name = name.map(|(name, _)| in_namespace(one, name));
            uid(about).into_iter().chain(name).for_each(|name| {
                by.entry(name).or_default().push(at);
            });
        }
        Self { all, by }
    }

    fn objects_about(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.by.get(name).into_iter().flatten().map(|at| &self.all[*at])
    }
}

/// The keys of its Pods and events.
fn names(workload: &Value) -> Vec<String> {
    let controller = kinds::of_object(workload).map(|kind| kind.controller);
    let has_sets = matches!(controller, Some(Controller::ReplicaSets(_)));
    let name = workload["metadata"]["name"].as_str().filter(|_| has_sets);
    let name = name.map(|name| in_namespace(workload, name));
    uid(&workload["metadata"]).into_iter().chain(name).collect()
}

fn uid(reference: &Value) -> Option<String> {
    reference["uid"].as_str().map(ToOwned::to_owned)
}

fn in_namespace(object: &Value, name: &str) -> String {
    format!("{}/{name}", object["metadata"]["namespace"].as_str().unwrap_or_default())
}
