//! What `diyadm status` and `diyadm ui` read before they show anything.

use anyhow::Result;
use serde_json::Value;

use super::surroundings::Surroundings;
use crate::kubernetes::{
    Cluster, POD, Scope,
    targets::{self, Targeted, Targets, Unnamed},
};

/// The selected workloads, and what is around them.
pub(crate) struct StatusSources<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) targeted: Targeted,
    /// All Pods; `None` if they may not be listed.
    pub(crate) pods: Option<Vec<Value>>,
    pub(crate) around: Surroundings<'a>,
    /// Whether webhooks and policies may be read.
    pub(crate) sees_webhooks: bool,
}

impl<'a> StatusSources<'a> {
    /// Reads them; autoscalers only where everything is selected and readable.
    pub(crate) async fn read(
        cluster: &'a Cluster,
        targets: &'a Targets,
        autoscalers: bool,
    ) -> Result<Self> {
        let targeted = targets::find(cluster, targets, Unnamed::All).await?;
        let scope = cluster.scope(targets);
        let pods = cluster.list(&POD, scope, "").await.ok();
        // Whether unreadable workloads are empty is unknown.
        let sees_all = targeted.everything && pods.is_some() && targeted.unseen.is_empty();
        let autoscalers = autoscalers && sees_all;
        let (around, errors) =
            Surroundings::fetch(cluster, scope, targeted.everything, autoscalers).await;
        Ok(Self { scope, targeted, pods, around, sees_webhooks: errors.is_empty() })
    }

    /// A sentence about each thing that may not be read and is missing in the table.
    pub(crate) fn unseen(&self, sees_pods: bool) -> Vec<String> {
        let mut unseen = self.targeted.unseen.clone();
        if !sees_pods {
            let what = "Pods may not be listed, so workloads that are empty at level pod are \
                        missing here";
            unseen.push(what.to_owned());
        }
        unseen
    }
}
