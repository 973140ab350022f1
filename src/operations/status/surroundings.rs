//! What the workloads themselves do not tell: who would empty them, and what scales them.

use std::time::{Duration, Instant};

use anyhow::Error;
use serde_json::Value;

use crate::{
    kubernetes::{Cluster, EVENT, Scope, error},
    operations::{autoscalers::AUTOSCALERS, intercept::snapshot::Snapshot},
    status::{self, Row},
};

pub(crate) struct Surroundings<'a> {
    cluster: &'a Cluster,
    scope: Scope<'a>,
    interceptors: Snapshot,
    /// Whether Pods of what is no workload here are asked for.
    others: bool,
    /// `None` where they are not asked for.
    autoscalers: Option<Vec<Value>>,
    /// Autoscalers that are held in vain, as of the last look.
    held: Option<Vec<Row>>,
    /// Warnings about Pods and workloads, as of the last look; none where they may not be seen.
    events: Option<Vec<Value>>,
    looked: Instant,
}

impl<'a> Surroundings<'a> {
    /// How old what is known may get. It changes seldom, and not all of it has a watch of its own:
    /// the rules of a webhook are in its server's flags and ConfigMap.
    pub(crate) const OFTEN: Duration = Duration::from_secs(10);

    /// Looks at it, at `scalers` or not, to tell of Pods of `others` or not; with what kept it from
    /// reading who would empty workloads.
    pub(crate) async fn look(
        cluster: &'a Cluster,
        scope: Scope<'a>,
        others: bool,
        scalers: bool,
    ) -> (Self, Vec<Error>) {
        let (interceptors, errors) = Snapshot::look(cluster, scope).await;
        let mut autoscalers = None;
        if scalers {
            // As far as they may be seen: few clusters have all these kinds.
            let lists = cluster.lists(AUTOSCALERS.map(|kind| (kind, scope))).await;
            let lists = lists.into_iter().filter_map(|(_, _, list)| list.ok());
            autoscalers = Some(lists.flatten().collect());
        }
        let looked = Instant::now();
        (
            Self {
                cluster,
                scope,
                interceptors,
                others,
                autoscalers,
                held: None,
                events: None,
                looked,
            },
            errors,
        )
    }

    /// Looks again where what is known is old. What cannot be read for a moment stays as it was.
    pub(crate) async fn look_again(&mut self) {
        if self.looked.elapsed() < Self::OFTEN {
            return;
        }
        let (new, errors) =
            Self::look(self.cluster, self.scope, self.others, self.autoscalers.is_some()).await;
        if errors.iter().all(error::is_forbidden) {
            *self = new;
        }
    }

    /// The board's lines.
    pub(crate) async fn rows(&mut self, objects: &[Value], pods: &[Value]) -> Vec<Row> {
        let all = status::rows(objects, pods, |object| self.interceptors.would_empty(object));
        let judged = |events: Option<&[Value]>| {
            let mut rows = all.clone();
            status::judge(&mut rows, objects, pods, events.unwrap_or_default());
            rows
        };
        let mut rows = judged(self.events.as_deref());
        if self.events.is_none() && rows.iter().any(Row::lacks_pods) {
            let warnings = Some("type=Warning");
            let events = self.cluster.list_where(&EVENT, self.scope, None, warnings).await;
            rows = judged(Some(self.events.insert(events.unwrap_or_default())));
        }
        if self.others {
            rows.extend(status::of_others(objects, pods, self.cluster.flags()));
        }
        // An autoscaler is let go a moment after its workload: one look at both is judged.
        let autoscalers = self.autoscalers.as_deref().unwrap_or_default();
        let flags = self.cluster.flags();
        let held = self.held.get_or_insert_with(|| status::held_in_vain(autoscalers, &rows, flags));
        rows.extend_from_slice(held);
        rows
    }
}
