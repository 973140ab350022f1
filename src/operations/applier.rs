//! Applies objects, and prints the result for each.

use anyhow::Result;
use serde_json::{Value, json};

use super::{flags::DryRunFlag, outcomes::Outcomes};
use crate::{
    kubernetes::{
        Applied, Apply, CONFIGURATION, Cluster, DryRun, FieldConflicts, NAMESPACE, error,
    },
    ui::terminal::Terminal,
};

/// Applies an object, and reports the result.
pub(crate) struct Applier<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) outcomes: Outcomes<'a>,
    pub(crate) dry_run: Option<DryRun>,
    pub(crate) conflicts: FieldConflicts,
    /// Whether the namespace exists, so that dry runs work in it.
    pub(crate) namespace_exists: bool,
}

impl<'a> Applier<'a> {
    /// For objects of `namespace`, and cluster-scoped ones.
    pub(crate) async fn new(
        terminal: &'a Terminal,
        cluster: &'a Cluster,
        namespace: &str,
        DryRunFlag { mode: dry_run }: DryRunFlag,
    ) -> Result<Self> {
        let namespace_exists = cluster.get(&NAMESPACE, "", namespace).await?.is_some();
        let outcomes = Outcomes::new(terminal, dry_run);
        let conflicts = FieldConflicts::Fail;
        Ok(Self { cluster, outcomes, dry_run, conflicts, namespace_exists })
    }

    /// With `--force`, fields of other managers are taken over.
    pub(crate) fn forced(self, force: bool) -> Self {
        Self { conflicts: FieldConflicts::forced(force), ..self }
    }

    pub(crate) async fn apply(&mut self, object: &Value) -> Result<()> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let namespace = text("/metadata/namespace").unwrap_or_default();
        let homeless = !self.namespace_exists && !namespace.is_empty();
        let applied = if self.dry_run == Some(DryRun::Client)
            || (self.dry_run.is_some() && homeless)
        {
            // The result of an apply needs the API server; its existence does not.
            if homeless || !self.cluster.is_there(object).await? { "created" } else { "applied" }
        } else {
            self.send(object, Apply { mode: self.dry_run.into(), conflicts: self.conflicts })
                .await?
                .as_str()
        };
        self.outcomes.add(kind.unwrap_or_default(), namespace, name.unwrap_or_default(), applied);
        Ok(())
    }

    /// A new namespace without a label.
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

    /// A caBundle belongs to diyadm regardless of its last writer: `init --rotate`, kubectl,
    /// another tool. All other foreign fields are rejected without --force.
    async fn send(&self, object: &Value, how: Apply) -> Result<Applied> {
        let outcome = self.cluster.apply(object, how).await;
        let only_bundles = outcome.as_ref().is_err_and(|error| {
            let fields = error::conflicts(error);
            !fields.is_empty() && fields.iter().all(|f| f.ends_with(".clientConfig.caBundle"))
        });
        if object["kind"] == CONFIGURATION.kind && only_bundles {
            return Ok(self
                .cluster
                .apply(object, Apply { conflicts: FieldConflicts::TakeOver, ..how })
                .await?
                .0);
        }
        Ok(outcome?.0)
    }
}
