//! Deletes a Pod or Job and creates it again, changed, since its command cannot be changed in
//! place.
//!
//! A client that is killed in between would lose the object. So a placeholder, another object of
//! its kind, contains it, and the next command finds it.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::Operation;
use crate::{
    exit::{Failure, Topic},
    kinds::{JOB, POD},
    kubernetes::{DryRun, FIELD_MANAGER, WriteMode, error, targets::LiveObject},
    workload::{ParsedObject, recreation},
};

const PAUSE: Duration = Duration::from_millis(300);
const TRIES: u32 = 5;

impl Operation<'_> {
    /// Deletes the placeholder of an existing object, which an interrupted command left; returns
    /// whether there was one.
    pub(crate) async fn unhold(&self, found: &LiveObject) -> Result<bool> {
        let LiveObject { kind, namespace, name, .. } = found;
        let is_there = found.object["metadata"]["uid"].is_string();
        if !is_there || !self.is_real() || ![&POD, &JOB].contains(kind) {
            return Ok(false);
        }
        let holder = self.cluster.get(kind, namespace, &recreation::placeholder_name(name)).await?;
        match holder.filter(|holder| recreation::held(holder, name).is_some()) {
            Some(holder) => self.cluster.delete_exactly(kind, &holder).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Replaces `found`, which may already be deleted, by `new`. Returns the new object, or in a
    /// dry run `new`.
    pub(crate) async fn recreate(
        &self,
        found: &LiveObject,
        new: &ParsedObject,
    ) -> Result<ParsedObject> {
        let LiveObject { kind, namespace, name, object } = found;
        if ![&POD, &JOB].contains(kind) {
            let what = format!("diyadm deletes and creates again no {}.", kind.singular());
            let hint = "Delete it and create it again from its manifest.";
            return Err(Failure::no(Topic::Recreate, what, hint).into());
        }
        if self.work.dry_run.mode == Some(DryRun::Client) {
            return Ok(new.clone());
        }
        let holder = recreation::placeholder_name(name);
        let exists = object["metadata"]["uid"].is_string();
        if exists {
            // Objections of the cluster are found while the old object still exists.
            self.rehearse(&recreation::holder(new)).await?;
            if !self.is_real() {
                return Ok(new.clone());
            }
            self.make(kind, namespace, &holder, &recreation::holder(new)).await?;
            self.delete_same(found).await?;
            self.gone(found).await?;
        }
        if !self.is_real() {
            return Ok(new.clone());
        }
        let made = self.make(kind, namespace, name, new).await?;
        let at = (*kind, namespace.as_str(), name.as_str());
        let made = self.cluster.give_back(at, object, made).await;
        self.tell_dropped(found, new, &made).await;
        self.cluster.delete(kind, namespace, &holder, WriteMode::Persist).await?;
        Ok(made.into())
    }

    /// Deletes it if only its status has changed.
    async fn delete_same(&self, found: &LiveObject) -> Result<()> {
        let mut object = Value::clone(&found.object);
        let mut tries = 0;
        loop {
            let Err(error) = self.cluster.delete_exactly(found.kind, &object).await else {
                return Ok(());
            };
            if error::status(&error).is_none_or(|status| status.code != 409) {
                return Err(error);
            }
            tries += 1;
            match self.cluster.get(found.kind, &found.namespace, &found.name).await? {
                Some(now)
                    if tries < TRIES
                        && recreation::without_server_fields(&now)
                            == recreation::without_server_fields(&object) =>
                {
                    object = now;
                }
                _ => return Err(error),
            }
        }
    }

    /// Checks in a dry run whether the cluster accepts an object.
    async fn rehearse(&self, object: &Value) -> Result<()> {
        let mut tries = 0;
        loop {
            let error = match self.cluster.create(object, WriteMode::DryRun).await {
                Ok(_) => return Ok(()),
                // It was validated before its name was checked.
                Err(error) if error::exists(&error) => return Ok(()),
                Err(error) => error,
            };
            tries += 1;
            if !error::is_unknown(&error) || tries == TRIES {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Creates an object; an existing equal object counts as success.
    async fn make(
        &self,
        kind: &'static crate::kubernetes::Kind,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value> {
        let mut tries = 0;
        loop {
            let error = match self.cluster.create(object, WriteMode::Persist).await {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            if !error::exists(&error) && !error::is_unknown(&error) {
                return Err(error);
            }
            let found = self.cluster.get(kind, namespace, name).await?;
            match found {
                Some(found) if is_same(&found, object) => return Ok(found),
                // An earlier command left it, created from an older state.
                Some(found) if holds_the_same(&found, object) => {
                    self.cluster.delete_exactly(kind, &found).await?;
                }
                Some(_) => {
                    let what = format!("{}/{name} was created by another client.", kind.singular());
                    return Err(Failure::no(
                        Topic::ChangedMeanwhile,
                        what,
                        "Check whether it is what you want.",
                    )
                    .into());
                }
                None => {}
            }
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the old object is deleted, including its grace period.
    async fn gone(&self, found: &LiveObject) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(self.work.pods.timeout);
        let uid = &found.object["metadata"]["uid"];
        let mut wait = self.terminal.wait();
        loop {
            let now = self.cluster.get(found.kind, &found.namespace, &found.name).await?;
            if now.is_none_or(|now| now["metadata"]["uid"] != *uid) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let what = format!("{} did not end in time.", found.shown());
                let hint = "Run the same command again to continue; --timeout waits longer.";
                return Err(Failure::no(Topic::Waiting, what, hint).into());
            }
            wait.say(&format!("{}: waiting until the old one is deleted", self.shown(found)));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether both are placeholders of the same name.
fn holds_the_same(found: &Value, object: &Value) -> bool {
    let name = |holder| Some(recreation::kept(holder)?["metadata"]["name"].take());
    name(object).is_some_and(|held| name(found) == Some(held))
}

/// Whether an existing object is equal: the same placeholder content, or the same annotations
/// written by diyadm, regardless of changes by others. It was then created by a request whose
/// answer was lost. A second original differs only in its time.
fn is_same(found: &Value, object: &Value) -> bool {
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    let held = |object: &Value| {
        let mut held = recreation::kept(object)?;
        Some((held["metadata"]["name"].take(), held["spec"].take()))
    };
    match held(object) {
        Some(wanted) => held(found) == Some(wanted),
        None => annotations(found) == annotations(object) && is_ours(found),
    }
}

/// Whether diyadm wrote its spec.
fn is_ours(object: &Value) -> bool {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .any(|entry| entry["manager"] == FIELD_MANAGER && entry["fieldsV1"].get("f:spec").is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_object_recreated_by_another_client() {
        let pod = json!({ "kind": "Pod", "metadata": { "name": "x" }, "spec": {} });
        let by = |manager: &str| {
            let mut found = pod.clone();
            found["metadata"]["managedFields"] =
                json!([{ "manager": manager, "fieldsV1": { "f:spec": {} } }]);
            found
        };
        assert!(is_same(&by(FIELD_MANAGER), &pod));
        assert!(!is_same(&by("kubectl-create"), &pod));
        let mut other = by(FIELD_MANAGER);
        other["metadata"]["annotations"] = json!({ "a": "b" });
        assert!(!is_same(&other, &pod));
    }
}
