//! `status --watch`: follows the selected workloads and their Pods.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    kubernetes::{
        Cluster, Kind, POD, Scope, Sight,
        targets::{Selection, Targeted, Targets},
    },
    workload::{pods::is_controlled, recreation},
};

/// Changes within this time are shown together.
const QUIET: Duration = Duration::from_millis(200);

pub(crate) struct Follow<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) scope: Scope<'a>,
    pub(crate) targeted: &'a Targeted,
    /// Whether Pods may be listed, for any selected kinds.
    pub(crate) sees_pods: bool,
}

/// The origin of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    /// A selected workload.
    Meant(&'static str),
    /// Any Pod: at level pod it shows its workload's state, which no selector finds.
    AnyPod,
}

impl Follow<'_> {
    /// Calls `show` with the selected workloads and all Pods, first and after each change, and at
    /// least every `often`, until Ctrl-C.
    pub(crate) async fn follow(
        &self,
        targets: &Targets,
        often: Duration,
        mut show: impl AsyncFnMut(&[Value], &[Value]) -> Result<()>,
    ) -> Result<()> {
        let (tell, mut hear) = mpsc::unbounded_channel();
        let (labels, fields) = (targets.selector.as_deref(), targets.field_selector.as_deref());
        // Without a selector, the selected Pods are among all Pods.
        let twice = labels.is_some() || fields.is_some() || !self.sees_pods;
        let source = |kind: &'static Kind| {
            if kind == &POD && !twice { Of::AnyPod } else { Of::Meant(kind.kind) }
        };
        let kinds = self.targeted.kinds.iter().filter(|kind| source(kind) != Of::AnyPod);
        let meant = kinds.map(|kind| {
            let of = (*kind, self.scope);
            self.cluster.follow(of, labels, fields, (Of::Meant(kind.kind), &tell)).boxed_local()
        });
        let pods = self.sees_pods.then(|| {
            let of = (&POD, self.scope);
            self.cluster.follow(of, None, None, (Of::AnyPod, &tell)).boxed_local()
        });
        let follows: Vec<_> = meant.chain(pods).collect();
        let wanted = follows.len();
        let listen = async {
            let mut seen: BTreeMap<Of, BTreeMap<(String, String), Value>> = BTreeMap::new();
            loop {
                let mut next = timeout(often, hear.recv()).await.ok().flatten();
                while let Some((of, sight)) = next {
                    match sight {
                        Sight::All(all) => {
                            let all = all.into_iter().map(|object| (key(&object), object));
                            seen.insert(of, all.collect());
                        }
                        Sight::Set(object) => {
                            seen.entry(of).or_default().insert(key(&object), object);
                        }
                        Sight::Gone(object) => {
                            seen.entry(of).or_default().remove(&key(&object));
                        }
                    }
                    next = timeout(QUIET, hear.recv()).await.ok().flatten();
                }
                if seen.len() < wanted {
                    continue;
                }
                // In the order of `status` without --watch.
                let kinds = self.targeted.kinds.iter();
                let objects = kinds.flat_map(|kind| {
                    let of_kind = seen.get(&source(kind)).into_iter().flatten();
                    let mut of_kind: Vec<_> = of_kind.map(|(_, object)| object.clone()).collect();
                    if fields.is_none() {
                        of_kind = recreation::as_held(of_kind);
                    }
                    of_kind.retain(|object| self.is_meant(kind, object));
                    of_kind
                });
                let objects: Vec<_> = objects.collect();
                let pods = seen.get(&Of::AnyPod).into_iter().flatten();
                show(&objects, &pods.map(|(_, pod)| pod.clone()).collect::<Vec<_>>()).await?;
            }
        };
        tokio::select! {
            ended = try_join_all(follows) => ended.map(drop),
            ended = listen => ended,
        }
    }

    fn is_meant(&self, kind: &Kind, object: &Value) -> bool {
        if self.targeted.selection == Selection::Together {
            return !is_controlled(object);
        }
        let named = |name: &str| {
            self.targeted.found.iter().any(|found| found.kind == kind && found.name == name)
        };
        object["metadata"]["name"].as_str().is_some_and(named)
    }
}

fn key(object: &Value) -> (String, String) {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}
