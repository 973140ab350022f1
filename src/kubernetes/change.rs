//! A guarded change of one object that never overwrites concurrent changes: a JSON Patch that is
//! valid only for the version it was computed from, and is computed again for a newer one. A second
//! patch, of `managedFields` only, returns ownership of spec fields to their managers.

use anyhow::Result;
use backon::BackoffBuilder;
use serde_json::{Value, json};

use super::{Cluster, FIELD_MANAGER, Kind, WriteMode, error, send::PAUSES};
use crate::{
    exit::{Failure, Topic},
    ui,
    workload::{ParsedObject, ownership},
};

/// The object's kind, namespace and name.
type At<'a> = (&'static Kind, &'a str, &'a str);

/// The result.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The current object, or in a dry run the expected one.
    pub object: ParsedObject,
    /// Whether this call changed it, including a request whose answer was lost.
    pub changed: bool,
}

impl Cluster {
    /// Changes an object by `plan`, which returns JSON Patch operations for the given object, or
    /// `None` if nothing is to change. `known` is the object, if it was already read. `plan` is
    /// called again if the object has changed meanwhile, or if the result of a request is unknown.
    ///
    /// Needs only the rights `get` and `patch` on that object.
    ///
    /// # Errors
    /// What `plan` says, that the object is gone, and what the API server says for good.
    pub async fn change(
        &self,
        at @ (kind, namespace, name): At<'_>,
        known: Option<ParsedObject>,
        mode: WriteMode,
        mut plan: impl FnMut(&ParsedObject) -> Result<Option<Vec<Value>>>,
    ) -> Result<Changed> {
        let mut known = known;
        // The object before a write whose answer was lost.
        let mut unheard: Option<ParsedObject> = None;
        let mut sent = false;
        let mut pauses = PAUSES.build();
        loop {
            let object = if let Some(object) = known.take() {
                object
            } else {
                let read = self.get(kind, namespace, name).await?;
                read.ok_or_else(|| gone(kind, name))?.into()
            };
            let version = object["metadata"]["resourceVersion"].clone();
            unheard = unheard.filter(|before| before["metadata"]["resourceVersion"] != version);
            let Some(operations) = plan(&object)? else {
                let before = unheard.unwrap_or_else(|| object.clone());
                let object = if mode == WriteMode::DryRun {
                    object
                } else {
                    self.give_back(at, &before, object.into_value()).await.into()
                };
                return Ok(Changed { object, changed: sent });
            };
            let guard = json!({
                "op": "test", "path": "/metadata/resourceVersion", "value": version,
            });
            let patch: Vec<_> = std::iter::once(guard).chain(operations).collect();
            let error = match self.json_patch(kind, namespace, name, Value::from(patch), mode).await
            {
                Ok(after) if mode == WriteMode::DryRun => {
                    return Ok(Changed { object: after.into(), changed: true });
                }
                Ok(after) => {
                    let before = unheard.unwrap_or(object);
                    let object = self.give_back(at, &before, after).await;
                    return Ok(Changed { object: object.into(), changed: true });
                }
                Err(error) => error,
            };
            let unknown = error::is_unknown(&error);
            if unknown && mode == WriteMode::Persist {
                sent = true;
                unheard.get_or_insert(object);
            }
            let again = unknown
                || match error::status(&error).map(|status| status.code) {
                    Some(409) => true,
                    // A failed test and an invalid object have the same code: only a newer version
                    // distinguishes them.
                    Some(422) => {
                        known = self.get(kind, namespace, name).await?.map(ParsedObject::from);
                        known.as_ref().is_none_or(|o| o["metadata"]["resourceVersion"] != version)
                    }
                    _ => false,
                };
            let Some(pause) = pauses.next().filter(|_| again) else { return Err(error) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the ownership of fields that writing `after` over `before` took from their managers
    /// ([`ownership::give_back`]); returns the object. A failure leaves a valid object, and the
    /// next command gives up what diyadm still owns.
    pub async fn give_back(
        &self,
        (kind, namespace, name): At<'_>,
        before: &Value,
        after: Value,
    ) -> Value {
        let mut now = after.clone();
        let mut pauses = PAUSES.build();
        loop {
            let operations = ownership::give_back(before, &after, &now, FIELD_MANAGER);
            if operations.is_empty() {
                return now;
            }
            let sent = self
                .json_patch(kind, namespace, name, Value::from(operations), WriteMode::Persist)
                .await;
            let error = match sent {
                Ok(object) => return object,
                Err(error) => error,
            };
            // Another client, such as a controller, has written meanwhile, or the result is
            // unknown.
            let code = error::status(&error).map(|status| status.code);
            let again = error::is_unknown(&error) || matches!(code, Some(409 | 422));
            let read = match pauses.next().filter(|_| again) {
                Some(pause) => {
                    tokio::time::sleep(pause).await;
                    self.get(kind, namespace, name).await.ok().flatten()
                }
                None => None,
            };
            let same = |object: &Value| object["metadata"]["uid"] == after["metadata"]["uid"];
            let Some(object) = read.filter(same) else {
                if self.verbose {
                    let shown = kind.singular();
                    let what = format!(
                        "{shown}/{name}: its fields were not returned to their \
                                        managers: {error:#}"
                    );
                    ui::line(&what);
                }
                return now;
            };
            now = object;
        }
    }

    /// Gives up spec fields that an earlier, interrupted write still owns.
    pub async fn disown(&self, at: At<'_>, object: Value) -> Value {
        self.give_back(at, &object.clone(), object).await
    }
}

fn gone(kind: &Kind, name: &str) -> Failure {
    Failure::no(
        Topic::ChangedMeanwhile,
        format!("{}/{name} was deleted meanwhile.", kind.singular()),
        "",
    )
}
