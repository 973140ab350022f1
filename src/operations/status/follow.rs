//! `status --watch` and `ui`: follows the selected workloads and their Pods.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};
use tokio::{sync::mpsc, time::timeout};

use super::{
    sources::{Source, StatusSources, all_pods, own_query, own_sources},
    surroundings::Surroundings,
    watched::{Kept, Watched},
};
use crate::kubernetes::{ObjectChange, POD};

/// Changes within this time are shown together.
const QUIET: Duration = Duration::from_millis(200);
/// Where something changes all the time, it is shown after this time.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether objects changed since they were shown last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Changed,
    Unchanged,
}

impl StatusSources<'_> {
    /// Calls `show` first and after each change, and at least every `often`, until Ctrl-C.
    pub(crate) async fn follow(
        self,
        often: Duration,
        mut show: impl AsyncFnMut(&mut Watched, &mut Surroundings<'_>, News) -> Result<()>,
    ) -> Result<()> {
        let Self {
            cluster,
            targets,
            scope,
            targeted,
            mut watched,
            mut surroundings,
            sees_pods,
            ..
        } = self;
        let versions = &self.versions;
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let own = own_sources(targets, &targeted.kinds, sees_pods);
        let among_pods = (own.len() < targeted.kinds.len())
            .then(|| targeted.kinds.iter().position(|kind| *kind == &POD))
            .flatten();
        let mut queries: Vec<_> =
            own.iter().map(|(source, kind)| (*source, own_query(targets, kind, scope))).collect();
        queries.extend(sees_pods.then(|| (Source::Pods, all_pods(scope))));
        let follows = queries.iter().map(|(source, query)| {
            let from = versions.get(source).cloned();
            cluster.follow(*query, from, Kept::new, (*source, &sender)).boxed_local()
        });
        let follows: Vec<_> = follows.collect();
        let show_changes = async {
            let mut listed: BTreeSet<_> = versions.keys().copied().collect();
            let mut news = News::Changed;
            loop {
                if queries.iter().all(|(source, _)| listed.contains(source)) {
                    show(&mut watched, &mut surroundings, news).await?;
                }
                let mut next = timeout(often, receiver.recv()).await.ok().flatten();
                news = if next.is_some() { News::Changed } else { News::Unchanged };
                let began = Instant::now();
                while let Some((source, change)) = next {
                    if matches!(change, ObjectChange::Listed(_)) {
                        listed.insert(source);
                    }
                    match source {
                        Source::Kind(at) => watched.take(at, change),
                        Source::Pods => watched.take_pods(change, among_pods),
                    }
                    let still = LONGEST.saturating_sub(began.elapsed()).min(QUIET);
                    next = timeout(still, receiver.recv()).await.ok().flatten();
                }
            }
        };
        tokio::select! {
            ended = try_join_all(follows) => ended.map(drop),
            ended = show_changes => ended,
        }
    }
}
