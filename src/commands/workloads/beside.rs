//! What is beside workloads and would fight with an empty one: looked at once a namespace, held
//! and let go where that is asked for.

use anyhow::Result;
use futures_util::future::join_all;
use serde_json::Value;

use super::Errand;
use crate::{
    cluster::{AUTOSCALER, Kind, SCALED_OBJECT, VERTICAL, error, targets::Found},
    exit::Failure,
    workload::autoscaler,
};

/// Autoscalers of the namespaces that were looked at.
#[derive(Default)]
pub(in crate::commands) struct Beside {
    all: Vec<(&'static Kind, Value)>,
    /// Sentences: what could not be looked at.
    pub(in crate::commands) unseen: Vec<String>,
}

impl Beside {
    /// Those of this workload.
    pub(in crate::commands) fn of<'b>(
        &'b self,
        found: &'b Found,
    ) -> impl Iterator<Item = (&'static Kind, &'b Value)> {
        let here = |object: &Value| object["metadata"]["namespace"] == found.namespace.as_str();
        let of = move |(_, object): &&'b (&'static Kind, Value)| {
            here(object) && autoscaler::scales(object, found.kind.kind, &found.name)
        };
        self.all.iter().filter(of).map(|(kind, object)| (*kind, object))
    }
}

impl Errand<'_> {
    /// Looks at the namespaces of these workloads. Kinds that the cluster lacks are none.
    pub(in crate::commands) async fn beside(&self, all: &[Found]) -> Beside {
        let mut namespaces: Vec<&str> = all.iter().map(|found| found.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let kinds = [&AUTOSCALER, &SCALED_OBJECT, &VERTICAL];
        let places = namespaces.into_iter().flat_map(|n| kinds.map(|kind| (kind, n)));
        let looks = places.map(async |(kind, namespace)| {
            (kind, namespace, self.cluster.list(kind, namespace, "").await)
        });
        let mut beside = Beside::default();
        for (kind, namespace, looked) in join_all(looks).await {
            match looked {
                Ok(found) => beside.all.extend(found.into_iter().map(|object| (kind, object))),
                Err(error) if error::status(&error).is_some_and(|s| s.code == 404) => {}
                Err(_) if kind != &AUTOSCALER => {}
                Err(_) => beside.unseen.push(format!(
                    "whether a HorizontalPodAutoscaler scales workloads of namespace {namespace} \
                     is not known: they may not be listed"
                )),
            }
        }
        beside
    }

    /// Holds or lets go an autoscaler; whether that changed it.
    pub(in crate::commands) async fn scale(
        &self,
        kind: &'static Kind,
        object: &Value,
        hold: bool,
    ) -> Result<bool> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let shown = format!("{}/{name}", kind.singular());
        let plan = |object: &Value| match (hold, autoscaler::release(object)) {
            (true, _) => Ok(autoscaler::hold(object)),
            (false, None) => Ok(None),
            (false, Some(Ok(operations))) => Ok(Some(operations)),
            (false, Some(Err(why))) => Err(Failure::no(
                format!("{shown} stays held: what it was before is not trusted: {why}."),
                format!("Mend it by hand: `kubectl -n {namespace} edit {shown}`."),
            )
            .into()),
        };
        let changed = self
            .cluster
            .change((kind, namespace, name), Some(object.clone()), !self.is_real(), plan)
            .await?;
        if changed.changed {
            let what = if hold { "held" } else { "let go again" };
            self.terminal.done(&format!("{shown} is {what}{}", self.dry()), None);
        }
        Ok(changed.changed)
    }
}
