//! `status --watch` and `ui`: follows the selected workloads and their Pods.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use super::watched::{Watched, copied, only, slim};
use crate::{
    kubernetes::{
        Cluster, Kind, POD, Scope, Sight,
        targets::{Selection, Targeted, Targets},
    },
    workload::{pods::is_controlled, recreation},
};

/// Changes within this time are shown together.
const QUIET: Duration = Duration::from_millis(200);
/// Where something changes all the time, it is shown after this time.
const LONGEST: Duration = Duration::from_secs(1);

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
    /// Selected workloads of the kind at this position.
    Meant(usize),
    /// Any Pod: at level pod it shows its workload's state, which no selector finds.
    AnyPod,
}

/// Whether objects changed since they were shown last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Changed,
    Unchanged,
}

impl Follow<'_> {
    /// Calls `show` with the selected workloads and all Pods, first and after each change, and at
    /// least every `often`, until Ctrl-C.
    pub(crate) async fn follow(
        &self,
        targets: &Targets,
        often: Duration,
        mut show: impl AsyncFnMut(&[Value], &[Value], News) -> Result<()>,
    ) -> Result<()> {
        let (tell, mut hear) = mpsc::unbounded_channel();
        let (labels, fields) = (targets.selector.as_deref(), targets.field_selector.as_deref());
        // Without a selector, the selected Pods are among all Pods.
        let twice = labels.is_some() || fields.is_some() || !self.sees_pods;
        let kinds = self.targeted.kinds.iter().enumerate();
        let among_pods = kinds.clone().find(|(_, kind)| **kind == &POD && !twice).map(|(at, _)| at);
        let meant = kinds.filter(|(at, _)| Some(*at) != among_pods).map(|(at, kind)| {
            let of = (*kind, self.scope);
            self.cluster.follow(of, labels, fields, (Of::Meant(at), &tell)).boxed_local()
        });
        let pods = self.sees_pods.then(|| {
            let of = (&POD, self.scope);
            self.cluster.follow(of, None, None, (Of::AnyPod, &tell)).boxed_local()
        });
        let follows: Vec<_> = meant.chain(pods).collect();
        let wanted = follows.len();
        // A placeholder is shown as the object that it contains, but does not have its fields.
        let held = fields.is_none();
        let counts = |at: usize, object: &Value| {
            self.is_meant(self.targeted.kinds[at], object)
                || (held && recreation::is_placeholder(object))
        };
        let listen = async {
            let mut listed = BTreeSet::new();
            let (mut objects, mut pods) = (Watched::default(), Watched::default());
            loop {
                let mut next = timeout(often, hear.recv()).await.ok().flatten();
                let news = if next.is_some() { News::Changed } else { News::Unchanged };
                let began = Instant::now();
                while let Some((of, sight)) = next {
                    let sight = slim(sight);
                    if matches!(sight, Sight::All(_)) {
                        listed.insert(of);
                    }
                    match of {
                        Of::Meant(at) => {
                            objects.take(at, only(sight, |object| counts(at, object)));
                        }
                        Of::AnyPod => {
                            if let Some(at) = among_pods {
                                objects.take(at, copied(&sight, |object| counts(at, object)));
                            }
                            pods.take(0, sight);
                        }
                    }
                    let still = LONGEST.saturating_sub(began.elapsed()).min(QUIET);
                    next = timeout(still, hear.recv()).await.ok().flatten();
                }
                if listed.len() == wanted {
                    show(&self.shown(&objects, held), pods.objects(), news).await?;
                }
            }
        };
        tokio::select! {
            ended = try_join_all(follows) => ended.map(drop),
            ended = listen => ended,
        }
    }

    /// The workloads, in the order of `status` without --watch; placeholders as what they hold, if
    /// that is wanted.
    fn shown<'o>(&self, objects: &'o Watched, held: bool) -> Cow<'o, [Value]> {
        if !held || !objects.objects().iter().any(recreation::is_placeholder) {
            return Cow::Borrowed(objects.objects());
        }
        let kinds = self.targeted.kinds.iter().enumerate();
        let shown = kinds.flat_map(|(at, kind)| {
            let mut of_kind = recreation::as_held(objects.of_kind(at).to_vec());
            of_kind.retain(|object| self.is_meant(kind, object));
            of_kind
        });
        Cow::Owned(shown.collect())
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
