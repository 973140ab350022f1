//! What the workloads themselves do not tell: who would empty them, and what scales them.

use std::time::{Duration, Instant};

use anyhow::Error;
use serde_json::Value;

use super::watchers::Watchers;
use crate::{
    board::{self, Row},
    cluster::{Cluster, error},
    commands::workloads::beside::AUTOSCALERS,
};

pub(super) struct Around<'a> {
    cluster: &'a Cluster,
    /// Empty for all.
    namespace: &'a str,
    watchers: Watchers,
    /// Whether Pods of what is no workload here are asked for.
    others: bool,
    /// `None` where they are not asked for.
    autoscalers: Option<Vec<Value>>,
    /// Autoscalers that are held in vain, as of the last look.
    held: Option<Vec<Row>>,
    looked: Instant,
}

impl<'a> Around<'a> {
    /// How old what is known may get. It changes seldom, and not all of it has a watch of its own:
    /// the rules of a webhook are in its server's flags and ConfigMap.
    pub(super) const OFTEN: Duration = Duration::from_secs(10);

    /// Looks at it, at `scalers` or not, to tell of Pods of `others` or not; with what kept it from
    /// reading who would empty workloads.
    pub(super) async fn look(
        cluster: &'a Cluster,
        namespace: &'a str,
        others: bool,
        scalers: bool,
    ) -> (Self, Vec<Error>) {
        let (watchers, errors) = Watchers::look(cluster, namespace).await;
        let mut autoscalers = None;
        if scalers {
            // As far as they may be seen: few clusters have all these kinds.
            let lists = cluster.lists(AUTOSCALERS.map(|kind| (kind, namespace))).await;
            let lists = lists.into_iter().filter_map(|(_, _, list)| list.ok());
            autoscalers = Some(lists.flatten().collect());
        }
        let looked = Instant::now();
        (Self { cluster, namespace, watchers, others, autoscalers, held: None, looked }, errors)
    }

    /// Looks again where what is known is old. What cannot be read for a moment stays as it was.
    pub(super) async fn look_again(&mut self) {
        if self.looked.elapsed() < Self::OFTEN {
            return;
        }
        let (new, errors) =
            Self::look(self.cluster, self.namespace, self.others, self.autoscalers.is_some()).await;
        if errors.iter().all(error::is_forbidden) {
            *self = new;
        }
    }

    /// The board's lines.
    pub(super) fn rows(&mut self, objects: &[Value], pods: &[Value]) -> Vec<Row> {
        let mut rows = board::rows(objects, pods, |object| self.watchers.would_empty(object));
        if self.others {
            rows.extend(board::of_others(objects, pods, self.cluster.flags()));
        }
        // An autoscaler is let go a moment after its workload: one look at both is judged.
        let autoscalers = self.autoscalers.as_deref().unwrap_or_default();
        let flags = self.cluster.flags();
        let held = self.held.get_or_insert_with(|| board::held_in_vain(autoscalers, &rows, flags));
        rows.extend_from_slice(held);
        rows
    }
}
