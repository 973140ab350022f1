//! Removes the namespace's label, regardless of who set it.

use anyhow::Result;
use jsonptr::PointerBuf;
use serde_json::{Value, json};

use crate::{
    kubernetes::{Cluster, DryRun, NAMESPACE, ObjectRef, Right, error},
    operations::{
        outcomes::Outcomes,
        webhook_names::{self, WebhookNames},
    },
    workload::ParsedObject,
};

/// A namespace, and the label to remove.
pub(super) struct Label<'a> {
    namespace: &'a str,
    key: String,
    value: String,
    /// The Namespace, if it exists.
    found: Option<Value>,
}

impl<'a> Label<'a> {
    /// Reads the namespace.
    pub(super) async fn fetch(cluster: &Cluster, names: &'a WebhookNames) -> Result<Self> {
        let namespace = names.namespace();
        let (key, value) = webhook_names::label(names)?;
        let mut label = Self { namespace, key, value, found: None };
        match cluster.get(&NAMESPACE, "", namespace).await {
            Ok(found) => label.found = found,
            Err(error) => {
                if error::is_forbidden(&error) {
                    cluster.demand(&label.rights()).await?;
                }
                return Err(error);
            }
        }
        Ok(label)
    }

    /// The rights for removing it.
    pub(super) fn rights(&self) -> [Right<'a>; 2] {
        let own = ObjectRef { kind: &NAMESPACE, namespace: "", name: self.namespace };
        ["get", "patch"].map(|verb| own.right(verb))
    }

    /// Whether it was set.
    pub(super) fn is_set(&self) -> bool {
        self.found.as_ref().is_some_and(|found| self.is_on(found))
    }

    fn is_on(&self, namespace: &Value) -> bool {
        namespace["metadata"]["labels"][&self.key] == self.value.as_str()
    }

    /// Removes it. Returns the namespace's labels afterwards, or the expected ones in a dry run;
    /// `None` without a namespace.
    pub(super) async fn remove(
        mut self,
        outcomes: &mut Outcomes<'_>,
        cluster: &Cluster,
        dry_run: Option<DryRun>,
    ) -> Result<Option<Value>> {
        let is_set = self.is_set();
        let Some(mut found) = self.found.take() else {
            outcomes.add(NAMESPACE.kind, "", self.namespace, "absent");
            return Ok(None);
        };
        if is_set && dry_run != Some(DryRun::Client) {
            let path = PointerBuf::from_tokens(["metadata", "labels", self.key.as_str()]);
            let plan = |object: &ParsedObject| {
                let remove = || vec![json!({ "op": "remove", "path": path })];
                Ok(self.is_on(object).then(remove))
            };
            let target = (&NAMESPACE, "", self.namespace);
            let known = Some(found.into());
            let changed = cluster.change(target, known, dry_run.into(), plan).await?;
            found = changed.object.into_value();
        }
        let mut labels = found["metadata"]["labels"].take();
        if is_set && let Some(labels) = labels.as_object_mut() {
            labels.remove(&self.key);
        }
        let outcome = if is_set { "unlabelled" } else { "unchanged" };
        outcomes.add(NAMESPACE.kind, "", self.namespace, outcome);
        Ok(Some(labels))
    }
}
