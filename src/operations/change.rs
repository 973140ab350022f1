//! Sends a change of one workload, or applies it locally in a client-side dry run.

use anyhow::Result;
use jsonptr::Token;
use serde_json::{Value, json};

use super::Operation;
use crate::{
    kubernetes::{DryRun, targets::LiveObject},
    workload::ParsedObject,
};

/// The object after the operations.
pub(crate) fn played(object: &Value, operations: &[Value]) -> Result<Value> {
    let patch: json_patch::Patch = serde_json::from_value(Value::from(operations.to_vec()))?;
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch)?;
    Ok(object)
}

/// The operation that writes an annotation, with or without existing ones; `base` is the path to
/// the parent of the metadata: `/spec/template`, empty for the object itself.
pub(crate) fn annotated(object: &Value, base: &str, key: &str, value: &str) -> Value {
    let at = format!("{base}/metadata/annotations");
    if object.pointer(&at).is_some_and(Value::is_object) {
        json!({ "op": "add", "path": format!("{at}/{}", Token::new(key).encoded()), "value": value })
    } else {
        json!({ "op": "add", "path": at, "value": { key: value } })
    }
}

impl Operation<'_> {
    /// Changes the workload by `plan` ([`crate::kubernetes::Cluster::change`]). Returns the object
    /// afterwards, or in a dry run the expected one, and whether it differs.
    pub(crate) async fn change(
        &self,
        found: &LiveObject,
        mut plan: impl FnMut(&ParsedObject) -> Result<Option<Vec<Value>>>,
    ) -> Result<(ParsedObject, bool)> {
        if self.work.dry_run.mode == Some(DryRun::Client) {
            return Ok(match plan(&found.object)? {
                Some(operations) => (played(&found.object, &operations)?.into(), true),
                None => (found.object.clone(), false),
            });
        }
        let LiveObject { kind, namespace, name, object } = found;
        let target = (*kind, namespace.as_str(), name.as_str());
        let known = Some(object.clone());
        let mut sent = None;
        let plan = |object: &ParsedObject| {
            let operations = plan(object)?;
            sent = operations.as_ref().and_then(|all| played(object, all).ok());
            Ok(operations)
        };
        let changed =
            self.cluster.change(target, known, self.work.dry_run.mode.into(), plan).await?;
        if let Some(sent) = sent {
            self.tell_dropped(found, &sent, &changed.object).await;
        }
        Ok((changed.object, changed.changed))
    }
}
