//! Data beyond the workloads themselves: what would empty them, and their autoscalers.

use std::{
    slice,
    time::{Duration, Instant},
};

use anyhow::Error;
use serde_json::Value;
use tokio::join;

use super::watched::Watched;
use crate::{
    kubernetes::{Cluster, EVENT, Scope, error},
    operations::{autoscalers::AUTOSCALERS, intercept::snapshot::Snapshot},
    screen::ItemKey,
    status::{self, Row},
    workload::autoscaler,
};

pub(crate) struct Surroundings<'a> {
    cluster: &'a Cluster,
    scope: Scope<'a>,
    interceptors: Snapshot,
    /// Whether Pods of unknown owners are included.
    others: bool,
    /// Suspended autoscalers; `None` where they are not asked for.
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
    pub(super) async fn fetch(
        cluster: &'a Cluster,
        scope: Scope<'a>,
        others: bool,
        scalers: bool,
    ) -> (Self, Vec<Error>) {
        let autoscalers = async {
            if !scalers {
                return None;
            }
            // As far as they are readable: few clusters have all these kinds.
            let lists = cluster.lists(AUTOSCALERS.map(|kind| (kind, scope))).await;
            let lists = lists.into_iter().filter_map(|(_, _, list)| list.ok());
            Some(lists.flatten().filter(autoscaler::is_held).collect())
        };
        let ((interceptors, errors), autoscalers) =
            join!(Snapshot::fetch(cluster, scope), autoscalers);
        let (held, events, looked) = (None, None, Instant::now());
        (Self { cluster, scope, interceptors, others, autoscalers, held, events, looked }, errors)
    }

    /// For a table that may lack workloads.
    pub(super) fn forget_autoscalers(&mut self) {
        self.autoscalers = None;
    }

    /// Reads the data again if it is older than this, and returns whether it did. Temporarily
    /// unreadable data stays.
    pub(crate) async fn read_again(&mut self, most: Duration, watched: &mut Watched) -> bool {
        if self.looked.elapsed() < most {
            return false;
        }
        let (new, errors) =
            Self::fetch(self.cluster, self.scope, self.others, self.autoscalers.is_some()).await;
        if errors.iter().all(error::is_forbidden) {
            let events = self.events.take();
            if new.interceptors != self.interceptors {
                watched.forget(|_| true);
            }
            *self = Self { events, ..new };
            // They say why rows lack Pods.
            if watched.rows().any(Row::lacks_pods) {
                let events = self.warnings().await;
                if self.events.as_ref() != Some(&events) {
                    watched.forget(lacks_pods);
                }
                self.events = Some(events);
            }
        }
        true
    }

    /// The rows of the status table.
    pub(crate) async fn rows(&mut self, watched: &mut Watched) -> Vec<Row> {
        self.refresh(watched);
        if self.events.is_none() && watched.rows().any(Row::lacks_pods) {
            self.events = Some(self.warnings().await);
            watched.forget(lacks_pods);
            self.refresh(watched);
        }
        let mut rows: Vec<_> = watched.rows().cloned().collect();
        status::note_originals(&mut rows, |namespace, shown| {
            let is_it = |key: &ItemKey| key.namespace == namespace && key.shown() == shown;
            watched.items().any(|item| is_it(&item.key))
        });
        let flags = self.cluster.flags();
        if self.others {
            rows.extend(status::of_others(&[], &watched.orphans(), flags));
        }
        // An autoscaler is resumed shortly after its workload: both must be read together.
        let autoscalers = self.autoscalers.as_deref().unwrap_or_default();
        let held = self.held.get_or_insert_with(|| status::held_in_vain(autoscalers, &rows, flags));
        rows.extend_from_slice(held);
        rows
    }

    fn refresh(&self, watched: &mut Watched) {
        let events = self.events.as_deref().unwrap_or_default();
        watched.refresh(|object, pods| {
            let object = slice::from_ref(object);
            let mut rows =
                status::rows(object, pods, |object| self.interceptors.would_empty(object));
            status::judge(&mut rows, object, pods, events);
            rows.pop()
        });
    }

    /// Events that warn.
    async fn warnings(&self) -> Vec<Value> {
        let warnings = Some("type=Warning");
        let events = self.cluster.list_where(&EVENT, self.scope, None, warnings).await;
        events.unwrap_or_default()
    }
}

fn lacks_pods(row: Option<&Row>) -> bool {
    row.is_some_and(Row::lacks_pods)
}
