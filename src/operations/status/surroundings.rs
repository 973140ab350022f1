//! Data beyond the workloads themselves: what would empty them, and their autoscalers.

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
    /// Whether Pods of unknown owners are included.
    others: bool,
    /// `None` where they are not asked for.
    autoscalers: Option<Vec<Value>>,
    /// Autoscalers that are suspended for no reason, at the last check.
    held: Option<Vec<Row>>,
    /// Warnings about Pods and workloads, at the last check; empty if they may not be read.
    events: Option<Vec<Value>>,
    looked: Instant,
}

impl<'a> Surroundings<'a> {
    /// Maximum age of the data. It changes seldom, and some of it cannot be watched: a webhook's
    /// rules are in its server's flags and ConfigMap.
    pub(crate) const OFTEN: Duration = Duration::from_secs(10);

    /// Reads the data, optionally autoscalers (`scalers`) and Pods of other owners (`others`); also
    /// returns errors about reading webhooks.
    pub(crate) async fn fetch(
        cluster: &'a Cluster,
        scope: Scope<'a>,
        others: bool,
        scalers: bool,
    ) -> (Self, Vec<Error>) {
        let (interceptors, errors) = Snapshot::fetch(cluster, scope).await;
        let mut autoscalers = None;
        if scalers {
            // As far as they are readable: few clusters have all these kinds.
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

    /// Reads the data again if it is older than this, and returns whether it did. Temporarily
    /// unreadable data stays.
    pub(crate) async fn look_again(&mut self, most: Duration) -> bool {
        if self.looked.elapsed() < most {
            return false;
        }
        let (new, errors) =
            Self::fetch(self.cluster, self.scope, self.others, self.autoscalers.is_some()).await;
        if errors.iter().all(error::is_forbidden) {
            *self = new;
        }
        true
    }

    /// The rows of the status table.
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
        // An autoscaler is resumed shortly after its workload: both must be read together.
        let autoscalers = self.autoscalers.as_deref().unwrap_or_default();
        let flags = self.cluster.flags();
        let held = self.held.get_or_insert_with(|| status::held_in_vain(autoscalers, &rows, flags));
        rows.extend_from_slice(held);
        rows
    }
}
