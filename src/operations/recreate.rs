//! Deletes a Pod or Job and creates it again, changed: nothing else changes what it runs.
//!
//! Between its end and its new beginning there would be nothing of it, and a client that is killed
//! then would lose it. So another object of its kind holds its place, which the next command finds.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::Operation;
use crate::{
    exit::Failure,
    kinds::{JOB, POD},
    kubernetes::{DryRun, FIELD_MANAGER, WriteMode, error, targets::LiveObject},
    workload::{ParsedObject, fresh},
};

const PAUSE: Duration = Duration::from_millis(300);
const TRIES: u32 = 5;

impl Operation<'_> {
    /// Takes away what holds the place of one that is there, where a command was cut off just
    /// before it would have; whether there was one.
    pub(crate) async fn unhold(&self, found: &LiveObject) -> Result<bool> {
        let LiveObject { kind, namespace, name, .. } = found;
        let is_there = found.object["metadata"]["uid"].is_string();
        if !is_there || !self.is_real() || ![&POD, &JOB].contains(kind) {
            return Ok(false);
        }
        let holder = self.cluster.get(kind, namespace, &fresh::holder_name(name)).await?;
        match holder.filter(|holder| fresh::held(holder, name).is_some()) {
            Some(holder) => self.cluster.delete_exactly(kind, &holder).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Creates `new` in the place of `found`, which may be gone already; the object then, or, in a
    /// dry run, `new`.
    pub(crate) async fn recreate(
        &self,
        found: &LiveObject,
        new: &ParsedObject,
    ) -> Result<ParsedObject> {
        let LiveObject { kind, namespace, name, object } = found;
        if ![&POD, &JOB].contains(kind) {
            let what = format!("diyadm deletes and creates again no {}.", kind.singular());
            let hint = "Delete it and create it again from its manifest.";
            return Err(Failure::no(what, hint).into());
        }
        if self.work.dry_run.mode == Some(DryRun::Client) {
            return Ok(new.clone());
        }
        let holder = fresh::holder_name(name);
        let exists = object["metadata"]["uid"].is_string();
        if exists {
            // Whatever the cluster has against it is said while the old one is still there.
            self.rehearse(&fresh::holder(new)).await?;
            if !self.is_real() {
                return Ok(new.clone());
            }
            self.make(kind, namespace, &holder, &fresh::holder(new)).await?;
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

    /// Deletes it, as long as nothing but its status has changed.
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
                Some(now) if tries < TRIES && fresh::fresh(&now) == fresh::fresh(&object) => {
                    object = now;
                }
                _ => return Err(error),
            }
        }
    }

    /// Sees in a dry run what the cluster has against an object.
    async fn rehearse(&self, object: &Value) -> Result<()> {
        let mut tries = 0;
        loop {
            let error = match self.cluster.create(object, WriteMode::DryRun).await {
                Ok(_) => return Ok(()),
                // It was judged before its name was looked at.
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

    /// Creates an object; one that is there already counts where it says the same.
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
                // One that an earlier command left, made from what was there then.
                Some(found) if holds_the_same(&found, object) => {
                    self.cluster.delete_exactly(kind, &found).await?;
                }
                Some(_) => {
                    let what = format!("{}/{name} was created by someone else.", kind.singular());
                    return Err(Failure::no(what, "See whether it is what you want.").into());
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

    /// Until the old one is gone with its grace period.
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
                let hint = "The same command goes on; --timeout gives it longer.";
                return Err(Failure::no(what, hint).into());
            }
            wait.say(&format!("{}: the old one ends", self.shown(found)));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether both hold the place of one name.
fn holds_the_same(found: &Value, object: &Value) -> bool {
    let name = |holder| Some(fresh::kept(holder)?["metadata"]["name"].take());
    name(object).is_some_and(|held| name(found) == Some(held))
}

/// Whether one that is there says the same: as what it holds the place for, or as its annotations
/// tell, where diyadm has written it (whatever others have made of it then): it was created by a
/// request whose answer was lost. An original made a second time differs in its time alone.
fn is_same(found: &Value, object: &Value) -> bool {
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    let held = |object: &Value| {
        let mut held = fresh::kept(object)?;
        Some((held["metadata"]["name"].take(), held["spec"].take()))
    };
    match held(object) {
        Some(wanted) => held(found) == Some(wanted),
        None => annotations(found) == annotations(object) && is_ours(found),
    }
}

/// Whether diyadm has written its spec.
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
    fn what_someone_else_has_created_meanwhile_is_his() {
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
