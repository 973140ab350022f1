//! What `diyadm status` and `diyadm ui` read before they show anything.

use std::{collections::BTreeMap, mem};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::join;

use super::{
    surroundings::Surroundings,
    watched::{Kept, Watched},
};
use crate::{
    kubernetes::{
        Cluster, Kind, ListQuery, ObjectChange, POD, Scope,
        targets::{self, LiveObject, Selection, Targeted, Targets},
    },
    status::Row,
};

/// Maximum number of kinds that are listed at the same time.
const LISTS: usize = 8;

/// The selected workloads, and what surrounds them.
pub(crate) struct StatusSources<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) targets: &'a Targets,
    pub(super) scope: Scope<'a>,
    /// Their kinds. Workloads that may be read by name only are not followed.
    pub(super) targeted: Targeted,
    pub(crate) watched: Watched,
    /// The versions from which to watch.
    pub(super) versions: BTreeMap<Source, String>,
    /// Whether Pods may be listed.
    pub(super) sees_pods: bool,
    pub(crate) surroundings: Surroundings<'a>,
    /// Whether webhooks and policies may be read.
    pub(crate) sees_webhooks: bool,
}

/// A list that is read and followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Selected workloads of the kind at this position.
    Kind(usize),
    /// All Pods: at level pod they show their workload's state, which no selector finds.
    Pods,
}

/// The selected workloads of a kind.
pub(super) fn own_query<'q>(
    targets: &'q Targets,
    kind: &'q Kind,
    scope: Scope<'q>,
) -> ListQuery<'q> {
    let (labels, fields) = (targets.selector.as_deref(), targets.field_selector.as_deref());
    ListQuery { kind, scope, labels, fields }
}

/// All Pods.
pub(super) fn all_pods(scope: Scope<'_>) -> ListQuery<'_> {
    ListQuery { kind: &POD, scope, labels: None, fields: None }
}

/// The lists of selected workloads. Without a selector, selected Pods are among all Pods.
pub(super) fn own_sources(
    targets: &Targets,
    kinds: &[&'static Kind],
    sees_pods: bool,
) -> Vec<(Source, &'static Kind)> {
    let is_among = |kind: &Kind| {
        kind == &POD && sees_pods && targets.selector.is_none() && targets.field_selector.is_none()
    };
    let kinds = kinds.iter().enumerate().filter(|(_, kind)| !is_among(kind));
    kinds.map(|(at, kind)| (Source::Kind(at), *kind)).collect()
}

impl<'a> StatusSources<'a> {
    /// Reads them; autoscalers only where everything is selected and readable.
    pub(crate) async fn read(
        cluster: &'a Cluster,
        targets: &'a Targets,
        autoscalers: bool,
    ) -> Result<Self> {
        let mut targeted = targets::listable(cluster, targets).await?;
        let found = mem::take(&mut targeted.found);
        let scope = cluster.scope(targets);
        let mut kinds = targeted.kinds.clone();
        let position = |kinds: &[&Kind], kind| kinds.iter().position(|other| *other == kind);
        let names = (targeted.selection == Selection::Named).then(|| {
            let name = |one: &LiveObject| Some((position(&kinds, one.kind)?, one.name.clone()));
            found.iter().filter_map(name).collect()
        });
        // Named workloads may be such that only they can be read.
        let listed = if names.is_some() { Vec::new() } else { own_sources(targets, &kinds, true) };
        let has_pods = names.is_none() && listed.len() < kinds.len();
        let lists = listed.into_iter().map(async |(source, kind)| {
            let list = cluster.list_as(own_query(targets, kind, scope), None, Kept::new).await?;
            anyhow::Ok((source, list))
        });
        let lists = stream::iter(lists).buffered(LISTS).try_collect::<Vec<_>>();
        let pods = cluster.list_as(all_pods(scope), None, Kept::new);
        // Whether unreadable workloads are empty is unknown.
        let autoscalers = autoscalers && targeted.everything && targeted.unseen.is_empty();
        let surroundings = Surroundings::fetch(cluster, scope, targeted.everything, autoscalers);
        let (lists, pods, (mut surroundings, errors)) = join!(lists, pods, surroundings);
        let mut watched = Watched::new(names, targets.field_selector.is_none());
        let mut versions = BTreeMap::new();
        for found in found {
            let at = position(&kinds, found.kind).unwrap_or_else(|| {
                kinds.push(found.kind);
                kinds.len() - 1
            });
            watched.take(at, ObjectChange::Stored(Kept::new(found.object.into_value())));
        }
        for (source, list) in lists? {
            if let Source::Kind(at) = source {
                watched.take(at, ObjectChange::Listed(list.items));
            }
            versions.insert(source, list.version);
        }
        let sees_pods = pods.is_ok();
        match pods {
            Ok(pods) => {
                let selected = has_pods.then(|| position(&kinds, &POD)).flatten();
                watched.take_pods(ObjectChange::Listed(pods.items), selected);
                versions.insert(Source::Pods, pods.version);
            }
            Err(error) if has_pods => return Err(error),
            Err(_) => surroundings.forget_autoscalers(),
        }
        Ok(Self {
            cluster,
            targets,
            scope,
            targeted,
            watched,
            versions,
            sees_pods,
            surroundings,
            sees_webhooks: errors.is_empty(),
        })
    }

    /// The rows of the status table.
    pub(crate) async fn rows(&mut self) -> Vec<Row> {
        self.surroundings.rows(&mut self.watched).await
    }

    /// A sentence about each thing that may not be read and is missing in the table.
    pub(crate) fn unseen(&self) -> Vec<String> {
        let mut unseen = self.targeted.unseen.clone();
        if !self.sees_pods {
            let what = "Pods may not be listed, so workloads that are empty at level pod are \
                        missing here";
            unseen.push(what.to_owned());
        }
        unseen
    }
}
