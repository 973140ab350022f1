//! Applies objects, and prints what became of each.

use anyhow::Result;
use serde_json::{Value, json};

use super::outcomes::Outcomes;
use crate::{
    kubernetes::{Applied, Apply, CONFIGURATION, Cluster, DryRun, NAMESPACE, error},
    ui::terminal::Terminal,
};

/// Applies, and tells what it came to.
pub(crate) struct Applier<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) outcomes: Outcomes<'a>,
    pub(crate) dry_run: Option<DryRun>,
    pub(crate) force: bool,
    /// Whether the namespace is there, so that a dry run can be judged in it.
    pub(crate) namespace_exists: bool,
}

impl<'a> Applier<'a> {
    /// For the objects of `namespace`, and those that have none.
    pub(crate) async fn new(
        terminal: &'a Terminal,
        cluster: &'a Cluster,
        namespace: &str,
        dry_run: Option<DryRun>,
        force: bool,
    ) -> Result<Self> {
        let namespace_exists = cluster.get(&NAMESPACE, "", namespace).await?.is_some();
        let outcomes = Outcomes::new(terminal, dry_run);
        Ok(Self { cluster, outcomes, dry_run, force, namespace_exists })
    }

    pub(crate) async fn apply(&mut self, object: &Value) -> Result<()> {
        self.apply_with(object, self.force).await
    }

    /// [`Applier::apply`] that takes over what others own, where `force` says so.
    pub(crate) async fn apply_with(&mut self, object: &Value, force: bool) -> Result<()> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let namespace = text("/metadata/namespace").unwrap_or_default();
        let homeless = !self.namespace_exists && !namespace.is_empty();
        let applied = if self.dry_run == Some(DryRun::Client)
            || (self.dry_run.is_some() && homeless)
        {
            // What it would come to takes the API server's word; whether it is there does not.
            if homeless || !self.cluster.is_there(object).await? { "created" } else { "applied" }
        } else {
            self.send(object, Apply { mode: self.dry_run.into(), force }).await?.as_str()
        };
        self.outcomes.add(kind.unwrap_or_default(), namespace, name.unwrap_or_default(), applied);
        Ok(())
    }

    /// A namespace without a label, which is not there yet.
    pub(crate) async fn create_namespace(&mut self, name: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
        });
        if self.dry_run != Some(DryRun::Client) {
            self.cluster.create(&object, self.dry_run.into()).await?;
        }
        self.outcomes.add(NAMESPACE.kind, "", name, "created");
        self.namespace_exists = self.dry_run.is_none();
        Ok(())
    }

    /// A caBundle is diyadm's whoever wrote it last: `init --rotate`, kubectl, another tool. All
    /// else that someone else has set is refused without --force.
    async fn send(&self, object: &Value, how: Apply) -> Result<Applied> {
        let outcome = self.cluster.apply(object, how).await;
        let only_bundles = outcome.as_ref().is_err_and(|error| {
            let fields = error::conflicts(error);
            !fields.is_empty() && fields.iter().all(|f| f.ends_with(".clientConfig.caBundle"))
        });
        if object["kind"] == CONFIGURATION.kind && only_bundles {
            return Ok(self.cluster.apply(object, Apply { force: true, ..how }).await?.0);
        }
        Ok(outcome?.0)
    }
}
